"""Small images around nuclei, cut from the images of their fields."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from hcs.errors import ResultsError

WELL, SITE, OBJECT = KEYS = ("Metadata_Well", "Metadata_Site", "Metadata_ObjectNumber")
CENTER_Y, CENTER_X = CENTER = ("Nuclei_AreaShape_Center_Y", "Nuclei_AreaShape_Center_X")


def nucleus_key(nucleus: Any) -> tuple[str, int, int]:
    """(well, field, object number) of a row of the nucleus table, or of such a triple.

    A row may be a Series (``iloc``, ``iterrows``) or a tuple of ``itertuples``. ResultsError for anything else.
    """
    try:
        if hasattr(nucleus, WELL):
            well, field, number = (getattr(nucleus, name) for name in KEYS)
        else:
            well, field, number = nucleus
        return str(well), int(field), int(number)
    except (AttributeError, TypeError, ValueError) as error:
        raise ResultsError(
            f"{nucleus!r} is no nucleus: give a row of nuclei() with {', '.join(KEYS)}, or (well, field, object number)"
        ) from error


def cut_crops(nuclei: pd.DataFrame, size_px: int, image_of: Callable[[str, int], NDArray[Any]]) -> NDArray[Any]:
    """Squares (N, size_px, size_px) of the fields' dtype centred on each nucleus (row), in the table's order.

    ``image_of(well, field)`` gives the image (Y, X) of a field and is called once a field. Pixels beyond the field's
    edge are 0. ResultsError where ``size_px`` is not positive.
    """
    if size_px < 1:
        raise ResultsError(f"a crop of size_px {size_px} holds no pixel; give 1 or more")
    crops: NDArray[Any] = np.zeros((len(nuclei), size_px, size_px), np.uint16)
    places = np.rint(nuclei[list(CENTER)].to_numpy(np.float64)).astype(np.int64) - size_px // 2
    rows_of: dict[tuple[str, int], list[int]] = {}
    for row, (well, field) in enumerate(zip(nuclei[WELL], nuclei[SITE], strict=True)):
        rows_of.setdefault((str(well), int(field)), []).append(row)
    for n, ((well, field), rows) in enumerate(rows_of.items()):
        image = image_of(well, field)
        if n == 0:
            crops = crops.astype(image.dtype)
        for row in rows:
            _cut(image, int(places[row, 0]), int(places[row, 1]), crops[row])
    return crops


def _cut(image: NDArray[Any], y: int, x: int, crop: NDArray[Any]) -> None:
    """Fill ``crop`` with the part of ``image`` whose first pixel is (y, x), as far as it reaches."""
    size = len(crop)
    y0, y1 = np.clip((y, y + size), 0, image.shape[0])
    x0, x1 = np.clip((x, x + size), 0, image.shape[1])
    crop[y0 - y : y1 - y, x0 - x : x1 - x] = image[y0:y1, x0:x1]
