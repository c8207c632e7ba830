"""How sharp a plane is, and each of its quarters."""

from __future__ import annotations

from typing import Any

import cv2
import numpy as np
from numpy.typing import NDArray

from hcs.measure.intensity import Floats, Floats32, Pixels
from hcs.measure.jit import kernel

ROW_STEP = 4
"""Every so many-th row is looked at."""
_STEPS_PX = (1, 2, 4, 8)
_WHOLE, _LEFT, _RIGHT = 0, 1, 2

Sums = tuple[Floats, int]
"""Sums of squared differences (4,) of pixels 1, 2, 4 and 8 apart, and the number of pairs."""


def focus_score(pixels: Pixels, *, noise: float, ceiling: float, fill: NDArray[np.bool_] | None = None) -> float:
    """Sharpness of a plane (Y, X): about 1 for sharp edges, 0 for a smooth image; NaN without structure.

    With S(h) the mean squared difference of pixels h apart, in rows and columns, it is
    2 − ½ log₂ [(S(8) − S(4)) / (S(2) − S(1))]: S grows as h across edges and as h² where all is smooth, so the score is
    2 less the exponent. White noise adds the same to every S and drops out, whatever its strength; gain, offset and
    the number of cells cancel in the ratio. Pixels above ``ceiling`` count as that, lest a few bright specks decide.
    The power spectrum's log-log slope (Bray et al., J. Biomol. Screen. 17, 266 (2012)) is the same exponent, of signal
    and noise together. Pairs with a pixel of ``fill`` (Y, X) are left out.
    """
    return focus_scores(pixels, noise=noise, ceiling=ceiling, fill=fill)[0]


