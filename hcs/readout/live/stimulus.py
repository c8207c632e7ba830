"""Answers of a translocation reporter to a stimulus: amplitude, time to half of it, duration, area under the curve."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from hcs.readout.live.settings import LiveSettings
from hcs.readout.live.survival import Flags, Floats, kaplan_meier
from hcs.readout.live.traces import Trace

_LEAST_FRAMES = 3


@dataclass(frozen=True, slots=True)
class Answer:
    """Medians over the cells of a well; times in minutes after the stimulus. ``reason`` says why they are NaN."""

    amplitude: float
    time_to_half: float
    duration: float
    area: float
    cells: int
    reason: str = ""


def find_answer(cells: Sequence[Trace], settings: LiveSettings) -> Answer:
    """The answer of the cells of one well whose traces hold both the stimulus' baseline and what follows.

    Each cell's baseline is the median of its frames before the stimulus, its answer the difference from there. Whether
    the answer is up or down is told by the well's median answer, for all cells. Amplitude: the largest answer; time to
    half: when half of it is first reached, by a straight line between frames; duration: from there until the answer
    falls below half again, by Kaplan & Meier for cells that are not watched for so long; area: the integral of the
    answer over time.
    """
    if settings.stimulus_min is None:
        return _none("no time of a stimulus is stated (readout.live.stimulus_min)", 0)
    last = max((float(cell.time[-1]) for cell in cells), default=0.0)
    until = settings.stimulus_min + (np.inf if settings.response_min is None else settings.response_min)
    after = [_after(cell, settings.stimulus_min, min(until, last)) for cell in cells]
    kept = [part for part in after if part is not None]
    if len(kept) < settings.min_tracks:
        return _none(
            f"{len(kept)} tracks are watched before the stimulus and after it, {settings.min_tracks} needed", len(kept)
        )
    sign = 1.0 if np.median([value[np.argmax(np.abs(value))] for _, value in kept]) >= 0 else -1.0
    shape = [_shape(time, sign * value) for time, value in kept]
    amplitude, half, lasted, over, area = (np.array(column) for column in zip(*shape, strict=True))
    duration = kaplan_meier(lasted, over.astype(bool)).median()
    return Answer(
        amplitude=sign * float(np.median(amplitude)),
        time_to_half=float(np.median(half)),
        duration=duration,
        area=sign * float(np.median(area)),
        cells=len(kept),
    )


def _none(reason: str, cells: int) -> Answer:
    nan = float("nan")
    return Answer(nan, nan, nan, nan, cells, reason)


def _after(cell: Trace, stimulus: float, until: float) -> tuple[Floats, Floats] | None:
    """Times from the stimulus on and answers of one cell; None where it is not watched from before it to the end."""
    before, after = cell.time <= stimulus, (cell.time > stimulus) & (cell.time <= until)
    if not before.any() or after.sum() < _LEAST_FRAMES or cell.time[-1] < until:
        return None
    base = float(np.median(cell.value[before]))
    time = np.concatenate([[0.0], cell.time[after] - stimulus])
    return time, np.concatenate([[0.0], cell.value[after] - base])


def _shape(time: Floats, value: Floats) -> tuple[float, float, float, float, float]:
    """Amplitude, time to half, time above half, whether that is over (0, 1), and area of one answer."""
    top = float(value.max())
    high: Flags = value >= 0.5 * top
    first = int(np.argmax(high)) if top > 0 else 0
    start = _crossing(time, value, first - 1, 0.5 * top) if first > 0 else float(time[0])
    falls = np.flatnonzero(~high[first:])
    over = bool(falls.size) and top > 0
    stop = _crossing(time, value, first + int(falls[0]) - 1, 0.5 * top) if over else float(time[-1])
    return top, start, stop - start, float(over), float(np.trapezoid(value, time))


def _crossing(time: Floats, value: Floats, k: int, level: float) -> float:
    """Time between frames k and k + 1 at which the value is ``level``."""
    rise = value[k + 1] - value[k]
    return float(time[k] + (level - value[k]) / rise * (time[k + 1] - time[k])) if rise else float(time[k])
