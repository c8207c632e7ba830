"""Statistics and backgrounds: small lists by hand, NumPy and SciPy on random ones, noise on flat fields."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy.stats import trim_mean

from hcs.measure.intensity import (
    RegionIntensities,
    as_float32,
    as_pixels,
    block_means,
    field_background,
    local_background,
    region_means,
    region_statistics,
    saturation_level,
)
from hcs.measure.regions import PixelLists
from hcs.measure.settings import MeasureSettings

lists_of_values = st.lists(st.integers(0, 6) | st.floats(-1e4, 1e4, width=32), min_size=1, max_size=40)


def whole(values: np.ndarray) -> PixelLists:
    """One region of all pixels."""
    return PixelLists(np.array([0, values.size]), np.arange(values.size, dtype=np.int32))


def test_statistics_by_hand() -> None:
    pixels = np.array([[2, 4], [4, 10], [7, 255]], np.float32)
    regions = PixelLists(np.array([0, 4, 4, 6]), np.array([0, 1, 2, 3, 5, 5], np.int32))
    found = region_statistics(pixels, regions, ceiling=255.0)
    np.testing.assert_array_equal(found.mean, [5, np.nan, 255])
    np.testing.assert_array_equal(found.median, [4, np.nan, 255])
    # Deviations -3, -1, -1, 5: squares sum to 36, over 4 pixels.
    np.testing.assert_array_equal(found.std, [3, np.nan, 0])
    np.testing.assert_array_equal(found.minimum, [2, np.nan, 255])
    np.testing.assert_array_equal(found.maximum, [10, np.nan, 255])
    np.testing.assert_array_equal(found.total, [20, 0, 510])
    assert found.saturated.tolist() == [0, 0, 2]


@given(lists_of_values)
def test_statistics_agree_with_numpy(values: list[float]) -> None:
    pixels = np.array([values], np.float32)
    found = region_statistics(pixels, whole(pixels), ceiling=np.inf)
    exact = pixels.astype(np.float64)
    assert found.median[0] == np.median(exact)
    assert found.minimum[0] == exact.min()
    assert found.maximum[0] == exact.max()
    assert found.mean[0] == pytest.approx(exact.mean(), abs=1e-9)
    assert found.std[0] == pytest.approx(exact.std(), abs=1e-9)


@given(lists_of_values)
def test_local_background_is_the_quarter_trimmed_mean(values: list[float]) -> None:
    pixels = np.array([values], np.float32)
    found = local_background(pixels, whole(pixels), fallback=-1.0)
    assert found[0] == pytest.approx(trim_mean(pixels[0].astype(np.float64), 0.25), abs=1e-9)


def test_local_background_by_hand_and_fallback() -> None:
    pixels = np.array([[9, 1, 3, 4, 200, 5, 4, 0]], np.float32)
    lists = PixelLists(np.array([0, 8, 8]), np.arange(8, dtype=np.int32))
    # Sorted 0 1 | 3 4 4 5 | 9 200.
    assert local_background(pixels, lists, fallback=7.5).tolist() == [4.0, 7.5]


@pytest.mark.parametrize("level", [2.0, 20.0, 400.0])
def test_local_background_is_not_biased_by_photon_noise(level: float) -> None:
    noisy = np.random.default_rng(0).poisson(level, (500, 500)).astype(np.float32)
    found = local_background(noisy, whole(noisy), fallback=0.0)[0]
    # Its skewness puts the middle of a Poisson law about 0.14 below its mean.
    assert found == pytest.approx(level - 0.14, abs=0.12)


def test_local_background_ignores_a_fifth_of_debris() -> None:
    rng = np.random.default_rng(1)
    pixels = rng.normal(100, 5, (100, 100)).astype(np.float32)
    pixels[:20] += 3000
    assert local_background(pixels, whole(pixels), fallback=0.0)[0] == pytest.approx(101.6, abs=0.5)


def test_field_background_by_hand() -> None:
    pixels = np.repeat(np.repeat(np.arange(101.0, dtype=np.float32)[None], 8, 0), 8, 1)
    # 101 blocks of means 0…100 and no remainder: the 1st percentile is 1.
    assert field_background(pixels, MeasureSettings()) == 1.0
    assert field_background(pixels, MeasureSettings(background_percentile=50.0)) == 50.0


def test_field_background_leaves_out_the_remainder_and_takes_small_fields_whole() -> None:
    pixels = np.full((9, 9), 5, np.float32)
    pixels[8], pixels[:, 8] = 0, 0
    assert field_background(pixels, MeasureSettings()) == 5.0
    assert field_background(np.array([[1, 3]], np.float32), MeasureSettings()) == 2.0


def test_field_background_survives_a_crowded_field() -> None:
    rng = np.random.default_rng(2)
    pixels = rng.poisson(100, (512, 512)).astype(np.float32)
    crowded = pixels + 500
    crowded[200:260, 300:360] = pixels[200:260, 300:360]
    bias = 2.33 * 10 / 8
    assert field_background(pixels, MeasureSettings()) == pytest.approx(100 - bias, abs=0.5)
    assert field_background(crowded, MeasureSettings()) == pytest.approx(100, abs=bias)


def test_region_means_by_hand() -> None:
    regions = PixelLists(np.array([0, 1, 3]), np.array([2, 0, 1], np.int32))
    assert region_means(np.array([[1, 2, 7]], np.float32), regions).tolist() == [7.0, 1.5]
    assert region_means(np.ones((2, 2), np.float32), PixelLists(np.zeros(1, int), np.empty(0, np.int32))).size == 0


@pytest.mark.parametrize("dtype", [np.uint8, np.uint16, np.int16, np.float64, ">u2", bool])
def test_pixels_keep_their_values(dtype: str) -> None:
    image = np.array([[0, 1], [1, 1]]).astype(dtype)
    pixels = as_float32(image[::-1])
    assert pixels.dtype == np.float32
    assert pixels.tolist() == [[1, 1], [0, 1]]


@pytest.mark.parametrize("bad", [np.nan, np.inf, 1e300])
def test_pixels_that_are_no_numbers_are_refused(bad: float) -> None:
    with pytest.raises(ValueError, match="1 pixels are not finite"):
        as_float32(np.array([[1.0, bad]]))


def test_saturation_level_follows_the_dtype_or_the_settings() -> None:
    assert saturation_level(np.dtype(np.uint8), MeasureSettings()) == 255
    assert saturation_level(np.dtype(">u2"), MeasureSettings()) == 65535
    assert saturation_level(np.dtype(np.float32), MeasureSettings()) == np.inf
    assert saturation_level(np.dtype(np.uint16), MeasureSettings(saturation_level=4095)) == 4095


@pytest.mark.parametrize("spread", [0, 1, 3, 100, 3000, 20_000])
@pytest.mark.parametrize("size", [1, 2, 3, 7, 64, 901])
@pytest.mark.parametrize("offset", [0.0, -40.0, 0.5, 2.0**24, 1e30])
def test_ranks_are_the_same_counted_or_selected(spread: int, size: int, offset: float) -> None:
    values = (np.random.default_rng(size).integers(0, spread + 1, (1, size)) + offset).astype(np.float32)
    in_order = np.sort(values.astype(np.float64), axis=None)
    found = region_statistics(values, whole(values), ceiling=np.inf)
    assert found.median[0] == np.median(in_order)
    kept = in_order[size // 4 : size - size // 4]
    middle = local_background(values, whole(values), fallback=0.0)[0]
    assert middle == (kept.sum() / kept.size if offset < 2.0**24 else pytest.approx(kept.mean(), rel=1e-12))


@pytest.mark.parametrize(("spread", "lowest"), [(0, 7), (3, 0), (600, 100), (9_000, 40), (65_535, 0)])
def test_whole_numbers_are_measured_as_float32_to_the_last_bit(spread: int, lowest: int) -> None:
    rng = np.random.default_rng(spread)
    image = np.minimum(lowest + rng.integers(0, spread + 1, (61, 67)), 65_535).astype(np.uint16)
    sizes = np.array([0, 1, 2, 3, 7, 8, 129, 700, 0, 2500])
    indices = rng.permutation(image.size)[: sizes.sum()].astype(np.int32)
    regions = PixelLists(np.concatenate(([0], np.cumsum(sizes))), indices)
    pixels, exact = as_pixels(image), as_float32(image)
    assert pixels.dtype == np.uint16
    ceiling = float(lowest + spread // 2)
    found, expected = (region_statistics(one, regions, ceiling=ceiling) for one in (pixels, exact))
    for name in RegionIntensities.__slots__:
        np.testing.assert_array_equal(getattr(found, name), getattr(expected, name))
    middle = region_statistics(pixels, regions, ceiling=ceiling, middle_only=True)
    np.testing.assert_array_equal(middle.mean, expected.mean)
    np.testing.assert_array_equal(middle.median, expected.median)
    assert (
        local_background(pixels, regions, fallback=1.5).tolist()
        == local_background(exact, regions, fallback=1.5).tolist()
    )
    for block in (1, 5, 8, 100):
        settings = MeasureSettings(background_block_px=block)
        assert block_means(pixels, settings).tolist() == block_means(exact, settings).tolist()


@pytest.mark.parametrize("dtype", [np.uint8, np.uint16, np.int16, np.float64, ">u2", bool])
def test_pixels_are_whole_numbers_of_16_bits_where_they_may_be(dtype: str) -> None:
    image = np.array([[0, 1], [1, 1]]).astype(dtype)
    pixels = as_pixels(image[::-1])
    assert pixels.tolist() == [[1, 1], [0, 1]]
    assert pixels.dtype == (np.uint16 if image.dtype.kind == "u" else np.float32)


def test_region_means_are_summed_in_numpy_s_order() -> None:
    rng = np.random.default_rng(4)
    sizes = np.array([1, 2, 8, 9, 10, 100, 128, 129, 130, 300, 1030, 3])
    pixels = rng.random((1, sizes.sum()), np.float32)
    offsets = np.concatenate(([0], np.cumsum(sizes)))
    regions = PixelLists(offsets, np.arange(sizes.sum(), dtype=np.int32))
    expected = np.add.reduceat(pixels[0].astype(np.float64), offsets[:-1]) / sizes
    assert region_means(pixels, regions).tolist() == expected.tolist()
