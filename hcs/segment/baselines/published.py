"""Probabilities → nuclei as published pipelines do it, for networks that were trained for that."""

from __future__ import annotations

import cv2
import numpy as np
from numpy.typing import NDArray
from scipy import ndimage
from skimage.feature import peak_local_max
from skimage.segmentation import expand_labels, watershed

from hcs.segment.distance import distance_px
from hcs.segment.ours.instances import keep_sure, large_pieces
from hcs.segment.settings import InstanceSettings


def watershed_instances(probabilities: NDArray[np.float32], settings: InstanceSettings) -> NDArray[np.uint32]:
    """Probabilities (2, Y, X) of background and nucleus → labels (Y, X) uint32, 1..n in raster order.

    The foreground, its holes filled, is parted by `split_by_distance`.
    """
    foreground = ndimage.binary_fill_holes(probabilities[1] > settings.foreground)
    labels = split_by_distance(foreground)
    return keep_sure(labels, probabilities[1], settings)


def split_by_distance(foreground: NDArray[np.bool_], *, apart_px: int = 5, smooth_px: float = 1.0) -> NDArray[np.int32]:
    """Foreground (Y, X) → labels (Y, X) int32: watershed of the distance from the background, smoothed with
    ``smooth_px``, from its maxima at least ``apart_px`` apart. Every piece of foreground gets at least one label."""
    # The border of the image is no edge: a nucleus cut by it is as deep there as further inside.
    padded = np.pad(foreground, 1, mode="edge")
    if padded.all():
        return np.ones(foreground.shape, np.int32)
    distance = cv2.GaussianBlur(distance_px(padded)[1:-1, 1:-1], (0, 0), smooth_px)
    _, pieces = cv2.connectedComponents(foreground.astype(np.uint8), connectivity=4, ltype=cv2.CV_32S)
    peaks = peak_local_max(distance, min_distance=apart_px, labels=pieces, exclude_border=False)
    seeds = np.zeros(foreground.shape, np.uint8)
    seeds[tuple(peaks.T)] = 1
    _, markers = cv2.connectedComponents(seeds, connectivity=8, ltype=cv2.CV_32S)
    return np.asarray(watershed(-distance, markers, mask=foreground), dtype=np.int32)


def dilated_interiors(
    probabilities: NDArray[np.float32], settings: InstanceSettings, *, grow_px: int
) -> NDArray[np.uint32]:
    """Probabilities (3, Y, X) → labels (Y, X) uint32, 1..n in raster order: pieces of likeliest interior, grown by
    ``grow_px``.

    For networks whose boundary class lies on both sides of the outline (Caicedo et al. 2019): what it takes from the
    nucleus is given back, whatever the boundary class says further out.
    """
    cores = large_pieces(probabilities.argmax(axis=0) == 1, settings.min_core_px)
    # Half a pixel more reaches the neighbours by a knight's move, without which round nuclei lose their corners.
    grown = np.asarray(expand_labels(cores, distance=grow_px + 0.5), dtype=np.int32)
    return keep_sure(grown, probabilities[1] + probabilities[2], settings)
