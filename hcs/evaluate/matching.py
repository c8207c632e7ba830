"""Object matching by intersection over union, and the F1 of Caicedo et al. 2019."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

Ints = NDArray[np.int64]
Floats = NDArray[np.float64]

THRESHOLDS: tuple[float, ...] = tuple(round(0.50 + 0.05 * i, 2) for i in range(10))
"""IoU thresholds 0.50 … 0.95."""
CAICEDO = tuple(t for t in THRESHOLDS if t <= 0.90)
"""The thresholds over which Caicedo et al. 2019 average: 0.50 … 0.90."""


@dataclass(frozen=True, slots=True)
class Numbered:
    """A label image with its objects numbered 1…n in the order of their label values."""

    values: Ints
    """(n,) label values, ascending."""
    dense: Ints
    """(Y, X) numbers, 0 = background."""
    area: Ints
    """(n,) pixels."""


@dataclass(frozen=True, slots=True)
class Matching:
    """Overlaps of the true and the predicted nuclei of one image, one entry a pair that shares a pixel."""

    true_area: Ints
    """(n,) pixels of each true nucleus, in the order of label values."""
    predicted_area: Ints
    """(m,) the same of the predicted ones."""
    pair_true: Ints
    """(k,) index of the pair's true nucleus, from 0."""
    pair_predicted: Ints
    """(k,) index of its predicted nucleus."""
    pair_iou: Floats
    """(k,) intersection over union, above 0."""

    @property
    def n_true(self) -> int:
        """True nuclei."""
        return len(self.true_area)

    @property
    def n_predicted(self) -> int:
        """Predicted nuclei."""
        return len(self.predicted_area)

    @property
    def iou(self) -> Floats:
        """IoU of every true with every predicted nucleus, (n, m)."""
        table = np.zeros((self.n_true, self.n_predicted))
        table[self.pair_true, self.pair_predicted] = self.pair_iou
        return table

    def pairs(self, threshold: float) -> NDArray[np.bool_]:
        """Which entries have an IoU above ``threshold``, (k,).

        From 0.5 up each nucleus is in at most one such pair, so none is ambiguous; below, ValueError.
        """
        if threshold < 0.5:
            raise ValueError(f"threshold {threshold} < 0.5: pairs would not be unique")
        return self.pair_iou > threshold

    def true_positives(self, threshold: float) -> int:
        """Number of pairs with IoU above ``threshold``, which is at least 0.5."""
        return int(self.pairs(threshold).sum())

    def f1(self, threshold: float) -> float:
        """2 TP / (true + predicted); 1 where both are empty."""
        total = self.n_true + self.n_predicted
        return 2.0 * self.true_positives(threshold) / total if total else 1.0


def number(labels: NDArray[np.integer]) -> Numbered:
    """Number the objects of ``labels`` (Y, X) of any integer dtype, 0 = background.

    Labels may have gaps; one label in several pieces is one object. Raises ValueError for labels that are not 2-D
    integers, are negative, or above 2⁶³−1.
    """
    if labels.ndim != 2 or not np.issubdtype(labels.dtype, np.integer):
        raise ValueError(f"labels of shape {labels.shape} and dtype {labels.dtype}: a 2-D image of integers is needed")
    low, top = int(labels.min(initial=0)), int(labels.max(initial=0))
    if low < 0 or top > np.iinfo(np.int64).max:
        raise ValueError(f"labels from {low} to {top}: use 0 for background and 1 to 2**63-1 for nuclei")
    signed = labels.astype(np.int64)
    if top <= max(4 * labels.size, 2**16):
        area = np.bincount(signed.ravel(), minlength=top + 1)
        area[0] = 0
        values = np.flatnonzero(area)
        position = np.zeros(top + 1, np.int64)
        position[values] = np.arange(1, len(values) + 1)
        return Numbered(values, position[signed], area[values])
    values, dense = np.unique(signed, return_inverse=True)
    area = np.bincount(dense.ravel())
    if values[0] == 0:
        return Numbered(values[1:], dense.reshape(labels.shape), area[1:])
    return Numbered(values, dense.reshape(labels.shape) + 1, area)


def scored_labels(
    truth: NDArray[np.integer], predicted: NDArray[np.integer], *, ignore: NDArray[np.bool_] | None
) -> tuple[Numbered, Numbered]:
    """The nuclei of ``truth`` and ``predicted`` (Y, X) that are scored, on the pixels that are.

    Pixels where ``ignore`` (Y, X) is true count for neither side; a predicted nucleus with more than half of its
    pixels there is dropped. Raises ValueError where shapes differ or labels cannot be numbered.
    """
    if truth.shape != predicted.shape:
        raise ValueError(f"truth is {truth.shape} px, prediction {predicted.shape} px: they must be the same field")
    if ignore is None or not ignore.any():
        return number(truth), number(predicted)
    if ignore.shape != truth.shape:
        raise ValueError(f"truth is {truth.shape} px, ignored pixels {ignore.shape} px: they must be the same field")
    whole = number(predicted)
    inside = np.bincount(whole.dense[ignore], minlength=len(whole.values) + 1)[1:]
    dropped = np.concatenate(([False], inside > 0.5 * whole.area))
    return number(np.where(ignore, 0, truth)), number(np.where(ignore | dropped[whole.dense], 0, predicted))


def match(
    truth: NDArray[np.integer], predicted: NDArray[np.integer], *, ignore: NDArray[np.bool_] | None = None
) -> Matching:
    """Match labels ``predicted`` (Y, X) with ``truth`` (Y, X), 0 = background, as ``scored_labels`` gives them."""
    return match_numbered(*scored_labels(truth, predicted, ignore=ignore))


def match_numbered(truth: Numbered, predicted: Numbered) -> Matching:
    """Match two numbered label images of the same shape; memory grows with the pixels, not with n × m."""
    both = (truth.dense > 0) & (predicted.dense > 0)
    m = len(predicted.values)
    keys, shared = np.unique((truth.dense[both] - 1) * m + predicted.dense[both] - 1, return_counts=True)
    i, j = np.divmod(keys, max(m, 1))
    union = truth.area[i] + predicted.area[j] - shared
    return Matching(truth.area, predicted.area, i, j, shared / union)


def mean_f1(matchings: list[Matching], thresholds: tuple[float, ...] = CAICEDO) -> float:
    """F1 per image, averaged over images, then over thresholds (Caicedo et al. 2019); NaN without images."""
    if not matchings:
        return float("nan")
    return float(np.mean([[m.f1(t) for m in matchings] for t in thresholds]))
