"""Named errors, outline distances and pixel counts of one image, worked out by hand or by another program."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays
from numpy.typing import NDArray
from scipy.optimize import linear_sum_assignment
from skimage.metrics import hausdorff_distance

from hcs.evaluate.compare import Comparison, compare
from hcs.evaluate.matching import THRESHOLDS, match
from hcs.evaluate.outlines import outline
from hcs.evaluate.settings import EvaluateSettings

Labels = NDArray[np.integer]
FIELDS = arrays(np.int32, (12, 14), elements=st.integers(0, 6))
Box = tuple[int, int, int, int]


def boxes(*places: Box, side: int = 40) -> NDArray[np.int32]:
    """Labels 1..n of boxes (y0, y1, x0, x1)."""
    labels = np.zeros((side, side), np.int32)
    for i, (y0, y1, x0, x1) in enumerate(places, start=1):
        labels[y0:y1, x0:x1] = i
    return labels


def compared(truth: Labels, predicted: Labels, ignore: NDArray[np.bool_] | None = None) -> Comparison:
    return compare(truth, predicted, settings=EvaluateSettings(), ignore=ignore)


def outcomes(comparison: Comparison, side: str) -> list[str]:
    return list(comparison.objects.query("Side == @side")["Outcome"])


def test_a_merge_is_one_predicted_nucleus_over_two_true_ones() -> None:
    result = compared(boxes((5, 15, 5, 15), (5, 15, 15, 25)), boxes((5, 15, 5, 25)))
    assert outcomes(result, "true") == ["merged", "merged"]
    assert outcomes(result, "predicted") == ["merged"]
    counts = result.counts
    assert (counts["Merges"], counts["Splits"], counts["Missed"], counts["Extra"]) == (1, 0, 0, 0)
    assert (counts["WrongTrue"], counts["WrongPredicted"]) == (2, 1)
    assert counts["TruePositive_0.50"] == 0


def test_a_split_is_one_true_nucleus_under_two_predicted_ones() -> None:
    result = compared(boxes((5, 15, 5, 25)), boxes((5, 15, 5, 20), (5, 15, 20, 25)))
    assert outcomes(result, "true") == ["split"]
    assert outcomes(result, "predicted") == ["split", "split"]
    assert (result.counts["Merges"], result.counts["Splits"]) == (0, 1)
    assert list(result.objects["IoU"]) == [0.75, 0.75, 0.25]
    assert result.counts["WrongTrue"] == 0
    assert result.counts["WrongPredicted"] == 1


def test_a_part_of_a_tenth_is_no_split() -> None:
    """200 px under parts of 180 and 20: the small one's IoU is exactly 0.1, and 0.1 must be exceeded."""
    result = compared(boxes((5, 15, 5, 25)), boxes((5, 15, 5, 23), (5, 15, 23, 25)))
    assert result.counts["Splits"] == 0
    assert outcomes(result, "predicted") == ["found", "extra"]


def test_a_nucleus_shifted_by_one_pixel() -> None:
    result = compared(boxes((5, 15, 5, 15)), boxes((5, 15, 6, 16)))
    truth = result.objects.iloc[0]
    assert truth["IoU"] == pytest.approx(90 / 110)
    assert (truth["Outcome"], truth["Partner"]) == ("found", 1)
    assert (truth["Hausdorff"], truth["Hausdorff95"]) == (1.0, 1.0)
    counts = result.counts
    assert (counts["PixelTruePositive"], counts["PixelFalsePositive"], counts["PixelFalseNegative"]) == (90, 10, 10)
    assert counts["PixelTrueNegative"] == 1600 - 110


def test_misshapen_missed_and_extra() -> None:
    truth = boxes((5, 15, 5, 15), (25, 30, 25, 30))
    result = compared(truth, boxes((5, 15, 8, 18), (30, 40, 0, 5)))  # the first overlaps 70 of 130 px
    assert outcomes(result, "true") == ["misshapen", "missed"]
    assert outcomes(result, "predicted") == ["misshapen", "extra"]
    assert list(result.objects["TouchesBorder"]) == [False, False, False, True]
    assert (result.counts["WrongPredictedBorder"], result.counts["WrongTrueBorder"]) == (1, 0)


@pytest.mark.parametrize("which", ["truth", "prediction", "both"])
def test_empty_sides(which: str) -> None:
    one, empty = boxes((5, 15, 5, 15)), boxes()
    truth = empty if which != "prediction" else one
    predicted = empty if which != "truth" else one
    result = compared(truth, predicted)
    expected = {"truth": [["extra"], []], "prediction": [[], ["missed"]], "both": [[], []]}[which]
    assert [outcomes(result, "predicted"), outcomes(result, "true")] == expected
    assert result.counts["True"] + result.counts["Predicted"] == len(result.objects)
    assert result.counts["MatchedIoU"] == 0.0


