"""Nuclei followed through frames in which they cannot be seen: found in the clear frames at both ends, linked over the
frames between, and put on a smooth path that what is still found on the way corrects.

A nucleus keeps its speed for some frames: its path is the likeliest where steps keep nine tenths of the one before.
Over twelve frames the middle of such a path is known to a pixel or two where place and speed at both ends are. What a
network finds in a faint frame is a place on the path where it has the nucleus' shape; the better it fits, the surer.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from itertools import pairwise
from typing import Final

import cv2
import numpy as np
from numpy.typing import NDArray
from scipy import ndimage
from scipy.linalg import solveh_banded

from hcs.segment.distance import distance_px
from hcs.tracks.linking import assign
from hcs.tracks.neighbours import mutual_pairs, near_pairs

Floats = NDArray[np.float64]
Plane = NDArray[np.float32]
Labels = NDArray[np.uint32]

ENDS: Final = 3
"""Clear frames in a row that are looked at on either side, for places and speeds there."""
REACH: Final = 8
"""Faint frames from either side in which what is found corrects the path."""
_KEPT: Final = 0.9
"""Share of its speed that a nucleus keeps from frame to frame."""
_STEP: Final = 0.6
_NEAR: Final = 1 / 3
_FARTHEST: Final = 1.0
"""Diameters within which a nucleus is looked for: in the next clear frame, beside its path, and from both sides."""
_CLEAR_VARIANCE: Final = 2.6e-4
_FIT_VARIANCE: Final = 0.14
"""Of a place, in squared diameters: in a clear frame, and in a faint one times (1 - overlap)², overlap over union."""
_LEAST_FIT: Final = 0.7
_ROUNDS: Final = 2
_LEAST_SPEED: Final = 0.004
_FASTEST: Final = 1 / 6
"""Diameters a frame."""
_MOST_NATS: Final = 9.0
"""How much less likely a link may be than one without any difference."""
_AREA_SPREAD: Final = 0.25
_LEAST_PX: Final = 20
_LEAST_STEPS: Final = 8
_MARGIN_PX: Final = 4


@dataclass(frozen=True, slots=True, eq=False)
class Objects:
    """The nuclei of one frame, each as a mask of its own."""

    shape: tuple[int, int]
    places: Floats
    """(n, 2) middles (y, x)."""
    areas: Floats
    boxes: list[tuple[slice, slice]]
    masks: list[NDArray[np.bool_]]
    border: NDArray[np.bool_]
    """(n,) whether a nucleus touches the field's border, and may go on beyond."""

    @classmethod
    def of(cls, labels: Labels) -> Objects:
        """From labels (Y, X)."""
        found = [(n, box) for n, box in enumerate(ndimage.find_objects(labels.astype(np.int32)), 1) if box is not None]
        boxes = [box for _, box in found]
        masks = [labels[box] == n for n, box in found]
        corners = np.array([[part.start for part in box] for box in boxes], np.float64).reshape(-1, 2)
        middles = np.array([np.argwhere(mask).mean(axis=0) for mask in masks], np.float64).reshape(-1, 2)
        height, width = labels.shape
        border = [y.start == 0 or x.start == 0 or y.stop == height or x.stop == width for y, x in boxes]
        areas = np.array([mask.sum() for mask in masks], np.float64)
        return cls((height, width), corners + middles, areas, boxes, masks, np.array(border, np.bool_))

    def reach(self, k: int) -> int:
        """How far nucleus ``k`` reaches from its middle, px, and a margin."""
        ends = [
            max(at - part.start, part.stop - 1 - at) for part, at in zip(self.boxes[k], self.places[k], strict=True)
        ]
        return _MARGIN_PX + int(max(ends))

    def depth(self, k: int, reach: int) -> Plane:
        """Distance from the outline of nucleus ``k``, above 0 inside, on a grid of ``reach`` px around its middle."""
        whole = np.rint(self.places[k]).astype(int)
        mask, grid = self.masks[k], np.zeros((2 * reach + 1, 2 * reach + 1), np.bool_)
        y, x = (part.start - int(at) + reach for part, at in zip(self.boxes[k], whole, strict=True))
        grid[y : y + mask.shape[0], x : x + mask.shape[1]] = mask
        inside, outside = distance_px(grid), distance_px(~grid)
        depth = np.where(grid, inside - np.float32(0.5), np.float32(0.5) - outside)
        return _shifted(np.asarray(depth, np.float32), whole - self.places[k])

    def of_box(self, k: int, window: tuple[slice, slice]) -> NDArray[np.bool_]:
        """Nucleus ``k`` within a window of the field."""
        out = np.zeros([part.stop - part.start for part in window], np.bool_)
        ours, theirs = [], []
        for part, box in zip(window, self.boxes[k], strict=True):
            start, stop = max(part.start, box.start), min(part.stop, box.stop)
            if stop <= start:
                return out
            ours.append(slice(start - part.start, stop - part.start))
            theirs.append(slice(start - box.start, stop - box.start))
        out[tuple(ours)] = self.masks[k][tuple(theirs)]
        return out


