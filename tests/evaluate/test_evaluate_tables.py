"""Tables of an evaluation: averages and pools, intervals, differences, classes, strata, all by hand."""

from __future__ import annotations

import math

import numpy as np
import pandas as pd
import pytest
import scipy.stats
from numpy.typing import NDArray
from scipy.stats import ks_2samp

from hcs.errors import ConfigError
from hcs.evaluate.columns import metrics, table_columns
from hcs.evaluate.compare import compare
from hcs.evaluate.evaluation import Evaluation, evaluate
from hcs.evaluate.groups import SIZES, classes
from hcs.evaluate.intervals import score_tables
from hcs.evaluate.matching import match, mean_f1
from hcs.evaluate.scores import Score
from hcs.evaluate.settings import EvaluateSettings
from hcs.evaluate.values import find_value

Labels = NDArray[np.int32]
SETTINGS = EvaluateSettings(size_bounds=(50, 110, 150))


def boxes(*places: tuple[int, int, int, int]) -> Labels:
    """Labels 1..n of boxes (y0, y1, x0, x1)."""
    labels = np.zeros((40, 40), np.int32)
    for i, (y0, y1, x0, x1) in enumerate(places, start=1):
        labels[y0:y1, x0:x1] = i
    return labels


PERFECT = boxes((5, 15, 5, 15), (20, 30, 20, 30), (5, 15, 20, 30))
FIELDS = {
    "perfect": (PERFECT, PERFECT),
    "shifted": (boxes((5, 15, 5, 15)), boxes((5, 15, 6, 16))),  # IoU 90 / 110
    "merged": (boxes((5, 15, 5, 15), (5, 15, 15, 25)), boxes((5, 15, 5, 25))),
    "empty": (boxes(), boxes()),
    "extra": (boxes(), boxes((0, 6, 0, 6))),
}


def evaluated(fields: dict[str, tuple[Labels, Labels]], settings: EvaluateSettings = SETTINGS) -> Evaluation:
    """``ours`` as given, ``truth`` as a second prediction without an error."""
    ours = {name: compare(t, p, settings=settings) for name, (t, p) in fields.items()}
    best = {name: compare(t, t, settings=settings) for name, (t, _) in fields.items()}
    return evaluate({"ours": ours, "truth": best}, settings)


@pytest.fixture(scope="module")
def evaluation() -> Evaluation:
    return evaluated(FIELDS)


def score(evaluation: Evaluation, metric: str, average: str, threshold: float = math.nan) -> float:
    rows = evaluation.scores.query("Prediction == 'ours' and Metric == @metric and Average == @average")
    same = rows["Threshold"].isna() if math.isnan(threshold) else rows["Threshold"] == threshold
    (value,) = rows.loc[same, "Value"]
    return float(value)


def test_mean_f1_is_that_of_caicedo_and_of_training(evaluation: Evaluation) -> None:
    assert score(evaluation, "MeanF1", "per image") == pytest.approx((1 + 7 / 9 + 0 + 1 + 0) / 5)
    assert score(evaluation, "MeanF1", "per image") == pytest.approx(mean_f1([match(*f) for f in FIELDS.values()]))


@pytest.mark.parametrize(
    ("metric", "threshold", "per_image", "pooled"),
    [  # 6 true and 6 predicted nuclei in all, four pairs at 0.5 and three at 0.85
        ("F1", 0.5, (1 + 1 + 0 + 1 + 0) / 5, 8 / 12),
        ("F1", 0.85, (1 + 0 + 0 + 1 + 0) / 5, 6 / 12),
        ("Precision", 0.5, (1 + 1 + 0 + 0) / 4, 4 / 6),
        ("Recall", 0.5, (1 + 1 + 0) / 3, 4 / 6),
        ("AP", 0.5, (1 + 1 + 0 + 1 + 0) / 5, 4 / 8),
        ("MatchedIoU", 0.5, (1 + 90 / 110) / 2, (3 + 90 / 110) / 4),
        ("PanopticQuality", 0.5, (1 + 90 / 110 + 0 + 1 + 0) / 5, (3 + 90 / 110) / 6),
        ("Hausdorff", 0.5, 0.5, 0.25),
        ("PixelDice", math.nan, (1 + 0.9 + 1 + 1 + 0) / 5, 2 * 590 / (600 + 636)),
        ("PixelJaccard", math.nan, (1 + 90 / 110 + 1 + 1 + 0) / 5, 590 / 646),
        ("PixelSensitivity", math.nan, (1 + 0.9 + 1) / 3, 590 / 600),
        ("PixelSpecificity", math.nan, (1 + 1490 / 1500 + 1 + 1 + 1564 / 1600) / 5, (8000 - 646) / (8000 - 600)),
    ],
)
def test_scores_per_image_and_pooled(
    evaluation: Evaluation, metric: str, threshold: float, per_image: float, pooled: float
) -> None:
    assert score(evaluation, metric, "per image", threshold) == pytest.approx(per_image)
    assert score(evaluation, metric, "pooled", threshold) == pytest.approx(pooled)


