"""How far two channels lie apart: found by outlines, whichever of the two is bright, and not claimed of strangers."""

from __future__ import annotations

import cv2
import numpy as np
import pytest
from numpy.typing import NDArray

from hcs.measure.registration import Offset, moved, offset_px, uncovered, usual_offset

SHAPE = (200, 220)


def cells(seed: int, y_px: float = 0.0, x_px: float = 0.0, *, dark: bool = False) -> NDArray[np.uint16]:
    """Forty round nuclei of 16 px on haze, moved; dark ones lie in bright cytoplasm, as a sensor's do."""
    rng = np.random.default_rng(seed)
    light = np.full(SHAPE, 40.0, np.float32)
    for _ in range(40):
        x, y = (int(rng.integers(10, side - 10)) for side in (SHAPE[1], SHAPE[0]))
        if dark:
            cv2.circle(light, (x, y), 18, 300.0, -1)
            cv2.circle(light, (x, y), 8, 60.0, -1)
        else:
            cv2.circle(light, (x, y), 8, 300.0, -1)
    move = np.array([[1.0, 0.0, x_px], [0.0, 1.0, y_px]], np.float32)
    seen = cv2.warpAffine(cv2.GaussianBlur(light, (0, 0), 1.0), move, SHAPE[::-1], borderMode=cv2.BORDER_REPLICATE)
    return np.random.default_rng(seed + 100).poisson(seen).astype(np.uint16)


@pytest.mark.parametrize("dark", [False, True])
@pytest.mark.parametrize("way", [(0.0, 0.0), (0.0, -1.0), (2.4, -7.0)])
def test_the_offset_is_found_within_a_quarter_of_a_pixel_whichever_channel_is_bright(
    dark: bool, way: tuple[float, float]
) -> None:
    other = cells(1)
    found = offset_px(np.random.default_rng(9).poisson(cells(1, *way, dark=dark)).astype(np.uint16), other)
    assert found.sure
    assert (found.y_px, found.x_px) == pytest.approx(way, abs=0.25)


def test_channels_with_nothing_in_common_are_not_said_to_lie_anywhere() -> None:
    strangers = [offset_px(cells(seed, dark=True), cells(seed + 50)) for seed in range(4)]
    assert not any(each.sure for each in strangers)
    assert usual_offset(strangers) is None
    flat = np.full(SHAPE, 7, np.uint8)
    assert not offset_px(flat, cells(1)).sure
    with pytest.raises(ValueError, match="not of one field"):
        offset_px(flat, flat[1:])


def test_a_plate_has_the_offset_that_its_fields_agree_on() -> None:
    agreed = [Offset(0.1, -1.0, 20.0), Offset(-0.1, -1.2, 30.0), Offset(9.0, 9.0, 4.0), Offset(0.0, -0.9, 25.0)]
    usual = usual_offset(agreed)
    assert usual is not None
    assert usual.whole() == (0, -1)
    apart = [Offset(0.0, 5.0 * k, 20.0) for k in range(6)]
    assert usual_offset(apart) is None
    assert usual_offset([]) is None


@pytest.mark.parametrize("way", [(0, 0), (2, -3), (-1, 4)])
def test_moving_is_to_the_pixel_and_what_is_uncovered_is_known(way: tuple[int, int]) -> None:
    image = np.arange(12 * 9).reshape(12, 9)
    there, bare = moved(image, *way), uncovered((12, 9), *way)
    y, x = np.nonzero(~bare)
    assert np.array_equal(there[y, x], image[y - way[0], x - way[1]])
    assert bare.sum() == 12 * 9 - (12 - abs(way[0])) * (9 - abs(way[1]))
