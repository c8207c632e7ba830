"""Whose surroundings a background pixel belongs to: gap, ring, annulus, or nobody's.

With d the distance from a pixel to the nearest pixel of any nucleus, centre to centre, and that nucleus its
owner (the lowest label among equally near ones): d = 0 is a nucleus, d ≤ gap the gap, d ≤ gap + ring width
the ring, d ≤ that + local width the annulus. Hence no ring enters a nucleus, another ring, or the gap of any
nucleus.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from hcs.measure.jit import kernel
from hcs.measure.regions import Ints32, Ints64, PixelLists, Regions
from hcs.measure.settings import MeasureSettings

Bytes = NDArray[np.uint8]
Keys = NDArray[Any]
"""Of 32 bits, or of 64."""

NEAR, RING, ANNULUS, FAR = 0, 1, 2, 3
"""Zones of a field: nucleus or gap, ring, annulus, and beyond every annulus."""

_WINDOW_GROWTH = (1, 2, 4)


@dataclass(frozen=True, slots=True)
class Surroundings:
    """Pixels around n nuclei: the ring, and those from which the local background is taken.

    ``background`` is the nucleus's own annulus; for a nucleus whose annulus is too small all pixels outside
    nuclei, gaps and rings in a window around it; and empty where even the widest window holds too few.
    """

    ring: PixelLists
    background: PixelLists


def find_surroundings(
    nuclei: Regions, box: Ints64, settings: MeasureSettings, *, fill: NDArray[np.bool_] | None = None
) -> Surroundings:
    """Rings and local background pixels of all nuclei, whose boxes are ``box`` (n, 4) of y0, x0, y1, x1.

    The window is the box grown on each side by ``settings.reach_px``, then twice and four times that, until
    it holds ``settings.local_min_px`` pixels. Pixels of ``fill`` (Y, X) are nobody's.
    """
    zone, places, slots = _zones(nuclei.dense, settings, fill)
    n = len(nuclei)
    offsets, indices = _listed(places, slots, n)
    between = int(offsets[n])
    ring = PixelLists(offsets[: n + 1], indices[:between])
    annulus = PixelLists(offsets[n:] - between, indices[between:])
    margins = np.array([settings.reach_px * growth for growth in _WINDOW_GROWTH])
    margin = _choose_margins(zone, box, annulus.counts, margins, settings.local_min_px)
    if not margin.any():
        return Surroundings(ring, annulus)
    background = _background_pixels(zone, box, (annulus.offsets, annulus.indices), margin)
    return Surroundings(ring, PixelLists(*background))


def _zones(dense: Ints32, settings: MeasureSettings, fill: NDArray[np.bool_] | None) -> tuple[Bytes, Ints32, Ints32]:
    """Zone of every pixel of ``dense`` (Y, X); of the pixels of rings and annuli their places, in raster order, and
    their slots: owner 1…n less 1 in a ring, and n more in an annulus. ``fill`` is nobody's.

    A distance transform in two passes. Squared distance and owner share one key, distance in the upper bits,
    so that the smallest key is the nearest nucleus, and the lowest label among equally near ones, in whatever
    order candidates are met; adding the squared column offset to a key keeps that order. Keys are 32 bits
    wide where they fit, as they do in any real field, because the second pass is then twice as fast.
    """
    reach = settings.reach_px
    n = int(dense.max(initial=0))
    owner_bits = n.bit_length()
    key_bits = owner_bits + (2 * reach * reach).bit_length()
    wide: Any = np.int32 if key_bits <= 30 else np.int64
    keys = np.empty(dense.shape, wide)
    # The least keys of the zones beyond nucleus and gap, ring, and annulus.
    limits = ((np.array([settings.ring_gap_px, settings.ring_end_px, reach], wide) ** 2 + 1) << owner_bits).astype(wide)
    nobody = 1 << (8 * keys.itemsize - 2)
    told = (wide(nobody), wide(owner_bits), reach)
    _column_keys(dense, keys, told, wide)
    return _nearest(keys, np.zeros((0, 0), np.bool_) if fill is None else fill, limits, (*told, n), wide)


@kernel
def _column_keys(dense: Ints32, keys: Keys, told: tuple[Any, Any, int], wide: Any) -> None:
    """Fill ``keys`` (Y, X), whose type is ``wide``, with those of the nearest nucleus pixel in the same column.

    ``told`` are the key where there is none within reach, larger than all others, the owner's bits, and the reach.
    """
    nobody, _, reach = told
    height, width = dense.shape
    last, distance = np.empty(width, np.int32), np.empty(width, np.int32)
    for sweep in range(2):
        last[:] = 0
        distance[:] = reach + 1
        for step in range(height):
            y = step if sweep == 0 else height - 1 - step
            if sweep == 0:
                keys[y] = nobody
            _pass_row((dense[y], last, distance), keys[y], told, np.int32(reach + 1), wide)


@kernel
def _lesser(a: Any, b: Any) -> Any:
    """The smaller of two; numba's own widens 32 bits to 64."""
    return a if a < b else b


