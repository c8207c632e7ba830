"""Uneven illumination of a channel, and fields without it.

The camera records background + flat × signal. The background (camera offset, medium) is subtracted before dividing by
the flat-field, which would otherwise brighten it in the corners.
"""

from __future__ import annotations

from dataclasses import dataclass

import cv2
import numpy as np
from numpy.typing import NDArray

from hcs.measure.intensity import Floats32, as_float32

SIDE_PX = 256
"""Longest side to which fields are reduced for the estimate."""
_OTHER_PROPORTIONS = 0.02


@dataclass(frozen=True, slots=True, eq=False, kw_only=True)
class ChannelLight:
    """Illumination of one channel over the field, at low resolution: arrays (h, w) float32 that span the field."""

    flat: Floats32
    """Relative brightness of the same signal at each place; mean 1."""
    background: Floats32
    """What is recorded where there is no cell, in grey levels."""
    fields: int
    """Fields it was estimated from."""
    error: float = float("nan")
    """Relative standard error of ``flat``, from two halves of the fields; NaN where unknown."""
    reason: str = ""
    """Why ``flat`` is 1 everywhere, where it could not be estimated."""


def reduced(plane: NDArray[np.generic]) -> Floats32:
    """A plane (Y, X) as means over rectangles, with a longest side of 256 px, or its own where that is less."""
    pixels = as_float32(plane)
    scale = min(1.0, SIDE_PX / max(pixels.shape))
    height, width = (max(1, round(n * scale)) for n in pixels.shape)
    return np.asarray(cv2.resize(pixels, (width, height), interpolation=cv2.INTER_AREA), np.float32)


def correct(plane: NDArray[np.generic], light: ChannelLight) -> Floats32:
    """A plane (Y, X) as an evenly lit field would look: (plane - background) / flat + mean background, float32.

    Raises ValueError where the field is not of the proportions that ``light`` was estimated on: it is then of another
    camera or crop, and its corners are not where this light's are.
    """
    pixels = as_float32(plane)
    (height, width), (h, w) = pixels.shape, light.flat.shape
    if abs(np.log((height / width) / (h / w))) > _OTHER_PROPORTIONS:
        raise ValueError(
            f"a field of {width} × {height} px cannot be corrected with an illumination of {w} × {h}: its proportions "
            "are others; estimate the illumination on fields of this camera"
        )
    background, flat = (
        cv2.resize(image, (width, height), interpolation=cv2.INTER_LINEAR) for image in (light.background, light.flat)
    )
    corrected = pixels - background
    corrected /= flat
    corrected += light.background.mean(dtype=np.float64).astype(np.float32)
    return np.asarray(corrected, np.float32)
