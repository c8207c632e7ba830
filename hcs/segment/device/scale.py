"""`hcs.segment.scale` and `hcs.segment.despeckle` in tensors: fields to the scale that the networks see, planes back,
on their device."""

from __future__ import annotations

from fractions import Fraction

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor

from hcs.segment.despeckle import BRIGHT, EDGE_TIMES, MOST_PX, NUCLEUS, RADIUS_PX, TIMES
from hcs.segment.normalise import COMPRESSION


def enlarged_on_device(field: Tensor, scale: Fraction) -> Tensor:
    """`hcs.segment.scale.enlarged` of a field (Y, X) float32 on its device, but for rounding."""
    if scale == 1:
        return field
    height, width = field.shape
    beyond = (0, -width % scale.denominator, 0, -height % scale.denominator)
    return _resized(F.pad(field[None, None], beyond, mode="replicate"), scale)[0, 0]


def despeckled_on_device(field: Tensor) -> Tensor:
    """`hcs.segment.despeckle.despeckled` of a field (Y, X) float32 on its device."""
    y, x = torch.nonzero(field > BRIGHT, as_tuple=True)
    if not len(y):
        return field
    around = field.flatten()[_squares(field, y, x, RADIUS_PX)]
    medians = around.median(dim=1).values
    unit = float(np.arcsinh(COMPRESSION))
    heights, low = torch.sinh(field[y, x] * unit), torch.sinh(medians * unit).clamp(min=0.0)
    limits = EDGE_TIMES * low.clamp(min=NUCLEUS)
    small = (torch.sinh(around * unit) > limits[:, None]).sum(dim=1) <= MOST_PX
    specks = (heights > TIMES * low) & small
    y, x, medians = y[specks], x[specks], medians[specks]
    edges = torch.arcsinh(EDGE_TIMES * low[specks]) / unit
    places = _squares(field, y, x, 1)
    flat = field.flatten()
    wanted = torch.where(flat[places] > edges[:, None], medians[:, None], torch.inf)
    return flat.scatter_reduce(0, places.flatten(), wanted.flatten(), "amin").view(field.shape)


def _squares(field: Tensor, y: Tensor, x: Tensor, radius: int) -> Tensor:
    """Flat indices (n, side²) of the pixels around places (n,) of a field (Y, X), mirrored at its edge."""
    near = torch.arange(-radius, radius + 1, device=field.device)
    height, width = field.shape
    rows, columns = (
        torch.minimum(at.abs(), 2 * (length - 1) - at.abs()).clamp(0, length - 1)
        for at, length in ((y[:, None] + near, height), (x[:, None] + near, width))
    )
    return (rows[:, :, None] * width + columns[:, None, :]).flatten(1)


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
