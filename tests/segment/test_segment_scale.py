"""Rescaling to the size of nuclei that a model wants, and what that size is."""

from __future__ import annotations

import math
from fractions import Fraction

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from hcs.segment.diameter import FEWEST, given_diameter, plate_diameter, touching, typical_px
from hcs.segment.scale import SCALES, diameters_px, enlarged, restored, scale_for, working_scale

scales = st.sampled_from(SCALES)


@given(st.floats(8.0, 200.0))
def test_every_size_from_8_to_200_px_comes_within_a_quarter_of_the_models(diameter: float) -> None:
    assert abs(math.log(diameter * scale_for(diameter, 24.0) / 24.0)) <= math.log(1.25)


def test_the_scale_by_hand() -> None:
    assert scale_for(24.0, 24.0) == 1
    assert scale_for(48.0, 24.0) == Fraction(1, 2)
    assert scale_for(13.0, 24.0) == 2  # 26 px; at 3/2 it would be 19.5
    assert scale_for(150.0, 24.0) == Fraction(1, 6)
    assert scale_for(1000.0, 24.0) == Fraction(1, 8)


@pytest.mark.parametrize(
    ("diameter", "scale"), [(8, 3), (11.9, 2), (12, 1), (15, 1), (24, 1), (32, "2/3"), (80, "1/3")]
)
def test_only_nuclei_below_half_the_size_are_magnified(diameter: float, scale: str | int) -> None:
    assert working_scale(diameter, 24.0) == Fraction(scale)


@given(scales, st.integers(16, 90), st.integers(16, 90))
def test_back_at_full_resolution_shape_and_smooth_content_return(scale: Fraction, height: int, width: int) -> None:
    y, x = np.mgrid[:height, :width].astype(np.float32)
    ramp = y + 2.0 * x
    back = restored(enlarged(ramp, scale)[None], scale, (height, width))[0]
    assert back.shape == ramp.shape
    inside = (slice(8, height - 8), slice(8, width - 8))
    np.testing.assert_allclose(back[inside], ramp[inside], atol=0.6)  # interpolation of a ramp: half a pixel at most


@given(scales, st.integers(1, 4), st.integers(0, 2**32 - 1))
def test_a_block_is_resampled_as_the_whole_is(scale: Fraction, start: int, seed: int) -> None:
    """Blocks that start at multiples of the denominator see the very pixels that the whole field gives."""
    p, q = scale.numerator, scale.denominator
    field = np.random.default_rng(seed).random((48, 48), dtype=np.float32)
    whole, block = enlarged(field, scale), enlarged(field[start * q :], scale)
    inner = slice(p, block.shape[0])  # interpolation above 1 reaches one pixel over the cut
    np.testing.assert_allclose(block[inner], whole[start * p :][inner], atol=1e-6)


def test_scale_one_changes_nothing() -> None:
    image = np.arange(12.0, dtype=np.float32).reshape(3, 4)
    assert enlarged(image, Fraction(1)) is image


def test_diameters_of_discs() -> None:
    labels = np.zeros((40, 40), np.uint32)
    labels[:10, :10] = 3  # area 100, as a disc of 11.28 px
    labels[20:24, 20:24] = 7
    np.testing.assert_allclose(diameters_px(labels), [11.2838, 4.5135], atol=1e-3)
    assert diameters_px(np.zeros((4, 4), np.uint32)).size == 0


def test_a_plates_size_is_the_median_over_all_its_fields() -> None:
    found = [np.full(FEWEST, 10.0), np.full(2 * FEWEST, 11.0), np.empty(0)]
    diameter = plate_diameter(found, 24.0)
    assert (diameter.px, diameter.nuclei, diameter.scale, diameter.reason) == (11.0, 3 * FEWEST, Fraction(2), "")


@pytest.mark.parametrize(("n", "target", "words"), [(FEWEST - 1, 24.0, "--diameter-px"), (500, None, "as they are")])
def test_an_unknown_size_leaves_the_scale_alone_and_says_why(n: int, target: float | None, words: str) -> None:
    diameter = plate_diameter([np.full(n, 50.0)], target)
    assert math.isnan(diameter.px)
    assert diameter.scale == 1
    assert words in diameter.reason


def test_a_given_size_is_taken() -> None:
    assert given_diameter(48.0, 24.0).scale == Fraction(1, 2)
    assert given_diameter(48.0, None).scale == 1


def test_a_few_specks_or_many_do_not_change_the_size() -> None:
    nuclei = np.random.default_rng(0).normal(30.0, 3.0, 40)
    for specks in (0, 30, 300):
        assert typical_px(np.concatenate([nuclei, np.full(specks, 5.0)])) == pytest.approx(np.median(nuclei))
    assert typical_px(np.empty(0)) == 0.0


def test_the_share_of_outlines_that_touch_by_hand() -> None:
    labels = np.zeros((12, 12), np.uint32)
    labels[2:6, 2:6], labels[2:6, 6:10] = 1, 2  # two squares of 4 px, side by side: 8 of 32 edges
    assert touching(labels) == pytest.approx(8 / 32)
    labels[2:6, 6:10] = 1
    assert touching(labels) == 0.0
