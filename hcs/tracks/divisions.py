"""Divisions: how likely two nuclei are daughters of a third, by place, area and DNA content."""

from __future__ import annotations

from dataclasses import dataclass
from itertools import combinations
from math import log, pi

import numpy as np

from hcs.tracks.along import median_along
from hcs.tracks.detections import Detections, Flags, Floats, Ints
from hcs.tracks.linking import Links
from hcs.tracks.motion import Feature, Motion, log_normal, log_t1, log_t2
from hcs.tracks.neighbours import meetings
from hcs.tracks.scene import Scene

_APPEARED = log(1e-3)  # share of the nuclei that appear in a frame inside the field without a cause
_ENTERED = log(0.05)  # the same beside its border
_DIVIDED = log(2e-3)  # share of the nuclei that divide in a frame
_SHORT = -4.0  # nats for a daughter that is gone after a few frames
_MISSED = 4.0  # nats a frame between mother and daughter
_APART = (1.1, 0.45)  # daughters' distance when first seen, in diameters: median and spread of its logarithm
_MIDDLE = 0.15  # scale of the daughters' midpoint around the mother, in diameters, beside the step of a nucleus
_HISTORY, _FUTURE = 5, 3  # frames whose median is a mother's size before and a daughter's after
_SUM, _EVEN = 0.2, 0.25  # scales of log (both daughters / mother) and log (daughter / daughter)
_SAME = 0.1  # least scale of a nucleus' own change over some frames
_MOST = 8.0  # nats that size may add or take
_FARTHEST = 2.5  # diameters from mother to daughter


@dataclass(frozen=True, slots=True)
class Candidates:
    """Ways in which a nucleus ``daughter`` (k,) may begin: after ``mother``, alone (``sister`` -1: a gap) or with a
    sister (a division); ``gain`` is the log likelihood ratio against no cause."""

    mother: Ints
    daughter: Ints
    sister: Ints
    gain: Floats

    @classmethod
    def none(cls) -> Candidates:
        """No candidate."""
        empty = np.zeros(0, np.int64)
        return cls(empty, empty, empty, np.zeros(0))

    @classmethod
    def joined(cls, parts: list[Candidates]) -> Candidates:
        """All candidates of several."""
        return cls(*(np.concatenate([getattr(part, name) for part in parts]) for name in cls.__slots__))

    def and_(self, other: Candidates) -> Candidates:
        """Those of both."""
        return Candidates.joined([self, other])

    def where(self, keep: Flags) -> Candidates:
        """Those that ``keep`` (k,) names."""
        return Candidates(*(getattr(self, name)[keep] for name in Candidates.__slots__))

    def gainful(self) -> Candidates:
        """Those that are likelier than no cause."""
        return self.where(self.gain > 0)

    def without(self, daughters: Flags, mothers: Flags) -> Candidates:
        """Those with none of these nuclei (n,) as daughter or as mother."""
        return self.where(~daughters[self.daughter] & ~mothers[self.mother])


@dataclass(frozen=True, slots=True)
class Sizes:
    """Logarithm of DNA content, or of area where that is not told, along the pieces (n,): the median of the last
    frames up to a nucleus, and of the first ones from it on; with the pieces themselves."""

    feature: Feature
    before: Floats
    after: Floats
    following: Ints
    left: Ints
    """(n,) nuclei of the piece from this one on."""
    last: Ints
    """(n,) last nucleus of its piece."""

    @classmethod
    def of(cls, links: Links, motion: Motion) -> Sizes:
        """Sizes of all nuclei along their pieces."""
        feature = motion.content if motion.content.tells else motion.area
        following = links.following
        left, last = np.ones(len(following), np.int64), np.arange(len(following))
        later = following.tolist()
        for k in range(len(later) - 1, -1, -1):  # the next nucleus of a piece comes later
            if later[k] >= 0:
                left[k], last[k] = left[later[k]] + 1, last[later[k]]
        own = np.arange(len(following))
        before = median_along(feature.value, own, links.previous, _HISTORY)
        after = median_along(feature.value, own, following, _FUTURE)
        return cls(feature, before, after, following, left, last)


def sister_divisions(scene: Scene, sizes: Sizes, begins: Ints) -> Candidates:
    """Every beginning that may be the second daughter of a nucleus that goes on beside it, with a gain above 0."""
    detections, motion = scene.detections, scene.motion
    going_on = np.flatnonzero(sizes.following >= 0)
    found = [Candidates.none()]
    for frames in range(1, scene.settings.max_gap + 2):
        for m, q, _ in meetings(detections, going_on, begins, frames, _FARTHEST * detections.diameter_px):
            s = sizes.following[m]
            sister = _at_frame(detections, sizes, s, detections.frame[q])
            step = np.hypot(*(detections.still[sister] - detections.still[m]).T)
            alone = log_t2(step, motion.scale_px * np.sqrt(detections.frame[sister] - detections.frame[m]))
            gain = _as_two(scene, m, q, sister) + _size_gain(scene, sizes, m, q, sister)
            gain = gain - alone - _unexplained(scene, q)
            gain = gain - _MISSED * (frames - 1) + _brief(scene, sizes, q)
            gain = gain + _brief(scene, sizes, s)
            found.append(Candidates(m, q, s, gain))
    return Candidates.joined(found).gainful()


