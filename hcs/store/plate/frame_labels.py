"""Labels of a field with time: written frame by frame, each by one writer, and shown when all frames are done."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from hcs.store.plate.growing import Growing
from hcs.store.plate.labels import LabelImage, cannot_write_labels
from hcs.store.plate.mark import origin_of
from hcs.store.plate.nodes import Ngff
from hcs.store.plate.pyramid import LABELS, level_shapes, write_frame
from hcs.store.plate.reader import FieldEntry
from hcs.store.plate.target import LabelTarget

_AXES = "tyx"


@dataclass(frozen=True, slots=True, kw_only=True)
class FrameLabels:
    """The labels (t, y, x) of one field of ``frames`` time points, while they are being written where ``target`` says.

    Any number of processes `write` a frame each, then one calls `publish`. Until then the labels of that name that the
    field had before are there, or in an object store none. Writing anything again ends right. All raise ResultsError
    where ``target`` cannot be written, and FieldError where the field has labels that would be lost.
    """

    target: LabelTarget
    entry: FieldEntry
    frames: int
    ngff: Ngff
    pixel_size_um: float | None = None
    interval_min: float | None = None

    @property
    def _place(self) -> Growing:
        return Growing(self.target, self.entry)

    def reopen(self) -> None:
        """Take labels that this run has shown already back to where they grow, because frames will be done again: one
        process calls this, before any frame is."""
        growing = self._place
        place, folder = growing.place, growing.folder
        try:
            shown, _ = origin_of(place, self.target.run)
            if isinstance(place, Path) and isinstance(folder, Path) and shown == "this run":
                growing.remove()
                place.rename(folder)
        except OSError as error:
            raise cannot_write_labels(self.target.path, error) from error

    def write(self, labels: NDArray[np.uint32], frame: int) -> int:
        """Write the labels (Y, X) of one frame; the bytes of its files."""
        self.target.check(self.entry)
        try:
            _, nbytes = write_frame(
                self._place.folder,
                labels.astype(np.uint32, copy=False),
                frame,
                self.frames,
                axes=_AXES,
                ngff=self.ngff,
                pixels=LABELS,
            )
        except OSError as error:
            raise cannot_write_labels(self.target.path, error) from error
        return nbytes

    def publish(self, shape: tuple[int, int], pixels_crc32: str) -> None:
        """Make the frames, each of ``shape`` (Y, X), the labels of the field, whose pixels have that checksum; nothing
        is left to do where that was done, or no frame has labels."""
        growing = self._place
        n_levels = len(level_shapes(*shape))
        image = LabelImage(self.ngff, self.pixel_size_um, self.target.name, _AXES, self.interval_min)
        try:
            if growing.folder.is_dir():
                growing.publish(image, n_levels, pixels_crc32)
            if growing.place.is_dir():
                image.enlist(growing.place.parent.parent, n_levels)
        except OSError as error:
            raise cannot_write_labels(self.target.path, error) from error
