"""Several tiles at a time, half precision, and a device that runs out of memory."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from numpy.typing import NDArray
from torch import Tensor

from hcs.segment.memory import tiles_at_once
from hcs.segment.network import Network
from hcs.segment.networks import new_network
from hcs.segment.ours.unet import UNetSpec, folded
from hcs.segment.pace import Pace
from hcs.segment.predict import predict
from hcs.tiles.settings import TileSettings

SPEC = UNetSpec(widths=(4, 8, 16))
TILES = TileSettings(size_px=64)


@pytest.fixture
def network() -> Network:
    torch.manual_seed(0)
    return folded(new_network(SPEC))


@pytest.fixture
def field() -> NDArray[np.float32]:
    return np.random.default_rng(0).random((200, 260), np.float32)


class TooSmall(Network):
    """A stand-in for a device of little memory: raises as CUDA does for more than ``room`` tiles at a time."""

    def __init__(self, network: Network, room: int) -> None:
        super().__init__()
        self.network, self.spec, self.room = network, network.spec, room
        self.seen: list[int] = []

    def forward(self, x: Tensor) -> Tensor:
        if len(x) > self.room:
            raise torch.cuda.OutOfMemoryError("CUDA out of memory. Tried to allocate 2.00 GiB")
        self.seen.append(len(x))
        logits: Tensor = self.network(x)
        return logits


@pytest.mark.parametrize("at_once", [2, 5, 64])
def test_several_tiles_at_a_time_change_nothing(network: Network, field: NDArray[np.float32], at_once: int) -> None:
    one = predict(network, field, TILES)
    several = predict(network, field, TILES, pace=Pace(most=at_once))
    np.testing.assert_allclose(several, one, atol=1e-6)


def test_out_of_memory_halves_the_batch_and_goes_on(network: Network) -> None:
    batch = np.random.default_rng(0).random((8, 32, 48), np.float32)
    pace, small = Pace(most=8), TooSmall(network, room=3)
    np.testing.assert_allclose(pace.run(small, batch), Pace().run(network, batch), atol=1e-6)
    assert small.seen == [2, 2, 2, 2]
    assert pace.most == 2  # 8 → 4 → 2, and it stays so
    said = pace.take_remarks()
    assert len(said) == 2
    assert "8 tiles at a time; 4 are taken now" in said[0]
    assert pace.take_remarks() == ()


def test_a_device_too_small_for_one_tile_says_so(network: Network, field: NDArray[np.float32]) -> None:
    with pytest.raises(torch.cuda.OutOfMemoryError):
        predict(TooSmall(network, room=0), field, TILES, pace=Pace(most=4))


@pytest.mark.parametrize(("dtype", "tolerance"), [(torch.float16, 0.005), (torch.bfloat16, 0.04)])
def test_half_precision_is_close(
    network: Network, field: NDArray[np.float32], dtype: torch.dtype, tolerance: float
) -> None:
    half = predict(network, field, TILES, pace=Pace(dtype=dtype))
    assert half.dtype == np.float32
    assert np.abs(half - predict(network, field, TILES)).max() < tolerance


def test_tiles_at_once_are_bounded_by_memory() -> None:
    tile = 1000 * 1000 * 21 * 16  # bytes that a tile of one megapixel takes in float32, at 16 channels
    assert tiles_at_once(10 * tile, (1000, 1000), width=16, itemsize=4) == 8
    assert tiles_at_once(10 * tile - 1, (1000, 1000), width=16, itemsize=4) == 4
    assert tiles_at_once(10 * tile, (1000, 1000), width=16, itemsize=2) == 16
    assert tiles_at_once(10 * tile, (1000, 1000), width=32, itemsize=4) == 4
    assert tiles_at_once(0, (1000, 1000), width=16, itemsize=4) == 1
    assert tiles_at_once(10**13, (1000, 1000), width=16, itemsize=4) == 32