def test_ignored_pixels_and_nuclei_in_them_do_not_count() -> None:
    truth = boxes((5, 15, 5, 15))
    predicted = boxes((5, 15, 5, 15), (25, 35, 25, 35), (0, 2, 20, 30))
    ignore = np.zeros(truth.shape, bool)
    ignore[25:35, 25:31] = True  # 60 of the second's 100 px: dropped whole
    ignore[0:2, 20:25] = True  # half of the third's: kept, its other half counts
    result = compared(truth, predicted, ignore)
    assert list(result.objects["Label"]) == [1, 1, 3]
    assert list(result.objects["Area"]) == [100, 100, 10]
    assert result.counts["PixelFalsePositive"] == 10
    assert sum(v for k, v in result.counts.items() if k.startswith("Pixel")) == 1600 - ignore.sum()


def test_labels_may_have_any_integer_type_gaps_and_large_values() -> None:
    truth = boxes((5, 15, 5, 15), (20, 30, 20, 30))
    for dtype, values in ((np.uint8, (7, 200)), (np.int16, (1, 30_000)), (np.uint64, (3, 2**62)), (np.int64, (2, 9))):
        renamed = np.array([0, *values], dtype)[truth]
        result = compared(renamed, truth)
        assert list(result.objects.query("Side == 'true'")["Label"]) == list(values)
        assert outcomes(result, "true") == ["found", "found"]


@pytest.mark.parametrize(
    ("labels", "reason"),
    [
        (np.full((40, 40), -1, np.int32), "labels from -1"),
        (np.zeros((40, 40), np.float32), "image of integers"),
        (np.full((40, 40), 2**63, np.uint64), "labels from"),
    ],
)
def test_what_cannot_be_labels_is_refused(labels: Labels, reason: str) -> None:
    with pytest.raises(ValueError, match=reason):
        compared(boxes(), labels)


def test_the_outline_of_a_nucleus_is_closed_at_the_border_and_beside_a_neighbour() -> None:
    assert outline(boxes((0, 40, 0, 40))).sum() == 4 * 39
    pair = boxes((10, 15, 10, 15), (10, 15, 15, 20))
    assert outline(pair).sum() == 2 * 16


@settings(max_examples=40)
@given(FIELDS, FIELDS, arrays(bool, (12, 14)), arrays(bool, (12, 14)))
def test_matching_equals_stardist_where_no_pair_is_on_a_threshold(
    blocks: Labels, other: Labels, noise: NDArray[np.bool_], more: NDArray[np.bool_]
) -> None:
    """StarDist's published matching: Hungarian assignment of pairs with IoU ≥ threshold, those first."""
    truth = np.kron(blocks[:4, :5], np.ones((3, 3), np.int32))[:, :14]
    predicted = np.where(noise & more, other, truth)  # a quarter of the pixels, or fewer, are of another nucleus
    result = match(truth, predicted)
    true_ids, predicted_ids = np.unique(truth[truth > 0]), np.unique(predicted[predicted > 0])
    table = np.array([[_iou(truth == i, predicted == j) for j in predicted_ids] for i in true_ids])
    assert result.iou == pytest.approx(table.reshape(result.iou.shape))
    for t in THRESHOLDS:
        if (table == t).any() or not table.size:
            continue
        i, j = linear_sum_assignment(-(table >= t).astype(float) - table / (2 * min(table.shape)))
        assert result.true_positives(t) == int((table[i, j] >= t).sum())


@settings(max_examples=25)
@given(arrays(bool, (9, 11)), st.integers(0, 2), st.integers(0, 2))
def test_the_hausdorff_distance_is_that_of_scikit_image(mask: NDArray[np.bool_], dy: int, dx: int) -> None:
    truth = np.zeros((30, 30), np.int32)
    truth[5:22, 5:22] = 1
    predicted = np.zeros_like(truth)
    predicted[5 + dy : 22 + dy, 5 + dx : 22 + dx] = 1
    predicted[8:17, 8:19][mask] = 0  # holes are outlines too
    result = compared(truth, predicted).objects
    expected = hausdorff_distance(outline(truth), outline(predicted))
    if result["IoU"].iloc[0] > 0.5:
        assert result["Hausdorff"].iloc[0] == pytest.approx(expected)
        assert 0 <= result["Hausdorff95"].iloc[0] <= expected
    else:
        assert pd.isna(result["Hausdorff"].iloc[0])


def _iou(a: NDArray[np.bool_], b: NDArray[np.bool_]) -> float:
    return float((a & b).sum() / (a | b).sum())


@settings(max_examples=25)
@given(arrays(bool, (9, 11)))
def test_the_95th_percentile_is_numpys_of_either_direction(mask: NDArray[np.bool_]) -> None:
    truth, predicted = boxes((5, 22, 5, 22)), boxes((5, 22, 6, 23))
    predicted[8:17, 8:19][mask] = 0
    a, b = np.argwhere(outline(truth)), np.argwhere(outline(predicted))
    apart = np.linalg.norm(a[:, None] - b[None], axis=2)
    expected = max(np.percentile(apart.min(axis=axis), 95) for axis in (0, 1))
    result = compared(truth, predicted).objects
    if result["IoU"].iloc[0] > 0.5:
        assert list(result["Hausdorff95"]) == pytest.approx([expected, expected])
