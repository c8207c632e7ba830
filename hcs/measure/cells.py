"""Whole cells, grown from their nuclei through the pixels of a cytoplasm or sensor channel."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from hcs.measure.contours import contoured
from hcs.measure.intensity import Floats, Floats32, as_float32
from hcs.measure.intensity import _gather as gather
from hcs.measure.jit import kernel
from hcs.measure.ranks import select
from hcs.measure.regions import Ints32, Ints64, PixelLists, Regions
from hcs.measure.settings import CellSettings

_STRAIGHT = 5
"""Length of a step to a pixel beside, in fifths of a pixel; across a corner it is 7."""
_STEEPEST = 1000
"""Largest length of a step, in fifths of a pixel."""
_TILE_PX = 512
"""Side of a tile; with its surroundings it has 3 MB."""
_N_BUCKETS = 2**10
"""More than the longest step."""
_OWNERS = _VALUES = 2**24 - 1
_NOISES = 4.0
_LEFT_OF_NOISE = 70 / 256
"""Standard deviation of a smoothed pixel's noise over that of a pixel."""
_MANY = 5
"""Neighbours of eight in one cell that make a pixel that cell's."""


def grow_cells(
    nuclei: Regions,
    ring: PixelLists,
    plane: NDArray[np.generic],
    *,
    background: float,
    settings: CellSettings,
    fill: NDArray[np.bool_] | None = None,
    closed: NDArray[np.bool_] | None = None,
    territory: Floats32 | None = None,
) -> Ints32:
    """The cells (Y, X) of all nuclei, numbered as ``nuclei.dense``, in one channel (Y, X) whose field has this
    ``background``.

    Every cell holds its nucleus, is one piece with it, and no pixel has two cells. A pixel may be a cell's where it
    rises above the background by ``settings.threshold`` of the cell's own level, the upper quartile of its ring, and by
    four standard deviations of the noise there, all after smoothing; and where the cell has it on most sides. A pixel
    that several cells may take is the cell's to which the shortest path leads, along which a change of intensity counts
    as a way of its own (after Jones, Carpenter & Golland, "Voronoi-based segmentation of cells on image manifolds",
    2005); of equally long ones, the lower label's. A nucleus without a ring, or whose ring is not so clearly above the
    background, is its own cell.

    No path is longer than ``reach_px``. What a pixel is depends therefore on nothing farther from it than that, but the
    levels of the nuclei there: a part of a field that is so much larger gives the cells of the whole. Pixels of
    ``fill`` (Y, X) are no cell's; nuclei that are ``closed`` (n,) do not grow.

    With a ``territory`` (Y, X), which a network told of the channel (`hcs.segment.territory`), that takes the channel's
    place: every nucleus may take what is not below 0, and a pixel of 1, the boundary between cells, counts for
    ``boundary`` pixels of way more.
    """
    if territory is not None:
        return _grown_in(territory, nuclei, settings=settings, fill=fill, closed=closed)
    pixels = as_float32(plane)
    smooth = smoothed(pixels)
    level, noise = _levels(smooth.ravel(), pixels.ravel(), ring.offsets, ring.indices).T
    level -= background
    clear = np.maximum(settings.least_signal, _NOISES * _LEFT_OF_NOISE * noise)
    grows = np.isfinite(level) & (level > clear)
    if closed is not None:
        grows &= ~closed
    level = np.where(grows, level, 1.0)
    least = background + np.maximum(settings.threshold * level, clear)
    dear = _STRAIGHT * settings.edge_px / level
    reach_px = settings.reach_px
    cells = _grown(smooth, nuclei, grows, least=least, dear=dear, reach_px=reach_px, fill=fill, toll=False)
    if settings.method == "contours":
        return contoured(cells, nuclei.dense, smooth, np.where(grows, level, 0.0), background)
    return cells


