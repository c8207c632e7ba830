"""Nuclei edited in a viewer are found and measured again, and nothing else is."""

from __future__ import annotations

import hashlib
import shutil
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
import zarr
from helpers.run import Finished, Hcs

from hcs.commands.remeasure import remeasure
from hcs.config import Config
from hcs.engine.cluster import Workers
from hcs.errors import ResultsError
from hcs.plate.keys import FieldKey
from hcs.run import remeasure as room
from hcs.run.prepare import prepare
from hcs.store.results import ledger
from hcs.store.results.folder import Results, open_results

EDITED = ("A01/0", "B02/0")
PLACE = ("Nuclei_AreaShape_Area", "Nuclei_AreaShape_Center_X", "Nuclei_AreaShape_Center_Y")


@pytest.fixture
def done(finished: Finished, tmp_path: Path) -> Finished:
    """A copy of the finished run, and of its plate, to edit."""
    shutil.copytree(finished.files.plate, tmp_path / "tiny.zarr")
    shutil.copytree(finished.out, tmp_path / "results")
    files = replace(finished.files, plate=tmp_path / "tiny.zarr")
    return Finished(files, tmp_path / "results", finished.shown)


def opened(done: Finished) -> Results:
    return open_results(done.out, plate=done.files.plate)


def array_of(done: Finished, field: str) -> zarr.Array[Any]:
    key = FieldKey.parse(field)
    return zarr.open_array(
        done.files.plate / key.well.row_name / key.well.column_name / "0" / "labels" / "nuclei" / "0", mode="r+"
    )


def edit(done: Finished, field: str) -> tuple[int, int]:
    """As a user does in a viewer: remove a nucleus, shrink one, paint one; the numbers removed and shrunk."""
    array = array_of(done, field)
    labels = np.asarray(array[...])
    values = np.unique(labels[labels > 0])
    gone, smaller = int(values[1]), int(values[2])
    labels[labels == gone] = 0
    rows, columns = np.nonzero(labels == smaller)
    labels[rows[:4], columns[:4]] = 0
    labels[2:12, 2:12] = 700
    array[...] = labels
    return gone, smaller


def contents(folder: Path) -> dict[str, str]:
    files = (path for path in folder.rglob("*") if path.is_file())
    return {path.relative_to(folder).as_posix(): hashlib.sha256(path.read_bytes()).hexdigest() for path in files}


def changed(before: dict[str, str], after: dict[str, str]) -> set[str]:
    return {name for name in before.keys() | after.keys() if before.get(name) != after.get(name)}


def test_edited_fields_alone_are_measured_again(done: Finished, hcs: Hcs) -> None:
    nuclei, old = opened(done).nuclei(), contents(done.out)
    edits = {field: edit(done, field) for field in EDITED}
    plate = contents(done.files.plate)
    with pytest.raises(ResultsError, match=r"changed since hcs wrote them.*hcs remeasure"):
        opened(done).labels("A01")

    shown = hcs("remeasure", done.out, "--plate", done.files.plate)
    assert shown.code == 0, shown.err
    assert "A01/0" in shown.out
    assert "added" in shown.out

    parts = {name for name in changed(old, contents(done.out)) if name.startswith(("nuclei/", "ledger/"))}
    wells = {field[:3] for field in EDITED}
    assert parts == {f"nuclei/plate=tiny/well={well}/field-0000.parquet" for well in wells} | {
        f"ledger/{well}_0000.json" for well in wells
    }
    touched = changed(plate, contents(done.files.plate))
    assert touched
    assert all("/tables/" in name or name.endswith("labels/nuclei/zarr.json") for name in touched)

    results = opened(done)
    now = results.nuclei()
    for field, (gone, smaller) in edits.items():
        well = field[:3]
        before = nuclei[nuclei["Metadata_Well"] == well].set_index("Metadata_ObjectNumber")
        after = now[now["Metadata_Well"] == well].set_index("Metadata_ObjectNumber")
        assert set(after.index) == set(np.unique(results.labels(well))) - {0}
        assert set(after.index) ^ set(before.index) >= {gone, 700}
        assert after.loc[smaller, "Nuclei_AreaShape_Area"] == before.loc[smaller, "Nuclei_AreaShape_Area"] - 4
        same = after.index[[i in before.index and i != smaller for i in after.index]]
        same = same[(after.loc[same, list(PLACE)] == before.loc[same, list(PLACE)]).all(axis=1)]
        assert len(same) >= len(before) - 3
        pd.testing.assert_series_equal(after.loc[same, "Nuclei_Confidence"], before.loc[same, "Nuclei_Confidence"])
        assert np.isnan(after.loc[700, "Nuclei_Confidence"])
    untouched = ~now["Metadata_Well"].isin(wells)
    pd.testing.assert_frame_equal(
        now[untouched].reset_index(drop=True),
        nuclei[~nuclei["Metadata_Well"].isin(wells)].reset_index(drop=True),
        check_like=True,
    )
    fields = results.fields().set_index("Metadata_Well")
    assert set(fields.index[fields["Labels_Edited"]]) == wells
    assert fields.loc["A01", "Reason"].startswith("nuclei edited by hand: 1 added, ")


