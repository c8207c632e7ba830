"""Estimates of masks and sequences of nuclei that vanish, against what they are said to be."""

from __future__ import annotations

import numpy as np
import pytest

from hcs.errors import ConfigError
from hcs.simulate.vanishing import (
    Fading,
    VanishingSettings,
    dice_of,
    estimated_mask,
    moved_mask,
    reference_map,
    vanishing_frames,
    with_cytoplasm,
)

SIDE = 96
Y, X = np.mgrid[:SIDE, :SIDE]


def ellipse(y: float, x: float, a: float = 14.0, b: float = 9.0) -> np.ndarray:
    return ((Y - y) / a) ** 2 + ((X - x) / b) ** 2 < 1


LABELS = np.where(ellipse(48, 34), 1, np.where(ellipse(48, 64), 2, 0)).astype(np.int32)


def picture(rng: np.random.Generator) -> Fading:
    """Two nuclei of 1, cytoplasm of 0.3 around them, noise of 0.01."""
    stained = (LABELS > 0) + 0.01 * rng.standard_normal(LABELS.shape)
    return Fading.of(with_cytoplasm(rng, stained.astype(np.float32), LABELS, level=0.3, diameter_px=22), LABELS)


def test_an_estimate_has_the_dice_it_is_asked_for() -> None:
    rng = np.random.default_rng(0)
    found = [dice_of(LABELS > 0, estimated_mask(rng, LABELS > 0, diameter_px=22, dice=0.8)) for _ in range(40)]
    assert np.mean(found) == pytest.approx(0.80, abs=0.01)
    assert np.ptp(found) < 0.06
    assert not estimated_mask(rng, np.zeros((9, 9), bool), diameter_px=22).any()


def test_a_reference_is_twice_as_far_away() -> None:
    """The middle of the same drawn distortion lies twice as far from where it was."""
    for seed in range(5):
        near = estimated_mask(np.random.default_rng(seed), ellipse(47.5, 47.5), diameter_px=22)
        far = moved_mask(
            ellipse(47.5, 47.5), reference_map(np.random.default_rng(seed), ellipse(47.5, 47.5), diameter_px=22)
        )
        steps = [np.hypot(*(np.argwhere(mask).mean(axis=0) - 47.5)) for mask in (near, far)]
        assert steps[1] == pytest.approx(2 * steps[0], rel=0.15, abs=0.5)


def test_nuclei_vanish_in_the_middle_and_come_back() -> None:
    rng = np.random.default_rng(1)
    still = VanishingSettings(frames=9, spin_rad=0, stretch=0, shear=0, wander_px=0, depth=(1.0, 1.0))
    frames = list(vanishing_frames(rng, picture(rng), still))
    around = [(f.labels == 0) & (np.hypot(Y - 48, X - 49) < 34) & (np.abs(X - 49) > 2) for f in frames]
    contrast = [
        float(np.median(f.image[f.labels > 0]) - np.median(f.image[ring]))
        for f, ring in zip(frames, around, strict=True)
    ]
    assert contrast[0] > 0.8
    assert contrast[-1] == pytest.approx(contrast[0], abs=0.02)
    assert abs(contrast[4]) < 0.15
    assert [f.gone for f in frames][:5] == sorted(f.gone for f in frames[:5])
    assert all((f.labels == LABELS).all() for f in frames)


def test_a_sequence_turns_its_nuclei_with_its_picture() -> None:
    rng = np.random.default_rng(2)
    frames = list(vanishing_frames(rng, picture(rng), VanishingSettings(depth=(0.0, 0.0), spin_rad=1.5)))
    first, last = frames[0], frames[-1]
    assert dice_of(first.labels == 1, last.labels == 1) < 0.9
    assert last.image[last.labels > 0].mean() > 1.0 > last.image[last.labels == 0].mean() + 0.6


def test_impossible_sequences_are_refused() -> None:
    with pytest.raises(ConfigError, match="depth is"):
        VanishingSettings(depth=(1.0, 0.5))
