"""How nuclei of a movie change from frame to frame, learned from the movie, and how likely a link is by that."""

from __future__ import annotations

from dataclasses import dataclass
from math import lgamma, log, pi

import numpy as np

from hcs.tracks.detections import Detections, Floats, Ints
from hcs.tracks.neighbours import mutual_pairs

_NU = 4.0
"""Degrees of freedom of the changes: tails so heavy that one nucleus that jumps does not make its neighbours swap."""
_MEDIAN_2D = float(np.sqrt(_NU * (2 ** (2 / _NU) - 1)))  # median distance of the 2-D t distribution of scale 1
_MAD_1D = 0.7407  # median absolute value of the t distribution with 4 degrees of freedom
_FEW = 10  # changes; with fewer the scales are guessed
_LEAST_PX = 0.5
_LEAST_LOG = 0.03
_CHANGED = -3.0  # least of both ratios of area and DNA: one nucleus in twenty condenses, or is outlined anew
_NORM_1D = lgamma((_NU + 1) / 2) - lgamma(_NU / 2) - 0.5 * log(_NU * pi)


def log_t2(distance: Floats, scale: Floats | float) -> Floats:
    """Log density (px⁻²) of a step of this length in the plane: t distribution with 4 degrees of freedom."""
    density: Floats = -np.log(2 * pi * np.square(scale)) - (_NU + 2) / 2 * np.log1p((distance / scale) ** 2 / _NU)
    return density


def log_t1(change: Floats, scale: Floats | float) -> Floats:
    """Log density of a change on a line: t distribution with 4 degrees of freedom."""
    density: Floats = _NORM_1D - np.log(scale) - (_NU + 1) / 2 * np.log1p((change / scale) ** 2 / _NU)
    return density


def log_normal(value: Floats, mean: float, sd: float) -> Floats:
    """Log density of a Gaussian."""
    density: Floats = -0.5 * ((value - mean) / sd) ** 2 - log(sd) - 0.5 * log(2 * pi)
    return density


@dataclass(frozen=True, slots=True)
class Feature:
    """The logarithm of one quantity (n,): how it changes along a nucleus in a frame, and how it varies among nuclei."""

    value: Floats
    scale: float
    mean: float
    sd: float

    @property
    def tells(self) -> bool:
        """Whether nuclei differ in it by more than one changes in a frame."""
        return self.sd > 1.5 * self.scale

    def ratio(self, i: Ints, j: Ints, frames: Floats | float = 1.0) -> Floats:
        """Log likelihood ratio (k,) that ``j`` is ``i`` some frames on, against any other nucleus; 0 where unknown."""
        if not self.tells:
            return np.zeros(len(i))
        change = self.value[j] - self.value[i]
        other = log_normal(change, 0.0, self.sd * np.sqrt(2))
        ratio = log_t1(change, self.scale * np.sqrt(frames)) - other
        return np.where(np.isfinite(change), ratio, 0.0)


@dataclass(frozen=True, slots=True)
class Motion:
    """What one movie says of steps and changes in a frame."""

    scale_px: float
    """Scale of the steps' t distribution."""
    density: float
    """Nuclei per px²."""
    area: Feature
    dna: Feature
    """Mean DNA intensity."""
    content: Feature
    """DNA content, which a division halves."""
    reach_px: float
    """Farthest step that is looked at."""

    def gain(self, i: Ints, j: Ints, distance: Floats, frames: Floats | float = 1.0) -> Floats:
        """Log likelihood ratio (k,) of links over some frames, against nuclei that have nothing to do with another."""
        place = log_t2(distance, self.scale_px * np.sqrt(frames)) - log(self.density)
        looks = self.area.ratio(i, j, frames) + self.dna.ratio(i, j, frames)
        total: Floats = place + np.maximum(looks, _CHANGED)
        return total


def nearest_links(detections: Detections) -> tuple[Ints, Ints]:
    """Pairs of mutual nearest neighbours in consecutive frames, to learn from before anything is linked."""
    pairs = []
    for position in range(1, len(detections.frames)):
        a, b = detections.rows(position - 1), detections.rows(position)
        i, j = mutual_pairs(detections.still[a], detections.still[b], 2 * detections.diameter_px)
        pairs.append(np.stack([i + a.start, j + b.start]))
    both = np.concatenate(pairs, axis=1) if pairs else np.zeros((2, 0), np.int64)
    return both[0], both[1]


def learn_motion(
    detections: Detections, i: Ints, j: Ints, *, unlinked: float, max_step_px: float | None = None
) -> Motion:
    """Motion from links ``i`` → ``j`` (k,) over single frames, drift taken out of the places.

    ``unlinked`` is the log likelihood ratio below which a link is worse than none; it sets how far is looked.
    """
    one = detections.frame[j] - detections.frame[i] == 1
    i, j = i[one], j[one]
    diameter, density = detections.diameter_px, max(detections.density, 1e-9)
    steps = np.hypot(*(detections.still[j] - detections.still[i]).T)
    scale = float(np.median(steps)) / _MEDIAN_2D if len(i) >= _FEW else 0.15 * diameter
    scale = max(scale, _LEAST_PX, 0.02 * diameter)
    tail = max(-unlinked - log(density) - log(2 * pi * scale**2), 0.0)
    reach = min(scale * float(np.sqrt(_NU * np.expm1(tail / (_NU / 2 + 1)))), 4 * diameter + 4 * scale)
    return Motion(
        scale_px=scale,
        density=density,
        area=_feature(detections.area, i, j),
        dna=_feature(detections.levelled(detections.content / detections.area), i, j),
        content=_feature(detections.levelled(detections.content), i, j),
        reach_px=reach if max_step_px is None else max_step_px,
    )


def _feature(value: Floats, i: Ints, j: Ints) -> Feature:
    logs = np.log(value)
    known = logs[np.isfinite(logs)]
    if known.size < _FEW:
        return Feature(logs, 1.0, 0.0, 1.0)
    change = np.abs(logs[j] - logs[i])
    change = change[np.isfinite(change)]
    scale = float(np.median(change)) / _MAD_1D if change.size >= _FEW else 0.1
    low, middle, high = np.percentile(known, [15.87, 50, 84.13])
    return Feature(logs, max(scale, _LEAST_LOG), float(middle), max(float(high - low) / 2, 1e-3))