@pytest.mark.parametrize(
    ("metric", "threshold", "value"),
    [
        ("ErrorRate", 0.7, (2 + 2) / 12),
        ("ErrorRateBorder", 0.7, 1.0),
        ("ErrorRateInterior", 0.7, 3 / 11),
        ("FalseNegativeRate", 0.7, 2 / 6),
        ("FalsePositiveRate", 0.7, 2 / 6),
        ("MissedRate", 0.1, 0.0),
        ("ExtraRate", 0.1, 1 / 6),
        ("MergeRate", 0.1, 1 / 6),
        ("SplitRate", 0.1, 0.0),
        ("CountBias", math.nan, 0.0),
    ],
)
def test_error_rates(evaluation: Evaluation, metric: str, threshold: float, value: float) -> None:
    assert score(evaluation, metric, "pooled", threshold) == pytest.approx(value)


def test_the_error_rate_is_one_less_the_pooled_f1(evaluation: Evaluation) -> None:
    assert score(evaluation, "ErrorRate", "pooled", 0.7) == pytest.approx(1 - score(evaluation, "F1", "pooled", 0.7))


def test_single_images_have_their_own_scores(evaluation: Evaluation) -> None:
    own = evaluation.per_image.query("Prediction == 'ours'").set_index("Image")
    assert own.loc["shifted", "MeanF1"] == pytest.approx(7 / 9)
    assert math.isnan(own.loc["extra", "Recall_0.50"])
    assert own.loc["merged", "Merges"] == 1


def test_errors_by_size_and_place(evaluation: Evaluation) -> None:
    errors = evaluation.errors.query("Prediction == 'ours'").set_index("Class")
    assert list(errors.loc[list(SIZES), "True"]) == [0, 6, 0, 0]
    assert list(errors.loc[list(SIZES), "Predicted"]) == [1, 4, 0, 1]
    assert list(errors.loc[list(SIZES), "Extra"]) == [1, 0, 0, 0]
    assert list(errors.loc[list(SIZES), "Merges"]) == [0, 0, 0, 1]
    assert errors.loc["border", "Predicted"] == 1
    assert errors.loc["small", "FalseNegativeRate"] == pytest.approx(2 / 6)
    assert math.isnan(errors.loc["tiny", "FalseNegativeRate"])
    for grouping in ("size", "place"):
        rows = errors[errors["Grouping"] == grouping]
        assert rows[["True", "Predicted"]].sum().tolist() == errors.loc["all", ["True", "Predicted"]].tolist()


def test_a_value_at_a_bound_is_in_the_class_above() -> None:
    values = pd.Series([1.0, 2.0, 3.0, 4.0, math.nan])
    assert list(classes(values, (2.0, 3.0, 3.5), SIZES)) == ["tiny", "small", "normal", "large", ""]


def test_a_prediction_without_error_is_better_by_the_other_ones_errors(evaluation: Evaluation) -> None:
    rows = evaluation.differences.query("Metric == 'MeanF1' and Average == 'per image'")
    (row,) = rows.to_dict("records")
    assert (row["Prediction"], row["Against"]) == ("truth", "ours")
    assert row["Value"] == pytest.approx(1 - (2 + 7 / 9) / 5)
    assert row["Low"] <= row["Value"] <= row["High"]


def test_the_interval_of_a_mean_is_students() -> None:
    """Images of scores 1, 1, 0 and 0: mean ½, standard error of the mean 1/√12."""
    one = boxes((5, 15, 5, 15))
    fields = {"a": (one, one), "b": (one, one), "c": (one, boxes()), "d": (one, boxes())}
    result = evaluated(fields, EvaluateSettings(confidence=0.6))
    (row,) = result.scores.query(
        "Prediction == 'ours' and Metric == 'F1' and Threshold == 0.5 and Average == 'per image'"
    ).to_dict("records")
    half = scipy.stats.t.ppf(0.8, 3) / np.sqrt(12)
    assert (row["Low"], row["Value"], row["High"]) == pytest.approx((0.5 - half, 0.5, 0.5 + half))
    wide = evaluated(fields, EvaluateSettings(confidence=0.99)).scores
    assert wide["Low"].min() >= -1
    assert wide.query("Metric == 'F1'")["High"].max() <= 1


@pytest.mark.parametrize("n", [3, 6, 16])
def test_intervals_of_scores_hold_the_truth(n: int) -> None:
    rng = np.random.default_rng(n)
    inside = np.zeros(2)
    for _ in range(400):
        nuclei = rng.integers(40, 60, n).astype(float)
        good = np.clip(0.8 + 0.05 * rng.standard_normal(n), 0, 1)
        scores = (
            Score("F1", "per image", 0.5, good[:, None], np.ones((n, 1))),
            Score("Recall", "pooled", 0.5, (good * nuclei)[:, None], nuclei[:, None]),
        )
        table, _ = score_tables({"ours": scores}, EvaluateSettings())
        inside += ((table["Low"] <= 0.8) & (table["High"] >= 0.8)).to_numpy()
    assert (inside / 400 >= 0.92).all(), inside / 400
    assert (inside / 400 <= 0.98).all(), inside / 400


