"""Rows of 8-bit integers between the convolutions of `integers`: rounded, pooled, joined and turned to probabilities.

Rows are (y, x, channels). Every step (what one unit of an integer stands for) is a power of two, so multiplying by it
is exact, and no sum here has more than two terms: a result has one value, whatever machine computes it.
"""

from __future__ import annotations

import numba
import numpy as np
from numpy.typing import NDArray

LARGEST = 255.0
_LOG2_E = np.float32(1.4426950408889634)
_LEAST = np.float32(-100.0)
"""Powers of two from there down count as this one, which is 0 beside 1."""
_TAYLOR = tuple(np.float32(np.log(2.0) ** n / factorial) for n, factorial in enumerate((1, 1, 2, 6, 24, 120, 720)))
_C1, _C2, _C3, _C4, _C5, _C6 = _TAYLOR[1:]


@numba.njit(cache=True, nogil=True)
def rounded(values: NDArray[np.float32], inverse: np.float32, zero: np.float32, out: NDArray[np.uint8]) -> None:
    """Values (y, x) → the nearest integers (y, x) of step 1 / ``inverse``, ``zero`` standing for 0."""
    for y in range(values.shape[0]):
        for x in range(values.shape[1]):
            scaled = values[y, x] * inverse + zero
            out[y, x] = np.uint8(min(max(scaled, np.float32(0.0)), np.float32(LARGEST)) + np.float32(0.5))


@numba.njit(cache=True, nogil=True)
def pooled(rows: NDArray[np.uint8], out: NDArray[np.uint8]) -> None:
    """Rows (2 y, 2 x, c) → the largest of 2×2 pixels (y, x, c)."""
    for y in range(out.shape[0]):
        above, below = rows[2 * y], rows[2 * y + 1]
        for x in range(out.shape[1]):
            for c in range(out.shape[2]):
                out[y, x, c] = max(above[2 * x, c], above[2 * x + 1, c], below[2 * x, c], below[2 * x + 1, c])


@numba.njit(cache=True, nogil=True)
def joined(
    coarse: NDArray[np.float32],
    skip: NDArray[np.uint8],
    first: int,
    numbers: tuple[np.float32, np.float32, np.float32],
    out: NDArray[np.uint8],
) -> None:
    """Coarse rows (y, x, c), each pixel twice in both directions, plus rows ``skip`` that begin at row ``first`` of
    these: into ``out``, of the shape of ``skip``. ``numbers`` are 1 over the step of ``out``, units of ``out`` in one
    of ``skip``, and the byte of ``out`` that stands for 0."""
    inverse, ratio, zero = numbers
    for y in range(skip.shape[0]):
        row = coarse[(first + y) // 2]
        for x in range(skip.shape[1]):
            for c in range(skip.shape[2]):
                total = row[x // 2, c] * inverse + (np.float32(skip[y, x, c]) * ratio + zero)
                out[y, x, c] = np.uint8(min(max(total, np.float32(0.0)), np.float32(LARGEST)) + np.float32(0.5))


@numba.njit(cache=True, nogil=True)
def softmax(logits: NDArray[np.float32], out: NDArray[np.float32]) -> None:
    """Logits (y, x, classes) → probabilities (classes, y, x), by sums and products alone, as the platform's own
    exponential is not the same everywhere."""
    classes, width = out.shape[0], logits.shape[1]
    largest, total = np.empty(width, np.float32), np.empty(width, np.float32)
    for y in range(logits.shape[0]):
        row = logits[y]
        for x in range(width):
            largest[x] = row[x, 0]
        for c in range(1, classes):
            for x in range(width):
                largest[x] = row[x, c] if row[x, c] > largest[x] else largest[x]
        total[:] = 0.0
        for c in range(classes):
            found = out[c, y]
            for x in range(width):
                found[x] = row[x, c] - largest[x]
            for x in range(width):
                found[x] = _exp(found[x])
            for x in range(width):
                total[x] += found[x]
        for x in range(width):
            total[x] = np.float32(1.0) / total[x]
        for c in range(classes):
            found = out[c, y]
            for x in range(width):
                found[x] *= total[x]


@numba.njit(cache=True, nogil=True)
def _exp(x: np.float32) -> np.float32:
    """e^x of x up to 0, to about 1e-7: 2^whole · 2^part, the latter by its series."""
    power = x * _LOG2_E
    power = power if power > _LEAST else _LEAST
    whole = np.int32(power - np.float32(0.5))
    part = power - np.float32(whole)
    series = _C1 + part * (_C2 + part * (_C3 + part * (_C4 + part * (_C5 + part * _C6))))
    return (np.float32(1.0) + part * series) * np.int32((whole + np.int32(127)) << np.int32(23)).view(np.float32)
