"""How large the nuclei of a plate are, found by the network itself: segment, measure, rescale, look again."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from fractions import Fraction
from functools import cache, partial

import numpy as np
from numpy.typing import NDArray

from hcs.segment.scale import SCALES, diameters_px, scale_for, working_scale
from hcs.segment.segmenter import Segmenter
from hcs.segment.settings import InstanceSettings
from hcs.tiles.settings import TileSettings

_SEEN_PX = 320
"""Side, at the network, of the middle of a field that is looked at."""
_ENOUGH = 5
"""Nuclei in one field that make its median worth following to another scale."""
_LOOKS = 4
_STARTS = (Fraction(1, 2), Fraction(1, 4), Fraction(1), Fraction(2), Fraction(3))
_SHARE = 0.25
"""Nuclei that cover less than this of what those at another scale do are not those to follow."""
_FRAGMENTED = 0.4
"""Share of all outlines along which nuclei touch, from which they may be fragments; of labelled images 0.17 at most."""
_GROWN = 1.4
"""Nuclei that are so many times as large, seen at half the scale, were fragments."""
_DEBRIS = 0.4
"""Nuclei below so much of the size of those that cover most are left out of the median: specks, pieces of the dead."""
_COVERED = 0.0025
"""Share of the field that fewer nuclei must cover to tell a size: two of 24 px in 600 × 600 px."""
FEWEST = 20
"""Nuclei over all fields below which no size is estimated."""


@dataclass(frozen=True, slots=True)
class Diameter:
    """Estimated size of a plate's nuclei."""

    px: float
    """Median equivalent diameter, but for debris; NaN where it could not be estimated."""
    nuclei: int
    """Nuclei that were looked at."""
    scale: Fraction
    """Magnification at which the network will see the plate; 1 where the size is unknown."""
    reason: str = ""
    """Why the size is unknown."""

    def note(self) -> str:
        """One sentence for the user: the size, from how many nuclei, and the scale it leads to; or why none."""
        if self.reason:
            return f"Size of the nuclei: {self.reason}; the network sees the images at their own scale."
        source = f"median of {self.nuclei:,}" if self.nuclei else "as given"
        return f"Nuclei are {self.px:.0f} px across ({source}); the network sees them at {self.scale} of their size."


def nucleus_diameters(
    image: NDArray[np.float32],
    segmenter: Segmenter,
    tiles: TileSettings,
    settings: InstanceSettings,
    fill: NDArray[np.bool_] | None = None,
) -> NDArray[np.float64]:
    """Equivalent diameters, px, of the nuclei in the middle of a prepared field (Y, X).

    The field is first seen at half its size, where nuclei of some 12 to 100 px are found whole, then at the scale that
    the networks would rather see what was found at, until that is the scale it was found at; above full size, where
    little of a field is looked at, until it is about that. Where few are found, more of the field is seen at a quarter
    of its size, then ever less of it, larger. Nuclei that touch along much of their outlines may be fragments of larger
    ones, which agree with each other: the field is seen at half the scale, too, and if what is found there is larger,
    that is followed. What covers much less of the field than was found at another scale is debris beside nuclei, and in
    a field of few nuclei the look in which they cover most counts; where they cover next to nothing, the field tells
    no size: they may be specks. ``fill`` (Y, X) was not recorded: nuclei at it tell no size, and what is looked at is
    the middle of the rest.
    """
    target = segmenter.diameter_px
    if target is None:
        return np.empty(0)
    see = cache(partial(_seen, image, segmenter, tiles, settings, fill=fill))
    most = _Look(SCALES[0], np.empty(0), 0.0, 0.0)
    for start in _STARTS:
        if start < _STARTS[0] and max(image.shape) <= _SEEN_PX / _STARTS[0]:
            continue  # of which all has been seen
        look = _followed(see, start, target)
        if look.covered > most.covered:
            most = look
        if look.found.size >= _ENOUGH and look.covered >= _SHARE * most.covered:
            return look.found
    return most.found if most.found.size >= _ENOUGH or most.covered >= _COVERED else np.empty(0)


def typical_px(diameters: NDArray[np.float64]) -> float:
    """Median of the diameters (n,) but for those far below the diameter of the nuclei that cover most; 0 for none."""
    if diameters.size == 0:
        return 0.0
    ordered = np.sort(diameters)
    covered = np.cumsum(ordered**2)
    middle = ordered[np.searchsorted(covered, covered[-1] / 2.0)]
    return float(np.median(ordered[ordered >= _DEBRIS * middle]))


