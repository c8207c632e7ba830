"""Three class probabilities of a whole field → nucleus labels."""

from __future__ import annotations

import cv2
import numba
import numpy as np
from numpy.typing import NDArray

from hcs.segment.ours.cores import find_cores
from hcs.segment.ours.runs import Runs, pieces_of, runs_below, runs_of, without_holes
from hcs.segment.settings import InstanceSettings

Planes = NDArray[np.float32] | tuple[NDArray[np.float32], NDArray[np.float32], NDArray[np.float32]]
"""Probabilities (3, Y, X), in one array or three: background, interior, boundary."""


def three_of(probabilities: NDArray[np.float32]) -> Planes:
    """Probabilities (2 + k, Y, X) of background, the interiors of k kinds, and boundary → of background, interior of
    any kind, boundary."""
    interior: NDArray[np.float32] = probabilities[1].copy()
    for plane in probabilities[2:-1]:
        interior += plane
    return probabilities[0], interior, probabilities[-1]


def instances(probabilities: Planes, settings: InstanceSettings) -> NDArray[np.uint32]:
    """Probabilities (3, Y, X) of background, interior, boundary → labels (Y, X) uint32, 0 = background, 1..n in
    raster order.

    Cores of the interior class (`hcs.segment.ours.cores`) are grown back through the foreground, each pixel to the core
    that reaches it in the fewest steps. A piece of foreground without a core (a nucleus too small to have an interior)
    is one nucleus.
    """
    background, interior, boundary = probabilities
    foreground = runs_below(background, np.float32(1.0 - settings.foreground))
    if settings.max_hole_px:
        foreground = without_holes(foreground, background.shape[1], settings.max_hole_px)
    labels = find_cores(interior, foreground, settings)
    count = grow(labels, foreground)
    # Whether there is a nucleus is asked, not which part of it: where it is blurred or crowded, the network is sure of
    # the one and not of the other.
    sure = _summed(np.ascontiguousarray(interior), np.ascontiguousarray(boundary), foreground, len(labels))
    return _kept(labels, count, (foreground, background.shape[1]), sure, settings)


def confidence(probabilities: Planes) -> NDArray[np.float32]:
    """Probabilities (3, Y, X) → (Y, X) float32: the larger of the two nucleus classes; averaged over a nucleus, its
    confidence."""
    larger: NDArray[np.float32] = np.maximum(probabilities[1], probabilities[2])
    return larger


def large_pieces(mask: NDArray[np.bool_], least_px: int) -> NDArray[np.int32]:
    """Pieces (4-connected) of ``mask`` (Y, X) as labels, 0 for those of fewer than ``least_px`` pixels."""
    count, found = cv2.connectedComponents(mask.view(np.uint8), connectivity=4, ltype=cv2.CV_32S)
    pieces = np.asarray(found, np.int32)
    keep = areas(pieces, count) >= least_px
    keep[0] = False
    labels: NDArray[np.int32] = np.where(keep, np.arange(count, dtype=np.int32), 0)[pieces]
    return labels


@numba.njit(cache=True, nogil=True)
def areas(labels: NDArray[np.int32], count: int) -> NDArray[np.int64]:
    """Pixels of each label 0..count − 1 of labels (Y, X). OpenCV's statistics of components take ten times as long."""
    area = np.zeros(count, np.int64)
    for y in range(labels.shape[0]):
        start = 0
        for x in range(1, labels.shape[1]):
            if labels[y, x] != labels[y, start]:
                area[labels[y, start]] += x - start
                start = x
        area[labels[y, start]] += labels.shape[1] - start
    return area


def grow(labels: NDArray[np.int32], foreground: Runs) -> int:
    """Grow the labels of all pixels of the foreground (m,) in place where they are 0: breadth first over 4-neighbours,
    the lower label wins a tie. What no label reaches is numbered after them, piece by piece (8-connected). The largest
    label then."""
    piece, count = pieces_of(foreground, corners=True)
    rows = np.repeat(np.arange(len(foreground.offsets) - 1, dtype=np.int32), np.diff(foreground.offsets))
    box = _boxes(foreground, rows, piece, count)
    sides = box[:, 2:] - box[:, :2]
    if (sides[:, 0] * sides[:, 1]).sum() > _MOST_WORK * len(labels) + _LEAST_WORK:  # pieces around pieces: as one
        piece[:] = 0
        box = np.concatenate((box[:, :2].min(axis=0), box[:, 2:].max(axis=0)))[None]
    order = np.argsort(piece, kind="stable").astype(np.int32)
    ends = np.cumsum(np.bincount(piece, minlength=len(box)))
    return int(_grow(labels, int(labels.max(initial=0)), (foreground, rows, order), ends, box))


