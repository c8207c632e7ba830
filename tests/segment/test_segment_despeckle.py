"""Specks leave the network's input; nuclei, dead cells and everything as bright as nuclei stay."""

from __future__ import annotations

import cv2
import numpy as np
import pytest
import torch
from numpy.typing import NDArray

from hcs.segment.despeckle import REACH_PX, compressed, decompressed, despeckled
from hcs.segment.device.scale import despeckled_on_device

Image = NDArray[np.float32]


def nuclei(level: float = 0.6, seed: int = 0) -> Image:
    """A field (120, 160) of eight nuclei of 24 px at ``level`` and one dead cell of 12 px at 2.0, on noise."""
    rng, field = np.random.default_rng(seed), np.zeros((120, 160), np.float32)
    for i in range(8):
        cv2.circle(field, (20 + 40 * (i % 4), 30 + 60 * (i // 4)), 12, level, -1)
    cv2.circle(field, (80, 60), 6, 2.0, -1)
    field = cv2.GaussianBlur(field, (0, 0), 1.0)
    return field + rng.normal(0, 0.02, field.shape).astype(np.float32)


def square(at: tuple[int, int], before: int, after: int) -> tuple[slice, slice]:
    """From so many px before a place up to so many after it, inside the field."""
    return slice(max(at[0] - before, 0), at[0] + after), slice(max(at[1] - before, 0), at[1] + after)


@pytest.mark.parametrize(
    ("at", "side"),
    [((30, 20), 1), ((30, 20), 2), ((60, 10), 1), ((60, 10), 2), ((0, 0), 1), ((119, 159), 1), ((0, 70), 2)],
)
def test_a_speck_takes_the_brightness_around_it(at: tuple[int, int], side: int) -> None:
    field = nuclei()
    before = field.copy()
    field[square(at, side // 2, side - side // 2)] = 1.8
    seen = despeckled(field)
    assert np.abs(seen - before).max() < 0.15
    away = np.ones(field.shape, bool)
    away[square(at, REACH_PX + 1, REACH_PX + 2)] = False
    assert np.array_equal(seen[away], before[away])


def test_dead_cells_and_bright_nuclei_stay_and_a_field_without_specks_is_not_copied() -> None:
    field = nuclei()
    assert despeckled(field) is field
    assert despeckled(np.zeros((0, 0), np.float32)).size == 0
    bright = nuclei(level=1.5)
    seen = despeckled(bright)
    changed = seen != bright
    assert changed.sum() <= 4 * 9  # of nine outlines' pixels a few corners
    y, x = np.mgrid[:120, :160]
    spot = 14.0 * np.exp(-((y - 60) ** 2 + (x - 10) ** 2) / (2 * 1.8**2)).astype(np.float32)
    fragment = compressed(decompressed(nuclei()) + spot)
    assert fragment[60, 10] > 1.4
    assert despeckled(fragment) is fragment, "dimmed, a fragment of a dead cell would look like a small nucleus"
    dim = nuclei()
    dim[60:63, 10:13] = 0.9  # a micronucleus: brighter than its nucleus, no speck
    assert despeckled(dim) is dim


def test_a_device_does_the_same() -> None:
    rng = np.random.default_rng(1)
    field = nuclei()
    for y, x in rng.integers(0, (120, 160), (60, 2)):
        field[y : y + 2, x : x + 2] = rng.uniform(0.8, 2.5)
    cpu, device = despeckled(field), despeckled_on_device(torch.from_numpy(field.copy())).numpy()
    assert (cpu != field).sum() > 100
    assert np.allclose(cpu, device, atol=1e-6)
    assert np.array_equal(despeckled_on_device(torch.from_numpy(nuclei())).numpy(), nuclei())
