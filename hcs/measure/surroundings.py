"""Whose surroundings a background pixel belongs to: gap, ring, annulus, or nobody's.

With d the distance from a pixel to the nearest pixel of any nucleus, centre to centre, and that nucleus its
owner (the lowest label among equally near ones): d = 0 is a nucleus, d ≤ gap the gap, d ≤ gap + ring width
the ring, d ≤ that + local width the annulus. Hence no ring enters a nucleus, another ring, or the gap of any
nucleus.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from hcs.measure.jit import kernel
from hcs.measure.regions import Ints32, Ints64, PixelLists, Regions
from hcs.measure.settings import MeasureSettings

Bytes = NDArray[np.uint8]
Keys = NDArray[np.int32] | NDArray[np.int64]

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
    owner, zone = _zones(nuclei.dense, settings)
    if fill is not None:
        zone[fill] = NEAR
    n = len(nuclei)
    offsets, ring_indices, annulus_indices = _pixels_by_owner(owner, zone, n)
    ring, annulus = PixelLists(offsets[0], ring_indices), PixelLists(offsets[1], annulus_indices)
    margins = np.array([settings.reach_px * growth for growth in _WINDOW_GROWTH])
    margin = _choose_margins(zone, box, annulus.counts, margins, settings.local_min_px)
    if not margin.any():
        return Surroundings(ring, annulus)
    background = _background_pixels(zone, box, (annulus.offsets, annulus.indices), margin)
    return Surroundings(ring, PixelLists(*background))


def _zones(dense: Ints32, settings: MeasureSettings) -> tuple[Ints32, Bytes]:
    """Owner (0 where nobody) and zone of every pixel of ``dense`` (Y, X).

    A distance transform in two passes. Squared distance and owner share one key, distance in the upper bits,
    so that the smallest key is the nearest nucleus, and the lowest label among equally near ones, in whatever
    order candidates are met; adding the squared column offset to a key keeps that order. Keys are 32 bits
    wide where they fit, as they do in any real field, because the second pass is then twice as fast.
    """
    reach = settings.reach_px
    owner_bits = int(dense.max(initial=0)).bit_length()
    key_bits = owner_bits + (2 * reach * reach).bit_length()
    keys = np.empty(dense.shape, np.int32 if key_bits <= 30 else np.int64)
    limits = np.array([settings.ring_gap_px, settings.ring_end_px, reach], keys.dtype) ** 2
    nobody = 1 << (8 * keys.itemsize - 2)
    _column_keys(dense, keys, nobody, reach, owner_bits)
    return _nearest(keys, nobody, owner_bits, limits)


@kernel
def _column_keys(dense: Ints32, keys: Keys, nobody: int, reach: int, owner_bits: int) -> None:
    """Fill ``keys`` (Y, X) with those of the nearest nucleus pixel in the same column, at most ``reach``
    away.

    ``nobody`` is the key where there is none, larger than all others.
    """
    height, width = dense.shape
    keys[:] = nobody
    last = np.empty(width, np.int32)
    distance = np.empty(width, np.int32)
    for sweep in range(2):
        last[:] = 0
        distance[:] = reach
        for step in range(height):
            y = step if sweep == 0 else height - 1 - step
            for x in range(width):
                here = dense[y, x]
                last[x] = here if here != 0 else last[x]
                distance[x] = 0 if here != 0 else min(distance[x], reach) + 1
                key = (distance[x] * distance[x] << owner_bits) | last[x]
                keys[y, x] = min(keys[y, x], key if distance[x] <= reach else nobody)


@kernel
def _nearest(keys: Keys, nobody: int, owner_bits: int, limits: Keys) -> tuple[Ints32, Bytes]:
    """Owner and zone of every pixel, from the column keys and the zones' largest squared distances."""
    height, width = keys.shape
    reach = int(np.sqrt(limits[2]))
    owner = np.empty((height, width), np.int32)
    zone = np.empty((height, width), np.uint8)
    padded = np.empty(width + 2 * reach, keys.dtype)
    for x in range(len(padded)):
        padded[x] = nobody
    best = np.empty(width, keys.dtype)
    candidate = np.empty(width, keys.dtype)
    for y in range(height):
        for x in range(width):
            padded[reach + x] = keys[y, x]
            best[x] = nobody
        for shift in range(2 * reach + 1):
            step = (shift - reach) * (shift - reach) << owner_bits
            for x in range(width):
                # Through an array of the keys' width: in an expression numba would widen both to 64 bits.
                candidate[x] = padded[x + shift] + step
                best[x] = min(best[x], candidate[x])
        for x in range(width):
            squared = best[x] >> owner_bits
            zone[y, x] = (squared > limits[0]) + (squared > limits[1]) + (squared > limits[2])
            owner[y, x] = best[x] & ((1 << owner_bits) - 1) if squared <= limits[2] else 0
    return owner, zone


@kernel
def _pixels_by_owner(owner: Ints32, zone: Bytes, n: int) -> tuple[Ints64, Ints32, Ints32]:
    """Of the rings and of the annuli of owners 1…n the offsets, (2, n + 1), and the flat indices of their pixels, in
    row-major order."""
    owners, zones = owner.ravel(), zone.ravel()
    offsets = np.zeros((2, n + 1), np.int64)
    for k in range(len(zones)):
        if zones[k] == RING or zones[k] == ANNULUS:
            offsets[zones[k] - RING, owners[k]] += 1
    for i in range(n):
        offsets[0, i + 1] += offsets[0, i]
        offsets[1, i + 1] += offsets[1, i]
    ring, annulus = np.empty(offsets[0, n], np.int32), np.empty(offsets[1, n], np.int32)
    following = offsets.copy()
    for k in range(len(zones)):
        if zones[k] == RING:
            i = owners[k] - 1
            ring[following[0, i]] = k
            following[0, i] += 1
        elif zones[k] == ANNULUS:
            i = owners[k] - 1
            annulus[following[1, i]] = k
            following[1, i] += 1
    return offsets, ring, annulus


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
