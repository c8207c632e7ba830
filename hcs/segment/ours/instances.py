"""Three class probabilities of a whole field → nucleus labels."""

from __future__ import annotations

import cv2
import numba
import numpy as np
from numpy.typing import NDArray

from hcs.segment.ours.cores import find_cores
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
    foreground = _fill_holes(probabilities[0] < 1.0 - settings.foreground, settings.max_hole_px)
    labels = find_cores(probabilities[1], foreground, settings)
    grow(labels, foreground)
    _number_rest(labels, foreground)
    # Whether there is a nucleus is asked, not which part of it: where it is blurred or crowded, the network is sure of
    # the one and not of the other.
    return keep_sure(labels, probabilities[1] + probabilities[2], settings)


def confidence(probabilities: Planes) -> NDArray[np.float32]:
    """Probabilities (3, Y, X) → (Y, X) float32: the larger of the two nucleus classes; averaged over a nucleus, its
    confidence."""
    larger: NDArray[np.float32] = np.maximum(probabilities[1], probabilities[2])
    return larger


def large_pieces(mask: NDArray[np.bool_], least_px: int) -> NDArray[np.int32]:
    """Pieces (4-connected) of ``mask`` (Y, X) as labels, 0 for those of fewer than ``least_px`` pixels."""
    count, pieces = _pieces(mask)
    keep = areas(pieces, count) >= least_px
    keep[0] = False
    labels: NDArray[np.int32] = np.where(keep, np.arange(count, dtype=np.int32), 0)[pieces]
    return labels


def _pieces(mask: NDArray[np.bool_]) -> tuple[int, NDArray[np.int32]]:
    """4-connected pieces of ``mask`` (Y, X), 0 where it is not set, and how many numbers that takes."""
    count, pieces = cv2.connectedComponents(mask.view(np.uint8), connectivity=4, ltype=cv2.CV_32S)
    return count, np.asarray(pieces, np.int32)


def _fill_holes(foreground: NDArray[np.bool_], max_hole_px: int) -> NDArray[np.bool_]:
    """Background pieces (4-connected) of up to ``max_hole_px`` pixels that do not touch the field's border become
    foreground, in place."""
    if max_hole_px == 0:
        return foreground
    count, pieces = _pieces(~foreground)
    hole = areas(pieces, count) <= max_hole_px
    for border in (pieces[0], pieces[-1], pieces[:, 0], pieces[:, -1]):
        hole[border] = False
    hole[0] = False
    if hole.any():
        _add_pieces(foreground, pieces, hole)
    return foreground


@numba.njit(cache=True, nogil=True)
def _add_pieces(mask: NDArray[np.bool_], pieces: NDArray[np.int32], chosen: NDArray[np.bool_]) -> None:
    """Add the ``chosen`` of ``pieces`` (Y, X) to ``mask`` (Y, X) in place."""
    for y in range(mask.shape[0]):
        for x in range(mask.shape[1]):
            if chosen[pieces[y, x]]:
                mask[y, x] = True


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


@numba.njit(cache=True, nogil=True)
def grow(labels: NDArray[np.int32], mask: NDArray[np.bool_]) -> None:
    """Grow labels (Y, X) int32 in place through ``mask``, breadth first over 4-neighbours; the lower label wins a tie.

    Each round offers every unlabelled neighbour of the front the lowest label beside it, so the result does not depend
    on the order in which pixels are visited.
    """
    size, front = _rim(labels, mask)
    ahead = np.empty(labels.size, np.int32)
    flat, inside = labels.reshape(-1), mask.reshape(-1)
    row = np.int32(labels.shape[1])
    last = labels.size - row
    while size > 0:
        found = 0
        for n in range(size):
            i = front[n]
            label, x = flat[i], i % row
            for j, there in ((i - row, i >= row), (i - 1, x > 0), (i + 1, x < row - 1), (i + row, i < last)):
                if not there or not inside[j]:
                    continue
                held = flat[j]
                if held == 0:
                    # A negative label marks a pixel reached in this round, still open to a lower label.
                    flat[j] = -label
                    ahead[found] = j
                    found += 1
                elif held < 0 and -held > label:
                    flat[j] = -label
        for n in range(found):
            flat[ahead[n]] = -flat[ahead[n]]
        front, ahead = ahead, front
        size = found


