"""Labels of a field too large for memory: written cell by cell, each chunk by one writer, and shown when complete."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
import zarr
from numpy.typing import NDArray

from hcs.store.location import Location, Url, zarr_store
from hcs.store.plate.growing import Growing, remove
from hcs.store.plate.labels import LabelImage, cannot_write_labels
from hcs.store.plate.nodes import METADATA_FILES, Ngff
from hcs.store.plate.pyramid import LABELS, create_level, level_shapes, nearest_halved
from hcs.store.plate.reader import FieldEntry
from hcs.store.plate.target import LabelTarget
from hcs.tiles.blocks import LABEL_CHUNK_PX, Box, windows


@dataclass(frozen=True, slots=True, kw_only=True)
class BlockLabels:
    """The labels of one field, while they are being written where ``target`` says.

    One process calls `create`, then any number `write` a cell each, then one calls `publish`. Until then the labels of
    that name that the field had before are there, or in an object store none. Writing anything again ends right. All
    raise ResultsError where ``target`` cannot be written; `create` and `publish` raise FieldError where the field has
    labels that would be lost.
    """

    target: LabelTarget
    entry: FieldEntry
    shape: tuple[int, int]
    ngff: Ngff
    pixel_size_um: float | None

    @property
    def _place(self) -> Growing:
        return Growing(self.target, self.entry)

    def create(self) -> None:
        """Make empty arrays for all levels; those of an earlier attempt of this run are kept."""
        self.target.check(self.entry)
        growing, shapes = self._place.folder, level_shapes(*self.shape)
        try:
            if isinstance(growing, Url):
                for name in METADATA_FILES:
                    (growing / name).unlink(missing_ok=True)
            if all(_holds_array(growing / str(level)) for level in range(len(shapes))):
                return
            remove(growing)
            for level, shape in enumerate(shapes):
                create_level(
                    growing / str(level),
                    shape,
                    np.uint32,
                    chunk_px=LABEL_CHUNK_PX,
                    axes="yx",
                    ngff=self.ngff,
                    pixels=LABELS,
                )
        except OSError as error:
            raise cannot_write_labels(self.target.path, error) from error

    def write(self, labels: NDArray[np.uint32], core: Box) -> None:
        """Write the labels (y, x) of one cell's core, in the field and at half its size."""
        growing, shapes = self._place.folder, level_shapes(*self.shape)
        try:
            self._level(growing, 0)[core.slices] = labels
            if len(shapes) > 1:
                y, x = core.y0 // 2, core.x0 // 2
                halved = nearest_halved(labels)[: shapes[1][0] - y, : shapes[1][1] - x]
                self._level(growing, 1)[y : y + halved.shape[0], x : x + halved.shape[1]] = halved
        except OSError as error:
            raise cannot_write_labels(self.target.path, error) from error

    def publish(self, pixels_crc32: str) -> None:
        """Make the smaller levels, and the labels those of the field, whose pixels have that checksum; nothing is left
        to do where that was done."""
        growing, shapes = self._place.folder, level_shapes(*self.shape)
        image = LabelImage(self.ngff, self.pixel_size_um, self.target.name)
        try:
            if growing.is_dir():
                for level in range(2, len(shapes)):
                    self._halve(growing, level, shapes[level])
                self._place.publish(image, len(shapes), pixels_crc32)
            image.enlist(self._place.place.parent.parent, len(shapes))
        except OSError as error:
            raise cannot_write_labels(self.target.path, error) from error

    def _halve(self, growing: Location, level: int, shape: tuple[int, int]) -> None:
        """Fill a level from the one before, chunk by chunk."""
        source, array = self._level(growing, level - 1), self._level(growing, level)
        for box in windows(shape, size_px=LABEL_CHUNK_PX, unit_px=LABEL_CHUNK_PX):
            array[box.slices] = np.asarray(source[2 * box.y0 : 2 * box.y1, 2 * box.x0 : 2 * box.x1])[::2, ::2]

    def _level(self, growing: Location, level: int) -> zarr.Array[Any]:
        return zarr.open_array(store=zarr_store(growing / str(level)), mode="r+")


def _holds_array(folder: Location) -> bool:
    return (folder / "zarr.json").is_file() or (folder / ".zarray").is_file()
