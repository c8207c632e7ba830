"""Networks as published: parameters counted by hand, shapes, receptive field, tiling, description in the card."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import torch

from hcs.errors import ConfigError
from hcs.segment.baselines.concat import ConcatSpec, ConcatUNet
from hcs.segment.networks import build_network, describe, new_network, read_spec, weights_of
from hcs.segment.ours.unet import UNetSpec, folded
from hcs.segment.predict import predict
from hcs.tiles.settings import TileSettings
from hcs.train.config import read_train_settings
from hcs.train.spec import network_spec

CONFIGS = Path(__file__).resolve().parents[2] / "configs" / "train"
SMALL = ConcatSpec(widths=(4, 6, 8), batch_norm=True, dropout=0.3)


def configured(name: str) -> ConcatUNet:
    network = new_network(network_spec(read_train_settings(CONFIGS / f"{name}.yaml")))
    assert isinstance(network, ConcatUNet)
    return network


def test_caicedos_network_has_seven_point_seven_million_parameters() -> None:
    network = configured("caicedo")
    down = [(1, 64), (64, 64), (64, 128), (128, 128), (128, 256), (256, 256), (256, 512), (512, 512)]
    up = [(512, 256), (256, 256), (256, 128), (128, 128), (128, 64), (64, 64)]
    convolutions = sum(9 * a * b + b for a, b in (*down, *up))
    enlarging = sum(4 * a * b + b for a, b in ((512, 256), (256, 128), (128, 64)))
    norms, head = 2 * sum(b for _, b in (*down, *up)), 3 * 64 + 3
    assert sum(p.numel() for p in network.parameters()) == convolutions + enlarging + norms + head == 7_701_955
    assert sum(isinstance(m, torch.nn.Conv2d) for m in network.down.modules()) == 8


@pytest.mark.parametrize(("name", "classes", "parameters"), [("aydin", 2, 1_940_834), ("cdk2", 2, 7_759_554)])
def test_binary_networks_as_configured(name: str, classes: int, parameters: int) -> None:
    network = configured(name)
    assert network.spec.classes == classes
    assert sum(p.numel() for p in network.parameters()) == parameters


@pytest.mark.parametrize(
    "spec",
    [SMALL, ConcatSpec(widths=(4, 6), classes=2, batch_norm=False, padding="replicate", upsampling="nearest")],
    ids=["batch norm", "nearest"],
)
def test_logits_have_the_input_size(spec: ConcatSpec) -> None:
    assert new_network(spec)(torch.zeros(2, 1, 24, 40)).shape == (2, spec.classes, 24, 40)


def test_receptive_radius_bounds_what_an_output_pixel_depends_on() -> None:
    torch.manual_seed(0)
    network = new_network(SMALL).eval()
    reach = 0
    for offset in range(SMALL.stride_px):
        x = torch.rand(1, 1, 96, 96, requires_grad=True)
        network(x)[0, :, 48 + offset, 48 + offset].sum().backward()
        assert x.grad is not None
        touched = np.nonzero(x.grad[0, 0].numpy())
        reach = max(reach, *np.abs(np.r_[touched] - 48 - offset).ravel())
    assert SMALL.receptive_radius_px // 2 <= reach <= SMALL.receptive_radius_px


def test_tiled_probabilities_equal_untiled_ones() -> None:
    torch.manual_seed(0)
    network = folded(new_network(SMALL))
    field = np.random.default_rng(0).random((150, 120), dtype=np.float32)
    whole, tiled = (predict(network, field, TileSettings(size_px=size)) for size in (4096, 64))
    np.testing.assert_allclose(tiled, whole, atol=1e-5)


def test_padding_tells_at_the_border_only() -> None:
    outputs, x = [], torch.rand(1, 1, 64, 64)
    for padding in ("zeros", "replicate"):
        torch.manual_seed(0)
        outputs.append(new_network(ConcatSpec(widths=(4, 6), padding=padding)).eval()(x))
    differ = (outputs[0] - outputs[1]).abs().amax(dim=(0, 1)) > 1e-6
    assert differ[0].any()
    assert not differ[20:44, 20:44].any()


def test_dropout_acts_in_training_alone() -> None:
    network = new_network(SMALL)
    x = torch.rand(1, 1, 32, 32)
    network.train()
    assert not torch.equal(network(x), network(x))
    network.eval()
    assert torch.equal(network(x), network(x))


@pytest.mark.parametrize("spec", [SMALL, UNetSpec(widths=(4, 8))], ids=["concat", "add"])
def test_a_card_builds_the_network_again(spec: ConcatSpec | UNetSpec) -> None:
    assert read_spec(describe(spec)) == spec
    network = new_network(spec)
    ready = build_network({"network": describe(spec)}, weights_of(network), torch.device("cpu"))
    x = torch.rand(1, 1, 32, 32)
    torch.testing.assert_close(ready(x), network.eval()(x), atol=1e-5, rtol=1e-5)


def test_descriptions_without_a_kind_are_of_added_skips_and_unknown_ones_are_named() -> None:
    assert read_spec({"widths": [4, 8], "classes": 3}) == UNetSpec(widths=(4, 8))
    with pytest.raises(ConfigError, match="'transformer' in the model card is not known; known: add, concat"):
        read_spec({"kind": "transformer"})
    with pytest.raises(ConfigError, match="does not know: heads"):
        read_spec({"kind": "concat", "heads": 8})
