"""Crops with dimmed and with more nuclei: the truth says where they are, and light is what is added or taken."""

from __future__ import annotations

import numpy as np

from hcs.train.augment import Sample
from hcs.train.contaminate import linear
from hcs.train.crowd import crowded, dimmed
from hcs.train.settings import TrainSettings


def crop() -> Sample:
    """A crop (128, 128) with four nuclei of 20 px, far from each other."""
    labels = np.zeros((128, 128), np.int32)
    y, x = np.mgrid[:128, :128]
    for n, (cy, cx) in enumerate(((a, b) for a in (36, 92) for b in (36, 92)), start=1):
        labels[(y - cy) ** 2 + (x - cx) ** 2 < 100] = n
    return Sample(np.where(labels > 0, np.float32(0.7), np.float32(0.02)), labels, np.zeros((128, 128), np.bool_))


def test_dimmed_nuclei_stay_true_and_brighter_than_their_surroundings() -> None:
    before = crop()
    dim = 0
    for seed in range(20):
        after = dimmed(before, np.random.default_rng(seed))
        np.testing.assert_array_equal(after.labels, before.labels)
        light = linear(after.image)
        for n in range(1, 5):
            share = np.median(light[before.labels == n]) / np.median(linear(before.image)[before.labels == n])
            assert np.median(light[before.labels == n]) > 2 * np.median(light[before.labels == 0])
            assert share < 1.01
            dim += share < 0.7
    assert 5 < dim < 60


def test_a_nucleus_that_noise_would_hide_is_not_dimmed() -> None:
    before = crop()
    noise = np.random.default_rng(0).normal(0.0, 0.25, before.image.shape).astype(np.float32)
    noisy = Sample(before.image + noise, before.labels, before.ignore)
    for seed in range(5):
        np.testing.assert_allclose(dimmed(noisy, np.random.default_rng(seed)).image, noisy.image, atol=1e-4)


def test_added_nuclei_touch_others_have_labels_of_their_own_and_light() -> None:
    before = crop()
    added = touching = 0
    for seed in range(20):
        after = crowded(before, np.random.default_rng(seed))
        new = np.setdiff1d(np.unique(after.labels), range(5))
        gained = linear(after.image) - linear(before.image)
        assert gained.min() > -1e-4
        added += len(new)
        for n in new:
            own = after.labels == n
            assert gained[own & (before.labels == 0)].mean() > 0.02
            y, x = np.nonzero(own)
            around = after.labels[max(y.min() - 2, 0) : y.max() + 3, max(x.min() - 2, 0) : x.max() + 3]
            touching += len(np.unique(around[around > 0])) > 1
        for n in range(1, 5):  # what is left of each is most of it, in one piece
            assert (after.labels == n).sum() > 0.4 * (before.labels == n).sum()
    assert added > 30
    assert touching == added


def test_a_crop_without_whole_nuclei_stays_as_it_is() -> None:
    empty = Sample(np.zeros((64, 64), np.float32), np.zeros((64, 64), np.int32), np.zeros((64, 64), np.bool_))
    assert crowded(empty, np.random.default_rng(0)) is empty
    assert TrainSettings().crowded == TrainSettings().dimmed == 0.0
