"""Rings and local background zones, against their definition taken word for word."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray

from hcs.measure import surroundings
from hcs.measure.regions import PixelLists, regions_of
from hcs.measure.settings import MeasureSettings
from hcs.measure.shape import measure_shape
from hcs.measure.surroundings import ANNULUS, NEAR, RING, find_surroundings


def surround(labels: NDArray[np.integer], options: MeasureSettings) -> tuple[PixelLists, PixelLists]:
    """Ring and background lists of a label image."""
    nuclei = regions_of(labels)
    found = find_surroundings(nuclei, measure_shape(nuclei).box, options)
    return found.ring, found.background


def drawn(lists: PixelLists, shape: tuple[int, int]) -> NDArray[np.int64]:
    """The lists as a label image, 1…n; every pixel may be listed once."""
    image = np.zeros(shape, np.int64)
    owners = np.repeat(np.arange(len(lists.counts)) + 1, lists.counts)
    np.add.at(image.ravel(), lists.indices, owners)
    assert len(np.unique(lists.indices)) == len(lists.indices)
    return image


def owners_and_zones(dense: NDArray[np.int32], options: MeasureSettings) -> tuple[NDArray[np.int64], NDArray[np.uint8]]:
    """Owner of every pixel of rings and annuli, 0 elsewhere, and zone of every pixel (Y, X)."""
    zone, places, slots = surroundings._zones(dense, options, None)
    owner, n = np.zeros(dense.size, np.int64), int(dense.max())
    np.testing.assert_array_equal(zone.ravel()[places], np.where(slots < n, RING, ANNULUS))
    assert np.count_nonzero((zone == RING) | (zone == ANNULUS)) == len(places)
    owner[places] = slots % n + 1
    return owner.reshape(dense.shape), zone


def by_definition(labels: NDArray[np.integer], low: int, high: int) -> NDArray[np.int64]:
    """Pixels at a distance in (low, high] from the nearest nucleus, as its label, the lowest on a tie."""
    image = np.zeros(labels.shape, np.int64)
    sources = np.argwhere(labels > 0)
    for y, x in np.argwhere(labels == 0):
        squared = ((sources - (y, x)) ** 2).sum(axis=1)
        nearest = squared.min(initial=10**9)
        if low**2 < nearest <= high**2:
            image[y, x] = labels[tuple(sources[squared == nearest].T)].min()
    return image


def test_ring_of_one_pixel_by_hand() -> None:
    labels = np.zeros((7, 7), int)
    labels[3, 3] = 1
    ring, _ = surround(labels, MeasureSettings(ring_gap_px=1, ring_width_px=2))
    # Distances above 1 and up to 3: all of the 29 pixels within 3, but the centre and the four beside it.
    assert ring.counts.tolist() == [24]
    expected = [
        [0, 0, 0, 1, 0, 0, 0],
        [0, 1, 1, 1, 1, 1, 0],
        [0, 1, 1, 0, 1, 1, 0],
        [1, 1, 0, 0, 0, 1, 1],
        [0, 1, 1, 0, 1, 1, 0],
        [0, 1, 1, 1, 1, 1, 0],
        [0, 0, 0, 1, 0, 0, 0],
    ]
    assert drawn(ring, (7, 7)).tolist() == expected


def test_equally_near_pixels_go_to_the_lowest_label_and_none_is_in_a_gap() -> None:
    labels = np.array([[9, 0, 0, 0, 0, 0, 4]])
    ring, _ = surround(labels, MeasureSettings(ring_gap_px=1, ring_width_px=5))
    # Nuclei in order of label: 4 is the first, 9 the second.
    assert drawn(ring, (1, 7)).tolist() == [[0, 0, 2, 1, 1, 0, 0]]


fields = st.tuples(st.integers(0, 10_000), st.integers(1, 9), st.integers(0, 2), st.integers(1, 4))


@settings(max_examples=60)
@given(fields)
def test_ring_and_annulus_are_as_defined(field: tuple[int, int, int, int]) -> None:
    seed, count, gap, width = field
    rng = np.random.default_rng(seed)
    labels = np.zeros((17, 19), int)
    for value in rng.permutation(count) + 1:
        y, x = rng.integers(0, 17), rng.integers(0, 19)
        labels[y : y + rng.integers(1, 5), x : x + rng.integers(1, 5)] = value
    options = MeasureSettings(ring_gap_px=gap, ring_width_px=width, local_width_px=3, local_min_px=1)
    nuclei = regions_of(labels)
    ring, _ = surround(labels, options)
    numbers = np.concatenate(([0], nuclei.label_values))
    expected = by_definition(labels, gap, gap + width)
    np.testing.assert_array_equal(numbers[drawn(ring, labels.shape)], expected)
    owner, zone = owners_and_zones(nuclei.dense, options)
    expected = by_definition(labels, gap + width, gap + width + 3)
    np.testing.assert_array_equal(np.where(zone == ANNULUS, numbers[owner], 0), expected)


def test_wide_and_narrow_keys_agree() -> None:
    dense = np.random.default_rng(0).binomial(1, 0.002, (150, 160)).astype(np.int32)
    dense[dense > 0] = np.arange(dense.sum()) + 1
    options = MeasureSettings()
    owner, zone = owners_and_zones(dense, options)
    wide = np.where(dense > 0, dense + 2**27, 0).astype(np.int32)
    wide_owner, wide_zone = owners_and_zones(wide, options)
    np.testing.assert_array_equal(wide_zone, zone)
    np.testing.assert_array_equal(np.where(owner > 0, owner + 2**27, 0), wide_owner)
    assert {NEAR, RING, ANNULUS} < set(np.unique(zone).tolist())


def test_far_apart_nuclei_get_the_same_ring_alone_and_together() -> None:
    labels = np.zeros((60, 120), int)
    labels[20:30, 20:32] = 5
    alone, _ = surround(labels, MeasureSettings())
    labels[20:30, 90:99] = 2
    together, _ = surround(labels, MeasureSettings())
    np.testing.assert_array_equal(
        drawn(alone, labels.shape) == 1,
        drawn(together, labels.shape) == 2,
    )


def test_background_is_the_annulus_then_a_window_then_nothing() -> None:
    options = MeasureSettings(ring_gap_px=0, ring_width_px=1, local_width_px=1, local_min_px=8)
    labels = np.zeros((21, 21), int)
    labels[10, 10] = 1
    _, background = surround(labels, options)
    # Distance above 1 and up to 2: four across the corners, four two steps away.
    assert background.counts.tolist() == [8]
    labels[:, :9] = 2
    labels[:, 12:] = 3
    labels[:9] = 2
    labels[12:] = 3
    # Three columns are left open around nucleus 1, all of them in rings.
    _, background = surround(labels, options)
    assert background.counts.tolist() == [0, 0, 0]
    labels[:3, :7] = 0
    _, background = surround(labels, options)
    # Outside rings: rows 0 and 1, columns 0 to 5. Nucleus 1's window, grown by 4 × 2, begins at row 2.
    assert background.counts[0] == 0
    wider = MeasureSettings(ring_gap_px=0, ring_width_px=1, local_width_px=2, local_min_px=8)
    _, background = surround(labels, wider)
    # Grown by 4 × 3 it reaches the corner, and holds every pixel that is in no ring.
    assert background.counts[0] == 12
    assert set(background.indices[:12].tolist()) == {21 * y + x for y in range(2) for x in range(6)}


def test_a_field_without_nuclei_has_no_surroundings() -> None:
    ring, background = surround(np.zeros((8, 9), int), MeasureSettings())
    assert ring.offsets.tolist() == [0]
    assert background.offsets.tolist() == [0]


@pytest.mark.parametrize("place", [(0, 0), (0, 8), (7, 0), (7, 8)])
def test_a_ring_ends_at_the_field_s_border(place: tuple[int, int]) -> None:
    labels = np.zeros((8, 9), int)
    labels[place] = 1
    ring, _ = surround(labels, MeasureSettings(ring_gap_px=1, ring_width_px=2))
    np.testing.assert_array_equal(drawn(ring, labels.shape), by_definition(labels, 1, 3))
