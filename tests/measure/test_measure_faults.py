"""Faults of a whole field, of part of one, and of its light, told without other fields to compare with."""

from __future__ import annotations

from typing import Any

import cv2
import numpy as np
import pytest
from numpy.typing import NDArray

from hcs.measure.quality import ChannelQuality, field_quality
from hcs.measure.settings import MeasureSettings

SIDE_PX = 512


def field(diameter_px: float = 24.0) -> tuple[NDArray[np.float32], NDArray[np.int32]]:
    """Sharp nuclei on ground, without noise, and their labels."""
    side = round(SIDE_PX * diameter_px / 24)
    rng = np.random.default_rng(2)
    y, x = np.mgrid[:side, :side].astype(np.float32)
    image, labels = np.zeros((side, side), np.float32), np.zeros((side, side), np.int32)
    step = 2.4 * diameter_px
    for n, (v, u) in enumerate(np.argwhere(np.ones((int(side / step), int(side / step)))) * step + step / 2):
        inside = (y - v) ** 2 + (x - u) ** 2 < (diameter_px / 2 * rng.uniform(0.85, 1.15)) ** 2
        image[inside], labels[inside] = 1000 * rng.lognormal(0, 0.12), n + 1
    return np.asarray(cv2.GaussianBlur(image, (0, 0), diameter_px / 24), np.float32), labels


def quality(image: NDArray[np.float32], labels: NDArray[np.int32]) -> ChannelQuality:
    noisy = 200 + image + np.random.default_rng(3).normal(0, 8, image.shape)
    recorded: NDArray[Any] = noisy.clip(0, 65535).astype(np.uint16)
    return field_quality(recorded[None], labels, channels=("DNA",), settings=MeasureSettings())["DNA"]


@pytest.mark.parametrize("diameter_px", [24.0, 48.0, 72.0])
def test_sharpness_tells_blur_at_every_magnification(diameter_px: float) -> None:
    image, labels = field(diameter_px)
    sharp, blurred = quality(image, labels), quality(cv2.GaussianBlur(image, (0, 0), 0.2 * diameter_px), labels)
    assert sharp.sharpness > 0.4
    assert blurred.sharpness < 0.25
    assert sharp.sharpness_part > 0.7


def test_a_field_blurred_on_one_side_is_told_from_a_sharp_one() -> None:
    image, labels = field()
    half = image.copy()
    half[:, SIDE_PX // 2 :] = cv2.GaussianBlur(image, (0, 0), 5.0)[:, SIDE_PX // 2 :]
    assert quality(half, labels).sharpness_part < 0.45


def test_dark_corners_are_told_by_the_nuclei_and_a_slope_of_stain_is_not() -> None:
    image, labels = field()
    y, x = np.meshgrid(*[np.linspace(-1, 1, SIDE_PX, dtype=np.float32)] * 2, indexing="ij")
    assert quality(image, labels).shading > 0.7
    assert quality(image * (1 - 0.37 * (y * y + x * x)), labels).shading < 0.35
    assert quality(image * np.exp(0.5 * x), labels).shading > 0.6
    rng, numbers = np.random.default_rng(0), np.arange(labels.max() + 1)
    factors = np.where(rng.random(numbers.size) < 0.4, rng.uniform(5, 50, numbers.size), 1.0).astype(np.float32)
    dead = quality(np.where(labels > 0, image * factors[labels], image), labels).shading
    assert np.isnan(dead), "where every third nucleus is a bright dead cell, nobody can tell"
