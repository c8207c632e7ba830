"""`hcs.segment.scale` and `hcs.segment.despeckle` in tensors: fields to the scale that the networks see, planes back,
on their device."""

from __future__ import annotations

from fractions import Fraction

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor

from hcs.segment.despeckle import BRIGHT, EDGE_TIMES, SQUARE_PX, TIMES
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
    last = [length - 1 for length in field.shape]
    near = torch.arange(1 - SQUARE_PX, SQUARE_PX, device=field.device)
    rows, columns = ((at[:, None] + near).clamp(0, end) for at, end in zip((y, x), last, strict=True))
    around = field[rows[:, :, None], columns[:, None, :]]
    least = -F.max_pool2d(-around[:, None], SQUARE_PX, stride=1)[:, 0]
    first = torch.arange(1 - SQUARE_PX, 1, device=field.device)
    inside = [
        ((at[:, None] + first >= 0) & (at[:, None] + first <= end + 1 - SQUARE_PX))
        for at, end in zip((y, x), last, strict=True)
    ]
    opened = torch.where(inside[0][:, :, None] & inside[1][:, None, :], least, -torch.inf).flatten(1)
    medians = around.flatten(1).median(dim=1).values
    specks = field[y, x] > _times_as_bright(opened.amax(dim=1), TIMES)
    y, x, medians = y[specks], x[specks], medians[specks]
    limits = _times_as_bright(medians, EDGE_TIMES)
    near = torch.arange(-1, 2, device=field.device)
    rows, columns = ((at[:, None] + near).clamp(0, end) for at, end in zip((y, x), last, strict=True))
    places = (rows[:, :, None] * field.shape[1] + columns[:, None, :]).flatten(1)
    flat = field.flatten()
    wanted = torch.where(flat[places] > limits[:, None], medians[:, None], torch.inf)
    return flat.scatter_reduce(0, places.flatten(), wanted.flatten(), "amin").view(field.shape)


def _times_as_bright(compressed: Tensor, times: float) -> Tensor:
    """`hcs.segment.despeckle.times_as_bright` of a tensor (n,)."""
    unit = float(np.arcsinh(COMPRESSION))
    return torch.arcsinh(torch.sinh(compressed.clamp(min=0.0) * unit) * times) / unit


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
