"""Values by rank of flat float32 arrays: to the last bit what numpy's percentile gives, at a fraction of its cost.

numpy takes 30 µs to begin, and the quality of a field asks fifty times. Of pixels, which are few
whole numbers, it is enough to count how often each occurs.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from hcs.measure.jit import kernel

Floats32 = NDArray[np.float32]

_VALUES = 2**16
_WIDEST, _BLOCK, _LARGEST = 4096, 16, 2.0**24
"""Whole numbers of a row are counted where they lie so close together, so many counts being added at a time, and where
float32 holds each of them."""


def percentile(values: Floats32, q: float) -> float:
    """``float(np.percentile(values, q))`` of a flat float32 array that is not empty and has no NaN."""
    last = len(values) - 1
    at = last * (q / 100.0)
    rank = int(at)
    if rank >= last:
        return float(values.max())
    sorted_there = np.partition(values, (rank, rank + 1))
    low, high = sorted_there[rank], sorted_there[rank + 1]
    return _between(low, high, high - low, at - rank)  # in float32 after the share: numpy's way with a single q


def _between(low: Any, high: Any, step: Any, share: Any) -> float:
    """As numpy does it, from the nearer end."""
    return float(high - step * (1 - share) if share >= 0.5 else low + step * share)


@dataclass(frozen=True, slots=True, eq=False)
class Ranked:
    """The values of an array in ascending order."""

    values: Floats32
    """(m,), each once, or with what is equal to it."""
    upto: NDArray[np.int64]
    """(m,), how many of the array's values there are up to each."""

    def percentiles(self, *qs: float) -> tuple[float, ...]:
        """``np.percentile(values, qs)`` of the array, as floats; the array must not be empty."""
        if np.isnan(self.values[-1]):
            return (float("nan"),) * len(qs)
        last = int(self.upto[-1]) - 1
        found = []
        for q in qs:
            at = last * (q / 100.0)  # in float64 but for the step: numpy's way with several
            rank = min(int(at), last)
            low, high = self._of_rank(rank), self._of_rank(min(rank + 1, last))
            found.append(_between(float(low), float(high), float(high - low), at - rank))
        return tuple(found)

    def least_step(self) -> float:
        """The smallest difference of two values that differ; 0 where all are alike."""
        steps = np.diff(self.values)
        return float(steps[steps > 0.0].min(initial=np.inf)) if steps.any() else 0.0

    def _of_rank(self, rank: int) -> np.float32:
        return np.float32(self.values[np.searchsorted(self.upto, rank, side="right")])


def ranked(values: Floats32) -> Ranked:
    """A flat float32 array, counted where it holds whole numbers from 0 to 65,535 alone, else sorted."""
    counts = np.zeros(_VALUES, np.int64)
    if len(values) and _count(values, counts):
        present = np.flatnonzero(counts)
        return Ranked(present.astype(np.float32), np.cumsum(counts[present]))
    return Ranked(np.sort(values), np.arange(1, len(values) + 1))


@kernel
def _count(values: Floats32, counts: NDArray[np.int64]) -> bool:
    """Count each value; False, and the counts of no use, for one that is none of them."""
    for value in values:
        if not 0.0 <= value < len(counts):
            return False
        at = int(value)
        if np.float32(at) != value:
            return False
        counts[at] += 1
    return True


def levels_of_rows(rows: Floats32, low: int, high: int) -> tuple[Floats32, Floats32]:
    """Of every row (n, m) the values of rank ``low`` and of rank ``high``, which is not lower, (n,) each."""
    found = _row_levels(np.ascontiguousarray(rows), low, high)
    return found[0], found[1]


@kernel
def _row_levels(rows: Floats32, low: int, high: int) -> Floats32:
    n, size = rows.shape
    found = np.empty((2, n), np.float32)
    row = np.empty(size, np.float32)
    numbers, counts = np.empty(size, np.int32), np.empty(_WIDEST + _BLOCK, np.int32)
    for i in range(n):
        lowest, highest, whole = np.inf, -np.inf, True
        for k in range(size):
            row[k] = value = rows[i, k]
            lowest, highest = min(lowest, value), max(highest, value)
            whole &= np.floor(value) == value
        if whole and abs(lowest) < _LARGEST and highest - lowest < min(_WIDEST, 4 * size):
            base = np.int32(lowest)
            for k in range(size):
                numbers[k] = np.int32(row[k]) - base
            counts[: int(highest - lowest) // _BLOCK * _BLOCK + _BLOCK] = 0
            for k in range(size):
                counts[numbers[k]] += 1
            found[0, i], found[1, i] = base + _of_rank(counts, low), base + _of_rank(counts, high)
            continue
        found[0, i] = select(row, 0, low)
        found[1, i] = select(row, low, high)
    return found


@kernel
def _of_rank(counts: NDArray[np.int32], rank: int) -> int:
    """The whole number from 0 of this rank, of which there are so many each."""
    below, k = 0, 0
    while True:
        block = 0
        for j in range(k, k + _BLOCK):
            block += counts[j]
        if below + block > rank:
            break
        below, k = below + block, k + _BLOCK
    while below + counts[k] <= rank:
        below += counts[k]
        k += 1
    return k


@kernel
def select(values: Floats32, low: int, rank: int) -> float:
    """The value of ``rank`` in sorted order, and ``values[low:]`` so reordered that lower ones come before
    it.

    Everything before ``low`` is taken to be in place already. Quickselect whose partition has no branch to
    mispredict; values equal to the pivot get a pass of their own, since a flat background holds many.
    """
    high = len(values) - 1
    while low < high:
        pivot = values[(low + high) // 2]
        middle = low
        for k in range(low, high + 1):
            value = values[k]
            values[k] = values[middle]
            values[middle] = value
            middle += value < pivot
        if rank < middle:
            high = middle - 1
            continue
        low = middle
        for k in range(middle, high + 1):
            value = values[k]
            values[k] = values[low]
            values[low] = value
            low += value == pivot
        if rank < low:
            break
    return float(values[rank])
