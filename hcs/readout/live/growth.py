"""Growth of a well: nuclei over time, divisions and deaths, and the area of single nuclei."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
import pandas as pd
from scipy.special import gammaincinv, ndtri

from hcs.readout.live.survival import Floats
from hcs.readout.live.traces import SITE, Trace

_DAY, _HOUR = 1440.0, 60.0
_LEAST_FRAMES = 3


@dataclass(frozen=True, slots=True)
class Growth:
    """Rates of a well per nucleus; NaN with a ``reason`` where they cannot be told."""

    per_day: float
    """Growth of the number of nuclei."""
    doubling_h: float
    doubling_low_h: float
    doubling_high_h: float
    divisions_per_day: float
    divisions_low: float
    divisions_high: float
    deaths_per_day: float
    reason: str = ""


def find_growth(time: Floats, count: Floats, tracks: pd.DataFrame, *, watched_min: float, confidence: float) -> Growth:
    """Growth from nuclei a field (f,) at times (f,) in minutes, and the well's tracks, watched for so long together.

    The growth rate is the slope of the logarithm of the number of nuclei over time; the doubling time log 2 over that.
    Its interval holds what chance gives to a population of these cells: with D divisions and X deaths in E days of
    watching, the rate's standard error is sqrt (D + X) / E, beside the error of the straight line itself. An end at
    which cells no longer become more is NaN. Division and death rate are D / E and X / E; the interval of the former
    is the exact one of a count (Garwood 1936), for cells that divide independently.
    """
    nan = float("nan")
    known = np.isfinite(time) & (count > 0)
    days = watched_min / _DAY
    if known.sum() < _LEAST_FRAMES or not np.isfinite(days) or days <= 0:
        reason = f"{int(known.sum())} frames with nuclei and a time, {_LEAST_FRAMES} needed"
        return Growth(nan, nan, nan, nan, nan, nan, nan, nan, reason)
    born = float((tracks["Track_Ended"] == "divided").sum())
    died = float((tracks["Track_Ended"] == "died").sum())
    x, y = time[known] / _DAY, np.log(count[known])
    x = x - x.mean()
    slope = float(x @ y / (x @ x))
    line = float(np.sqrt(((y - y.mean() - slope * x) ** 2).sum() / max(len(y) - 2, 1) / (x @ x)))
    error = float(np.hypot(line, np.sqrt(born + died) / days))
    reach = float(ndtri((1 + confidence) / 2)) * error
    value, low, high = (np.log(2) / rate * 24 if rate > 0 else nan for rate in (slope, slope + reach, slope - reach))
    reason = "" if slope > 0 else "nuclei do not become more, so that they have no doubling time"
    fewest, most = (end / days for end in count_interval(born, confidence))
    return Growth(slope, value, low, high, born / days, fewest, most, died / days, reason)


def count_interval(events: float, confidence: float) -> tuple[float, float]:
    """Exact interval of an expected number of events, of which so many were seen (Garwood 1936)."""
    tail = (1 - confidence) / 2
    low = float(gammaincinv(events, tail)) if events else 0.0
    return low, float(gammaincinv(events + 1, 1 - tail))


def watched_min(tracks: pd.DataFrame, time_of: Mapping[int, float]) -> float:
    """Minutes for which the living nuclei of a well were watched, all tracks together; NaN without times.

    A track is watched from its first frame to its last, a mother until her daughters are seen, a cell that dies until
    then. ``time_of`` gives the minutes of every frame, which need not be evenly apart.
    """
    until = tracks["Track_LastMin"].to_numpy(np.float64).copy()
    births = tracks[tracks["Track_Parent"] > 0].groupby([SITE, "Track_Parent"])["Track_FirstMin"].min()
    divided = (tracks["Track_Ended"] == "divided").to_numpy()
    keys = pd.MultiIndex.from_frame(tracks.loc[divided, [SITE, "Track_Label"]])
    until[divided] = np.fmax(until[divided], births.reindex(keys).to_numpy(np.float64))
    died = (tracks["Track_Ended"] == "died").to_numpy()
    until[died] = [time_of.get(int(frame), np.nan) for frame in tracks.loc[died, "Track_DeathFrame"]]
    return float((until - tracks["Track_FirstMin"].to_numpy(np.float64)).sum())


def area_growth(cells: list[Trace], *, least_frames: int = 5) -> float:
    """Median growth of the nuclei's area in % an hour: slope of the logarithm of area over each track of some frames
    (Van Valen et al., PLoS Comput. Biol. 12, e1005177, 2016, fig. 3); NaN without such a track."""
    slopes = []
    for cell in cells:
        if len(cell.time) >= least_frames:
            x = (cell.time - cell.time.mean()) / _HOUR
            slopes.append(float(x @ np.log(cell.value) / (x @ x)))
    return 100 * float(np.expm1(np.median(slopes))) if slopes else float("nan")
