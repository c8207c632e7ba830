"""CDK2 after mitosis: when it begins to rise, and the classes of cells by that."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from hcs.readout.live.settings import LiveSettings
from hcs.readout.live.survival import Floats

INC, LOW, EMERGING, UNDECIDED = "inc", "low", "emerging", "undecided"
_BEGIN = 1 / 3  # of rise_by above the lowest value: where a rise is said to begin


@dataclass(frozen=True, slots=True)
class Rise:
    """The rise of one cell's CDK2; times in minutes after birth."""

    begins: float
    """When the rise begins; NaN for a cell that is not seen to rise."""
    unrisen: float
    """How long the cell was known not to have begun: until ``begins``, or as long as it is watched at its lowest."""
    lowest: float
    """Lowest smoothed ratio before the rise."""
    kind: str
    """inc, emerging, low, or undecided where the cell is not watched for long enough."""


def find_rise(time: Floats, ratio: Floats, settings: LiveSettings) -> Rise:
    """The rise in a trace of smoothed ratios (f,) at times (f,) in minutes after birth.

    The rule: CDK2 has risen at the first time from which the ratio stays ``rise_by`` above its lowest so far for
    ``hold_min``; the rise began when it was last within a third of that. Begun within ``early_min``: inc; later:
    emerging; not begun for ``low_min``: low (after Spencer et al., Cell 155, 369, 2013, who draw the line by eye
    between traces that rise at once and those that stay low).
    """
    lowest = np.minimum.accumulate(ratio)
    above = ratio >= lowest + settings.rise_by
    for k in np.flatnonzero(above).tolist():
        held = (time >= time[k]) & (time <= time[k] + settings.hold_min)
        if (ratio[held] >= lowest[k] + settings.rise_by).all() and held.sum() > 1:
            begins = _left(time, ratio, k, float(lowest[k]) + _BEGIN * settings.rise_by)
            return Rise(begins, begins, float(lowest[k]), INC if begins <= settings.early_min else EMERGING)
    near = np.flatnonzero(ratio <= lowest + _BEGIN * settings.rise_by)
    unrisen = float(time[near[-1]])
    return Rise(float("nan"), unrisen, float(lowest[-1]), LOW if unrisen >= settings.low_min else UNDECIDED)


def _left(time: Floats, ratio: Floats, risen: int, level: float) -> float:
    """Time at which the ratio was last at ``level`` before frame ``risen``, between frames by a straight line."""
    low = np.flatnonzero(ratio[:risen] <= level)
    if not low.size:
        return float(time[0])
    k = int(low[-1])
    share = (level - ratio[k]) / (ratio[k + 1] - ratio[k])
    return float(time[k] + share * (time[k + 1] - time[k]))
