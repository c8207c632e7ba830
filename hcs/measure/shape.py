"""Area, position, ellipse, perimeter and solidity, by the definitions of scikit-image's regionprops."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from hcs.measure.jit import kernel
from hcs.measure.regions import Ints32, Ints64, Regions

Floats = NDArray[np.float64]
Bytes = NDArray[np.uint8]

STEP_LENGTHS = np.array([1.0, np.sqrt(2.0), (1.0 + np.sqrt(2.0)) / 2.0])
"""Of straight, diagonal and mixed border pixels."""
NO_POINT = 2**62
"""Marks a half-pixel row that no edge midpoint lies in."""


@dataclass(frozen=True, slots=True)
class Shape:
    """Shape of n nuclei, (n,) each, in pixels; coordinates are those of pixel centres, from 0 at the top
    left."""

    area: Ints64
    center_y: Floats
    center_x: Floats
    box: Ints64
    """(n, 4) half-open: y0, x0, y1, x1."""
    perimeter: Floats
    eccentricity: Floats
    solidity: Floats
    major_axis: Floats
    minor_axis: Floats
    orientation: Floats
    """Radians from the vertical (y) axis to the major axis, −π/2 to π/2, counter-clockwise on the screen."""


def measure_shape(nuclei: Regions) -> Shape:
    """Shape of every nucleus.

    A one-pixel nucleus has axes, eccentricity and perimeter 0 and solidity 1. Solidity is the area over the
    number of pixel centres in or on the convex hull of the pixels' edge midpoints, in whole numbers. The
    perimeter weighs the 4-connected border's steps by 1, √2 and (1+√2)/2 (Benkrid & Crookes, "Design and FPGA
    implementation of a perimeter estimator", 2000).
    """
    sums = _run_sums(nuclei.runs, nuclei.run_offsets)
    box = sums[:, 6:10]
    area = sums[:, 0]
    major, minor, eccentricity, orientation = _ellipse(sums)
    return Shape(
        area=area,
        center_y=box[:, 0] + sums[:, 1] / area,
        center_x=box[:, 1] + sums[:, 2] / area,
        box=box,
        perimeter=_border_steps(nuclei.dense, len(nuclei), _KINDS) @ STEP_LENGTHS,
        eccentricity=eccentricity,
        solidity=area / _hull_areas(nuclei.runs, nuclei.run_offsets, box),
        major_axis=major,
        minor_axis=minor,
        orientation=orientation,
    )


def _ellipse(sums: Ints64) -> tuple[Floats, Floats, Floats, Floats]:
    """Major and minor axis, eccentricity and orientation of the ellipse with the pixels' second moments.

    Variances are scaled by area² until the end: products of whole numbers stay exact for any real nucleus, so
    that a symmetric one has exactly equal variances.
    """
    area, sy, sx, syy, sxx, syx = sums[:, :6].T.astype(np.float64)
    var_y, var_x, cov = area * syy - sy * sy, area * sxx - sx * sx, area * syx - sy * sx
    mean, half = (var_y + var_x) / 2, np.hypot((var_y - var_x) / 2, cov)
    large, small = mean + half, np.maximum(mean - half, 0.0)
    ratio = np.divide(small, large, out=np.ones_like(large), where=large > 0)
    diagonal = np.where(cov > 0, np.pi / 4, -np.pi / 4)
    orientation = np.where(var_y == var_x, diagonal, 0.5 * np.arctan2(2 * cov, var_y - var_x))
    return 4 * np.sqrt(large) / area, 4 * np.sqrt(small) / area, np.sqrt(1 - ratio), orientation


@kernel
def _run_sums(runs: Ints32, run_offsets: Ints64) -> Ints64:
    """(n, 10): area, Σy, Σx, Σy², Σx², Σyx relative to the box's corner, then the box y0, x0, y1, x1."""
    n = len(run_offsets) - 1
    sums = np.zeros((n, 10), np.int64)
    for i in range(n):
        first, last = run_offsets[i], run_offsets[i + 1]
        y0, y1 = np.int64(runs[first, 0]), np.int64(runs[last - 1, 0]) + 1
        x0, x1 = np.int64(runs[first, 1]), np.int64(runs[first, 2])
        for r in range(first, last):
            x0, x1 = min(x0, np.int64(runs[r, 1])), max(x1, np.int64(runs[r, 2]))
        for r in range(first, last):
            y = runs[r, 0] - y0
            a, b = runs[r, 1] - x0, runs[r, 2] - x0
            length = b - a
            sum_x = length * (a + b - 1) // 2
            sums[i, 0] += length
            sums[i, 1] += y * length
            sums[i, 2] += sum_x
            sums[i, 3] += y * y * length
            sums[i, 4] += ((b - 1) * b * (2 * b - 1) - (a - 1) * a * (2 * a - 1)) // 6
            sums[i, 5] += y * sum_x
        sums[i, 6], sums[i, 7], sums[i, 8], sums[i, 9] = y0, x0, y1, x1
    return sums


