"""What a CUDA device does with pixels to find nuclei: kernels for `numba.cuda`, each one launch.

Every kernel visits all pixels, ``n`` of them in raster order, its threads in strides, so that any grid gives the same.
None relies on an order of threads or blocks: within a launch a thread writes what is its own pixel's, or by atomic
minimum, maximum and integer sum, whose results do not depend on order; or all who write a place write one value there.
What one launch wrote the next one reads. That is why growth takes a launch a round, and a level of the cores three.

Pieces are sets joined by `_unite`: ``parent`` leads from each pixel to a lower one, and at the end to the lowest of its
piece, whichever way the threads came. So a piece bears the place of its first pixel in raster order, and pieces are
ordered as the CPU's are. A side of ``TILE`` pixels is joined inside first and to others after that, which keeps the
ways short.

One file, because the simulator replaces ``cuda`` a file at a time.
"""

from __future__ import annotations

from typing import Any

import numpy as np
from numba import cuda

TILE = 32
"""Side of a square of pixels that are joined among themselves first."""
NONE = -1
"""No pixel."""
OUTSIDE, OPEN = -2, -1
"""Of a pixel where nothing grows, and of one that growth has not reached yet."""
FIXED = 2.0**36
"""Confidences are added up as whole numbers of its parts: any order gives the same sum, which fits 63 bits below 2²⁷
pixels. It is exact but for confidences below 2⁻¹³, as the CPU's sum in raster order is."""
MOST_PX = 2**27 - 1
"""Pixels of which sums fit."""

Array = Any
"""A device array of one dimension; the simulator's, or numba's own."""


@cuda.jit(device=True)
def _root(parent: Array, i: int) -> int:
    """Lowest pixel that ``i`` leads to; the way there is halved.

    Other threads may join and halve meanwhile. A value read may be old, yet whatever ``parent[i]`` ever held is of the
    piece of ``i``, and below it: so the way ends, and a store here joins nothing that is apart. Nor does it part what
    was joined: it replaces what another thread put there since, but that thread was told what it displaced, and joins
    both itself (`_unite`).
    """
    up = parent[i]
    while up != i:
        over = parent[up]
        parent[i] = over
        i = over
        up = parent[i]
    return i


@cuda.jit(device=True)
def _unite(parent: Array, a: int, b: int) -> None:
    """Join the pieces of two pixels.

    The higher root is to lead to the lower one. If it is no root any more when the atomic minimum reaches it, what it
    led to is returned, and is joined in its stead. The higher of both pixels falls in every round: the loop ends.
    """
    a, b = _root(parent, a), _root(parent, b)
    while a != b:
        if a < b:
            a, b = b, a
        held = cuda.atomic.min(parent, a, b)
        if held == a:
            return
        a, b = _root(parent, held), _root(parent, b)


@cuda.jit(cache=True)
def find_foreground(background: Array, limit: float, mask: Array) -> None:
    """Where the probability of background is below ``limit``."""
    for i in range(cuda.grid(1), mask.size, cuda.gridsize(1)):
        mask[i] = background[i] < limit


@cuda.jit(cache=True)
def begin_runs(mask: Array, wanted: int, width: int, parent: Array, area: Array) -> None:
    """Every pixel whose ``mask`` is ``wanted`` leads to the first of its run of such in a row of its tile; areas are
    0."""
    for i in range(cuda.grid(1), mask.size, cuda.gridsize(1)):
        area[i] = 0
        first = NONE
        if mask[i] == wanted:
            first, start = i, i - (i % width) % TILE
            while first > start and mask[first - 1] == wanted:
                first -= 1
        parent[i] = first


