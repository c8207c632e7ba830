"""Our network in 8-bit integers: torch's own convolutions of bytes, a fourth of the time of float32 on the CPU.

Between two layers a value is a byte, and a weight is a whole number from −63 to 63. What one unit stands for, the step,
is a power of two: one for a layer's rows, measured on training images (`hcs.train.steps`), one for each channel of
weights. So products and sums of a convolution are whole numbers, which come out the same in any order; rescaling them
is exact; and the one rounding is that to a byte. The same pixels give the same bytes on any number of threads and any
processor. Seven bits of a weight, not eight, because processors without instructions for neural networks add pairs of
products in 16 bits, where larger ones overflow.

Jacob et al. 2018 (Quantization and training of neural networks for efficient integer-arithmetic-only inference) for the
scheme; powers of two as in Jain et al. 2020 (Trained quantization thresholds).
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from functools import lru_cache
from typing import Any, cast

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from hcs.errors import ConfigError
from hcs.segment.network import Network
from hcs.segment.ours import rows as bytes_of
from hcs.segment.ours.unet import ConvBlock, UNet, UNetSpec

Steps = Mapping[str, tuple[int, int]]
"""Of what enters the network and what leaves each layer: the exponent of its step, and the byte that stands for 0."""
LARGEST_WEIGHT = 63
_LEAST = 2.0**-60
"""Channels of smaller weights are channels of zeros."""
_SIDE = 3


def names_of(spec: UNetSpec) -> tuple[str, ...]:
    """What has a step in a network of this shape."""
    levels = range(len(spec.widths))
    down = [f"down{level}.{i}" for level in levels for i in (1, 2)]
    up = [f"{name}" for level in levels[:-1] for name in (f"join{level}", f"up{level}.1", f"up{level}.2")]
    return ("input", *down, *up)


class Integers(Network):
    """The layers of a folded network in integers; on the CPU alone."""

    dtype = torch.uint8

    def __init__(self, network: UNet, steps: Steps) -> None:
        """ConfigError where ``steps`` are not the network's, or this machine's torch does not compute what it must."""
        super().__init__()
        self.spec: UNetSpec = network.spec
        if set(steps) != set(names_of(network.spec)):
            raise ConfigError("the model card's integers are not those of its network; export the model again")
        check_machine()
        self._step = {name: 2.0**exponent for name, (exponent, _) in steps.items()}
        self._zero = {name: zero for name, (_, zero) in steps.items()}
        self._layers: dict[str, _Convolution] = {}
        for name, conv, source, target in _convolutions(network):
            leaving = None if target is None else self._step[target]
            self._layers[name] = _Convolution.of(conv, self._step[source], self._zero[source], leaving)

    def forward(self, x: Tensor) -> Tensor:
        """(B, 1, Y, X) → logits, layer by layer; what the stream of rows must give."""
        return torch.cat([self._layers["head"](self.last_rows(tile[None])) for tile in x])

    def last_rows(self, tile: Tensor) -> Tensor:
        """Prepared tile (1, 1, Y, X) → the finest level's rows, from which classes are made."""
        x, skips, levels = self.enter(tile), [], len(self.spec.widths)
        for level in range(levels):
            x = self._block(f"down{level}", self.pool(x) if level else x)
            skips.append(x)
        for level in reversed(range(levels - 1)):
            x = self._block(f"up{level}", self.join(level, x, skips[level : level + 1]))
        return x

    def _block(self, name: str, x: Tensor) -> Tensor:
        for i in (1, 2):
            rows, columns = (torch.arange(-1, n + 1).clamp(0, n - 1) for n in x.shape[2:])
            x = self.convolve(f"{name}.{i}", x[:, :, rows][..., columns].contiguous(memory_format=torch.channels_last))
        return x

    def channels(self, layer: str) -> int:
        """Channels that a layer of this name gives."""
        return self._layers[layer].channels

    def enter(self, rows: Tensor) -> Tensor:
        """Prepared rows (1, 1, y, x) float32 → bytes."""
        found = torch.empty(rows.shape, dtype=torch.uint8)
        inverse = np.float32(1.0 / self._step["input"])
        bytes_of.rounded(rows[0, 0].numpy(), inverse, np.float32(self._zero["input"]), found[0, 0].numpy())
        return found

    def convolve(self, layer: str, rows: Tensor) -> Tensor:
        """3×3 convolution and ReLU of bytes: (1, c, y + 2, x + 2) → (1, c', y, x)."""
        return self._layers[layer](rows)

    def pool(self, rows: Tensor) -> Tensor:
        """Largest of 2×2 pixels: (1, c, y, x) → (1, c, y / 2, x / 2)."""
        _, channels, height, width = rows.shape
        found = _bytes(channels, height // 2, width // 2)
        bytes_of.pooled(_inside(rows), _inside(found))
        return found

    def join(self, level: int, rows: Tensor, skips: Iterable[Tensor]) -> Tensor:
        """Rows of the next coarser level, narrowed and enlarged, and those that went down here added."""
        narrowed = self._layers[f"narrow{level}"](rows)
        _, channels, height, width = narrowed.shape
        found = _bytes(channels, 2 * height, 2 * width)
        coarse, out, done = _inside(narrowed), _inside(found), 0
        step, ratio = self._step[f"join{level}"], self._step[f"down{level}.2"] / self._step[f"join{level}"]
        numbers = np.float32(1.0 / step), np.float32(ratio), np.float32(self._zero[f"join{level}"])
        for skip in skips:
            bytes_of.joined(coarse, _inside(skip), done, numbers, out[done : done + skip.shape[2]])
            done += skip.shape[2]
        return found

    def classes(self, rows: Tensor) -> Tensor:
        """Rows of the finest level → class probabilities (classes, y, x)."""
        logits = _inside(self._layers["head"](rows))
        found = torch.empty((logits.shape[2], logits.shape[0], logits.shape[1]))
        bytes_of.softmax(logits, found.numpy())
        return found


@dataclass(frozen=True, slots=True, eq=False)
class _Convolution:
    """Weights as whole numbers, laid out for the processor, and what turns sums into the next layer's bytes."""

    weights: Tensor
    steps: Tensor
    """Of each channel's weights."""
    zeros: Tensor
    bias: Tensor
    entering: float
    """Step of the bytes that enter."""
    leaving: float | None
    """Step of the bytes that leave, after a ReLU; None: values leave as float32, as they are."""
    channels: int

    @classmethod
    def of(cls, conv: nn.Conv2d, entering: float, zero: int, leaving: float | None) -> _Convolution:
        weights = conv.weight.detach().double()
        steps = torch.exp2(torch.ceil(torch.log2(weights.abs().amax((1, 2, 3)).clamp(min=_LEAST) / LARGEST_WEIGHT)))
        whole = torch.round(weights / steps[:, None, None, None])
        bias = torch.zeros(len(steps)) if conv.bias is None else conv.bias.detach().double()
        bias = bias - entering * zero * steps * whole.sum((1, 2, 3))
        packed = torch.ops.onednn.qconv_prepack(
            whole.to(torch.int8), steps.float(), entering, 0, [1, 1], [0, 0], [1, 1], 1, None
        )
        zeros = torch.zeros(len(steps), dtype=torch.int32)
        return cls(packed, steps.float(), zeros, bias.float(), entering, leaving, len(steps))

    def __call__(self, rows: Tensor) -> Tensor:
        return cast(
            Tensor,
            torch.ops.onednn.qconv2d_pointwise(
                *(rows, self.entering, 0, self.weights, self.steps, self.zeros, self.bias),
                *([1, 1], [0, 0], [1, 1], 1),
                *(1.0 if self.leaving is None else self.leaving, 0),
                torch.float32 if self.leaving is None else torch.uint8,
                *("none" if self.leaving is None else "relu", [], ""),
            ),
        )


def _convolutions(network: UNet) -> Iterator[tuple[str, nn.Conv2d, str, str | None]]:
    """Every convolution: its name, itself, whose bytes enter and as whose they leave, None for values."""
    entering = "input"
    for level, block in enumerate(cast("Iterable[ConvBlock]", network.down)):
        yield f"down{level}.1", block.conv1, entering, f"down{level}.1"
        yield f"down{level}.2", block.conv2, f"down{level}.1", f"down{level}.2"
        entering = f"down{level}.2"
    for level in reversed(range(len(network.up))):
        yield f"narrow{level}", cast("nn.Conv2d", network.narrow[level]), entering, None
        block = cast("ConvBlock", network.up[level])
        yield f"up{level}.1", block.conv1, f"join{level}", f"up{level}.1"
        yield f"up{level}.2", block.conv2, f"up{level}.1", f"up{level}.2"
        entering = f"up{level}.2"
    yield "head", network.head, entering, None


@lru_cache(maxsize=1)
def check_machine() -> None:
    """ConfigError unless torch multiplies the largest bytes and weights here to the last unit.

    Old processors would overflow with larger weights, and other builds of torch lack the convolution.
    """
    conv = nn.Conv2d(32, 16, _SIDE, bias=False)
    signs = torch.tensor([1.0, 1.0, -1.0, 1.0]).repeat(8)[None, :, None, None]
    conv.weight = nn.Parameter((signs * LARGEST_WEIGHT).expand(conv.weight.shape).clone(), requires_grad=False)
    rows = torch.full((1, 32, 4, 21), 255, dtype=torch.uint8).contiguous(memory_format=torch.channels_last)
    rows[:, ::3, 1, ::2] = 3
    expected = nn.functional.conv2d(rows.double(), conv.weight.double())
    try:
        found = _Convolution.of(conv, 1.0, 0, None)(rows)
    except (AttributeError, RuntimeError) as error:
        raise ConfigError(
            f"arithmetic int8: torch {torch.__version__} has no convolution of bytes on this machine "
            f"({str(error).splitlines()[0]}); set arithmetic: float32"
        ) from error
    if not torch.equal(found.double(), expected):
        raise ConfigError(
            "arithmetic int8: this machine's convolutions of bytes are not exact (its processor overflows); set "
            "arithmetic: float32"
        )


def _bytes(channels: int, height: int, width: int) -> Tensor:
    """Rows to be filled, channels last."""
    return torch.empty((1, channels, height, width), dtype=torch.uint8, memory_format=torch.channels_last)


def _inside(rows: Tensor) -> NDArray[Any]:
    """Rows (1, c, y, x), channels last → the same memory as (y, x, c)."""
    return np.ascontiguousarray(rows[0].permute(1, 2, 0).numpy())
