"""The network as a stream of rows: the CPU's way through a tile, however large, without halos and in little memory.

Layer by layer, a U-Net holds whole layers of a tile in memory; a field cut into tiles small enough for that has their
halos computed twice, at 107 px a side nearly half as much work again. Here some rows at a time pass through all layers,
and every convolution keeps the last rows it will need again. The result is that of the network applied to the whole
tile, and memory grows with a tile's width alone.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Iterable
from itertools import pairwise
from typing import Protocol

import torch
from torch import Tensor

from hcs.segment.memory import rows_at_once
from hcs.segment.ours.floats import Floats
from hcs.segment.ours.integers import Integers
from hcs.segment.ours.unet import UNet, UNetSpec

_SIDE = 3
"""Of every convolution."""


class Layers(Protocol):
    """A network's layers in the numbers that it calculates in, by name: ``down0.1`` is the first convolution of the
    finest level on the way down."""

    spec: UNetSpec
    dtype: torch.dtype
    """Of rows between layers."""

    def channels(self, layer: str) -> int: ...
    def enter(self, rows: Tensor) -> Tensor: ...
    def convolve(self, layer: str, rows: Tensor) -> Tensor: ...
    def pool(self, rows: Tensor) -> Tensor: ...
    def join(self, level: int, rows: Tensor, skips: Iterable[Tensor]) -> Tensor: ...
    def classes(self, rows: Tensor) -> Tensor: ...


def stream(network: UNet | Integers, tiles: Tensor) -> Tensor:
    """Prepared tiles (B, Y, X) → class probabilities (B, classes, Y, X) by a network in evaluation mode on the CPU,
    one tile after another; Y and X are multiples of its stride."""
    batch, height, width = tiles.shape
    layers: Layers = Floats(network) if isinstance(network, UNet) else network
    probabilities = torch.empty((batch, network.spec.classes, height, width))
    for tile, found in zip(tiles, probabilities, strict=True):
        finest, done = _Level(layers, 0), 0
        for start, stop in pairwise(_edges(height, width, network.spec.stride_px)):
            rows = finest(layers.enter(tile[None, None, start:stop]), last=stop == height)
            if rows.shape[2]:
                found[:, done : done + rows.shape[2]] = layers.classes(rows)
                done += rows.shape[2]
    return probabilities


def _edges(height: int, width: int, stride: int) -> list[int]:
    """Rows between which the tile enters: two short of multiples of the stride, because a block of two convolutions
    holds back two rows; so every level gives whole pooling windows to the next."""
    rows = rows_at_once(width, stride)
    return [0, *range(rows - 2, height - 2, rows), height]


class _Level:
    """One resolution of the network and all coarser ones: rows in, rows out, some of them later."""

    def __init__(self, layers: Layers, level: int) -> None:
        self._layers, self._number = layers, level
        self._down = _Block(layers, f"down{level}")
        self._coarser: _Level | None = None
        if level + 1 < len(layers.spec.widths):
            self._coarser = _Level(layers, level + 1)
            self._up = _Block(layers, f"up{level}")
            self._skips: deque[Tensor] = deque()

    def __call__(self, x: Tensor, *, last: bool) -> Tensor:
        x = self._down(x, last=last)
        if self._coarser is None:
            return x
        if x.shape[2]:
            self._skips.append(x)
        pooled = self._layers.pool(x) if x.shape[2] else x[..., ::2]  # which cannot pool no rows
        x = self._coarser(pooled, last=last)
        if x.shape[2]:
            x = self._layers.join(self._number, x, self._taken(2 * x.shape[2]))
        else:
            x = self._down.no_rows(2 * x.shape[3])
        return self._up(x, last=last)

    def _taken(self, rows: int) -> Iterable[Tensor]:
        """The next rows of those that went down, in pieces as they came."""
        while rows:
            skip = self._skips.popleft()
            if skip.shape[2] > rows:
                self._skips.appendleft(skip[:, :, rows:])
                skip = skip[:, :, :rows]
            rows -= skip.shape[2]
            yield skip


class _Block:
    """A ConvBlock: two rows less than entered at first, two more at last."""

    def __init__(self, layers: Layers, name: str) -> None:
        self._convolutions = _Convolution(layers, f"{name}.1"), _Convolution(layers, f"{name}.2")

    def __call__(self, x: Tensor, *, last: bool) -> Tensor:
        for convolution in self._convolutions:
            x = convolution(x, last=last)
        return x

    def no_rows(self, width: int) -> Tensor:
        """What the block gives of no rows."""
        return self._convolutions[-1].rows(0, width)


class _Convolution:
    """3×3 convolution, norm and ReLU, padded by repeating the tile's edge."""

    def __init__(self, layers: Layers, name: str) -> None:
        self._layers, self._name = layers, name
        self._kept: Tensor | None = None
        """The last two rows that entered, padded left and right."""

    def __call__(self, x: Tensor, *, last: bool) -> Tensor:
        _, channels, rows, width = x.shape
        above = self._kept
        top = above.shape[2] if above is not None else min(rows, 1)  # the tile's upper edge is repeated
        padded = _rows(channels, top + rows + last, width + 2, x.dtype)
        entered = padded[:, :, top : top + rows]
        entered[..., 1:-1] = x
        entered[..., :1], entered[..., -1:] = x[..., :1], x[..., -1:]
        padded[:, :, :top] = padded[:, :, top : 2 * top] if above is None else above
        if last:
            padded[:, :, -1] = padded[:, :, -2]
        if padded.shape[2]:
            self._kept = padded[:, :, -2:].clone()
        if padded.shape[2] < _SIDE:
            return self.rows(0, width)
        return self._layers.convolve(self._name, padded)

    def rows(self, height: int, width: int) -> Tensor:
        """Rows as the convolution gives them, to be filled."""
        return _rows(self._layers.channels(self._name), height, width, self._layers.dtype)


def _rows(channels: int, rows: int, width: int, dtype: torch.dtype) -> Tensor:
    """Rows to be filled, channels last as the weights are."""
    return torch.empty((1, channels, rows, width), dtype=dtype, memory_format=torch.channels_last)
