"""Pixels of whole cells and of their cytoplasm, cell minus nucleus: listed in one pass, and measured in one."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from hcs.measure.intensity import _LARGEST as LARGEST
from hcs.measure.intensity import _WIDEST as WIDEST
from hcs.measure.intensity import Floats, Floats32
from hcs.measure.intensity import _is_counted as is_counted
from hcs.measure.intensity import _median as median
from hcs.measure.intensity import _middle as middle
from hcs.measure.jit import kernel
from hcs.measure.regions import Ints32, Ints64, PixelLists, Regions

Bytes = NDArray[np.uint8]


@dataclass(frozen=True, slots=True)
class CellPixels:
    """Pixels of n cells with their nuclei, and of their cytoplasm, which may be empty."""

    cells: Regions
    cytoplasm: PixelLists
    outside: Bytes
    """1 for each pixel of ``cells.pixels`` that is of no nucleus, and so cytoplasm."""

    def statistics(self, pixels: Floats32) -> tuple[Floats, Floats]:
        """Statistics (n, 6) of the cells' and of the cytoplasm's pixels in one channel (Y, X), in the order of
        `hcs.measure.compartment_columns.STATISTICS`; NaN without pixels.

        To the last bit those of `hcs.measure.intensity.region_statistics`: whole numbers may be summed in any order,
        and all other sums are added in row-major order.
        """
        lists = self.cells.pixels
        return _statistics(pixels.ravel(), lists.offsets, lists.indices, self.outside)


def cell_pixels(cells: Ints32, nuclei: Regions) -> CellPixels:
    """Pixels of ``cells`` (Y, X), numbered as ``nuclei.dense``; every cell must have a pixel."""
    n = len(nuclei)
    lengths = _lengths(cells, nuclei.dense, n)
    offsets = np.concatenate((np.zeros((1, 3), np.int64), np.cumsum(lengths, axis=0)))
    runs, indices, outside, cytoplasm = _listed(cells, nuclei.dense, offsets)
    regions = Regions(
        np.arange(1, n + 1), cells, runs, np.ascontiguousarray(offsets[:, 0]), PixelLists(offsets[:, 1].copy(), indices)
    )
    return CellPixels(regions, PixelLists(offsets[:, 2].copy(), cytoplasm), outside)


@kernel
def _lengths(cells: Ints32, nuclei: Ints32, n: int) -> Ints64:
    """(n, 3) of each cell's horizontal runs, pixels, and pixels that are of no nucleus."""
    height, width = cells.shape
    lengths = np.zeros((n + 1, 3), np.int64)
    for y in range(height):
        start, free, before = 0, 0, np.int32(0)
        for x in range(width):
            here = cells[y, x]
            if here != before:
                lengths[before, 0] += 1
                lengths[before, 1] += x - start
                lengths[before, 2] += free
                start, free, before = x, 0, here
            free += nuclei[y, x] == 0
        lengths[before, 0] += 1
        lengths[before, 1] += width - start
        lengths[before, 2] += free
    return lengths[1:]


@kernel
def _listed(cells: Ints32, nuclei: Ints32, offsets: Ints64) -> tuple[Ints32, Ints32, Bytes, Ints32]:
    """Of cells 1…n, whose lists start at ``offsets`` (n + 1, 3): runs (y, start, stop), flat pixel indices, which of
    those are of no nucleus, and the indices of these alone."""
    height, width = cells.shape
    runs = np.empty((offsets[-1, 0], 3), np.int32)
    indices = np.empty(offsets[-1, 1], np.int32)
    outside = np.empty(offsets[-1, 1], np.uint8)
    cytoplasm = np.empty(offsets[-1, 2], np.int32)
    following = offsets.copy()
    for y in range(height):
        x = 0
        while x < width:
            here = cells[y, x]
            start = x
            x += 1
            while x < width and cells[y, x] == here:
                x += 1
            if here == 0:
                continue
            r, k, m = following[here - 1]
            runs[r, 0], runs[r, 1], runs[r, 2] = y, start, x
            for u in range(start, x):
                free = nuclei[y, u] == 0
                indices[k] = y * width + u
                outside[k] = free
                if free:
                    cytoplasm[m] = y * width + u
                k += 1
                m += free
            following[here - 1, 0] = r + 1
            following[here - 1, 1] = k
            following[here - 1, 2] = m
    return runs, indices, outside, cytoplasm


