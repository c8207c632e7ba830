"""Traces: one value of a cell over its frames, from the nucleus table of one well."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
import pandas as pd

from hcs.readout.live.survival import Floats

LABEL = "Nuclei_TrackObjects_Label"
QUALITY = "Nuclei_TrackObjects_Quality"
TIMEPOINT, TIME_MIN, SITE = "Metadata_Timepoint", "Metadata_Time_min", "Metadata_Site"
Ints = npt.NDArray[np.int64]


@dataclass(frozen=True, slots=True)
class Trace:
    """One track of a field: times (f,) in minutes and values (f,), smoothed; NaN values are left out."""

    site: int
    track: int
    time: Floats
    value: Floats


def minutes(nuclei: pd.DataFrame, interval_min: float | None) -> Floats:
    """Time (n,) of each nucleus: as recorded, else by the interval; NaN where neither is known."""
    counted = nuclei[TIMEPOINT].to_numpy(dtype=np.float64) * (np.nan if interval_min is None else interval_min)
    if TIME_MIN not in nuclei:
        return counted
    recorded = nuclei[TIME_MIN].to_numpy(dtype=np.float64)
    return np.where(np.isfinite(recorded), recorded, counted)


def traces(
    nuclei: pd.DataFrame, column: str, *, interval_min: float | None, min_quality: float, smooth_frames: int
) -> Iterator[Trace]:
    """Traces of all tracks of a well that are good enough and have a value, by field and track."""
    if column not in nuclei:
        return
    value, time = nuclei[column].to_numpy(dtype=np.float64), minutes(nuclei, interval_min)
    good = np.isfinite(value) & np.isfinite(time) & (nuclei[QUALITY].to_numpy(dtype=np.float64) >= min_quality)
    site, track = (nuclei[name].to_numpy(dtype=np.int64)[good] for name in (SITE, LABEL))
    value, time = value[good], time[good]
    order = np.lexsort((time, track, site))
    site, track, value, time = site[order], track[order], value[order], time[order]
    cuts = np.flatnonzero((np.diff(site) != 0) | (np.diff(track) != 0)) + 1
    for rows in np.split(np.arange(len(value)), cuts):
        if len(rows):
            yield Trace(int(site[rows[0]]), int(track[rows[0]]), time[rows], smooth(value[rows], smooth_frames))


def smooth(values: Floats, frames: int) -> Floats:
    """Running median (f,) over an odd number of frames; shorter at both ends, where it stays centred."""
    half = frames // 2
    if not half:
        return values
    out = np.empty(len(values))
    for k in range(len(values)):
        reach = min(half, k, len(values) - 1 - k)
        out[k] = np.median(values[k - reach : k + reach + 1])
    return out
