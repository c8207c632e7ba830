"""Labels in the plate and beside it: read back, validated, redone after a kill, and nothing else touched."""

from __future__ import annotations

import errno
import hashlib
import os
import warnings
from pathlib import Path
from typing import Any

import numpy as np
import ome_zarr_models
import pytest
import yaozarrs
import zarr

from hcs.errors import FieldError, ResultsError
from hcs.plate.keys import FieldKey, WellId
from hcs.store.plate import labels as labels_module
from hcs.store.plate.labels import LabelImage, prepare_label_plate, read_labels, write_labels
from hcs.store.plate.nodes import Ngff
from hcs.store.plate.ome import ome_format, ome_writer
from hcs.store.plate.pyramid import open_group, write_image_metadata
from hcs.store.plate.reader import open_plate

B03 = FieldKey(WellId(1, 2), 1)


def labels_of(shape: tuple[int, int] = (65, 80), seed: int = 0) -> np.ndarray:
    return np.random.default_rng(seed).integers(0, 70_000, shape, dtype=np.uint32)


def write(target: str, plate: Any, labels: np.ndarray, name: str = "nuclei", key: FieldKey = B03) -> None:
    write_labels(target, key, labels, ngff=plate.spec.ngff, pixel_size_um=0.65, name=name)


def contents(folder: str) -> dict[str, str]:
    files = (p for p in Path(folder).rglob("*") if p.is_file())
    return {str(p.relative_to(folder)): hashlib.sha256(p.read_bytes()).hexdigest() for p in files}


def listed(field: str) -> list[str]:
    attributes = dict(zarr.open_group(f"{field}/labels", mode="r").attrs)
    return list(attributes.get("ome", attributes)["labels"])


@pytest.fixture(params=["plate", "beside"])
def target(request: pytest.FixtureRequest, small_plate: Any, tmp_path: Path) -> str:
    """Where labels go: into the plate, or a store beside it."""
    path = small_plate.path if request.param == "plate" else str(tmp_path / "out" / "labels.zarr")
    prepare_label_plate(path, open_plate(small_plate.path))
    return path


def files(folder: Path) -> dict[str, bytes]:
    return {str(file.relative_to(folder)): file.read_bytes() for file in folder.rglob("*") if file.is_file()}


@pytest.mark.parametrize("ngff", ["0.4", "0.5"])
@pytest.mark.parametrize("pixel_size_um", [None, 0.65])
def test_metadata_are_the_bytes_that_ome_zarr_writes(ngff: Ngff, pixel_size_um: float | None, tmp_path: Path) -> None:
    (tmp_path / "image").mkdir()
    (tmp_path / "field" / "labels").mkdir(parents=True)
    image = LabelImage(ngff, pixel_size_um, "nuclei")
    image.describe(tmp_path / "image", 3)
    image.enlist(tmp_path / "field", 3)

    sizes = {"n_levels": 3, "pixel_size_um": pixel_size_um, "name": "nuclei"}
    source = {"source": {"image": "../../"}, "version": ngff}
    for folder, prefix in (("image", ""), ("field", "labels/nuclei/")):
        write_image_metadata(tmp_path / "ome" / folder, axes="yx", ngff=ngff, prefix=prefix, **sizes)
    group = open_group(tmp_path / "ome" / "image", ngff)
    ome_writer().add_metadata(group, {"image-label": source}, fmt=ome_format(ngff))
    version = {} if ngff == "0.4" else {"version": ngff}
    listing = open_group(tmp_path / "ome" / "field" / "labels", ngff)
    ome_writer().add_metadata(listing, {**version, "labels": ["nuclei"]}, fmt=ome_format(ngff))
    for name in ("image", "field"):
        assert files(tmp_path / name) == files(tmp_path / "ome" / name)


def test_labels_come_back_and_may_be_replaced(small_plate: Any, target: str) -> None:
    for seed in (0, 1):
        write(target, small_plate, labels_of(seed=seed))
        read = read_labels(target, B03)
        assert read.dtype == np.uint32
        np.testing.assert_array_equal(read, labels_of(seed=seed))
    assert listed(f"{target}/B/03/1") == ["nuclei"]


def test_no_nucleus_at_all_is_no_lost_data(small_plate: Any, target: str) -> None:
    write(target, small_plate, np.zeros((65, 80), np.uint32))
    assert not read_labels(target, B03).any()


def test_both_validators_and_ngio_accept_them(small_plate: Any, target: str) -> None:
    for key in small_plate.keys:
        write(target, small_plate, labels_of(), key=key)
    yaozarrs.validate_zarr_store(target)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        import ngio

        assert type(ome_zarr_models.open_ome_zarr(zarr.open_group(target, mode="r"))).__name__ == "HCS"
        for group in ("labels", "labels/nuclei"):
            ome_zarr_models.open_ome_zarr(zarr.open_group(f"{target}/B/03/1/{group}", mode="r"))
        container = ngio.open_ome_zarr_plate(target).get_image("B", "03", "1")
        assert container.list_labels() == ["nuclei"]
        label = container.get_label("nuclei")
        np.testing.assert_array_equal(label.get_as_numpy(axes_order=["y", "x"]), labels_of())
        assert label.pixel_size.x == 0.65


