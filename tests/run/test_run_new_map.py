"""A plate map corrected after the run: readouts made again, images left alone, and the results say which map."""

from __future__ import annotations

import json
import shutil
from pathlib import Path

import pandas as pd
import pytest
from helpers.run import Finished, Hcs, Shown

from hcs.store.platemap import map_sha256, read_plate_map


@pytest.fixture
def results(finished: Finished, tmp_path: Path) -> Path:
    shutil.copytree(finished.out, tmp_path / "results")
    return tmp_path / "results"


def refused(shown: Shown, *words: str) -> None:
    """The command ended as on bad input, with a sentence that has these words."""
    assert shown.code == 2
    assert [word for word in words if word not in shown.err] == []


def corrected(finished: Finished, path: Path) -> pd.DataFrame:
    """The run's map with its compounds renamed, written to ``path``."""
    frame = read_plate_map(finished.files.plate_map).frame
    changed = frame.assign(compound=frame["compound"].where(frame["compound"] == "", frame["compound"] + " new"))
    changed.to_csv(path, index=False)
    return changed


def test_a_corrected_map_needs_the_readouts_only(hcs: Hcs, finished: Finished, results: Path, tmp_path: Path) -> None:
    frame = corrected(finished, tmp_path / "new.csv")
    before = json.loads((results / "run.json").read_text())
    parts = {path: path.read_bytes() for path in sorted((results / "nuclei").rglob("*.parquet"))}
    shown = hcs("readout", results, "--plate-map", tmp_path / "new.csv")
    assert shown.code == 0, shown.err
    assert shown.out.startswith("Plate map  new.csv (CSV, UTF-8, commas)")
    assert set(pd.read_parquet(results / "wells.parquet")["Metadata_Compound"]) == set(frame["compound"])
    assert {path: path.read_bytes() for path in parts} == parts
    after = json.loads((results / "run.json").read_text())
    assert after["identity"] == before["identity"]
    assert after["plate_map"]["source"] == str(tmp_path / "new.csv")
    assert after["plate_map"]["sha256"] == map_sha256(read_plate_map(tmp_path / "new.csv"))
    assert json.loads((results / "readout.json").read_text())["plate_map"] == after["plate_map"]
    (earlier,) = after["plate_map"]["before"]
    assert earlier["sha256"] == before["plate_map"]["sha256"]
    assert map_sha256(read_plate_map(results / earlier["kept"])) == earlier["sha256"]
    assert map_sha256(read_plate_map(results / "platemap.csv")) == after["plate_map"]["sha256"]
    assert hcs("status", results, "--verify").code == 0


def test_a_run_goes_on_with_the_map_that_its_results_have(
    hcs: Hcs, finished: Finished, results: Path, tmp_path: Path
) -> None:
    corrected(finished, tmp_path / "new.csv")
    old, new = finished.files.plate_map, tmp_path / "new.csv"
    run = ("run", finished.files.plate, "--out", results, "--plate-map")
    refused(hcs(*run, new), "another plate map", "hcs readout", "--plate-map FILE")
    assert hcs("readout", results, "--plate-map", new).code == 0
    refused(hcs(*run, old), "another plate map")
    assert hcs(*run, new).code == 0
    assert len(json.loads((results / "run.json").read_text())["plate_map"]["before"]) == 1


def test_a_map_of_another_plate_changes_nothing(hcs: Hcs, results: Path, tmp_path: Path) -> None:
    (tmp_path / "other.csv").write_text("well,role\nP24,negative\n")
    before = {path: path.read_bytes() for path in sorted(results.rglob("*")) if path.is_file()}
    refused(hcs("readout", results, "--plate-map", tmp_path / "other.csv"), "no well in common", "P24")
    refused(hcs("readout", results, "--plate-map", tmp_path / "none.csv"), "no such plate map")
    assert {path: path.read_bytes() for path in sorted(results.rglob("*")) if path.is_file()} == before
