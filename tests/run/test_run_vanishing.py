"""A movie whose nuclei lose their contrast under light, by ``--model lexy``: found in every frame, and the same files
whoever did them in whatever order."""

from __future__ import annotations

from pathlib import Path

import pandas as pd
import pytest
from helpers.run import table_bytes
from helpers.timed import measure_here, run_here

import hcs
from hcs.commands.simulate import SimulationFiles, write_simulation
from hcs.field.carrying import _kept
from hcs.simulate.settings import SimulationSettings
from hcs.store.models import find_model

DARK = (2, 3, 4, 5)
"""Light is on from 15 to 75 min."""
SETTINGS = SimulationSettings(
    wells=1, size_px=176, frames=10, interval_min=15.0, sensor="LEXY", stimulus_min=15.0, light_ratio=1.0, seed=8
)
LEXY = {
    "model": "lexy",
    "channels": {"nuclei": "LEXY", "sensor": "LEXY", "dna": "DNA"},
    "readout": {"live": {"stimulus_min": 15.0, "light_off_min": 75.0, "min_tracks": 5}},
}


@pytest.fixture(scope="module")
def movie(tmp_path_factory: pytest.TempPathFactory) -> SimulationFiles:
    return write_simulation(tmp_path_factory.mktemp("lexy") / "m.zarr", SETTINGS)


@pytest.fixture(scope="module")
def whole(movie: SimulationFiles, tmp_path_factory: pytest.TempPathFactory) -> Path:
    out = tmp_path_factory.mktemp("whole") / "out"
    summary = run_here(movie.plate, out, plate_map=movie.plate_map, **LEXY)
    assert not summary.failed
    assert [note for note in summary.notes if "too faint" in note and "frames from" in note]
    return out


def found_share(out: Path, truth: pd.DataFrame) -> float:
    """Nuclei that were found in the dark frames, over the true ones."""
    nuclei = hcs.open_results(out).nuclei()
    return float(nuclei["Metadata_Timepoint"].isin(DARK).sum() / truth["frame"].isin(DARK).sum())


def test_nuclei_are_found_where_they_cannot_be_seen(movie: SimulationFiles, whole: Path, tmp_path: Path) -> None:
    truth = pd.read_parquet(movie.truth)
    assert found_share(whole, truth) == pytest.approx(1.0, abs=0.12)
    measure_here(movie.plate, tmp_path / "sensor", **(LEXY | {"model": "sensor"}))
    assert found_share(tmp_path / "sensor", truth) < 0.85


def test_half_times_are_read_from_the_tracks(whole: Path) -> None:
    """Nucleus over cytoplasm comes back by half in 22 min; the way out is over in less than a frame of 15."""
    well = hcs.open_results(whole).wells().iloc[0]
    assert well["Live_RecoveryHalfMin"] == pytest.approx(21.9, abs=5)
    assert well["Live_NuclearLoss"] == pytest.approx(0.48, abs=0.06)
    assert not well["Live_ExportHalfMin"] > 15


def test_files_do_not_depend_on_order_or_interruption(movie: SimulationFiles, whole: Path, tmp_path: Path) -> None:
    """Frame by frame from the last, by workers that know nothing yet, as after kill -9."""
    out = tmp_path / "out"
    for frame in reversed(range(SETTINGS.frames)):
        _kept.cache_clear()
        measure_here(movie.plate, out, choose=lambda keys, f=frame: [k for k in keys if k.frame == f], **LEXY)
    assert table_bytes(out) == table_bytes(whole)


def test_lexy_is_the_sensors_model_that_carries() -> None:
    lexy, sensor = find_model("lexy"), find_model("sensor")
    assert (lexy.carries, sensor.carries) == (True, False)
    assert lexy.networks == (sensor,)
    assert lexy.sha256 != sensor.sha256