@numba.njit(cache=True, nogil=True)
def _rim(labels: NDArray[np.int32], mask: NDArray[np.bool_]) -> tuple[int, NDArray[np.int32]]:
    """How many labelled pixels (Y, X) have a neighbour of ``mask`` without a label, and their flat indices at the
    beginning of an array for all pixels."""
    height, width = labels.shape
    rim = np.empty(labels.size, np.int32)
    size = 0
    for y in range(height):
        for x in range(width):
            if labels[y, x] == 0 or (
                (y == 0 or labels[y - 1, x] or not mask[y - 1, x])
                and (x == 0 or labels[y, x - 1] or not mask[y, x - 1])
                and (x == width - 1 or labels[y, x + 1] or not mask[y, x + 1])
                and (y == height - 1 or labels[y + 1, x] or not mask[y + 1, x])
            ):
                continue
            rim[size] = y * width + x
            size += 1
    return size, rim


@numba.njit(cache=True, nogil=True)
def _number_rest(labels: NDArray[np.int32], mask: NDArray[np.bool_]) -> None:
    """Number the pieces (8-connected) of ``mask`` (Y, X) without a label, after the labels there are, in place."""
    height, width = labels.shape
    label = labels.max()
    stack = [(0, 0)]
    stack.clear()
    for top in range(height):
        for left in range(width):
            if not mask[top, left] or labels[top, left]:
                continue
            label += 1
            labels[top, left] = label
            stack.append((top, left))
            while len(stack) > 0:
                y, x = stack.pop()
                for v in range(max(y - 1, 0), min(y + 2, height)):
                    for u in range(max(x - 1, 0), min(x + 2, width)):
                        if mask[v, u] and labels[v, u] == 0:
                            labels[v, u] = label
                            stack.append((v, u))


def keep_sure(
    labels: NDArray[np.int32], nucleus: NDArray[np.float32], settings: InstanceSettings
) -> NDArray[np.uint32]:
    """Labels (Y, X) of sizes and mean probability of a ``nucleus`` (Y, X) that the settings allow, numbered 1..n in
    raster order."""
    small_confidence = max(settings.small_confidence, settings.min_confidence)
    limits = np.array([settings.min_confidence, small_confidence])
    return keep_nuclei(labels, nucleus, settings.min_area_px, settings.small_px, limits)


@numba.njit(cache=True, nogil=True)
def keep_nuclei(
    labels: NDArray[np.int32],
    nucleus: NDArray[np.float32],
    min_area_px: int,
    small_px: int,
    min_confidence: NDArray[np.float64],
) -> NDArray[np.uint32]:
    """Drop labels of too few pixels or too low a mean of ``nucleus`` (Y, X); number the rest 1..n in raster order.

    ``min_confidence`` (2,) is that of labels of at least ``small_px`` pixels, and that of smaller ones.
    """
    area = np.zeros(labels.max() + 1, np.int64)
    total = np.zeros(area.size, np.float64)
    for y in range(labels.shape[0]):
        for x in range(labels.shape[1]):
            label = labels[y, x]
            if label:
                area[label] += 1
                total[label] += nucleus[y, x]
    least = np.where(area < small_px, min_confidence[1], min_confidence[0])
    kept = (area >= min_area_px) & (total >= least * area)
    number = np.zeros(area.size, np.uint32)
    numbered = 0
    out = np.zeros(labels.shape, np.uint32)
    for y in range(labels.shape[0]):
        for x in range(labels.shape[1]):
            label = labels[y, x]
            if label and kept[label]:
                if number[label] == 0:
                    numbered += 1
                    number[label] = numbered
                out[y, x] = number[label]
    return out
