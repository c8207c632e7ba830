"""What every network has in common, whichever paper its shape is from."""

from __future__ import annotations

from dataclasses import dataclass

from torch import nn


@dataclass(frozen=True, slots=True, kw_only=True)
class Spec:
    """Everything needed to build a U-Net again, and to cut tiles for it; travels in the model card."""

    widths: tuple[int, ...]
    """Channels at each resolution, finest first; each step halves the resolution."""
    classes: int = 3
    """Classes out: 2 (background, nucleus) or 3 (background, interior, boundary)."""

    @property
    def stride_px(self) -> int:
        """Field sides must be multiples of this; tiles start at multiples of it."""
        return 1 << (len(self.widths) - 1)

    @property
    def receptive_radius_px(self) -> int:
        """How far, at most, an input pixel is felt in the output; a test finds the same bound by differentiating.

        Two 3×3 convolutions at every level down and up reach 2·2^level pixels each; pooling windows add at most
        stride − 1.
        """
        down_and_up = 2 * 2 * (self.stride_px - 1)  # 1 + 2 + 4 + … = stride − 1
        return down_and_up + 2 * self.stride_px + self.stride_px - 1


class Network(nn.Module):
    """(B, 1, Y, X) prepared intensities → (B, classes, Y, X) logits; Y and X multiples of ``spec.stride_px``."""

    spec: Spec
