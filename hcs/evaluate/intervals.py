"""Scores of several predictions with Student's intervals over images, and their paired differences."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from itertools import combinations

import numpy as np
import numpy.typing as npt
import pandas as pd
from scipy.special import stdtrit

from hcs.evaluate.matching import Floats
from hcs.evaluate.scores import Score
from hcs.evaluate.settings import EvaluateSettings

ScoresOf = Mapping[str, tuple[Score, ...]]
"""Prediction → its scores; all predictions have the same scores, of the same images in the same order."""


def score_tables(of: ScoresOf, settings: EvaluateSettings) -> tuple[pd.DataFrame, pd.DataFrame]:
    """Scores, and differences of each two predictions, with Student's intervals over images by the jackknife.

    A difference's interval leaves out the same image for both, so that what makes an image hard for both cancels. With
    fewer than two images that have a score there is no interval (NaN).
    """
    left = {name: [_Jackknife.of(score) for score in scores] for name, scores in of.items()}
    rows = [
        {"Prediction": name, **_what(score), **_interval(jackknife, _bounds(score.name), settings)}
        for name, scores in of.items()
        for score, jackknife in zip(scores, left[name], strict=True)
    ]
    differences = []
    for a, b in combinations(of, 2):
        for k, score in enumerate(of[a]):
            low, high = _bounds(score.name)
            row = _interval(left[b][k].less(left[a][k]), (low - high, high - low), settings)
            apart = bool(row["Low"] > 0 or row["High"] < 0)
            differences.append({"Prediction": b, "Against": a, **_what(score), **row, "Apart": apart})
    names = ["Prediction", "Metric", "Average", "Threshold", "Value", "Low", "High"]
    return (
        pd.DataFrame(rows, columns=names),
        pd.DataFrame(differences, columns=[names[0], "Against", *names[1:], "Apart"]),
    )


@dataclass(frozen=True, slots=True)
class _Jackknife:
    """A score, its values (images,) without each image, and which images have a say in it."""

    value: float
    without: Floats
    counted: npt.NDArray[np.bool_]

    @classmethod
    def of(cls, score: Score) -> _Jackknife:
        n = len(score.numerator)
        return cls(float(score.value()[0]), score.value(1.0 - np.eye(n)), (score.denominator != 0).any(axis=1))

    def less(self, other: _Jackknife) -> _Jackknife:
        """The difference to another prediction's score of the same images."""
        return _Jackknife(self.value - other.value, self.without - other.without, self.counted | other.counted)


def _bounds(name: str) -> tuple[float, float]:
    """Least and largest value that a score can have."""
    if name == "CountBias":
        return -1.0, np.inf
    return 0.0, np.inf if name.startswith("Hausdorff") else 1.0


def scores_by_image(of: ScoresOf, counts: Mapping[str, pd.DataFrame]) -> pd.DataFrame:
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


def _what(score: Score) -> dict[str, object]:
    return {"Metric": score.name, "Average": score.average, "Threshold": score.threshold}


def _interval(score: _Jackknife, bounds: tuple[float, float], settings: EvaluateSettings) -> dict[str, float]:
    """The value with its interval: Student's, of the jackknife's standard error (Efron & Tibshirani 1993, ch. 11).

    For a mean over images it is the usual interval of a mean. Cut to what a score can be; NaN ends for fewer than two
    images with a say.
    """
    n = int(score.counted.sum())
    left = score.without[score.counted]
    if n < 2 or not np.isfinite(left).all():
        return {"Value": score.value, "Low": np.nan, "High": np.nan}
    error = float(np.sqrt((n - 1) / n * ((left - left.mean()) ** 2).sum()))
    half = error * float(stdtrit(n - 1, (1 + settings.confidence) / 2))
    low, high = np.clip([score.value - half, score.value + half], *bounds)
    return {"Value": score.value, "Low": float(low), "High": float(high)}
