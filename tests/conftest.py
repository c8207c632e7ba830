"""Fixtures shared by all rooms; among them a small simulated plate, and a finished run of it by the command line."""

from __future__ import annotations

import shutil
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import hypothesis
import pytest
from helpers.run import Finished, Hcs, Shown, call_hcs

from hcs.commands.simulate import SimulationFiles, write_simulation
from hcs.simulate.settings import SimulationSettings

REPOSITORY = Path(__file__).resolve().parent.parent

# Examples are not timed: the first may compile a kernel, and the machine may be busy. Benchmarks measure speed.
hypothesis.settings.register_profile("untimed", deadline=None)
hypothesis.settings.load_profile("untimed")


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Files that start whole runs come first, so that no process is left alone with one of them at the end."""
    items.sort(key=lambda item: item.path.parent.name not in {"run", "engine", "field", "commands"})


@pytest.fixture(scope="session")
def shared_data() -> Path:
    """Folder of the real data sets beside the project; tests that need it skip where it is absent."""
    folder = REPOSITORY.parent / "shared" / "data"
    if not folder.is_dir():
        pytest.skip(f"real data sets not found: {folder} is missing")
    return folder


@pytest.fixture(scope="session")
def s3(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """URL of a bucket of an S3 server of its own on the loopback; skips where moto is not installed.

    Address and credentials are in the environment, where clients of this process and of its children look for them.
    """
    pytest.importorskip("moto", reason="needs moto and s3fs (the extras dev and s3)")
    s3fs = pytest.importorskip("s3fs", reason="needs moto and s3fs (the extras dev and s3)")
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    log = (tmp_path_factory.mktemp("s3") / "log").open("wb")
    command = [sys.executable, "-m", "moto.server", "-H", "127.0.0.1", "-p", str(port)]
    server = subprocess.Popen(command, stdout=log, stderr=log)
    environment = {
        "AWS_ENDPOINT_URL": f"http://127.0.0.1:{port}",
        "AWS_ACCESS_KEY_ID": "tests",
        "AWS_SECRET_ACCESS_KEY": "tests",
        "AWS_DEFAULT_REGION": "us-east-1",
    }
    with pytest.MonkeyPatch.context() as patch:
        for name, value in environment.items():
            patch.setenv(name, value)
        try:
            _wait_for(port, server)
            s3fs.S3FileSystem().mkdir("screen")
            yield "s3://screen"
        finally:
            server.terminate()
            server.wait()
            log.close()


def _wait_for(port: int, server: subprocess.Popen[bytes]) -> None:
    deadline = time.monotonic() + 120
    while True:
        try:
            socket.create_connection(("127.0.0.1", port), timeout=1).close()
        except OSError:
            assert server.poll() is None, "the S3 server ended"
            assert time.monotonic() < deadline, "the S3 server does not answer"
            time.sleep(0.05)
        else:
            return


@pytest.fixture
def hcs(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> Hcs:
    """Run ``hcs`` in this process; for commands that end before they start workers."""
    from hcs.cli import main

    def call(*arguments: object) -> Shown:
        monkeypatch.setattr(sys, "argv", ["hcs", *map(str, arguments)])
        with pytest.raises(SystemExit) as stop:
            main()
        captured = capsys.readouterr()
        return Shown(int(stop.value.code or 0), captured.out, captured.err)

    return call


@pytest.fixture(scope="session")
def simulated(tmp_path_factory: pytest.TempPathFactory) -> SimulationFiles:
    """A plate of six wells (two controls each way, one empty), one field of 256 px each; not to be changed."""
    folder = tmp_path_factory.mktemp("simulated")
    settings = SimulationSettings(wells=6, size_px=256, density=250.0, seed=3)
    return write_simulation(folder / "tiny.zarr", settings)


@pytest.fixture
def plate(simulated: SimulationFiles, tmp_path: Path) -> SimulationFiles:
    """A copy of the simulated plate to write to or to break."""
    shutil.copytree(simulated.plate, tmp_path / "tiny.zarr")
    shutil.copy(simulated.plate_map, tmp_path / "tiny.platemap.csv")
    return replace(simulated, plate=tmp_path / "tiny.zarr", plate_map=tmp_path / "tiny.platemap.csv")


@pytest.fixture(scope="session")
def finished(simulated: SimulationFiles, tmp_path_factory: pytest.TempPathFactory) -> Finished:
    """The plate processed by ``hcs run`` with two worker processes; not to be changed."""
    folder = tmp_path_factory.mktemp("finished")
    shutil.copytree(simulated.plate, folder / "tiny.zarr")
    files = replace(simulated, plate=folder / "tiny.zarr")
    out = folder / "results"
    shown = call_hcs("run", files.plate, "--out", out, "--plate-map", files.plate_map, "--workers", 2)
    return Finished(files, out, shown)
