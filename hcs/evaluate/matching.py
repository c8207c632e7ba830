"""Object matching by intersection over union, and the F1 of Caicedo et al. 2019."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

THRESHOLDS: tuple[float, ...] = tuple(round(0.50 + 0.05 * i, 2) for i in range(10))
"""IoU thresholds 0.50 … 0.95."""
CAICEDO = tuple(t for t in THRESHOLDS if t <= 0.90)
"""The thresholds over which Caicedo et al. 2019 average: 0.50 … 0.90."""


@dataclass(frozen=True, slots=True)
class Matching:
    """Overlaps of one image: ``iou`` (true nuclei, predicted nuclei), label numbers dense in both."""

    iou: NDArray[np.float64]

    @property
    def n_true(self) -> int:
        """True nuclei."""
        return int(self.iou.shape[0])

    @property
    def n_predicted(self) -> int:
        """Predicted nuclei."""
        return int(self.iou.shape[1])

    def true_positives(self, threshold: float) -> int:
        """Pairs with IoU above ``threshold``; from 0.5 up each nucleus is in at most one such pair, so none is
        ambiguous."""
        if threshold < 0.5:
            raise ValueError(f"threshold {threshold} < 0.5: pairs would not be unique")
        return int((self.iou > threshold).sum())

    def f1(self, threshold: float) -> float:
        """2 TP / (true + predicted); 1 where both are empty."""
        total = self.n_true + self.n_predicted
        return 2.0 * self.true_positives(threshold) / total if total else 1.0


def match(
    truth: NDArray[np.integer], predicted: NDArray[np.integer], *, ignore: NDArray[np.bool_] | None = None
) -> Matching:
    """Match labels ``predicted`` (Y, X) with ``truth`` (Y, X), 0 = background.

    Pixels where ``ignore`` (Y, X) is true count for neither side; a predicted nucleus with more than half of its
    pixels there is dropped.
    """
    if truth.shape != predicted.shape:
        raise ValueError(f"truth is {truth.shape} px, prediction {predicted.shape} px: they must be the same field")
    if ignore is not None:
        predicted = _without(predicted, ignore)
        truth, predicted = np.where(ignore, 0, truth), np.where(ignore, 0, predicted)
    true_ids, t = np.unique(truth, return_inverse=True)
    predicted_ids, p = np.unique(predicted, return_inverse=True)
    pairs = np.bincount(t.ravel() * predicted_ids.size + p.ravel(), minlength=true_ids.size * predicted_ids.size)
    overlap = pairs.reshape(true_ids.size, predicted_ids.size).astype(np.float64)
    union = overlap.sum(1, keepdims=True) + overlap.sum(0, keepdims=True) - overlap
    return Matching(iou=(overlap / union)[np.ix_(true_ids > 0, predicted_ids > 0)])


def _without(predicted: NDArray[np.integer], ignore: NDArray[np.bool_]) -> NDArray[np.integer]:
    """``predicted`` less the nuclei that lie mostly in ``ignore``."""
    ids, inverse = np.unique(predicted, return_inverse=True)
    inside = np.bincount(inverse.ravel(), weights=ignore.ravel(), minlength=ids.size)
    area = np.bincount(inverse.ravel(), minlength=ids.size)
    return np.asarray(np.where(inside > 0.5 * area, 0, ids)[inverse].reshape(predicted.shape))


def mean_f1(matchings: list[Matching], thresholds: tuple[float, ...] = CAICEDO) -> float:
    """F1 per image, averaged over images, then over thresholds (Caicedo et al. 2019); NaN without images."""
    if not matchings:
        return float("nan")
    return float(np.mean([[m.f1(t) for m in matchings] for t in thresholds]))
