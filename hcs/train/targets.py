"""Labels → what the network is to learn: a class and a weight for every pixel."""

from __future__ import annotations

import cv2
import numpy as np
from numpy.typing import NDArray

from hcs.segment.distance import distance_px

_EDGE_PX = 3
_TOUCH_PX = 4


def class_map(labels: NDArray[np.integer], *, boundary_px: int) -> NDArray[np.uint8]:
    """Labels (Y, X) → classes (Y, X) uint8: 0 background, 1 interior, 2 boundary.

    The boundary class is a nucleus' own outermost ``boundary_px`` pixels, so interior and boundary together are the
    nucleus exactly. (Caicedo et al. 2019 draw it half outside, see `centred_class_map`.) A nucleus thinner than twice
    that keeps the half of its pixels that lie deepest as interior, so that no nucleus is without one.
    """
    nucleus = labels > 0
    depth = depth_px(labels)
    interior = nucleus & (depth > boundary_px)
    for label in np.setdiff1d(np.unique(labels[nucleus]), labels[interior]):
        member = labels == label
        interior |= member & (depth >= np.median(depth[member]))
    classes: NDArray[np.uint8] = np.where(interior, 1, np.where(nucleus, 2, 0)).astype(np.uint8)
    return classes


def centred_class_map(labels: NDArray[np.integer], *, boundary_px: int) -> NDArray[np.uint8]:
    """Labels (Y, X) → classes (Y, X) uint8, the boundary class a band of ``boundary_px``, odd, centred on a nucleus'
    outermost pixels: as wide outside as inside (Caicedo et al. 2019, with 3 px)."""
    outline = (depth_px(labels) == 1.0).astype(np.uint8)
    disc = cv2.getStructuringElement(cv2.MORPH_ELLIPSE, (boundary_px, boundary_px))
    band = cv2.dilate(outline, disc) > 0
    classes: NDArray[np.uint8] = np.where(band, 2, labels > 0).astype(np.uint8)
    return classes


def nucleus_map(labels: NDArray[np.integer]) -> NDArray[np.uint8]:
    """Labels (Y, X) → classes (Y, X) uint8 of a binary network: 0 background, 1 nucleus."""
    return (labels > 0).astype(np.uint8)


def depth_px(labels: NDArray[np.integer]) -> NDArray[np.float32]:
    """Distance, px, of every nucleus pixel to the nearest pixel of anything else; 0 in the background.

    The image border is no edge: a nucleus cut by it has no boundary there.
    """
    padded = np.pad(labels, 1, mode="edge").astype(np.float32)
    square = np.ones((3, 3), np.uint8)
    same = cv2.erode(padded, square) == cv2.dilate(padded, square)
    depth = distance_px((padded > 0) & same)[1:-1, 1:-1] + 1.0
    return np.where(labels > 0, depth, 0.0).astype(np.float32)


def weight_map(
    labels: NDArray[np.integer],
    classes: NDArray[np.uint8],
    *,
    edge_weight: float,
    touch_weight: float,
    balance_px: int = 0,
) -> NDArray[np.float32]:
    """Loss weights (Y, X) float32: 1, raised near outlines alike on both sides, and most where two nuclei nearly touch;
    those of nuclei of fewer than ``balance_px`` pixels times `small_nucleus_factor`.

    Alike on both sides, because a weight on the boundary class alone buys its recall by growing every nucleus.
    """
    nucleus = labels > 0
    inside = cv2.distanceTransform(nucleus.astype(np.uint8), cv2.DIST_L2, 3)
    outside = cv2.distanceTransform((~nucleus).astype(np.uint8), cv2.DIST_L2, 3)
    near = (inside + outside) <= _EDGE_PX
    weights = np.where(near | (classes == 2), edge_weight, 1.0).astype(np.float32)
    weights = np.where(_between(labels), np.float32(touch_weight), weights)
    return weights * small_nucleus_factor(labels, balance_px) if balance_px else weights


def small_nucleus_factor(labels: NDArray[np.integer], balance_px: int) -> NDArray[np.float32]:
    """Factors (Y, X) float32: √(``balance_px`` / area) on and within 3 px of a nucleus of fewer pixels, the largest
    where several are near; else 1.

    A sum over pixels counts a nucleus by its area, a score over objects counts each as one; this is half way. A nucleus
    at the image border has 1: how much of it is cut off is not known.
    """
    area = np.bincount(labels.ravel()).astype(np.float32)
    factor = np.sqrt(np.maximum(balance_px / np.maximum(area, 1.0), 1.0)).astype(np.float32)
    for border in (labels[0], labels[-1], labels[:, 0], labels[:, -1]):
        factor[border] = 1.0
    factor[0] = 1.0
    disc = cv2.getStructuringElement(cv2.MORPH_ELLIPSE, (2 * _EDGE_PX + 1, 2 * _EDGE_PX + 1))
    return np.asarray(cv2.dilate(factor[labels], disc), dtype=np.float32)


def distance_weights(
    labels: NDArray[np.integer], *, strength: float = 10.0, sigma_px: float = 5.0
) -> NDArray[np.float32]:
    """Loss weights (Y, X) float32: 1 + strength · exp(−(d₁ + d₂)² / 2σ²), d₁ and d₂ a pixel's distances, px, from the
    nearest and the second nearest nucleus; 1 where there are fewer than two nuclei.

    Ronneberger et al., MICCAI 2015, with their w₀ = 10 and σ = 5 px; a pixel inside a nucleus has d₁ = 0. Their balance
    of class frequencies is left out: the class map is not theirs.
    """
    nearest = np.full((2, *labels.shape), np.inf, np.float32)
    for label in np.unique(labels[labels > 0]):
        away = distance_px(labels != label)
        nearest[1] = np.minimum(nearest[1], np.maximum(nearest[0], away))
        nearest[0] = np.minimum(nearest[0], away)
    weights: NDArray[np.float32] = 1.0 + strength * np.exp(-(nearest.sum(axis=0) ** 2) / (2.0 * sigma_px**2))
    return weights.astype(np.float32)


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