@dataclass(frozen=True, slots=True)
class _Look:
    """What is found at one scale in the middle of a field."""

    scale: Fraction

    found: NDArray[np.float64]
    """Diameters, px at full resolution."""
    covered: float
    """Share of the field in nuclei."""
    touching: float
    """Share of their outlines along which two of them touch."""


def _followed(see: Callable[[Fraction], _Look], scale: Fraction, target_px: float) -> _Look:
    """What is seen from ``scale`` on at the scale that the networks would rather see it at, until that is settled or
    few nuclei are found."""
    look = _whole(see, scale)
    for _ in range(_LOOKS - 1):
        if look.found.size < _ENOUGH:
            return look
        wanted = scale_for(typical_px(look.found), target_px)
        if wanted == look.scale or (look.scale >= 1 and Fraction(2, 3) <= wanted / look.scale <= Fraction(3, 2)):
            return look
        closer = _whole(see, wanted)
        if closer.found.size < _ENOUGH:
            return look  # of which less of the field is left
        look = closer
    return look


def _whole(see: Callable[[Fraction], _Look], scale: Fraction) -> _Look:
    """What is seen at ``scale``, or, where that is fragments, at the coarser one at which they are whole."""
    look = see(scale)
    while look.touching > _FRAGMENTED and look.scale > SCALES[0]:
        coarser = see(max(look.scale / 2, SCALES[0]))
        if typical_px(coarser.found) < _GROWN * typical_px(look.found):
            break  # whole nuclei that do touch
        look = coarser
    return look


def _seen(
    image: NDArray[np.float32],
    segmenter: Segmenter,
    tiles: TileSettings,
    settings: InstanceSettings,
    scale: Fraction,
    *,
    fill: NDArray[np.bool_] | None,
) -> _Look:
    """The nuclei in the middle of the field as the networks see them at ``scale``."""
    side = int(_SEEN_PX / scale)
    top, left = (max(0, (length - side) // 2) for length in image.shape)
    if fill is not None:
        top, left = _middle_of(~fill, side)
    seen = slice(top, top + side), slice(left, left + side)
    middle = image[seen]
    pixels = replace(settings, min_area_um2=None).for_field(None, scale)
    labels = segmenter.labels_of(middle, tiles, pixels, scale)
    recorded = labels.size
    if fill is not None:
        labels[np.isin(labels, labels[fill[seen]])] = 0
        recorded = int(np.count_nonzero(~fill[seen]))
    return _Look(scale, diameters_px(labels), float(np.count_nonzero(labels)) / max(recorded, 1), touching(labels))


def _middle_of(recorded: NDArray[np.bool_], side: int) -> tuple[int, int]:
    """Top and left of a square of ``side`` px, in the field, around the middle of its recorded pixels (Y, X)."""
    corner = []
    for axis, length in enumerate(recorded.shape):
        below = np.cumsum(np.count_nonzero(recorded, axis=1 - axis))
        middle = int(np.searchsorted(below, below[-1] / 2))
        corner.append(int(np.clip(middle - side // 2, 0, max(0, length - side))))
    return corner[0], corner[1]


def touching(labels: NDArray[np.uint32]) -> float:
    """Share of all outlines in labels (Y, X) along which a nucleus touches another, not the background."""
    outline = contact = 0
    for one, other in ((labels[1:], labels[:-1]), (labels[:, 1:], labels[:, :-1])):
        differ = one != other
        both = int(np.count_nonzero(differ & (one > 0) & (other > 0)))
        contact += 2 * both  # an outline of either
        outline += int(np.count_nonzero(differ)) + both
    return contact / max(outline, 1)


def plate_diameter(found: Sequence[NDArray[np.float64]], target_px: float | None, *, fewest: int = FEWEST) -> Diameter:
    """One size for a whole plate, `typical_px` of the diameters found in some of its fields, so that all fields agree.

    With fewer than ``fewest`` nuclei in all, or for networks that take images as they are (``target_px`` None), the
    size is NaN, the scale 1, and the reason says why.
    """
    if target_px is None:
        return Diameter(float("nan"), 0, Fraction(1), "the model takes images as they are")
    pooled = np.concatenate([*found, np.empty(0)])
    if pooled.size < fewest:
        reason = f"{pooled.size} nuclei in {len(found)} fields are too few to tell their size; give --diameter-px"
        return Diameter(float("nan"), pooled.size, Fraction(1), reason)
    px = typical_px(pooled)
    return Diameter(px, pooled.size, working_scale(px, target_px))


def given_diameter(px: float, target_px: float | None) -> Diameter:
    """The size that a user gives, instead of an estimate; a model that takes images as they are keeps scale 1."""
    return Diameter(px, 0, Fraction(1) if target_px is None else working_scale(px, target_px))
