"""Normalisation: invariances, and a field without nuclei stays dark."""

from __future__ import annotations

import numpy as np
import pytest
from numpy.typing import NDArray

from hcs.segment.normalise import (
    STATISTICS_UNIT_PX,
    Normalisation,
    noise_sd,
    normalisation_of,
    normalise,
    sample_step,
    settled,
    statistics,
)


def field(rng: np.random.Generator, noise: float = 8.0, *, nuclei: int = 40, side: int = 256) -> NDArray[np.float64]:
    image = np.full((side, side), 200.0)
    for y, x in rng.uniform(20, side - 20, (nuclei, 2)):
        add_disc(image, y, x, radius=10.0, light=900.0)
    return image + rng.normal(0.0, noise, image.shape)


def add_disc(image: NDArray[np.float64], cy: float, cx: float, *, radius: float, light: float) -> None:
    y, x = np.ogrid[: image.shape[0], : image.shape[1]]
    image += light * (((y - cy) ** 2 + (x - cx) ** 2) < radius**2)


def test_gain_and_offset_do_not_matter() -> None:
    image = field(np.random.default_rng(0))
    np.testing.assert_allclose(normalise(image), normalise(image * 7.5 + 3000.0), atol=2e-3)


def test_background_is_near_zero_and_bright_nuclei_near_one() -> None:
    image = normalise(field(np.random.default_rng(0)))
    assert abs(float(np.median(image))) < 0.08
    assert 0.6 < float(np.percentile(image, 99)) < 1.1


def test_noise_is_estimated_beside_nuclei() -> None:
    rng = np.random.default_rng(0)
    assert noise_sd(field(rng, noise=8.0).astype(np.float32)) == pytest.approx(8.0, rel=0.15)


def test_noise_without_nuclei_is_not_stretched() -> None:
    image = np.random.default_rng(0).normal(500.0, 12.0, (256, 256))
    assert float(np.percentile(normalise(image), 99.9)) < 0.9


@pytest.mark.parametrize("value", [0, 7, 65535])
def test_a_field_of_one_value_gives_zeros(value: int) -> None:
    assert not normalise(np.full((64, 64), value, np.uint16)).any()


@pytest.mark.parametrize("shape", [(1, 1), (3, 200), (17, 5)])
def test_tiny_fields_are_normalised(shape: tuple[int, int]) -> None:
    image = np.arange(np.prod(shape), dtype=np.uint16).reshape(shape)
    assert normalise(image).shape == shape


def test_what_is_applied_is_the_inverse_hyperbolic_sine() -> None:
    known = Normalisation(low=10.0, scale=4.0)
    grey = np.linspace(-60.0, 60_000.0, 1001, dtype=np.float32)[None]
    expected = np.arcsinh(4.0 * (grey.astype(np.float64) - 10.0) / 4.0) / np.arcsinh(4.0)
    np.testing.assert_allclose(known.apply(grey), expected, rtol=1e-6, atol=1e-6)


def test_a_pixel_beyond_all_others_stays_finite() -> None:
    image = field(np.random.default_rng(0)).astype(np.float32)
    image[100, 100], image[7, 7] = 3e38, -3e38
    assert np.isfinite(normalise(image)).all()


@pytest.mark.parametrize("dtype", [np.uint8, np.uint16])
def test_whole_numbers_are_looked_up_to_the_same_values(dtype: type[np.unsignedinteger]) -> None:
    recorded = np.random.default_rng(0).integers(0, np.iinfo(dtype).max, (400, 900), endpoint=True).astype(dtype)
    found = Normalisation(40.0, 130.0)
    # Half of it is no contiguous array, and floats are computed one by one.
    np.testing.assert_array_equal(found.apply(recorded[:, ::2]), found.apply(recorded[:, ::2].astype(np.float32)))


@pytest.mark.parametrize("fold", [3.0, 10.0, 50.0])
@pytest.mark.parametrize("radius", [1.5, 4.0, 10.0])
def test_two_percent_of_bright_pixels_leave_the_scale_as_it_is(fold: float, radius: float) -> None:
    rng = np.random.default_rng(1)
    image = field(rng, nuclei=150, side=512)
    clean = normalisation_of(image)
    for y, x in rng.uniform(0, 512, (int(0.02 * 512**2 / (np.pi * radius**2)), 2)):
        add_disc(image, y, x, radius=radius, light=fold * 900.0)
    found = normalisation_of(image)
    assert found.low == pytest.approx(clean.low, abs=4.0)
    assert 0.95 < found.scale / clean.scale < 1.3


@pytest.mark.parametrize("nuclei", [1, 3, 20, 300])
def test_nuclei_look_alike_however_many_there_are(nuclei: int) -> None:
    image = field(np.random.default_rng(2), nuclei=nuclei, side=512)
    seen = normalise(image)
    assert 0.5 < float(np.median(seen[image > 700.0])) < 1.3
    assert abs(float(np.median(seen[image < 300.0]))) < 0.15


@pytest.mark.parametrize("background", [0, 3])
def test_a_background_of_one_value_stays_dark_and_nuclei_do_not(background: int) -> None:
    image = np.full((256, 256), float(background))
    for y, x in np.random.default_rng(3).uniform(20, 236, (8, 2)):
        add_disc(image, y, x, radius=8.0, light=60.0)
    seen = normalise(image.astype(np.uint8))
    assert 0.5 < float(np.median(seen[image > 30.0])) < 1.1
    assert not seen[image < 30.0].any()


def test_rounding_to_whole_grey_levels_is_no_structure() -> None:
    toggling = np.random.default_rng(0).random((256, 256)) < 0.1
    assert float(normalise(toggling.astype(np.uint8) + 7).max()) < 0.8


@pytest.mark.parametrize("shape", [(512, 768), (517, 1291), (2100, 1000), (40, 300)])
def test_parts_of_a_field_give_the_normalisation_of_the_whole(shape: tuple[int, int]) -> None:
    rng = np.random.default_rng(4)
    image = rng.normal(300.0, 10.0, shape).astype(np.float32)
    image[rng.random(shape) < 0.2] += 700.0
    step, unit = sample_step(image.size), 4 * STATISTICS_UNIT_PX
    parts = [
        statistics(image[y : y + unit, x : x + 2 * unit], step=step, origin=(y, x))
        for y in range(0, shape[0], unit)
        for x in range(0, shape[1], 2 * unit)
    ]
    assert settled(parts) == settled(parts[::-1]) == normalisation_of(image)
