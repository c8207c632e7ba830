"""Labels written cell by cell are those written at once; large images are read piece by piece."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any, Literal

import numpy as np
import pytest
import zarr
from numpy.typing import NDArray

from hcs.plate.keys import FieldKey, WellId
from hcs.store.plate.block_labels import BlockLabels
from hcs.store.plate.labels import read_labels, write_labels
from hcs.store.plate.lazy import LazyPlane, open_channels, open_labels
from hcs.store.plate.mark import Mark
from hcs.store.plate.reader import locate, open_plate
from hcs.store.plate.target import LabelTarget
from hcs.store.plate.writer import PlateSpec, create_plate, write_field
from hcs.tiles.blocks import CELL_PX, Box, Cut

KEY = FieldKey(WellId.parse("B02"), 0)
SHAPE = (2 * CELL_PX + 301, 1101)
CUT = Cut(block_px=512, unit_px=16, context_px=8, nucleus_px=32, around_px=8)


def make_plate(path: Path, ngff: Literal["0.4", "0.5"], image: NDArray[Any] | None = None) -> str:
    spec = PlateSpec(name="p", wells=(KEY.well,), fields_per_well=1, channels=("DNA",), ngff=ngff, pixel_size_um=0.5)
    create_plate(str(path), spec)
    if image is not None:
        write_field(str(path), spec, KEY, image)
    return str(path)


def draw(shape: tuple[int, int]) -> NDArray[np.uint32]:
    labels = np.random.default_rng(3).integers(0, 9, (shape[0] // 8 + 1, shape[1] // 8 + 1), dtype=np.uint32)
    return np.kron(labels, np.ones((8, 8), np.uint32))[: shape[0], : shape[1]]


def block_labels(plate: str, ngff: Literal["0.4", "0.5"]) -> BlockLabels:
    target = LabelTarget(path=plate, in_plate=True, name="nuclei", run="a")
    return BlockLabels(target=target, entry=locate(plate, KEY), shape=SHAPE, ngff=ngff, pixel_size_um=0.5)


def metadata(target: str) -> dict[str, object]:
    folder = Path(target) / "B" / "02" / "0"
    names = ("zarr.json", ".zattrs", "labels/zarr.json", "labels/.zattrs", "labels/nuclei/zarr.json")
    names = (*names, "labels/nuclei/.zattrs")
    documents = {name: json.loads((folder / name).read_text()) for name in names if (folder / name).exists()}
    for document in documents.values():  # chunks of blocks are of another size
        document.get("attributes", document).get("hcs", {}).pop("files_crc32", None)
    return documents


@pytest.mark.parametrize("ngff", ["0.4", "0.5"])
def test_cells_make_the_image_that_is_written_at_once(tmp_path: Path, ngff: Literal["0.4", "0.5"]) -> None:
    labels = draw(SHAPE)
    whole, cells = (make_plate(tmp_path / name, ngff) for name in ("whole.zarr", "cells.zarr"))
    write_labels(whole, KEY, labels, ngff=ngff, pixel_size_um=0.5, mark=Mark(run="a", pixels_crc32="1"))
    growing = block_labels(cells, ngff)
    growing.create()
    for cell in reversed(CUT.cells(SHAPE)):
        growing.write(labels[cell.core.slices], cell.core)
    growing.publish("1")
    assert metadata(cells) == metadata(whole)
    for level in range(3):
        arrays = [zarr.open_array(f"{path}/B/02/0/labels/nuclei/{level}", mode="r") for path in (whole, cells)]
        assert arrays[0].shape == arrays[1].shape
        np.testing.assert_array_equal(arrays[0][...], arrays[1][...])
    assert [path.name for path in Path(cells, "B", "02", "0", "labels").glob(".*.*")] == []


def test_earlier_labels_stay_until_all_cells_are_there(tmp_path: Path) -> None:
    plate, old, new = make_plate(tmp_path / "p.zarr", "0.5"), np.ones(SHAPE, np.uint32), draw(SHAPE)
    write_labels(plate, KEY, old, ngff="0.5", pixel_size_um=0.5, mark=Mark(run="a"))
    first, *others = CUT.cells(SHAPE)
    block_labels(plate, "0.5").create()
    block_labels(plate, "0.5").write(new[first.core.slices], first.core)
    assert (read_labels(plate, KEY) == 1).all()
    block_labels(plate, "0.5").create()  # as a run that goes on does
    for cell in others:
        block_labels(plate, "0.5").write(new[cell.core.slices], cell.core)
    for _ in range(2):
        block_labels(plate, "0.5").publish("1")
        np.testing.assert_array_equal(read_labels(plate, KEY), new)


def test_a_plane_is_read_as_it_is_sliced_and_no_piece_twice() -> None:
    image = np.random.default_rng(0).integers(0, 1000, (2500, 1300), dtype=np.uint16)
    read: list[Box] = []

    def reader(window: tuple[slice, slice]) -> NDArray[Any]:
        read.append(Box(window[0].start, window[1].start, window[0].stop, window[1].stop))
        return image[window]

    plane = LazyPlane(reader, (2500, 1300), image.dtype)
    windows = [
        (slice(1000, 1100), slice(1000, 1050)),
        (slice(None, None, 7), slice(None, None, 300)),
        (slice(3, 2500, 1025), slice(1299, None)),
        (slice(5, 5), slice(0, 10)),
        (slice(2400, 9999), slice(0, 3)),
    ]
    for window in windows:
        np.testing.assert_array_equal(plane[window], image[window])
    assert len(read) == len(set(read)) == 6
    assert max(box.size for box in read) <= 1024**2


def test_channels_and_labels_of_a_plate_by_the_piece(tmp_path: Path) -> None:
    image = np.random.default_rng(1).integers(1, 1000, (1, 1500, 1200), dtype=np.uint16)
    path = make_plate(tmp_path / "p.zarr", "0.5", image)
    write_labels(path, KEY, draw((1500, 1200)), ngff="0.5", pixel_size_um=0.5)
    (plane,) = open_channels(open_plate(path), KEY, (0,), z="refuse")
    window = (slice(1000, 1300), slice(900, 1100))
    np.testing.assert_array_equal(plane[window], image[0][window])
    labels = open_labels(path, KEY)
    assert labels.shape == (1500, 1200)
    np.testing.assert_array_equal(labels[window], draw((1500, 1200))[window])
