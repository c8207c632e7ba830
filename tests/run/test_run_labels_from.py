"""Nuclei that another tool made are measured as they are: labels in the plate, or label images in a folder."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pandas as pd
import pytest
import tifffile
import zarr
from helpers.run import call_hcs

from hcs.commands.simulate import SimulationFiles
from hcs.config import Config
from hcs.errors import ConfigError
from hcs.field.whole import process_fields_here
from hcs.plate.keys import FieldKey, WellId
from hcs.run.prepare import Prepared, prepare
from hcs.store.plate.given_labels import match_label_images
from hcs.store.plate.labels import read_labels
from hcs.store.plate.reader import open_plate
from hcs.store.results.ledger import LedgerEntry

KEY = FieldKey(WellId(0, 0), 0)


def prepared(plate: Path, out: Path, source: object, **settings: object) -> Prepared:
    config = Config.model_validate({"labels_from": str(source), "labels": "out", **settings})
    return prepare(plate, out, config, plate_map_path=None, wells=None, device="cpu")


def processed(run: Prepared) -> tuple[LedgerEntry, pd.DataFrame]:
    """The first field of a run, measured in this process: its entry and nuclei."""
    run.record.write(run.out)
    assert run.job.labels is not None
    run.job.labels.prepare(run.job.plate)
    (entry,) = process_fields_here(run.job, run.keys[:1])
    assert isinstance(entry, LedgerEntry)
    parts = [*(Path(run.job.out) / "nuclei").rglob("*.parquet")]
    return entry, pd.concat([pd.read_parquet(part) for part in parts]) if parts else pd.DataFrame()


def truth_of(plate: Path) -> np.ndarray:
    return read_labels(str(plate), KEY, "truth")


def test_labels_of_the_plate_are_measured(plate: SimulationFiles, tmp_path: Path) -> None:
    truth = truth_of(plate.plate)
    run = prepared(plate.plate, tmp_path / "out", "truth")
    assert "Nuclei are those of labels/truth in the plate; no network looks for any." in run.notes
    assert "  model            none: labels are given" in run.lines()
    entry, nuclei = processed(run)
    values, areas = np.unique(truth[truth > 0], return_counts=True)
    assert (entry.status, entry.nuclei) == ("ok", len(values))
    np.testing.assert_array_equal(nuclei["Nuclei_AreaShape_Area"], areas)
    np.testing.assert_array_equal(nuclei["Metadata_ObjectNumber"], np.arange(1, len(values) + 1))
    assert nuclei["Nuclei_Confidence"].isna().all()
    assert (read_labels(str(tmp_path / "out" / "labels.zarr"), KEY) > 0).sum() == (truth > 0).sum()


def test_label_images_are_numbered_anew_without_gaps(plate: SimulationFiles, tmp_path: Path) -> None:
    truth = truth_of(plate.plate).astype(np.int64)
    (tmp_path / "masks").mkdir()
    for field in open_plate(str(plate.plate)).fields:
        tifffile.imwrite(tmp_path / "masks" / f"{field.key.well}_0_cp_masks.tif", (truth * 3).astype(np.uint16))
    entry, nuclei = processed(prepared(plate.plate, tmp_path / "out", tmp_path / "masks"))
    count = len(np.unique(truth)) - 1
    assert (entry.nuclei, [*nuclei["Metadata_ObjectNumber"]]) == (count, [*range(1, count + 1)])
    assert f"labels given up to {truth.max() * 3} were numbered anew, 1 to {count}" in entry.reason


def put_labels(plate: Path, data: np.ndarray, name: str = "mine") -> None:
    """Labels of another tool in the first field."""
    folder = plate / "A" / "01" / "0" / "labels" / name
    group = zarr.open_group(folder, mode="w", zarr_format=3)
    array = group.create_array("0", shape=data.shape, dtype=data.dtype, chunks=(128, 128))
    array[:] = data
    scale = [{"type": "scale", "scale": [1.0, 1.0]}]
    axes = [{"name": axis, "type": "space"} for axis in "yx"]
    multiscale = {"axes": axes, "datasets": [{"path": "0", "coordinateTransformations": scale}]}
    group.attrs["ome"] = {"version": "0.5", "multiscales": [multiscale]}


@pytest.mark.parametrize(
    ("data", "status", "reason"),
    [
        (np.zeros((256, 256), np.int32), "empty", "no chunk at all, which was taken for no nucleus"),
        (np.ones((128, 128), np.int32), "failed", "have 128 × 128 px, the field 256 × 256"),
        (np.full((256, 256), -1, np.int32), "failed", "negative values"),
        (np.ones((256, 256), np.float32), "failed", "are of type float32; labels are whole numbers"),
    ],
)
def test_labels_that_are_odd(
    plate: SimulationFiles, tmp_path: Path, data: np.ndarray, status: str, reason: str
) -> None:
    put_labels(plate.plate, data)
    run = prepared(plate.plate, tmp_path / "out", "mine")
    assert "5 fields have none and will fail (A02/0, " in run.notes[-1]
    entry, _ = processed(run)
    assert entry.status == status
    assert reason in entry.reason


def test_labels_edited_between_two_runs_are_noticed(plate: SimulationFiles, tmp_path: Path) -> None:
    processed(prepared(plate.plate, tmp_path / "out", "truth"))
    prepared(plate.plate, tmp_path / "out", "truth")
    put_labels(plate.plate, np.ones((256, 256), np.int32), "truth")
    with pytest.raises(ConfigError, match="labels_from_sha256"):
        prepared(plate.plate, tmp_path / "out", "truth")


def test_sources_that_cannot_be_taken(plate: SimulationFiles, tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match=r"--labels-from nobody: no field has labels of this name"):
        prepared(plate.plate, tmp_path / "out", "nobody")
    with pytest.raises(ConfigError, match=r"under the same name; say --labels-name"):
        prepared(plate.plate, tmp_path / "out", "truth", labels="plate", labels_name="truth")
    (tmp_path / "masks").mkdir()
    with pytest.raises(ConfigError, match=r"none of its 0 images is called after a well"):
        prepared(plate.plate, tmp_path / "out", tmp_path / "masks")


def keys(*names: str) -> tuple[FieldKey, ...]:
    return tuple(FieldKey.parse(name) for name in names)


@pytest.mark.parametrize(
    ("names", "of", "note"),
    [
        (["B03_0.tif", "B03_1.tif"], {"B03/0": "B03_0.tif", "B03/1": "B03_1.tif"}, 0),
        (["B/03/0.png", "B/03/1.png"], {"B03/0": "B/03/0.png", "B03/1": "B/03/1.png"}, 0),
        (["p_B03_s1_mask.tif", "p_B03_s2_mask.tif"], {"B03/0": "p_B03_s1_mask.tif", "B03/1": "p_B03_s2_mask.tif"}, 1),
        (["plate-b3-field0.tiff"], {"B03/0": "plate-b3-field0.tiff"}, 0),
    ],
)
def test_names_of_label_images(tmp_path: Path, names: list[str], of: dict[str, str], note: int) -> None:
    for name in names:
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / name).write_bytes(b"")
    found, notes = match_label_images(tmp_path, keys("B03/0", "B03/1"))
    assert {str(key): Path(file).relative_to(tmp_path).as_posix() for key, file in found.items()} == of
    assert len(notes) == note


@pytest.mark.parametrize(
    ("names", "sentence"),
    [
        (["B03_1.tif"], "counts from 0 or from 1 cannot be told"),
        (["B03_0.tif", "B03_7.tif"], "label images are of fields 0 to 7, the plate has fields 0 to 2"),
        (["B03.tif"], "names no field, and well B03 has several"),
        (["B03_0.tif", "B03_00.png"], "are both of field B03/0"),
        (["x.tif"], "none of its 1 images, such as x.tif, is called after a well"),
    ],
)
def test_label_images_that_could_be_of_another_field_are_refused(
    tmp_path: Path, names: list[str], sentence: str
) -> None:
    for name in names:
        (tmp_path / name).write_bytes(b"")
    with pytest.raises(ConfigError, match=sentence):
        match_label_images(tmp_path, keys("B03/0", "B03/1", "B03/2"))


def test_a_run_of_the_command_line(plate: SimulationFiles, tmp_path: Path) -> None:
    shown = call_hcs(
        *("run", plate.plate, "--out", tmp_path / "out", "--labels-from", "truth", "--labels", "out", "--workers", 1)
    )
    assert shown.code == 0, shown.err
    assert "none: labels are given" in shown.out
    wells = pd.read_parquet(tmp_path / "out" / "wells.parquet")
    assert wells["Count_Nuclei"].sum() > 0
    assert "labels from truth" in (tmp_path / "out" / "report.html").read_text(encoding="utf-8")