@kernel
def _pass_row(rows: tuple[Ints32, Ints32, Ints32], keys: Keys, told: tuple[Any, Any, int], far: Any, wide: Any) -> None:
    """Lower a row's ``keys`` to those of the last label met in every column; ``rows`` are its labels, the last ones,
    and the steps since then, up to ``far``, from where it is nobody's."""
    nobody, owner_bits, _ = told
    row, last, distance = rows
    nothing, one = np.int32(0), np.int32(1)
    for x in range(len(row)):
        here = row[x]
        steps = nothing if here != 0 else _lesser(np.int32(distance[x] + one), far)
        label = here if here != 0 else last[x]
        distance[x], last[x] = steps, label
        key = wide(wide(wide(wide(steps) * wide(steps)) << owner_bits) | wide(label))
        keys[x] = _lesser(keys[x], key if steps < far else nobody)


@kernel
def _nearest(
    keys: Keys, fill: NDArray[np.bool_], limits: Keys, told: tuple[Any, Any, int, int], wide: Any
) -> tuple[Bytes, Ints32, Ints32]:
    """Zones, places and slots, see `_zones`, from the column keys. ``limits`` are the least keys of zones beyond the
    first; ``told`` are as of `_column_keys`, and the number of nuclei."""
    nobody, owner_bits, reach, n = told
    height, width = keys.shape
    zone = np.empty((height, width), np.uint8)
    places, slots = np.empty(height * width, np.int32), np.empty(height * width, np.int32)
    padded = np.full(width + 2 * reach, nobody, keys.dtype)
    best = np.empty(width, keys.dtype)
    owners, count = (1 << owner_bits) - 1, 0
    for y in range(height):
        padded[reach : reach + width] = keys[y]
        best[:] = keys[y]
        for k in range(1, reach, 2):  # two columns on either side at a time
            nearer, farther = wide(wide(k * k) << owner_bits), wide(wide((k + 1) * (k + 1)) << owner_bits)
            sides = padded[reach - k :], padded[reach + k :], padded[reach - k - 1 :], padded[reach + k + 1 :]
            _look_at(sides, best, nearer, farther, wide)
        if reach % 2:
            nearer = wide(wide(reach * reach) << owner_bits)
            _look_at((padded, padded[2 * reach :], padded, padded[2 * reach :]), best, nearer, nearer, wide)
        row = zone[y]
        for x in range(width):
            row[x] = np.uint8(best[x] >= limits[0]) + np.uint8(best[x] >= limits[1]) + np.uint8(best[x] >= limits[2])
        if len(fill):
            for x in range(width):
                row[x] = NEAR if fill[y, x] else row[x]
        for x in range(width):
            places[count] = y * width + x
            slots[count] = (best[x] & owners) - 1 + (n if row[x] == ANNULUS else 0)
            count += (row[x] == RING) | (row[x] == ANNULUS)
    return zone, places[:count], slots[:count]


@kernel
def _look_at(sides: tuple[Keys, Keys, Keys, Keys], best: Keys, nearer: Any, farther: Any, wide: Any) -> None:
    """Take the best of what is known and of two columns on either side, whose distances are to be added."""
    left, right, far_left, far_right = sides
    for x in range(len(best)):
        near = wide(_lesser(left[x], right[x]) + nearer)
        far = wide(_lesser(far_left[x], far_right[x]) + farther)
        best[x] = _lesser(best[x], _lesser(near, far))


