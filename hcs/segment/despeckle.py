"""Specks, smaller than any nucleus and brighter than all of them, taken out of the network's input.

At the network's scale a nucleus is some 24 px wide, and a speck of dust, a hot pixel or a fibre 1 to 3. A pixel that is
more than 2.15 times as bright as the field's nuclei is a speck's where no square of 4 × 4 px around it is half as
bright, so that a dead cell or a cell in mitosis stays to its rim (a grey-scale opening). It takes the median of its
7 × 7 px, and so do the pixels beside it that are 1.3 times as bright as that.
"""

from __future__ import annotations

import numba
import numpy as np
from numpy.typing import NDArray

from hcs.segment.normalise import COMPRESSION

BRIGHT = 1.0
"""Network's input above which a pixel may be a speck's: the scale of `hcs.segment.normalise`, 2.15 times its nuclei."""
TIMES, EDGE_TIMES = 2.0, 1.3
"""How many times as bright a speck's pixel is as what would hold a square, and a pixel beside it as the median, before
compression."""
SQUARE_PX = 4
"""Specks hold no square of this side."""
REACH_PX = SQUARE_PX
"""How far away a pixel can change another one."""


def despeckled(field: NDArray[np.float32]) -> NDArray[np.float32]:
    """Network's input (Y, X) at the network's scale → the same without specks; the very array where it has none.

    Squares lie inside the field; for medians its edge is repeated.
    """
    if not float(field.max(initial=0.0)) > BRIGHT:
        return field
    places = np.argwhere(field > BRIGHT)
    opened, medians = _around(field, places)
    specks = field[places[:, 0], places[:, 1]] > times_as_bright(opened, TIMES)
    if not specks.any():
        return field
    return _replaced(field, places[specks], medians[specks], times_as_bright(medians[specks], EDGE_TIMES))


def times_as_bright(compressed: NDArray[np.float32], times: float) -> NDArray[np.float32]:
    """Compressed intensities (n,) made ``times`` as bright before compression; what is below 0 counts as 0."""
    unit = np.float32(np.arcsinh(COMPRESSION))
    linear = np.sinh(np.maximum(compressed, np.float32(0.0)) * unit)
    return np.asarray(np.arcsinh(linear * np.float32(times)) / unit, dtype=np.float32)


@numba.njit(cache=True, nogil=True)
def _around(field: NDArray[np.float32], places: NDArray[np.int64]) -> tuple[NDArray[np.float32], NDArray[np.float32]]:
    """At each of ``places`` (n, 2) the grey-scale opening by a square, and the median of all squares there, (n,)."""
    height, width = field.shape
    reach, side = SQUARE_PX - 1, 2 * SQUARE_PX - 1
    window = np.empty((side, side), np.float32)
    opened, medians = np.empty(len(places), np.float32), np.empty(len(places), np.float32)
    for k in range(len(places)):
        for i in range(side):
            y = min(max(places[k, 0] + i - reach, 0), height - 1)
            for j in range(side):
                window[i, j] = field[y, min(max(places[k, 1] + j - reach, 0), width - 1)]
        most = np.float32(-np.inf)
        for i in range(SQUARE_PX):
            for j in range(SQUARE_PX):
                y, x = places[k, 0] + i - reach, places[k, 1] + j - reach
                if 0 <= y <= height - SQUARE_PX and 0 <= x <= width - SQUARE_PX:
                    most = max(most, window[i : i + SQUARE_PX, j : j + SQUARE_PX].min())
        opened[k] = most
        medians[k] = np.partition(window.ravel(), side * side // 2)[side * side // 2]
    return opened, medians


@numba.njit(cache=True, nogil=True)
def _replaced(
    field: NDArray[np.float32],
    places: NDArray[np.int64],
    medians: NDArray[np.float32],
    limits: NDArray[np.float32],
) -> NDArray[np.float32]:
    """The field with specks at ``places`` (n, 2), and pixels beside them above ``limits`` (n,), at ``medians`` (n,)."""
    height, width = field.shape
    out = field.copy()
    for k in range(len(places)):
        for y in range(max(places[k, 0] - 1, 0), min(places[k, 0] + 2, height)):
            for x in range(max(places[k, 1] - 1, 0), min(places[k, 1] + 2, width)):
                if field[y, x] > limits[k]:
                    out[y, x] = min(out[y, x], medians[k])
    return out
