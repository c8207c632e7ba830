"""Specks, smaller than any nucleus and brighter than all of them, taken out of the network's input.

At the network's scale a nucleus is some 24 px wide, and a speck of dust or a hot pixel 1 to 3. A pixel that is more
than 2.15 times as bright as the field's nuclei, and twice as bright as the median of its 7 × 7 px, is a speck's where
at most 8 of these are 1.3 times as bright as nuclei. It takes that median, and so do the pixels beside it that are 1.3
times as bright. Dead cells, fragments of them and cells in mitosis are larger, and stay what they are.
"""

from __future__ import annotations

import numba
import numpy as np
from numpy.typing import NDArray

from hcs.segment.normalise import COMPRESSION

BRIGHT = 1.0
"""Network's input above which a pixel may be a speck's: the scale of `hcs.segment.normalise`, 2.15 times its nuclei."""
TIMES, EDGE_TIMES = 2.0, 1.3
"""How many times as bright as the median a speck's pixel is, and a pixel beside it, before compression."""
RADIUS_PX = 3
"""The median is that of squares of 7 × 7 px, the field being mirrored at its edge."""
MOST_PX, NUCLEUS = 8, COMPRESSION / 2.15
"""At most so many pixels of the square are brighter than nuclei, before compression, and than the median."""
REACH_PX = RADIUS_PX + 1
"""How far away a pixel can change another one."""


def despeckled(field: NDArray[np.float32]) -> NDArray[np.float32]:
    """Network's input (Y, X) at the network's scale → the same without specks; the very array where it has none."""
    bright = np.flatnonzero(field.ravel() > BRIGHT)
    places = np.stack(np.divmod(bright, max(field.shape[1], 1)), axis=1)
    around = _around(field, places)
    half = around.shape[1] // 2
    medians = np.partition(around, half, axis=1)[:, half]
    heights = decompressed(field[places[:, 0], places[:, 1]])
    low = np.maximum(decompressed(medians), np.float32(0.0))
    specks = heights > np.float32(TIMES) * low
    limits = np.float32(EDGE_TIMES) * np.maximum(low[specks], np.float32(NUCLEUS))
    specks[specks] = (decompressed(around[specks]) > limits[:, None]).sum(axis=1) <= MOST_PX
    if not specks.any():
        return field
    edges = compressed(np.float32(EDGE_TIMES) * low[specks])
    return _replaced(field, places[specks], medians[specks], edges)


def decompressed(seen: NDArray[np.float32]) -> NDArray[np.float32]:
    """The network's input, of any shape, before compression."""
    return np.asarray(np.sinh(seen * np.float32(np.arcsinh(COMPRESSION))), dtype=np.float32)


def compressed(linear: NDArray[np.float32]) -> NDArray[np.float32]:
    """The inverse of `decompressed`."""
    return np.asarray(np.arcsinh(linear) / np.float32(np.arcsinh(COMPRESSION)), dtype=np.float32)


@numba.njit(cache=True, nogil=True)
def _mirrored(at: int, length: int) -> int:
    """A place beyond one end of an axis as the place so far inside."""
    return int(min(max(min(abs(at), 2 * (length - 1) - abs(at)), 0), length - 1))


@numba.njit(cache=True, nogil=True)
def _around(field: NDArray[np.float32], places: NDArray[np.int64]) -> NDArray[np.float32]:
    """The square around each of ``places`` (n, 2), (n, 49)."""
    height, width = field.shape
    side = 2 * RADIUS_PX + 1
    around = np.empty((len(places), side * side), np.float32)
    for k in range(len(places)):
        for i in range(side):
            y = _mirrored(places[k, 0] + i - RADIUS_PX, height)
            for j in range(side):
                around[k, i * side + j] = field[y, _mirrored(places[k, 1] + j - RADIUS_PX, width)]
    return around


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
