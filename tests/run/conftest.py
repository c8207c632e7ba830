"""A small simulated plate, and a finished run of it, made once through the command line."""

from __future__ import annotations

import shutil
import sys
from pathlib import Path

import pytest
from helpers.run import Finished, Hcs, Shown, call_hcs

from hcs.commands.simulate import SimulationFiles, write_simulation
from hcs.simulate.settings import SimulationSettings


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
    return SimulationFiles(tmp_path / "tiny.zarr", tmp_path / "tiny.platemap.csv", simulated.truth)


@pytest.fixture(scope="session")
def finished(simulated: SimulationFiles, tmp_path_factory: pytest.TempPathFactory) -> Finished:
    """The plate processed by ``hcs run`` with two worker processes; not to be changed."""
    folder = tmp_path_factory.mktemp("finished")
    shutil.copytree(simulated.plate, folder / "tiny.zarr")
    files = SimulationFiles(folder / "tiny.zarr", simulated.plate_map, simulated.truth)
    out = folder / "results"
    shown = call_hcs("run", files.plate, "--out", out, "--plate-map", files.plate_map, "--workers", 2)
    return Finished(files, out, shown)
