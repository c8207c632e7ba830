"""Cores: which parts of a piece of interior are nuclei of their own."""

from __future__ import annotations

from fractions import Fraction

import cv2
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from numpy.typing import NDArray

from hcs.errors import ConfigError
from hcs.segment.ours import cores
from hcs.segment.ours.runs import runs_of
from hcs.segment.settings import InstanceSettings


def find_cores(
    interior: NDArray[np.float32], foreground: NDArray[np.bool_], settings: InstanceSettings
) -> NDArray[np.int32]:
    """Cores (Y, X), 0 elsewhere."""
    found = np.zeros(interior.shape, np.int32)
    found[foreground] = cores.find_cores(interior, runs_of(foreground), settings)
    return found


def from_the_lowest_level_up(
    interior: NDArray[np.float32], foreground: NDArray[np.bool_], settings: InstanceSettings
) -> NDArray[np.int32]:
    """The rule as it is said, core by core."""

    def parts(mask: NDArray[np.bool_], level: int) -> list[NDArray[np.bool_]]:
        threshold, least_px = levels[level]
        inside = mask & (interior > np.float32(threshold))
        count, labels = cv2.connectedComponents(inside.view(np.uint8), connectivity=4)
        return [labels == i for i in range(1, count) if (labels == i).sum() >= least_px]

    levels = settings.levels()
    todo = [(part, 1) for part in parts(foreground, 0)]
    found_cores = []
    while todo:
        core, level = todo.pop()
        while level < len(levels):
            found = parts(core, level)
            level += 1
            if len(found) > 1:
                todo.extend((part, level) for part in found)
                break
        else:
            found_cores.append(core)
    found_cores.sort(key=lambda core: int(core.argmax()))
    labels = np.zeros(interior.shape, np.int32)
    for i, core in enumerate(found_cores, start=1):
        labels[core] = i
    return labels


def hills(seed: int, sigma: float, shape: tuple[int, int] = (60, 75)) -> NDArray[np.float32]:
    """A landscape between 0 and 1."""
    heights = cv2.GaussianBlur(np.random.default_rng(seed).standard_normal(shape), (0, 0), sigma)
    return (1.0 / (1.0 + np.exp(-1.5 * heights / heights.std()))).astype(np.float32)


@given(
    seed=st.integers(0, 10_000),
    sigma=st.sampled_from([0.8, 2.0, 4.0]),
    split_px=st.integers(0, 60),
    min_core_px=st.sampled_from([0, 1, 8]),
)
def test_cores_are_those_of_the_rule(seed: int, sigma: float, split_px: int, min_core_px: int) -> None:
    interior, foreground = hills(seed, sigma), hills(seed + 1, 6.0) > 0.3
    settings = InstanceSettings(split_px=split_px, min_core_px=min_core_px)
    found = find_cores(interior, foreground, settings)
    np.testing.assert_array_equal(found, from_the_lowest_level_up(interior, foreground, settings))


def pair(dip: float, shape: tuple[int, int] = (40, 60)) -> NDArray[np.float32]:
    """Two squares of 12 px, sure to 0.9, with a bridge of probability ``dip`` between them."""
    interior = np.zeros(shape, np.float32)
    interior[10:22, 10:22] = interior[10:22, 25:37] = 0.9
    interior[15:17, 22:25] = dip
    return interior


@pytest.mark.parametrize(("dip", "count"), [(0.2, 2), (0.3, 2), (0.4, 2), (0.5, 1), (0.7, 1)])
def test_the_shallower_the_dip_the_larger_a_part_must_be(dip: float, count: int) -> None:
    interior = pair(dip)
    everywhere = np.ones(interior.shape, np.bool_)
    # 144 px each: 135 are needed where the probability falls below 0.45, 202 where it falls only below 0.55.
    assert find_cores(interior, everywhere, InstanceSettings(interior=0.25, split_px=90)).max() == count


def test_what_is_too_small_parts_nothing_and_a_core_keeps_all_its_pixels() -> None:
    interior = pair(0.4)
    interior[:, 25:37] = 0
    interior[14:18, 25:29] = 0.9
    everywhere = np.ones(interior.shape, np.bool_)
    found = find_cores(interior, everywhere, InstanceSettings(split_px=60))
    np.testing.assert_array_equal(found, interior > 0)
    assert find_cores(interior, everywhere, InstanceSettings(split_px=8)).max() == 2


def test_areas_are_those_of_the_scale_at_which_the_network_sees_the_field() -> None:
    settings = InstanceSettings(split_px=60).for_field(None, Fraction(1, 2))
    assert settings.split_px == 240
    assert [least for _, least in settings.levels()] == [8, 240, 360, 540, 810, 1215]
    with pytest.raises(ConfigError, match=r"instances\.split_px"):
        InstanceSettings(split_px=-1)


def test_a_field_without_interior_has_no_cores() -> None:
    nothing = np.zeros((20, 30), np.float32)
    assert not find_cores(nothing, np.ones(nothing.shape, np.bool_), InstanceSettings()).any()
