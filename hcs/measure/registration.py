"""How far one channel of a field lies from another: filters and cameras shift what is seen through them, by a pixel or
by ten, and a mask drawn in one channel is then off in the other.

Outlines are compared, not brightness, for what is bright in one channel may be dark in the other: the gradients'
lengths of both channels are correlated at every offset up to a limit (scikit-image's `phase_cross_correlation` knows
neither a limit nor how sure it is).
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import cv2
import numpy as np
import scipy.fft
from numpy.typing import NDArray

REACH_PX = 16
"""Largest offset looked for, along each axis."""
SURE = 8.0
"""Least height of the correlation's peak over its standard deviation; of fields that have nothing in common the highest
of all offsets has 3 to 6."""
_AGREE_PX = 1.0
"""Within this of the plate's median a field's offset agrees with it."""
_SMOOTH_PX, _BROAD_PX = 1.0, 8.0
_MOST_PX = 1024
"""Of a field's side; the middle of a larger one is looked at."""


@dataclass(frozen=True, slots=True)
class Offset:
    """Where a channel lies, seen from another."""

    y_px: float
    x_px: float
    """What is at (y, x) in the other channel is at (y + y_px, x + x_px) in this one."""
    height: float
    """Of the peak, in standard deviations of the correlation."""

    @property
    def sure(self) -> bool:
        """Whether the channels have outlines in common."""
        return self.height >= SURE

    def whole(self) -> tuple[int, int]:
        """To the nearest pixel."""
        return round(self.y_px), round(self.x_px)


def offset_px(channel: NDArray[Any], other: NDArray[Any]) -> Offset:
    """Where ``channel`` (Y, X) lies, seen from ``other`` (Y, X); nothing is sure where values are no numbers.

    ValueError where they are not of one field.
    """
    if channel.shape != other.shape:
        raise ValueError(f"channels {channel.shape} and {other.shape} are not of one field")
    one, two = (_outlines(_middle(image)) for image in (channel, other))
    reach = min(REACH_PX, *(side // 2 - 1 for side in one.shape))
    if reach < 1 or not (np.isfinite(one).all() and np.isfinite(two).all()):
        return Offset(0.0, 0.0, 0.0)
    shape = [scipy.fft.next_fast_len(side + reach, real=True) for side in one.shape]
    spectrum = scipy.fft.rfft2(one, shape) * np.conj(scipy.fft.rfft2(two, shape))
    every = scipy.fft.irfft2(spectrum, shape)
    spread = float(every.std())
    near = np.roll(every, (reach, reach), axis=(0, 1))[: 2 * reach + 1, : 2 * reach + 1]
    y, x = (int(place) for place in np.unravel_index(int(near.argmax()), near.shape))
    height = float(near[y, x] - every.mean()) / spread if spread > 0 else 0.0
    return Offset(y - reach + _vertex(near[:, x], y), x - reach + _vertex(near[y], x), height)


def usual_offset(offsets: Sequence[Offset]) -> Offset | None:
    """The median of those fields that are sure; None where they are fewer than half, or half of them disagree."""
    sure = [each for each in offsets if each.sure]
    if not sure or 2 * len(sure) < len(offsets):
        return None
    y, x, height = np.median([(each.y_px, each.x_px, each.height) for each in sure], axis=0)
    close = sum(max(abs(each.y_px - y), abs(each.x_px - x)) <= _AGREE_PX for each in sure)
    return Offset(round(float(y), 3) + 0.0, round(float(x), 3) + 0.0, float(height)) if 2 * close > len(sure) else None


def moved(image: NDArray[Any], y_px: int, x_px: int) -> NDArray[Any]:
    """``image`` (Y, X) moved down and right by whole pixels; its outermost pixels are repeated beyond it."""
    rows, columns = (
        np.clip(np.arange(side) - by, 0, side - 1) for side, by in zip(image.shape, (y_px, x_px), strict=True)
    )
    return np.asarray(image[rows[:, None], columns])


def uncovered(shape: tuple[int, int], y_px: int, x_px: int) -> NDArray[np.bool_]:
    """Pixels (Y, X) of which an image moved so says nothing."""
    where = np.zeros(shape, np.bool_)
    where[: y_px if y_px > 0 else 0] = True
    where[shape[0] + y_px if y_px < 0 else shape[0] :] = True
    where[:, : x_px if x_px > 0 else 0] = True
    where[:, shape[1] + x_px if x_px < 0 else shape[1] :] = True
    return where


def _middle(image: NDArray[Any]) -> NDArray[np.float32]:
    top, left = (max(side - _MOST_PX, 0) // 2 for side in image.shape)
    return image[top : top + _MOST_PX, left : left + _MOST_PX].astype(np.float32)


def _outlines(image: NDArray[np.float32]) -> NDArray[np.float32]:
    """Length of the gradient of the square root of ``image`` (Y, X), less what is broad."""
    soft = cv2.GaussianBlur(np.sqrt(image - image.min()), (0, 0), _SMOOTH_PX)
    steep = np.hypot(cv2.Sobel(soft, cv2.CV_32F, 1, 0), cv2.Sobel(soft, cv2.CV_32F, 0, 1))
    broad = cv2.GaussianBlur(steep, (0, 0), _BROAD_PX)
    return np.asarray((steep - broad) / (broad + float(broad.mean()) + 1e-12), dtype=np.float32)


def _vertex(values: NDArray[Any], place: int) -> float:
    """Where a parabola through the value at ``place`` and its neighbours is highest, from there."""
    if not 0 < place < len(values) - 1:
        return 0.0
    below, top, above = (float(value) for value in values[place - 1 : place + 2])
    bend = below - 2.0 * top + above
    return 0.5 * (below - above) / bend if bend < 0 else 0.0