@kernel
def _border_steps(dense: Ints32, n: int, kinds: Bytes) -> Ints64:
    """Numbers of straight, diagonal and mixed border pixels of each nucleus 1…n, (n, 3).

    The border are the pixels with another label or the field's edge above, below, left or right. Row by row, for a few
    rows are quick to go through without a branch.
    """
    height, width = dense.shape
    steps = np.zeros((n, 3), np.int64)
    edges = np.zeros((3, width + 2), np.int32)  # of three rows, framed: the label of border pixels
    beyond = np.full(width, -1, np.int32)
    codes = np.zeros((width + 8) // 8 * 8, np.uint8)
    words = codes.view(np.uint64)
    for y in range(height + 1):
        above, here, below = edges[(y + 1) % 3], edges[(y + 2) % 3], edges[y % 3]
        if y < height:
            up = dense[y - 1] if y > 0 else beyond
            _edge_of_row(up, dense[y], dense[y + 1] if y + 1 < height else beyond, below)
        else:
            below[:] = 0
        _codes_of_row(above, here, below, codes)  # of row y - 1; of none yet where y is 0
        for w in range(len(words)):
            if words[w] == 0:
                continue
            for x in range(8 * w, 8 * w + 8):
                kind = kinds[codes[x]]
                if kind:
                    steps[here[x + 1] - 1, kind - 1] += 1
    return steps


@kernel
def _edge_of_row(above: Ints32, row: Ints32, below: Ints32, edge: Ints32) -> None:
    """The labels of a row's border pixels, framed by a pixel; 0 of others."""
    nothing = np.int32(0)
    for x in range(1, len(row) - 1):
        here = row[x]
        inside = (above[x] == here) & (below[x] == here) & (row[x - 1] == here) & (row[x + 1] == here)
        edge[x + 1] = nothing if inside else here
    edge[1] = row[0]
    edge[len(row)] = row[len(row) - 1]


@kernel
def _codes_of_row(above: Ints32, row: Ints32, below: Ints32, codes: Bytes) -> None:
    """What tells the kind of a row's border pixels: 1, 2 for each neighbour beside that is on the same border, 10 for
    each across a corner; 0 of other pixels. Rows are framed."""
    nothing = np.uint8(0)
    for x in range(len(row) - 2):
        here = row[x + 1]
        beside = (above[x + 1] == here) + (below[x + 1] == here) + (row[x] == here) + (row[x + 2] == here)
        across = (above[x] == here) + (above[x + 2] == here) + (below[x] == here) + (below[x + 2] == here)
        code = np.uint8(1 + 2 * beside + 10 * across)
        codes[x] = code if here != 0 else nothing


def _kinds() -> Bytes:
    """Code → 1 straight, 2 diagonal, 3 mixed, 0 none (Benkrid & Crookes)."""
    kinds = np.zeros(256, np.uint8)
    kinds[[5, 7, 15, 17, 25, 27]] = 1
    kinds[[21, 33]] = 2
    kinds[[13, 23]] = 3
    return kinds


_KINDS = _kinds()


@kernel
def _hull_areas(runs: Ints32, run_offsets: Ints64, box: Ints64) -> Ints64:
    """Number of pixel centres in or on the convex hull of each nucleus's edge midpoints, (n,).

    In half-pixel steps the midpoints of a run lie one step above, below, left and right of its pixels; the
    hull's left side is the lower envelope of the leftmost ones, its right side that of the mirrored rightmost
    ones.
    """
    n = len(run_offsets) - 1
    areas = np.zeros(n, np.int64)
    for i in range(n):
        y0, x0 = box[i, 0], box[i, 1]
        rows = box[i, 2] - y0
        left, right = np.empty(2 * rows + 1, np.int64), np.empty(2 * rows + 1, np.int64)
        for k in range(2 * rows + 1):
            left[k], right[k] = NO_POINT, NO_POINT
        for r in range(run_offsets[i], run_offsets[i + 1]):
            k = 2 * (runs[r, 0] - y0) + 1
            first, last = 2 * (runs[r, 1] - x0), 2 * (runs[r, 2] - 1 - x0)
            left[k], right[k] = min(left[k], first - 1), min(right[k], -last - 1)
            for beside in (k - 1, k + 1):
                left[beside], right[beside] = min(left[beside], first), min(right[beside], -last)
        start, stop = _envelope(left), _envelope(right)
        for row in range(rows):
            areas[i] += 1 - stop[row] - start[row]
    return areas


@kernel
def _envelope(side: Ints64) -> Ints64:
    """First whole pixel at or right of the lower convex envelope of ``side``, for each pixel row.

    ``side`` holds positions in half pixels at half-pixel rows (pixel rows are the odd ones), or NO_POINT.
    Andrew's monotone chain, in whole numbers.
    """
    hull = np.empty(len(side), np.int64)
    size = 0
    for k in range(len(side)):
        if side[k] == NO_POINT:
            continue
        while size >= 2:
            a, b = hull[size - 2], hull[size - 1]
            if (side[b] - side[a]) * (k - a) < (side[k] - side[a]) * (b - a):
                break
            size -= 1
        hull[size] = k
        size += 1
    pixels = np.zeros(len(side) // 2, np.int64)
    for edge in range(size - 1):
        a, b = hull[edge], hull[edge + 1]
        for k in range(a | 1, b + 1, 2):
            position = side[a] * (b - a) + (side[b] - side[a]) * (k - a)
            pixels[k // 2] = -(-position // (2 * (b - a)))
    return pixels


def shape_columns(
    name: str, shape: Shape, *, pixel_size_um: float | None, origin: tuple[int, int], field: tuple[int, int]
) -> tuple[dict[str, NDArray[Any]], NDArray[np.bool_]]:
    """Columns ``<name>_AreaShape_…`` of regions, in pixels of a ``field`` (height, width) whose part here starts at
    ``origin``, and which of them touch the field's border (n,)."""
    top, left = origin
    y0, x0, y1, x1 = shape.box.T + np.array([top, left, top, left])[:, None]
    um2_per_px = np.nan if pixel_size_um is None else pixel_size_um**2
    features = {
        "Area": shape.area,
        "AreaUm2": shape.area * um2_per_px,
        "Center_X": shape.center_x + left,
        "Center_Y": shape.center_y + top,
        "BoundingBoxMinimum_X": x0,
        "BoundingBoxMinimum_Y": y0,
        "BoundingBoxMaximum_X": x1,
        "BoundingBoxMaximum_Y": y1,
        "Perimeter": shape.perimeter,
        "Eccentricity": shape.eccentricity,
        "Solidity": shape.solidity,
        "MajorAxisLength": shape.major_axis,
        "MinorAxisLength": shape.minor_axis,
        "Orientation": shape.orientation,
    }
    touches = (y0 == 0) | (x0 == 0) | (y1 == field[0]) | (x1 == field[1])
    return {f"{name}_AreaShape_{feature}": values for feature, values in features.items()}, touches
