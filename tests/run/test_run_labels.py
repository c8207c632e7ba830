"""Whose labels they are: a run writes over its own alone, and results know when theirs are gone."""

from __future__ import annotations

import hashlib
import shutil
from pathlib import Path

import cv2
import numpy as np
import pandas as pd
import pytest
import tifffile
import zarr
from helpers.run import Finished, Hcs

from hcs.commands.simulate import SimulationFiles, write_simulation
from hcs.config import Config, parse_config
from hcs.errors import ConfigError, PlateError, ResultsError
from hcs.field.whole import process_fields_here
from hcs.run.pictures import PicturesAhead, one_thread
from hcs.run.prepare import Prepared, prepare
from hcs.simulate.settings import SimulationSettings
from hcs.store.location import location
from hcs.store.ownfiles import MANIFEST
from hcs.store.plate.labels import read_labels
from hcs.store.results.folder import open_results

SMALLER = {"instances": {"min_area_px": 90}}


def contents(folder: Path) -> dict[str, str]:
    files = (path for path in folder.rglob("*") if path.is_file())
    return {str(path.relative_to(folder)): hashlib.sha256(path.read_bytes()).hexdigest() for path in files}


def prepared(plate: Path, out: Path, *, overwrite: bool = False, **settings: object) -> Prepared:
    config = Config.model_validate(settings)
    return prepare(plate, out, config, plate_map_path=None, wells=None, device="cpu", overwrite_labels=overwrite)


def process(run: Prepared, fields: int = 1) -> None:
    """The first fields of a run."""
    assert run.job.labels is not None
    run.record.write(run.out)
    run.job.labels.prepare(run.job.plate)
    entries = process_fields_here(run.job, run.keys[:fields])
    assert all(entry.status == "ok" for entry in entries), entries


def by_anna(plate: Path) -> Path:
    """Labels corrected by hand in the first field."""
    folder = plate / "A" / "01" / "0" / "labels" / "nuclei"
    group = zarr.open_group(folder, mode="w", zarr_format=3)
    group.create_array("0", data=np.ones((256, 256), np.uint32))
    group.attrs["hand_corrected_by"] = "Anna, 3 weeks of work"
    return folder


def test_labels_of_others_stop_a_run_before_anything_is_written(
    plate: SimulationFiles, tmp_path: Path, hcs: Hcs
) -> None:
    by_anna(plate.plate)
    before = contents(plate.plate)
    shown = hcs("run", plate.plate, "--out", tmp_path / "out", "--workers", 1)
    assert shown.code == 2
    (line,) = shown.err.strip().splitlines()
    for word in ("labels/nuclei of 1 field(s) (A01/0) were not written by hcs", "--labels out", "--overwrite-labels"):
        assert word in line
    assert contents(plate.plate) == before
    assert not (tmp_path / "out").exists()
    assert prepared(plate.plate, tmp_path / "out", labels="out").notes == ()
    assert prepared(plate.plate, tmp_path / "out", labels_name="hcs").notes == ()
    assert "not written by hcs" in prepared(plate.plate, tmp_path / "out", overwrite=True).notes[0]


def test_a_second_run_has_labels_of_its_own_or_asks(plate: SimulationFiles, tmp_path: Path) -> None:
    first = prepared(plate.plate, tmp_path / "first")
    process(first)
    results = open_results(tmp_path / "first")
    labels, crop = results.labels("A01"), results.crop(("A01", 0, 1))
    np.testing.assert_array_equal(labels, read_labels(str(plate.plate), first.keys[0]))
    assert prepared(plate.plate, tmp_path / "again").job.labels == first.job.labels  # which would write the same

    with pytest.raises(ResultsError, match=r"A01/0\) were written by a run of hcs with other settings"):
        prepared(plate.plate, tmp_path / "second", **SMALLER)
    process(prepared(plate.plate, tmp_path / "named", labels_name="second", **SMALLER))
    np.testing.assert_array_equal(results.labels("A01"), labels)
    other = open_results(tmp_path / "named").labels("A01")
    assert 0 < len(np.unique(other)) < len(np.unique(labels))

    process(prepared(plate.plate, tmp_path / "second", overwrite=True, **SMALLER))
    np.testing.assert_array_equal(open_results(tmp_path / "second").labels("A01"), other)
    for read in (lambda: results.labels("A01"), lambda: results.crop(("A01", 0, 1))):
        with pytest.raises(ResultsError, match=r"A01/0 .*written by a run of hcs with other settings"):
            read()
    assert crop.labels is not None
    assert results.image("A01").shape == labels.shape
    fields = pd.DataFrame({"Metadata_Well": ["A01"], "Metadata_Site": [0], "Status": ["ok"], "Flags": [""]})
    with one_thread() as aside:
        ahead = PicturesAhead(results, fields.assign(Count_Nuclei=1), aside)
    assert "A01/0: labels/nuclei" in ahead.notes[0]
    assert "without outlines" in ahead.notes[0]


def test_a_run_that_goes_on_goes_on_with_its_labels(plate: SimulationFiles, tmp_path: Path) -> None:
    process(prepared(plate.plate, tmp_path / "out"))
    again = prepared(plate.plate, tmp_path / "out")
    assert len(again.pending) == len(again.keys) - 1
    by_anna(plate.plate)  # of a field that is finished: nothing is written there
    assert prepared(plate.plate, tmp_path / "out").job.labels == again.job.labels
    with pytest.raises(ResultsError, match="were not written by hcs"):
        open_results(tmp_path / "out").labels("A01")


