"""Plates that ome-zarr-py and ngio write read here with equal pixels."""

from __future__ import annotations

import warnings
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import zarr

from hcs.plate.keys import FieldKey, WellId
from hcs.store.plate.labels import read_labels, write_labels
from hcs.store.plate.ome import ome_format
from hcs.store.plate.reader import open_plate, read_field, read_info

IMAGE = np.random.default_rng(0).integers(1, 4000, (2, 300, 280), dtype=np.uint16)
KEY = FieldKey(WellId(2, 11), 0)


def by_ome_zarr(path: Path, ngff: str, shards: tuple[int, ...] | None) -> None:
    """A plate as ome-zarr-py's documentation writes it."""
    from ome_zarr import writer

    root = zarr.open_group(path, mode="w", zarr_format=2 if ngff == "0.4" else 3)
    fmt = ome_format(ngff)
    writer.write_plate_metadata(root, ["C", "A"], ["12", "1"], ["C/12"], fmt=fmt)
    well = root.create_group("C").create_group("12")
    writer.write_well_metadata(well, ["0"], fmt=fmt)
    options: dict[str, Any] = {"chunks": (1, 70, 70)} | ({"shards": shards} if shards else {})
    writer.write_image(
        IMAGE,
        well.create_group("0"),
        axes="cyx",
        fmt=fmt,
        storage_options=options,
        scale_factors=[2],
        scale={"c": 1.0, "y": 0.5, "x": 0.5},
        axes_units={"y": "micrometer", "x": "micrometer"},
    )


def by_ngio(path: Path, ngff: str, shards: tuple[int, ...] | None) -> None:
    """A plate as ngio's documentation writes it."""
    import ngio

    where = ngio.ImageInWellPath(row="C", column="12", path="0")
    plate = ngio.create_empty_plate(path, name="by ngio", images=[where], ngff_version=ngff)
    ngio.create_ome_zarr_from_array(
        plate.get_image_store("C", "12", "0"),
        IMAGE,
        pixelsize=0.5,
        levels=2,
        axes_names="cyx",
        channels_meta=["DNA", "GFP"],
        ngff_version=ngff,
        chunks=(1, 70, 70),
        shards=shards,
        overwrite=True,
    )


@pytest.mark.parametrize(
    ("ngff", "shards"), [("0.4", None), ("0.5", None), ("0.5", (1, 280, 280)), ("0.5", (2, 140, 280))]
)
@pytest.mark.parametrize("write", [by_ome_zarr, by_ngio])
def test_plates_of_other_writers_read_equal(
    tmp_path: Path, write: Any, ngff: str, shards: tuple[int, ...] | None
) -> None:
    path = tmp_path / "other.zarr"
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        write(path, ngff, shards)
    plate = open_plate(str(path))
    assert plate.ngff == ngff
    assert [entry.key for entry in plate.fields] == [KEY]
    info = read_info(plate, KEY)
    assert (info.shape, info.shards) == (IMAGE.shape, shards)
    assert info.channels == (("DNA", "GFP") if write is by_ngio else ("0", "1"))
    assert info.pixel_size_um == pytest.approx(0.5)
    np.testing.assert_array_equal(read_field(plate, KEY, channels=(0, 1)), IMAGE)
    labels = (IMAGE[0] % 50).astype(np.uint32)
    write_labels(str(path), KEY, labels, ngff=plate.ngff, pixel_size_um=info.pixel_size_um)
    np.testing.assert_array_equal(read_labels(str(path), KEY), labels)
    np.testing.assert_array_equal(read_field(plate, KEY, channels=(1,)), IMAGE[1:])
