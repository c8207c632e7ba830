"""The network as a stream of rows: the CPU's way through a tile, however large, without halos and in little memory.

Layer by layer, a U-Net holds whole layers of a tile in memory; a field cut into tiles small enough for that has their
halos computed twice, at 107 px a side nearly half as much work again. Here some rows at a time pass through all layers,
and every convolution keeps the last rows it will need again. The result is that of the network applied to the whole
tile, and memory grows with a tile's width alone.
"""

from __future__ import annotations

from collections import deque
from itertools import pairwise
from typing import cast

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from hcs.segment.memory import rows_at_once
from hcs.segment.ours.unet import ConvBlock, UNet


def stream(network: UNet, tiles: Tensor) -> Tensor:
    """Prepared tiles (B, Y, X) → class probabilities (B, classes, Y, X) by a network in evaluation mode on the CPU,
    one tile after another; Y and X are multiples of its stride."""
    batch, height, width = tiles.shape
    probabilities = torch.empty((batch, network.spec.classes, height, width))
    for tile, found in zip(tiles, probabilities, strict=True):
        finest, done = _Level(network, 0), 0
        for start, stop in pairwise(_edges(height, width, network.spec.stride_px)):
            rows = finest(tile[None, None, start:stop], last=stop == height)
            if rows.shape[2]:
                found[:, done : done + rows.shape[2]] = torch.softmax(network.head(rows), dim=1)[0]
                done += rows.shape[2]
    return probabilities


def _edges(height: int, width: int, stride: int) -> list[int]:
    """Rows between which the tile enters: two short of multiples of the stride, because a block of two convolutions
    holds back two rows; so every level gives whole pooling windows to the next."""
    rows = rows_at_once(width, stride)
    return [0, *range(rows - 2, height - 2, rows), height]


class _Level:
    """One resolution of the network and all coarser ones: rows in, rows out, some of them later."""

    def __init__(self, network: UNet, level: int) -> None:
        self._down = _Block(cast("ConvBlock", network.down[level]))
        self._coarser: _Level | None = None
        if level + 1 < len(network.down):
            self._coarser = _Level(network, level + 1)
            self._narrow, self._up = network.narrow[level], _Block(cast("ConvBlock", network.up[level]))
            self._skips: deque[Tensor] = deque()

    def __call__(self, x: Tensor, *, last: bool) -> Tensor:
        x = self._down(x, last=last)
        if self._coarser is None:
            return x
        if x.shape[2]:
            self._skips.append(x)
        pooled = F.max_pool2d(x, 2) if x.shape[2] else x[..., ::2]  # which cannot pool no rows
        x = self._coarser(pooled, last=last)
        if x.shape[2]:
            x = F.interpolate(self._narrow(x), scale_factor=2.0, mode="nearest")
            self._add_skips(x)
        return self._up(x, last=last)

    def _add_skips(self, x: Tensor) -> None:
        """Add to the rows ``x``, in place, those that went down where these come up."""
        done = 0
        while done < x.shape[2]:
            skip = self._skips.popleft()
            taken = min(skip.shape[2], x.shape[2] - done)
            x[:, :, done : done + taken] += skip[:, :, :taken]
            done += taken
            if taken < skip.shape[2]:
                self._skips.appendleft(skip[:, :, taken:])


class _Block:
    """A ConvBlock: two rows less than entered at first, two more at last."""

    def __init__(self, block: ConvBlock) -> None:
        self._convolutions = _Convolution(block.conv1, block.norm1), _Convolution(block.conv2, block.norm2)

    def __call__(self, x: Tensor, *, last: bool) -> Tensor:
        for convolution in self._convolutions:
            x = convolution(x, last=last)
        return x


class _Convolution:
    """3×3 convolution, norm (none in a folded network) and ReLU, padded by repeating the tile's edge."""

    def __init__(self, conv: nn.Conv2d, norm: nn.Module) -> None:
        self._conv, self._norm = conv, norm
        self._kept: Tensor | None = None
        """The last two rows that entered, padded left and right."""

    def __call__(self, x: Tensor, *, last: bool) -> Tensor:
        _, channels, rows, width = x.shape
        above = self._kept
        if above is None:  # the tile's upper edge, repeated
            above = F.pad(x[:, :, :1], (1, 1, 0, 0), mode="replicate") if rows else _rows(channels, 0, width + 2)
        top = above.shape[2]
        padded = _rows(channels, top + rows + last, width + 2)
        padded[:, :, :top] = above
        entered = padded[:, :, top : top + rows]
        entered[..., 1:-1] = x
        entered[..., :1], entered[..., -1:] = x[..., :1], x[..., -1:]
        if last:
            padded[:, :, -1] = padded[:, :, -2]
        if padded.shape[2]:
            self._kept = padded[:, :, -2:].clone()
        if padded.shape[2] < self._conv.kernel_size[0]:
            return _rows(self._conv.out_channels, 0, width)
        return F.relu_(self._norm(F.conv2d(padded, self._conv.weight, self._conv.bias)))


def _rows(channels: int, rows: int, width: int) -> Tensor:
    """Rows to be filled, channels last as the weights are."""
    return torch.empty((1, channels, rows, width), memory_format=torch.channels_last)
