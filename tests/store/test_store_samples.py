"""Plates and images that other software wrote."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from hcs.errors import FieldError, PlateError
from hcs.plate.keys import FieldKey, WellId
from hcs.store.plate.field import open_image, read_pixels
from hcs.store.plate.reader import open_plate, read_field, read_info


@pytest.fixture(scope="module")
def samples(shared_data: Path) -> Path:
    return shared_data / "ome-zarr-samples"


@pytest.mark.parametrize(("name", "z_size"), [("plate_ones", 3), ("plate_ones_mip", 1)])
def test_plates_without_version_or_well_metadata_read(samples: Path, name: str, z_size: int) -> None:
    plate = open_plate(str(samples / "ez_zarr_example_data" / f"{name}.zarr"))
    key = FieldKey(WellId(1, 2), 0)
    assert (plate.name, plate.ngff, [entry.key for entry in plate.fields]) == (name, "0.4", [key])
    info = read_info(plate, key)
    assert info.z_size == z_size
    assert info.channels == ("some-label-1", "some-label-2")
    assert info.pixel_size_um == pytest.approx(0.1625)
    pixels = read_field(plate, key, channels=(0, 1), z="max")
    assert pixels.shape == info.shape
    assert (pixels == 1).all()


@pytest.mark.parametrize(
    ("name", "wells", "fields", "absent"),
    [
        ("v04/2551.zarr", 3, 9, 93),
        ("v05/190129.zarr", 0, 0, 49),
        ("v05/76-45.ome.zarr", 4, 4, 380),
        ("v05/Target-TS.ome.zarr", 0, 0, 25),
        ("broken/broken_v05.ome.zarr", 9, 18, 0),
    ],
)
def test_plates_that_lost_their_arrays_fail_field_by_field(
    samples: Path, name: str, wells: int, fields: int, absent: int
) -> None:
    plate = open_plate(str(samples / "yaozarrs_metadata_only" / name))
    assert (len(plate.wells), len(plate.fields), len(plate.absent_wells)) == (wells, fields, absent)
    for entry in plate.fields:
        with pytest.raises(FieldError, match=rf"^field {entry.key}: .*(missing|broken|no data).*write it"):
            read_field(plate, entry.key, channels=(0,), z="max")


def test_single_images_are_no_plates(samples: Path) -> None:
    images = [
        path.parent
        for name in (".zattrs", "zarr.json")
        for path in samples.glob(f"*/*.zarr/{name}")
        if not path.parent.name.startswith("plate_ones")
    ]
    assert len(images) == 3
    for image in images:
        with pytest.raises(PlateError, match="it is a single image"):
            open_plate(str(image))


def test_the_level_without_chunks_is_noticed(samples: Path) -> None:
    (image,) = (samples / "fractal-ome-zarr-examples_v04").glob("*.zarr")
    info, array = open_image(image, "", "B03/0")
    assert (info.shape, info.axes) == ((3, 2160, 2560), "czyx")
    with pytest.raises(FieldError, match="array 0 holds no data: every chunk is missing"):
        read_pixels(array, info, image, "B03/0", channels=(0,))


def test_a_zarr_v3_image_of_the_idr_reads(samples: Path) -> None:
    image = samples / "ez_zarr_example_data_zarr3" / "6001240_labels_v0.5.zarr"
    info, array = open_image(image, "", "X")
    assert info.channels == ("LaminB1", "Dapi")
    assert info.pixel_size_um == pytest.approx(1.4416, rel=1e-4)
    pixels = read_pixels(array, info, image, "X", channels=(1,), z="max")
    np.testing.assert_array_equal(pixels[0], np.asarray(array)[1].max(axis=0))
