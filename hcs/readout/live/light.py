"""A reporter that light drives out of the nucleus, as LEXY: how much of it leaves, and the half-times of the way out
and of the way back, from the curve of nucleus over cytoplasm of a well."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np

from hcs.readout.live.settings import LiveSettings
from hcs.readout.live.survival import Flags, Floats
from hcs.readout.live.traces import Trace

_NAN = float("nan")
_HALF = 0.5
_BLIND = 0.9
"""Share of the way that a curve has gone in its first frame from which nothing is known of its half-time."""
_LEAST_LEFT = 0.02
_LEAST_LOSS = 0.1
"""Least share of nucleus over cytoplasm that must be lost for its half-times to be told."""
_PLATEAU = 0.25
"""Last part of the light over which the lowest level is taken."""


@dataclass(frozen=True, slots=True)
class Light:
    """What light did to a well; times in minutes. ``reason`` says what is NaN, and why."""

    before: float
    """Nucleus over cytoplasm before the light."""
    loss: float
    """Share of it that was lost under the light."""
    export_half: float
    """From the light's beginning until half of the loss is reached."""
    recovery_half: float
    """From the light's end until half of the loss has come back."""
    cells: int
    reason: str = ""


def nucleus_over_cytoplasm(cells: Sequence[Trace]) -> list[Trace]:
    """The same traces upside down: of a ratio cytoplasm / nucleus, nucleus / cytoplasm; values not above 0 are left
    out."""
    found = []
    for cell in cells:
        good = cell.value > 0
        if good.any():
            found.append(replace(cell, time=cell.time[good], value=1.0 / cell.value[good]))
    return found


def find_light(cells: Sequence[Trace], settings: LiveSettings) -> Light:
    """What light from ``stimulus_min`` to ``light_off_min`` did to cells whose ``value`` is nucleus over cytoplasm.

    The curve is the median over the cells of every frame, of those watched before the light and until the end of it at
    least. Export: from the curve before the light to its level in the last quarter of the light; without a
    ``light_off_min``, to its lowest, and recovery counts from there. A curve that has gone nine tenths of its way in
    one frame has no half-time.
    """
    on, off = settings.stimulus_min, settings.light_off_min
    if on is None:
        return Light(_NAN, _NAN, _NAN, _NAN, 0, "no time of the light is stated (readout.live.stimulus_min)")
    last = max((float(cell.time[-1]) for cell in cells), default=0.0)
    until = min(off, last) if off is not None else last
    kept = [cell for cell in cells if cell.time[0] <= on and cell.time[-1] >= until]
    if len(kept) < settings.min_tracks:
        return _none(
            len(kept), f"{len(kept)} tracks are watched from before the light on, {settings.min_tracks} needed"
        )
    time, value = _median_curve(kept)
    before, lit = time <= on, (time > on) & ((time <= off) if off is not None else True)
    if not lit.any():
        return _none(len(kept), "no frame lies within the light")
    base = float(np.median(value[before]))
    low, end = _lowest(time, value, lit, on, off)
    loss = (base - low) / base
    if loss < _LEAST_LOSS:
        reason = f"nucleus over cytoplasm falls by {100 * loss:.0f} %, and half-times need {100 * _LEAST_LOSS:.0f}"
        return Light(base, loss, _NAN, _NAN, len(kept), reason)
    out, why_out = _half_time(np.append(on, time[lit]), np.append(base, value[lit]), base, low)
    back = time >= end
    start = float(np.interp(end, time, value))
    after = np.append(end, time[back & (time > end)])
    home, why_home = _half_time(after, np.append(start, value[back & (time > end)]), low, base)
    reasons = [f"{name}: {why}" for name, why in (("export", why_out), ("recovery", why_home)) if why]
    return Light(base, loss, out, home, len(kept), "; ".join(reasons))


def _none(cells: int, reason: str) -> Light:
    return Light(_NAN, _NAN, _NAN, _NAN, cells, reason)


def _median_curve(cells: Sequence[Trace]) -> tuple[Floats, Floats]:
    """Times (f,) and the median over cells (f,) of every frame."""
    time = np.concatenate([cell.time for cell in cells])
    value = np.concatenate([cell.value for cell in cells])
    frames, which = np.unique(time, return_inverse=True)
    order = np.argsort(which, kind="stable")
    parts = np.split(value[order], np.cumsum(np.bincount(which))[:-1])
    return frames, np.array([np.median(part) for part in parts])


def _lowest(time: Floats, value: Floats, lit: Flags, on: float, off: float | None) -> tuple[float, float]:
    """The level to which the curve falls, and when recovery begins."""
    if off is None:
        at = int(np.argmin(np.where(lit, value, np.inf)))
        return float(value[at]), float(time[at])
    late = lit & (time >= off - _PLATEAU * (off - on))
    late = late if late.any() else lit & (time == time[lit][-1])
    return float(np.median(value[late])), off


def _half_time(time: Floats, value: Floats, start: float, end: float) -> tuple[float, str]:
    """Time (minutes after the first) at which a curve from ``start`` towards ``end`` has gone half of the way, or why
    not. What is left of the way falls exponentially from one frame to the next."""
    if len(time) < 2:
        return _NAN, "the movie ends there"
    way = (value - start) / (end - start)
    past = np.flatnonzero(way[1:] >= _HALF)
    if not past.size:
        return _NAN, f"half is not reached in {time[-1] - time[0]:g} min"
    k = int(past[0])
    if k == 0 and way[1] >= _BLIND:
        return _NAN, f"over within one frame ({time[1] - time[0]:g} min); film more often"
    left, then = max(1.0 - float(way[k]), _HALF), max(1.0 - float(way[k + 1]), _LEAST_LEFT)
    share = float(np.log(left / _HALF) / np.log(left / then))
    return float(time[k] + share * (time[k + 1] - time[k]) - time[0]), ""