@cuda.jit(cache=True)
def join_runs(mask: Array, wanted: int, width: int, corners: int, across: int, parent: Array) -> None:
    """Join runs over the sides of their pixels, and over the ``corners`` if asked, in tiles or ``across`` their edges.

    Nothing is done over what is joined by way of a neighbour: to the left, above that, and back.
    """
    for i in range(cuda.grid(1), mask.size, cuda.gridsize(1)):
        if mask[i] != wanted:
            continue
        y, x = i // width, i % width
        left = x > 0 and mask[i - 1] == wanted
        if left and across and x % TILE == 0:
            _unite(parent, i, i - 1)
        if y == 0 or (y % TILE == 0) != (across != 0):
            continue
        over = i - width
        left_over = x > 0 and mask[over - 1] == wanted
        if mask[over] == wanted:
            if not (left and left_over):
                _unite(parent, i, over)
        elif corners:
            if left_over and not left:
                _unite(parent, i, over - 1)
            right = x < width - 1 and mask[i + 1] == wanted
            if x < width - 1 and mask[over + 1] == wanted and not right:
                _unite(parent, i, over + 1)


@cuda.jit(cache=True)
def flatten(parent: Array) -> None:
    """Every pixel leads to its root at once."""
    for i in range(cuda.grid(1), parent.size, cuda.gridsize(1)):
        if parent[i] != NONE:
            parent[i] = _root(parent, i)


@cuda.jit(cache=True)
def weigh_holes(mask: Array, width: int, parent: Array, max_px: int, area: Array) -> None:
    """Pixels of each piece outside ``mask``, or more than ``max_px`` of those that are larger or touch the border.

    Whatever is seen of a sum that grows, one above the limit stays there: a run may be left out then.
    """
    last = mask.size - width
    for i in range(cuda.grid(1), mask.size, cuda.gridsize(1)):
        x = i % width
        if mask[i] or (x % TILE > 0 and not mask[i - 1]):
            continue
        end, until = i + 1, i - x + min(x - x % TILE + TILE, width)
        while end < until and not mask[end]:
            end += 1
        piece = parent[i]
        if area[piece] > max_px:
            continue
        if i < width or i >= last or x == 0 or end == i - x + width:
            cuda.atomic.max(area, piece, max_px + 1)
        else:
            cuda.atomic.add(area, piece, end - i)


@cuda.jit(cache=True)
def fill_holes(parent: Array, area: Array, max_px: int, mask: Array) -> None:
    """Pieces outside ``mask`` of up to ``max_px`` pixels become part of it."""
    for i in range(cuda.grid(1), mask.size, cuda.gridsize(1)):
        if not mask[i] and area[parent[i]] <= max_px:
            mask[i] = 1


@cuda.jit(cache=True)
def begin_cores(
    interior: Array,
    mask: Array,
    thresholds: Array,
    reached: Array,
    parent: Array,
    up: Array,
    area: Array,
    apart: Array,
    died: Array,
    core: Array,
) -> None:
    """How many thresholds each pixel of ``mask`` exceeds; every pixel a piece of its own, of which nothing is known."""
    for i in range(cuda.grid(1), mask.size, cuda.gridsize(1)):
        k = 0
        if mask[i]:
            while k < thresholds.size and interior[i] > thresholds[k]:
                k += 1
        reached[i] = k
        parent[i] = i
        up[i] = NONE
        area[i] = 0
        apart[i] = 0
        died[i] = 0
        core[i] = 0


@cuda.jit(cache=True)
def join_level(reached: Array, k: int, width: int, across: int, parent: Array, parts: Array) -> None:
    """Join the pixels of level ``k`` to their neighbours of this level and of higher ones, in tiles or ``across`` their
    edges; no piece has parts yet."""
    for i in range(cuda.grid(1), reached.size, cuda.gridsize(1)):
        if reached[i] < k:
            continue
        if not across:
            parts[i] = 0
        if reached[i] > k:
            continue
        y, x = i // width, i % width
        left = x > 0 and reached[i - 1] >= k
        if left and (x % TILE == 0) == (across != 0):
            _unite(parent, i, i - 1)
        if x < width - 1 and reached[i + 1] > k and (x % TILE == TILE - 1) == (across != 0):
            _unite(parent, i, i + 1)
        over, under = i - width, i + width
        # By way of the left where that is there: neighbours of this level and above are joined by all this.
        wanted = y > 0 and reached[over] >= k and not (left and reached[over - 1] >= k)
        if wanted and (y % TILE == 0) == (across != 0):
            _unite(parent, i, over)
        wanted = under < reached.size and reached[under] > k and not (left and reached[under - 1] >= k)
        if wanted and (y % TILE == TILE - 1) == (across != 0):
            _unite(parent, i, under)


