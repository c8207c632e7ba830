"""Times to an event that some cells are not watched for long enough to show (Kaplan & Meier 1958)."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
from scipy.special import ndtri

Floats = npt.NDArray[np.float64]
Flags = npt.NDArray[np.bool_]


@dataclass(frozen=True, slots=True)
class Survival:
    """Share of cells without the event, after each time at which one had it."""

    time: Floats
    """(k,) times of events, ascending."""
    share: Floats
    """(k,) share without the event after that time."""
    error: Floats
    """(k,) standard error of log (-log share), by Greenwood's formula; NaN where the share is 0 or 1."""
    last: float
    """Longest time that any cell was watched for, with or without the event; NaN without cells."""
    cells: int
    """Cells watched."""

    def at(self, time: float) -> float:
        """Share without the event at a time; NaN beyond the last cell's, unless all have had it."""
        over = bool(self.share.size) and self.share[-1] <= 0
        if not self.cells or (time > self.last and not over):
            return float("nan")
        before = int(np.searchsorted(self.time, time, side="right"))
        return float(self.share[before - 1]) if before else 1.0

    def median(self) -> float:
        """Time by which half of the cells have had the event; NaN where fewer have while they are watched."""
        return self._first(self.share)

    def median_interval(self, confidence: float) -> tuple[float, float]:
        """Interval of the median: where the share's own interval, on the scale of log (-log), crosses a half
        (Brookmeyer & Crowley 1982). NaN at an end that is not reached."""
        half_width = float(ndtri((1 + confidence) / 2)) * self.error
        with np.errstate(divide="ignore", invalid="ignore"):
            scale = np.log(-np.log(self.share))
            lower, upper = (np.exp(-np.exp(scale + sign * half_width)) for sign in (1, -1))
        dead = self.share <= 0
        return self._first(np.where(dead, 0.0, lower)), self._first(np.where(dead, 0.0, upper))

    def _first(self, share: Floats) -> float:
        under = np.flatnonzero(share <= 0.5 + 1e-12)
        return float(self.time[under[0]]) if under.size else float("nan")


def kaplan_meier(time: Floats, event: Flags) -> Survival:
    """Survival from times (n,) that cells were watched for and whether (n,) they then had the event.

    A cell without it counts as long as it is watched, so that slow cells are not left out as they are from a mean of
    those that finished. Times that are not finite are left out.
    """
    finite = np.isfinite(time)
    time, event = time[finite], event[finite]
    if not time.size:
        return Survival(np.zeros(0), np.zeros(0), np.zeros(0), float("nan"), 0)
    events, counts = np.unique(time[event], return_counts=True)
    at_risk = time.size - np.searchsorted(np.sort(time), events, side="left")
    share: Floats = np.cumprod(1 - counts / at_risk).astype(np.float64)
    with np.errstate(divide="ignore", invalid="ignore"):
        variance = np.cumsum(counts / (at_risk * (at_risk - counts)))
        error = np.sqrt(variance) / np.abs(np.log(share))
    return Survival(events, share, np.where(np.isfinite(error), error, np.nan), float(time.max()), int(time.size))