_MOST_WORK, _LEAST_WORK = 16, 2**20
"""Pieces of the foreground are grown each in its box, unless these have so many times its pixels, and more."""


@numba.njit(cache=True, nogil=True)
def _boxes(runs: Runs, rows: NDArray[np.int32], piece: NDArray[np.int32], count: int) -> NDArray[np.int64]:
    """Of every piece the box y0, x0, y1, x1, half-open."""
    box = np.empty((count, 4), np.int64)
    box[:, 0], box[:, 1], box[:, 2:] = 2**31, 2**31, 0
    for r in range(len(piece)):
        here = box[piece[r]]
        here[0], here[1] = min(here[0], rows[r]), min(here[1], runs.starts[r])
        here[2], here[3] = max(here[2], rows[r] + 1), max(here[3], runs.stops[r])
    return box


@numba.njit(cache=True, nogil=True)
def _grow(
    labels: NDArray[np.int32],
    label: int,
    runs: tuple[Runs, NDArray[np.int32], NDArray[np.int32]],
    ends: NDArray[np.int64],
    box: NDArray[np.int64],
) -> int:
    """Grow every piece of the foreground in its box, framed by a pixel: of the foreground there are the runs, the row
    of each, and their order by pieces, which end with ``ends``. ``label`` is the largest yet."""
    foreground, rows, order = runs
    room = 0
    for i in range(len(box)):
        room = max(room, (box[i, 2] - box[i, 0] + 2) * (box[i, 3] - box[i, 1] + 2))
    framed = np.empty(room, np.int32)
    places = np.empty((3, room), np.int32)
    begin = 0
    for i in range(len(ends)):
        row = box[i, 3] - box[i, 1] + 2
        here = framed[: (box[i, 2] - box[i, 0] + 2) * row]
        here[:] = _OFF
        for r in order[begin : ends[i]]:
            at = (rows[r] - box[i, 0] + 1) * row + foreground.starts[r] - box[i, 1] + 1
            first, size = foreground.places[r], foreground.stops[r] - foreground.starts[r]
            for x in range(size):
                here[at + x] = labels[first + x]
        label = _grow_piece(here, row, label, places)
        for r in order[begin : ends[i]]:
            at = (rows[r] - box[i, 0] + 1) * row + foreground.starts[r] - box[i, 1] + 1
            first, size = foreground.places[r], foreground.stops[r] - foreground.starts[r]
            for x in range(size):
                labels[first + x] = here[at + x]
        begin = ends[i]
    return label


_OFF = -1
"""A pixel off the foreground, or of the frame."""


@numba.njit(cache=True, nogil=True)
def _grow_piece(flat: NDArray[np.int32], row: int, label: int, places: NDArray[np.int32]) -> int:
    """Label all pixels of a piece; the largest label then, which was ``label``. ``places`` is to work in."""
    left, n_open = places[0], 0
    for i in range(len(flat)):
        left[n_open] = i
        n_open += flat[i] == 0
    size = _first_round(flat, row, left[:n_open], places[1])
    while size > 0:
        size = _round(flat, row, size, places[1:])
    for i in left[:n_open]:
        if flat[i] == 0:
            label += 1
            _flood(flat, row, i, label, places[1])
    return label


@numba.njit(cache=True, nogil=True)
def _first_round(flat: NDArray[np.int32], row: int, left: NDArray[np.int32], reached: NDArray[np.int32]) -> int:
    """Mark those of the pixels that are ``left`` that have a label beside them with the lowest, negative; list them."""
    size = 0
    for i in left:
        beside = 0
        for j in (i - row, i - 1, i + 1, i + row):
            if flat[j] > 0 and (beside == 0 or flat[j] < beside):
                beside = flat[j]
        if beside:
            flat[i] = -beside
            reached[size] = i
            size += 1
    return size


@numba.njit(cache=True, nogil=True)
def _round(flat: NDArray[np.int32], row: int, size: int, fronts: NDArray[np.int32]) -> int:
    """Give the ``size`` pixels that were reached, the first row of ``fronts``, their labels, and list there instead
    those that these reach.

    Every open neighbour is offered the lowest label beside it, so the result does not depend on the order in which
    pixels are visited. A negative label marks a pixel reached in this round, still open to a lower label; `_OFF` is
    open to none.
    """
    front, ahead, found = fronts[1], fronts[0], 0
    for n in range(size):
        front[n] = ahead[n]
        flat[front[n]] = -flat[front[n]]
    for n in range(size):
        i = front[n]
        mine = flat[i]
        for j in (i - row, i - 1, i + 1, i + row):
            held = flat[j]
            if held == 0:
                flat[j] = -mine
                ahead[found] = j
                found += 1
            elif held < 0 and -held > mine:
                flat[j] = -mine
    return found