@cuda.jit(cache=True)
def count_parts(
    reached: Array, k: int, up: Array, area: Array, apart: Array, least_px: int, parent: Array, parts: Array
) -> None:
    """Of every piece of level ``k``, how many pieces of the level above in it can stand: have ``least_px`` pixels, or
    came apart into such."""
    for i in range(cuda.grid(1), reached.size, cuda.gridsize(1)):
        if reached[i] > k and up[i] == i and (apart[i] or area[i] >= least_px):
            cuda.atomic.add(parts, _root(parent, i), 1)


@cuda.jit(cache=True)
def settle_level(
    reached: Array,
    k: int,
    width: int,
    parts: Array,
    least_px: int,
    parent: Array,
    up: Array,
    area: Array,
    apart: Array,
    died: Array,
    core: Array,
) -> None:
    """Pixels and pieces become part of the piece of level ``k`` that they are in: ``up`` says which, ``died`` when.

    Of two or more parts that can stand each is a core, and what holds them is none: ``apart`` bears the level at which
    it came to that, the highest. Otherwise areas are added. A part is known by its root; the root of the whole may be
    one of the parts, and its place then stands for both, told apart by that level.

    No thread reads what another writes: areas are read where there are several parts, and added to where there are not;
    ``apart`` is compared with levels above ``k``, and whoever writes it in this launch writes ``k``.
    """
    for i in range(cuda.grid(1), reached.size, cuda.gridsize(1)):
        if reached[i] == k:
            whole = _root(parent, i)
            up[i] = whole
            x = i % width
            if parts[whole] <= 1 and (x % TILE == 0 or reached[i - 1] != k):
                end, until = i + 1, i - x + min(x - x % TILE + TILE, width)
                while end < until and reached[end] == k:
                    end += 1
                cuda.atomic.add(area, whole, end - i)
        elif reached[i] > k and up[i] == i:
            whole = _root(parent, i)
            before = apart[i] > k
            if parts[whole] > 1:
                if not before and area[i] >= least_px:
                    core[i] = 1
                if not apart[whole]:
                    apart[whole] = k
            elif before:
                if not apart[whole]:
                    apart[whole] = k
            elif i != whole:
                cuda.atomic.add(area, whole, area[i])
            if i != whole:
                up[i] = whole
                died[i] = k


@cuda.jit(device=True)
def _core_of(
    reached: Array, up: Array, area: Array, apart: Array, died: Array, core: Array, least_px: int, i: int
) -> int:
    """The core that a pixel is or became part of."""
    piece, since = up[i], reached[i]
    if since == 0:
        return NONE
    if died[i]:
        piece = i  # it was the root of a piece itself
    while True:
        if apart[piece] >= since:
            return NONE
        if core[piece]:
            return piece  # type: ignore[no-any-return]
        if up[piece] == piece:
            return piece if apart[piece] == 0 and area[piece] >= least_px else NONE
        piece, since = up[piece], died[piece]


@cuda.jit(cache=True)
def take_cores(
    mask: Array,
    reached: Array,
    up: Array,
    area: Array,
    apart: Array,
    died: Array,
    core: Array,
    least_px: int,
    owner: Array,
    when: Array,
) -> None:
    """Of every pixel its core; with it growth begins, in round 0."""
    for i in range(cuda.grid(1), mask.size, cuda.gridsize(1)):
        found = _core_of(reached, up, area, apart, died, core, least_px, i)
        owner[i] = found
        when[i] = 0 if found != NONE else OPEN if mask[i] else OUTSIDE


