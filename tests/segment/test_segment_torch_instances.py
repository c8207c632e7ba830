"""Labels made on a device are those made on the CPU, pixel by pixel."""

from __future__ import annotations

import cv2
import numpy as np
import pytest
import torch
from numpy.typing import NDArray

from hcs.segment.device.field import normalised
from hcs.segment.device.instances import connected, grown, instances_on_device
from hcs.segment.normalise import Normalisation
from hcs.segment.ours.instances import instances
from hcs.segment.settings import InstanceSettings


def probabilities(seed: int, shape: tuple[int, int], sigma: float) -> NDArray[np.float32]:
    """Random blobs that touch, with holes, small pieces and pieces without an interior (3, Y, X)."""
    rng = np.random.default_rng(seed)
    scores = np.stack([cv2.GaussianBlur(rng.standard_normal(shape), (0, 0), sigma) for _ in range(3)])
    scores = np.exp(4.0 * scores / scores.std())
    return np.asarray(scores / scores.sum(axis=0), dtype=np.float32)


@pytest.mark.parametrize("seed", range(4))
@pytest.mark.parametrize("sigma", [1.5, 4.0])
@pytest.mark.parametrize(
    "settings", [InstanceSettings(), InstanceSettings(max_hole_px=0, min_area_px=0, min_core_px=0)]
)
def test_the_device_finds_the_nuclei_that_the_cpu_finds(seed: int, sigma: float, settings: InstanceSettings) -> None:
    field = probabilities(seed, (150, 130), sigma)
    on_device = instances_on_device(torch.from_numpy(field), settings).numpy()
    expected = instances(field, settings)
    assert expected.max() > 3
    np.testing.assert_array_equal(on_device, expected)


def test_a_field_without_nuclei_has_no_labels() -> None:
    empty = np.zeros((3, 20, 30), np.float32)
    empty[0] = 1.0
    assert not instances_on_device(torch.from_numpy(empty), InstanceSettings()).any()


def test_pieces_bear_the_place_of_their_first_pixel() -> None:
    mask = torch.tensor([[0, 1, 0, 1], [0, 1, 0, 1], [0, 1, 1, 1], [1, 0, 0, 0]], dtype=torch.bool)
    found = connected(mask)
    assert found[0, 3] == found[2, 1] == 2  # 1 + flat index 1
    assert found[3, 0] == 13
    corners = connected(mask, ((-1, 0), (0, -1), (0, 1), (1, 0), (-1, -1), (-1, 1), (1, -1), (1, 1)))
    assert corners[3, 0] == 2


def test_growth_meets_in_the_middle_and_the_lower_label_wins() -> None:
    labels = torch.tensor([[2, 0, 0, 0, 1, 0]])
    mask = torch.tensor([[1, 1, 1, 1, 1, 0]], dtype=torch.bool)
    assert grown(labels, mask).tolist() == [[2, 2, 1, 1, 1, 0]]


def test_a_field_of_one_value_is_dark_on_the_device_too() -> None:
    assert not normalised(torch.full((4, 4), 7, dtype=torch.uint16), Normalisation(7.0, 0.0)).any()
