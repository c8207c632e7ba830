"""Interior probability of a field → cores, one of each nucleus."""

from __future__ import annotations

from typing import Any

import numba
import numpy as np
from numpy.typing import NDArray

from hcs.segment.settings import InstanceSettings

_NONE = -1
_NODE = np.dtype(
    [
        ("root", np.int32),  # a pixel
        ("area", np.int32),
        ("large", np.int32),  # nodes of its piece that can stand, where it counts for all of them
        ("up", np.int32),  # the node that it became part of
        ("apart", np.bool_),  # holds cores and is none
        ("core", np.bool_),
    ]
)


def find_cores(
    interior: NDArray[np.float32], foreground: NDArray[np.bool_], settings: InstanceSettings
) -> NDArray[np.int32]:
    """Interior probability and foreground (Y, X) → cores (Y, X) int32, 1..n in raster order, 0 elsewhere.

    Above the first of ``settings.levels()`` the foreground falls into pieces (4-connected). A piece that is large
    enough for its level is one core, unless it comes apart at a higher one into two or more that are large enough
    there; then each of these is one, by the same rule, and what is too small is none.
    """
    levels = settings.levels()
    thresholds = np.array([level for level, _ in levels], np.float32)
    least_px = np.array([least for _, least in levels], np.int64)
    return _cores(np.ascontiguousarray(interior), foreground, thresholds, least_px)


@numba.njit(cache=True, nogil=True)
def _cores(
    interior: NDArray[np.float32],
    foreground: NDArray[np.bool_],
    thresholds: NDArray[np.float32],
    least_px: NDArray[np.int64],
) -> NDArray[np.int32]:
    """Pixels are added from the highest level down and joined to their neighbours, so each is visited once.

    A piece of a level is a node; where pieces meet, they become one node if fewer than two of them are large enough to
    stand, else each large one is a core and their union can be none. ``least_px`` does not fall from level to level, so
    what is too small once is too small higher up, and that is the same as coming apart from the lowest level up.
    """
    reached, start = _reached(interior, foreground, thresholds)
    order, place = _ordered(reached, start)
    parent = np.empty(order.size, np.int32)
    born = np.empty(order.size, np.int32)  # node of the level at which a pixel was added
    node = np.empty(order.size, np.int32)  # of a root pixel, in the level at hand
    nodes = np.empty(2 * order.size + 1, _NODE)
    pieces = np.empty(order.size, np.int32)  # nodes of the level at hand
    count = n_pieces = 0
    least_above = np.append(least_px, 0)[1:]  # of a level's pieces as they are at the next one; at the top are none
    for k in range(thresholds.size, 0, -1):
        first, last = start[k], start[k - 1]
        _join(first, last, order, place, parent)
        for i in range(first, last):
            parent[i] = _find(parent, i)
            node[parent[i]] = _NONE
        for n in pieces[:n_pieces]:
            nodes[n].root = _find(parent, nodes[n].root)
            node[nodes[n].root] = _NONE
        count, n_pieces = _meet(pieces[:n_pieces], least_above[k - 1], node, nodes, count)
        i = first
        while i < last:  # by runs of one root
            root, begin = parent[i], i
            if node[root] == _NONE:
                node[root] = pieces[n_pieces] = count
                _begin(nodes[count], root, False)
                count, n_pieces = count + 1, n_pieces + 1
            while i < last and parent[i] == root:
                born[i] = node[root]
                i += 1
            nodes[node[root]].area += i - begin
    for n in pieces[:n_pieces]:
        nodes[n].core = not nodes[n].apart and nodes[n].area >= least_px[0]
    return _labels(place, born, nodes[:count])


@numba.njit(cache=True, nogil=True)
def _begin(node: Any, root: int, apart: bool) -> None:
    """A node of no pixels yet."""
    node.root, node.area, node.large, node.up, node.apart, node.core = root, 0, 0, _NONE, apart, False


@numba.njit(cache=True, nogil=True)
def _meet(
    pieces: NDArray[np.int32], least_px: int, node: NDArray[np.int32], nodes: NDArray[Any], count: int
) -> tuple[int, int]:
    """Turn the nodes ``pieces`` of one level into those of the next in place, by the root pixels they have there.

    Nodes of one root become cores and part of a node that is none, or one node. How many nodes there are now, and how
    many of them are ``pieces``.
    """
    for n in pieces:  # the first of a root counts for all, one that is apart before others
        first = node[nodes[n].root]
        if first == _NONE or (nodes[n].apart and not nodes[first].apart):
            nodes[n].large = nodes[first].large if first != _NONE else 0
            node[nodes[n].root] = first = n
        if nodes[n].apart or nodes[n].area >= least_px:
            nodes[first].large += 1
    before, n_pieces = count, 0
    for n in pieces:
        root = nodes[n].root
        whole = node[root]
        if whole < before and nodes[whole].large > 1:
            whole = node[root] = pieces[n_pieces] = count
            _begin(nodes[count], root, True)
            count, n_pieces = count + 1, n_pieces + 1
        if whole >= before:
            nodes[n].core = not nodes[n].apart and nodes[n].area >= least_px
            nodes[n].up = whole
        elif whole == n:
            pieces[n_pieces] = n
            n_pieces += 1
        else:
            nodes[n].up = whole
            nodes[whole].area += nodes[n].area
    return count, n_pieces