def paired_divisions(scene: Scene, sizes: Sizes, ends: Ints, begins: Ints) -> Candidates:
    """Every nucleus that ended with two beginnings that may be its daughters, with a gain above 0."""
    detections = scene.detections
    near: dict[int, list[int]] = {}
    for frames in range(1, scene.settings.max_gap + 2):
        for m, q, _ in meetings(detections, ends, begins, frames, _FARTHEST * detections.diameter_px):
            for one, other in zip(m.tolist(), q.tolist(), strict=True):
                near.setdefault(one, []).append(other)
    three = [(m, q, s) for m, some in sorted(near.items()) for q, s in combinations(some, 2)]
    if not three:
        return Candidates.none()
    m, q, s = np.array(three, np.int64).T
    gain = _as_two(scene, m, q, s) + _size_gain(scene, sizes, m, q, s)
    for nucleus in (q, s):
        gain = gain - _unexplained(scene, nucleus)
        gain = gain + _brief(scene, sizes, nucleus)
    gain = gain - np.where(scene.by_border[m], _ENTERED, _APPEARED)
    late = np.maximum(detections.frame[q], detections.frame[s]) - detections.frame[m] - 1
    missed = late + np.abs(detections.frame[q] - detections.frame[s])
    return Candidates(m, q, s, gain - _MISSED * missed).gainful()


def _at_frame(detections: Detections, sizes: Sizes, nucleus: Ints, frame: Ints) -> Ints:
    """Each nucleus (k,) as it is seen at a frame, or last before it in its piece."""
    at = nucleus
    while True:
        later = sizes.following[at]
        go = (later >= 0) & (detections.frame[later] <= frame)
        if not go.any():
            return at
        at = np.where(go, later, at)


def _as_two(scene: Scene, m: Ints, q: Ints, s: Ints) -> Floats:
    """Log density (k,) of two daughters' places, q and s in either order, about their mother's, times how often nuclei
    divide."""
    detections = scene.detections
    one, other, centre = (detections.still[nucleus] for nucleus in (q, s, m))
    diameter = detections.diameter_px
    off = np.hypot(*((one + other) / 2 - centre).T)
    apart = np.maximum(np.hypot(*(one - other).T), 1e-6)
    median, spread = _APART
    radial = log_normal(np.log(apart), log(median * diameter), spread) - np.log(apart)
    middle = log_t2(off, float(np.hypot(scene.motion.scale_px, _MIDDLE * diameter)))
    density: Floats = _DIVIDED + log(2) + middle + radial - np.log(2 * pi * apart)
    return density


def _unexplained(scene: Scene, nucleus: Ints) -> Floats:
    """Log density (k,), per px², of nuclei that appear without a cause."""
    density: Floats = np.where(scene.by_border[nucleus], _ENTERED, _APPEARED) + log(scene.motion.density)
    return density


def _size_gain(scene: Scene, sizes: Sizes, m: Ints, q: Ints, s: Ints) -> Floats:
    """Log likelihood ratio (k,) of the sizes: q and s halves of m, against s the same nucleus as m and q any other.

    Of a nucleus that the field's border cuts no size is known: what comes in there is a sliver, and no half of its
    neighbour. Of two daughters one of which is cut, the other is half of m, or not; with m or both cut nothing is told.
    """
    feature, edge = sizes.feature, scene.detections.edge
    if not feature.tells:
        return np.zeros(len(m))
    mother, one, other = sizes.before[m], sizes.after[q], sizes.after[s]
    with np.errstate(invalid="ignore"):  # a nucleus without DNA content has no size, and no gain below
        sum_of_both = np.logaddexp(one, other)
    halves = log_t1(sum_of_both - mother, _SUM) + log_t1(one - other, _EVEN)
    is_mother = log_t1(other - mother, max(feature.scale, _SAME))
    is_any = log_normal(one, feature.mean, feature.sd)
    one_is_half, other_is_half = (log_t1(size + log(2) - mother, _EVEN) for size in (one, other))
    gain = np.select(
        [edge[m] | (edge[q] & edge[s]), edge[q], edge[s]],
        [np.zeros(len(m)), other_is_half - is_mother, one_is_half - is_any],
        halves - is_mother - is_any,
    )
    gain = np.clip(gain, -_MOST, _MOST)
    return np.where(np.isfinite(gain), gain, 0.0)


def _brief(scene: Scene, sizes: Sizes, nucleus: Ints) -> Floats:
    """What a daughter loses (k,) that is gone after a few frames, though the movie goes on and no border is near."""
    frame, last = scene.detections.frame, sizes.last[nucleus]
    gone = (frame[last] < scene.detections.frames[-1]) & ~scene.by_border[last]
    return np.where(gone & (sizes.left[nucleus] < scene.settings.min_daughter_frames), _SHORT, 0.0)
