"""Z' as a function of time, and the frame or window at which an assay is best, chosen without a look at the wells that
it is then judged by."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
import pandas as pd

from hcs.readout.columns import as_table
from hcs.readout.groups import control_groups, numeric_readouts, references, with_group
from hcs.readout.live.columns import WINDOW_COLUMNS, ZPRIME_TIME_COLUMNS
from hcs.readout.live.survival import Floats
from hcs.readout.screen.zprime import compare_wells
from hcs.readout.settings import ReadoutSettings

_WELL, _FRAME, _TIME = "Metadata_Well", "Metadata_Timepoint", "Metadata_Time_min"


@dataclass(frozen=True, slots=True)
class _Assay:
    """One readout of the controls of one group: wells by frames."""

    readout: str
    group: str
    positive: Floats
    """(p, f)"""
    negative: Floats
    """(q, f)"""


def zprime_over_time(frames: pd.DataFrame, wells: pd.DataFrame, settings: ReadoutSettings) -> pd.DataFrame:
    """Z' with its interval for every readout of ``frames`` (one row a well and frame), group of controls and frame.

    ``wells`` is the well table with roles. Columns ``ZPRIME_TIME_COLUMNS``; NaN with the reason where wells are too
    few.
    """
    number, time = _axis(frames)
    rows: list[dict[str, object]] = []
    for assay in _assays(frames, wells, number):
        for k, (frame, at) in enumerate(zip(number, time, strict=True)):
            positive, negative = assay.positive[:, k], assay.negative[:, k]
            found = compare_wells(positive, negative, settings=settings).zprime
            rows.append(
                {
                    "Readout": assay.readout,
                    "Group": assay.group,
                    _FRAME: frame,
                    _TIME: at,
                    "Count_Positive": int(np.isfinite(positive).sum()),
                    "Count_Negative": int(np.isfinite(negative).sum()),
                    "ZPrime": found.value,
                    "ZPrime_Low": found.low,
                    "ZPrime_High": found.high,
                    "Reason": found.reason,
                }
            )
    return as_table(rows, ZPRIME_TIME_COLUMNS)


def best_window(frames: pd.DataFrame, wells: pd.DataFrame, settings: ReadoutSettings) -> pd.DataFrame:
    """The window of frames whose mean gives the best Z', for every readout and group, columns ``WINDOW_COLUMNS``.

    The best of many windows looks better than it is. So each positive well is left out in turn, with a negative one;
    the window is chosen by the others, and the two are read in it. ZPrime is that of the wells left out. It needs one
    well a side more than a Z' does.
    """
    number, time = _axis(frames)
    rows = [
        {"Readout": assay.readout, "Group": assay.group} | _best(assay, number, time, settings)
        for assay in _assays(frames, wells, number)
    ]
    return as_table(rows, WINDOW_COLUMNS)


def _axis(frames: pd.DataFrame) -> tuple[list[int], list[float]]:
    """Frames and their mean times."""
    mean = frames.groupby(_FRAME, sort=True)[_TIME].mean()
    return [int(frame) for frame in mean.index], [float(at) for at in mean]


def _assays(frames: pd.DataFrame, wells: pd.DataFrame, number: list[int]) -> Iterator[_Assay]:
    grouped = with_group(wells)
    readouts = [name for name in numeric_readouts(frames) if name != "Count_Fields"]
    for name in readouts:
        values = frames.pivot_table(index=_WELL, columns=_FRAME, values=name, dropna=False).reindex(columns=number)
        for group in control_groups(grouped):
            sides = (side[_WELL].tolist() for side in references(grouped, group))
            positive, negative = (values.reindex(side).to_numpy(np.float64) for side in sides)
            yield _Assay(name, group, positive, negative)


def _windows(count: int, settings: ReadoutSettings) -> list[tuple[int, int]]:
    """Half-open windows of all widths allowed."""
    widths = sorted({width for width in settings.live.window_frames if width <= count})
    return [(start, start + width) for width in widths for start in range(count - width + 1)]


def _best(assay: _Assay, number: list[int], time: list[float], settings: ReadoutSettings) -> dict[str, object]:
    windows = _windows(len(number), settings)
    positive, negative = (_means(side, windows) for side in (assay.positive, assay.negative))
    none: dict[str, object] = {"FirstFrame": -1, "LastFrame": -1, "Count_Windows": len(windows)}
    least = max(settings.min_wells, 2) + 1
    if min(len(positive), len(negative)) < least:
        short = (
            f"{len(positive)} positive and {len(negative)} negative wells, {least} of each needed to choose and judge"
        )
        return none | {"Reason": short}
    scores = _zprimes(positive, negative)
    if not np.isfinite(scores).any():
        return none | {"Reason": f"no window in which all wells have a value of {assay.readout} that varies"}
    best = int(np.nanargmax(scores))
    held, overlap = _held_out(positive, negative, windows, best)
    found = compare_wells(held[0], held[1], settings=settings).zprime
    first, last = windows[best][0], windows[best][1] - 1
    return none | {
        "FirstFrame": number[first],
        "LastFrame": number[last],
        "FirstMin": time[first],
        "LastMin": time[last],
        "ZPrime_Chosen": float(scores[best]),
        "ZPrime": found.value,
        "ZPrime_Low": found.low,
        "ZPrime_High": found.high,
        "Stability": overlap,
        "Reason": found.reason,
    }


def _held_out(
    positive: Floats, negative: Floats, windows: list[tuple[int, int]], best: int
) -> tuple[tuple[Floats, Floats], float]:
    """Values (p,) and (q,) of every well where it was left out, and the share of windows that overlap the ``best``."""
    folds = max(len(positive), len(negative))
    values = [np.full(len(positive), np.nan), np.full(len(negative), np.nan)]
    agree = []
    for fold in range(folds):
        out = (fold % len(positive), fold % len(negative))
        rest = [np.delete(side, k, axis=0) for side, k in zip((positive, negative), out, strict=True)]
        scores = _zprimes(rest[0], rest[1])
        if not np.isfinite(scores).any():
            continue
        at = int(np.nanargmax(scores))
        high, low = float(rest[0][:, at].mean()), float(rest[1][:, at].mean())
        for kept, side, k in zip(values, (positive, negative), out, strict=True):
            kept[k] = (side[k, at] - low) / (high - low)
        agree.append(windows[at][0] < windows[best][1] and windows[best][0] < windows[at][1])
    return (values[0], values[1]), float(np.mean(agree)) if agree else float("nan")


def _means(values: Floats, windows: list[tuple[int, int]]) -> Floats:
    """Mean (wells, windows) of values (wells, frames) over each window; NaN where one is missing."""
    total = np.concatenate([np.zeros((len(values), 1)), np.cumsum(np.nan_to_num(values), axis=1)], axis=1)
    holes = np.concatenate([np.zeros((len(values), 1)), np.cumsum(~np.isfinite(values), axis=1)], axis=1)
    first, stop = np.array(windows, np.int64).reshape(-1, 2).T
    mean = (total[:, stop] - total[:, first]) / np.maximum(stop - first, 1)
    return np.where(holes[:, stop] > holes[:, first], np.nan, mean)


def _zprimes(positive: Floats, negative: Floats) -> Floats:
    """Z' (windows,) of wells by windows; NaN where a well has no value or nothing varies."""
    gap = np.abs(positive.mean(axis=0) - negative.mean(axis=0))
    spread = positive.std(axis=0, ddof=1) + negative.std(axis=0, ddof=1)
    with np.errstate(divide="ignore", invalid="ignore"):
        score: Floats = 1 - 3 * spread / gap
    return np.where((gap > 0) & (spread > 0), score, np.nan)
