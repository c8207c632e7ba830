"""Runs: pixels of a row that lie side by side. Most of a field is background, and pieces of the rest are found by runs
in a fraction of what every pixel by itself would take."""

from __future__ import annotations

from typing import NamedTuple

import numba
import numpy as np
from numpy.typing import NDArray

Ints32 = NDArray[np.int32]
Bytes = NDArray[np.uint8]

_WORD = 8
_INSIDE = 0x0101010101010101
"""Eight pixels inside."""


class Runs(NamedTuple):
    """Runs of a field (Y, X), row by row from the left: row y has those from ``offsets[y]`` to before
    ``offsets[y + 1]``, half-open from ``starts`` to ``stops``. A list of all their pixels, or of those of the runs that
    these are parts of, has a run's first pixel at ``places``."""

    offsets: Ints32
    starts: Ints32
    stops: Ints32
    places: Ints32


def runs_of(mask: NDArray[np.bool_]) -> Runs:
    """Runs of a mask (Y, X)."""
    return runs_below(np.where(mask, np.float32(0.0), np.float32(1.0)), np.float32(0.5))


def runs_below(plane: NDArray[np.float32], limit: np.float32) -> Runs:
    """Runs of the pixels of a plane (Y, X) below ``limit``."""
    return _with_places(*_runs_below(np.ascontiguousarray(plane), limit))


def runs_above(listed: Bytes, level: int, within: Runs, chosen: NDArray[np.bool_]) -> tuple[Runs, Ints32]:
    """Runs of the pixels of which a number above ``level`` is listed, in those runs that are ``chosen``; and which of
    these each of them lies in."""
    *runs, inside = _runs_above(listed, level, within, chosen)
    return Runs(*runs), inside


def pieces_of(runs: Runs, *, corners: bool = False) -> tuple[Ints32, int]:
    """Of every run its piece (4-connected, with ``corners`` 8-connected), numbered from 0 by their first pixels in
    raster order; how many there are."""
    piece, count = _pieces(runs.offsets, runs.starts, runs.stops, int(corners))
    return piece, int(count)


def size_of(runs: Runs) -> int:
    """How many pixels runs have."""
    return int((runs.stops - runs.starts).sum())


def without_holes(runs: Runs, width: int, most_px: int) -> Runs:
    """Runs of a field of this ``width``, those joined between which there is a hole: a piece (4-connected) of up to
    ``most_px`` pixels off the runs that does not touch the field's border."""
    return _with_places(*_without_holes(runs, width, most_px))


def _with_places(offsets: Ints32, starts: Ints32, stops: Ints32) -> Runs:
    places = np.zeros(len(starts), np.int32)
    np.cumsum((stops - starts)[:-1], out=places[1:])
    return Runs(offsets, starts, stops, places)


