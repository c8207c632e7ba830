"""One image: every true and predicted nucleus with its partner and its error, and the image's counts."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from hcs.evaluate.matching import THRESHOLDS, Floats, Ints, Matching, Numbered, match_numbered, scored_labels
from hcs.evaluate.outlines import outline_distances
from hcs.evaluate.settings import EvaluateSettings

Bools = NDArray[np.bool_]
Measure = Callable[[Ints], Floats]
"""Numbered labels (Y, X) → a value of each nucleus, (n,); NaN where it has none."""

TRUE_OUTCOMES = ("found", "misshapen", "merged", "split", "missed")
PREDICTED_OUTCOMES = ("found", "misshapen", "merged", "split", "extra")


@dataclass(frozen=True, slots=True)
class Comparison:
    """One predicted image against its truth."""

    objects: pd.DataFrame
    """One row a true nucleus, then one a predicted nucleus; columns as in ``hcs.evaluate.columns``."""
    counts: dict[str, float]
    """Sums of the image from which every score is made."""


@dataclass(frozen=True, slots=True)
class _Side:
    """The n nuclei of one side, and the k overlapping pairs seen from it."""

    name: str
    nuclei: Numbered
    index: Ints
    """(k,) the pair's nucleus on this side, from 0."""
    partner: Ints
    """(k,) label value of its nucleus on the other side."""
    merged: Bools
    """(n,) in a merge."""
    split: Bools
    """(n,) in a split."""


def compare(
    truth: NDArray[np.integer],
    predicted: NDArray[np.integer],
    *,
    settings: EvaluateSettings,
    ignore: NDArray[np.bool_] | None = None,
    measure: Measure | None = None,
) -> Comparison:
    """Compare labels ``predicted`` (Y, X) with ``truth`` (Y, X), 0 = background, outside ``ignore`` (Y, X).

    ``measure`` gives each nucleus the value by which scores are stratified. Raises ValueError as ``scored_labels``.
    """
    true, found = scored_labels(truth, predicted, ignore=ignore)
    matching = match_numbered(true, found)
    i, j, iou = matching.pair_true, matching.pair_predicted, matching.pair_iou
    matched = matching.pairs(THRESHOLDS[0])
    distances = np.full((2, len(iou)), np.nan)
    distances[:, matched] = outline_distances(true, found, i[matched], j[matched])
    merged, split = _merges_and_splits(matching, iou > settings.touch_iou)
    sides = (
        _Side("true", true, i, found.values[j], merged[0], split[0]),
        _Side("predicted", found, j, true.values[i], merged[1], split[1]),
    )
    rows = [_rows(side, iou, distances, settings=settings, measure=measure) for side in sides]
    scored = np.ones(truth.shape, bool) if ignore is None else ~ignore
    counts = _object_counts(matching, *rows, settings=settings) | _pixel_counts(true, found, scored)
    return Comparison(pd.concat(rows, ignore_index=True), counts)


def _merges_and_splits(matching: Matching, touch: Bools) -> tuple[tuple[Bools, Bools], tuple[Bools, Bools]]:
    """Which true (n,) and predicted (m,) nuclei are in a merge; and which in a split.

    A merge is a predicted nucleus that touches two or more true ones; a split, a true nucleus that two or more
    predicted ones touch (Caicedo et al. 2019). Both nuclei of such a pair are in it.
    """
    i, j = matching.pair_true[touch], matching.pair_predicted[touch]
    merge = np.bincount(j, minlength=matching.n_predicted) > 1
    split = np.bincount(i, minlength=matching.n_true) > 1
    merged, part = np.zeros(matching.n_true, bool), np.zeros(matching.n_predicted, bool)
    merged[i[merge[j]]] = True
    part[j[split[i]]] = True
    return (merged, merge), (split, part)


def _rows(
    side: _Side, iou: Floats, distances: Floats, *, settings: EvaluateSettings, measure: Measure | None
) -> pd.DataFrame:
    """One row a nucleus, from the IoU (k,) and outline distances (2, k; NaN below IoU 0.5) of the pairs."""
    n = len(side.nuclei.values)
    best, partner, apart = np.zeros(n), np.zeros(n, np.int64), np.full((2, n), np.nan)
    order = np.argsort(iou, kind="stable")  # so that each nucleus's best pair is written last
    index = side.index[order]
    best[index], partner[index], apart[:, index] = iou[order], side.partner[order], distances[:, order]
    return pd.DataFrame(
        {
            "Side": np.full(n, side.name, dtype=object),
            "Label": side.nuclei.values,
            "Area": side.nuclei.area,
            "TouchesBorder": _touches_border(side.nuclei),
            "IoU": best,
            "Partner": partner,
            "Merged": side.merged,
            "Split": side.split,
            "Outcome": _outcomes(side, best, settings),
            "Hausdorff": apart[0],
            "Hausdorff95": apart[1],
            "Value": np.full(n, np.nan) if measure is None else measure(side.nuclei.dense),
        }
    )


def _outcomes(side: _Side, best: Floats, settings: EvaluateSettings) -> NDArray[np.object_]:
    """One word for each nucleus, (n,): merged, else split, else by its best IoU found, misshapen, or alone."""
    alone = "missed" if side.name == "true" else "extra"
    cases = [side.merged, side.split, best > settings.error_iou, best > settings.touch_iou]
    return np.select(cases, ["merged", "split", "found", "misshapen"], alone).astype(object)


def _touches_border(field: Numbered) -> Bools:
    touches = np.zeros(len(field.values) + 1, bool)
    for edge in (field.dense[0], field.dense[-1], field.dense[:, 0], field.dense[:, -1]):
        touches[edge] = True
    return touches[1:]


def _object_counts(
    matching: Matching, true: pd.DataFrame, predicted: pd.DataFrame, *, settings: EvaluateSettings
) -> dict[str, float]:
    wrong_true, wrong_predicted = (rows["IoU"] <= settings.error_iou for rows in (true, predicted))
    border_true, border_predicted = true["TouchesBorder"], predicted["TouchesBorder"]
    return {
        "True": matching.n_true,
        "Predicted": matching.n_predicted,
        **{f"TruePositive_{t:.2f}": matching.true_positives(t) for t in THRESHOLDS},
        "MatchedIoU": float(matching.pair_iou[matching.pairs(THRESHOLDS[0])].sum()),
        "Hausdorff": float(true["Hausdorff"].sum()),
        "Hausdorff95": float(true["Hausdorff95"].sum()),
        "WrongTrue": int(wrong_true.sum()),
        "WrongPredicted": int(wrong_predicted.sum()),
        "TrueBorder": int(border_true.sum()),
        "PredictedBorder": int(border_predicted.sum()),
        "WrongTrueBorder": int((wrong_true & border_true).sum()),
        "WrongPredictedBorder": int((wrong_predicted & border_predicted).sum()),
        "Missed": int((true["Outcome"] == "missed").sum()),
        "Extra": int((predicted["Outcome"] == "extra").sum()),
        "Merges": int(predicted["Merged"].sum()),
        "Splits": int(true["Split"].sum()),
    }


def _pixel_counts(true: Numbered, predicted: Numbered, scored: Bools) -> dict[str, float]:
    t, p = true.dense > 0, predicted.dense > 0
    both, neither = int((t & p).sum()), int((scored & ~t & ~p).sum())
    return {
        "PixelTruePositive": both,
        "PixelFalsePositive": int(p.sum()) - both,
        "PixelFalseNegative": int(t.sum()) - both,
        "PixelTrueNegative": neither,
    }
