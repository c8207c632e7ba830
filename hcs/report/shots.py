"""The parts of a page's pictures that need pixels: what any process can make that reads the plate."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Protocol

import numpy as np
import numpy.typing as npt

from hcs.report.thumbnails import (
    BEST,
    CROP_PX,
    Bytes,
    Contrast,
    FieldPicture,
    PixelPlane,
    contrast,
    crop,
    field_picture,
)

MOST_BYTES_A_WELL = 12_000
_MOST_BYTES = 3_400_000
_CONTRAST_FIELDS = 8

Centres = npt.NDArray[np.float64]
"""(y, x) in px, (n, 2)."""


class Reader(Protocol):
    """Reads fields of a plate by well and number."""

    def images(self, well: str, field: int) -> Sequence[PixelPlane] | None:
        """Channels, those that are shown, each (Y, X); None where they are gone."""

    def labels(self, well: str, field: int) -> PixelPlane | None:
        """Labels (Y, X); None where they are gone."""


@dataclass(frozen=True, slots=True)
class Look:
    """What all pictures of a plate have in common."""

    contrasts: tuple[Contrast, ...]
    """Of each channel that is shown."""
    most_bytes: int
    """Of a well's pictures together."""


def settle_look(read: Reader, pictured: Mapping[str, int]) -> Look | None:
    """Contrasts of a few of the ``pictured`` fields (by well), spread over the plate; at most 12 kB a well, less on
    plates of more than 280 wells. None where no field can be read."""
    wells = list(pictured)
    some = wells[:: max(1, len(wells) // _CONTRAST_FIELDS)]
    images = [planes for well in some if (planes := read.images(well, pictured[well])) is not None]
    if not images:
        return None
    contrasts = tuple(contrast(planes) for planes in zip(*images, strict=True))
    return Look(contrasts, min(MOST_BYTES_A_WELL, _MOST_BYTES // max(len(pictured), 1)))


def picture_fields(read: Reader, pictured: Mapping[str, int], look: Look) -> dict[str, FieldPicture]:
    """The picture of each well's field; none of a field that cannot be read."""
    pictures: dict[str, FieldPicture] = {}
    quality = BEST
    for well, site in pictured.items():
        images = read.images(well, site)
        if images is None:
            continue
        labels = read.labels(well, site)
        pictures[well] = field_picture(images, labels, look.contrasts, most_bytes=look.most_bytes, quality=quality)
        quality = pictures[well].quality
    return pictures


def picture_nuclei(
    read: Reader, wanted: Mapping[str, tuple[int, Centres]], look: Look, side_px: int
) -> dict[str, Bytes]:
    """Squares of ``side_px`` around places in one field of each well, (channels, n, 40, 40); none of a field that
    cannot be read."""
    squares: dict[str, Bytes] = {}
    for well, (site, centres) in wanted.items():
        images = read.images(well, site)
        if images is None:
            continue
        squares[well] = np.empty((len(look.contrasts), len(centres), CROP_PX, CROP_PX), np.uint8)
        for own, image, scale in zip(squares[well], images, look.contrasts, strict=True):
            for i, (y, x) in enumerate(centres):
                own[i] = crop(image, scale, y=y, x=x, side_px=side_px)
    return squares
