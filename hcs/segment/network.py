"""What every network has in common, whichever paper its shape is from."""

from __future__ import annotations

from typing import Protocol

from torch import nn


class Spec(Protocol):
    """Everything needed to build a network again, and to cut tiles for it; travels in the model card."""

    @property
    def classes(self) -> int:
        """Classes out: 2 are background and nucleus; 3 are background, interior, boundary."""

    @property
    def stride_px(self) -> int:
        """Field sides must be multiples of this; tiles start at multiples of it."""

    @property
    def receptive_radius_px(self) -> int:
        """How far, at most, an input pixel is felt in the output."""


class Network(nn.Module):
    """(B, 1, Y, X) prepared intensities → (B, classes, Y, X) logits; Y and X multiples of ``spec.stride_px``."""

    spec: Spec


def unet_radius_px(levels: int) -> int:
    """How far, at most, an input pixel is felt in the output of a U-Net of ``levels`` resolutions.

    Two 3×3 convolutions at every level down and up reach 2·2^level pixels each; pooling windows add at most stride − 1.
    """
    stride = 1 << (levels - 1)
    down_and_up = 2 * 2 * (stride - 1)  # 1 + 2 + 4 + … = stride − 1
    return down_and_up + 2 * stride + stride - 1
