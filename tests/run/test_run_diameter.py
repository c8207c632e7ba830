"""The size of a plate's nuclei: one for all fields, estimated or given, recorded, and kept by a run that goes on."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path

import pytest
from helpers.run import Finished, call_hcs

import hcs
from hcs.commands.simulate import SimulationFiles, write_simulation
from hcs.plate.keys import FieldKey, WellId
from hcs.run.diameter import _spread
from hcs.simulate.settings import SimulationSettings
from hcs.store.results.record import RunRecord


def record(out: Path) -> dict[str, object]:
    found: dict[str, object] = json.loads((out / "run.json").read_text())["nucleus_diameter"]
    return found


def test_the_size_is_estimated_once_for_the_plate_recorded_and_said(finished: Finished) -> None:
    size = record(finished.out)
    assert size["px"] == pytest.approx(24.0, rel=0.2)  # G1 nuclei are simulated 24 px across
    assert size["scale"] == "1"
    assert size["nuclei"] >= 20  # type: ignore[operator]
    assert f"Nuclei are {size['px']:.0f} px across (median of {size['nuclei']})" in finished.shown.out


def test_large_nuclei_are_seen_smaller_and_measured_at_full_size(tmp_path: Path) -> None:
    settings = SimulationSettings(wells=2, size_px=512, density=60.0, nucleus_diameter_px=60.0, seed=4)
    files = write_simulation(tmp_path / "large.zarr", settings)
    shown = call_hcs("run", files.plate, "--out", tmp_path / "out", "--workers", 1)
    assert shown.code == 0, shown.err
    size = record(tmp_path / "out")
    assert size["scale"] in ("1/3", "1/2")
    nuclei = hcs.open_results(tmp_path / "out").nuclei(columns=["Nuclei_AreaShape_Area"])
    assert nuclei["Nuclei_AreaShape_Area"].median() == pytest.approx(3.1416 / 4 * 60.0**2, rel=0.35)


def test_a_run_that_goes_on_keeps_the_size_it_began_with(finished: Finished, tmp_path: Path) -> None:
    import shutil

    out = tmp_path / "results"
    shutil.copytree(finished.out, out)
    size = {"px": 48.0, "nuclei": 77, "scale": "1/2", "reason": ""}
    replace(RunRecord.read(out), nucleus_diameter=size).write(out)
    entry = next((out / "ledger").rglob("*.json"))
    entry.unlink()
    plate = tmp_path / finished.files.plate.name  # a copy, as labels of another size are written into it
    shutil.copytree(finished.files.plate, plate)
    shown = call_hcs("run", plate, "--out", out, "--plate-map", finished.files.plate_map, "--workers", 1)
    assert shown.code == 0, shown.err
    assert record(out) == size
    assert "Nuclei are 48 px across (median of 77); the network sees them at 1/2" in shown.out


def test_a_given_size_is_taken(plate: SimulationFiles, tmp_path: Path) -> None:
    shown = call_hcs("run", plate.plate, "--out", tmp_path / "out", "--diameter-px", 26, "--wells", "A01")
    assert shown.code == 0, shown.err
    assert record(tmp_path / "out") == {"px": 26.0, "nuclei": 0, "scale": "1", "reason": ""}
    refused = call_hcs("run", plate.plate, "--out", tmp_path / "out", "--diameter-px", 52, "--wells", "A01")
    assert refused.code == 2
    assert "config.diameter_px" in refused.err


def test_a_size_that_cannot_be_is_refused(plate: SimulationFiles, tmp_path: Path) -> None:
    refused = call_hcs("run", plate.plate, "--out", tmp_path / "out", "--diameter-px", -3)
    assert refused.code == 2
    assert "diameter_px" in refused.err


@pytest.mark.parametrize("n", [1, 5, 6, 7, 96, 3456])
def test_fields_are_looked_at_evenly_over_the_plate_and_once(n: int) -> None:
    keys = tuple(FieldKey(WellId(i // 24, i % 24), 0) for i in range(min(n, 384))) * (n // min(n, 384))
    keys = tuple(FieldKey(k.well, i // 384) for i, k in enumerate(keys))
    portions = _spread(keys)
    chosen = [key for portion in portions for key in portion]
    assert len(set(chosen)) == len(chosen) == min(n, 24)
    assert max(map(len, portions)) <= 6
    if n >= 96:  # the first portion alone reaches over the whole plate
        places = sorted(keys.index(key) for key in portions[0])
        assert places[0] < n / 4
        assert places[-1] > 3 * n / 4