@numba.njit(cache=True, nogil=True)
def _runs_below(plane: NDArray[np.float32], limit: np.float32) -> tuple[Ints32, Ints32, Ints32]:
    height, width = plane.shape
    offsets = np.zeros(height + 1, np.int32)
    room = height * 64
    starts, stops = np.empty(room, np.int32), np.empty(room, np.int32)
    inside = np.zeros((width + _WORD) // _WORD * _WORD, np.uint8)  # a run ends before its last byte
    words = inside.view(np.uint64)
    count = 0
    for y in range(height):
        row = plane[y]
        for x in range(width):
            inside[x] = row[x] < limit
        if count + width // 2 + 1 > room:
            room = 2 * room + width
            starts, stops = _longer(starts, room), _longer(stops, room)
        count = _add_runs(inside, words, starts, stops, count)
        offsets[y + 1] = count
    return offsets, starts[:count].copy(), stops[:count].copy()


@numba.njit(cache=True, nogil=True)
def _add_runs(inside: Bytes, words: NDArray[np.uint64], starts: Ints32, stops: Ints32, count: int) -> int:
    """Write the runs of a row behind ``count`` that are there; ``words`` are the row's bytes, eight at a time."""
    last = np.uint8(0)
    for w in range(len(words)):
        if words[w] == (np.uint64(_INSIDE) if last else np.uint64(0)):
            continue
        for x in range(w * _WORD, (w + 1) * _WORD):
            here = inside[x]
            if here == last:
                continue
            if here:
                starts[count] = x
            else:
                stops[count] = x
                count += 1
            last = here
    return count


@numba.njit(cache=True, nogil=True)
def _longer(values: Ints32, size: int) -> Ints32:
    found = np.empty(size, np.int32)
    found[: len(values)] = values
    return found


@numba.njit(cache=True, nogil=True)
def _runs_above(
    listed: Bytes, level: int, within: Runs, chosen: NDArray[np.bool_]
) -> tuple[Ints32, Ints32, Ints32, Ints32, Ints32]:
    height = len(within.offsets) - 1
    most = 0
    for r in range(len(chosen)):
        if chosen[r]:
            most += (within.stops[r] - within.starts[r] + 1) // 2
    offsets, count = np.zeros(height + 1, np.int32), 0
    starts, stops = np.empty(most, np.int32), np.empty(most, np.int32)
    places, inside = np.empty(most, np.int32), np.empty(most, np.int32)
    for y in range(height):
        for r in range(within.offsets[y], within.offsets[y + 1]):
            if not chosen[r]:
                continue
            i, x = within.places[r], within.starts[r]
            stop = i + within.stops[r] - x
            while i < stop:
                while i < stop and listed[i] <= level:
                    i += 1
                if i == stop:
                    break
                starts[count], places[count], inside[count] = x + i - within.places[r], i, r
                while i < stop and listed[i] > level:
                    i += 1
                stops[count] = x + i - within.places[r]
                count += 1
        offsets[y + 1] = count
    return offsets, starts[:count], stops[:count], places[:count], inside[:count]


@numba.njit(cache=True, nogil=True)
def _pieces(offsets: Ints32, starts: Ints32, stops: Ints32, reach: int) -> tuple[Ints32, int]:
    parent = np.arange(len(starts)).astype(np.int32)
    for y in range(1, len(offsets) - 1):
        i, j = offsets[y - 1], offsets[y]
        while i < offsets[y] and j < offsets[y + 1]:
            if starts[i] < stops[j] + reach and starts[j] < stops[i] + reach:
                _join(parent, i, j)
            if stops[i] < stops[j]:
                i += 1
            else:
                j += 1
    count = 0
    for i in range(len(parent)):  # a root comes before what it is the root of
        if parent[i] == i:
            parent[i] = count
            count += 1
        else:
            parent[i] = parent[parent[i]]
    return parent, count


@numba.njit(cache=True, nogil=True)
def _join(parent: Ints32, i: int, j: int) -> None:
    """Join the pieces of ``i`` and ``j``; the lower root stays."""
    while parent[i] != i:
        parent[i] = parent[parent[i]]
        i = parent[i]
    while parent[j] != j:
        parent[j] = parent[parent[j]]
        j = parent[j]
    if i < j:
        parent[j] = i
    elif j < i:
        parent[i] = j


@numba.njit(cache=True, nogil=True)
def _without_holes(runs: Runs, width: int, most_px: int) -> tuple[Ints32, Ints32, Ints32]:
    offsets, starts, stops = runs.offsets, runs.starts, runs.stops
    height = len(offsets) - 1
    # Row y has one gap more than runs: before each of them, and after the last; at the field's edge of no width.
    gaps = np.empty(height + 1, np.int32)
    for y in range(height + 1):
        gaps[y] = offsets[y] + y
    first, last = np.empty(gaps[height], np.int32), np.empty(gaps[height], np.int32)
    for y in range(height):
        g = gaps[y]
        first[g] = 0
        for r in range(offsets[y], offsets[y + 1]):
            last[g] = starts[r]
            g += 1
            first[g] = stops[r]
        last[g] = width
    piece, count = _pieces(gaps, first, last, 0)
    area = np.zeros(count, np.int64)
    for y in range(height):
        for g in range(gaps[y], gaps[y + 1]):
            outer = y == 0 or y == height - 1 or first[g] == 0 or last[g] == width
            area[piece[g]] += most_px + 1 if outer else last[g] - first[g]
    found_offsets, found = np.zeros(height + 1, np.int32), 0
    found_starts, found_stops = np.empty(len(starts), np.int32), np.empty(len(starts), np.int32)
    for y in range(height):
        for r in range(offsets[y], offsets[y + 1]):
            if r > offsets[y] and area[piece[r + y]] <= most_px:
                found_stops[found - 1] = stops[r]
                continue
            found_starts[found], found_stops[found] = starts[r], stops[r]
            found += 1
        found_offsets[y + 1] = found
    return found_offsets, found_starts[:found], found_stops[:found]