def focus_scores(
    pixels: Pixels, *, noise: float, ceiling: float, fill: NDArray[np.bool_] | None = None
) -> tuple[float, ...]:
    """`focus_score` of a plane (Y, X) and of its quarters: upper left, upper right, lower left, lower right."""
    if fill is None:
        return tuple(_score(*one, noise) for one in _differences(pixels, ceiling))
    halves = [(slice(n // 2), slice(n // 2, None)) for n in pixels.shape]
    parts = [(slice(None), slice(None)), *((rows, columns) for rows in halves[0] for columns in halves[1])]
    return tuple(_score(*_recorded_differences(pixels[part], ceiling, fill[part]), noise) for part in parts)


def _score(sums: Floats, pairs: int, noise: float) -> float:
    if not pairs:
        return float("nan")
    s1, s2, s4, s8 = (float(s) for s in sums / pairs)
    # Standard error of a difference of two such means if there were nothing but noise of this strength.
    error = 4.0 * noise**2 / np.sqrt(pairs)
    if s8 - s4 <= 10.0 * error:
        return float("nan")
    return max(2.0 - 0.5 * float(np.log2((s8 - s4) / max(s2 - s1, error, 1e-6 * (s8 - s4)))), 0.0)


def _differences(pixels: Pixels, ceiling: float) -> list[Sums]:
    """Sums of a plane and of its quarters, of every fourth row of each.

    A row's sum is one of float32, from left to right, as it always was; rows are summed side by side, for which they
    lie in columns.
    """
    height, width = pixels.shape
    y, x = height // 2, width // 2
    rows = _sums_of_rows(pixels, ceiling)
    lower = rows[..., y // ROW_STEP :] if y % ROW_STEP == 0 else _sums_of_rows(pixels[y:], ceiling)
    upper = rows[..., : len(range(0, y - _STEPS_PX[-1], ROW_STEP))]
    across = [max(n - _STEPS_PX[-1], 0) for n in (width, x, width - x)]
    parts = ((rows, _WHOLE), (upper, _LEFT), (upper, _RIGHT), (lower, _LEFT), (lower, _RIGHT))
    return [(_folded(sums[:, side]), 2 * across[side] * sums.shape[-1]) for sums, side in parts]


def _folded(rows: Floats32) -> Floats:
    """Sums of rows (4, n) one after the other in float64, (4,)."""
    if rows.shape[1] == 0:
        return np.zeros(len(_STEPS_PX))
    return np.asarray(np.cumsum(rows, axis=1, dtype=np.float64)[:, -1])


def _sums_of_rows(pixels: Pixels, ceiling: float) -> Floats32:
    """Sums of every fourth row (4, 3, n), for each distance: of whole rows, and of their left and right halves."""
    count = len(range(0, pixels.shape[0] - _STEPS_PX[-1], ROW_STEP))
    if count == 0:
        return np.zeros((len(_STEPS_PX), 3, 0), np.float32)
    columns = [np.asarray(cv2.transpose(np.ascontiguousarray(pixels[k::ROW_STEP]))) for k in (0, 1, 2)]
    return _sums_of_columns(columns[0], columns[1], columns[2], np.float32(ceiling), count)


@kernel
def _sums_of_columns(rows: Any, next_rows: Any, second_rows: Any, most: Any, count: int) -> Floats32:
    """`_sums_of_rows` of ``count`` rows that lie in columns (X, k), those that follow them, and the next but one."""
    sums = np.zeros((4, 3, count), np.float32)
    width = len(rows)
    middle, reach = width // 2, 8
    for x in range(width - reach):
        if x == max(middle - reach, 0):
            sums[:, _LEFT] = sums[:, _WHOLE]
        here, right = rows[x], x >= middle
        _add((here, rows[x + 1], next_rows[x]), most, sums[0], right)
        _add((here, rows[x + 2], second_rows[x]), most, sums[1], right)
        _add((here, rows[x + 4], here[1:]), most, sums[2], right)
        _add((here, rows[x + 8], here[2:]), most, sums[3], right)
    return sums


@kernel
def _add(columns: tuple[Any, Any, Any], most: Any, sums: Floats32, right: bool) -> None:
    """Add the squared differences of pixels from those across and those below to the sums (3, n) of whole rows, and of
    their ``right`` halves."""
    here, across, below = columns
    whole, half = sums[_WHOLE], sums[_RIGHT]
    if right:
        for k in range(len(whole)):
            value = _up_to(here[k], most)
            step, fall = np.float32(_up_to(across[k], most) - value), np.float32(_up_to(below[k], most) - value)
            square = np.float32(np.float32(step * step) + np.float32(fall * fall))
            whole[k] += square
            half[k] += square
    else:
        for k in range(len(whole)):
            value = _up_to(here[k], most)
            step, fall = np.float32(_up_to(across[k], most) - value), np.float32(_up_to(below[k], most) - value)
            whole[k] += np.float32(np.float32(step * step) + np.float32(fall * fall))


@kernel
def _up_to(value: Any, most: Any) -> Any:
    """The value, or ``most``, whichever is less."""
    found = np.float32(value)
    return most if most < found else found


def _recorded_differences(pixels: Pixels, ceiling: float, fill: NDArray[np.bool_]) -> Sums:
    """Sums of the places at all of whose pixels something was recorded."""
    height, width = (max(n - _STEPS_PX[-1], 0) for n in pixels.shape)
    if not height or not width:
        return np.zeros(len(_STEPS_PX)), 0
    rows = np.arange(0, height, ROW_STEP)
    capped = np.minimum(pixels, np.float32(ceiling))
    known = ~fill[rows, :width]
    for step in _STEPS_PX:
        known &= ~fill[rows, step : width + step] & ~fill[rows + step, :width]
    here = capped[rows, :width]
    sums = np.zeros(len(_STEPS_PX))
    for k, step in enumerate(_STEPS_PX):
        for there in (capped[rows, step : width + step], capped[rows + step, :width]):
            sums[k] += np.square(there - here)[known].sum(dtype=np.float64)
    return sums, 2 * int(np.count_nonzero(known))