def _grown_in(
    territory: Floats32,
    nuclei: Regions,
    *,
    settings: CellSettings,
    fill: NDArray[np.bool_] | None,
    closed: NDArray[np.bool_] | None,
) -> Ints32:
    """The cells (Y, X) on the ground that a network told."""
    n = len(nuclei)
    grows = np.ones(n, np.bool_) if closed is None else ~closed
    tolls = np.full(n, settings.boundary)
    cells = _grown(
        territory, nuclei, grows, least=np.zeros(n), dear=tolls, reach_px=settings.way_px, fill=fill, toll=True
    )
    if settings.method == "contours":
        inside = np.where(territory < 0, np.float32(0.0), np.float32(1.0) - territory)
        return contoured(cells, nuclei.dense, inside, grows.astype(np.float64), 0.0)
    return cells


def _grown(
    ground: Floats32,
    nuclei: Regions,
    grows: NDArray[np.bool_],
    *,
    least: Floats,
    dear: Floats,
    reach_px: int,
    fill: NDArray[np.bool_] | None,
    toll: bool,
) -> Ints32:
    """Cells (Y, X) of the nuclei that grow, each through ``ground`` (Y, X) not below its ``least``. A change of one
    there counts for ``dear`` fifths of a pixel; as a ``toll``, a pixel of one counts for ``dear`` pixels more. None has
    a pixel of ``fill``, or a pinhole."""
    cells = _grow_all(
        ground,
        nuclei.dense,
        np.zeros((0, 0), np.bool_) if fill is None else fill,
        (
            np.append(np.inf, np.where(grows, least, np.inf)).astype(np.float32),
            np.append(0.0, dear).astype(np.float32),
        ),
        (reach_px, max(_TILE_PX, 3 * reach_px), toll),
    )
    cells = _without_pinholes(cells, np.append(0.0, grows) > 0)
    if fill is not None:
        cells[fill] = 0
    return cells


def grown_through(
    terrain: Floats32, nuclei: Ints32, steepness: Floats32, closed: NDArray[np.bool_], *, reach_px: int
) -> Ints32:
    """The nucleus (Y, X) from which the shortest path leads to each pixel, none longer than ``reach_px``, and none
    through pixels that are ``closed`` (Y, X); 0 where none leads.

    ``nuclei`` (Y, X) are 1…n. A step of one in the ``terrain`` (Y, X) counts for ``steepness`` (1 + n,), by nucleus, in
    fifths of a pixel.
    """
    least = np.full(len(steepness), np.finfo(np.float32).min, np.float32)
    least[0] = np.inf
    return _grow_all(terrain, nuclei, closed, (least, steepness), (reach_px, max(_TILE_PX, 3 * reach_px), False))


@kernel
def smoothed(pixels: Floats32) -> Floats32:
    """An image (Y, X) after the binomial filter of 5 × 5 pixels, a standard deviation of 1 px; pixels beyond the edge
    are those at the edge. Of whole numbers up to 2¹⁶ the sums are exact."""
    height, width = pixels.shape
    result = np.empty((height, width), np.float32)
    row = np.empty(width + 4, np.float32)
    for y in range(height):
        a, b = max(y - 2, 0), max(y - 1, 0)
        c, d = min(y + 1, height - 1), min(y + 2, height - 1)
        for x in range(width):
            outer, inner = pixels[a, x] + pixels[d, x], pixels[b, x] + pixels[c, x]
            row[x + 2] = np.float32(outer + np.float32(4) * inner) + np.float32(6) * pixels[y, x]
        row[0] = row[1] = row[2]
        row[width + 2] = row[width + 3] = row[width + 1]
        for x in range(width):
            outer, inner = row[x] + row[x + 4], row[x + 1] + row[x + 3]
            result[y, x] = (np.float32(outer + np.float32(4) * inner) + np.float32(6) * row[x + 2]) * np.float32(
                1.0 / 256.0
            )
    return result


