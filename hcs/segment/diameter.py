"""How large the nuclei of a plate are, found by the network itself: segment, measure, rescale, look again."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from fractions import Fraction

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
_COVERED = 0.0025
"""Share of the field that fewer nuclei must cover to tell a size: two of 24 px in 600 × 600 px."""
FEWEST = 20
"""Nuclei over all fields below which no size is estimated."""


@dataclass(frozen=True, slots=True)
class Diameter:
    """Estimated size of a plate's nuclei."""

    px: float
    """Median equivalent diameter; NaN where it could not be estimated."""
    nuclei: int
    """Nuclei it is the median of."""
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

    The field is first seen at half its size, where nuclei of some 12 to 100 px are found whole; where that finds
    few, or nuclei that the networks would rather see at a scale more than twice as large or small, it is seen again
    there. Of several looks at a field of few nuclei, the one in which they cover most counts; where they cover next to
    nothing, the field tells no size: they may be specks. ``fill`` (Y, X) was not recorded: nuclei at it tell no size,
    and what is looked at is the middle of the rest.
    """
    target = segmenter.diameter_px
    if target is None:
        return np.empty(0)
    scale, looks = Fraction(1, 2), []
    for _ in range(3):
        found, covered = _seen(image, segmenter, tiles, settings, scale, fill=fill)
        wanted = scale_for(float(np.median(found)), target) if found.size >= _ENOUGH else min(2 * scale, SCALES[-1])
        if found.size >= _ENOUGH and Fraction(1, 2) <= wanted / scale <= 2:
            return found
        looks.append((covered, found))
        scale = wanted
    covered, found = max(looks, key=lambda look: look[0])
    return found if found.size >= _ENOUGH or covered >= _COVERED else np.empty(0)


def _seen(
    image: NDArray[np.float32],
    segmenter: Segmenter,
    tiles: TileSettings,
    settings: InstanceSettings,
    scale: Fraction,
    *,
    fill: NDArray[np.bool_] | None,
) -> tuple[NDArray[np.float64], float]:
    """Diameters of the nuclei found at ``scale`` in the middle of the field, and the fraction that they cover of it."""
    side = int(_SEEN_PX / scale)
    top, left = (max(0, (length - side) // 2) for length in image.shape)
    if fill is not None:
        top, left = _middle_of(~fill, side)
    seen = slice(top, top + side), slice(left, left + side)
    middle = image[seen]
    pixels = replace(settings, min_area_um2=None).for_field(None, scale)
    labels = segmenter.labels(segmenter.probabilities(middle, tiles, scale), pixels)
    if fill is None:
        return diameters_px(labels), float(np.count_nonzero(labels)) / labels.size
    labels[np.isin(labels, labels[fill[seen]])] = 0
    return diameters_px(labels), float(np.count_nonzero(labels)) / max(int(np.count_nonzero(~fill[seen])), 1)


def _middle_of(recorded: NDArray[np.bool_], side: int) -> tuple[int, int]:
    """Top and left of a square of ``side`` px, in the field, around the middle of its recorded pixels (Y, X)."""
    corner = []
    for axis, length in enumerate(recorded.shape):
        below = np.cumsum(np.count_nonzero(recorded, axis=1 - axis))
        middle = int(np.searchsorted(below, below[-1] / 2))
        corner.append(int(np.clip(middle - side // 2, 0, max(0, length - side))))
    return corner[0], corner[1]


def plate_diameter(found: Sequence[NDArray[np.float64]], target_px: float | None, *, fewest: int = FEWEST) -> Diameter:
    """One size for a whole plate from the diameters found in some of its fields, so that all fields agree.

    With fewer than ``fewest`` nuclei in all, or for networks that take images as they are (``target_px`` None), the
    size is NaN, the scale 1, and the reason says why.
    """
    if target_px is None:
        return Diameter(float("nan"), 0, Fraction(1), "the model takes images as they are")
    pooled = np.concatenate([*found, np.empty(0)])
    if pooled.size < fewest:
        reason = f"{pooled.size} nuclei in {len(found)} fields are too few to tell their size; give --diameter-px"
        return Diameter(float("nan"), pooled.size, Fraction(1), reason)
    px = float(np.median(pooled))
    return Diameter(px, pooled.size, working_scale(px, target_px))


def given_diameter(px: float, target_px: float | None) -> Diameter:
    """The size that a user gives, instead of an estimate; a model that takes images as they are keeps scale 1."""
    return Diameter(px, 0, Fraction(1) if target_px is None else working_scale(px, target_px))
