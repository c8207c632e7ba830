"""From class probabilities to nuclei, on drawn cases."""

from __future__ import annotations

from fractions import Fraction

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from numpy.typing import NDArray

from hcs.errors import ConfigError
from hcs.evaluate.matching import match
from hcs.segment.ours.instances import grow, instances
from hcs.segment.ours.runs import runs_of
from hcs.segment.settings import InstanceSettings
from hcs.train.targets import class_map


def perfect(labels: NDArray[np.integer], boundary_px: int = 2) -> NDArray[np.float32]:
    """Probabilities of a network that makes no error."""
    classes = class_map(labels, boundary_px=boundary_px)
    return np.stack([(classes == c) for c in range(3)]).astype(np.float32) * np.float32(0.98) + np.float32(0.01)


def discs(centres: list[tuple[int, int]], radius: int, shape: tuple[int, int] = (96, 96)) -> NDArray[np.int32]:
    """Touching discs; a later one does not cover an earlier one."""
    y, x = np.mgrid[: shape[0], : shape[1]]
    labels = np.zeros(shape, np.int32)
    for i, (cy, cx) in enumerate(centres, start=1):
        labels[((y - cy) ** 2 + (x - cx) ** 2 <= radius**2) & (labels == 0)] = i
    return labels


def test_touching_nuclei_come_back_exactly() -> None:
    truth = discs([(30, 30), (30, 50), (52, 40), (80, 80)], radius=11)
    found = instances(perfect(truth), InstanceSettings())
    assert found.max() == 4
    assert match(truth, found.astype(np.int32)).f1(0.9) == 1.0


def test_labels_are_numbered_in_raster_order() -> None:
    truth = discs([(70, 20), (20, 70), (20, 20)], radius=8)
    found = instances(perfect(truth), InstanceSettings())
    assert [int(found[y, x]) for y, x in ((20, 20), (20, 70), (70, 20))] == [1, 2, 3]


def test_a_nucleus_without_an_interior_is_kept_and_one_too_small_is_not() -> None:
    probabilities = np.zeros((3, 40, 40), np.float32)
    probabilities[0] = 1.0
    for box in ((slice(5, 11), slice(5, 11)), (slice(30, 32), slice(30, 32))):
        probabilities[(0, *box)] = 0.0
        probabilities[(2, *box)] = 1.0
    found = instances(probabilities, InstanceSettings(min_area_px=20))
    assert found.max() == 1
    assert (found > 0).sum() == 36


def test_a_nucleus_the_network_is_not_sure_of_is_dropped() -> None:
    truth = discs([(30, 30), (70, 70)], radius=10)
    probabilities = perfect(truth)
    doubtful = truth == 2
    probabilities[:, doubtful] = np.array([0.40, 0.56, 0.04], np.float32)[:, None]
    assert instances(probabilities, InstanceSettings(min_confidence=0.0)).max() == 2
    found = instances(probabilities, InstanceSettings(min_confidence=0.65))
    assert found.max() == 1
    assert found[30, 30] == 1


def test_a_nucleus_of_which_the_network_cannot_tell_inside_from_outline_is_kept() -> None:
    truth = discs([(30, 30), (70, 70)], radius=10)
    probabilities = perfect(truth)
    probabilities[:, truth == 2] = np.array([0.2, 0.4, 0.4], np.float32)[:, None]
    assert instances(probabilities, InstanceSettings()).max() == 2


def test_a_small_nucleus_needs_more_confidence_than_a_large_one() -> None:
    truth = discs([(20, 20)], radius=3)
    truth[discs([(60, 60)], radius=12) > 0] = 2
    probabilities = perfect(truth)
    probabilities[:, truth > 0] = np.array([0.38, 0.62, 0.0], np.float32)[:, None]
    settings = InstanceSettings(small_px=60, small_confidence=0.65, min_confidence=0.5)
    assert instances(probabilities, settings).max() == 1
    assert instances(probabilities, settings)[60, 60] == 1
    # Seen at twice its size the small one has 116 pixels, as many as it takes.
    assert instances(probabilities, settings.for_field(None, Fraction(2))).max() == 2
    assert instances(probabilities, InstanceSettings(min_confidence=0.6, small_confidence=0.6)).max() == 2


def test_a_small_hole_is_filled_and_a_large_one_is_not() -> None:
    truth = np.zeros((60, 60), np.int32)
    truth[5:55, 5:55] = 1
    probabilities = perfect(truth)
    probabilities[:, 20:24, 20:24] = np.array([1, 0, 0], np.float32)[:, None, None]
    probabilities[:, 30:45, 30:45] = np.array([1, 0, 0], np.float32)[:, None, None]
    found = instances(probabilities, InstanceSettings(max_hole_px=64))
    assert found[22, 22] == 1
    assert found[37, 37] == 0


def test_an_empty_field_has_no_nuclei() -> None:
    probabilities = np.zeros((3, 32, 48), np.float32)
    probabilities[0] = 1.0
    found = instances(probabilities, InstanceSettings())
    assert found.shape == (32, 48)
    assert found.dtype == np.uint32
    assert not found.any()


