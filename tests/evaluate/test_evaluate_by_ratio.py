"""Recall by the true nucleus' ratio, precision by the found one's."""

from __future__ import annotations

import math

import cv2
import numpy as np

from hcs.evaluate.by_ratio import field_by_ratio, ranges_table


def field() -> tuple[np.ndarray, np.ndarray]:
    """Labels of four nuclei in cells of 400 on 100, and the image: nuclei of 1,100 (ratio 0.3), 500, 250 and 200."""
    labels = np.zeros((120, 480), np.int64)
    image = np.full(labels.shape, 100.0)
    for value, level in enumerate((1100.0, 500.0, 250.0, 200.0), start=1):
        centre = (120 * value - 60, 60)
        cv2.circle(image, centre, 40, 400.0, -1)
        cv2.circle(image, centre, 12, level, -1)
        drawn = np.zeros(labels.shape, np.uint8)
        cv2.circle(drawn, centre, 12, 1, -1)
        labels[drawn > 0] = value
    return labels, image.astype(np.uint16)


def test_a_missed_and_an_invented_nucleus_count_in_their_own_range() -> None:
    labels, image = field()
    found = np.where(labels == 3, 0, labels)  # ratio 2 is missed
    found[90:110, 50:70] = 9  # and cytoplasm is called a nucleus: ratio about 0.7
    rows = {(row["from"], row["iou"]): row for row in ranges_table([field_by_ratio(labels, found, image)])}
    low, medium, high = (rows[start, 0.5] for start in (0.0, 0.5, 1.0))
    assert (low["true"], low["recall"], low["precision"]) == (1, 1.0, 1.0)
    assert (medium["true"], medium["found"], medium["recall"], medium["precision"]) == (1, 2, 1.0, 0.5)
    assert (high["true"], high["found"], high["recall"], high["precision"]) == (2, 1, 0.5, 1.0)


def test_ignored_nuclei_count_for_neither_side_and_empty_ranges_are_nan() -> None:
    labels, image = field()
    ignore = np.isin(labels, (2, 3, 4))
    matched = field_by_ratio(labels, labels, image, ignore=ignore)
    assert len(matched.true_hit) == len(matched.found_hit) == 1
    rows = ranges_table([matched])
    assert [row["recall"] for row in rows if row["from"] == 0.0] == [1.0] * 10
    assert all(math.isnan(row["recall"]) for row in rows if row["from"] == 0.5)
