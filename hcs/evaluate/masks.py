"""A mask against the true one: sensitivity, specificity, Dice and Hausdorff distance, as Bosboom 2024 reports them.

Alone in a file because every other score here is of objects; these are of pixels, for networks that answer nucleus or
not.
"""

from __future__ import annotations

from dataclasses import dataclass

import cv2
import numpy as np
from numpy.typing import NDArray

Mask = NDArray[np.bool_]
SCORES = ("sensitivity", "specificity", "dice", "hausdorff_px")


@dataclass(frozen=True, slots=True)
class MaskScore:
    """Scores of one mask; NaN where there is nothing that they could be of."""

    sensitivity: float
    """Share of the true pixels that are found."""
    specificity: float
    """Share of the other pixels that are left out."""
    dice: float
    """2 |a ∩ b| / (|a| + |b|); 1 where both are empty."""
    hausdorff_px: float
    """Longest way from a pixel of either mask to the other mask; NaN where one is empty."""


def score_mask(found: Mask, true: Mask) -> MaskScore:
    """Scores of ``found`` (Y, X) against ``true`` (Y, X)."""
    positive, negative = int(true.sum()), int((~true).sum())
    both, neither = int((found & true).sum()), int((~found & ~true).sum())
    size = positive + int(found.sum())
    return MaskScore(
        sensitivity=both / positive if positive else float("nan"),
        specificity=neither / negative if negative else float("nan"),
        dice=2.0 * both / size if size else 1.0,
        hausdorff_px=hausdorff_px(found, true),
    )


def hausdorff_px(a: Mask, b: Mask) -> float:
    """Hausdorff distance of two masks (Y, X), px, between the centres of pixels; NaN where one is empty."""
    if not a.any() or not b.any():
        return float("nan")
    return max(float(_distance(b)[a].max()), float(_distance(a)[b].max()))


def _distance(mask: Mask) -> NDArray[np.float32]:
    """Distance (Y, X) of every pixel to the mask."""
    return np.asarray(cv2.distanceTransform((~mask).astype(np.uint8), cv2.DIST_L2, cv2.DIST_MASK_PRECISE))
