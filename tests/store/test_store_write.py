"""Written plates: pixels, pyramids, what validators say, and what is left behind when writing fails."""

from __future__ import annotations

import errno
import os
import warnings
from pathlib import Path
from typing import Any

import numpy as np
import ome_zarr_models
import pytest
import yaozarrs
import zarr

from hcs.errors import FieldError, PlateError, ResultsError
from hcs.plate.keys import FieldKey, WellId
from hcs.store.plate.ome import ome_writer
from hcs.store.plate.reader import open_plate, read_field
from hcs.store.plate.writer import PlateSpec, create_plate, write_field

A01 = FieldKey(WellId(0, 0), 0)


def spec_of(**changes: Any) -> PlateSpec:
    return PlateSpec(**{"name": "p", "wells": (A01.well,), "fields_per_well": 1, "channels": ("a",)} | changes)


def test_both_validators_accept_the_plate(small_plate: Any) -> None:
    yaozarrs.validate_zarr_store(small_plate.path)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        model = ome_zarr_models.open_ome_zarr(zarr.open_group(small_plate.path, mode="r"))
    assert type(model).__name__ == "HCS"


def test_ngio_reads_pixels_names_colours_and_sizes(small_plate: Any) -> None:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        import ngio

        plate = ngio.open_ome_zarr_plate(small_plate.path)
        container = plate.get_image("B", "03", "1")
        image = container.get_image()
        assert sorted(plate.wells_paths()) == ["A/01", "B/03"]
        assert container.channel_labels == ["DNA", "GFP"]
        assert [c.channel_visualisation.color for c in image.channels_meta.channels] == ["0000FF", "00FF00"]
        assert (image.pixel_size.x, image.pixel_size.y) == (0.65, 0.65)
        np.testing.assert_array_equal(
            image.get_as_numpy(axes_order=["c", "y", "x"]), small_plate.image(FieldKey(WellId(1, 2), 1))
        )


def test_levels_are_means_of_2_by_2_down_to_256_px(tmp_path: Path, ngff: str) -> None:
    path, spec = str(tmp_path / "p.zarr"), spec_of(ngff=ngff)
    image = np.random.default_rng(0).integers(0, 65535, (1, 1025, 1203), dtype=np.uint16)
    create_plate(path, spec)
    write_field(path, spec, A01, image)
    levels = [zarr.open_array(f"{path}/A/01/0/{i}", mode="r") for i in range(3)]
    assert [level.shape for level in levels] == [(1, 1025, 1203), (1, 512, 601), (1, 256, 300)]
    assert levels[0].chunks == (1, 1025, 1080)
    expected = image[0, :1024, :1202].reshape(512, 2, 601, 2).mean(axis=(1, 3))
    np.testing.assert_array_equal(levels[1][0], np.rint(expected))
    assert not Path(f"{path}/A/01/0/3").exists()
    scales = [
        d["coordinateTransformations"][0]["scale"]
        for d in dict(zarr.open_group(f"{path}/A/01/0", mode="r").attrs).get(
            "ome", dict(zarr.open_group(f"{path}/A/01/0", mode="r").attrs)
        )["multiscales"][0]["datasets"]
    ]
    assert scales == [[1.0, 1.0, 1.0], [1.0, 2.0, 2.0], [1.0, 4.0, 4.0]]


@pytest.mark.parametrize("dtype", ["uint8", "uint16", "int16", "uint32", "float32", "float64"])
def test_every_pixel_type_comes_back(tmp_path: Path, ngff: str, dtype: str) -> None:
    path, spec = str(tmp_path / "p.zarr"), spec_of(ngff=ngff)
    image = (np.random.default_rng(0).random((1, 40, 30)) * 100).astype(dtype)
    create_plate(path, spec)
    write_field(path, spec, A01, image)
    read = read_field(open_plate(path), A01, channels=(0,))
    assert read.dtype == dtype
    np.testing.assert_array_equal(read, image)


def test_a_black_field_reads_as_black(tmp_path: Path, ngff: str) -> None:
    path, spec = str(tmp_path / "p.zarr"), spec_of(ngff=ngff)
    create_plate(path, spec)
    write_field(path, spec, A01, np.zeros((1, 40, 30), np.uint16))
    assert not read_field(open_plate(path), A01, channels=(0,)).any()


def test_writing_again_replaces_the_field(small_plate: Any) -> None:
    image = small_plate.image(A01) + np.uint16(1)
    write_field(small_plate.path, small_plate.spec, A01, image)
    np.testing.assert_array_equal(read_field(open_plate(small_plate.path), A01, channels=(0, 1)), image)


def test_an_existing_plate_is_never_overwritten(small_plate: Any) -> None:
    with pytest.raises(ResultsError, match="exists already"):
        create_plate(small_plate.path, small_plate.spec)


def test_what_does_not_fit_is_refused(tmp_path: Path) -> None:
    path = str(tmp_path / "p.zarr")
    create_plate(path, spec_of())
    for image in (np.zeros((2, 4, 4), np.uint8), np.zeros((4, 4), np.uint8), np.zeros((1, 4, 4), complex)):
        with pytest.raises(FieldError):
            write_field(path, spec_of(), A01, image)
    with pytest.raises(FieldError, match="has no well H12"):
        write_field(path, spec_of(), FieldKey(WellId(7, 11), 0), np.zeros((1, 4, 4), np.uint8))
    for wrong in ({"wells": ()}, {"channels": ()}, {"ngff": "0.3"}, {"pixel_size_um": 0.0}, {"wells": (A01.well,) * 2}):
        with pytest.raises(PlateError):
            spec_of(**wrong)


def test_a_full_disk_leaves_the_old_field_and_nothing_half_written(
    small_plate: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    def full(*args: object, **kwargs: object) -> None:
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    before = sorted(Path(small_plate.path).rglob("*"))
    monkeypatch.setattr(ome_writer(), "write_multiscales_metadata", full)
    with pytest.raises(ResultsError, match=r"cannot write .*No space left on device.*make room"):
        write_field(small_plate.path, small_plate.spec, A01, small_plate.image(A01))
    assert sorted(Path(small_plate.path).rglob("*")) == before
    np.testing.assert_array_equal(
        read_field(open_plate(small_plate.path), A01, channels=(0, 1)), small_plate.image(A01)
    )


def test_an_impossible_place_gets_a_sentence(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    with pytest.raises(ResultsError, match="cannot write"):
        create_plate(str(tmp_path / "file" / "p.zarr"), spec_of())