@kernel
def _statistics(values: Floats32, offsets: Ints64, indices: Ints32, outside: Bytes) -> tuple[Floats, Floats]:
    """(n, 6) of mean, median, standard deviation, minimum, maximum and sum of each list's pixels, and of those
    ``outside``."""
    n = len(offsets) - 1
    table, table_outside = np.full((n, 6), np.nan), np.full((n, 6), np.nan)
    most = 0
    for i in range(n):
        most = max(most, offsets[i + 1] - offsets[i])
    whole, free, held = np.empty(most, np.float32), np.empty(most + 1, np.float32), np.empty(most + 1, np.float32)
    counts = np.zeros(WIDEST, np.int32)
    for i in range(n):
        size, m, h = offsets[i + 1] - offsets[i], 0, 0
        if size == 0:
            continue
        for k in range(size):
            value = values[indices[offsets[i] + k]]
            out = outside[offsets[i] + k]
            whole[k] = free[m] = held[h] = value
            m += out
            h += 1 - out
        all_of, free_of, held_of = whole[:size], free[:m], held[:h]
        low, high, exact = _ends(all_of)
        if exact:
            total, total_free = _whole_sum(all_of), _whole_sum(free_of)
        else:
            total, total_free = _sums(all_of, free_of)
        mean, mean_free = total / size, total_free / m
        squares, squares_free = _squares(all_of, free_of, mean, mean_free)
        table[i, 0], table[i, 2], table[i, 5] = mean, np.sqrt(squares / size), total
        table[i, 3], table[i, 4] = low, high
        if m > 0:
            table_outside[i, 0], table_outside[i, 2], table_outside[i, 5] = (
                mean_free,
                np.sqrt(squares_free / m),
                total_free,
            )
            table_outside[i, 3], table_outside[i, 4], _ = _ends(free_of)
        if exact and is_counted(size, low, high, True):
            base = int(low)
            counts[: int(high) - base + 1] = 0
            _add_to(counts, free_of, base)
            if m > 0:
                table_outside[i, 1] = low + middle(counts, m)
            _add_to(counts, held_of, base)
            table[i, 1] = low + middle(counts, size)
            continue
        if m > 0:
            table_outside[i, 1] = median(free_of)
        table[i, 1] = median(all_of)
    return table, table_outside


@kernel
def _ends(region: Floats32) -> tuple[float, float, bool]:
    """Lowest and highest value, and whether all are whole numbers whose sum is exact in any order."""
    low = high = region[0]
    broken = 0
    for value in region:
        low, high = min(low, value), max(high, value)
        broken += np.floor(value) != value
    exact = broken == 0 and low > -LARGEST and high < LARGEST
    return float(low), float(high), exact


@kernel
def _whole_sum(region: Floats32) -> float:
    """Sum of whole numbers."""
    total = np.int64(0)
    for value in region:
        total += np.int64(np.int32(value))
    return float(total)


@kernel
def _sums(all_of: Floats32, free_of: Floats32) -> tuple[float, float]:
    """Sum of each, in its order; two at once take the time of one."""
    total, total_free, m = 0.0, 0.0, len(free_of)
    for k in range(m):
        total += all_of[k]
        total_free += free_of[k]
    for k in range(m, len(all_of)):
        total += all_of[k]
    return total, total_free


@kernel
def _squares(all_of: Floats32, free_of: Floats32, mean: float, mean_free: float) -> tuple[float, float]:
    """Sum of squared differences from its mean of each, in its order."""
    total, total_free, m = 0.0, 0.0, len(free_of)
    for k in range(m):
        total += (all_of[k] - mean) * (all_of[k] - mean)
        total_free += (free_of[k] - mean_free) * (free_of[k] - mean_free)
    for k in range(m, len(all_of)):
        total += (all_of[k] - mean) * (all_of[k] - mean)
    return total, total_free


@kernel
def _add_to(counts: Ints32, region: Floats32, base: int) -> None:
    """Count each whole number from ``base``."""
    for value in region:
        counts[int(value) - base] += 1