@kernel
def _listed(places: Ints32, slots: Ints32, n: int) -> tuple[Ints64, Ints32]:
    """Of 2n slots the offsets (2n + 1,) and the places, slot by slot, in the order given.

    In quarters side by side, each with counts of its own: neighbours have one slot, and would wait for each other.
    """
    quarter = len(places) // 4
    counts = np.zeros((4, 2 * n), np.int32)
    for k in range(quarter):
        counts[0, slots[k]] += 1
        counts[1, slots[quarter + k]] += 1
        counts[2, slots[2 * quarter + k]] += 1
        counts[3, slots[3 * quarter + k]] += 1
    for k in range(4 * quarter, len(places)):
        counts[3, slots[k]] += 1
    offsets = np.zeros(2 * n + 1, np.int64)
    for i in range(2 * n):
        total = offsets[i]
        for part in range(4):
            size = counts[part, i]
            counts[part, i] = total
            total += size
        offsets[i + 1] = total
    indices = np.empty(len(places), np.int32)
    for k in range(quarter):
        for part in range(4):
            i = part * quarter + k
            at = counts[part, slots[i]]
            indices[at] = places[i]
            counts[part, slots[i]] = at + 1
    for k in range(4 * quarter, len(places)):
        at = counts[3, slots[k]]
        indices[at] = places[k]
        counts[3, slots[k]] = at + 1
    return offsets, indices


@kernel
def _choose_margins(zone: Bytes, box: Ints64, counts: Ints64, margins: Ints64, least: int) -> Ints64:
    """For each nucleus the smallest of ``margins`` whose window holds ``least`` pixels, (n,).

    0 where its annulus of ``counts`` pixels will do, -1 where no window does.
    """
    chosen = np.zeros(len(counts), np.int64)
    for i in range(len(counts)):
        if counts[i] >= least:
            continue
        chosen[i] = -1
        for margin in margins:
            if _count_background(zone, box[i], margin) >= least:
                chosen[i] = margin
                break
    return chosen


@kernel
def _background_pixels(
    zone: Bytes, box: Ints64, annulus: tuple[Ints64, Ints32], margin: Ints64
) -> tuple[Ints64, Ints32]:
    """Offsets and flat indices of each nucleus's annulus (margin 0), window (above 0) or nothing (below
    0)."""
    n, width = len(margin), zone.shape[1]
    own, own_indices = annulus
    offsets = np.zeros(n + 1, np.int64)
    for i in range(n):
        count = own[i + 1] - own[i] if margin[i] == 0 else 0
        offsets[i + 1] = offsets[i] + (_count_background(zone, box[i], margin[i]) if margin[i] > 0 else count)
    indices = np.empty(offsets[n], np.int32)
    for i in range(n):
        k = offsets[i]
        if margin[i] == 0:
            for own_k in range(own[i], own[i + 1]):
                indices[k + own_k - own[i]] = own_indices[own_k]
        if margin[i] <= 0:
            continue
        y0, x0, y1, x1 = _window(zone, box[i], margin[i])
        for y in range(y0, y1):
            for x in range(x0, x1):
                if zone[y, x] >= ANNULUS:
                    indices[k] = y * width + x
                    k += 1
    return offsets, indices


@kernel
def _window(zone: Bytes, box: Ints64, margin: int) -> tuple[int, int, int, int]:
    """``box`` grown by ``margin``, cut at the field's edge: y0, x0, y1, x1."""
    height, width = zone.shape
    return (
        max(box[0] - margin, 0),
        max(box[1] - margin, 0),
        min(box[2] + margin, height),
        min(box[3] + margin, width),
    )


@kernel
def _count_background(zone: Bytes, box: Ints64, margin: int) -> int:
    """Number of pixels outside nuclei, gaps and rings in the box grown by ``margin``."""
    y0, x0, y1, x1 = _window(zone, box, margin)
    count = 0
    for y in range(y0, y1):
        for x in range(x0, x1):
            count += zone[y, x] >= ANNULUS
    return count