@numba.njit(cache=True, nogil=True)
def _flood(flat: NDArray[np.int32], row: int, start: int, label: int, stack: NDArray[np.int32]) -> None:
    """Give a pixel and all open ones that it is connected to (8-connected) a label."""
    flat[start] = label
    stack[0], size = start, 1
    while size > 0:
        size -= 1
        for at in range(stack[size] - row, stack[size] + row + 1, row):
            for j in range(at - 1, at + 2):
                if flat[j] == 0:
                    flat[j] = label
                    stack[size] = j
                    size += 1


def keep_sure(
    labels: NDArray[np.int32], nucleus: NDArray[np.float32], settings: InstanceSettings
) -> NDArray[np.uint32]:
    """Labels (Y, X) of sizes and mean probability of a ``nucleus`` (Y, X) that the settings allow, numbered 1..n in
    raster order."""
    inside = labels > 0
    runs = runs_of(inside), labels.shape[1]
    return _kept(labels[inside], int(labels.max()), runs, nucleus[inside], settings)


def keep_large(labels: NDArray[np.int32], min_area_px: int) -> NDArray[np.uint32]:
    """Labels (Y, X) of at least so many pixels, numbered 1..n in raster order."""
    settings = InstanceSettings(min_area_px=min_area_px, min_confidence=0.0, small_confidence=0.0)
    return keep_sure(labels, np.ones(labels.shape, np.float32), settings)


def _kept(
    labels: NDArray[np.int32],
    count: int,
    field: tuple[Runs, int],
    nucleus: NDArray[np.float32],
    settings: InstanceSettings,
) -> NDArray[np.uint32]:
    """As `keep_sure`, of labels (m,) up to ``count`` and probability (m,) of all pixels of runs in a field of a
    width."""
    small = max(settings.small_confidence, settings.min_confidence)
    runs, width = field
    out = np.zeros((len(runs.offsets) - 1, width), np.uint32)
    area, total = _weighed(labels, count, nucleus)
    least = np.where(area < settings.small_px, small, settings.min_confidence)
    _number(labels, runs, (area >= settings.min_area_px) & (total >= least * area), out)
    return out


@numba.njit(cache=True, nogil=True)
def _summed(one: NDArray[np.float32], other: NDArray[np.float32], runs: Runs, size: int) -> NDArray[np.float32]:
    """Sum of two planes (Y, X) in all pixels of runs, ``size`` in all."""
    listed = np.empty(size, np.float32)
    total = np.empty(one.shape[1], np.float32)
    for y in range(one.shape[0]):
        here, there = one[y], other[y]
        for x in range(len(here)):
            total[x] = here[x] + there[x]
        for r in range(runs.offsets[y], runs.offsets[y + 1]):
            first = runs.places[r] - runs.starts[r]
            for x in range(runs.starts[r], runs.stops[r]):
                listed[first + x] = total[x]
    return listed


@numba.njit(cache=True, nogil=True)
def _weighed(
    labels: NDArray[np.int32], count: int, nucleus: NDArray[np.float32]
) -> tuple[NDArray[np.int64], NDArray[np.float64]]:
    """Of every label up to ``count`` the number of pixels, and their sum of ``nucleus``."""
    area, total = np.zeros(count + 1, np.int64), np.zeros(count + 1, np.float64)
    i = 0
    while i < len(labels):  # by pixels of one label
        label, first, weight = labels[i], i, total[labels[i]]
        while i < len(labels) and labels[i] == label:
            weight += nucleus[i]
            i += 1
        area[label] += i - first
        total[label] = weight
    return area, total


@numba.njit(cache=True, nogil=True)
def _number(labels: NDArray[np.int32], runs: Runs, kept: NDArray[np.bool_], out: NDArray[np.uint32]) -> None:
    """Write the labels that are kept, numbered 1..n in raster order."""
    number = np.zeros(len(kept), np.uint32)
    numbered = 0
    for y in range(len(runs.offsets) - 1):
        for r in range(runs.offsets[y], runs.offsets[y + 1]):
            before = runs.places[r] - runs.starts[r]
            x, stop = runs.starts[r], runs.stops[r]
            while x < stop:
                label, first = labels[before + x], x
                while x < stop and labels[before + x] == label:
                    x += 1
                if not kept[label]:
                    continue
                if number[label] == 0:
                    numbered += 1
                    number[label] = numbered
                out[y, first:x] = number[label]
