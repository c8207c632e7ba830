"""Every nucleus of a field in blocks has one owner and one number, whatever the cut.

A nucleus belongs to the block whose core holds its first pixel in raster order, and is numbered by the rank of that
pixel among all nuclei of the field: the number it gets where the field is labelled in one piece. Only lists of first
pixels and boxes are compared between blocks. Nuclei travel as runs of pixels in a row, exact and small.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from hcs.tiles.blocks import SEAM_PX, Box

Ints = NDArray[np.int64]
Flags = NDArray[np.bool_]


@dataclass(frozen=True, slots=True, eq=False)
class BlockNuclei:
    """n nuclei of a field, in pixels of the field.

    Nucleus i has the runs ``runs[offsets[i]:offsets[i + 1]]``, rows of (y, start, stop) in raster order.
    """

    runs: Ints
    offsets: Ints
    confidence: NDArray[np.float64]
    """(n,) mean over the nucleus."""
    kinds: NDArray[np.float64] | None = None
    """(n, k) mean over the nucleus of each kind's probability, of networks that tell kinds."""

    def __len__(self) -> int:
        return len(self.offsets) - 1

    @property
    def first(self) -> tuple[Ints, Ints]:
        """Row and column of each nucleus' first pixel in raster order, (n,)."""
        heads = self.runs[self.offsets[:-1]]
        return heads[:, 0], heads[:, 1]

    @property
    def boxes(self) -> Ints:
        """(n, 4) half-open boxes y0, x0, y1, x1."""
        if len(self) == 0:
            return np.empty((0, 4), np.int64)
        starts = self.offsets[:-1]
        low = np.minimum.reduceat(self.runs[:, :2], starts, axis=0)
        high = np.maximum.reduceat(self.runs[:, [0, 2]], starts, axis=0)
        return np.column_stack([low, high[:, 0] + 1, high[:, 1]])

    def chosen(self, which: Flags | Ints) -> BlockNuclei:
        """Some of the nuclei, by mask or index."""
        index = np.flatnonzero(which) if which.dtype == np.bool_ else which
        lengths = np.diff(self.offsets)[index]
        offsets = np.concatenate([[0], np.cumsum(lengths)]).astype(np.int64)
        rows = _ranges(self.offsets[index], lengths)
        kinds = None if self.kinds is None else self.kinds[index]
        return BlockNuclei(self.runs[rows], offsets, self.confidence[index], kinds)


def claimed(nuclei: BlockNuclei, core: Box, *, shape: tuple[int, int], largest_px: int) -> tuple[BlockNuclei, int]:
    """What a block hands on of the ``nuclei`` it sees: those whose first pixel is in its ``core``, or within
    `SEAM_PX` of it, and that are at most ``largest_px`` high and wide; and how many of the core's were larger.

    A nucleus that reaches beyond what the block sees is larger than that: the block sees that far around its core.
    """
    near, fits = core.grown(SEAM_PX, shape).holds(*nuclei.first), _fits(nuclei, largest_px)
    too_large = int(np.count_nonzero(core.holds(*nuclei.first) & ~fits))
    return nuclei.chosen(near & fits), too_large


def left_out(nuclei: BlockNuclei, core: Box, *, largest_px: int) -> Ints:
    """Runs (m, 3) of the pixels in ``core`` of nuclei larger than ``largest_px``: they are nobody's, and no background
    either.

    Every block knows them in its core, whatever it sees of such a nucleus: that is larger, too.
    """
    y, start, stop = nuclei.chosen(~_fits(nuclei, largest_px)).runs.T
    start, stop = np.maximum(start, core.x0), np.minimum(stop, core.x1)
    inside = (y >= core.y0) & (y < core.y1) & (stop > start)
    return np.asarray(np.column_stack([y, start, stop])[inside], np.int64)


def _fits(nuclei: BlockNuclei, largest_px: int) -> Flags:
    boxes = nuclei.boxes
    return np.asarray((boxes[:, 2] - boxes[:, 0] <= largest_px) & (boxes[:, 3] - boxes[:, 1] <= largest_px))


def owned(claims: Sequence[BlockNuclei], cores: Sequence[Box]) -> list[Flags]:
    """Which of the nuclei that each block claims are its own, for every block (n,).

    Both blocks at a seam claim a nucleus that starts there. The one whose core holds its first pixel owns it. Where
    rounding in the network moved that pixel, so that both or neither would, the earlier first pixel decides; two claims
    are on one nucleus where they share most of their pixels. A claim on another block's nucleus that the other does not
    know lapses.
    """
    mine = [core.holds(*nuclei.first) for nuclei, core in zip(claims, cores, strict=True)]
    doubtful = [near_edge(nuclei, core) for nuclei, core in zip(claims, cores, strict=True)]
    block = np.concatenate([np.full(int(flags.sum()), i) for i, flags in enumerate(doubtful)])
    place = np.concatenate([np.flatnonzero(flags) for flags in doubtful])
    own = np.concatenate([flags[near] for flags, near in zip(mine, doubtful, strict=True)])
    nuclei = joined([claim.chosen(flags) for claim, flags in zip(claims, doubtful, strict=True)])
    y, x = nuclei.first
    keep = own.copy()
    for group in _groups(_same(nuclei, block), len(block)):
        winner = min(group, key=lambda i: (not own[i], y[i], x[i], block[i]))
        keep[group] = False
        keep[winner] = True
    for i, flags in enumerate(mine):
        flags[place[block == i]] = keep[block == i]
    return mine


