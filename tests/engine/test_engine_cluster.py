"""Workers elsewhere: jobs of a batch system, and workers that die."""

from __future__ import annotations

import os
import signal
import stat
import subprocess
import sys
import time
from pathlib import Path

import psutil
import pytest
import yaml
from helpers.run import Finished, call_hcs, local_client, table_bytes

from hcs.config import ClusterSettings, Config, parse_config
from hcs.engine.cluster import ENVIRONMENT, Workers
from hcs.engine.nanny import PatientNanny
from hcs.engine.slurm import ADAPTING, job_options
from hcs.errors import ConfigError
from hcs.store.config import read_config

CONFIGS = Path(__file__).resolve().parents[2] / "configs"

SBATCH = """
import shutil, subprocess, sys
number = len(list(jobs.glob("*.sh"))) + 1
script = jobs / f"{number}.sh"
shutil.copy(sys.argv[-1], script)
with (jobs / f"{number}.log").open("wb") as log:
    job = subprocess.Popen(["bash", str(script)], stdout=log, stderr=log, start_new_session=True)
(jobs / f"{number}.pid").write_text(str(job.pid))
print(f"Submitted batch job {number}")
"""
SCANCEL = """
import os, signal, sys
for number in sys.argv[1:]:
    try:
        os.killpg(int((jobs / f"{number}.pid").read_text()), signal.SIGTERM)
    except ProcessLookupError:
        pass
    (jobs / f"{number}.cancelled").touch()
"""


