"""Our network's layers in float32, as the stream of rows calls them. Alone in a file: its twin is in `integers`."""

from __future__ import annotations

from collections.abc import Iterable
from typing import cast

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from hcs.segment.ours.unet import ConvBlock, UNet


class Floats:
    """The layers of a network in evaluation mode, folded or not."""

    dtype = torch.float32

    def __init__(self, network: UNet) -> None:
        self.spec = network.spec
        self._network = network
        self._layers: dict[str, tuple[nn.Conv2d, nn.Module]] = {}
        for side, blocks in (("down", network.down), ("up", network.up)):
            for level, block in enumerate(cast("Iterable[ConvBlock]", blocks)):
                self._layers[f"{side}{level}.1"] = block.conv1, block.norm1
                self._layers[f"{side}{level}.2"] = block.conv2, block.norm2

    def channels(self, layer: str) -> int:
        """Channels that a layer of this name gives."""
        return self._layers[layer][0].out_channels

    def enter(self, rows: Tensor) -> Tensor:
        """Prepared rows (1, 1, y, x) float32 as the first layer takes them."""
        return rows

    def convolve(self, layer: str, rows: Tensor) -> Tensor:
        """3×3 convolution, norm (none in a folded network) and ReLU: (1, c, y + 2, x + 2) → (1, c', y, x)."""
        conv, norm = self._layers[layer]
        return F.relu_(norm(F.conv2d(rows, conv.weight, conv.bias)))

    def pool(self, rows: Tensor) -> Tensor:
        """Largest of 2×2 pixels: (1, c, y, x) → (1, c, y / 2, x / 2)."""
        return F.max_pool2d(rows, 2)

    def join(self, level: int, rows: Tensor, skips: Iterable[Tensor]) -> Tensor:
        """Rows of the next coarser level, narrowed and enlarged, and those that went down here added."""
        x = F.interpolate(self._network.narrow[level](rows), scale_factor=2.0, mode="nearest")
        done = 0
        for skip in skips:
            x[:, :, done : done + skip.shape[2]] += skip
            done += skip.shape[2]
        return x

    def classes(self, rows: Tensor) -> Tensor:
        """Rows of the finest level → class probabilities (classes, y, x)."""
        return torch.softmax(self._network.head(rows), dim=1)[0]
