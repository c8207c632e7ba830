"""Labels → what the network is to learn: a class and a weight for every pixel."""

from __future__ import annotations

import cv2
import numpy as np
from numpy.typing import NDArray

_EDGE_PX = 3
_TOUCH_PX = 4


def class_map(labels: NDArray[np.integer], *, boundary_px: int) -> NDArray[np.uint8]:
    """Labels (Y, X) → classes (Y, X) uint8: 0 background, 1 interior, 2 boundary.

    The boundary class is a nucleus' own outermost ``boundary_px`` pixels, so interior and boundary together are the
    nucleus
    exactly. (Caicedo et al. 2019 draw it half outside, which costs a pixel of outline.) A nucleus thinner than
    twice that keeps the half of its pixels that lie deepest as interior, so that no nucleus is without one.
    """
    nucleus = labels > 0
    depth = depth_px(labels)
    interior = nucleus & (depth > boundary_px)
    for label in np.setdiff1d(np.unique(labels[nucleus]), labels[interior]):
        member = labels == label
        interior |= member & (depth >= np.median(depth[member]))
    classes: NDArray[np.uint8] = np.where(interior, 1, np.where(nucleus, 2, 0)).astype(np.uint8)
    return classes


def depth_px(labels: NDArray[np.integer]) -> NDArray[np.float32]:
    """Distance, px, of every nucleus pixel to the nearest pixel of anything else; 0 in the background.

    The image border is no edge: a nucleus cut by it has no boundary there.
    """
    padded = np.pad(labels, 1, mode="edge").astype(np.float32)
    square = np.ones((3, 3), np.uint8)
    same = cv2.erode(padded, square) == cv2.dilate(padded, square)
    core = ((padded > 0) & same).astype(np.uint8)
    depth = cv2.distanceTransform(core, cv2.DIST_L2, cv2.DIST_MASK_PRECISE)[1:-1, 1:-1] + 1.0
    return np.where(labels > 0, depth, 0.0).astype(np.float32)


def weight_map(
    labels: NDArray[np.integer], classes: NDArray[np.uint8], *, edge_weight: float, touch_weight: float
) -> NDArray[np.float32]:
    """Loss weights (Y, X) float32: 1, raised near outlines alike on both sides, and most where two nuclei nearly touch.

    Alike on both sides, because a weight on the boundary class alone buys its recall by growing every nucleus.
    """
    nucleus = labels > 0
    inside = cv2.distanceTransform(nucleus.astype(np.uint8), cv2.DIST_L2, 3)
    outside = cv2.distanceTransform((~nucleus).astype(np.uint8), cv2.DIST_L2, 3)
    near = (inside + outside) <= _EDGE_PX
    weights = np.where(near | (classes == 2), edge_weight, 1.0).astype(np.float32)
    return np.where(_between(labels), np.float32(touch_weight), weights)


def _between(labels: NDArray[np.integer]) -> NDArray[np.bool_]:
    """Pixels with two different nuclei within a 2·_TOUCH_PX + 1 px disc that lie near an outline."""
    values = labels.astype(np.float32)
    disc = cv2.getStructuringElement(cv2.MORPH_ELLIPSE, (2 * _TOUCH_PX + 1, 2 * _TOUCH_PX + 1))
    highest = cv2.dilate(values, disc)
    far = float(values.max()) + 1.0
    lowest = cv2.erode(np.where(values > 0, values, far), disc)
    small = cv2.getStructuringElement(cv2.MORPH_ELLIPSE, (2 * 2 + 1, 2 * 2 + 1))
    edge = cv2.dilate(values, small) != cv2.erode(values, small)
    between: NDArray[np.bool_] = (highest > lowest) & (lowest < far) & edge
    return between
