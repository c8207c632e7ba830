"""Image and network in, nuclei out: what happens to one field. No paths, no dask."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from fractions import Fraction
from typing import Any

import numpy as np
from numpy.typing import NDArray

from hcs.clock import Stopwatch
from hcs.config import Config
from hcs.measure.compartments import CellRequest
from hcs.measure.fill import Fill, without_fill
from hcs.measure.illumination import ChannelLight, correct
from hcs.measure.kinds import Kinds
from hcs.measure.measure import NucleusTable, measure_nuclei
from hcs.measure.quality import ChannelQuality, field_quality
from hcs.plate.channels import Channels
from hcs.segment.segmenter import Segmenter
from hcs.segment.territory import CellNetwork


@dataclass(frozen=True, slots=True)
class FieldResult:
    """Everything found in one field: ``labels`` (Y, X) uint32, the table, the recorded image's quality by channel,
    seconds and bytes by stage."""

    labels: NDArray[np.uint32]
    nuclei: NucleusTable
    quality: dict[str, ChannelQuality]
    clock: Stopwatch

    @property
    def cells(self) -> NDArray[np.uint32] | None:
        """Labels (Y, X) of the whole cells, numbered as the nuclei; None where none were grown."""
        return self.nuclei.cells

    @property
    def micronuclei(self) -> NDArray[np.uint32] | None:
        """Labels (Y, X) of the micronuclei, in the order of their nuclei; None where none were looked for."""
        return self.nuclei.micronuclei


@dataclass(frozen=True, slots=True)
class FoundNuclei:
    """Nuclei of one field before they are measured: ``labels`` (Y, X) uint32, the networks' ``confidence`` (Y, X), or
    None where labels were given, the field (C, Y, X) ``recorded`` and in ``even`` light, which without a correction is
    the same, its ``fill``, and what tells the nuclei's ``kinds``."""

    labels: NDArray[np.uint32]
    confidence: NDArray[np.float32] | None
    recorded: NDArray[Any]
    even: NDArray[Any]
    pixel_size_um: float | None
    clock: Stopwatch
    fill: Fill | None = None
    kinds: Kinds | None = None
    territory: NDArray[np.float32] | None = None
    """(Y, X), what a network told of whole cells, where one was asked."""


def find_nuclei(
    image: NDArray[Any],
    segmenter: Segmenter | None,
    channels: Channels,
    config: Config,
    *,
    scale: Fraction = Fraction(1),
    pixel_size_um: float | None,
    lights: Mapping[str, ChannelLight] | None = None,
    fill: Fill | None = None,
    given: NDArray[np.uint32] | None = None,
    kinds: tuple[str, ...] = (),
    cells: CellNetwork | None = None,
) -> FoundNuclei:
    """Find the nuclei of a field (C, Y, X) of any integer or float dtype: what needs the networks and their device.

    The networks see it at ``scale``. The result does not depend on the tile size. A field without nuclei gives no
    labels, and then a table of no rows. With ``lights``, one for each channel, nuclei are found and measured in the
    field as even light would show it; its quality is that of the recorded pixels all the same. No nucleus has a pixel
    of ``fill``, which was not recorded. Labels (Y, X) ``given`` are taken instead of the networks'; then nobody knows
    of which of ``kinds`` they are. A network of ``cells`` tells where whole cells are and part.
    """
    clock = Stopwatch()
    even = image
    if lights is not None:
        even = np.stack([correct(plane, lights[name]) for plane, name in zip(image, channels.names, strict=True)])
        clock.lap("correct", even.nbytes)
    missing = None if fill is None else fill.mask
    territory = None
    if cells is not None and channels.cells is not None:
        territory = cells.territory(even[channels.cells], config.tiles, missing)
        clock.lap("cells", territory.nbytes)
    if given is not None:
        unknown = Kinds(kinds) if kinds else None
        labels = without_fill(given, fill)
        return FoundNuclei(labels, None, image, even, pixel_size_um, clock, fill, unknown, territory)
    assert segmenter is not None
    settings = config.instances.for_field(pixel_size_um, scale)
    labels, certainty = segmenter.nuclei(
        even[channels.nuclei],
        config.tiles,
        settings,
        scale=scale,
        clock=clock,
        fill=missing,
    )
    seen = Kinds(segmenter.recipe.kinds, certainty.kinds) if segmenter.recipe.kinds else None
    sure = certainty.confidence
    return FoundNuclei(without_fill(labels, fill), sure, image, even, pixel_size_um, clock, fill, seen, territory)


def measure_found(
    found: FoundNuclei, channels: Channels, config: Config, backgrounds: Mapping[str, float] | None = None
) -> FieldResult:
    """Measure what `find_nuclei` found: what any thread of the host can do while the device sees the next
    field. ``backgrounds`` are the plate's, by channel; without them each field has its own."""
    clock = Stopwatch()
    settings = config.measure.for_pixels(found.pixel_size_um)
    table = measure_nuclei(
        found.labels,
        found.even,
        channels=channels.names,
        dna=channels.dna_name,
        sensor=channels.sensor_name,
        settings=settings,
        pixel_size_um=found.pixel_size_um,
        confidence=found.confidence,
        recorded=None if found.even is found.recorded else found.recorded,
        fill=found.fill,
        backgrounds=backgrounds,
        always=config.background not in ("auto", "field"),
        cells=cell_request(channels, config, found.pixel_size_um, territory=found.territory),
        micronuclei=config.micronuclei,
        kinds=found.kinds,
    )
    clock.lap("measure", sum(values.nbytes for values in table.columns.values()))
    quality = field_quality(found.recorded, found.labels, channels=channels.names, settings=settings, fill=found.fill)
    clock.lap("quality")
    clock.add(found.clock)
    return FieldResult(found.labels, table, quality, clock)


def cell_request(
    channels: Channels,
    config: Config,
    pixel_size_um: float | None,
    *,
    nobodys: int | None = None,
    territory: NDArray[np.float32] | None = None,
) -> CellRequest | None:
    """The whole cells that a field's nuclei are grown to; None without a channel for them. The label ``nobodys`` is no
    nucleus and does not grow. ``territory`` (Y, X) is what a network told of cells."""
    if channels.cells_name is None:
        return None
    settings = config.cells.for_pixels(pixel_size_um)
    return CellRequest(channel=channels.cells_name, settings=settings, nobodys=nobodys, territory=territory)