def test_paired_differences_are_narrower_than_their_parts() -> None:
    """Images differ much, the predictions little: the same draws cancel what the images do."""
    rng = np.random.default_rng(0)
    hits = {f"{k}": int(n) for k, n in enumerate(rng.integers(0, 3, 12))}
    places = ((2, 8, 2, 8), (2, 8, 12, 18), (2, 8, 22, 28))
    fields = {name: (boxes(*places), boxes(*places[:n])) for name, n in hits.items()}
    better = {name: (boxes(*places), boxes(*places[: n + 1])) for name, n in hits.items()}
    result = evaluate(
        {
            "a": {name: compare(*pair, settings=SETTINGS) for name, pair in fields.items()},
            "b": {name: compare(*pair, settings=SETTINGS) for name, pair in better.items()},
        },
        SETTINGS,
    )
    what = "Metric == 'Recall' and Threshold == 0.5 and Average == 'per image'"
    single = result.scores.query(what)
    (difference,) = result.differences.query(what).to_dict("records")
    assert difference["Value"] == pytest.approx(1 / 3)
    assert difference["High"] - difference["Low"] == pytest.approx(0, abs=1e-12)
    assert (single["High"] - single["Low"] > 0.1).all()
    assert difference["Apart"]


def test_a_single_image_has_no_interval() -> None:
    result = evaluated({"shifted": FIELDS["shifted"]})
    assert result.scores[["Low", "High"]].isna().all(axis=None)
    assert not result.differences["Apart"].any()


def test_nothing_but_empty_images() -> None:
    result = evaluated({"empty": FIELDS["empty"], "again": FIELDS["empty"]})
    assert score(result, "MeanF1", "per image") == 1.0
    assert math.isnan(score(result, "F1", "pooled", 0.5))
    assert math.isnan(score(result, "CountBias", "pooled"))
    assert result.objects.empty
    assert len(result.errors) == 2 * 7


def test_recall_by_the_true_and_precision_by_the_predicted_value() -> None:
    """Areas 36, 100, 225; the predicted ones 36, 120, 400 (an extra one): terciles of truth at 78.7 and 141.7."""
    truth = boxes((2, 8, 2, 8), (2, 12, 12, 22), (20, 35, 2, 17))
    predicted = boxes((2, 8, 2, 8), (2, 12, 12, 24), (18, 38, 19, 39))
    value = find_value("area", with_images=False)
    one = compare(truth, predicted, settings=SETTINGS, measure=lambda dense: value.measure(dense, None))
    result = evaluate({"ours": {"a": one}}, SETTINGS, value=value.column)
    assert result.value_bounds == pytest.approx((36 + 2 / 3 * 64, 100 + 1 / 3 * 125))
    rows = result.strata.query("Threshold == 0.7").set_index("Level")
    assert list(rows["True"]) == [1, 1, 1]
    assert list(rows["Recall"]) == [1.0, 1.0, 0.0]
    assert list(rows["Predicted"]) == [1, 1, 1]
    assert list(rows["Precision"]) == [1.0, 1.0, 0.0]
    (test,) = result.distributions.to_dict("records")
    expected = ks_2samp([36, 100, 225], [36, 120, 400], method="exact")
    assert test["KSStatistic"] == pytest.approx(expected.statistic)
    assert test["PValue"] == pytest.approx(expected.pvalue)


def test_values_are_those_of_the_nucleus_table() -> None:
    labels = boxes((5, 15, 5, 15), (20, 30, 20, 30))
    image = np.where(labels == 2, 200, 100).astype(np.uint16)
    value = find_value("mean", with_images=True)
    assert list(value.measure(labels.astype(np.int64), image)) == [100.0, 200.0]


@pytest.mark.parametrize(("name", "reason"), [("colour", "is no value"), ("mean", "--images"), ("ratio", "--images")])
def test_values_that_cannot_be_had(name: str, reason: str) -> None:
    with pytest.raises(ConfigError, match=reason):
        find_value(name, with_images=False)


@pytest.mark.parametrize(
    "wrong",
    [
        {"error_iou": 0.4},
        {"touch_iou": 0.5},
        {"size_bounds": (3, 2, 1)},
        {"size_bounds": (1, 2)},
        {"value_bounds": (2, 1)},
        {"size_quantiles": (0.0, 0.5, 0.9)},
        {"confidence": 1.0},
    ],
)
def test_impossible_settings_are_refused(wrong: dict[str, float]) -> None:
    with pytest.raises(ConfigError, match=f"evaluate.{next(iter(wrong))}"):
        EvaluateSettings(**wrong)


def test_every_column_and_score_is_defined(evaluation: Evaluation) -> None:
    assert set(evaluation.scores["Metric"]) == set(metrics(evaluation))
    defined = table_columns(evaluation)
    for table, frame in evaluation.tables().items():
        if table != "images":  # its scores and sums are those of the scores table, by image
            assert [c.name for c in defined[table]] == list(frame.columns), table
