"""When the frames of a field were taken: minutes since the first, evenly apart or as stated one by one."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from functools import reduce
from itertools import pairwise

from hcs.errors import ConfigError

_EVEN = 0.05
"""Frames that lie within this share of a step from even places are evenly apart: a microscope's rounds are no more
exact."""
_LEAST_TIMES = 2


@dataclass(frozen=True, slots=True)
class FrameTimes:
    """Minutes between frames, or the minutes of each; neither where nobody states them."""

    interval_min: float | None = None
    """Where frames are evenly apart."""
    times_min: tuple[float, ...] | None = None
    """Where they are not: minutes since the first frame, ascending."""

    @classmethod
    def of(cls, minutes: Sequence[float]) -> FrameTimes:
        """Of the minutes of all frames: as an interval where they are evenly apart."""
        if len(minutes) < _LEAST_TIMES:
            return cls()
        step = (minutes[-1] - minutes[0]) / (len(minutes) - 1)
        if all(abs(minute - minutes[0] - k * step) <= _EVEN * step for k, minute in enumerate(minutes)):
            return cls(float(f"{step:.6g}"))
        return cls(None, tuple(round(minute - minutes[0], 4) for minute in minutes))

    def minutes(self, frame: int) -> float:
        """Minutes from the first frame to this one; NaN where they are not known."""
        if self.times_min is not None:
            return self.times_min[frame] if frame < len(self.times_min) else math.nan
        return math.nan if self.interval_min is None else frame * self.interval_min

    def on_grid(self, interval_min: float) -> bool:
        """Whether uneven frames lie at whole numbers of an interval: those of a movie that lacks some."""
        if self.times_min is None:
            return False
        return all(abs(minute / interval_min - round(minute / interval_min)) <= _EVEN for minute in self.times_min)

    @property
    def said(self) -> str:
        """``one every 20 min``, or how far apart the frames are."""
        if self.times_min is not None:
            steps = [after - before for before, after in pairwise(self.times_min)]
            return f"unevenly apart, {min(steps):g} to {max(steps):g} min, {self.times_min[-1]:g} min in all"
        return "interval not stated" if self.interval_min is None else f"one every {self.interval_min:g} min"


def check_times(minutes: Sequence[float], source: str) -> tuple[float, ...]:
    """The minutes of frames since the first; ConfigError where they are too few or do not rise."""
    if len(minutes) < _LEAST_TIMES:
        raise ConfigError(f"{source} gives {len(minutes)} times of frames; give one for every frame")
    for k, (before, after) in enumerate(pairwise(minutes), start=1):
        if not (math.isfinite(before) and math.isfinite(after) and after > before):
            raise ConfigError(
                f"{source}: frame {k} is at {after:g} min and the one before at {before:g} min; times must rise from "
                "frame to frame"
            )
    return tuple(minute - minutes[0] for minute in minutes)


def places_by_name(names: Sequence[str]) -> tuple[int, ...] | None:
    """Where time points of these names, in order, lie on a grid of even steps: 0, 1, 3 of ``001, 002, 004``; None where
    they are no numbers. A number that is missing is a time point that is missing."""
    if not all(name.isdecimal() for name in names):
        return None
    numbers = [int(name) for name in names]
    steps = [after - before for before, after in pairwise(numbers)]
    if not steps or min(steps) <= 0:
        return None
    unit = reduce(math.gcd, steps)
    return tuple((number - numbers[0]) // unit for number in numbers)