@pytest.mark.parametrize("ending", ["png", "tif"])
def test_label_images_of_others_stop_segment(tmp_path: Path, hcs: Hcs, ending: str) -> None:
    images, labels = tmp_path / "images", tmp_path / "labels"
    images.mkdir()
    image = np.random.default_rng(0).integers(90, 110, (64, 64)).astype(np.uint16)
    image[20:40, 20:40] += 900
    for name in "ab":
        cv2.imwrite(str(images / f"{name}.{ending}"), image)
    command = ("segment", images, labels, "--method", "otsu", "--diameter-px", 20)
    for _ in range(2):  # over its own
        assert hcs(*command).code == 0
    assert (labels / MANIFEST).exists()
    corrected = tifffile.imread(labels / "a.tif") if ending == "tif" else cv2.imread(str(labels / "a.png"), -1)
    corrected[:5, :5] = 9
    cv2.imwrite(str(labels / f"a.{ending}"), corrected)
    before = contents(labels)
    shown = hcs(*command)
    assert shown.code == 2
    assert f"a.{ending}" in shown.err
    assert "--overwrite-labels" in shown.err
    assert contents(labels) == before
    assert hcs(*command, "--overwrite-labels").code == 0
    assert contents(labels) != before


def test_evaluate_writes_and_deletes_its_own_files_only(tmp_path: Path, hcs: Hcs) -> None:
    for folder in ("truth", "ours"):
        (tmp_path / folder).mkdir()
        cv2.imwrite(str(tmp_path / folder / "a.png"), np.kron(np.eye(4, dtype=np.uint16), np.ones((9, 9), np.uint16)))
    out = tmp_path / "scores"
    out.mkdir()
    (out / "worst-9.png").write_text("a figure of mine")
    command = ("evaluate", tmp_path / "truth", tmp_path / "ours", "--out", out)
    assert "not empty and holds no evaluation" in hcs(*command).err
    (out / "worst-9.png").unlink()
    assert hcs(*command).code == 0
    (out / "worst-9.png").write_text("a figure of mine")
    assert hcs(*command).code == 0
    assert (out / "worst-9.png").read_text() == "a figure of mine"
    (out / "evaluation.html").write_text("with my remarks")
    shown = hcs(*command)
    assert (shown.code, "evaluation.html" in shown.err) == (2, True)
    assert (out / "evaluation.html").read_text() == "with my remarks"


def test_outputs_that_exist_are_not_replaced_unasked(finished: Finished, tmp_path: Path, hcs: Hcs) -> None:
    mine = tmp_path / "wells.csv"
    mine.write_text("mine")
    shown = hcs("export", finished.out, "--csv", mine)
    assert (shown.code, "--overwrite" in shown.err, mine.read_text()) == (2, True, "mine")
    assert hcs("export", finished.out, "--csv", mine, "--overwrite").code == 0
    assert mine.read_text() != "mine"
    mine.write_text("mine")
    shown = hcs("report", finished.out, finished.out, "--out", mine)
    assert (shown.code, mine.read_text()) == (2, "mine")


def test_files_beside_a_simulated_plate_are_not_replaced(tmp_path: Path) -> None:
    (tmp_path / "p.platemap.csv").write_text("mine")
    with pytest.raises(PlateError, match=r"p\.platemap\.csv exists already"):
        write_simulation(tmp_path / "p.zarr", SimulationSettings(wells=2, size_px=64))
    assert not (tmp_path / "p.zarr").exists()


def test_a_list_of_plates_of_somebody_is_not_replaced(plate: SimulationFiles, tmp_path: Path, hcs: Hcs) -> None:
    out = tmp_path / "out"
    out.mkdir()
    (out / "plates.csv").write_text("Plate,Operator\n")
    shown = hcs("run", plate.plate, plate.plate.parent / "other.zarr", "--out", out)
    assert (shown.code, "plates.csv" in shown.err) == (2, True)
    assert [path.name for path in out.iterdir()] == ["plates.csv"]


def test_figures_of_others_in_a_results_folder_stay(finished: Finished, tmp_path: Path, hcs: Hcs) -> None:
    out = tmp_path / "results"
    shutil.copytree(finished.out, out)
    (out / "figures").mkdir(exist_ok=True)
    (out / "figures" / "panel.png").write_text("mine")
    assert hcs("report", out, "--no-pictures").code == 0
    assert (out / "figures" / "panel.png").read_text() == "mine"
    assert len(list((out / "figures").glob("*.svg"))) > 0


def test_names_that_no_file_can_have_get_a_sentence(hcs: Hcs, tmp_path: Path) -> None:
    for command in (("run", "p" * 300, "--out", tmp_path / "out"), ("segment", "i" * 300, tmp_path / "out")):
        shown = hcs(*command)
        assert shown.code == 2
        assert shown.err.startswith("hcs: ")
        assert len(shown.err.strip().splitlines()) == 1


@pytest.mark.parametrize("settings", [{"model": "a\0b"}, {"illumination": "\ud800"}, {"channels": {"dna": "\0"}}])
def test_characters_that_no_name_has_get_a_sentence(settings: dict[str, object]) -> None:
    with pytest.raises(ConfigError, match=r"settings\.yaml: .* holds a character that no name has"):
        parse_config(settings, source="settings.yaml")
    for place in ("plates/\udcff.zarr", "a\0b"):
        with pytest.raises(ConfigError, match=r"is no text in UTF-8|NUL"):
            location(place)


def test_names_of_labels_are_names() -> None:
    for name in ("../nuclei", "a/b", "", ".hidden", "n" * 101):
        with pytest.raises(ConfigError, match="labels_name"):
            Config().override(labels_name=name)
