"""Scores of several predictions with bootstrap intervals over images, and their paired differences."""

from __future__ import annotations

from collections.abc import Mapping
from itertools import combinations

import numpy as np
import pandas as pd

from hcs.evaluate.matching import Floats
from hcs.evaluate.scores import Score
from hcs.evaluate.settings import EvaluateSettings

ScoresOf = Mapping[str, tuple[Score, ...]]
"""Prediction → its scores; all predictions have the same scores, of the same images in the same order."""


def score_tables(of: ScoresOf, settings: EvaluateSettings) -> tuple[pd.DataFrame, pd.DataFrame]:
    """Scores, and differences of each two predictions, with percentile bootstrap intervals over images.

    All predictions are resampled by the same draws of images, so that a difference's interval is paired: what makes an
    image hard for both cancels. With fewer than two images there is no interval (NaN).
    """
    images = len(next(iter(of.values()))[0].numerator)
    weights = _resamples(images, settings)
    drawn = {name: [score.value(weights) for score in scores] for name, scores in of.items()}
    rows = [
        {"Prediction": name, **_what(score), **_interval(float(score.value()[0]), resampled, settings)}
        for name, scores in of.items()
        for score, resampled in zip(scores, drawn[name], strict=True)
    ]
    differences = []
    for a, b in combinations(of, 2):
        for k, (first, second) in enumerate(zip(of[a], of[b], strict=True)):
            value = float(second.value()[0] - first.value()[0])
            row = _interval(value, drawn[b][k] - drawn[a][k], settings)
            apart = bool(row["Low"] > 0 or row["High"] < 0)
            differences.append({"Prediction": b, "Against": a, **_what(first), **row, "Apart": apart})
    names = ["Prediction", "Metric", "Average", "Threshold", "Value", "Low", "High"]
    return (
        pd.DataFrame(rows, columns=names),
        pd.DataFrame(differences, columns=[names[0], "Against", *names[1:], "Apart"]),
    )


def image_scores(of: ScoresOf, counts: Mapping[str, pd.DataFrame]) -> pd.DataFrame:
    """One row a prediction and image: its counts, then the image's own scores, as columns ``F1_0.50``.

    The frames of ``counts`` are indexed by image. NaN where an image has no such score.
    """
    frames = []
    for name, scores in of.items():
        own = {_column_name(s): s.of_each_image() for s in scores if s.average == "per image"}
        frame = pd.concat((counts[name].rename_axis("Image").reset_index(), pd.DataFrame(own)), axis=1)
        frame.insert(0, "Prediction", name)
        frames.append(frame)
    return pd.concat(frames, ignore_index=True)


def _column_name(score: Score) -> str:
    return score.name if np.isnan(score.threshold) else f"{score.name}_{score.threshold:.2f}"


def _resamples(images: int, settings: EvaluateSettings) -> Floats:
    """How often each image is drawn in each resample, (resamples, images); no resamples of a single image."""
    rng = np.random.default_rng(settings.seed)
    size = settings.bootstrap if images > 1 else 0
    return rng.multinomial(images, np.full(images, 1 / images), size=size).astype(float)


def _what(score: Score) -> dict[str, object]:
    return {"Metric": score.name, "Average": score.average, "Threshold": score.threshold}


def _interval(value: float, resampled: Floats, settings: EvaluateSettings) -> dict[str, float]:
    """The value with the percentile interval of the resamples that have one; NaN ends without resamples."""
    tail = (1 - settings.confidence) / 2
    finite = resampled[np.isfinite(resampled)]
    low, high = np.quantile(finite, (tail, 1 - tail)) if finite.size else (np.nan, np.nan)
    return {"Value": value, "Low": float(low), "High": float(high)}