def near_edge(nuclei: BlockNuclei, core: Box) -> Flags:
    """Which nuclei start within `SEAM_PX` of the core's edge, on either side."""
    inner = Box(core.y0 + SEAM_PX, core.x0 + SEAM_PX, core.y1 - SEAM_PX, core.x1 - SEAM_PX)
    return ~inner.holds(*nuclei.first)


def _same(nuclei: BlockNuclei, block: Ints) -> list[tuple[int, int]]:
    """Pairs of claims by different blocks on one nucleus: boxes that agree to within `SEAM_PX`, and more pixels shared
    than not."""
    boxes = nuclei.boxes
    order = np.argsort(boxes[:, 0], kind="stable")
    ends = np.searchsorted(boxes[order, 0], boxes[order, 0] + SEAM_PX, side="right")
    pairs = []
    for k, end in enumerate(ends):
        i, others = order[k], order[k + 1 : end]
        alike = (np.abs(boxes[others] - boxes[i]) <= SEAM_PX).all(axis=1) & (block[others] != block[i])
        pairs += [(int(i), int(j)) for j in others[alike] if _share_most(nuclei, i, j)]
    return pairs


def _share_most(nuclei: BlockNuclei, i: int, j: int) -> bool:
    """Whether two nuclei have more pixels in common than not."""
    one, other = (
        {
            (y, x)
            for y, start, stop in nuclei.runs[nuclei.offsets[k] : nuclei.offsets[k + 1]]
            for x in range(start, stop)
        }
        for k in (i, j)
    )
    return len(one & other) > len(one ^ other)


def _groups(pairs: Sequence[tuple[int, int]], n: int) -> list[list[int]]:
    """Groups of two and more of n things that pairs connect, directly or through others."""
    parent = list(range(n))

    def root(i: int) -> int:
        while parent[i] != i:
            parent[i] = parent[parent[i]]
            i = parent[i]
        return i

    for i, j in pairs:
        parent[root(j)] = root(i)
    groups: dict[int, list[int]] = {}
    for i in sorted({i for pair in pairs for i in pair}):
        groups.setdefault(root(i), []).append(i)
    return list(groups.values())


def numbers(first: Sequence[tuple[Ints, Ints]]) -> list[Ints]:
    """Number, from 1, of every nucleus of every block: the rank of its first pixel (y, x) in the whole field."""
    y, x = (np.concatenate([block[axis] for block in first]) for axis in (0, 1))
    rank = np.empty(len(y), np.int64)
    rank[np.lexsort((x, y))] = np.arange(1, len(y) + 1)
    ends = np.cumsum([len(block[0]) for block in first])
    return np.split(rank, ends[:-1])


def painted(nuclei: BlockNuclei, ids: Ints, box: Box) -> NDArray[np.uint32]:
    """Labels (y, x) of ``box``: the nuclei with their numbers; of two on one pixel the lower number."""
    order = np.argsort(-ids, kind="stable")  # NumPy lets the last of several assignments to a pixel stand
    sorted_nuclei = nuclei.chosen(order)
    per_run = np.repeat(ids[order], np.diff(sorted_nuclei.offsets))
    y, start, stop = sorted_nuclei.runs.T
    start, stop = np.maximum(start, box.x0), np.minimum(stop, box.x1)
    inside = (y >= box.y0) & (y < box.y1) & (stop > start)
    lengths = (stop - start)[inside]
    height, width = box.shape
    labels = np.zeros((height, width), np.uint32)
    pixels = _ranges(((y - box.y0) * width + start - box.x0)[inside], lengths)
    labels.reshape(-1)[pixels] = np.repeat(per_run[inside], lengths)
    return labels


def joined(parts: Sequence[BlockNuclei]) -> BlockNuclei:
    """The nuclei of several blocks, one block after another."""
    lengths = np.concatenate([np.zeros(1, np.int64), *(np.diff(part.offsets) for part in parts)])
    kinds = [part.kinds for part in parts if part.kinds is not None]
    return BlockNuclei(
        np.concatenate([np.empty((0, 3), np.int64), *(part.runs for part in parts)]),
        np.cumsum(lengths),
        np.concatenate([np.empty(0), *(part.confidence for part in parts)]),
        np.concatenate(kinds) if kinds and len(kinds) == len(parts) else None,
    )


def _ranges(starts: Ints, lengths: Ints) -> Ints:
    """All whole numbers from each start on, as many as its length, one after another."""
    total = int(lengths.sum())
    before = np.cumsum(lengths) - lengths
    return np.arange(total) - np.repeat(before - starts, lengths)
