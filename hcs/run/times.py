"""The time of a plate: how many frames its fields have, how far apart they are, and who says so."""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Mapping
from itertools import groupby
from typing import Any

from hcs.config import Config
from hcs.errors import ConfigError
from hcs.plate.keys import FieldKey
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

    ConfigError where fields state different intervals and the configuration gives none.
    """
    frames = {key: info.t_size for key, info in infos.items()}
    if max(frames.values(), default=1) == 1:
        given = config.interval_min is not None
        return None, ("--interval-min is of no use here: every field has one time point.",) if given else ()
    interval, source, notes = _interval(infos, config.interval_min)
    usual = Counter(frames.values()).most_common(1)[0][0]
    others = {key: n for key, n in frames.items() if n != usual}
    if others:
        some = ", ".join(f"{key} has {n}" for key, n in list(others.items())[:_MOST_NAMED])
        more = ", …" if len(others) > _MOST_NAMED else ""
        notes += (f"{len(others)} of {len(frames)} fields have not {usual} time points, as most have: {some}{more}.",)
    plain = {"frames": {str(key): n for key, n in frames.items()}, "interval_min": interval, "source": source}
    return plain, notes


def _interval(infos: Mapping[FieldKey, FieldInfo], given: float | None) -> tuple[float | None, str, tuple[str, ...]]:
    """Minutes between frames, who says so, and what is odd about that."""
    stated: dict[float, FieldKey] = {}
    for key, info in infos.items():
        if info.interval_min is not None and info.t_size > 1:
            stated.setdefault(float(f"{info.interval_min:.6g}"), key)
    if given is not None:
        wrong = [f"{interval:g} min" for interval in stated if not math.isclose(interval, given, rel_tol=1e-5)]
        contradicts = (f"Frames are {given:g} min apart, as --interval-min says; the plate says {', '.join(wrong)}.",)
        return given, "--interval-min", contradicts if wrong else ()
    if len(stated) > 1:
        listed = ", ".join(f"{interval:g} min ({key})" for interval, key in list(stated.items())[:_MOST_NAMED])
        raise ConfigError(
            f"the fields state different intervals between frames: {listed}; say --interval-min MINUTES, or run their "
            "wells apart with --wells"
        )
    if not stated:
        return (
            None,
            "",
            (
                "The plate does not state the interval between its frames: time is counted in frames, and nothing that "
                "needs minutes is read out; say --interval-min MINUTES.",
            ),
        )
    silent = sum(info.interval_min is None for info in infos.values())
    note = (f"{silent} of {len(infos)} fields do not state the interval between frames; they get the others'.",)
    return next(iter(stated)), "the plate", note if silent else ()


def time_lines(time: Mapping[str, Any] | None) -> tuple[str, ...]:
    """What a run says first of a plate with time."""
    if time is None:
        return ()
    usual = Counter(time["frames"].values()).most_common(1)[0][0]
    if time["interval_min"] is None:
        return (f"  time             {usual} frames, interval not stated",)
    interval, who = time["interval_min"], time["source"]
    said = "as the plate states" if who == "the plate" else f"as {who} says"
    return (f"  time             {usual} frames, one every {interval:g} min ({said})",)


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