@kernel
def _levels(smooth: Floats32, values: Floats32, offsets: Ints64, indices: Ints32) -> Floats:
    """(n, 2) of the upper quartile of each list's smoothed pixels, and of the standard deviation of the noise, of
    differences between neighbours in a row; NaN of none."""
    n = len(offsets) - 1
    levels = np.full((n, 2), np.nan)
    counts = np.empty(_N_BUCKETS, np.int32)
    for i in range(n):
        start, stop = offsets[i], offsets[i + 1]
        if stop == start:
            continue
        region = gather(smooth, indices, start, stop)
        levels[i, 0] = select(region, 0, 3 * (stop - start - 1) // 4)
        steps, m = np.zeros(stop - start, np.float32), 0
        for k in range(start + 1, stop):
            if indices[k] == indices[k - 1] + 1:
                steps[m] = abs(values[indices[k]] - values[indices[k - 1]])
                m += 1
        # The median of |difference| of two values with Gaussian noise is 0.6745 √2 of its standard deviation.
        levels[i, 1] = _of_rank(steps[:m], m // 2, counts) / 0.9539 if m > 0 else 0.0
    return levels


@kernel
def _of_rank(steps: Floats32, rank: int, counts: Ints32) -> float:
    """The value of this rank; of whole numbers that are not large by how often each occurs, which is sooner."""
    whole = True
    for step in steps:
        whole &= step < len(counts) and np.floor(step) == step
    if not whole:
        return select(steps, 0, rank)
    counts[:] = 0
    for step in steps:
        counts[int(step)] += 1
    below, value = 0, 0
    while below + counts[value] <= rank:
        below += counts[value]
        value += 1
    return float(value)


@kernel
def _grow_all(
    values: Floats32,
    dense: Ints32,
    fill: NDArray[np.bool_],
    told: tuple[Floats32, Floats32],
    spans: tuple[int, int, bool],
) -> Ints32:
    """Owner of every pixel; ``told`` are by label the least value, and the way that a grey level counts for, ``spans``
    how far a path reaches, the side of a tile, and whether values are a toll.

    Tile by tile, each with its surroundings as far as paths reach: the same owners, and a third of the time, for what
    a tile needs fits into a core's cache.
    """
    height, width = values.shape
    reach_px, side, toll = spans
    owners = np.empty((height, width), np.int32)
    for y in range(0, height, side):
        for x in range(0, width, side):
            y0, x0 = max(y - reach_px, 0), max(x - reach_px, 0)
            y1, x1 = min(y + side + reach_px, height), min(x + side + reach_px, width)
            bottom, right = min(y + side, height), min(x + side, width)
            words = _words(values, dense, fill, (y0, x0, y1, x1), ((y, x, bottom, right), _STRAIGHT * reach_px))
            _grow(words, dense[y0:y1, x0:x1], told, (_STRAIGHT * reach_px, toll))
            for v in range(y, bottom):
                for u in range(x, right):
                    word = words[(v - y0 + 1) * (x1 - x0 + 2) + u - x0 + 1]
                    owners[v, u] = (word >> 24) & _OWNERS
    return owners


@kernel
def _words(
    values: Floats32,
    dense: Ints32,
    fill: NDArray[np.bool_],
    tile: tuple[int, int, int, int],
    around: tuple[tuple[int, int, int, int], int],
) -> Ints64:
    """A word for every pixel of a tile and those around the tile: 16 bits of way, 24 of owner, 24 of value.

    A pixel that is nobody's starts with a way just longer than any that matters; ``around`` are the tile's core and how
    long that may be in it. Beside it, it is less by what still lies between the pixel and the core.
    """
    y0, x0, y1, x1 = tile
    (top, left, bottom, right), reach = around
    words = np.zeros((y1 - y0 + 2, x1 - x0 + 2), np.int64)
    held = fill.size > 0
    bits = values.view(np.uint32)
    for y in range(y0, y1):
        beside = max(top - y, y - bottom + 1, 0)
        for x in range(x0, x1):
            owner = np.int64(dense[y, x])
            if owner == 0 and not (held and fill[y, x]):
                away = max(beside, left - x, x - right + 1)
                owner = np.int64(max(reach - _STRAIGHT * away + 1, 0)) << 24
            words[y - y0 + 1, x - x0 + 1] = (owner << 24) | np.int64(bits[y, x] >> np.uint32(8))
    return words.ravel()


@kernel
def _grow(words: Ints64, dense: Ints32, told: tuple[Floats32, Floats32], rule: tuple[int, bool]) -> None:
    """Bring to every pixel of one tile, in ``words``, its shortest way and that way's owner; the ``rule`` is how long
    it may be, and whether values are a toll for every length of way, or their changes count.

    Dijkstra's algorithm from all nuclei at once. Lengths are whole numbers, so that a bucket for each keeps the fronts
    in order (Dial 1969), and a step is five at least, so that no pixel changes once its bucket's turn has come. All
    that is known of a pixel is one word, for the time goes into fetching it: its way, its owner, and its value without
    the last eight bits. Most neighbours have a way that no step could shorten, which is one comparison of words.
    """
    width = dense.shape[1]
    least, per_level = told
    reach, toll = rule
    steps = np.array([-width - 3, -width - 2, -width - 1, -1, 1, width + 1, width + 2, width + 3])
    forth = steps.astype(np.uint64)  # an index without a sign needs no look whether it counts from the end
    lengths = np.array([7, 5, 7, 5, 5, 7, 5, 7])
    heads = np.full(_N_BUCKETS, -1, np.int32)
    entries = np.empty((9 * words.size, 2), np.int32)  # no pixel is put more often; memory that nothing touches is free
    waiting = used = _put_rims(words, dense, least, steps, (entries, heads))
    spare, length = -1, -1
    while waiting > 0 and length < reach - _STRAIGHT:
        length += 1
        bucket = length % _N_BUCKETS
        while heads[bucket] >= 0:
            entry = heads[bucket]
            heads[bucket] = entries[entry, 1]
            entries[entry, 1] = spare
            spare = entry
            waiting -= 1
            k = np.uint64(entries[entry, 0])
            word = words[k]
            if word >> 48 != length:
                continue
            mine = np.uint64((word >> 24) & _OWNERS)
            here, floor, dear = _value(word), least[mine], per_level[mine]
            for s in range(8):
                q = k + forth[s]
                known = words[q]
                if known <= (word | _VALUES) + (lengths[s] << 48):
                    continue
                there = _value(known)
                more = lengths[s] * there if toll else abs(there - here)
                further = length + min(lengths[s] + int(more * dear), _STEEPEST)
                claim = (further << 24) | np.int64(mine)
                if there < floor or claim >= known >> 24:
                    continue
                words[q] = (claim << 24) | (known & _VALUES)
                if known >> 48 == further:
                    continue
                entry = spare
                if entry >= 0:
                    spare = entries[entry, 1]
                else:
                    entry = used
                    used += 1
                entries[entry, 0], entries[entry, 1] = q, heads[further % _N_BUCKETS]
                heads[further % _N_BUCKETS] = entry
                waiting += 1


@kernel
def _value(word: int) -> float:
    """The value in a pixel's word."""
    return float(np.uint32((word & _VALUES) << 8).view(np.float32))


@kernel
def _put_rims(words: Ints64, dense: Ints32, least: Floats32, steps: Ints64, fronts: tuple[Ints32, Ints32]) -> int:
    """Put the pixels at the rims of nuclei that grow into the first bucket, and tell how many; entries (n, 2) are pixel
    and next entry."""
    height, width = dense.shape
    entries, heads = fronts
    used = 0
    for y in range(height):
        for x in range(width):
            if dense[y, x] == 0 or not np.isfinite(least[dense[y, x]]):
                continue
            k = (y + 1) * (width + 2) + x + 1
            for step in steps:
                if words[k + step] >> 48 > 0:
                    entries[used, 0], entries[used, 1] = k, heads[0]
                    heads[0] = used
                    used += 1
                    break
    return used


@kernel
def _without_pinholes(cells: Ints32, grows: NDArray[np.bool_]) -> Ints32:
    """The cells (Y, X) with every pixel of nobody's taken that has `_MANY` neighbours of one cell that ``grows``."""
    height, width = cells.shape
    result = cells.copy()
    for y in range(1, height - 1):
        for x in range(1, width - 1):
            if cells[y, x] > 0 or (cells[y - 1, x] == 0) + (cells[y + 1, x] == 0) + (cells[y, x - 1] == 0) > 2:
                continue
            for dy, dx in ((-1, 0), (1, 0), (0, -1), (0, 1)):
                mine, count = cells[y + dy, x + dx], 0
                if mine > 0 and grows[mine]:
                    for ny in range(y - 1, y + 2):
                        for nx in range(x - 1, x + 2):
                            count += cells[ny, nx] == mine
                if count >= _MANY:
                    result[y, x] = mine
                    break
    return result