def test_a_second_time_there_is_nothing_to_do(done: Finished, hcs: Hcs) -> None:
    edit(done, "A01/0")
    assert hcs("remeasure", done.out, "--plate", done.files.plate).code == 0
    old = contents(done.out), contents(done.files.plate)
    shown = hcs("remeasure", done.out, "--plate", done.files.plate)
    assert "No labels/nuclei were edited" in shown.out
    assert (contents(done.out), contents(done.files.plate)) == old
    again = prepare(
        done.files.plate,
        done.out,
        Config(),
        plate_map_path=done.files.plate_map,
        wells=None,
        device="cpu",
        overwrite_labels=False,
    )
    assert again.pending == ()  # a run that goes on finds all done, and leaves the edited labels alone


def test_a_field_whose_nuclei_were_all_erased_has_none(done: Finished) -> None:
    """Zarr takes chunks of zeros away, as most programs let it."""
    array = array_of(done, "A01/0")
    array[...] = 0
    assert not list((done.files.plate / "A" / "01" / "0" / "labels" / "nuclei" / "0").rglob("c/*/*"))
    said: list[str] = []
    remeasure(opened(done), workers=Workers(), say=said.append)
    assert "A01/0  0 nuclei" in said[0]
    results = opened(done)
    assert len(results.nuclei(wells=["A01"])) == 0
    assert not results.labels("A01").any()


def test_an_interrupted_measuring_is_done_again(done: Finished, monkeypatch: pytest.MonkeyPatch) -> None:
    edit(done, "A01/0")

    class Killed(BaseException):
        pass

    def kill(*_: object) -> None:
        raise Killed

    with monkeypatch.context() as patch:  # the part is written, the entry is not
        patch.setattr("hcs.field.whole.write_entry", kill)
        with pytest.raises(Killed):
            remeasure(opened(done), workers=Workers(), say=lambda _: None)
    readouts, failed = remeasure(opened(done), workers=Workers(), say=lambda _: None)
    assert readouts is not None
    assert failed == ()
    assert set(opened(done).nuclei(wells=["A01"])["Metadata_ObjectNumber"]) == set(
        np.unique(opened(done).labels("A01"))
    ) - {0}


def test_what_cannot_be_measured_stays_as_it_was(done: Finished, hcs: Hcs) -> None:
    edit(done, "A01/0")
    image = zarr.open_array(done.files.plate / "A" / "01" / "0" / "0", mode="r+")
    image[0, :4, :4] = 0
    before = opened(done).nuclei()
    shown = hcs("remeasure", done.out, "--plate", done.files.plate)
    assert shown.code == 1
    assert "A01/0  not measured: its pixels are no longer those" in shown.err
    pd.testing.assert_frame_equal(opened(done).nuclei(), before)
    assert len(room.find_edited(opened(done)).keys) == 1


def test_labels_of_another_run_are_no_edit(done: Finished) -> None:
    folder = done.files.plate / "A" / "01" / "0" / "labels" / "nuclei" / "zarr.json"
    folder.write_text(folder.read_text().replace('"run": "', '"run": "0'))
    shutil.rmtree(done.files.plate / "B" / "02" / "0" / "labels" / "nuclei")
    assert room.find_edited(opened(done)).keys == ()


def test_without_labels_there_is_nothing_to_edit(done: Finished) -> None:
    results = opened(done)
    none = replace(results, record=replace(results.record, labels=None))
    with pytest.raises(ResultsError, match="no labels of it that could be edited"):
        room.find_edited(none)


def test_the_ledger_knows_edited_labels_by_their_files() -> None:
    entry = ledger.LedgerEntry(field="A01/0", status="ok", others={"edited": (3, "0a1b2c3d")})
    assert entry.edited_crc32 == "0a1b2c3d"
    assert ledger.LedgerEntry(field="A01/0", status="ok").edited_crc32 == ""