@numba.njit(cache=True, nogil=True)
def _find(parent: NDArray[np.int32], i: int) -> int:
    """Root of ``i``, with its path halved."""
    while parent[i] != i:
        parent[i] = parent[parent[i]]
        i = parent[i]
    return i


@numba.njit(cache=True, nogil=True)
def _labels(place: NDArray[np.int32], born: NDArray[np.int32], nodes: NDArray[Any]) -> NDArray[np.int32]:
    """Cores (Y, X), numbered in raster order: of every pixel the core that its node is or became part of."""
    number = np.full(nodes.size, _NONE, np.int32)
    numbered = 0
    labels = np.zeros((place.shape[0] - 2, place.shape[1] - 2), np.int32)
    for y in range(labels.shape[0]):
        for x in range(labels.shape[1]):
            i = place[y + 1, x + 1]
            if i == _NONE:
                continue
            n = born[i]
            if number[n] == _NONE:
                c = n
                while not nodes[c].core and nodes[c].up != _NONE:
                    c = nodes[c].up
                if nodes[c].core and number[c] == _NONE:
                    numbered += 1
                    number[c] = numbered
                number[n] = number[c] if nodes[c].core else 0
            labels[y, x] = number[n]
    return labels


@numba.njit(cache=True, nogil=True)
def _reached(
    interior: NDArray[np.float32], foreground: NDArray[np.bool_], thresholds: NDArray[np.float32]
) -> tuple[NDArray[np.uint8], NDArray[np.int64]]:
    """Thresholds that each pixel (Y, X) of the foreground exceeds, and the place at which the pixels of each number
    begin when they are put in order, the highest number first."""
    height, width = interior.shape
    top = thresholds.size
    reached = np.zeros((height, width), np.uint8)
    count = np.zeros(top + 1, np.int64)
    for y in range(height):
        for x in range(width):
            if foreground[y, x] and interior[y, x] > thresholds[0]:
                k = top
                while interior[y, x] <= thresholds[k - 1]:
                    k -= 1
                reached[y, x] = k
                count[k] += 1
    start = np.zeros(top + 1, np.int64)
    for k in range(top, 0, -1):
        start[k - 1] = start[k] + count[k]
    return reached, start


@numba.njit(cache=True, nogil=True)
def _ordered(reached: NDArray[np.uint8], start: NDArray[np.int64]) -> tuple[NDArray[np.int32], NDArray[np.int32]]:
    """Pixels above any threshold, the highest number first, then in raster order: their flat indices in a frame
    (Y + 2, X + 2), and in that frame the place of each, -1 of others."""
    height, width = reached.shape
    order = np.empty(start[0], np.int32)
    place = np.full((height + 2, width + 2), _NONE, np.int32)
    ahead = start.copy()
    for y in range(height):
        for x in range(width):
            k = reached[y, x]
            if k:
                place[y + 1, x + 1] = ahead[k]
                order[ahead[k]] = (y + 1) * (width + 2) + x + 1
                ahead[k] += 1
    return order, place


@numba.njit(cache=True, nogil=True)
def _join(first: int, last: int, order: NDArray[np.int32], place: NDArray[np.int32], parent: NDArray[np.int32]) -> None:
    """Join the pixels at ``first`` to ``last`` - 1 to those of their four neighbours that were added before."""
    stride = place.shape[1]
    flat = place.reshape(-1)
    for i in range(first, last):
        at = order[i]
        mine = i
        parent[i] = i
        # Places tell what is there already: those of this level before this pixel, and all of the levels above.
        left, over, right, under = flat[at - 1], flat[at - stride], flat[at + 1], flat[at + stride]
        if 0 <= left < i:
            mine = _united(parent, mine, left)
        # What is over is joined to what is left by way of the corner between them, if that was there for what is left.
        if 0 <= over < i and not (first <= left < i and 0 <= flat[at - stride - 1] < left):
            mine = _united(parent, mine, over)
        if 0 <= right < first:
            mine = _united(parent, mine, right)
        if 0 <= under < first:
            mine = _united(parent, mine, under)


@numba.njit(cache=True, nogil=True)
def _united(parent: NDArray[np.int32], mine: int, other: int) -> int:
    """Root of the piece of root ``mine`` and of that of ``other``, joined: the lower of the two."""
    other = _find(parent, other)
    if other < mine:
        parent[mine] = other
        return other
    parent[other] = mine
    return mine
