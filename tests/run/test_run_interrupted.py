"""Processes of a run that are killed or told to stop: no traceback, nothing left over, and what is finished stands."""

from __future__ import annotations

import contextlib
import json
import os
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from pathlib import Path

import psutil
import pytest
from helpers.run import Finished, call_hcs, table_bytes

import hcs
from hcs.commands.simulate import SimulationFiles
from hcs.engine.warm import START_METHOD
from hcs.store.results.verify import verify

pytestmark = pytest.mark.skipif(START_METHOD != "forkserver", reason="workers are forked on Linux only")


def command(files: SimulationFiles, out: Path, *more: str) -> list[str]:
    told = ["--out", str(out), "--plate-map", str(files.plate_map), "--labels", "none"]
    return [sys.executable, "-m", "hcs", "run", str(files.plate), *told, *more]


def started(files: SimulationFiles, out: Path, *more: str) -> subprocess.Popen[str]:
    """A run in a process group of its own, as in a terminal."""
    return subprocess.Popen(command(files, out, *more), stderr=subprocess.PIPE, text=True, start_new_session=True)


def workers_of(pid: int) -> list[psutil.Process]:
    """Processes that were forked from the run's fork server."""
    with contextlib.suppress(psutil.NoSuchProcess):
        run = psutil.Process(pid)
        servers = [child for child in run.children() if "forkserver" in " ".join(child.cmdline())]
        return [worker for server in servers for worker in server.children()]
    return []


def entered(out: Path) -> int:
    return len([path for path in (out / "ledger").glob("*.json") if not path.name.startswith(".")])


@pytest.fixture(autouse=True)
def _nothing_left() -> Iterator[None]:
    before = {child.pid for child in psutil.Process().children(recursive=True)}
    yield
    deadline = time.monotonic() + 60
    while {c.pid for c in psutil.Process().children(recursive=True) if c.status() != psutil.STATUS_ZOMBIE} - before:
        assert time.monotonic() < deadline, "a process outlived its run"
        time.sleep(0.1)


def test_a_worker_killed_while_it_starts_is_started_again(finished: Finished, tmp_path: Path) -> None:
    run = started(finished.files, tmp_path / "r", "--workers", "2")
    killed: set[int] = set()

    def kill() -> None:
        """The first process of each worker, as soon as it is there."""
        while len(killed) < 2 and run.poll() is None:
            for worker in workers_of(run.pid):
                if worker.pid not in killed and len(killed) < 2:
                    with contextlib.suppress(psutil.NoSuchProcess):
                        worker.kill()
                        killed.add(worker.pid)
            time.sleep(0.005)

    killer = threading.Thread(target=kill)
    killer.start()
    _, told = run.communicate(timeout=600)
    killer.join()
    assert len(killed) == 2
    assert run.returncode == 0, told
    assert "Traceback" not in told
    assert table_bytes(tmp_path / "r") == table_bytes(finished.out)


@pytest.mark.skipif(
    signal.getsignal(signal.SIGINT) == signal.SIG_IGN, reason="Ctrl-C is ignored here, as in background jobs"
)
@pytest.mark.parametrize("when", ["at once", "while workers start", "among fields"])
def test_ctrl_c_ends_with_one_sentence(finished: Finished, tmp_path: Path, when: str) -> None:
    out = tmp_path / "r"
    run = started(finished.files, out, "--workers", "2")
    deadline = time.monotonic() + 300
    ready = {
        "at once": lambda: psutil.Process(run.pid).children(),
        "while workers start": lambda: workers_of(run.pid),
        "among fields": lambda: entered(out) >= 1,
    }[when]
    while not ready():
        assert run.poll() is None
        assert time.monotonic() < deadline
        time.sleep(0.01)
    os.killpg(run.pid, signal.SIGINT)
    _, told = run.communicate(timeout=120)
    assert run.returncode == 130, told
    assert "hcs: stopped; the same command goes on where it stopped" in told
    for word in ("Traceback", "leaked", "Error", "Exception"):
        assert word not in told


def test_a_killed_client_leaves_no_warning(finished: Finished, tmp_path: Path) -> None:
    out = tmp_path / "r"
    run = started(finished.files, out, "--workers", "2")
    deadline = time.monotonic() + 300
    while entered(out) < 1:
        assert time.monotonic() < deadline
        time.sleep(0.01)
    run.kill()
    _, told = run.communicate(timeout=120)  # until the last process that could say something is gone
    assert "Traceback" not in told
    assert "leaked" not in told


def test_a_scheduler_lost_in_the_middle_leaves_table_and_ledger_in_agreement(
    finished: Finished, tmp_path: Path
) -> None:
    file, out = tmp_path / "scheduler.json", tmp_path / "r"
    dask = [sys.executable, "-m", "dask"]
    here = ["--host", "127.0.0.1", "--no-dashboard"]
    with (tmp_path / "dask.log").open("wb") as log:
        scheduler = subprocess.Popen(
            [*dask, "scheduler", "--port", "0", "--scheduler-file", str(file), *here], stdout=log, stderr=log
        )
        worker = subprocess.Popen(
            [*dask, "worker", "--scheduler-file", str(file), "--nthreads", "1", "--death-timeout", "20", *here],
            stdout=log, stderr=log,
        )  # fmt: skip
        try:
            deadline = time.monotonic() + 300
            while not (file.exists() and file.stat().st_size):
                assert time.monotonic() < deadline
                time.sleep(0.05)
            run = started(finished.files, out, "--scheduler", json.loads(file.read_text())["address"])
            while entered(out) < 1:
                assert run.poll() is None
                assert time.monotonic() < deadline
                time.sleep(0.01)
            scheduler.kill()
            _, told = run.communicate(timeout=300)
        finally:
            for process in (worker, scheduler):
                process.terminate()
                process.wait(60)
    assert run.returncode == 1, told
    assert "Traceback" not in told
    results = hcs.open_results(out)
    ledger, nuclei = results.ledger(), results.nuclei()
    assert set(ledger["Status"]) <= {"ok", "empty", "pending"}  # no field is at fault
    assert ledger["Status"].isin(["ok", "empty"]).sum() >= 1
    assert len(nuclei) == ledger["Count_Nuclei"].sum()
    assert not verify(results).faults
    goes_on = call_hcs(*command(finished.files, out, "--workers", "1")[3:])
    assert goes_on.code == 0, goes_on.err
    assert table_bytes(out) == table_bytes(finished.out)
