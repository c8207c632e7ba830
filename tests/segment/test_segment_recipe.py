"""What goes with the weights: preparing images and reading probabilities as published pipelines do."""

from __future__ import annotations

import cv2
import numpy as np
import pytest
from numpy.typing import NDArray
from scipy import ndimage

from hcs.errors import ConfigError
from hcs.evaluate.matching import match
from hcs.segment.baselines.published import split_by_distance
from hcs.segment.distance import distance_px
from hcs.segment.ours.instances import instances
from hcs.segment.preprocess import QUANTILES, Preprocess, match_histogram, median_and_local_mean, min_max, quantiles
from hcs.segment.recipe import Recipe, read_recipe
from hcs.segment.settings import InstanceSettings
from hcs.train.targets import centred_class_map


def discs(*circles: tuple[int, int, int]) -> NDArray[np.int32]:
    """Labels (100, 140) of discs (x, y, radius)."""
    labels = np.zeros((100, 140), np.uint8)
    for label, (x, y, radius) in enumerate(circles, start=1):
        cv2.circle(labels, (x, y), radius, label, -1)
    return labels.astype(np.int32)


def probabilities_of(classes: NDArray[np.integer], count: int) -> NDArray[np.float32]:
    """Probabilities of a network that is nearly sure and right."""
    return np.stack([(classes == c) for c in range(count)]).astype(np.float32) * np.float32(0.9) + np.float32(
        0.1 / count
    )


def test_min_max_spans_zero_to_one() -> None:
    np.testing.assert_allclose(min_max(np.array([[10, 20], [15, 10]], np.uint16)), [[0, 1], [0.5, 0]])
    assert not min_max(np.full((3, 3), 7, np.uint8)).any()


def test_division_by_the_median_takes_gain_and_the_local_mean_takes_haze() -> None:
    rng = np.random.default_rng(0)
    image = rng.normal(100.0, 5.0, (128, 128))
    np.testing.assert_allclose(median_and_local_mean(image * 8), median_and_local_mean(image), atol=1e-4)
    haze = np.linspace(0, 100, 128)[None, :]
    assert abs(float(median_and_local_mean(image + haze)[32:96, 32:96].mean())) < 0.01
    speck = np.zeros((64, 64), np.uint8)
    speck[30:34, 30:34] = 200  # the median is 0
    assert np.isfinite(median_and_local_mean(speck)).all()
    assert not median_and_local_mean(np.zeros((8, 8), np.uint8)).any()


def test_a_matched_image_has_the_quantiles_of_its_reference() -> None:
    rng = np.random.default_rng(0)
    reference = quantiles(rng.gamma(2.0, 0.1, (80, 80)).astype(np.float32))
    matched = match_histogram(rng.normal(0.0, 1.0, (90, 90)).astype(np.float32), np.asarray(reference))
    np.testing.assert_allclose(np.quantile(matched, QUANTILES), reference, atol=2e-3)
    flat = match_histogram(np.zeros((5, 5), np.float32), np.asarray(reference))
    np.testing.assert_allclose(flat, np.mean(reference), rtol=1e-5)


def test_the_median_filter_is_the_last_step() -> None:
    image = np.zeros((9, 9), np.uint8)
    image[4, 4] = 255
    assert Preprocess(normalise="min-max")(image).max() == 1.0
    assert Preprocess(normalise="min-max", median_px=3)(image).max() == 0.0


def test_touching_discs_are_parted_by_distance_and_one_at_the_border_is_whole() -> None:
    truth = discs((30, 50, 14), (56, 50, 14), (100, 30, 20), (120, 99, 12))
    found = Recipe(postprocess="watershed").labels(probabilities_of(truth > 0, 2), InstanceSettings())
    assert match(truth, found).f1(0.9) == 1.0
    assert (split_by_distance(np.ones((20, 30), np.bool_)) == 1).all()
    assert not split_by_distance(np.zeros((20, 30), np.bool_)).any()


def test_interiors_grow_back_to_what_a_centred_boundary_took() -> None:
    truth = discs((30, 50, 14), (100, 40, 20))
    probabilities = probabilities_of(centred_class_map(truth, boundary_px=3), 3)
    found = Recipe(postprocess="interiors", grow_px=2).labels(probabilities, InstanceSettings())
    assert match(truth, found).iou.max(axis=1).min() > 0.95
    # The default reading takes the outer half of the boundary for nucleus.
    assert (instances(probabilities, InstanceSettings()) > 0).sum() > 1.1 * (found > 0).sum()


def test_a_recipe_survives_its_card() -> None:
    preprocess = Preprocess(normalise="min-max", histogram=tuple(QUANTILES.tolist()), median_px=3)
    recipe = Recipe(diameter_px=24.0, preprocess=preprocess, postprocess="watershed")
    assert read_recipe({"network": {"classes": 2}, **recipe.card()}) == recipe
    # Cards from before there were others mean the input of that time.
    assert read_recipe({"network": {"classes": 3}}) == Recipe(preprocess=Preprocess(normalise="asinh"))
    with pytest.raises(ConfigError, match="'watershed' does not read 3 classes"):
        read_recipe({"network": {"classes": 3}, "postprocess": "watershed"})
    with pytest.raises(ConfigError, match="normalise = 'z-score'"):
        read_recipe({"network": {"classes": 3}, "preprocess": {"normalise": "z-score"}})
    with pytest.raises(ConfigError, match="postprocess = 'guess'"):
        Recipe(postprocess="guess")
    with pytest.raises(ConfigError, match="median_px = 4"):
        Preprocess(median_px=4)
    with pytest.raises(ConfigError, match="histogram of 2 quantiles"):
        Preprocess(histogram=(0.0, 1.0))


def test_distances_are_exact_wherever_the_image_lies_in_memory() -> None:
    rng = np.random.default_rng(0)
    inside = rng.random((40, 50)) > 0.02
    expected = ndimage.distance_transform_edt(inside).astype(np.float32)
    for shift in range(40):
        elsewhere = np.empty(inside.size + shift, np.uint8)[shift:].reshape(inside.shape)
        elsewhere[:] = inside
        np.testing.assert_array_equal(distance_px(elsewhere), expected)


def test_a_recipe_with_kinds_wants_a_class_for_each() -> None:
    card = {"network": {"classes": 4}, **Recipe(kinds=("a", "b")).card()}
    assert read_recipe(card) == Recipe(kinds=("a", "b"))
    with pytest.raises(ConfigError, match="of 2 kinds of nuclei does not read 3 classes"):
        read_recipe(card | {"network": {"classes": 3}})
    with pytest.raises(ConfigError, match="need postprocess 'cores'"):
        Recipe(kinds=("a", "b"), postprocess="interiors")
