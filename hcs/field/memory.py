"""Memory that a worker needs, projected before anything is read.

Bytes per pixel count the arrays that are alive together at the worst moment, which is when nuclei are made of
probabilities; a test holds them to what processes really take.
"""

from __future__ import annotations

from fractions import Fraction

from hcs.segment.memory import _LAYER_BYTES, rows_at_once
from hcs.tiles.blocks import Cut
from hcs.tiles.grid import padded_length

PROCESS_BYTES = 420_000_000
"""A worker with its packages, compiled kernels and a network loaded, before the first field."""
_PROBABILITY_BYTES = 4
_FIND_BYTES = 34
"""Per pixel while nuclei are made: the prepared image, masks, three label images, confidence, fronts of growth."""
_MEASURE_BYTES = 26
"""Per pixel while nuclei are measured: labels, their dense copy, keys, owners and zones."""
_CELL_BYTES = 28
"""Per pixel while whole cells are grown and measured: two images, their labels and two lists of their pixels."""
_STATISTICS_COPIES = 4
_WORKER_BYTES = 550_000_000
"""What a dask worker has beyond `PROCESS_BYTES` when it has compiled its kernels and worked for a while. With 400 MB
the test of the projection failed in some runs and passed in others."""
_HEAP = 1.35
"""Memory that a process holds per byte in use, where parts of many sizes come and go."""


def field_bytes(
    shape: tuple[int, int],
    *,
    channels: int,
    itemsize: int,
    classes: int,
    width: int,
    scale: Fraction,
    tile_px: int,
    halo_px: int,
    cells: bool = False,
) -> int:
    """Peak memory of a worker that processes a field of ``shape`` (Y, X) in one piece, by a network of ``width``
    channels at full resolution."""
    size = shape[0] * shape[1]
    pixels = size * channels * itemsize
    finding = int(size * (_probabilities(classes, scale) + _FIND_BYTES))
    measuring = size * (classes * _PROBABILITY_BYTES + _MEASURE_BYTES + 4 * channels + _CELL_BYTES * cells)
    return PROCESS_BYTES + pixels + max(finding, measuring) + tile_bytes(shape, width, scale, tile_px, halo_px)


def block_bytes(
    cut: Cut,
    shape: tuple[int, int],
    *,
    channels: int,
    itemsize: int,
    classes: int,
    width: int,
    scale: Fraction,
    tile_px: int,
    halo_px: int,
    cells: bool = False,
) -> int:
    """Peak memory of a worker over the tasks of a field cut into blocks: the largest block, the largest cell, or the
    whole field's statistics, which are an eighth of a byte a pixel for the networks' channel and for every channel."""
    read = max((block.read.shape for block in cut.blocks(shape)), key=lambda sides: sides[0] * sides[1])
    size = read[0] * read[1]
    finding = int(size * (itemsize + _probabilities(classes, scale) + _FIND_BYTES))
    block = finding + tile_bytes(read, width, scale, tile_px, halo_px)
    cell = max(c.read.size for c in cut.cells(shape)) * (
        _MEASURE_BYTES + channels * (itemsize + 4) + _CELL_BYTES * cells
    )
    statistics = int(shape[0] * shape[1] / 8 * _STATISTICS_COPIES)
    return PROCESS_BYTES + _WORKER_BYTES + int(_HEAP * max(block, cell, statistics))


def tile_bytes(shape: tuple[int, int], width: int, scale: Fraction, tile_px: int, halo_px: int) -> int:
    """Memory of the layers of a network of ``width`` channels for the largest tile of a field of ``shape`` (Y, X) seen
    at ``scale``, as our own network takes it on the CPU: of the rows that are under way in it at a time."""
    sides = [int(length * scale) for length in shape]
    rows, columns = (min(padded_length(side, 16), tile_px + 2 * halo_px) for side in sides)
    return min(rows, rows_at_once(columns, 16) + 2 * halo_px) * columns * width * _LAYER_BYTES


def _probabilities(classes: int, scale: Fraction) -> float:
    """Bytes a pixel of the field for probabilities, twice where they are resampled."""
    magnified = 0.0 if scale == 1 else float(scale) ** 2
    return classes * _PROBABILITY_BYTES * (1.0 + magnified) + _PROBABILITY_BYTES * magnified
