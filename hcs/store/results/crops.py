"""Small images around nuclei, cut from the images and labels of their fields."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from hcs.errors import ConfigError, ResultsError
from hcs.plate.keys import NO_FRAME

WELL, SITE, OBJECT = KEYS = ("Metadata_Well", "Metadata_Site", "Metadata_ObjectNumber")
TIMEPOINT = "Metadata_Timepoint"
CENTER_Y, CENTER_X = CENTER = ("Nuclei_AreaShape_Center_Y", "Nuclei_AreaShape_Center_X")


@dataclass(frozen=True, slots=True)
class Crop:
    """A square around one nucleus: images (C, Y, X) as stored on the plate, and labels (Y, X) as the run wrote them.

    ``start_px`` is its first pixel (y, x) in the field, negative where it reaches beyond the edge; there images and
    labels are 0. ``labels`` is None where the run kept none, ``pixel_size_um`` where the plate does not tell it.
    """

    well: str
    field: int
    number: int
    channels: tuple[str, ...]
    images: NDArray[Any]
    labels: NDArray[np.uint32] | None
    start_px: tuple[int, int]
    pixel_size_um: float | None
    """Side of a pixel, µm."""
    frame: int = NO_FRAME

    @property
    def mask(self) -> NDArray[np.bool_]:
        """Where (Y, X) the nucleus itself is; ResultsError where the run kept no labels."""
        if self.labels is None:
            raise ResultsError(
                f"nucleus {self.number} of {self.well}/{self.field} has no mask, the run kept no labels; run again "
                "with `labels: out` in the settings"
            )
        mask: NDArray[np.bool_] = self.labels == self.number
        return mask

    def image(self, channel: str) -> NDArray[Any]:
        """One channel (Y, X) by name; ConfigError where the crop has no such channel."""
        if channel not in self.channels:
            raise ConfigError(f"channel {channel!r} is not in this crop; it has {', '.join(self.channels)}")
        image: NDArray[Any] = self.images[self.channels.index(channel)]
        return image


def nucleus_key(nucleus: Any) -> tuple[str, int, int, int]:
    """(well, field, object number, frame) of a row of the nucleus table, or of such a tuple, with or without a frame.

    A row may be a Series (``iloc``, ``iterrows``) or a tuple of ``itertuples``. ResultsError for anything else.
    """
    try:
        if isinstance(nucleus, str):
            raise TypeError("a text of three letters is no triple")
        is_row = hasattr(nucleus, WELL)
        well, field, number, *frames = (getattr(nucleus, name) for name in KEYS) if is_row else tuple(nucleus)
        frame = getattr(nucleus, TIMEPOINT, NO_FRAME) if is_row else frames[0] if frames else NO_FRAME
        return str(well), int(field), int(number), int(frame)
    except (AttributeError, TypeError, ValueError) as error:
        raise ResultsError(
            f"{nucleus!r} is no nucleus: give a row of nuclei() with {', '.join(KEYS)}, or (well, field, object number)"
        ) from error


def cut_crops(nuclei: pd.DataFrame, size_px: int, image_of: Callable[[str, int, int], NDArray[Any]]) -> NDArray[Any]:
    """Squares (N, size_px, size_px) of the fields' dtype centred on each nucleus (row), in the table's order.

    ``image_of(well, field, frame)`` gives the image (Y, X) of a field or frame and is called once for each. Pixels
    beyond the field's edge are 0. ResultsError where ``size_px`` is not positive.
    """
    starts = starts_px(nuclei, size_px)
    crops: NDArray[Any] = np.zeros((len(nuclei), size_px, size_px), np.uint16)
    rows_of: dict[tuple[str, int, int], list[int]] = {}
    frames = nuclei[TIMEPOINT] if TIMEPOINT in nuclei else [NO_FRAME] * len(nuclei)
    for row, (well, field, frame) in enumerate(zip(nuclei[WELL], nuclei[SITE], frames, strict=True)):
        rows_of.setdefault((str(well), int(field), int(frame)), []).append(row)
    for n, ((well, field, frame), rows) in enumerate(rows_of.items()):
        image = image_of(well, field, frame)
        if n == 0:
            crops = crops.astype(image.dtype)
        for row in rows:
            crops[row] = cut(image, starts[row], size_px)
    return crops


def starts_px(nuclei: pd.DataFrame, size_px: int) -> list[tuple[int, int]]:
    """First pixel (y, x) of the square of side ``size_px`` around each nucleus: its centre is pixel size_px // 2."""
    if size_px < 1:
        raise ResultsError(f"a crop of size_px {size_px} holds no pixel; give 1 or more")
    centers = np.rint(nuclei[list(CENTER)].to_numpy(np.float64)).astype(np.int64)
    return [(int(y) - size_px // 2, int(x) - size_px // 2) for y, x in centers]


def cut(image: NDArray[Any], start_px: tuple[int, int], size_px: int) -> NDArray[Any]:
    """The square (…, size_px, size_px) of an image (…, Y, X) from pixel ``start_px`` on; 0 beyond the image."""
    crop = np.zeros((*image.shape[:-2], size_px, size_px), image.dtype)
    y, x = start_px
    y0, y1 = np.clip((y, y + size_px), 0, image.shape[-2])
    x0, x1 = np.clip((x, x + size_px), 0, image.shape[-1])
    crop[..., y0 - y : y1 - y, x0 - x : x1 - x] = image[..., y0:y1, x0:x1]
    return crop
