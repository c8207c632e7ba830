"""Image quality: hand-computed anchors, and what must not move a number."""

from __future__ import annotations

import cv2
import numpy as np
import pytest
from numpy.typing import NDArray

from hcs.measure.focus import focus_score, focus_scores
from hcs.measure.quality import ChannelQuality, field_quality, noise_sd, quality_columns, quality_values
from hcs.measure.settings import MeasureSettings

SETTINGS = MeasureSettings()
BACKGROUND, SIGNAL = 200.0, 1000.0


def discs(rng: np.random.Generator, n: int, *, side: int = 384) -> tuple[NDArray[np.float32], NDArray[np.uint32]]:
    """Nuclei of 20 px across, 1 inside and 0 outside, none touching another; and their labels."""
    labels = np.zeros((side, side), np.uint32)
    places = [(y, x) for y in range(24, side - 20, 32) for x in range(24, side - 20, 32)]
    for i, place in enumerate(rng.permutation(len(places))[:n], start=1):
        y, x = places[place]
        cv2.circle(labels.view(np.int32), (x, y), 10, i, -1)
    return (labels > 0).astype(np.float32), labels


def field(
    rng: np.random.Generator, n: int = 60, *, blur: float = 1.0, noise: float = 5.0, gain: float = 1.0
) -> tuple[NDArray[np.uint16], NDArray[np.uint32]]:
    shape, labels = discs(rng, n)
    image = BACKGROUND + gain * SIGNAL * cv2.GaussianBlur(shape, (0, 0), blur)
    return np.rint(image + rng.normal(0, noise, image.shape)).astype(np.uint16), labels


def quality(image: NDArray[np.generic], labels: NDArray[np.integer]) -> ChannelQuality:
    return field_quality(image[None], labels, channels=("DNA",), settings=SETTINGS)["DNA"]


def test_an_edge_scores_one_and_a_slope_nothing() -> None:
    edge = np.zeros((64, 64), np.float32)
    edge[:, 32:] = 100
    assert focus_score(edge, noise=0.0, ceiling=1e9) == pytest.approx(1.0)
    slope = np.tile(np.arange(64, dtype=np.float32), (64, 1))
    assert focus_score(slope, noise=0.0, ceiling=1e9) == pytest.approx(0.0)


def test_focus_falls_with_blur_and_with_nothing_else() -> None:
    rng = np.random.default_rng(0)
    sharp = quality(*field(rng)).focus
    by_blur = [quality(*field(rng, blur=blur)).focus for blur in (1.0, 1.5, 2.0, 3.0, 5.0)]
    assert np.all(np.diff(by_blur) < -0.03)
    for other in (field(rng, 6), field(rng, noise=40.0), field(rng, gain=4.0), field(rng, gain=0.3)):
        assert quality(*other).focus == pytest.approx(sharp, abs=0.06)


def test_a_few_bright_specks_do_not_make_a_blurred_field_sharp() -> None:
    rng = np.random.default_rng(1)
    image, labels = field(rng, blur=4.0)
    blurred = quality(image, labels).focus
    for y, x in rng.integers(4, 380, (12, 2)):
        image[y, x : x + 2] = 60_000
    specked = quality(image, labels).focus
    assert specked - blurred < 0.5 * (quality(*field(rng)).focus - blurred)


def test_noise_alone_has_no_focus() -> None:
    rng = np.random.default_rng(2)
    image = np.rint(rng.normal(200, 20, (384, 384))).astype(np.uint16)
    found = quality(image, np.zeros(image.shape, np.uint32))
    assert np.isnan([found.focus, found.stain, found.snr, found.debris]).all()
    assert found.confluence < 0.001


@pytest.mark.parametrize("sd", [2.0, 30.0])
def test_noise_is_that_of_the_background(sd: float) -> None:
    image, labels = field(np.random.default_rng(3), noise=sd)
    cover = cv2.GaussianBlur((labels > 0).astype(np.float32), (0, 0), 1.0)[labels > 0].mean()  # blurred over the edge
    assert noise_sd(image.astype(np.float32)) == pytest.approx(sd, rel=0.1)
    found = quality(image, labels)
    assert found.stain == pytest.approx(SIGNAL * cover, rel=0.03)
    assert found.snr == pytest.approx(found.stain / found.noise)


def test_background_without_noise_counts_as_rounded() -> None:
    image = np.full((128, 128), 7, np.uint8)
    assert quality(image, np.zeros(image.shape, np.uint8)).noise == pytest.approx(12**-0.5)


def test_saturation_is_counted_in_integers_and_unknown_in_floats() -> None:
    image = np.full((100, 100), 9, np.uint8)
    image[:5, :10] = 255
    assert quality(image, np.zeros(image.shape, np.uint32)).saturated == 0.005
    assert np.isnan(quality(image.astype(np.float32), np.zeros(image.shape, np.uint32)).saturated)


