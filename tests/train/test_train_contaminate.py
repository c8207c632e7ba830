"""Crops with dead cells and debris: the living keep their truth, intensities add up, and the camera clips."""

from __future__ import annotations

import numpy as np

from hcs.train.augment import Sample
from hcs.train.contaminate import compressed, contaminated, linear, rescaled, stained, textured


def crop() -> Sample:
    """A crop (128, 128) with nine nuclei of 20 px."""
    labels = np.zeros((128, 128), np.int32)
    y, x = np.mgrid[:128, :128]
    for n, (cy, cx) in enumerate(((a, b) for a in (24, 64, 104) for b in (24, 64, 104)), start=1):
        labels[(y - cy) ** 2 + (x - cx) ** 2 < 100] = n
    return Sample(np.where(labels > 0, np.float32(0.7), np.float32(0.02)), labels, np.zeros((128, 128), np.bool_))


def test_intensities_go_back_to_linear_ones_and_forth() -> None:
    image = np.linspace(-0.5, 3.0, 100, dtype=np.float32)[None]
    np.testing.assert_allclose(compressed(linear(image)), image, atol=1e-5)


def test_light_is_only_added_until_the_camera_clips() -> None:
    before = linear(crop().image)
    for seed in range(20):
        after = linear(contaminated(crop(), np.random.default_rng(seed)).image)
        assert (after >= np.minimum(before, after.max()) - 1e-4).all()


def test_the_living_keep_their_labels_and_dead_cells_get_labels_of_their_own() -> None:
    before = crop()
    new = covered = 0
    for seed in range(30):
        found = contaminated(before, np.random.default_rng(seed))
        dead = found.labels > 9
        new += len(np.unique(found.labels[dead]))
        kept = ~dead & ~found.ignore
        np.testing.assert_array_equal(found.labels[kept], before.labels[kept])
        assert not (dead & found.ignore).any()
        for n in np.unique(before.labels[found.ignore]):
            covered += 1
            assert dead[before.labels == n].mean() > 0.5
    assert new > 30
    assert covered > 0


def test_cytoplasm_is_background_that_is_dimmer_than_its_nucleus() -> None:
    before = crop()
    seen = 0
    for seed in range(20):
        after = stained(before, np.random.default_rng(seed))
        np.testing.assert_array_equal(after.labels, before.labels)
        gained = linear(after.image) - linear(before.image)
        assert gained.min() > -1e-4
        outside = gained[before.labels == 0]
        seen += int((outside > 0.02).sum() > 300)
        assert np.quantile(outside, 0.99) < linear(before.image).max()
    assert seen > 10


def test_a_wrong_scale_is_a_factor_before_compression() -> None:
    image = crop().image
    ratio = linear(rescaled(image, np.random.default_rng(0), sd=0.3)) / linear(image)
    np.testing.assert_allclose(ratio, ratio.mean(), rtol=1e-3)
    assert ratio.mean() != 1.0


def test_texture_leaves_the_background_alone() -> None:
    before = crop()
    after = textured(before, np.random.default_rng(0))
    np.testing.assert_allclose(after.image[:8], before.image[:8], atol=1e-5)
    assert after.image[before.labels > 0].std() > 0.02
