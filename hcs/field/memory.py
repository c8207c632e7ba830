"""Memory that a worker needs, projected before anything is read.

Bytes per pixel count the arrays that are alive together at the worst moment, which is when nuclei are made of
probabilities; a test holds them to what processes really take.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from fractions import Fraction
from typing import TYPE_CHECKING

from hcs.field.job import Job
from hcs.segment.memory import _LAYER_BYTES, rows_at_once
from hcs.store.plate.field import FieldInfo
from hcs.tiles.blocks import Cut
from hcs.tiles.grid import padded_length

if TYPE_CHECKING:
    from hcs.segment.network import Spec

PROCESS_BYTES = 420_000_000
"""A worker with its packages, compiled kernels and a network loaded, before the first field."""
_PROBABILITY_BYTES = 4
_FIND_BYTES = 34
"""Per pixel while nuclei are made: the prepared image, masks, three label images, confidence, fronts of growth."""
_MEASURE_BYTES = 26
"""Per pixel while nuclei are measured: labels, their dense copy, keys, owners and zones."""
_CELL_BYTES = 28
"""Per pixel while whole cells are grown and measured: two images, their labels and two lists of their pixels."""
_CELL_CLASSES = 3
_TERRITORY_BYTES = 16
"""Per pixel beside the probabilities of the network of whole cells: its input, their sum, and what is made of them."""
_STATISTICS_COPIES = 4
_WORKER_BYTES = 550_000_000
"""What a dask worker has beyond `PROCESS_BYTES` when it has compiled its kernels and worked for a while. With 400 MB
the test of the projection failed in some runs and passed in others."""
_HEAP = 1.35
"""Memory that a process holds per byte in use, where parts of many sizes come and go."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Load:
    """What a field is, and what is done to it, as far as memory depends on it."""

    channels: int
    itemsize: int
    classes: int
    """Of the network, and one more where kinds of nuclei share their interior."""
    width: int
    """Channels of the network at full resolution."""
    scale: Fraction
    tile_px: int
    halo_px: int
    cells: bool = False
    """Whether whole cells are measured."""
    cells_scale: Fraction | None = None
    """Magnification at which a network sees whole cells, where one does; it counts as no wider than the first."""

    def tile_bytes(self, shape: tuple[int, int]) -> int:
        """Memory of the network's layers for the largest tile of a field of ``shape`` (Y, X), as our own network takes
        it on the CPU: of the rows that are under way in it at a time."""
        sides = [int(length * self.scale) for length in shape]
        rows, columns = (min(padded_length(side, 16), self.tile_px + 2 * self.halo_px) for side in sides)
        return min(rows, rows_at_once(columns, 16) + 2 * self.halo_px) * columns * self.width * _LAYER_BYTES

    @property
    def probability_bytes(self) -> float:
        """Bytes a pixel of the field for probabilities, twice where they are resampled."""
        return _probability_bytes(self.classes, self.scale)

    @property
    def cell_probability_bytes(self) -> float:
        """The same for the network of whole cells, with the input and what is made of it; 0 without."""
        if self.cells_scale is None:
            return 0.0
        return _probability_bytes(_CELL_CLASSES, self.cells_scale) + _TERRITORY_BYTES


def _probability_bytes(classes: int, scale: Fraction) -> float:
    magnified = 0.0 if scale == 1 else float(scale) ** 2
    return classes * _PROBABILITY_BYTES * (1.0 + magnified) + _PROBABILITY_BYTES * magnified


def load_of(job: Job, info: FieldInfo, specs: Sequence[Spec]) -> Load:
    """The load of a field of a plate, for networks of ``specs``."""
    return Load(
        channels=info.shape[0],
        itemsize=info.dtype.itemsize,
        classes=max(spec.classes for spec in specs) + bool(job.model.kinds),
        width=max(spec.widths[0] for spec in specs),
        scale=job.scale,
        tile_px=job.config.tiles.size_px,
        halo_px=max(spec.receptive_radius_px for spec in specs),
        cells=job.channels.cells is not None,
        cells_scale=None if job.cells_model is None or job.channels.cells is None else job.cells_scale,
    )


def field_bytes(shape: tuple[int, int], load: Load) -> int:
    """Peak memory of a worker that processes a field of ``shape`` (Y, X) in one piece."""
    size = shape[0] * shape[1]
    pixels = size * load.channels * load.itemsize
    told = 0 if load.cells_scale is None else _PROBABILITY_BYTES
    finding = int(size * max(load.probability_bytes + _FIND_BYTES + told, load.cell_probability_bytes))
    kept = load.classes * _PROBABILITY_BYTES + 4 * load.channels + told
    measuring = size * (kept + _MEASURE_BYTES + _CELL_BYTES * load.cells)
    return PROCESS_BYTES + pixels + max(finding, measuring) + load.tile_bytes(shape)


def block_bytes(cut: Cut, shape: tuple[int, int], load: Load) -> int:
    """Peak memory of a worker over the tasks of a field cut into blocks: the largest block, the largest cell, or the
    whole field's statistics, which are an eighth of a byte a pixel for the networks' channel and for every channel."""
    read = max((block.read.shape for block in cut.blocks(shape)), key=lambda sides: sides[0] * sides[1])
    finding = int(read[0] * read[1] * (load.itemsize + load.probability_bytes + _FIND_BYTES))
    block = finding + load.tile_bytes(read)
    measuring = _MEASURE_BYTES + load.channels * (load.itemsize + 4) + _CELL_BYTES * load.cells
    cell = max(c.read.size for c in cut.cells(shape)) * measuring
    statistics = int(shape[0] * shape[1] / 8 * _STATISTICS_COPIES)
    return PROCESS_BYTES + _WORKER_BYTES + int(_HEAP * max(block, cell, statistics))


def cells_bytes(sides: Sequence[tuple[int, int]], load: Load) -> int:
    """Peak memory of a worker that measures one of the cells of a field cut into blocks, for which the network of whole
    cells reads parts of these ``sides`` (y, x)."""
    largest = max(sides, key=lambda each: each[0] * each[1])
    size = largest[0] * largest[1]
    held = load.channels * load.itemsize + _PROBABILITY_BYTES  # of the pixels and labels that wait to be measured
    seen = int(size * (load.itemsize + load.cell_probability_bytes + held)) + load.tile_bytes(largest)
    return PROCESS_BYTES + _WORKER_BYTES + int(_HEAP * seen)
