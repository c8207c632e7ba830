"""Errors by size class and at the border, scores by a value of the nuclei, and distributions of values."""

from __future__ import annotations

import numpy as np
import pandas as pd
from scipy.stats import ks_2samp

from hcs.evaluate.matching import THRESHOLDS, Floats
from hcs.evaluate.settings import EvaluateSettings

SIZES = ("tiny", "small", "normal", "large")
LEVELS = ("low", "medium", "high")
_EXACT = 10_000
"""Up to this product of sample sizes the Kolmogorov–Smirnov p value is exact, beyond it asymptotic."""


def size_bounds(objects: pd.DataFrame, settings: EvaluateSettings) -> tuple[float, ...]:
    """The settings' areas that part the size classes, or quantiles of the true nuclei's; NaN without true nuclei."""
    areas = _values(_once(objects), "true", "Area")
    return settings.size_bounds or _quantiles(areas, settings.size_quantiles)


def value_bounds(objects: pd.DataFrame, settings: EvaluateSettings) -> tuple[float, ...]:
    """The settings' values that part low, medium and high, or terciles of the true nuclei's; NaN without any."""
    return settings.value_bounds or _quantiles(_values(_once(objects), "true", "Value"), (1 / 3, 2 / 3))


def classes(values: pd.Series, bounds: tuple[float, ...], names: tuple[str, ...]) -> pd.Series:
    """The class of each value, a value at a bound being in the class above; empty text for NaN or without bounds."""
    if np.isnan(bounds).any():
        return pd.Series("", index=values.index, dtype=object)
    found = np.asarray(names, dtype=object)[np.searchsorted(np.asarray(bounds), values.to_numpy(float), side="right")]
    return pd.Series(np.where(values.isna(), "", found), index=values.index, dtype=object)


def error_table(objects: pd.DataFrame, predictions: tuple[str, ...], settings: EvaluateSettings) -> pd.DataFrame:
    """Named errors of each prediction: of all nuclei, by ``SizeClass``, and at the border apart from the interior.

    A true nucleus counts in the class of its own area, a predicted one in that of its own.
    """
    groupings = (
        ("all", pd.Series("all", index=objects.index), ("all",)),
        ("size", objects["SizeClass"], SIZES),
        ("place", objects["TouchesBorder"].map({True: "border", False: "interior"}), ("interior", "border")),
    )
    rows = []
    for prediction in predictions:
        own = objects["Prediction"] == prediction
        for grouping, key, names in groupings:
            for name in names:
                found = _errors(objects[own & (key == name)], settings)
                rows.append({"Prediction": prediction, "Grouping": grouping, "Class": name, **found})
    return pd.DataFrame(rows)


def _errors(rows: pd.DataFrame, settings: EvaluateSettings) -> dict[str, float]:
    true, predicted = rows[rows["Side"] == "true"], rows[rows["Side"] == "predicted"]
    wrong_true, wrong_predicted = (int((side["IoU"] <= settings.error_iou).sum()) for side in (true, predicted))
    t, p = true["Outcome"].value_counts(), predicted["Outcome"].value_counts()
    return {
        "True": len(true),
        "Missed": int(t.get("missed", 0)),
        "Merged": int(true["Merged"].sum()),
        "Splits": int(true["Split"].sum()),
        "MisshapenTrue": int(t.get("misshapen", 0)),
        "FalseNegatives": wrong_true,
        "FalseNegativeRate": _rate(wrong_true, len(true)),
        "Predicted": len(predicted),
        "Extra": int(p.get("extra", 0)),
        "Merges": int(predicted["Merged"].sum()),
        "SplitParts": int(predicted["Split"].sum()),
        "MisshapenPredicted": int(p.get("misshapen", 0)),
        "FalsePositives": wrong_predicted,
        "FalsePositiveRate": _rate(wrong_predicted, len(predicted)),
    }


def strata_table(objects: pd.DataFrame, predictions: tuple[str, ...], bounds: tuple[float, ...]) -> pd.DataFrame:
    """Recall of true nuclei by their own value, and precision of predicted nuclei by theirs, at every IoU.

    Nuclei without a value (NaN) are in no level. Values are measured with the labels of their own side, so a badly
    outlined nucleus can change level; that is what a user of the predicted labels would see.
    """
    level = classes(objects["Value"], bounds, LEVELS)
    ends = (-np.inf, *bounds, np.inf)
    rows = []
    for prediction in predictions:
        for k, name in enumerate(LEVELS):
            members = objects[(objects["Prediction"] == prediction) & (level == name)]
            true, predicted = _values(members, "true", "IoU"), _values(members, "predicted", "IoU")
            head = {"Prediction": prediction, "Level": name, "From": ends[k], "To": ends[k + 1]}
            rows += [{**head, "Threshold": t, **_recall_and_precision(true, predicted, t)} for t in THRESHOLDS]
    return pd.DataFrame(rows)


def _recall_and_precision(true: Floats, predicted: Floats, threshold: float) -> dict[str, float]:
    return {
        "True": len(true),
        "Recall": _rate(int((true > threshold).sum()), len(true)),
        "Predicted": len(predicted),
        "Precision": _rate(int((predicted > threshold).sum()), len(predicted)),
    }


def distribution_table(objects: pd.DataFrame, predictions: tuple[str, ...], features: dict[str, str]) -> pd.DataFrame:
    """Two-sample Kolmogorov–Smirnov test of each feature, measured with true against with predicted labels.

    ``features`` maps a feature's name to its column in ``objects``. NaN without values on either side. The p value
    takes nuclei as independent, which those of one image are not quite: read the statistic first.
    """
    rows = []
    for prediction in predictions:
        own = objects[objects["Prediction"] == prediction]
        for name, column in features.items():
            true, predicted = _values(own, "true", column), _values(own, "predicted", column)
            statistic, p_value, method = _kolmogorov_smirnov(true, predicted)
            rows.append(
                {
                    "Prediction": prediction,
                    "Feature": name,
                    "True": len(true),
                    "Predicted": len(predicted),
                    "MedianTrue": _median(true),
                    "MedianPredicted": _median(predicted),
                    "KSStatistic": statistic,
                    "PValue": p_value,
                    "PMethod": method,
                }
            )
    return pd.DataFrame(rows)


def _kolmogorov_smirnov(true: Floats, predicted: Floats) -> tuple[float, float, str]:
    if not len(true) or not len(predicted):
        return float("nan"), float("nan"), ""
    method = "exact" if len(true) * len(predicted) <= _EXACT else "asymp"
    result = ks_2samp(true, predicted, method=method)
    return float(result.statistic), float(result.pvalue), "exact" if method == "exact" else "asymptotic"


def _once(objects: pd.DataFrame) -> pd.DataFrame:
    """The rows of the first prediction: true nuclei are listed once for each."""
    return objects[objects["Prediction"] == objects["Prediction"].iloc[0]] if len(objects) else objects


def _values(objects: pd.DataFrame, side: str, column: str) -> Floats:
    values = objects.loc[objects["Side"] == side, column].to_numpy(float)
    return np.asarray(values[np.isfinite(values)])


def _quantiles(values: Floats, at: tuple[float, ...]) -> tuple[float, ...]:
    return tuple(float(q) for q in np.quantile(values, at)) if len(values) else tuple(float("nan") for _ in at)


def _median(values: Floats) -> float:
    return float(np.median(values)) if len(values) else float("nan")


def _rate(part: int, whole: int) -> float:
    return part / whole if whole else float("nan")
