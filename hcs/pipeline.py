"""Image and network in, nuclei out: what happens to one field. No paths, no dask."""

from __future__ import annotations

import time
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from hcs.config import Config
from hcs.measure.measure import NucleusTable, measure_nuclei
from hcs.segment.instances import confidence, instances
from hcs.segment.normalise import normalise
from hcs.segment.predict import predict
from hcs.segment.unet import UNet


@dataclass(frozen=True, slots=True)
class Channels:
    """Channels of a plate by 0-based index, with their names; ``sensor`` may be absent."""

    names: tuple[str, ...]
    dna: int
    sensor: int | None
    nuclei: int


@dataclass(frozen=True, slots=True)
class FieldResult:
    """Everything found in one field: ``labels`` (Y, X) uint32, the table, seconds spent by stage."""

    labels: NDArray[np.uint32]
    nuclei: NucleusTable
    seconds: dict[str, float]


def analyse_field(
    image: NDArray[Any], network: UNet, channels: Channels, config: Config, *, pixel_size_um: float | None
) -> FieldResult:
    """Find and measure the nuclei of a field (C, Y, X) of any integer or float dtype.

    The result does not depend on the tile size. A field without nuclei gives no labels and a table of no rows.
    """
    clock = Stopwatch()
    found_in = normalise(image[channels.nuclei])
    clock.lap("normalise")
    probabilities = predict(network, found_in, config.tiles)
    clock.lap("infer")
    labels = instances(probabilities, config.instances)
    clock.lap("instances")
    table = measure_nuclei(
        labels,
        image,
        channels=channels.names,
        dna=channels.names[channels.dna],
        sensor=None if channels.sensor is None else channels.names[channels.sensor],
        settings=config.measure,
        pixel_size_um=pixel_size_um,
        confidence=confidence(probabilities),
    )
    clock.lap("measure")
    return FieldResult(labels, table, clock.seconds)


class Stopwatch:
    """Seconds by stage, in the order of the stages."""

    def __init__(self) -> None:
        self.seconds: dict[str, float] = {}
        self._last = time.perf_counter()

    def lap(self, stage: str) -> None:
        """Book the time since the last lap under ``stage``."""
        now = time.perf_counter()
        self.seconds[stage] = self.seconds.get(stage, 0.0) + now - self._last
        self._last = now
