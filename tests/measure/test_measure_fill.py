"""What is taken for fill, and what is not: straight edges beside noise, not outlines of cells."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import cv2
import numpy as np
import pytest
from numpy.typing import NDArray

from hcs.measure.fill import _may_hold_square, find_fill, without_fill

SIDE_PX = 400


def nuclei(seed: int = 0) -> NDArray[np.float32]:
    """Blurred discs on nothing, up to 1."""
    rng = np.random.default_rng(seed)
    image = np.zeros((SIDE_PX, SIDE_PX), np.float32)
    for x, y in rng.integers(0, SIDE_PX, (90, 2)).tolist():
        cv2.circle(image, (x, y), int(rng.integers(8, 15)), float(rng.uniform(0.3, 1.0)), -1)
    return np.asarray(cv2.GaussianBlur(image, (0, 0), 1.5), np.float32)


def camera(dtype: Any = np.uint16) -> NDArray[Any]:
    """A field as a camera records it: an offset of 200 with noise, or of 9 in 8 bits."""
    rng = np.random.default_rng(1)
    gain, offset, sd = (2000.0, 200.0, 9.0) if dtype == np.uint16 else (180.0, 9.0, 1.3)
    return (offset + gain * nuclei() + rng.normal(0, sd, (SIDE_PX, SIDE_PX))).clip(1).astype(dtype)


Y, X = np.mgrid[:SIDE_PX, :SIDE_PX]
GAPS: dict[str, NDArray[np.bool_]] = {
    "3 % at an edge": X < 12,
    "quarter": (Y < 200) & (X < 200),
    "all but a tile": (Y >= 90) | (X >= 90),
    "chunk": (Y >= 64) & (Y < 128) & (X >= 128) & (X < 192),
    "small chunk": (Y >= 64) & (Y < 80) & (X >= 128) & (X < 144),
    "seam": (X >= 150) & (X < 156),
    "round well": (Y - 200) ** 2 + (X - 200) ** 2 > 195**2,
    "turned": (Y + 0.5 * X < 90) | (Y + 0.5 * X > 520),
}


@pytest.mark.parametrize("dtype", [np.uint8, np.uint16])
@pytest.mark.parametrize("kind", GAPS)
def test_gaps_are_found_with_their_share(kind: str, dtype: Any) -> None:
    missing = GAPS[kind]
    image = camera(dtype)
    fill = find_fill(np.where(missing, 0, image).astype(dtype)[None])
    assert fill is not None
    assert fill.mask is not None
    assert fill.recorded == pytest.approx(1 - missing.mean(), abs=0.001)
    assert fill.mask[missing].all()
    assert not fill.mask[cv2.dilate(missing.astype(np.uint8), np.ones((7, 7), np.uint8)) == 0].any()


@pytest.mark.parametrize("value", [65535, 150, 203])
def test_any_exact_value_can_be_fill(value: int) -> None:
    missing = GAPS["quarter"]
    fill = find_fill(np.where(missing, value, camera()).astype(np.uint16)[None])
    assert fill is not None
    assert fill.recorded == pytest.approx(0.75, abs=0.001)


def test_edges_that_were_blended_are_left_out_too() -> None:
    turn = cv2.getRotationMatrix2D((200, 200), 20, 1.0)
    turned = cv2.warpAffine(camera(), turn, (SIDE_PX, SIDE_PX), flags=cv2.INTER_LINEAR, borderValue=0)
    fill = find_fill(turned[None])
    assert fill is not None
    assert fill.mask is not None
    assert np.mean(turned[~fill.mask] < 150) < 1e-4


NO_FILL: dict[str, Callable[[], NDArray[Any]]] = {
    "a camera's noise": camera,
    "8 bits, background clipped to 0": lambda: (255 * nuclei() - 2).clip(0, 255).astype(np.uint8),
    "8 bits, scattered zeros": lambda: (
        (120 * nuclei() + np.random.default_rng(2).normal(0.2, 0.8, (SIDE_PX, SIDE_PX))).clip(0, 255).astype(np.uint8)
    ),
    "8 bits, large smooth nuclei": lambda: (
        cv2.resize((255 * nuclei() - 2).clip(0, 255), None, fx=4, fy=4, interpolation=cv2.INTER_CUBIC)
        .clip(0, 255)
        .astype(np.uint8)
    ),
    "saturated nuclei": lambda: (
        (300 + 2e5 * nuclei() + np.random.default_rng(3).normal(0, 9, (SIDE_PX, SIDE_PX)))
        .clip(0, 65535)
        .astype(np.uint16)
    ),
    "background subtracted": lambda: (nuclei() - 0.02).clip(0).astype(np.float32),
    "a dark field with hot pixels": lambda: np.where(np.random.default_rng(4).random(Y.shape) < 1e-3, 40, 0).astype(
        np.uint8
    ),
    "labels": lambda: (nuclei() > 0.2).astype(np.uint16) * 7,
}


@pytest.mark.parametrize("kind", NO_FILL)
def test_dark_or_saturated_images_are_images(kind: str) -> None:
    assert find_fill(NO_FILL[kind]()[None]) is None


def test_a_channel_of_one_value_is_blank_and_the_others_are_whole() -> None:
    image = np.stack([camera(), np.full((SIDE_PX, SIDE_PX), 7, np.uint16)])
    fill = find_fill(image)
    assert fill is not None
    assert (fill.mask is None, fill.recorded, fill.blank) == (True, 1.0, (1,))


def test_a_pixel_that_one_channel_lacks_is_not_recorded() -> None:
    image = np.stack([camera(), camera()])
    image[0, :100, :100] = 0
    image[1, 300:, 300:] = 0
    fill = find_fill(image)
    assert fill is not None
    assert fill.recorded == pytest.approx(1 - 2 * 100 * 100 / SIDE_PX**2, abs=1e-3)


def test_labels_are_cut_at_fill_and_numbered_anew() -> None:
    labels = np.zeros((SIDE_PX, SIDE_PX), np.uint32)
    labels[10:20, 10:20], labels[30:60, 180:240], labels[300:320, 300:320] = 1, 2, 3
    fill = find_fill(np.where(GAPS["quarter"], 0, camera()).astype(np.uint16)[None])
    cut = without_fill(labels, fill)
    assert sorted(np.unique(cut).tolist()) == [0, 1, 2]
    assert (cut[300:320, 300:320] == 2).all()
    assert (cut[30:60, 202:240] == 1).all()
    assert not cut[:200, :200].any()


@pytest.mark.parametrize("dtype", ["uint8", "uint16", "int16", "float32", "float64"])
def test_a_square_of_one_value_is_seen_wherever_it_lies(dtype: str) -> None:
    """What is passed over without another look: values of which no square of 5 px can be."""
    noisy = (np.indices((31, 37)).sum(axis=0) % 2 + 5).astype(dtype)
    for y, x in [(0, 0), (26, 32), (0, 32), (26, 0), (11, 13), (7, 22), (5, 6)]:
        pixels = noisy.copy()
        pixels[y : y + 5, x : x + 5] = 9
        assert _may_hold_square(pixels, pixels.dtype.type(9))
    assert not _may_hold_square(noisy, noisy.dtype.type(5))


def test_no_square_of_one_value_is_passed_over() -> None:
    rng, passed = np.random.default_rng(3), 0
    for _ in range(300):
        pixels = (rng.random((14, 15)) < rng.uniform(0.6, 0.97)).astype(np.uint8)
        held = cv2.erode(pixels, np.ones((5, 5), np.uint8), borderType=cv2.BORDER_CONSTANT, borderValue=0).any()
        if not _may_hold_square(pixels, np.uint8(1)):
            passed += 1
            assert not held
    assert passed > 5
