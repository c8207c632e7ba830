"""U-Nets as published: skips concatenated, doubling of channels left to the settings.

Ronneberger et al., MICCAI 2015; with batch norm and three classes, Caicedo et al., Cytometry A 95, 952 (2019); with 16
filters and dropout, Aydın et al. 2021. What the papers differ in is a field of ``ConcatSpec``.
"""

from __future__ import annotations

from dataclasses import dataclass
from itertools import pairwise
from typing import Literal

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from hcs.segment.network import Network, Spec

Padding = Literal["zeros", "replicate"]
Upsampling = Literal["transposed", "nearest"]


@dataclass(frozen=True, slots=True, kw_only=True)
class ConcatSpec(Spec):
    """What the papers differ in."""

    widths: tuple[int, ...] = (64, 128, 256, 512)
    batch_norm: bool = True
    """Batch norm behind the ReLU of every 3×3 convolution."""
    dropout: float = 0.0
    """Fraction of activations dropped between the two convolutions of a block, in training."""
    padding: Padding = "zeros"
    """What convolutions see beyond the border: zeros, or the edge repeated."""
    upsampling: Upsampling = "transposed"
    """2×2 transposed convolution to half the channels, or repetition of pixels."""


class ConcatBlock(nn.Module):
    """Two times 3×3 convolution, ReLU, batch norm if any, dropout between: (B, c_in, Y, X) → (B, c_out, Y, X)."""

    def __init__(self, c_in: int, c_out: int, spec: ConcatSpec) -> None:
        super().__init__()
        self.conv1 = nn.Conv2d(c_in, c_out, 3, padding=1, padding_mode=spec.padding)
        self.norm1 = nn.BatchNorm2d(c_out) if spec.batch_norm else nn.Identity()
        self.drop = nn.Dropout(spec.dropout)
        self.conv2 = nn.Conv2d(c_out, c_out, 3, padding=1, padding_mode=spec.padding)
        self.norm2 = nn.BatchNorm2d(c_out) if spec.batch_norm else nn.Identity()

    def forward(self, x: Tensor) -> Tensor:
        x = self.drop(self.norm1(F.relu(self.conv1(x))))
        out: Tensor = self.norm2(F.relu(self.conv2(x)))
        return out


class ConcatUNet(Network):
    """(B, 1, Y, X) prepared intensities → (B, classes, Y, X) logits; Y and X multiples of ``spec.stride_px``."""

    spec: ConcatSpec

    def __init__(self, spec: ConcatSpec) -> None:
        super().__init__()
        self.spec = spec
        widths = spec.widths
        transposed = spec.upsampling == "transposed"
        self.down = nn.ModuleList(ConcatBlock(c_in, c, spec) for c_in, c in zip((1, *widths), widths, strict=False))
        self.enlarge = nn.ModuleList(
            nn.ConvTranspose2d(c_in, c, 2, stride=2) if transposed else nn.Upsample(scale_factor=2, mode="nearest")
            for c, c_in in pairwise(widths)
        )
        self.up = nn.ModuleList(ConcatBlock(c + (c if transposed else c_in), c, spec) for c, c_in in pairwise(widths))
        self.head = nn.Conv2d(widths[0], spec.classes, 1)
        for module in self.modules():
            if isinstance(module, nn.Conv2d) and module is not self.head:
                # He et al. 2015: without batch norm, torch's default lets the signal fade layer by layer.
                nn.init.kaiming_normal_(module.weight, nonlinearity="relu")

    def forward(self, x: Tensor) -> Tensor:
        skips: list[Tensor] = []
        for level, block in enumerate(self.down):
            if level:
                x = F.max_pool2d(x, 2)
            x = block(x)
            skips.append(x)
        for level in reversed(range(len(self.up))):
            x = self.up[level](torch.cat((self.enlarge[level](x), skips[level]), dim=1))
        logits: Tensor = self.head(x)
        return logits