@pytest.fixture
def slurm(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A folder of jobs, of an sbatch and scancel on the PATH that start and end real processes on this machine."""
    jobs, programs = tmp_path / "jobs", tmp_path / "bin"
    jobs.mkdir()
    programs.mkdir()
    for name, code in {"sbatch": SBATCH, "scancel": SCANCEL}.items():
        path = programs / name
        path.write_text(f"#!{sys.executable}\nfrom pathlib import Path\njobs = Path({str(jobs)!r})\n{code}")
        path.chmod(path.stat().st_mode | stat.S_IXUSR)
    monkeypatch.setenv("PATH", f"{programs}{os.pathsep}{os.environ['PATH']}")
    return jobs


@pytest.mark.parametrize("min_jobs", [None, 0], ids=["fixed", "adaptive"])
def test_slurm_jobs_do_the_work(finished: Finished, slurm: Path, tmp_path: Path, min_jobs: int | None) -> None:
    pytest.importorskip("dask_jobqueue", reason="needs dask-jobqueue (the extra cluster)")
    cluster = {"jobs": 2, "min_jobs": min_jobs, "queue": "short", "directives": ["--nice=5"], "wait_s": 120}
    config = tmp_path / "slurm.yaml"
    config.write_text(yaml.safe_dump({"cluster": cluster | {"logs": str(tmp_path / "logs"), "interface": "lo"}}))
    shown = call_hcs(
        "run", finished.files.plate, "--out", tmp_path / "r", "--plate-map", finished.files.plate_map,
        "--labels", "none", "--cluster", "slurm", "--config", config,
    )  # fmt: skip
    assert shown.code == 0, shown.err
    assert table_bytes(tmp_path / "r") == table_bytes(finished.out)
    scripts = sorted(slurm.glob("*.sh"))
    assert scripts
    for script in scripts:
        text = script.read_text()
        for line in ("#SBATCH -p short", "#SBATCH --nice=5", "#SBATCH --cpus-per-task=1", "export OMP_NUM_THREADS=1"):
            assert line in text
        assert "--nthreads 1" in text
    pids = [int(path.read_text()) for path in slurm.glob("*.pid")]
    deadline = time.monotonic() + 60
    while any(psutil.pid_exists(pid) and psutil.Process(pid).status() != "zombie" for pid in pids):
        assert time.monotonic() < deadline, "a job outlived the run"
        time.sleep(0.1)


def test_options_of_a_job() -> None:
    pytest.importorskip("dask_jobqueue", reason="needs dask-jobqueue (the extra cluster)")
    settings = ClusterSettings(workers_per_job=4, memory="8GiB", walltime=43200, prologue=("module load x",))
    options = job_options(settings, device="cpu", environment=ENVIRONMENT)
    assert options["cores"] == options["processes"] == 4
    assert options["walltime"] == "12:00:00"
    assert options["job_script_prologue"][-1] == "module load x"
    assert not options["job_extra_directives"]
    gpu = job_options(ClusterSettings(), device="cuda", environment=ENVIRONMENT)
    assert gpu["job_extra_directives"] == ["--gres=gpu:1"]
    own = job_options(ClusterSettings(directives=("--gpus=a100:1",)), device="cuda", environment=ENVIRONMENT)
    assert own["job_extra_directives"] == ["--gpus=a100:1"]


def test_workers_inherit_the_environment_of_the_job() -> None:
    prologue = job_options(ClusterSettings(), device="cpu", environment=ENVIRONMENT)["job_script_prologue"]
    inherited = next(line for line in prologue if "DASK_INTERNAL_INHERIT_CONFIG" in line)
    code = "import dask; print(dask.config.get('distributed.nanny.pre-spawn-environ')['MALLOC_TRIM_THRESHOLD_'])"
    shown = subprocess.run(
        ["bash", "-c", f'{inherited}\n{sys.executable} -c "{code}"'], capture_output=True, text=True, check=True
    )
    assert shown.stdout.strip() == str(2**30)


@pytest.mark.parametrize("name", ["slurm.yaml", "slurm-gpu.yaml"])
def test_shipped_cluster_settings_are_valid(name: str) -> None:
    config = read_config(CONFIGS / "cluster" / name)
    assert config.cluster != ClusterSettings()
    assert config == Config(cluster=config.cluster)


@pytest.mark.parametrize(
    ("data", "message"),
    [
        ({"jobs": 0}, r"cluster\.jobs = 0"),
        ({"min_jobs": 3}, r"cluster\.min_jobs = 3"),
        ({"workers_per_job": 0}, r"cluster\.workers_per_job = 0"),
        ({"walltime": "soon"}, r"cluster\.walltime = 'soon'"),
        ({"wait_s": 0}, r"cluster\.wait_s = 0"),
        ({"partition": "x"}, r"unknown key 'cluster\.partition'"),
    ],
)
def test_cluster_settings_that_cannot_work(data: object, message: str) -> None:
    with pytest.raises(ConfigError, match=message):
        parse_config({"cluster": data}, source="x")


def test_an_adaptive_cluster_grows_for_short_fields() -> None:
    from distributed import as_completed

    with local_client(n_workers=1, processes=False) as client:
        client.cluster.adapt(minimum=1, maximum=3, **ADAPTING)
        fields = as_completed([client.submit(time.sleep, 0.05, pure=False) for _ in range(4)])
        deadline = time.monotonic() + 60
        for _ in fields:  # a few in flight for every worker, as a run has
            workers = len(client.scheduler_info(n_workers=-1)["workers"])
            if workers == 3:
                return
            assert time.monotonic() < deadline, f"still {workers} worker(s)"
            while fields.count() < 4 * workers:
                fields.add(client.submit(time.sleep, 0.05, pure=False))


def test_options_that_exclude_each_other() -> None:
    with pytest.raises(ConfigError, match="neither --workers nor --scheduler"):
        Workers(cluster="slurm", count=2)
    with pytest.raises(ConfigError, match=r"cluster\.workers_per_job = 2"):
        Workers(cluster="slurm", device="cuda", jobs=ClusterSettings(workers_per_job=2))


def test_no_slurm_is_a_sentence(finished: Finished, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    pytest.importorskip("dask_jobqueue", reason="needs dask-jobqueue (the extra cluster)")
    monkeypatch.setenv("PATH", str(tmp_path))
    shown = call_hcs(
        "run", finished.files.plate, "--out", tmp_path / "r", "--labels", "none", "--cluster", "slurm"
    )  # fmt: skip
    assert shown.code == 2
    assert "no sbatch on the PATH" in shown.err
    assert not (tmp_path / "r").exists()


def test_workers_that_are_killed_again_and_again_change_nothing(finished: Finished, tmp_path: Path) -> None:
    out = tmp_path / "r"
    command = [
        sys.executable, "-m", "hcs", "run", str(finished.files.plate), "--out", str(out), "--labels", "none",
        "--plate-map", str(finished.files.plate_map),
    ]  # fmt: skip
    # With dask's own nannies a busy machine once had no worker left in the end, and the scheduler waited for ever.
    with local_client(n_workers=2, worker_class=PatientNanny) as client:
        run = subprocess.Popen(
            [*command, "--scheduler", client.scheduler.address], stderr=subprocess.PIPE, text=True
        )  # fmt: skip
        kills = 0
        deadline = time.monotonic() + 900
        while run.poll() is None:
            assert time.monotonic() < deadline
            done = len(list((out / "ledger").glob("[A-Z]*.json")))
            busy = [name for name, tasks in client.processing().items() if tasks]
            if out.exists() and busy and kills <= done < 5:
                for pid in client.run(os.getpid, workers=busy[:1], on_error="ignore").values():  # one may be dead
                    os.kill(pid, signal.SIGKILL)
                    kills += 1
            time.sleep(0.1)
        assert run.returncode == 0, run.stderr.read() if run.stderr else ""
        if run.stderr:
            run.stderr.close()
    assert kills >= 2
    assert table_bytes(out) == table_bytes(finished.out)
