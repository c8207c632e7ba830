"""How the network sees a field: every plate is magnified so that nuclei are about as large as in training.

Scales are fractions of small whole numbers, so that a block of a field, cut at the right multiples, is resampled to
exactly the pixels that the whole field would give.
"""

from __future__ import annotations

import math
from fractions import Fraction
from typing import Any

import cv2
import numpy as np
from numpy.typing import NDArray

SCALES: tuple[Fraction, ...] = tuple(
    Fraction(p, q) for p, q in ((1, 8), (1, 6), (1, 4), (1, 3), (1, 2), (2, 3), (1, 1), (3, 2), (2, 1), (3, 1))
)
"""Magnifications in use; neighbours differ by at most 1.5, so that `scale_for` misses a size by at most 23 %."""

MIRRORS: tuple[tuple[int, ...], ...] = ((), (0,), (1,), (0, 1))
"""Axes along which a field (Y, X) is turned to give its four mirror images; the first is the field itself."""


def scale_for(diameter_px: float, target_px: float) -> Fraction:
    """The magnification that brings nuclei of ``diameter_px`` closest, in ratio, to ``target_px``; of a tie the
    smaller."""
    wanted = math.log(target_px / diameter_px)
    return min(SCALES, key=lambda s: (round(abs(math.log(s) - wanted), 9), s))


def working_scale(diameter_px: float, target_px: float) -> Fraction:
    """The magnification at which a plate is processed: that of `scale_for`, but 1 for nuclei from half ``target_px`` up
    to it.

    The networks are trained on nuclei from half to twice that size, and magnifying takes 2.25 times the work or more;
    on training images it gained nothing that could be told from chance (`benchmarks/scales.py`).
    """
    return Fraction(1) if target_px / 2 <= diameter_px <= target_px else scale_for(diameter_px, target_px)


def enlarged(image: NDArray[np.float32], scale: Fraction) -> NDArray[np.float32]:
    """Field (Y, X) at ``scale``: pixels averaged where it is below 1, interpolated linearly above.

    The field is first extended by repeating its edge, to a multiple of the scale's denominator.
    """
    if scale == 1:
        return image
    p, q = scale.numerator, scale.denominator
    height, width = image.shape
    padded = np.pad(image, ((0, -height % q), (0, -width % q)), mode="edge")
    size = (padded.shape[1] // q * p, padded.shape[0] // q * p)
    method = cv2.INTER_AREA if scale < 1 else cv2.INTER_LINEAR
    return np.asarray(cv2.resize(padded, size, interpolation=method), dtype=np.float32)


def restored(planes: NDArray[np.float32], scale: Fraction, shape: tuple[int, int]) -> NDArray[np.float32]:
    """Planes (C, y, x) at ``scale`` back at full resolution, (C, Y, X) of ``shape``: the inverse of `enlarged`."""
    if scale == 1:
        return planes
    p, q = scale.numerator, scale.denominator
    size = (planes.shape[2] // p * q, planes.shape[1] // p * q)
    method = cv2.INTER_LINEAR if scale < 1 else cv2.INTER_AREA
    full = np.empty((planes.shape[0], *shape), np.float32)
    for out, plane in zip(full, planes, strict=True):
        out[:] = cv2.resize(plane, size, interpolation=method)[: shape[0], : shape[1]]
    return full


def diameters_px(labels: NDArray[Any]) -> NDArray[np.float64]:
    """Equivalent diameter, px, 2 sqrt(area / π), of every nucleus in labels (Y, X), in the order of the labels."""
    areas = np.bincount(labels.ravel())[1:]
    return np.asarray(2.0 * np.sqrt(areas[areas > 0] / math.pi), dtype=np.float64)
