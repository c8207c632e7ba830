"""What `deploy/` has Slurm and Kubernetes start, started on this machine: the job script, the manifests' commands."""

from __future__ import annotations

import os
import re
import shutil
import signal
import socket
import stat
import subprocess
import sys
import time
import urllib.request
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import psutil
import pytest
import yaml
from helpers.run import Finished, call_hcs, table_bytes

from hcs.engine.certificates import write_certificates

DEPLOY = Path(__file__).resolve().parents[2] / "deploy"
SCRIPT = DEPLOY / "slurm" / "hcs.sbatch"

SRUN = """
import signal, subprocess, sys
command = [word for word in sys.argv[1:]]
while command[0].startswith("--"):
    command.pop(0)
tasks = [subprocess.Popen(command) for _ in range(2)]
def end(*_):
    for task in tasks:
        task.terminate()
signal.signal(signal.SIGTERM, end)
sys.exit(max(abs(task.wait()) for task in tasks))
"""
SBATCH = """
import os, subprocess, sys
options = [line.split(None, 1)[1] for line in open(sys.argv[1]) if line.startswith("#SBATCH ")]
assert options and all(option.startswith("--") for option in options)
print("Submitted batch job 7", flush=True)
sys.exit(subprocess.run(["bash", *sys.argv[1:]], env=os.environ | {"SLURM_JOB_ID": "7"}).returncode)
"""


@pytest.fixture
def path(tmp_path: Path) -> str:
    """A PATH with an sbatch that runs the job at once, an srun of two tasks, and the programs of this Python."""
    programs = tmp_path / "bin"
    programs.mkdir()
    for name, code in {"sbatch": SBATCH, "srun": SRUN}.items():
        program = programs / name
        program.write_text(f"#!{sys.executable}\n{code}")
        program.chmod(program.stat().st_mode | stat.S_IXUSR)
    return os.pathsep.join([str(programs), str(Path(sys.executable).parent), os.environ["PATH"]])


def test_a_job_holds_scheduler_workers_and_run(finished: Finished, path: str, tmp_path: Path) -> None:
    folder = tmp_path / "job"
    folder.mkdir()
    out = folder / "results"
    sbatch = shutil.which("sbatch", path=path)
    shown = subprocess.run(
        [
            str(sbatch), str(SCRIPT), str(finished.files.plate), "--out", str(out), "--labels", "none",
            "--plate-map", str(finished.files.plate_map),
        ],
        capture_output=True, text=True, check=False, cwd=folder, timeout=900, env=os.environ | {"PATH": path},
    )  # fmt: skip
    assert shown.returncode == 0, shown.stderr
    assert table_bytes(out) == table_bytes(finished.out)
    assert [p.name for p in folder.iterdir()] == ["results"]
    mine = [p for p in psutil.process_iter(["cwd"]) if p.info["cwd"] == str(folder)]
    assert not [p for p in mine if p.is_running() and p.status() != psutil.STATUS_ZOMBIE]


def test_a_job_without_arguments_says_how(path: str) -> None:
    shown = subprocess.run(["bash", str(SCRIPT)], capture_output=True, text=True, check=False, env={"PATH": path})
    assert shown.returncode == 2
    assert "usage: sbatch hcs.sbatch PLATE" in shown.stderr


def container(manifest: str, *where: str) -> dict[str, Any]:
    """The one container of a pod in a manifest."""
    node = yaml.safe_load((DEPLOY / "kubernetes" / manifest).read_text(encoding="utf-8"))
    for name in (*where, "spec", "containers"):
        node = node[name]
    (only,) = node
    return dict(only)


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


@contextmanager
def started(command: list[str], log: Path, **environment: str) -> Iterator[subprocess.Popen[bytes]]:
    """A process of this Python's programs, stopped at the end."""
    programs = f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}"
    with log.open("wb") as out:
        process = subprocess.Popen(command, stdout=out, stderr=out, env=os.environ | {"PATH": programs} | environment)
        try:
            yield process
        finally:
            process.send_signal(signal.SIGTERM)
            process.wait(60)


def answers(url: str) -> bytes:
    """What a server says, once it does."""
    deadline = time.monotonic() + 120
    while True:
        try:
            with urllib.request.urlopen(url, timeout=5) as answer:
                return bytes(answer.read())
        except OSError:
            assert time.monotonic() < deadline, f"{url} does not answer"
            time.sleep(0.1)


def test_the_commands_of_the_manifests_run_a_plate(finished: Finished, tmp_path: Path) -> None:
    scheduler = container("cluster.yaml", "spec", "scheduler")
    worker = container("cluster.yaml", "spec", "worker")
    run = container("run.yaml", "spec", "template")
    port, http = free_port(), free_port()
    address, tls = f"tls://127.0.0.1:{port}", tmp_path / "tls"
    write_certificates(tls)
    serve = [*scheduler["command"], *scheduler.get("args", ()), "--port", str(port), "--dashboard-address", f":{http}"]
    work = [*worker["command"], *(word.replace("$(DASK_WORKER_NAME)", "hcs-worker-1") for word in worker["args"])]
    given = {
        "/data/plate.zarr": str(finished.files.plate),
        "/data/map.csv": str(finished.files.plate_map),
        "/data/results": str(tmp_path / "results"),
        "tls://hcs-scheduler:8786": address,
        "/tls": str(tls),
        "/tls/cert.pem": str(tls / "cert.pem"),
        "/tls/key.pem": str(tls / "key.pem"),
    }
    assert {word for word in run["args"] if re.search("/data|/tls|tls:", word)} <= set(given)
    serve, work = ([given.get(word, word) for word in command] for command in (serve, work))
    with started(serve, tmp_path / "scheduler.log"):
        assert answers(f"http://127.0.0.1:{http}{scheduler['readinessProbe']['httpGet']['path']}") == b"ok"
        with started(work, tmp_path / "worker.log", DASK_SCHEDULER_ADDRESS="tcp://127.0.0.1:1"):
            assert run["command"] == ["hcs", "run"]
            shown = call_hcs("run", *(given.get(word, word) for word in run["args"]), "--labels", "none")
    assert shown.code == 0, shown.err
    assert table_bytes(tmp_path / "results") == table_bytes(finished.out)
