"""Cutting a field into tiles whose cores cover every pixel once."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from itertools import pairwise

import numpy as np
from numpy.typing import NDArray


@dataclass(frozen=True, slots=True)
class Span:
    """One tile along one axis, half-open pixel ranges of the field: ``core`` ⊆ ``read``."""

    core: tuple[int, int]
    read: tuple[int, int]


@dataclass(frozen=True, slots=True)
class Tile:
    """One tile: the pixels it reads (core and halo, cut at the field's border) and the core it answers for."""

    y: Span
    x: Span

    @property
    def read(self) -> tuple[slice, slice]:
        """Slices of the field that the network sees."""
        return slice(*self.y.read), slice(*self.x.read)

    @property
    def read_shape(self) -> tuple[int, int]:
        """Height and width of what is read."""
        return self.y.read[1] - self.y.read[0], self.x.read[1] - self.x.read[0]

    @property
    def core(self) -> tuple[slice, slice]:
        """Slices of the field that this tile, and no other, fills."""
        return slice(*self.y.core), slice(*self.x.core)

    @property
    def core_in_read(self) -> tuple[slice, slice]:
        """The core's slices within what was read."""
        return _within(self.y), _within(self.x)


def _within(span: Span) -> slice:
    return slice(span.core[0] - span.read[0], span.core[1] - span.read[0])


def padded_length(length_px: int, stride_px: int) -> int:
    """``length_px`` rounded up to a multiple of the network's stride."""
    return -(-length_px // stride_px) * stride_px


def spans(length_px: int, *, size_px: int, halo_px: int, stride_px: int) -> tuple[Span, ...]:
    """Spans that tile one axis of ``length_px`` (a multiple of the stride): cores equal to within a stride, at most
    ``size_px``.

    Cores start at multiples of the stride, so that pooling windows fall on the same pixels in every cut; halos are
    ``halo_px`` rounded up to the stride and end at the border, where the network's own edge padding takes over as it
    would untiled.
    """
    if length_px % stride_px:
        raise ValueError(f"length {length_px} px is not a multiple of the stride, {stride_px} px; pad the field first")
    size = max(size_px // stride_px, 1)
    halo = padded_length(halo_px, stride_px)
    units = length_px // stride_px
    count = -(-units // size)
    edges = [units * i // count * stride_px for i in range(count + 1)]
    return tuple(Span(core=(a, b), read=(max(a - halo, 0), min(b + halo, length_px))) for a, b in pairwise(edges))


def tiles(shape: tuple[int, int], *, size_px: int, halo_px: int, stride_px: int) -> Iterator[Tile]:
    """Tiles of a field of ``shape`` (Y, X), in raster order; cores cover every pixel exactly once."""
    along_x = spans(shape[1], size_px=size_px, halo_px=halo_px, stride_px=stride_px)
    for y in spans(shape[0], size_px=size_px, halo_px=halo_px, stride_px=stride_px):
        for x in along_x:
            yield Tile(y, x)


def map_tiles(
    function: Callable[[NDArray[np.float32]], NDArray[np.float32]],
    field: NDArray[np.float32],
    *,
    channels: int,
    size_px: int,
    halo_px: int,
    stride_px: int,
) -> NDArray[np.float32]:
    """Apply ``function`` (y, x) → (channels, y, x) tile by tile to a field (Y, X) and stitch the cores: (channels, Y,
    X).

    The field is first extended at its lower and right border to a multiple of the stride by repeating the edge; the
    extension is cut off the result.
    """
    return map_batches(
        lambda batch: function(batch[0])[None],
        field,
        at_once=lambda _: 1,
        channels=channels,
        size_px=size_px,
        halo_px=halo_px,
        stride_px=stride_px,
    )


def map_batches(
    function: Callable[[NDArray[np.float32]], NDArray[np.float32]],
    field: NDArray[np.float32],
    *,
    at_once: Callable[[tuple[int, int]], int],
    channels: int,
    size_px: int,
    halo_px: int,
    stride_px: int,
) -> NDArray[np.float32]:
    """As `map_tiles`, with ``function`` (B, y, x) → (B, channels, y, x) of several tiles of one shape.

    ``at_once`` says how many tiles of a shape (y, x) may be taken at a time; it is asked again before every batch.
    """
    height, width = field.shape
    shape = padded_length(height, stride_px), padded_length(width, stride_px)
    padded = field
    if shape != field.shape:
        padded = np.pad(field, ((0, shape[0] - height), (0, shape[1] - width)), mode="edge")
    cut = list(tiles(shape, size_px=size_px, halo_px=halo_px, stride_px=stride_px))
    if len(cut) == 1:
        return function(np.ascontiguousarray(padded)[None])[0, :, :height, :width]
    stitched = np.empty((channels, *shape), np.float32)
    for group in _alike(cut):
        done = 0
        while done < len(group):
            batch = group[done : done + max(at_once(group[0].read_shape), 1)]
            done += len(batch)
            found = function(np.stack([padded[tile.read] for tile in batch]))
            for tile, planes in zip(batch, found, strict=True):
                stitched[(slice(None), *tile.core)] = planes[(slice(None), *tile.core_in_read)]
    return stitched[:, :height, :width]


def _alike(every: Iterable[Tile]) -> list[list[Tile]]:
    """The tiles in groups of one shape."""
    groups: dict[tuple[int, int], list[Tile]] = {}
    for tile in every:
        groups.setdefault(tile.read_shape, []).append(tile)
    return list(groups.values())
