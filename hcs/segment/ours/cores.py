"""Interior probability of a field → cores, one of each nucleus."""

from __future__ import annotations

import numba
import numpy as np
from numpy.typing import NDArray

from hcs.segment.ours.runs import Ints32, Runs, pieces_of, runs_above, size_of
from hcs.segment.settings import InstanceSettings

_NONE = -1


def find_cores(interior: NDArray[np.float32], foreground: Runs, settings: InstanceSettings) -> Ints32:
    """Interior probability (Y, X) and foreground → of all pixels of the foreground the core (m,) int32: 1..n in raster
    order, or 0.

    Above the first of ``settings.levels()`` the foreground falls into pieces (4-connected). A piece that is large
    enough for its level is one core, unless it comes apart at a higher one into two or more that are large enough
    there; then each of these is one, by the same rule, and what is too small is none.
    """
    levels = settings.levels()
    thresholds, size = np.array([level for level, _ in levels], np.float32), size_of(foreground)
    reached = _reached(np.ascontiguousarray(interior), foreground, thresholds, size)
    runs, chosen = foreground, np.ones(len(foreground.starts), np.bool_)
    within = np.zeros(len(chosen), np.int32)  # the piece of each run of the level below
    core = np.full(1, _NONE, np.int32)  # of each of these pieces; all of a field is none
    apart, found = np.zeros(0, np.bool_), []
    for k, (_, least_px) in enumerate(levels):
        runs, inside = runs_above(reached, k, runs, chosen)
        below = within[inside]
        within, count = pieces_of(runs)
        area, part_of, first = _pieces(runs, within, count, below, interior.shape[1])
        large = area >= least_px
        parts = np.bincount(part_of[large], minlength=len(core))
        # Where no more than one part is large, a core stays whole, and what of it is large may come apart further up.
        new = large & ((parts[part_of] > 1) | (k == 0))
        apart[core[(parts > 1) & (core != _NONE)]] = True
        core = np.where(large, core[part_of], _NONE).astype(np.int32)
        core[new] = np.arange(len(apart), len(apart) + np.count_nonzero(new), dtype=np.int32)
        apart = np.append(apart, np.zeros(np.count_nonzero(new), np.bool_))
        found.append((runs, within, np.where(new, core, _NONE), first[new]))
        least_above = levels[k + 1][1] if k + 1 < len(levels) else 0
        chosen = (large & (area >= 2 * least_above))[within]
    return _listed(size, found, apart)


def _listed(size: int, found: list[tuple[Runs, Ints32, Ints32, NDArray[np.int64]]], apart: NDArray[np.bool_]) -> Ints32:
    """The cores that did not come apart; of each level there are its runs, the piece of each, the core that a piece
    began or none, and the first pixels of the cores."""
    first = np.concatenate([first for *_, first in found])
    standing = np.flatnonzero(~apart)
    number = np.zeros(len(apart) + 1, np.int32)  # the last is that of none
    number[standing[np.argsort(first[standing])]] = np.arange(1, len(standing) + 1)
    cores = np.zeros(size, np.int32)
    for runs, piece, core, _ in found:
        _write(cores, runs, number[core][piece])
    return cores


@numba.njit(cache=True, nogil=True)
def _write(listed: Ints32, runs: Runs, numbers: Ints32) -> None:
    """List the number of every run for its pixels, but 0."""
    for r in range(len(numbers)):
        if numbers[r]:
            listed[runs.places[r] : runs.places[r] + runs.stops[r] - runs.starts[r]] = numbers[r]


@numba.njit(cache=True, nogil=True)
def _reached(plane: NDArray[np.float32], runs: Runs, thresholds: NDArray[np.float32], size: int) -> NDArray[np.uint8]:
    """Of every pixel of runs, ``size`` in all, how many ascending thresholds it exceeds."""
    listed = np.empty(size, np.uint8)
    exceeded = np.empty(plane.shape[1], np.uint8)
    for y in range(plane.shape[0]):
        row = plane[y]
        exceeded[:] = 0
        for threshold in thresholds:  # of the whole row: that is quicker than to pick out pixels of it
            for x in range(len(row)):
                exceeded[x] += row[x] > threshold
        for r in range(runs.offsets[y], runs.offsets[y + 1]):
            first = runs.places[r] - runs.starts[r]
            for x in range(runs.starts[r], runs.stops[r]):
                listed[first + x] = exceeded[x]
    return listed


@numba.njit(cache=True, nogil=True)
def _pieces(
    runs: Runs, piece: Ints32, count: int, below: Ints32, width: int
) -> tuple[NDArray[np.int64], Ints32, NDArray[np.int64]]:
    """Of every piece its pixels, the piece of the level below that it is part of, and its first pixel's place."""
    area, part_of, first = np.zeros(count, np.int64), np.zeros(count, np.int32), np.zeros(count, np.int64)
    for y in range(len(runs.offsets) - 1):
        for r in range(runs.offsets[y], runs.offsets[y + 1]):
            i = piece[r]
            if area[i] == 0:
                part_of[i], first[i] = below[r], y * width + runs.starts[r]
            area[i] += runs.stops[r] - runs.starts[r]
    return area, part_of, first
