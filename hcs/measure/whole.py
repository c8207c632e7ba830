"""Statistics of regions whose pixels are whole numbers of 16 bits, as cameras give them: those of `intensity`, to the
last bit, in half the time. Sums of whole numbers are exact in any order, and ranks come from counts."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from hcs.measure.jit import kernel
from hcs.measure.ranks import select
from hcs.measure.regions import Ints32, Ints64

Floats = NDArray[np.float64]
Words = NDArray[np.uint16]

_WIDEST = 4096
"""Grey levels from the lowest to the highest of a region whose values are counted, at most."""
_BLOCK = 16
"""So many counts are added at a time."""


@kernel
def statistics_of_whole(values: Words, offsets: Ints64, indices: Ints32, ceiling: float) -> tuple[Floats, Ints64]:
    """(n, 6) of mean, median, standard deviation, minimum, maximum, sum; and (n,) counts of saturated pixels."""
    n = len(offsets) - 1
    table = np.full((n, 6), np.nan)
    saturated = np.zeros(n, np.int64)
    counts = np.empty(_WIDEST + _BLOCK, np.int32)
    region = np.empty(_longest(offsets), np.int32)
    for i in range(n):
        size = offsets[i + 1] - offsets[i]
        total, lowest, highest = _gather(values, indices[offsets[i] : offsets[i + 1]], region)
        table[i, 5] = total
        if size == 0:
            continue
        mean = total / size
        squares = 0.0
        for k in range(size):  # in this order, for the same bytes
            squares += (region[k] - mean) * (region[k] - mean)
        table[i, 0], table[i, 2] = mean, np.sqrt(squares / size)
        table[i, 3], table[i, 4] = lowest, highest
        if highest >= ceiling:
            for k in range(size):
                saturated[i] += region[k] >= ceiling
        table[i, 1] = _median(region[:size], lowest, highest, counts)
    return table, saturated


@kernel
def medians_of_whole(values: Words, offsets: Ints64, indices: Ints32) -> Floats:
    """(n, 2) of mean and median; NaN for a region without pixels."""
    n = len(offsets) - 1
    table = np.full((n, 2), np.nan)
    counts = np.empty(_WIDEST + _BLOCK, np.int32)
    region = np.empty(_longest(offsets), np.int32)
    for i in range(n):
        size = offsets[i + 1] - offsets[i]
        total, lowest, highest = _gather(values, indices[offsets[i] : offsets[i + 1]], region)
        if size:
            table[i, 0], table[i, 1] = total / size, _median(region[:size], lowest, highest, counts)
    return table


@kernel
def midmeans_of_whole(values: Words, offsets: Ints64, indices: Ints32, fallback: float) -> Floats:
    """Mean of each list without its lowest and highest ⌊size/4⌋ values, (n,)."""
    n = len(offsets) - 1
    means = np.empty(n)
    counts = np.empty(_WIDEST + _BLOCK, np.int32)
    region = np.empty(_longest(offsets), np.int32)
    for i in range(n):
        size = offsets[i + 1] - offsets[i]
        _, lowest, highest = _gather(values, indices[offsets[i] : offsets[i + 1]], region)
        if size == 0:
            means[i] = fallback
            continue
        cut = size // 4
        kept = size - 2 * cut
        if highest - lowest < min(_WIDEST, 4 * size):
            _count(region[:size], lowest, highest, counts)
            between = _sum_of_lowest(counts, size - cut) - _sum_of_lowest(counts, cut)
            means[i] = (lowest * kept + between) / kept
            continue
        wide = region[:size].astype(np.float32)
        select(wide, 0, cut)
        select(wide, cut, size - 1 - cut)
        total = 0.0
        for k in range(cut, size - cut):
            total += wide[k]
        means[i] = total / kept
    return means


@kernel
def _longest(offsets: Ints64) -> int:
    most = 0
    for i in range(len(offsets) - 1):
        most = max(most, offsets[i + 1] - offsets[i])
    return most


@kernel
def _gather(values: Words, places: Ints32, region: Ints32) -> tuple[int, Any, Any]:
    """Copy the values at ``places`` to the start of ``region``; their sum, lowest and highest."""
    for k in range(len(places)):
        region[k] = values[places[k]]
    total, lowest, highest = 0, np.int32(2**31 - 1), np.int32(-1)
    for k in range(len(places)):
        total += region[k]
        lowest, highest = min(lowest, region[k]), max(highest, region[k])
    return total, lowest, highest


@kernel
def _count(region: Ints32, lowest: int, highest: int, counts: Ints32) -> None:
    """How often each number from ``lowest`` to ``highest`` occurs, at the start of ``counts``; then zeros to the end of
    a block."""
    counts[: (highest - lowest) // _BLOCK * _BLOCK + _BLOCK] = 0
    for k in range(len(region)):
        counts[region[k] - lowest] += 1


@kernel
def _median(region: Ints32, lowest: int, highest: int, counts: Ints32) -> float:
    """Median of at least one value, the mean of the middle two of an even number."""
    size = len(region)
    if highest - lowest >= min(_WIDEST, 4 * size):
        wide = region.astype(np.float32)
        upper = select(wide, 0, size // 2)
        if size % 2:
            return upper
        lower = wide[0]
        for k in range(1, size // 2):
            lower = max(lower, wide[k])
        return float(0.5 * lower + 0.5 * upper)
    _count(region, lowest, highest, counts)
    below, k = 0, 0
    while True:
        block = 0
        for j in range(k, k + _BLOCK):
            block += counts[j]
        if below + block > (size - 1) // 2:
            break
        below, k = below + block, k + _BLOCK
    while below + counts[k] <= (size - 1) // 2:
        below += counts[k]
        k += 1
    lower_level = k
    while below + counts[k] <= size // 2:
        below += counts[k]
        k += 1
    return lowest + 0.5 * (lower_level + k)


@kernel
def _sum_of_lowest(counts: Ints32, number: int) -> int:
    """Sum of the lowest so many numbers from 0 of these counts."""
    total, below, k = 0, 0, 0
    while below < number:
        block = weighed = 0
        for j in range(_BLOCK):
            block += counts[k + j]
            weighed += j * counts[k + j]
        if below + block > number:
            break
        total += weighed + k * block
        below, k = below + block, k + _BLOCK
    while below < number:
        taken = min(counts[k], number - below)
        total += k * taken
        below += taken
        k += 1
    return total


@kernel
def block_sums_of_whole(pixels: Words, block_y: int, block_x: int) -> Floats:
    """Sums of the whole blocks of ``block_y`` × ``block_x`` pixels, flat."""
    rows, columns = pixels.shape[0] // block_y, pixels.shape[1] // block_x
    sums = np.empty(rows * columns)
    added = np.empty(columns * block_x, np.int64)
    for r in range(rows):
        added[:] = 0
        for y in range(r * block_y, (r + 1) * block_y):
            row = pixels[y]
            for x in range(len(added)):
                added[x] += row[x]
        for c in range(columns):
            total = 0
            for x in range(c * block_x, (c + 1) * block_x):
                total += added[x]
            sums[r * columns + c] = total
    return sums
