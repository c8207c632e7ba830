"""The network: shapes, receptive field, folding, tiling."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from hcs.segment.ours.stream import stream
from hcs.segment.ours.unet import UNet, UNetSpec, folded
from hcs.segment.predict import predict
from hcs.tiles.settings import TileSettings


@pytest.fixture(scope="module")
def spec() -> UNetSpec:
    return UNetSpec(widths=(4, 6, 8))


def network(spec: UNetSpec) -> UNet:
    """A network with random weights and batch-norm statistics, in evaluation mode."""
    torch.manual_seed(0)
    net = UNet(spec)
    for module in net.modules():
        if isinstance(module, torch.nn.BatchNorm2d):
            module.running_mean.uniform_(-0.3, 0.3)
            module.running_var.uniform_(0.5, 2.0)
    return net.eval()


def test_logits_have_the_input_size(spec: UNetSpec) -> None:
    assert network(spec)(torch.zeros(2, 1, 24, 40)).shape == (2, 3, 24, 40)


def test_folding_batch_norm_changes_nothing(spec: UNetSpec) -> None:
    x = torch.rand(1, 1, 32, 32)
    expected = network(spec)(x)
    np.testing.assert_allclose(folded(network(spec))(x).detach(), expected.detach(), atol=1e-5)


def test_receptive_radius_bounds_what_an_output_pixel_depends_on(spec: UNetSpec) -> None:
    net = network(spec)
    reach = 0
    for offset in range(spec.stride_px):
        x = torch.rand(1, 1, 96, 96, requires_grad=True)
        net(x)[0, :, 48 + offset, 48 + offset].sum().backward()
        assert x.grad is not None
        y_touched, x_touched = np.nonzero(x.grad[0, 0].numpy())
        reach = max(reach, *np.abs(np.r_[y_touched, x_touched] - 48 - offset))
    assert reach <= spec.receptive_radius_px
    assert reach >= spec.receptive_radius_px // 2  # the bound is not idle


@pytest.mark.parametrize("size_px", [64, 80, 128])
def test_tiled_probabilities_equal_untiled_ones(spec: UNetSpec, size_px: int) -> None:
    net = folded(network(spec))
    field = np.random.default_rng(0).random((203, 150), dtype=np.float32)
    whole = predict(net, field, TileSettings(size_px=4096))
    tiled = predict(net, field, TileSettings(size_px=size_px))
    assert whole.shape == (3, 203, 150)
    np.testing.assert_allclose(whole.sum(axis=0), 1.0, atol=1e-5)
    np.testing.assert_allclose(tiled, whole, atol=1e-5)


@pytest.mark.parametrize("widths", [(4,), (4, 6, 8), (4, 6, 8, 10, 12)])
@pytest.mark.parametrize("height", [16, 32, 48, 208])
@pytest.mark.parametrize("at_once_px", [1, 4000, 10**6])
def test_a_tile_that_streams_through_gives_what_the_whole_of_it_does(
    widths: tuple[int, ...], height: int, at_once_px: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("hcs.segment.memory._STREAM_PX", at_once_px)
    net = network(UNetSpec(widths=widths))
    batch = torch.rand(2, height, 80)
    with torch.inference_mode():
        expected = torch.softmax(net(batch[:, None]), dim=1)
        np.testing.assert_allclose(stream(net, batch), expected, atol=1e-5)
        np.testing.assert_allclose(stream(folded(net), batch), expected, atol=1e-5)
