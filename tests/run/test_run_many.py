"""Many plates in one call: a folder of results each, controls first, one plate's failure not another's."""

from __future__ import annotations

import shutil
from pathlib import Path

import pandas as pd
import pytest
from helpers.run import Finished, Hcs, call_hcs, table_bytes

from hcs.commands.simulate import SimulationFiles
from hcs.errors import ConfigError, PlateError
from hcs.plate.keys import FieldKey
from hcs.run.checks import control_wells, controls_first
from hcs.run.plates import find_plate_map, find_plates, is_many
from hcs.store.platemap import read_plate_map


def test_what_counts_as_many_plates(tmp_path: Path) -> None:
    (tmp_path / "odd[1].zarr").mkdir()
    assert not is_many(("p.zarr",))
    assert not is_many((str(tmp_path / "odd[1].zarr"),))
    assert is_many(("p.zarr", "q.zarr"))
    assert is_many(("plates/*.zarr",))
    assert is_many(("s3://bucket/*.zarr",))


def test_plates_are_called_after_their_folders(tmp_path: Path) -> None:
    for name in ("b.zarr", "a.ome.zarr", "a.txt"):
        (tmp_path / name).mkdir()
    runs = find_plates((str(tmp_path / "*.zarr"), str(tmp_path / "b.zarr")), tmp_path / "out")
    assert [(run.name, run.out) for run in runs] == [("a", tmp_path / "out" / "a"), ("b", tmp_path / "out" / "b")]
    with pytest.raises(PlateError, match=r"no plate fits .*\*\.tif"):
        find_plates((str(tmp_path / "*.tif"),), tmp_path / "out")
    (tmp_path / "a.zarr").mkdir()
    with pytest.raises(ConfigError, match="both called a"):
        find_plates((str(tmp_path / "a.*zarr"),), tmp_path / "out")
    with pytest.raises(PlateError, match="cannot be searched"):
        find_plates(("https://example.org/*.zarr",), tmp_path / "out")


def test_each_plate_finds_its_map(tmp_path: Path) -> None:
    for name in ("a.csv", "b.platemap.csv"):
        (tmp_path / name).touch()
    assert find_plate_map(None, "a") is None
    assert find_plate_map("map.csv", "a") == Path("map.csv")
    assert find_plate_map("maps/{plate}-map.csv", "a") == Path("maps/a-map.csv")
    assert find_plate_map(str(tmp_path), "a") == tmp_path / "a.csv"
    assert find_plate_map(str(tmp_path), "b") == tmp_path / "b.platemap.csv"
    with pytest.raises(PlateError, match=r"no plate map of c .*c\.csv"):
        find_plate_map(str(tmp_path), "c")


def test_controls_come_first(simulated: SimulationFiles) -> None:
    plate_map = read_plate_map(simulated.plate_map)
    keys = tuple(FieldKey.parse(f"{well}/0") for well in plate_map.frame["well"])
    order = controls_first(keys, plate_map)
    controls = control_wells(plate_map)
    assert 0 < len(controls) < len(keys)
    assert {str(key.well) for key in order[: len(controls)]} == controls
    assert sorted(order) == sorted(keys)
    assert controls_first(keys, None) == keys


def test_a_plate_that_fails_leaves_the_others_alone(
    simulated: SimulationFiles, finished: Finished, hcs: Hcs, tmp_path: Path
) -> None:
    plates, out = tmp_path / "plates", tmp_path / "out"
    for name in ("first", "third"):
        shutil.copytree(simulated.plate, plates / f"{name}.zarr")
    (plates / "second.zarr").mkdir()
    damaged = next(p for p in (plates / "third.zarr" / "A" / "02" / "0" / "0").rglob("c/**/*") if p.is_file())
    damaged.write_bytes(b"not a chunk")
    run = ("run", plates / "*.zarr", "--out", out, "--plate-map", simulated.plate_map, "--labels", "none")
    shown = call_hcs(*run, "--workers", 2)
    assert shown.code == 1, shown.err
    assert "second  failed: " in shown.err
    assert "third  incomplete" in shown.err
    assert "3 plates, 1 ok" in shown.out
    assert table_bytes(out / "first") == table_bytes(finished.out)
    assert {k: v for k, v in table_bytes(finished.out).items() if "A02" not in k} == table_bytes(out / "third")
    assert (out / "first" / "report.html").exists()
    listed = pd.read_csv(out / "plates.csv").set_index("Plate")
    assert dict(listed["Status"]) == {"first": "ok", "second": "failed", "third": "incomplete"}
    assert list(listed["Count_FieldsFailed"]) == [0, 0, 1]
    assert "ZPrime_Mean_Nuclei_Sensor_Ratio" in listed
    shutil.rmtree(plates / "second.zarr")
    shutil.rmtree(plates / "third.zarr")
    again = hcs(*run)
    assert again.code == 0, again.err
    assert "1 plates, 1 ok" in again.out