@dataclass(slots=True, eq=False)
class _Track:
    """One nucleus: its number in the clear frames of either side, by frame."""

    before: dict[int, int] = field(default_factory=dict)
    after: dict[int, int] = field(default_factory=dict)
    places: Floats = field(default_factory=lambda: np.zeros((0, 2)))
    """(F, 2) in every frame."""
    depths: tuple[Plane | None, Plane | None] = (None, None)
    """Its shape on either side."""

    def depth(self, nearness: float) -> Plane | None:
        """Its shape between both sides; none where the side that alone has it is the farther one."""
        before, after = self.depths
        if before is None:
            return after if nearness < 0.5 else None
        if after is None:
            return before if nearness >= 0.5 else None
        return np.float32(nearness) * before + np.float32(1 - nearness) * after


@dataclass(frozen=True, slots=True, eq=False)
class Paths:
    """Nuclei on their way through faint frames."""

    first: int
    before: int
    after: int
    """The clear frames beside the faint ones."""
    agreement: float
    """Dice, in the middle, of nuclei followed from before and of those followed from after."""
    shape: tuple[int, int]
    tracks: list[_Track]

    def at(self, frame: int) -> Labels:
        """Labels (Y, X) of a frame between, 1..n. A nucleus that one side alone has is taken where that is nearer."""
        near = nearness(frame, self.before, self.after)
        return _drawn(self.shape, [(t.depth(near), t.places[frame - self.first]) for t in self.tracks])


def nearness(frame: int, before: int, after: int) -> float:
    """How far a frame's nuclei are told by the clear frame before it, 0 to 1."""
    return (after - frame) / (after - before)


def follow(found: Mapping[int, Objects], before: Sequence[int], after: Sequence[int], *, diameter_px: float) -> Paths:
    """Paths from the clear frames ``before`` to those ``after``, each in the order of time.

    ``found`` has the nuclei of these, and of frames between that are to correct the paths.
    """
    first, ends = before[0], (before[-1], after[0])
    sides = [_chains(found, frames, diameter_px) for frames in (before[::-1], after)]
    tracks = [_Track(before=chain) for chain in sides[0]] + [_Track(after=chain) for chain in sides[1]]
    fit = _Fit(found, first, after[-1] - first + 1, _speed(found, tracks, diameter_px), diameter_px)
    middle, n, shape = sum(ends) // 2 - first, len(sides[0]), found[first].shape
    spread = np.array([fit.place(track, middle) for track in tracks])
    for track in tracks:
        fit.shape(track)
    drawn = [
        _drawn(shape, [(t.depth(side), t.places[middle]) for t in some])
        for side, some in ((1.0, tracks[:n]), (0.0, tracks[n:]))
    ]
    tracks = fit.linked(tracks[:n], tracks[n:], middle, spread)
    for track in tracks:
        fit.place(track)
        fit.shape(track)
    between = [k for k in sorted(found) if k not in (*before, *after)]
    for _ in range(_ROUNDS):
        seen = fit.seen(tracks, between, ends)
        for track, places in zip(tracks, seen, strict=True):
            fit.place(track, also=places)
    return Paths(first, *ends, overlap(drawn[0], drawn[1]), shape, tracks)


def overlap(a: Labels, b: Labels) -> float:
    """Dice of the nuclei of two labels (Y, X); 1 where neither has any."""
    both = int((a > 0).sum()) + int((b > 0).sum())
    return 2.0 * int(((a > 0) & (b > 0)).sum()) / both if both else 1.0


