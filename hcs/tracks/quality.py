"""How far a track can be trusted: the probability of its links, and jumps against its own history."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from hcs.tracks.along import median_along
from hcs.tracks.detections import Detections, Floats, Ints
from hcs.tracks.joining import Joined
from hcs.tracks.lineage import Lineage

_HISTORY = 5
_POWER = 0.5  # of the mean over features: one that changes for a reason of its own weighs less than all together
_AREA_JUMP = 0.3
_MAD = 1.4826


@dataclass(frozen=True, slots=True)
class Worth:
    """How far nuclei (n,) and tracks (p,) can be trusted."""

    score: Floats
    """(n,) probability of the link to the nucleus or mother before."""
    jump: Floats
    """(n,) jump against the track's own history."""
    quality: Floats
    """(p,) probability that all links of the track are right."""

    @classmethod
    def of(cls, detections: Detections, lineage: Lineage, joined: Joined) -> Worth:
        """That of all nuclei and tracks."""
        scores = link_scores(joined)
        return cls(scores, jumps(detections, joined), track_quality(lineage, scores))


def link_scores(joined: Joined) -> Floats:
    """Probability (n,) of each nucleus' link to the one before or to its mother; NaN where there is none."""
    return np.where(joined.mother >= 0, joined.division, joined.links.score)


def track_quality(lineage: Lineage, scores: Floats) -> Floats:
    """Product (p,) of the scores (n,) of each track's links; 1 for a track without any."""
    logs = np.where(np.isfinite(scores), np.log(np.maximum(scores, 1e-12)), 0.0)
    quality: Floats = np.exp(np.bincount(lineage.track, weights=logs, minlength=lineage.count))
    return quality


def jumps(detections: Detections, joined: Joined) -> Floats:
    """How far each nucleus (n,) is from its own history in place, area and DNA intensity, together; NaN in a first
    frame.

    Each feature's deviation from the median of the track's last 5 frames (for the place: the last frame's) is divided
    by its robust scatter over the movie; the features are combined by their mean of power 1/2 (TrAM, Patsch et al.
    2016, with the past alone in place of a smoothing spline, so that a score does not change when frames are added).
    """
    previous = joined.links.previous
    before = np.maximum(previous, 0)
    known = previous >= 0
    frames = np.maximum(detections.frame - detections.frame[before], 1)
    step = np.hypot(*(detections.still - detections.still[before]).T) / np.sqrt(frames)
    mean = detections.levelled(detections.content / detections.area)
    parts = [np.where(known, step, np.nan)]
    parts += [
        np.abs(value - median_along(value, previous, previous, _HISTORY)) for value in np.log((detections.area, mean))
    ]
    scaled = [part / _scatter(part) for part in parts if np.isfinite(part).any()]
    if not scaled:
        return np.full(len(previous), np.nan)
    powers = np.stack(scaled) ** _POWER
    count = np.isfinite(powers).sum(axis=0)
    total = np.nansum(powers, axis=0)
    combined: Floats = (total / np.maximum(count, 1)) ** (1 / _POWER)
    return np.where(known & (count > 0), combined, np.nan)


def _scatter(deviation: Floats) -> float:
    """Robust standard deviation of deviations (n,) without sign; not below a hundredth."""
    return max(_MAD * float(np.nanmedian(deviation)), 0.01)


def area_jumps(detections: Detections, joined: Joined, lineage: Lineage) -> Ints:
    """Changes (p,) of area by more than 30 % between consecutive frames of each track (Van Valen et al. 2016)."""
    previous = joined.links.previous
    linked = np.flatnonzero(previous >= 0)
    linked = linked[detections.frame[linked] - detections.frame[previous[linked]] == 1]
    change = np.abs(detections.area[linked] / detections.area[previous[linked]] - 1)
    counts: Ints = np.bincount(lineage.track[linked[change > _AREA_JUMP]], minlength=lineage.count)
    return counts
