"""Steps of a network in 8-bit integers, measured on training images: what one unit of each layer's bytes stands for.

Alone in a file, for a training ends with it and `benchmarks/integers.py` gives it to models that were trained before.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Iterator

import numpy as np
import torch
import torch.nn.functional as F
from numpy.typing import NDArray
from torch import Tensor

from hcs.segment.ours.floats import Floats
from hcs.segment.ours.integers import Steps, names_of
from hcs.segment.ours.rows import LARGEST
from hcs.segment.ours.unet import UNet
from hcs.tiles.grid import padded_length

MOST_IMAGES = 64
"""More say nothing new."""
_MOST_PX = 1024
"""Of an image's side; the middle of larger ones is looked at."""
_COVERED = 0.75
"""Bytes of a layer reach what this share of the images stays within; those of the input, what all do. With the median,
or the largest of all, probabilities are as close to those of float32 (mean difference 0.0010)."""


def steps_of(network: UNet, images: Iterable[NDArray[np.float32]]) -> Steps:
    """Steps for a folded network, by prepared images (Y, X) at the size at which it sees them."""
    ends: dict[str, list[tuple[float, float]]] = {name: [] for name in names_of(network.spec)}
    for image in images:
        with torch.inference_mode():
            for name, values in _values(network, _tile(image, network.spec.stride_px)):
                ends[name].append((float(values.min()), float(values.max())))
    found = {}
    for name, pairs in ends.items():
        covered = 1.0 if name == "input" else _COVERED
        low = np.quantile([pair[0] for pair in pairs], 1.0 - covered)
        high = np.quantile([pair[1] for pair in pairs], covered)
        found[name] = _step(min(float(low), 0.0), float(high))
    return found


def _step(low: float, high: float) -> tuple[int, int]:
    """Exponent of the power of two that is nearest to 1/255 of ``low`` to ``high``, and the byte of 0: bytes that are
    left over lie on both sides where there are two."""
    exponent = round(math.log2(max(high - low, 2.0**-20) / LARGEST))
    if low == 0.0:
        return exponent, 0
    spare = max(LARGEST - (high - low) / 2.0**exponent, 0.0)
    return exponent, min(round(-low / 2.0**exponent + spare / 2.0), int(LARGEST))


def _tile(image: NDArray[np.float32], stride_px: int) -> Tensor:
    """The middle of an image as the network takes it (1, 1, Y, X), enlarged to multiples of its stride."""
    top, left = (max(side - _MOST_PX, 0) // 2 for side in image.shape)
    middle = torch.from_numpy(np.ascontiguousarray(image[top : top + _MOST_PX, left : left + _MOST_PX]))[None, None]
    below, right = (padded_length(side, stride_px) - side for side in middle.shape[2:])
    return F.pad(middle, (0, right, 0, below), mode="replicate")


def _values(network: UNet, x: Tensor) -> Iterator[tuple[str, Tensor]]:
    """What enters a folded network and every layer but those that leave values, by name."""
    layers, skips, levels = Floats(network), [], len(network.spec.widths)
    yield "input", x
    for level in range(levels):
        if level:
            x = layers.pool(x)
        for i in (1, 2):
            x = layers.convolve(f"down{level}.{i}", F.pad(x, (1, 1, 1, 1), mode="replicate"))
            yield f"down{level}.{i}", x
        skips.append(x)
    for level in reversed(range(levels - 1)):
        x = layers.join(level, x, skips[level : level + 1])
        yield f"join{level}", x
        for i in (1, 2):
            x = layers.convolve(f"up{level}.{i}", F.pad(x, (1, 1, 1, 1), mode="replicate"))
            yield f"up{level}.{i}", x
