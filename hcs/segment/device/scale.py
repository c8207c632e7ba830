"""`hcs.segment.scale` in tensors: fields to the scale that the networks see, planes back, on their device."""

from __future__ import annotations

from fractions import Fraction

import torch.nn.functional as F
from torch import Tensor


def enlarged_on_device(field: Tensor, scale: Fraction) -> Tensor:
    """`hcs.segment.scale.enlarged` of a field (Y, X) float32 on its device, but for rounding."""
    if scale == 1:
        return field
    height, width = field.shape
    beyond = (0, -width % scale.denominator, 0, -height % scale.denominator)
    return _resized(F.pad(field[None, None], beyond, mode="replicate"), scale)[0, 0]


def restored_on_device(planes: Tensor, scale: Fraction, shape: tuple[int, int]) -> Tensor:
    """`hcs.segment.scale.restored` of planes (C, y, x) float32 on their device → (C, Y, X) of ``shape``."""
    if scale == 1:
        return planes
    return _resized(planes[None], 1 / scale)[0, :, : shape[0], : shape[1]]


def _resized(planes: Tensor, scale: Fraction) -> Tensor:
    """Planes (1, C, y, x), of sides that ``scale`` brings to whole numbers: averaged by area below 1, interpolated
    linearly above."""
    if scale > 1:
        size = [int(length * scale) for length in planes.shape[2:]]
        return F.interpolate(planes, size=size, mode="bilinear", align_corners=False)
    # Every pixel as p × p equal ones: then each pixel wanted is the mean of q × q whole ones.
    fine = F.interpolate(planes, scale_factor=float(scale.numerator), mode="nearest")
    return F.avg_pool2d(fine, scale.denominator)