def grown(seeds: NDArray[np.int32], mask: NDArray[np.bool_]) -> NDArray[np.int32]:
    """Seeds (Y, X) grown through a mask."""
    labels = seeds.copy()
    listed = labels[mask]
    assert grow(listed, runs_of(mask)) == listed.max(initial=0)
    labels[mask] = listed
    return labels


def in_steps(seeds: NDArray[np.int32], mask: NDArray[np.bool_]) -> NDArray[np.int32]:
    """The rule of growing as it is said: in every step an open pixel gets the lowest label beside it."""
    labels = np.where(mask, seeds, 0)
    while True:
        padded = np.pad(labels, 1)
        beside = np.stack([padded[:-2, 1:-1], padded[2:, 1:-1], padded[1:-1, :-2], padded[1:-1, 2:]])
        lowest = np.where(beside > 0, beside, 99).min(axis=0)
        reached = mask & (labels == 0) & (lowest < 99)
        if not reached.any():
            return labels
        labels = np.where(reached, lowest, labels)


@given(seed=st.integers(0, 1000), share=st.sampled_from([0.5, 0.75, 1.0]))
def test_growing_fills_the_mask_in_steps_and_does_not_depend_on_orientation(seed: int, share: float) -> None:
    rng = np.random.default_rng(seed)
    mask = rng.random((24, 31)) < share
    seeds = np.where(mask & (rng.random(mask.shape) < 0.03), rng.integers(1, 9, mask.shape), 0).astype(np.int32)
    found = grown(seeds, mask)
    assert (found[mask] > 0).all()
    from_seeds = np.where(mask & (found <= seeds.max()), found, 0)
    np.testing.assert_array_equal(from_seeds, in_steps(seeds, mask))
    turned = grown(np.ascontiguousarray(seeds[::-1, ::-1].T), np.ascontiguousarray(mask[::-1, ::-1].T))
    np.testing.assert_array_equal(np.where(mask & (found <= seeds.max()), turned.T[::-1, ::-1], 0), from_seeds)


def test_pieces_within_pieces_are_grown_as_one() -> None:
    mask = np.zeros((1001, 1001), np.bool_)
    for ring in range(0, 500, 2):
        mask[ring, ring : 1001 - ring] = mask[1000 - ring, ring : 1001 - ring] = True
        mask[ring : 1001 - ring, ring] = mask[ring : 1001 - ring, 1000 - ring] = True
    seeds = np.zeros(mask.shape, np.int32)
    rings = np.arange(0, 500, 2)
    seeds[rings, rings] = np.arange(1, 251)
    found = grown(seeds, mask)
    y, x = np.mgrid[:1001, :1001]
    depth = np.minimum(np.minimum(y, x), np.minimum(1000 - y, 1000 - x))
    np.testing.assert_array_equal(found, np.where(mask, depth // 2 + 1, 0))


def test_what_no_core_reaches_is_numbered_piece_by_piece_along_corners_too() -> None:
    mask = np.zeros((6, 9), np.bool_)
    mask[0, :3] = mask[2, 5] = mask[3, 6] = mask[5, 0] = True
    seeds = np.zeros(mask.shape, np.int32)
    seeds[0, 1] = 1
    expected = np.zeros(mask.shape, np.int32)
    expected[0, :3], expected[2, 5], expected[3, 6], expected[5, 0] = 1, 2, 2, 3
    np.testing.assert_array_equal(grown(seeds, mask), expected)


def test_settings_out_of_range_name_the_key() -> None:
    with pytest.raises(ConfigError, match=r"instances\.interior = 1\.5"):
        InstanceSettings(interior=1.5)
    with pytest.raises(ConfigError, match=r"instances\.min_area_px"):
        InstanceSettings(min_area_px=-1)
    with pytest.raises(ConfigError, match=r"instances\.min_area_um2 = -3"):
        InstanceSettings(min_area_um2=-3)


def test_the_smallest_nucleus_can_be_given_in_square_micrometres() -> None:
    truth = discs([(20, 20), (60, 60)], radius=5)
    truth[discs([(60, 60)], radius=8) > 0] = 2
    smaller, larger = (int((truth == i).sum()) for i in (1, 2))
    between = 0.5**2 * (smaller + larger) / 2  # µm², at half a micrometre a pixel
    settings = InstanceSettings(min_area_um2=between)
    assert instances(perfect(truth), settings.for_field(0.5, Fraction(1))).max() == 1
    assert instances(perfect(truth), settings.for_field(1.0, Fraction(1))).max() == 2
    assert InstanceSettings().for_field(None, Fraction(1)) == InstanceSettings()
    with pytest.raises(ConfigError, match="no pixel size; set min_area_px"):
        settings.for_field(None, Fraction(1))
    with pytest.raises(ConfigError, match=r"instances\.min_confidence"):
        InstanceSettings(min_confidence=1.0)
