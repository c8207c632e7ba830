"""What the network is taught: classes and weights of hand-drawn labels."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from hcs.train.targets import (
    centred_class_map,
    class_map,
    depth_px,
    distance_weights,
    small_nucleus_factor,
    weight_map,
)


def test_a_square_has_a_boundary_of_its_own_outermost_pixels() -> None:
    labels = np.zeros((20, 20), np.int32)
    labels[5:15, 5:15] = 1
    classes = class_map(labels, boundary_px=2)
    assert (classes == 1).sum() == 6 * 6
    assert (classes == 2).sum() == 10 * 10 - 6 * 6
    assert ((classes > 0) == (labels > 0)).all()


def test_touching_nuclei_are_parted_by_boundary_on_both_sides() -> None:
    labels = np.zeros((20, 30), np.int32)
    labels[5:15, 5:15], labels[5:15, 15:25] = 1, 2
    classes = class_map(labels, boundary_px=2)
    assert (classes[10, 13:17] == 2).all()
    assert classes[10, 12] == classes[10, 17] == 1


def test_a_nucleus_cut_by_the_image_has_no_boundary_there() -> None:
    labels = np.zeros((20, 20), np.int32)
    labels[0:10, 5:15] = 1
    assert (class_map(labels, boundary_px=2)[0, 7:13] == 1).all()
    assert depth_px(labels)[0, 5] == 1.0


@given(seed=st.integers(0, 30), width=st.integers(1, 4))
def test_every_nucleus_has_an_interior_and_nothing_else_changes(seed: int, width: int) -> None:
    rng = np.random.default_rng(seed)
    labels = np.zeros((48, 48), np.int32)
    for label in range(1, 12):
        y, x = rng.integers(0, 44, 2)
        labels[y : y + rng.integers(1, 12), x : x + rng.integers(1, 12)] = label
    classes = class_map(labels, boundary_px=width)
    assert ((classes > 0) == (labels > 0)).all()
    assert set(np.unique(labels[labels > 0])) == set(np.unique(labels[classes == 1]))


def test_weights_are_alike_on_both_sides_of_an_outline_and_highest_between_nuclei() -> None:
    labels = np.zeros((40, 40), np.int32)
    labels[10:30, 4:18], labels[10:30, 20:34] = 1, 2
    weights = weight_map(labels, class_map(labels, boundary_px=2), edge_weight=4.0, touch_weight=10.0)
    assert weights[20, 18] == weights[20, 19] == 10.0
    assert weights[11, 10] == weights[8, 10] == 4.0
    assert weights[20, 11] == weights[2, 2] == 1.0


def test_small_nuclei_weigh_more_by_the_root_of_what_they_lack_alike_on_both_sides_of_their_outline() -> None:
    labels = np.zeros((60, 60), np.int32)
    labels[4:8, 4:9], labels[30:50, 30:50], labels[0:4, 40:45] = 1, 2, 3
    factor = small_nucleus_factor(labels, 320)
    assert factor[5, 5] == factor[5, 1] == factor[10, 5] == pytest.approx(4.0)  # √(320 / 20), up to 3 px outside
    assert factor[5, 12] == factor[40, 40] == factor[28, 40] == 1.0
    assert factor[1, 42] == 1.0  # cut off by the border: how large it is is not known
    classes = class_map(labels, boundary_px=2)
    plain = weight_map(labels, classes, edge_weight=4.0, touch_weight=10.0)
    assert np.array_equal(
        weight_map(labels, classes, edge_weight=4.0, touch_weight=10.0, balance_px=320), plain * factor
    )


def test_a_centred_boundary_lies_on_both_sides_of_the_outline() -> None:
    labels = np.zeros((20, 20), np.int32)
    labels[5:15, 5:15] = 1
    classes = centred_class_map(labels, boundary_px=3)
    assert classes[10, :9].tolist() == [0, 0, 0, 0, 2, 2, 2, 1, 1]
    assert (classes == 1).sum() == 6 * 6
    assert (classes == 2).sum() == 12 * 12 - 6 * 6 - 4  # a disc leaves the corners out


def test_distance_weights_are_those_of_the_formula() -> None:
    labels = np.zeros((9, 30), np.int32)
    labels[:, :5], labels[:, 12:] = 3, 7
    weights = distance_weights(labels)
    # Column 8 is 4 px from the left nucleus (column 4) and 4 px from the right one (column 12).
    assert weights[4, 8] == pytest.approx(1.0 + 10.0 * np.exp(-(8.0**2) / 50.0))
    # Inside the left nucleus the nearest is 0 px away, the other one 12 − 2 px.
    assert weights[4, 2] == pytest.approx(1.0 + 10.0 * np.exp(-(10.0**2) / 50.0))
    labels[labels == 7] = 0
    assert (distance_weights(labels) == 1.0).all()


def test_distance_weights_tell_the_second_nearest_from_the_nearest_whatever_the_order() -> None:
    labels = np.zeros((5, 60), np.int32)
    labels[:, 50:], labels[:, 20:25], labels[:, :4] = 1, 2, 3
    # Column 30: 6 px from label 2, 20 px from label 1, 27 px from label 3.
    found = distance_weights(labels, sigma_px=20.0)[2, 30]
    assert found == pytest.approx(1.0 + 10.0 * np.exp(-(26.0**2) / 800.0))
