"""Object matching on cases worked out by hand."""

from __future__ import annotations

import numpy as np
import pytest
from numpy.typing import NDArray

from hcs.evaluate.matching import CAICEDO, match, mean_f1


def squares(*boxes: tuple[int, int, int, int], side: int = 40) -> NDArray[np.int32]:
    """Labels 1..n of boxes (y0, y1, x0, x1)."""
    labels = np.zeros((side, side), np.int32)
    for i, (y0, y1, x0, x1) in enumerate(boxes, start=1):
        labels[y0:y1, x0:x1] = i
    return labels


def test_identical_labels_score_one_at_every_threshold() -> None:
    truth = squares((0, 10, 0, 10), (20, 30, 20, 30))
    result = match(truth, truth * 7)
    assert [result.f1(t) for t in CAICEDO] == [1.0] * 9


def test_a_shift_by_one_pixel() -> None:
    result = match(squares((5, 15, 5, 15)), squares((5, 15, 6, 16)))
    assert result.iou[0, 0] == pytest.approx(90 / 110)
    assert result.f1(0.80) == 1.0
    assert result.f1(0.85) == 0.0


def test_two_nuclei_merged_into_one_match_nothing() -> None:
    result = match(squares((0, 10, 0, 10), (0, 10, 10, 20)), squares((0, 10, 0, 20)))
    assert result.iou.ravel() == pytest.approx([0.5, 0.5])
    assert result.f1(0.5) == 0.0


def test_one_nucleus_split_unequally_matches_its_larger_part() -> None:
    result = match(squares((0, 10, 0, 20)), squares((0, 10, 0, 15), (0, 10, 15, 20)))
    assert result.f1(0.5) == pytest.approx(2 * 1 / (1 + 2))


def test_empty_truth_and_empty_prediction() -> None:
    empty, one = squares(), squares((0, 5, 0, 5))
    assert match(empty, empty).f1(0.5) == 1.0
    assert match(empty, one).f1(0.5) == 0.0
    assert match(one, empty).f1(0.5) == 0.0


def test_ignored_pixels_count_for_neither_side() -> None:
    truth, predicted = squares((0, 10, 0, 10)), squares((0, 10, 0, 10), (30, 34, 30, 34))
    ignore = np.zeros(truth.shape, bool)
    ignore[29:35, 29:35] = True
    assert match(truth, predicted).f1(0.5) == pytest.approx(2 / 3)
    assert match(truth, predicted, ignore=ignore).f1(0.5) == 1.0


def test_mean_f1_averages_over_images_then_thresholds() -> None:
    perfect = match(squares((0, 10, 0, 10)), squares((0, 10, 0, 10)))
    shifted = match(squares((5, 15, 5, 15)), squares((5, 15, 6, 16)))  # IoU 0.818: seven of nine thresholds
    assert mean_f1([perfect, shifted]) == pytest.approx((1.0 + 7 / 9) / 2)
    assert np.isnan(mean_f1([]))


def test_fields_of_different_size_are_refused() -> None:
    with pytest.raises(ValueError, match="same field"):
        match(squares(), squares(side=30))
