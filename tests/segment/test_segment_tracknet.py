"""Networks that are shown masks: shapes, reach, shared weights, ImageNet's weights from a file."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from hcs.errors import ConfigError
from hcs.segment.baselines.tracknet import PLANES, Encoder, MaskNet, MaskSpec, Shown, load_imagenet

WIDTHS: dict[Encoder, tuple[int, ...]] = {
    "plain": (4, 6, 8),
    "vgg16": (3, 4, 5, 6, 7),
    "resnet34": (4, 4, 5, 6, 7),
}


@pytest.mark.parametrize("encoder", WIDTHS)
@pytest.mark.parametrize("shown", PLANES)
def test_every_architecture_answers_at_full_resolution(encoder: Encoder, shown: Shown) -> None:
    spec = MaskSpec(shown=shown, encoder=encoder, widths=WIDTHS[encoder])
    torch.manual_seed(0)
    network = MaskNet(spec).eval()
    side = 2 * spec.stride_px
    with torch.no_grad():
        assert network(torch.rand(2, PLANES[shown], side, side + spec.stride_px)).shape == (
            2, 2, side, side + spec.stride_px,
        )  # fmt: skip


@pytest.mark.parametrize("encoder", WIDTHS)
def test_no_pixel_is_felt_farther_than_the_spec_says(encoder: Encoder) -> None:
    spec = MaskSpec(shown="image", encoder=encoder, widths=WIDTHS[encoder])
    side = -(-2 * spec.receptive_radius_px // spec.stride_px) * spec.stride_px + 2 * spec.stride_px
    reach = []
    for seed in range(4):  # of so few random filters none may answer
        torch.manual_seed(seed)
        network = MaskNet(spec).eval().double()
        seen = torch.rand(1, 1, 32, side, dtype=torch.double).requires_grad_()
        network(seen)[0, :, 16, side // 2].sum().backward()
        assert seen.grad is not None
        reach.append(torch.nonzero(seen.grad[0, 0].abs().sum(dim=0)).ravel() - side // 2)
    assert 0 < torch.cat(reach).abs().max() <= spec.receptive_radius_px


def test_a_reference_goes_through_the_same_encoder() -> None:
    torch.manual_seed(0)
    network = MaskNet(MaskSpec(shown="reference", widths=(8, 12, 16)))
    single = MaskNet(MaskSpec(shown="previous", widths=(8, 12, 16)))
    count = {name: sum(p.numel() for p in net.encoder.parameters()) for name, net in (("s", network), ("t", single))}
    assert count["s"] == count["t"]
    planes = torch.rand(1, 4, 16, 16)
    network.eval()
    with torch.no_grad():
        other = planes.clone()
        other[:, 2:] = 0
        assert not torch.equal(network(planes), network(other))


@pytest.mark.parametrize("encoder", ["vgg16", "resnet34"])
def test_weights_of_a_colour_network_are_taken_for_one_picture(encoder: Encoder) -> None:
    """A grey picture with an empty mask gives in the first layer what it gives in colour."""
    network = MaskNet(MaskSpec(shown="previous", encoder=encoder, widths=WIDTHS[encoder]))
    first = {"vgg16": "features.0.weight", "resnet34": "conv1.weight"}[encoder]
    rng = np.random.default_rng(0)
    given = {k: rng.random(v.shape).astype(np.float32) for k, v in network.encoder.state_dict().items()}
    given[first] = rng.random((given[first].shape[0], 3, *given[first].shape[2:])).astype(np.float32)
    load_imagenet(network, given, source="weights.safetensors")
    own = network.encoder.state_dict()[first]
    assert torch.allclose(own[:, 0], torch.from_numpy(given[first].sum(axis=1)))
    assert not own[:, 1].any()
    with pytest.raises(ConfigError, match=r"weights\.safetensors has no"):
        load_imagenet(network, {k: v for k, v in given.items() if k != first}, source="weights.safetensors")
    wide = given | {first: given[first][:2]}
    with pytest.raises(ConfigError, match="take ImageNet's widths"):
        load_imagenet(network, wide, source="weights.safetensors")


def test_unknown_networks_are_refused() -> None:
    with pytest.raises(ConfigError, match="widths"):
        MaskSpec(encoder="vgg16", widths=(4, 8))
    with pytest.raises(ConfigError, match="knows no such network"):
        MaskSpec(shown="all")  # type: ignore[arg-type]