def _chains(found: Mapping[int, Objects], frames: Sequence[int], diameter_px: float) -> list[dict[int, int]]:
    """Nuclei of clear frames in a row, the nearest to the gap first. What one frame alone has, and not the nearest, was
    no nucleus."""
    chains: list[dict[int, int]] = []
    last: dict[int, dict[int, int]] = {}
    for number, frame in enumerate(frames):
        here: dict[int, dict[int, int]] = {}
        if number:
            i, j = mutual_pairs(found[frames[number - 1]].places, found[frame].places, _STEP * diameter_px)
            here = {b: last[a] for a, b in zip(i.tolist(), j.tolist(), strict=True)}
        for k in range(len(found[frame].places)):
            if k not in here:
                here[k] = {}
                chains.append(here[k])
            here[k][frame] = k
        last = here
    return [chain for chain in chains if frames[0] in chain or len(chain) > 1]


def _speed(found: Mapping[int, Objects], tracks: Sequence[_Track], diameter_px: float) -> float:
    """Root mean square step of nuclei from clear frame to clear frame along an axis, px, without what all do."""
    steps = []
    for track in tracks:
        for side in (track.before, track.after):
            frames = sorted(side)
            steps += [found[b].places[side[b]] - found[a].places[side[a]] for a, b in pairwise(frames)]
    if not steps:
        return diameter_px * _FASTEST / 2
    every = np.array(steps)
    own = every - np.median(every, axis=0) if len(steps) > _LEAST_STEPS else every
    most = _FASTEST * diameter_px
    return max(float(np.sqrt(np.mean(np.clip(own, -most, most) ** 2))), _LEAST_SPEED * diameter_px)


class _Fit:
    """Places and shapes of tracks over ``count`` frames from ``first`` on."""

    def __init__(
        self, found: Mapping[int, Objects], first: int, count: int, speed_px: float, diameter_px: float
    ) -> None:
        self._found, self._first, self._count, self._diameter = found, first, count, diameter_px
        self._steps = _precision(count, speed_px)

    def place(self, track: _Track, middle: int = 0, also: Sequence[tuple[int, Floats, float]] = ()) -> float:
        """Put a track's likeliest places into it; variance (px²) of the one in frame ``middle``, from ``first`` on.

        ``also`` are frames, places and variances (px²) beside those of the clear frames.
        """
        sure = _CLEAR_VARIANCE * self._diameter**2
        known = [(f, self._found[f].places[k], sure) for f, k in (track.before | track.after).items()] + list(also)
        bands, right = self._steps.copy(), np.zeros((self._count, 3))
        for frame, place, variance in known:
            bands[-1, frame - self._first] += 1 / variance
            right[frame - self._first, :2] += place / variance
        right[middle, 2] = 1.0
        solved = solveh_banded(bands, right)
        track.places = solved[:, :2]
        return float(solved[middle, 2])

    def shape(self, track: _Track) -> None:
        """Put a track's shapes into it: the mean distance map of the clear frames of either side."""
        sides = [[(self._found[f], k) for f, k in side.items()] for side in (track.before, track.after)]
        reach = max(objects.reach(k) for side in sides for objects, k in side)
        means = [np.mean([o.depth(k, reach) for o, k in side], axis=0) if side else None for side in sides]
        track.depths = (means[0], means[1])

    def linked(self, before: list[_Track], after: list[_Track], middle: int, spread: Floats) -> list[_Track]:
        """Tracks of both sides made one where they meet in the middle, with places known to ``spread`` (px²) there.

        The sum of the links' likelihoods is the largest; nuclei that nothing is linked with stay tracks of their own.
        """
        ours, theirs = (np.array([t.places[middle] for t in some]).reshape(-1, 2) for some in (before, after))
        i, j, distance = near_pairs(ours, theirs, _FARTHEST * self._diameter)
        areas = [np.array([self._area(t) for t in some]) for some in (before, after)]
        change = np.nan_to_num(np.log(areas[0][i] / areas[1][j])) / _AREA_SPREAD
        gain = _MOST_NATS - distance**2 / (2 * (spread[: len(before)][i] + spread[len(before) :][j])) - change**2 / 2
        worth = gain > 0
        i, j, gain = i[worth], j[worth], gain[worth]
        chosen = assign(i, j, gain, (len(before), len(after)))
        partner = dict(zip(i[chosen].tolist(), j[chosen].tolist(), strict=True))
        left = sorted(set(range(len(after))) - set(partner.values()))
        both = [_Track(t.before, after[partner[k]].after if k in partner else {}) for k, t in enumerate(before)]
        return both + [after[k] for k in left]

    def _area(self, track: _Track) -> float:
        """Median area, px; NaN of a nucleus that is cut by the field's border."""
        objects = [(self._found[f], k) for f, k in (track.before | track.after).items()]
        if any(o.border[k] for o, k in objects):
            return float("nan")
        return float(np.median([o.areas[k] for o, k in objects]))

    def seen(
        self, tracks: Sequence[_Track], frames: Sequence[int], ends: tuple[int, int]
    ) -> list[list[tuple[int, Floats, float]]]:
        """For each track, the faint frames in which an object has its shape near its path: frame, place, variance."""
        seen: list[list[tuple[int, Floats, float]]] = [[] for _ in tracks]
        for frame in frames:
            objects, near = self._found[frame], nearness(frame, *ends)
            places = np.array([t.places[frame - self._first] for t in tracks]).reshape(-1, 2)
            i, j = mutual_pairs(places, objects.places, _NEAR * self._diameter)
            for n, k in zip(i.tolist(), j.tolist(), strict=True):
                fit = _fit(tracks[n].depth(near), objects, k)
                if fit > _LEAST_FIT:
                    variance = max(_FIT_VARIANCE * (1 - fit) ** 2, _CLEAR_VARIANCE) * self._diameter**2
                    seen[n].append((frame, objects.places[k], variance))
        return seen


