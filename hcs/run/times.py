"""The time of a plate: how many frames its fields have, how far apart they are, and who says so."""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Mapping, Sequence
from itertools import groupby
from typing import Any

from hcs.config import Config
from hcs.errors import ConfigError
from hcs.plate.keys import FieldKey
from hcs.plate.times import FrameTimes, check_times
from hcs.store.plate.field import FieldInfo

_SURVEYED = 128
"""Frames that what is settled for the whole plate may look at."""
_GOLDEN = (5**0.5 - 1) / 2
_MOST_NAMED = 3


def settle_time(
    infos: Mapping[FieldKey, FieldInfo], config: Config
) -> tuple[Mapping[str, Any] | None, tuple[str, ...]]:
    """The time of a plate as ``run.json`` has it (`RunRecord.time`), and sentences on what is odd about it; None where
    every field has one time point.

    ConfigError where fields state different times and the configuration gives none, where it gives fewer times than
    there are frames, and where all frames are too large.
    """
    frames = {key: info.t_size for key, info in infos.items()}
    if max(frames.values(), default=1) == 1:
        given = [name for name in ("interval", "times") if getattr(config, f"{name}_min") is not None]
        options = {"interval": "--interval-min is", "times": "--times is"}
        return None, tuple(f"{options[name]} of no use here: every field has one time point." for name in given)
    _check_size([info for info in infos.values() if info.t_size > 1], config.tiles.max_field_px)
    times, source, notes = _times(infos, config)
    usual = Counter(frames.values()).most_common(1)[0][0]
    others = {key: n for key, n in frames.items() if n != usual}
    if others:
        some = ", ".join(f"{key} has {n}" for key, n in list(others.items())[:_MOST_NAMED])
        more = ", …" if len(others) > _MOST_NAMED else ""
        notes += (f"{len(others)} of {len(frames)} fields have not {usual} time points, as most have: {some}{more}.",)
    plain: dict[str, Any] = {"frames": {str(key): n for key, n in frames.items()}, "interval_min": times.interval_min}
    if times.times_min is not None:
        plain["times_min"] = list(times.times_min)
    return plain | {"source": source}, notes


def _check_size(movies: Sequence[FieldInfo], most_px: int) -> None:
    """ConfigError where no frame of the plate is small enough to be processed in one piece."""
    least = min((info.shape[1:] for info in movies), key=lambda shape: shape[0] * shape[1])
    if least[0] * least[1] > most_px:
        raise ConfigError(
            f"its frames have {least[0]} × {least[1]} px, more than tiles.max_field_px = {most_px:,}, and only fields "
            f"of one time point are cut in blocks; say tiles.max_field_px: {least[0] * least[1]} in the settings where "
            "memory allows, or write the fields before stitching as the plate's"
        )


def _times(infos: Mapping[FieldKey, FieldInfo], config: Config) -> tuple[FrameTimes, str, tuple[str, ...]]:
    """When frames were taken, who says so, and what is odd about that."""
    stated: dict[FrameTimes, FieldKey] = {}
    for key, info in infos.items():
        times = _stated(info)
        if times is not None and info.t_size > 1:
            stated.setdefault(times, key)
    if config.times_min is not None:
        return _given(infos, check_times(config.times_min, "--times")), "--times", ()
    if config.interval_min is not None:
        given = config.interval_min
        holes = [times for times in stated if times.on_grid(given)]
        if len(stated) == 1 and holes:  # a movie that lacks frames, which --interval-min does not contradict
            return holes[0], "the plate", ()
        wrong = [
            _brief(t) for t in stated if t.interval_min is None or not math.isclose(t.interval_min, given, rel_tol=1e-5)
        ]
        contradicts = (f"Frames are {given:g} min apart, as --interval-min says; the plate says {', '.join(wrong)}.",)
        return FrameTimes(given), "--interval-min", contradicts if wrong else ()
    if len(stated) > 1:
        listed = ", ".join(f"{_brief(times)} ({key})" for times, key in list(stated.items())[:_MOST_NAMED])
        raise ConfigError(
            f"the fields state different times of their frames: {listed}; say --interval-min MINUTES or --times CSV, "
            "or run their wells apart with --wells"
        )
    if not stated:
        return (
            FrameTimes(),
            "",
            (
                "The plate does not state the interval between its frames: time is counted in frames, and nothing that "
                "needs minutes is read out; say --interval-min MINUTES, or --times CSV where they are not evenly "
                "apart.",
            ),
        )
    silent = sum(_stated(info) is None for info in infos.values())
    note = (f"{silent} of {len(infos)} fields do not state the interval between frames; they get the others'.",)
    return next(iter(stated)), "the plate", note if silent else ()


def _brief(times: FrameTimes) -> str:
    return times.said if times.interval_min is None else f"{times.interval_min:g} min"


def _stated(info: FieldInfo) -> FrameTimes | None:
    """What a field says of its time; None where it says nothing."""
    if info.times_min is not None and len(info.times_min) == info.t_size:
        return FrameTimes.of(info.times_min)
    return None if info.interval_min is None else FrameTimes(float(f"{info.interval_min:.6g}"))


def _given(infos: Mapping[FieldKey, FieldInfo], minutes: tuple[float, ...]) -> FrameTimes:
    """The times that the user states; ConfigError where they are not one for every frame of the plate."""
    most = max(info.t_size for info in infos.values())
    if len(minutes) != most:
        raise ConfigError(
            f"--times gives {len(minutes)} times, and the plate has {most} frames; give one for every frame"
        )
    return FrameTimes.of(minutes)


def time_lines(time: Mapping[str, Any] | None) -> tuple[str, ...]:
    """What a run says first of a plate with time."""
    if time is None:
        return ()
    usual = Counter(time["frames"].values()).most_common(1)[0][0]
    uneven = time.get("times_min")
    times = FrameTimes(time["interval_min"], None if uneven is None else tuple(uneven))
    who = time["source"]
    said = "" if not who else " (as the plate states)" if who == "the plate" else f" (as {who} says)"
    return (f"  time             {usual} frames, {times.said}{said}",)


def surveyed(units: tuple[FieldKey, ...]) -> tuple[FieldKey, ...]:
    """Units that what is settled for the whole plate may look at: all fields, or of fields with time a few frames of
    each, other ones from field to field, so that a plate that changes is not seen at its beginning alone."""
    if not any(key.is_frame for key in units):
        return units
    fields = [list(frames) for _, frames in groupby(units, key=lambda key: key.of_field)]
    each = -(-_SURVEYED // len(fields))
    chosen: list[FieldKey] = []
    drawn = 0
    for frames in fields:
        places = set()
        for _ in range(min(each, len(frames))):
            drawn += 1
            places.add(int(drawn * _GOLDEN % 1.0 * len(frames)))
        chosen += [frames[place] for place in sorted(places)]
    return tuple(chosen)
