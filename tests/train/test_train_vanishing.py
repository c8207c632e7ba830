"""Training on nuclei that vanish: it learns, goes on from its checkpoint, and unrolls."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import torch

from hcs.errors import ConfigError
from hcs.segment.baselines.tracknet import MaskSpec
from hcs.simulate.vanishing import Fading
from hcs.train.vanishing import VanishingTraining, draw_sample, follow, train_vanishing

Y, X = np.mgrid[:64, :64]
LABELS = (np.hypot(Y - 32, X - 32) < 11).astype(np.int32)
IMAGE = (0.4 * LABELS + 0.1 + 0.01 * np.random.default_rng(0).standard_normal(LABELS.shape)).astype(np.float32)
SOURCES = [Fading.of(IMAGE, LABELS)]


def settings(shown: str = "previous", *, steps: int = 6, **more: object) -> VanishingTraining:
    spec = MaskSpec(shown=shown, widths=(4, 6, 8))  # type: ignore[arg-type]
    return VanishingTraining(spec=spec, steps=steps, batch=2, crop_px=32, **more)  # type: ignore[arg-type]


@pytest.mark.parametrize(("shown", "unroll"), [("previous", 0), ("reference", 3), ("both", 0)])
def test_a_stopped_training_gives_the_same_network(shown: str, unroll: int, tmp_path: Path) -> None:
    plan = settings(shown, unroll=unroll, loss="bce+dice")
    whole, steps = train_vanishing(SOURCES, plan, folder=tmp_path / "whole", say=lambda _: None)
    assert steps == 6
    cut = tmp_path / "cut"
    while train_vanishing(SOURCES, plan, folder=cut, seconds=1e-3, say=lambda _: None)[1] < 6:
        pass
    again, _ = train_vanishing(SOURCES, plan, folder=cut, say=lambda _: None)
    for a, b in zip(whole.state_dict().values(), again.state_dict().values(), strict=True):
        assert torch.equal(a, b)
    with pytest.raises(ConfigError, match="other settings"):
        train_vanishing(SOURCES, settings(shown, steps=7, unroll=unroll), folder=cut)


def test_a_network_learns_where_the_nucleus_is(tmp_path: Path) -> None:
    plan = settings(steps=60, learning_rate=1e-2)
    network, _ = train_vanishing(SOURCES, plan, folder=tmp_path, say=lambda _: None)
    planes, truth = draw_sample(np.random.default_rng(5), SOURCES, plan)
    found = follow(network, [planes[0, 0]] * 2, truth[0] > 0)[1] > 0.5
    both = 2 * (found & (truth[0] > 0)).sum() / (found.sum() + truth[0].sum())
    assert both > 0.8


def test_only_networks_with_masks_unroll() -> None:
    with pytest.raises(ConfigError, match="nothing to unroll"):
        settings("image", unroll=4)
    with pytest.raises(ConfigError, match="none of bce"):
        settings(loss="hinge")
