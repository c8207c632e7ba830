"""Further numbers on two groups of control wells: one-sided Z', V-factor, signal window, classes of SSMD."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final

import numpy as np

from hcs.readout.groups import Floats
from hcs.readout.screen.zprime import zprime
from hcs.readout.settings import ControlStrength

_SSMD_CLASSES: Final[dict[ControlStrength, tuple[float, float, float]]] = {
    "moderate": (2.0, 1.0, 0.5),
    "strong": (3.0, 2.0, 1.0),
    "very strong": (5.0, 3.0, 2.0),
    "extremely strong": (7.0, 5.0, 3.0),
}
_NAN = float("nan")


def one_sided_zprime(positive: Floats, negative: Floats) -> float:
    """Z' whose two spreads are those of the wells on the side of the other control, from values (n,) each.

    A spread is the root mean square deviation from the group's mean of the wells between the two means, times
    sqrt(n / (n - 1)); a well on the mean counts half. It equals the standard deviation where the wells lie evenly
    about their mean, so that the figure departs from Z' only where they are skewed. The idea is CellProfiler's
    one-tailed Z' (CalculateStatistics). NaN for equal means.
    """
    m_p, m_n = float(positive.mean()), float(negative.mean())
    spreads = _toward(positive, m_p, m_n), _toward(negative, m_n, m_p)
    located = [np.array([value]) for value in (m_p, spreads[0], m_n, spreads[1])]
    return float(zprime(*located).item())


def _toward(values: Floats, mean: float, other: float) -> float:
    weight = (np.sign(values - mean) * np.sign(other - mean) + 1) / 2  # 1 on the other's side, 1/2 on the mean
    n = values.size
    if n < 2 or not weight.sum() > 0:
        return _NAN
    return float(np.sqrt(n / (n - 1) * np.average((values - mean) ** 2, weights=weight)))


def v_factor(points: Sequence[Floats], gap: float) -> float:
    """V = 1 - 6 x mean replicate standard deviation over all points of the dose curve / ``gap`` (Ravkin 2004).

    ``points`` are the replicate values of each dose, of the positive and of the negative controls, ``gap`` is the
    difference of the controls' means. With controls alone it is Z'. Doses of a single well have no spread and are
    left out. NaN for no gap.
    """
    spreads = [float(point.std(ddof=1)) for point in points if point.size > 1]
    return 1 - 6 * float(np.mean(spreads)) / abs(gap) if spreads and gap else _NAN


def signal_window(positive: Floats, negative: Floats) -> float:
    """(|difference of means| - 3 (sum of SD)) / SD of the control of the higher mean (Sittampalam 1997).

    From values (n,) each, in units of that SD; NaN where it is 0.
    """
    high = positive if positive.mean() >= negative.mean() else negative
    spread = float(high.std(ddof=1))
    window = abs(positive.mean() - negative.mean()) - 3 * (positive.std(ddof=1) + negative.std(ddof=1))
    return float(window) / spread if spread > 0 else _NAN


def signal_to_background(positive: Floats, negative: Floats) -> float:
    """Mean of the positive over mean of the negative wells; NaN unless both are above 0, as for logarithms."""
    m_p, m_n = float(positive.mean()), float(negative.mean())
    return m_p / m_n if m_p > 0 and m_n > 0 else _NAN


def variation(values: Floats) -> float:
    """Coefficient of variation (SD with n - 1, over the mean) of values (n,); NaN unless the mean is above 0."""
    mean = float(values.mean())
    return float(values.std(ddof=1)) / mean if mean > 0 else _NAN


def ssmd_class(low: float, high: float, strength: ControlStrength) -> str:
    """excellent, good, inferior or poor, by the interval of SSMD, for a positive control of this strength.

    What counts is the end nearer to 0; an interval that holds 0 is poor. The limits are those of Zhang et al., J.
    Biomol. Screen. 13, 363 (2008): 2, 1, 0.5 for a moderate control; 3, 2, 1 for a strong, 5, 3, 2 for a very strong,
    7, 5, 3 for an extremely strong one. Empty for NaN. The sign is left out: which way a control goes is known from
    its mean.
    """
    if not (np.isfinite(low) and np.isfinite(high)):
        return ""
    excellent, good, inferior = _SSMD_CLASSES[strength]
    size = max(low, -high, 0.0)
    if size >= excellent:
        return "excellent"
    return "good" if size >= good else "inferior" if size >= inferior else "poor"
