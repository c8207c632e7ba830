"""The pixels of every nucleus, listed once and shared by all measurements."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from hcs.measure.jit import kernel

Ints32 = NDArray[np.int32]
Ints64 = NDArray[np.int64]


@dataclass(frozen=True, slots=True)
class PixelLists:
    """For each of n regions a list of flat pixel indices, in row-major order: region i has
    ``indices[offsets[i]:offsets[i + 1]]``. A list may be empty."""

    offsets: Ints64
    indices: Ints32

    @property
    def counts(self) -> Ints64:
        """Number of pixels of each region, (n,)."""
        return np.diff(self.offsets)


@dataclass(frozen=True, slots=True)
class Regions:
    """The nuclei of one field, in the order of their label values.

    ``runs`` holds one row (y, start, stop) for each horizontal run of pixels, grouped by nucleus (nucleus i
    has ``runs[run_offsets[i]:run_offsets[i + 1]]``), by row and column within it.
    """

    label_values: Ints64
    """(n,) ascending, as found in the label image."""
    dense: Ints32
    """(Y, X) the label image renumbered to 1…n."""
    runs: Ints32
    run_offsets: Ints64
    pixels: PixelLists

    def __len__(self) -> int:
        return len(self.label_values)

    def labels_of(self, dense: Ints32) -> NDArray[np.uint32]:
        """An image (Y, X) of these nuclei's numbers from 1, such as ``dense``, as label values."""
        if len(self) == 0 or self.label_values[-1] == len(self):
            return dense.astype(np.uint32)
        return np.append(0, self.label_values).astype(np.uint32)[dense]


def regions_of(labels: NDArray[np.integer]) -> Regions:
    """List the nuclei of a label image (Y, X) of any integer dtype; 0 is background.

    Labels need not be consecutive; one label in several pieces is one nucleus. Raises ValueError for an image
    that is not two-dimensional or not of integers, for negative labels, labels above 2⁶³−1 and fields of 2³¹
    pixels or more.
    """
    if labels.ndim != 2 or not np.issubdtype(labels.dtype, np.integer):
        raise ValueError(f"labels of shape {labels.shape} and dtype {labels.dtype}: give a 2-D image of integers")
    if labels.size > np.iinfo(np.int32).max:
        raise ValueError(f"a field of {labels.size} pixels is too large to be measured at once; cut it in blocks")
    signed = _as_signed(labels)
    runs, run_labels = _find_runs(signed)
    values, run_ids = _numbered(run_labels.view(_unsigned_like(labels, run_labels)))
    if len(values) and (int(values[0]) < 0 or int(values[-1]) > np.iinfo(np.int64).max):
        raise ValueError(f"labels from {values[0]} to {values[-1]}: use 0 for background and 1 to 2**63-1 for nuclei")
    order = np.argsort(run_ids.astype(np.min_scalar_type(len(values))), kind="stable")  # 16 bits are sorted by digits
    runs = runs[order]
    run_offsets = _offsets(np.bincount(run_ids, minlength=len(values)))
    lengths = np.concatenate(([0], np.cumsum(runs[:, 2] - runs[:, 1], dtype=np.int64)))
    indices = np.empty(int(lengths[-1]), np.int32)
    _list_pixels(runs, labels.shape[1], indices)
    pixels = PixelLists(offsets=lengths[run_offsets], indices=indices)
    dense = signed if signed.dtype == np.int32 and len(values) and values[-1] == len(values) else None
    if dense is None:
        dense = np.zeros(labels.shape, np.int32)
        _paint(runs, run_offsets, dense)
    return Regions(values.astype(np.int64), dense, runs, run_offsets, pixels)


_FEW = 2**20


def _numbered(labels: NDArray[np.integer]) -> tuple[NDArray[np.integer], NDArray[np.intp]]:
    """The labels (m,) that there are, ascending, and of each of the given the number of its own from 0."""
    if not len(labels) or labels.min() < 0 or labels.max() >= _FEW:
        return np.unique(labels, return_inverse=True)
    present = np.zeros(int(labels.max()) + 1, np.bool_)
    present[labels] = True
    values = np.flatnonzero(present)
    number = np.zeros(len(present), np.intp)
    number[values] = np.arange(len(values))
    return values, number[labels]


def _as_signed(labels: NDArray[np.integer]) -> NDArray[np.signedinteger]:
    """The labels as contiguous int32, or int64 where they need it; unsigned ones of that size keep their
    bits."""
    contiguous = np.ascontiguousarray(labels)
    if labels.dtype.itemsize < 4:
        return contiguous.astype(np.int32)
    native = contiguous.astype(labels.dtype.newbyteorder("="), copy=False)
    return native.view(np.int64 if labels.dtype.itemsize == 8 else np.int32)


def _unsigned_like(labels: NDArray[np.integer], values: NDArray[np.signedinteger]) -> np.dtype[np.integer]:
    """The dtype that gives ``values``, made by ``_as_signed``, the meaning they had in ``labels``."""
    unsigned = labels.dtype.kind == "u" and labels.dtype.itemsize >= 4
    return np.dtype(f"u{values.itemsize}" if unsigned else f"i{values.itemsize}")


def _offsets(counts: NDArray[np.integer]) -> Ints64:
    return np.concatenate((np.zeros(1, np.int64), np.cumsum(counts, dtype=np.int64)))


@kernel
def _find_runs(labels: NDArray[np.signedinteger]) -> tuple[Ints32, NDArray[np.signedinteger]]:
    """Horizontal runs of equal non-zero labels (Y, X) → (m, 3) of y, start, stop, and the (m,) labels."""
    height, width = labels.shape
    changes = np.zeros((width + 8) // 8 * 8, np.uint8)  # where a pixel differs from that on its left
    words = changes.view(np.uint64)
    room, count = 64 * height, 0
    runs, run_labels = np.empty((room, 3), np.int32), np.empty(room, labels.dtype)
    for y in range(height):
        row = labels[y]
        changes[0] = row[0] != 0
        for x in range(1, width):
            changes[x] = row[x] != row[x - 1]
        changes[width] = row[width - 1] != 0
        if count + width > room:
            room = 2 * room + width
            more, more_labels = np.empty((room, 3), np.int32), np.empty(room, labels.dtype)
            more[:count], more_labels[:count] = runs[:count], run_labels[:count]
            runs, run_labels = more, more_labels
        inside = False
        for w in range(len(words)):
            if words[w] == 0:
                continue
            for x in range(8 * w, 8 * w + 8):
                if not changes[x]:
                    continue
                if inside:
                    runs[count, 2] = x
                    count += 1
                inside = x < width and row[x] != 0
                if inside:
                    runs[count, 0], runs[count, 1], run_labels[count] = y, x, row[x]
    return runs[:count].copy(), run_labels[:count].copy()


@kernel
def _list_pixels(runs: Ints32, width: int, indices: Ints32) -> None:
    """Write the flat pixel indices of runs in a field of this ``width`` into ``indices``."""
    k = 0
    for r in range(len(runs)):
        first = runs[r, 0] * width + runs[r, 1]
        for i in range(first, first + runs[r, 2] - runs[r, 1]):
            indices[k] = i
            k += 1


@kernel
def _paint(runs: Ints32, run_offsets: Ints64, dense: Ints32) -> None:
    """Write each nucleus's number, from 1, into ``dense`` (Y, X)."""
    for nucleus in range(len(run_offsets) - 1):
        for r in range(run_offsets[nucleus], run_offsets[nucleus + 1]):
            dense[runs[r, 0], runs[r, 1] : runs[r, 2]] = nucleus + 1
