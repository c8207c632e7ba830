"""Imported by the process that local workers are forked from: it calls what a field calls, on two small nuclei.

Loading compiled functions, and the first convolution, would take each worker its first second.
"""

from __future__ import annotations

import contextlib
from fractions import Fraction

import numpy as np

from hcs.clock import Stopwatch
from hcs.config import Config
from hcs.errors import ConfigError
from hcs.measure.fill import find_fill
from hcs.pipeline import FoundNuclei, measure_found
from hcs.plate.channels import Channels
from hcs.segment.despeckle import despeckled
from hcs.segment.normalise import normalise
from hcs.segment.ours.integers import Integers, names_of
from hcs.segment.ours.unet import UNet, UNetSpec, folded
from hcs.segment.predict import predict, tune_cpu
from hcs.segment.recipe import Recipe

_CHANNELS = Channels(("DNA", "sensor"), dna=0, sensor=1, nuclei=0)
_RECORDED = (np.uint8, np.uint16)
"""Types of pixels that plates have; functions are compiled for each."""


def call_kernels(side_px: int = 64) -> None:
    """Find and measure two squares in a field of ``side_px``, by one thread and without a model's file."""
    tune_cpu(threads=1)
    config, inside = Config(), np.zeros((side_px, side_px), np.float32)
    inside[8:24, 8:24] = inside[32:56, 32:56] = 0.9
    network = folded(UNet(UNetSpec(widths=(4, 8))))
    predict(network, normalise(inside), config.tiles)
    with contextlib.suppress(ConfigError):  # where there are no convolutions of bytes
        predict(Integers(network, dict.fromkeys(names_of(network.spec), (-5, 32))), normalise(inside), config.tiles)
    specked = inside.copy()
    specked[4, 40] = 2.0
    despeckled(specked)
    probabilities = np.stack([1 - inside, inside, np.zeros_like(inside)])
    labels = Recipe().labels(probabilities, config.instances.for_field(None, Fraction(1)))
    for dtype in _RECORDED:
        image = np.stack([inside * 100, inside * 50 + 20]).astype(dtype)
        normalise(np.zeros((512, 512), dtype))  # of more pixels than there are values
        find_fill(image)
        measure_found(FoundNuclei(labels, inside, image, image, None, Stopwatch()), _CHANNELS, config)
    image[0, 28, 30] = image[0, 30, 28] = 100
    measure_found(
        FoundNuclei(labels, inside, image, image, None, Stopwatch()),
        _CHANNELS,
        config.model_copy(update={"micronuclei": True}),
    )


with contextlib.suppress(Exception):  # whatever is wrong, the first field says it where it can be entered
    call_kernels()
