"""A narrower network's start: the strongest channels of a wider one."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from numpy.typing import NDArray
from safetensors.numpy import save_file

from hcs.errors import ConfigError
from hcs.segment.networks import describe, weights_of
from hcs.segment.ours.unet import UNet, UNetSpec
from hcs.train.checkpoint import start_or_resume
from hcs.train.narrow import narrowed
from hcs.train.settings import TrainSettings

WIDE, NARROW = (5, 9, 12), (3, 6, 7)
SETTINGS = TrainSettings(
    widths=NARROW, steps=6, warmup_steps=2, batch=2, crop_px=32, evaluate_every=3, checkpoint_every=2, threads=1
)


def wide() -> UNet:
    torch.manual_seed(0)
    network = UNet(UNetSpec(widths=WIDE)).eval()
    for module in network.modules():
        if isinstance(module, torch.nn.BatchNorm2d):
            torch.nn.init.uniform_(module.weight, 0.5, 1.5)
            torch.nn.init.uniform_(module.bias, -0.2, 0.2)
            assert module.running_mean is not None
            torch.nn.init.uniform_(module.running_mean, -0.2, 0.2)
    return network


def silenced(network: UNet) -> UNet:
    """The network with all but the last 3, 6 and 7 channels of every layer giving 0, whatever reads them."""
    for level, (count, kept) in enumerate(zip(WIDE, NARROW, strict=True)):
        last = level == len(WIDE) - 1
        for block in (network.down[level], *(() if last else (network.up[level],))):
            for norm in (block.norm1, block.norm2):
                torch.nn.init.zeros_(norm.weight[: count - kept])
                torch.nn.init.zeros_(norm.bias[: count - kept])
        if not last:
            torch.nn.init.zeros_(network.narrow[level].weight[: count - kept])
            torch.nn.init.zeros_(network.narrow[level].bias[: count - kept])
    return network


def loaded(weights: dict[str, NDArray[Any]]) -> UNet:
    network = UNet(UNetSpec(widths=NARROW)).eval()
    network.load_state_dict({name: torch.from_numpy(np.array(array)) for name, array in weights.items()})
    return network


@torch.no_grad()
def test_channels_that_say_nothing_go_first() -> None:
    network = silenced(wide())
    x = torch.rand((1, 1, 32, 40))
    same = loaded(narrowed(weights_of(network), NARROW))(x)
    assert torch.allclose(same, network(x), atol=1e-6)
    assert same.std() > 1e-3, "or anything is like it"


def test_what_is_kept_keeps_its_order() -> None:
    before = weights_of(silenced(wide()))
    after = narrowed(before, NARROW)
    assert np.array_equal(after["down.0.conv1.weight"], before["down.0.conv1.weight"][2:])
    assert np.array_equal(after["head.weight"], before["head.weight"][:, 2:])
    assert np.array_equal(after["narrow.1.weight"], before["narrow.1.weight"][3:, 5:])
    assert np.array_equal(after["head.bias"], before["head.bias"])
    assert set(after) == set(before)


def test_the_same_widths_change_nothing() -> None:
    before = weights_of(wide())
    assert all(np.array_equal(array, before[name]) for name, array in narrowed(before, WIDE).items())


@pytest.mark.parametrize(
    ("widths", "what"),
    [((3, 6), "3 resolutions where 2"), ((3, 10, 7), "9 channels where 10 are wanted, at resolution 1")],
)
def test_a_network_that_is_not_narrower_is_refused(widths: tuple[int, ...], what: str) -> None:
    with pytest.raises(ValueError, match=what):
        narrowed(weights_of(wide()), widths)


def test_training_starts_from_a_wider_network(tmp_path: Path) -> None:
    network = silenced(wide())
    path = tmp_path / "wide.safetensors"
    save_file(weights_of(network), path)
    path.with_suffix(".json").write_text(json.dumps({"name": "wide", "network": describe(network.spec)}))
    run = start_or_resume(tmp_path, replace(SETTINGS, start_from=str(path)), torch.device("cpu"))
    begun = weights_of(run.network)
    assert all(np.array_equal(array, begun[name]) for name, array in narrowed(weights_of(network), NARROW).items())
    with pytest.raises(ConfigError, match=r"start_from = .*wide.safetensors.*: its weights do not fit.*9 channels"):
        start_or_resume(tmp_path, replace(SETTINGS, start_from=str(path), widths=(3, 10, 7)), torch.device("cpu"))
