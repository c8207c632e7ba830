"""Every score as a ratio of sums over images, so that one jackknife serves all."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Literal

import numpy as np
import pandas as pd

from hcs.evaluate.matching import CAICEDO, THRESHOLDS, Floats
from hcs.evaluate.settings import EvaluateSettings

Average = Literal["per image", "pooled"]


@dataclass(frozen=True, slots=True)
class Score:
    """Mean over k of (sum over images of numerator) / (sum over images of denominator), both (images, k)."""

    name: str
    average: Average
    threshold: float
    """IoU; NaN where the score has none, or is a mean over several."""
    numerator: Floats
    denominator: Floats

    def value(self, weights: Floats | None = None) -> Floats:
        """The score with ``weights`` (sets, images), by default once each image: (sets,); NaN for 0/0."""
        chosen = np.ones((1, len(self.numerator))) if weights is None else weights
        above, below = chosen @ self.numerator, chosen @ self.denominator
        ratio = np.divide(above, below, out=np.full(above.shape, np.nan), where=below != 0)
        return np.asarray(ratio.mean(axis=1))

    def of_each_image(self) -> Floats:
        """The score of every image by itself, (images,)."""
        return self.value(np.eye(len(self.numerator)))


def scores(counts: pd.DataFrame, settings: EvaluateSettings) -> tuple[Score, ...]:
    """All scores from the counts of the images, one row each.

    "per image" averages the images' own scores (images without a denominator are left out); "pooled" divides sums over
    all images, so that every nucleus, or pixel, weighs the same.
    """
    return (
        *_means(counts),
        *_at_thresholds(counts),
        *_of_matches(counts),
        *_errors(counts, settings),
        *_pixels(counts),
    )


def _means(counts: pd.DataFrame) -> Iterator[Score]:
    """F1 averaged over 0.50 … 0.90 (Caicedo et al. 2019), AP over 0.50 … 0.95 (Data Science Bowl 2018)."""
    total = (counts["True"] + counts["Predicted"]).to_numpy(float)[:, None]
    hits = _hits(counts, CAICEDO)
    yield from _both("MeanF1", np.nan, 2 * hits, np.broadcast_to(total, hits.shape), empty=1.0)
    hits = _hits(counts, THRESHOLDS)
    yield from _both("MeanAP", np.nan, hits, total - hits, empty=1.0)


def _at_thresholds(counts: pd.DataFrame) -> Iterator[Score]:
    true, predicted = _column(counts, "True"), _column(counts, "Predicted")
    for t in THRESHOLDS:
        hits = _hits(counts, (t,))
        yield from _both("F1", t, 2 * hits, true + predicted, empty=1.0)
        yield from _both("Precision", t, hits, predicted)
        yield from _both("Recall", t, hits, true)
        yield from _both("AP", t, hits, true + predicted - hits, empty=1.0)


def _of_matches(counts: pd.DataFrame) -> Iterator[Score]:
    t = THRESHOLDS[0]
    hits, iou = _hits(counts, (t,)), _column(counts, "MatchedIoU")
    half = (_column(counts, "True") + _column(counts, "Predicted")) / 2
    yield from _both("MatchedIoU", t, iou, hits)
    yield from _both("PanopticQuality", t, iou, half, empty=1.0)
    yield from _both("Hausdorff", t, _column(counts, "Hausdorff"), hits)
    yield from _both("Hausdorff95", t, _column(counts, "Hausdorff95"), hits)


def _errors(counts: pd.DataFrame, settings: EvaluateSettings) -> Iterator[Score]:
    """Pooled only: most images have none of an error, and means over images of such rates say little."""
    error, touch = settings.error_iou, settings.touch_iou
    true, predicted = _column(counts, "True"), _column(counts, "Predicted")
    wrong_true, wrong_predicted = _column(counts, "WrongTrue"), _column(counts, "WrongPredicted")
    wrong, total = wrong_true + wrong_predicted, true + predicted
    wrong_border = _column(counts, "WrongTrueBorder") + _column(counts, "WrongPredictedBorder")
    border = _column(counts, "TrueBorder") + _column(counts, "PredictedBorder")
    for name, threshold, above, below in (
        ("ErrorRate", error, wrong, total),
        ("ErrorRateBorder", error, wrong_border, border),
        ("ErrorRateInterior", error, wrong - wrong_border, total - border),
        ("FalseNegativeRate", error, wrong_true, true),
        ("FalsePositiveRate", error, wrong_predicted, predicted),
        ("MissedRate", touch, _column(counts, "Missed"), true),
        ("ExtraRate", touch, _column(counts, "Extra"), predicted),
        ("MergeRate", touch, _column(counts, "Merges"), true),
        ("SplitRate", touch, _column(counts, "Splits"), true),
        ("CountBias", np.nan, predicted - true, true),
    ):
        yield Score(name, "pooled", threshold, above, below)


def _pixels(counts: pd.DataFrame) -> Iterator[Score]:
    both, neither = _column(counts, "PixelTruePositive"), _column(counts, "PixelTrueNegative")
    extra, missed = _column(counts, "PixelFalsePositive"), _column(counts, "PixelFalseNegative")
    yield from _both("PixelDice", np.nan, 2 * both, 2 * both + extra + missed, empty=1.0)
    yield from _both("PixelJaccard", np.nan, both, both + extra + missed, empty=1.0)
    yield from _both("PixelSensitivity", np.nan, both, both + missed)
    yield from _both("PixelSpecificity", np.nan, neither, neither + extra)


def _both(name: str, threshold: float, above: Floats, below: Floats, *, empty: float = np.nan) -> Iterator[Score]:
    """The score per image and pooled; an image whose ``below`` is 0 scores ``empty``, or, if NaN, is left out."""
    own = np.divide(above, below, out=np.full(above.shape, empty), where=below != 0)
    counted = np.isfinite(own)
    yield Score(name, "per image", threshold, np.where(counted, own, 0.0), counted.astype(float))
    yield Score(name, "pooled", threshold, above, below)


def _column(counts: pd.DataFrame, name: str) -> Floats:
    return counts[[name]].to_numpy(float)


def _hits(counts: pd.DataFrame, thresholds: tuple[float, ...]) -> Floats:
    return counts[[f"TruePositive_{t:.2f}" for t in thresholds]].to_numpy(float)