def test_the_gradient_is_the_range_over_the_level() -> None:
    """Columns from 100 to 199: tiles' lowest means of 8 px lie near 103.5 … 103.5 + 75 (384 px of 100 levels)."""
    image = np.tile(100 + np.arange(384) * 100 // 384, (384, 1)).astype(np.uint16)
    found = quality(image, np.zeros(image.shape, np.uint32))
    assert found.background == pytest.approx(100.6, abs=0.6)
    assert found.gradient == pytest.approx(0.75, abs=0.02)
    flat, labels = field(np.random.default_rng(4))
    assert quality(flat, labels).gradient < 0.02


def test_specks_are_counted_off_the_nuclei_only() -> None:
    image, labels = field(np.random.default_rng(5))
    for y, x in [(8, 8), (8, 200), (200, 8), (8, 100), (372, 370)]:
        image[y : y + 3, x : x + 3] = 1500
    inside = np.argwhere(labels == 1)[100]
    image[inside[0] : inside[0] + 2, inside[1] : inside[1] + 2] = 5000
    assert quality(image, labels).debris == pytest.approx(5 * 1e6 / image.size)


def test_confluence_is_the_share_that_cells_cover() -> None:
    image, labels = field(np.random.default_rng(6), noise=2.0)
    covered = float((labels > 0).mean())
    assert covered < quality(image, labels).confluence < 1.6 * covered


@pytest.mark.parametrize("shape", [(1, 1), (7, 40), (33, 17), (101, 67)])
def test_fields_of_any_size_and_type_have_a_quality(shape: tuple[int, int]) -> None:
    rng = np.random.default_rng(7)
    labels = np.zeros(shape, np.int64)
    labels[: shape[0] // 3, : shape[1] // 3] = 40_000
    for dtype in (np.uint8, np.int32, np.float64, bool):
        image = rng.integers(0, 100, (2, *shape)).astype(dtype)
        found = field_quality(image, labels, channels=("A", "B"), settings=SETTINGS)
        assert all(np.isfinite(q.background) for q in found.values())
        assert all(q.confluence <= 1 for q in found.values() if shape[0] >= 4)


def test_values_are_named_as_the_dictionary_says() -> None:
    image, labels = field(np.random.default_rng(8))
    found = field_quality(np.stack([image, image]), labels, channels=("DNA", "GFP-2"), settings=SETTINGS)
    values = quality_values(found)
    columns = quality_columns(("DNA", "GFP-2"))
    assert list(values) == [column.name for column in columns]
    assert values["Quality_SNR_GFP2"] == found["GFP-2"].snr
    assert all(len(column.definition) > 20 for column in columns)


@pytest.mark.parametrize("shape", [(64, 80), (70, 75), (66, 64), (30, 17), (18, 16), (9, 9), (8, 40)])
@pytest.mark.parametrize("dtype", [np.uint16, np.float32])
def test_quarters_have_the_focus_that_they_have_alone(shape: tuple[int, int], dtype: type) -> None:
    rng = np.random.default_rng(5)
    pixels = (rng.integers(0, 900, shape) + 3000 * (np.indices(shape).sum(axis=0) // 12 % 2)).astype(dtype)
    y, x = shape[0] // 2, shape[1] // 2
    whole, *quarters = focus_scores(pixels, noise=0.1, ceiling=3500.3)
    assert np.isfinite(whole) == (min(shape) > 8)
    parts = [pixels[:y, :x], pixels[:y, x:], pixels[y:, :x], pixels[y:, x:]]
    for part, found in zip([pixels, *parts], [whole, *quarters], strict=True):
        capped = np.minimum(part.astype(np.float32), np.float32(3500.3))
        height, width = (n - 8 for n in part.shape)
        if height <= 0 or width <= 0:
            assert np.isnan(found)
            continue
        sums = np.zeros(4)
        for row in range(0, height, 4):
            for k, step in enumerate((1, 2, 4, 8)):
                here = capped[row, :width]
                squares = (capped[row, step : width + step] - here) ** 2 + (capped[row + step, :width] - here) ** 2
                sums[k] += np.cumsum(squares, dtype=np.float32)[-1]  # one after the other
        s1, s2, s4, s8 = sums / (2 * width * len(range(0, height, 4)))
        error = 4.0 * 0.1**2 / np.sqrt(2 * width * len(range(0, height, 4)))
        if s8 - s4 <= 10.0 * error:
            assert np.isnan(found)
            continue
        assert found == max(2.0 - 0.5 * float(np.log2((s8 - s4) / max(s2 - s1, error, 1e-6 * (s8 - s4)))), 0.0)
