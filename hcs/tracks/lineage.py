"""Tracks and lineages made of links and divisions: how each track began and ended."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from hcs.tracks.detections import Detections, Flags, Floats, Ints
from hcs.tracks.merges import holders
from hcs.tracks.settings import TrackSettings

START, DIVIDED, ENTERED, SPLIT, APPEARED = "start", "divided", "entered", "split", "appeared"
END, DIED, LEFT, MERGED, LOST = "end", "died", "left", "merged", "lost"
_LASTING = 3  # frames that a nucleus must stay dead for, or until its track ends


@dataclass(frozen=True, slots=True)
class Lineage:
    """The ``n`` nuclei by track, and the ``p`` tracks, in the order of their first nuclei."""

    track: Ints
    """(n,) track of each nucleus, from 0."""
    first: Ints
    """(p,) first nucleus."""
    last: Ints
    """(p,) last nucleus."""
    parent: Ints
    """(p,) track of the mother; -1 without one."""
    founder: Ints
    """(p,) track of the first cell known of the line."""

    @property
    def count(self) -> int:
        """Tracks."""
        return len(self.first)


def make_lineage(previous: Ints, mothers: Ints) -> Lineage:
    """Tracks of links and divisions: the nucleus (n,) that each goes on from, and the mother (n,) of a first one; -1
    for none."""
    begins = previous < 0
    track = (np.cumsum(begins) - 1).tolist()
    for k, before in enumerate(previous.tolist()):  # a nucleus comes after the one it goes on from
        if before >= 0:
            track[k] = track[before]
    of = np.array(track, np.int64)
    first = np.flatnonzero(begins)
    last = np.zeros(len(first), np.int64)
    np.maximum.at(last, of, np.arange(len(of)))
    mother = mothers[first]
    parent = np.where(mother >= 0, of[mother], -1) if len(of) else mother
    founder = np.arange(len(first))
    for k, above in enumerate(parent.tolist()):  # a daughter begins after her mother
        if above >= 0:
            founder[k] = founder[above]
    return Lineage(of, first, last, parent, founder)


def began(detections: Detections, lineage: Lineage, previous: Ints, by_border: Flags) -> npt.NDArray[np.str_]:
    """How each track (p,) began."""
    first = lineage.first
    inside = ~by_border[first] & (detections.frame[first] > detections.frames[:1])
    split = np.zeros(lineage.count, bool)
    split[inside] = holders(detections, first[inside], previous) >= 0
    causes = [detections.frame[first] == detections.frames[:1], lineage.parent >= 0, by_border[first], split]
    return np.select(causes, [START, DIVIDED, ENTERED, SPLIT], default=APPEARED).astype(np.str_)


def ended(
    detections: Detections, lineage: Lineage, following: Ints, by_border: Flags, death: Ints
) -> npt.NDArray[np.str_]:
    """How each track (p,) ended; ``death`` (p,) are the frames of death, -1 for none."""
    last = lineage.last
    at_end = detections.frame[last] == detections.frames[-1:]
    mothers = np.isin(np.arange(lineage.count), lineage.parent)
    merged = np.zeros(lineage.count, bool)
    inside = ~by_border[last] & ~at_end
    merged[inside] = holders(detections, last[inside], following) >= 0
    causes = [mothers, death >= 0, at_end, by_border[last], merged]
    return np.select(causes, [DIVIDED, DIED, END, LEFT, MERGED], default=LOST).astype(np.str_)


def death_frames(detections: Detections, lineage: Lineage, settings: TrackSettings) -> Ints:
    """Frame (p,) from which each track's nucleus stays dead until the track ends, -1 for none.

    Dead is small and condensed against the median of the nucleus' own frames until then; without DNA content none is
    told. A nucleus must be seen alive for as long as it must be dead, 3 frames: the median must be a living one's.
    """
    death = np.full(lineage.count, -1, np.int64)
    mean = detections.levelled(detections.content / detections.area)
    if not np.isfinite(mean).any():
        return death
    order = np.argsort(lineage.track, kind="stable")
    for number, rows in enumerate(np.split(order, np.cumsum(np.bincount(lineage.track))[:-1])):
        since = _dead_since(detections.area[rows], mean[rows], settings)
        if since is not None:
            death[number] = detections.frame[rows[since]]
    return death


def _dead_since(area: Floats, mean: Floats, settings: TrackSettings) -> int | None:
    """The first frame of a track (f,) from which its nucleus is dead: small in every one, and condensed in their
    median, because a frame's intensities are relative to its nuclei, of which many may be dead."""
    small, bright = settings.dead_small, settings.dead_bright
    largest_after, palest_after = np.maximum.accumulate(area[::-1])[::-1], np.fmin.accumulate(mean[::-1])[::-1]
    largest, palest = np.maximum.accumulate(area), np.fmin.accumulate(mean)
    # Where it cannot be, against the largest and the palest there was until then, no median need be taken.
    may_be = (largest_after[1:] <= small * largest[:-1]) | (palest_after[1:] >= bright * palest[:-1])
    for since in (np.flatnonzero(may_be) + 1).tolist():
        if not _LASTING <= since <= len(area) - _LASTING:
            continue
        before = mean[:since][np.isfinite(mean[:since])]
        after = mean[since:][np.isfinite(mean[since:])]
        if not before.size or not after.size:
            continue
        usual = np.median(before)
        shrunken = largest_after[since] <= small * np.median(area[:since])
        if (shrunken and np.median(after) >= settings.dead_condensed * usual) or after.min() >= bright * usual:
            return since
    return None
