"""What a run finds out while its workers start is what it would find out after; and what its imports leave behind."""

from __future__ import annotations

import gc
from pathlib import Path
from typing import Any, cast

import numpy as np
import pandas as pd

from hcs.commands.simulate import SimulationFiles
from hcs.config import Config
from hcs.machine import uncollected
from hcs.report.pictures import _FieldRows, _taken
from hcs.run.prepare import Prepared, look_ahead, open_run, prepare
from hcs.store.location import location
from hcs.store.plate.nodes import chunk_files

NOBODY = cast(Any, None)


def test_a_run_that_looked_ahead_is_the_same(simulated: SimulationFiles, tmp_path: Path) -> None:
    def prepared(name: str) -> Prepared:
        config = Config(diameter_px=24.0, labels="out")  # a given size, for which no worker is asked
        out = location(str(tmp_path / name))
        return prepare(str(simulated.plate), out, config, plate_map_path=None, wells=None, device="cpu")

    before, after = prepared("before"), prepared("after")
    looked = look_ahead(before)
    ahead, late = open_run(before, NOBODY, lambda: looked), open_run(after, NOBODY)
    assert ahead.record.background is not None
    assert ahead.record.background["looked_at"] > 0
    assert (ahead.record.background, ahead.record.registration) == (late.record.background, late.record.registration)
    assert (ahead.job.backgrounds, ahead.notes) == (late.job.backgrounds, late.notes)
    assert look_ahead(ahead) == looked  # of a run that goes on, from its record


def test_garbage_is_collected_again_after_imports() -> None:
    with uncollected():
        assert not gc.isenabled()
        with uncollected():
            pass
        assert not gc.isenabled()
    assert gc.isenabled()


def test_files_of_an_array_are_those_that_rglob_finds(tmp_path: Path) -> None:
    array = tmp_path / "array"
    for name in ("c/0/0", "c/0/1", "c/1/0", "zarr.json", ".hidden", "c/.part"):
        (array / name).parent.mkdir(parents=True, exist_ok=True)
        (array / name).write_bytes(b"x")
    (array / "c" / "linked").symlink_to(array / "c" / "0" / "0")
    (array / "elsewhere").symlink_to(tmp_path / "array" / "c", target_is_directory=True)
    (array / "broken").symlink_to(tmp_path / "nowhere")
    assert sorted(chunk_files(array)) == ["c/0/0", "c/0/1", "c/1/0", "c/linked"]
    assert list(chunk_files(tmp_path / "nowhere")) == []


def test_nuclei_of_a_picture_are_found_in_the_table() -> None:
    wells = ["A01", "A01", "A01", "B02", "A01"]
    table = pd.DataFrame(
        {"Metadata_Well": wells, "Metadata_Site": [0, 1, 0, 0, 0], "Metadata_ObjectNumber": [7, 7, 2, 7, 9]}
    )
    rows = _FieldRows.of(table, {"A01": 0, "C03": 0})
    assert list(rows) == ["A01"]
    found = rows["A01"].rows_of((2, 5, 7, 9, 11))
    assert found.tolist() == [2, -1, 0, 4, -1]
    np.testing.assert_array_equal(_taken(np.arange(5.0), found, np.nan), [2, np.nan, 0, 4, np.nan])