def _precision(count: int, speed_px: float) -> Floats:
    """The steps' part of the equations for places in ``count`` frames, as the upper three bands of a matrix: each step
    is `_KEPT` of the one before and as much new as keeps the speed."""
    full = np.zeros((3, count))

    def add(at: int, row: Sequence[float], weight: float) -> None:
        for a, one in enumerate(row):
            for b, other in enumerate(row[a:], a):
                full[2 - (b - a), at + b] += weight * one * other

    add(0, (-1.0, 1.0), 1 / speed_px**2)
    for k in range(count - 2):
        add(k, (_KEPT, -1.0 - _KEPT, 1.0), 1 / (speed_px**2 * (1 - _KEPT**2)))
    return full


def _fit(depth: Plane | None, objects: Objects, k: int) -> float:
    """Overlap over union of a shape put on the middle of object ``k`` with that."""
    if depth is None:
        return 0.0
    put = _put(depth, objects.places[k], objects.shape)
    if put is None:
        return 0.0
    window, inside = put[0], put[1] > 0
    both = int((inside & objects.of_box(k, window)).sum())
    return both / (int(inside.sum()) + float(objects.areas[k]) - both)


def _drawn(shape: tuple[int, int], nuclei: Sequence[tuple[Plane | None, Floats]]) -> Labels:
    """Labels (Y, X) of nuclei with their depths and places; a pixel is of the one that it lies deepest in."""
    out, deepest = np.zeros(shape, np.uint32), np.zeros(shape, np.float32)
    for number, (depth, place) in enumerate(nuclei, start=1):
        put = None if depth is None else _put(depth, place, shape)
        if put is not None:
            window, here = put
            won = here > deepest[window]
            out[window][won] = number
            deepest[window][won] = here[won]
    sizes = np.bincount(out.ravel())
    keep = np.cumsum(sizes >= _LEAST_PX) - (sizes[0] >= _LEAST_PX)
    return np.where(sizes[out] >= _LEAST_PX, keep[out], 0).astype(np.uint32)


def _put(depth: Plane, place: Floats, shape: tuple[int, int]) -> tuple[tuple[slice, slice], Plane] | None:
    """The window of a field in which a shape lies at ``place``, and its depth there; None outside the field."""
    whole = np.rint(place).astype(int)
    moved, reach = _shifted(depth, place - whole), depth.shape[0] // 2
    windows, parts = [], []
    for at, side in zip(whole.tolist(), shape, strict=True):
        start, stop = max(at - reach, 0), min(at + reach + 1, side)
        if stop <= start:
            return None
        windows.append(slice(start, stop))
        parts.append(slice(start - at + reach, stop - at + reach))
    return (windows[0], windows[1]), moved[parts[0], parts[1]]


def _shifted(plane: Plane, by: Floats) -> Plane:
    """A plane (Y, X) moved by (y, x)."""
    move = np.array([[1, 0, by[1]], [0, 1, by[0]]], np.float32)
    size = plane.shape[::-1]
    moved = cv2.warpAffine(plane, move, size, flags=cv2.INTER_LINEAR, borderMode=cv2.BORDER_REPLICATE)
    return np.asarray(moved, np.float32)