def test_the_pyramid_makes_up_no_label(small_plate: Any, target: str) -> None:
    labels = labels_of((1030, 520))
    write(target, small_plate, labels)
    level = zarr.open_array(f"{target}/B/03/1/labels/nuclei/1", mode="r")
    np.testing.assert_array_equal(level[...], labels[::2, ::2])


def test_nothing_else_in_the_plate_changes(small_plate: Any) -> None:
    write(small_plate.path, small_plate, labels_of(seed=5), name="truth")
    before = contents(small_plate.path)
    write(small_plate.path, small_plate, labels_of())
    after = contents(small_plate.path)
    changed = {name for name in before.keys() | after.keys() if before.get(name) != after.get(name)}
    group_metadata = {f"B/03/1/labels/{name}" for name in ("zarr.json", ".zattrs", ".zgroup")}
    assert all(name.startswith("B/03/1/labels/nuclei/") or name in group_metadata for name in changed)
    assert listed(f"{small_plate.path}/B/03/1") == ["truth", "nuclei"]
    np.testing.assert_array_equal(read_labels(small_plate.path, B03, "truth"), labels_of(seed=5))


class Killed(BaseException):
    """Stands for a kill: no handler for errors sees it."""


@pytest.mark.parametrize("step", ["write_levels", "group_documents", "_enlist"])
@pytest.mark.parametrize("existing", [False, True])
def test_a_kill_at_any_step_then_a_rerun_ends_right(
    small_plate: Any, target: str, monkeypatch: pytest.MonkeyPatch, step: str, existing: bool
) -> None:
    if existing:
        write(target, small_plate, labels_of(seed=1))
    with monkeypatch.context() as patch:

        def kill(*args: object, **kwargs: object) -> None:
            raise Killed

        patch.setattr(labels_module, step, kill)
        patch.setattr("shutil.rmtree", lambda *a, **k: None)  # a killed process cleans nothing up
        with pytest.raises(Killed):
            write(target, small_plate, labels_of(seed=2))
    write(target, small_plate, labels_of(seed=3))
    np.testing.assert_array_equal(read_labels(target, B03), labels_of(seed=3))
    assert listed(f"{target}/B/03/1") == ["nuclei"]
    assert [p.name for p in Path(f"{target}/B/03/1/labels").iterdir() if p.is_dir()] == ["nuclei"]


def test_a_kill_between_the_two_renames_ends_right(
    small_plate: Any, target: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    write(target, small_plate, labels_of(seed=1))
    with monkeypatch.context() as patch:
        rename = Path.rename

        def kill(source: Path, to: Path) -> None:
            if source.name == ".nuclei.part":
                raise Killed
            rename(source, to)

        patch.setattr(Path, "rename", kill)
        patch.setattr("shutil.rmtree", lambda *a, **k: None)
        with pytest.raises(Killed):
            write(target, small_plate, labels_of(seed=2))
    with pytest.raises(FieldError, match="segment it first"):
        read_labels(target, B03)
    write(target, small_plate, labels_of(seed=3))
    np.testing.assert_array_equal(read_labels(target, B03), labels_of(seed=3))
    assert [p.name for p in Path(f"{target}/B/03/1/labels").iterdir() if p.is_dir()] == ["nuclei"]


@pytest.mark.parametrize("number", [errno.EACCES, errno.EROFS, errno.ENOSPC])
def test_a_plate_that_cannot_be_written_says_the_way_out(
    small_plate: Any, monkeypatch: pytest.MonkeyPatch, number: int
) -> None:
    def fail(*args: object, **kwargs: object) -> int:
        raise OSError(number, os.strerror(number))

    before = contents(small_plate.path)
    monkeypatch.setattr(labels_module, "write_levels", fail)
    with pytest.raises(ResultsError, match=rf"{os.strerror(number)}.*--labels out"):
        write(small_plate.path, small_plate, labels_of())
    assert contents(small_plate.path) == before


def test_a_read_only_plate_is_noticed_before_the_run(small_plate: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(os, "access", lambda *_: False)
    with pytest.raises(ResultsError, match=r"it is read-only.*--labels out"):
        prepare_label_plate(small_plate.path, open_plate(small_plate.path))


def test_a_store_beside_is_made_once_and_kept(small_plate: Any, tmp_path: Path) -> None:
    store, plate = str(tmp_path / "labels.zarr"), open_plate(small_plate.path)
    prepare_label_plate(store, plate)
    write(store, small_plate, labels_of())
    prepare_label_plate(store, plate)
    np.testing.assert_array_equal(read_labels(store, B03), labels_of())
    one_field_less = open_plate(small_plate.path).__class__(
        plate.path, plate.name, plate.ngff, plate.wells, plate.fields[:-1], plate.absent_wells
    )
    with pytest.raises(ResultsError, match="holds labels of other fields"):
        prepare_label_plate(store, one_field_less)


def test_missing_labels_and_wrong_arrays_get_a_sentence(small_plate: Any) -> None:
    with pytest.raises(FieldError, match=r"B03/1: it has no labels 'nuclei'"):
        read_labels(small_plate.path, B03)
    for wrong in (np.zeros((2, 4, 4), np.uint32), np.zeros((4, 4), np.float32)):
        with pytest.raises(FieldError, match=r"are not .* integers"):
            write(small_plate.path, small_plate, wrong)
    with pytest.raises(FieldError, match="lists no such field"):
        write(small_plate.path, small_plate, labels_of(), key=FieldKey(WellId(7, 0), 0))
