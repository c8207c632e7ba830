"""Normalisation: invariances, and a field without nuclei stays dark."""

from __future__ import annotations

import numpy as np
import pytest
from numpy.typing import NDArray

from hcs.segment.normalise import Normalisation, noise_sd, normalise


def field(rng: np.random.Generator, noise: float = 8.0) -> NDArray[np.float64]:
    y, x = np.mgrid[:256, :256]
    image = np.full((256, 256), 200.0)
    for cy, cx in rng.uniform(20, 236, (40, 2)):
        image += 900.0 * (((y - cy) ** 2 + (x - cx) ** 2) < 100)
    return image + rng.normal(0.0, noise, image.shape)


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
