"""Nuclei without a network: the pipelines that one is measured against. Images (Y, X) in, labels (Y, X) out."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import cv2
import numpy as np
from numpy.typing import NDArray
from scipy import ndimage
from skimage.filters import threshold_otsu

from hcs.segment.baselines.published import split_by_distance
from hcs.segment.ours.instances import keep_large

Method = Callable[[NDArray[Any]], NDArray[np.uint32]]
"""Field (Y, X) of any real dtype → labels (Y, X), 0 = background, 1..n in raster order."""

_MIN_AREA_PX = 20
_OPENING_PX = 101
_REDUCE = 4
_GAMMA = 0.7


def otsu(image: NDArray[Any]) -> NDArray[np.uint32]:
    """The basic pipeline: smoothed, one threshold by Otsu, holes filled, touching nuclei parted by distance watershed.

    A field of one value has no nuclei. Threshold: Otsu, IEEE Trans. Syst. Man Cybern. 9, 62 (1979).
    """
    smooth = cv2.GaussianBlur(np.asarray(image, dtype=np.float32), (0, 0), 1.0)
    return _nuclei(_above_otsu(np.asarray(smooth)))


def advanced(image: NDArray[Any]) -> NDArray[np.uint32]:
    """The pipeline of someone who looked at the images: background removed, median filter, Otsu after a gamma that
    keeps dim nuclei beside bright ones, opening that cuts thin bridges, seeds as far apart as the nuclei's size asks.

    The background is a morphological opening of 101 px, smoothed: what is wider than nuclei, shading and haze. Gamma,
    filters and distance were chosen on 50 training images.
    """
    pixels = np.asarray(image, dtype=np.float32)
    flat = cv2.medianBlur(np.clip(pixels - _background(pixels), 0.0, None), 3)
    cross = cv2.getStructuringElement(cv2.MORPH_ELLIPSE, (3, 3))
    opened = cv2.morphologyEx(_above_otsu(flat**_GAMMA).astype(np.uint8), cv2.MORPH_OPEN, cross)
    areas = cv2.connectedComponentsWithStats(opened)[2][1:, cv2.CC_STAT_AREA]
    areas = areas[areas >= _MIN_AREA_PX]
    radius_px = float(np.sqrt(np.median(areas) / np.pi)) if areas.size else 0.0
    return _nuclei(opened > 0, apart_px=max(3, round(0.75 * radius_px)), smooth_px=max(1.0, radius_px / 6.0))


METHODS: dict[str, Method] = {"otsu": otsu, "advanced": advanced}
"""Methods that need no training, by the name that `hcs segment --method` takes."""


def _background(pixels: NDArray[np.float32]) -> NDArray[np.float32]:
    """What varies over more than a nucleus (Y, X), at a quarter of the resolution for speed."""
    height, width = pixels.shape
    size = (max(width // _REDUCE, 1), max(height // _REDUCE, 1))
    side = _OPENING_PX // _REDUCE | 1
    small = cv2.resize(pixels, size, interpolation=cv2.INTER_AREA)
    disc = cv2.getStructuringElement(cv2.MORPH_ELLIPSE, (side, side))
    opened = cv2.GaussianBlur(cv2.morphologyEx(small, cv2.MORPH_OPEN, disc), (0, 0), side / 4.0)
    return np.asarray(cv2.resize(opened, (width, height), interpolation=cv2.INTER_LINEAR), dtype=np.float32)


def _above_otsu(image: NDArray[Any]) -> NDArray[np.bool_]:
    if image.max() == image.min():
        return np.zeros(image.shape, np.bool_)
    above: NDArray[np.bool_] = image > threshold_otsu(image)
    return above


def _nuclei(foreground: NDArray[np.bool_], *, apart_px: int = 5, smooth_px: float = 1.0) -> NDArray[np.uint32]:
    """Foreground (Y, X) → labels: holes filled, parted by distance, small pieces dropped."""
    labels = split_by_distance(ndimage.binary_fill_holes(foreground), apart_px=apart_px, smooth_px=smooth_px)
    return keep_large(labels, _MIN_AREA_PX)
