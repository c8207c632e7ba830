"""Three class probabilities of a whole field → nucleus labels."""

from __future__ import annotations

import cv2
import numba
import numpy as np
from numpy.typing import NDArray

from hcs.segment.settings import InstanceSettings


def instances(probabilities: NDArray[np.float32], settings: InstanceSettings) -> NDArray[np.uint32]:
    """Probabilities (3, Y, X) of background, interior, boundary → labels (Y, X) uint32, 0 = background, 1..n in
    raster order.

    Connected cores of the interior class are grown back through the foreground, each pixel to the core that reaches
    it in
    the fewest steps. A piece of foreground without a core (a nucleus too small to have an interior) is one nucleus.
    """
    foreground = _fill_holes(probabilities[0] < 1.0 - settings.foreground, settings.max_hole_px)
    cores = (probabilities[1] > settings.interior) & foreground
    labels = large_pieces(cores, settings.min_core_px)
    grow(labels, foreground)
    coreless = foreground & (labels == 0)
    _, extra = cv2.connectedComponents(coreless.view(np.uint8), connectivity=8, ltype=cv2.CV_32S)
    labels[coreless] = extra[coreless] + labels.max()
    return keep_sure(labels, confidence(probabilities), settings)


def confidence(probabilities: NDArray[np.float32]) -> NDArray[np.float32]:
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
    foreground."""
    if max_hole_px == 0:
        return foreground
    count, pieces = _pieces(~foreground)
    hole = areas(pieces, count) <= max_hole_px
    for border in (pieces[0], pieces[-1], pieces[:, 0], pieces[:, -1]):
        hole[border] = False
    hole[0] = False
    filled: NDArray[np.bool_] = foreground | hole[pieces]
    return filled


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
    height, width = labels.shape
    front = np.empty(labels.size, np.int64)
    ahead = np.empty(labels.size, np.int64)
    size = 0
    for y in range(height):
        for x in range(width):
            if labels[y, x] > 0:
                front[size] = y * width + x
                size += 1
    while size > 0:
        found = 0
        for i in range(size):
            y, x = front[i] // width, front[i] % width
            label = labels[y, x]
            for dy, dx in ((-1, 0), (0, -1), (0, 1), (1, 0)):
                v, u = y + dy, x + dx
                if v < 0 or u < 0 or v >= height or u >= width or not mask[v, u]:
                    continue
                held = labels[v, u]
                if held == 0:
                    # A negative label marks a pixel reached in this round, still open to a lower label.
                    labels[v, u] = -label
                    ahead[found] = v * width + u
                    found += 1
                elif held < 0 and -held > label:
                    labels[v, u] = -label
        for i in range(found):
            y, x = ahead[i] // width, ahead[i] % width
            labels[y, x] = -labels[y, x]
        front, ahead = ahead, front
        size = found


def keep_sure(
    labels: NDArray[np.int32], sureness: NDArray[np.float32], settings: InstanceSettings
) -> NDArray[np.uint32]:
    """Labels (Y, X) of sizes and of mean ``sureness`` (Y, X) that the settings allow, numbered 1..n in raster order."""
    small_confidence = max(settings.small_confidence, settings.min_confidence)
    limits = np.array([settings.min_confidence, small_confidence])
    return keep_nuclei(labels, sureness, settings.min_area_px, settings.small_px, limits)


@numba.njit(cache=True, nogil=True)
def keep_nuclei(
    labels: NDArray[np.int32],
    sureness: NDArray[np.float32],
    min_area_px: int,
    small_px: int,
    min_confidence: NDArray[np.float64],
) -> NDArray[np.uint32]:
    """Drop labels of too few pixels or too low a mean ``sureness`` (Y, X); number the rest 1..n in raster order.

    ``min_confidence`` (2,) is that of labels of at least ``small_px`` pixels, and that of smaller ones.
    """
    area = np.zeros(labels.max() + 1, np.int64)
    total = np.zeros(area.size, np.float64)
    for y in range(labels.shape[0]):
        for x in range(labels.shape[1]):
            label = labels[y, x]
            if label:
                area[label] += 1
                total[label] += sureness[y, x]
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