@cuda.jit(device=True)
def _lower(when: Array, owner: Array, before: int, j: int, least: int) -> int:
    """The lower of ``least`` and the owner of pixel ``j``, if that was reached ``before`` this round."""
    if 0 <= when[j] < before and (least == NONE or owner[j] < least):
        return owner[j]  # type: ignore[no-any-return]
    return least


@cuda.jit(cache=True)
def grow_once(width: int, now: int, owner: Array, when: Array, latest: Array) -> None:
    """Open pixels beside pixels that were reached before round ``now`` get the lowest owner among these.

    A neighbour that is reached meanwhile is open or of this round, whichever is read: in both cases it does not count.
    """
    for i in range(cuda.grid(1), when.size, cuda.gridsize(1)):
        if when[i] != OPEN:
            continue
        x = i % width
        least = NONE
        if i >= width:
            least = _lower(when, owner, now, i - width, least)
        if x > 0:
            least = _lower(when, owner, now, i - 1, least)
        if x < width - 1:
            least = _lower(when, owner, now, i + 1, least)
        if i + width < when.size:
            least = _lower(when, owner, now, i + width, least)
        if least != NONE:
            owner[i] = least
            when[i] = now
            latest[0] = now


@cuda.jit(cache=True)
def find_rest(when: Array, mask: Array) -> None:
    """Where growth did not come."""
    for i in range(cuda.grid(1), mask.size, cuda.gridsize(1)):
        mask[i] = when[i] == OPEN


@cuda.jit(cache=True)
def own_rest(parent: Array, owner: Array, area: Array, total: Array, first: Array) -> None:
    """A piece that growth did not reach owns its pixels; sums over owners begin."""
    for i in range(cuda.grid(1), owner.size, cuda.gridsize(1)):
        if parent[i] != NONE:
            owner[i] = parent[i]
        area[i] = 0
        total[i] = 0
        first[i] = owner.size


@cuda.jit(cache=True)
def weigh_nuclei(
    owner: Array, width: int, interior: Array, boundary: Array, area: Array, total: Array, first: Array
) -> None:
    """Of each owner: pixels, the sum of their probability of a nucleus, the first pixel."""
    for i in range(cuda.grid(1), owner.size, cuda.gridsize(1)):
        mine, x = owner[i], i % width
        if mine == NONE or (x % TILE > 0 and owner[i - 1] == mine):
            continue
        end, until, sure = i, i - x + min(x - x % TILE + TILE, width), np.int64(0)
        while end < until and owner[end] == mine:
            sure += np.int64(np.float64(interior[end] + boundary[end]) * FIXED)
            end += 1
        cuda.atomic.add(area, mine, end - i)
        cuda.atomic.add(total, mine, sure)
        cuda.atomic.min(first, mine, i)


@cuda.jit(cache=True)
def choose_nuclei(
    owner: Array,
    area: Array,
    total: Array,
    first: Array,
    min_px: int,
    small_px: int,
    confidence: float,
    small_confidence: float,
    stands: Array,
) -> None:
    """1 at the first pixel of each nucleus of enough pixels and confidence, 0 elsewhere."""
    for i in range(cuda.grid(1), owner.size, cuda.gridsize(1)):
        stands[i] = 0
        mine = owner[i]
        if mine != NONE and first[mine] == i and area[mine] >= min_px:
            least = small_confidence if area[mine] < small_px else confidence
            if np.float64(total[mine]) / FIXED >= least * area[mine]:
                stands[i] = 1


@cuda.jit(cache=True)
def number_nuclei(owner: Array, first: Array, stands: Array, rank: Array, labels: Array) -> None:
    """The number of every pixel's nucleus, by the order of their first pixels; 0 of those that do not stand."""
    for i in range(cuda.grid(1), owner.size, cuda.gridsize(1)):
        label, mine = 0, owner[i]
        if mine != NONE and stands[first[mine]]:
            label = rank[first[mine]]
        labels[i] = label
