"""A field too large for memory, cut twice: into blocks for the network, and into cells for writing and measuring.

Blocks start where the network's pooling windows start in the whole field, so that inside its halo a block gives the
probabilities that the whole field would. Cells are a fixed grid on the label image's chunks, whatever the blocks: each
chunk has one writer, and nothing that is measured depends on how the blocks were cut.
"""

from __future__ import annotations

from dataclasses import dataclass
from fractions import Fraction
from itertools import pairwise
from math import ceil
from typing import Any

import numpy as np
from numpy.typing import NDArray

from hcs.tiles.grid import padded_length, spans

CELL_PX = 2048
"""Side of a cell; `LABEL_CHUNK_PX` and the next level's chunk divide it."""
LABEL_CHUNK_PX = 1024
"""Side of a chunk of the labels of a field in blocks."""
GROWTH_PX = 32
"""A pixel farther than this from its nucleus' core, next to a nucleus that a block does not see whole, could go to
another nucleus than in the whole field."""
SEAM_PX = 2
"""How far a nucleus' first pixel may move when sums in the network are rounded otherwise."""

Ints = NDArray[np.int64]


@dataclass(frozen=True, slots=True)
class Box:
    """Half-open rectangle of pixels: rows ``y0`` to ``y1``, columns ``x0`` to ``x1``."""

    y0: int
    x0: int
    y1: int
    x1: int

    @property
    def shape(self) -> tuple[int, int]:
        """Height and width."""
        return self.y1 - self.y0, self.x1 - self.x0

    @property
    def size(self) -> int:
        """Number of pixels."""
        return (self.y1 - self.y0) * (self.x1 - self.x0)

    @property
    def slices(self) -> tuple[slice, slice]:
        """The rectangle's slices of the field."""
        return slice(self.y0, self.y1), slice(self.x0, self.x1)

    def within(self, outer: Box) -> tuple[slice, slice]:
        """The rectangle's slices of ``outer``, which contains it."""
        return slice(self.y0 - outer.y0, self.y1 - outer.y0), slice(self.x0 - outer.x0, self.x1 - outer.x0)

    def grown(self, margin_px: int, shape: tuple[int, int], *, unit_px: int = 1) -> Box:
        """Larger by a margin on every side, then to multiples of ``unit_px``, but no larger than the field."""
        return Box(
            max((self.y0 - margin_px) // unit_px * unit_px, 0),
            max((self.x0 - margin_px) // unit_px * unit_px, 0),
            min(padded_length(self.y1 + margin_px, unit_px), shape[0]),
            min(padded_length(self.x1 + margin_px, unit_px), shape[1]),
        )

    def overlaps(self, boxes: Ints) -> NDArray[np.bool_]:
        """Which of ``boxes`` (n, 4) of y0, x0, y1, x1 share a pixel with this one."""
        y0, x0, y1, x1 = boxes.T
        return np.asarray((y0 < self.y1) & (y1 > self.y0) & (x0 < self.x1) & (x1 > self.x0))

    def holds(self, y: NDArray[Any], x: NDArray[Any]) -> NDArray[np.bool_]:
        """Which pixels (n,) lie in the rectangle."""
        return np.asarray((y >= self.y0) & (y < self.y1) & (x >= self.x0) & (x < self.x1))


@dataclass(frozen=True, slots=True)
class Block:
    """One block: it answers for the nuclei whose first pixel is in ``core``, finds nuclei in ``seen``, where the
    network's output is that of the whole field, and reads ``read``."""

    core: Box
    seen: Box
    read: Box


@dataclass(frozen=True, slots=True)
class Cell:
    """One cell: ``core`` is written and its nuclei are measured, from pixels and labels of ``read``."""

    core: Box
    read: Box


@dataclass(frozen=True, slots=True, kw_only=True)
class Cut:
    """How fields are cut, as far as network and settings tell; all in pixels of the field."""

    block_px: int
    """Side of a block's core, at most."""
    unit_px: int
    """Blocks start at multiples of this."""
    context_px: int
    """How far, at most, a pixel is felt in the network's output."""
    nucleus_px: int
    """Largest side of a nucleus' box."""
    around_px: int
    """How far from a nucleus pixels and labels are looked at to measure it."""

    def blocks(self, shape: tuple[int, int]) -> tuple[Block, ...]:
        """Blocks of a field of ``shape`` (Y, X) in raster order; their cores cover every pixel exactly once."""
        unit = self.unit_px
        rows, columns = (_edges(length, size_px=self.block_px, unit_px=unit) for length in shape)
        see = self.nucleus_px + GROWTH_PX + SEAM_PX
        found = []
        for y0, y1 in rows:
            for x0, x1 in columns:
                core = Box(y0, x0, y1, x1)
                seen = core.grown(see, shape)
                found.append(Block(core, seen, seen.grown(self.context_px, shape, unit_px=unit)))
        return tuple(found)

    def cells(self, shape: tuple[int, int]) -> tuple[Cell, ...]:
        """Cells of a field of ``shape`` (Y, X) in raster order; the same for every size of block."""
        reach = self.nucleus_px + self.around_px
        cores = (
            Box(y, x, min(y + CELL_PX, shape[0]), min(x + CELL_PX, shape[1]))
            for y in range(0, shape[0], CELL_PX)
            for x in range(0, shape[1], CELL_PX)
        )
        return tuple(Cell(core, core.grown(reach, shape)) for core in cores)


def cut_for(
    *,
    block_px: int,
    nucleus_px: int,
    stride_px: int,
    radius_px: int,
    scale: Fraction,
    filter_px: int,
    around_px: int,
) -> Cut:
    """The cut for a network of this stride and receptive radius that sees fields at ``scale``.

    Blocks start at multiples of stride × the scale's denominator: in the magnified field that is a multiple of the
    stride, and no pixel is resampled from other pixels than in the whole. ``filter_px`` is the reach of the filter
    before the network; the resampling's is a pixel of the coarser grid on either side.
    """
    coarser = max(1, ceil(1 / scale))
    return Cut(
        block_px=block_px,
        unit_px=stride_px * scale.denominator,
        context_px=ceil(radius_px / scale) + filter_px + 2 * coarser,
        nucleus_px=nucleus_px,
        around_px=around_px,
    )


def windows(shape: tuple[int, int], *, size_px: int, unit_px: int) -> tuple[Box, ...]:
    """Rectangles of at most ``size_px`` a side that cover a field once and start at multiples of ``unit_px``."""
    rows, columns = (_edges(length, size_px=size_px, unit_px=unit_px) for length in shape)
    return tuple(Box(y0, x0, y1, x1) for y0, y1 in rows for x0, x1 in columns)


def _edges(length_px: int, *, size_px: int, unit_px: int) -> list[tuple[int, int]]:
    """Starts and stops of equal parts of one axis, to within a unit; the last one ends with the field."""
    cut = spans(padded_length(length_px, unit_px), size_px=size_px, halo_px=0, stride_px=unit_px)
    edges = [span.core[0] for span in cut] + [length_px]
    return list(pairwise(edges))
