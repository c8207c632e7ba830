"""Pixels of a field that no camera recorded: fill of a mosaic's gaps, of missing chunks, of a turned well's corners.

Fill is one exact value over an area. A dark camera image can hold that too, where its background was clipped to 0. What
tells the two apart is the area's edge. Fill ends in a straight line (a round well's edge is nearly one) beside noisy
pixels far from its value; a clipped background ends where cells begin, along outlines, and in pixels of 1 and 2.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import cv2
import numpy as np
from numpy.typing import NDArray

from hcs.measure.jit import kernel

Mask = NDArray[np.bool_]
Bits = NDArray[np.uint8]

MARGIN_PX = 56
"""What a part of a field must see beyond itself to find the candidates that the whole field has there."""
SEAM_PX = 2
"""Pixels so near to fill are blends of image and fill where software moved or turned the image."""
_LATTICE_PX = 4
_LEAST_SIDE_PX = 5
_RUN_PX = 15
_GROW_PX, _GROW_OTHER_PX = 12, 2
"""Pixels of the value so near to an area belong to it: the corners of turned areas are narrower than 5 px. Of values
other than 0 and the type's largest, which image pixels may have by chance, only the nearest do."""
_BOX_PX = 49
_NEAR_PX, _FAR_PX = (2, 4), (6, 8)
_FEWEST_PX = 100
"""Area from which fill is looked for."""
_FEWEST_BESIDE = 16
_OFF_HALF = 0.03
"""Share of a box around a straight edge's pixel that lies beyond it, at most so far from a half."""
_MOST_EQUAL = 0.05
_CLIPPED = 0.2
"""Share of the pixels near an area that have its value too, above which it is an image's own, without another look."""
_MOST_FLAT = 0.5
_LEAST_STEP = 2.0
_LEAST_STEP_FLOAT = 0.01
_RAMP = 0.5
_STRAIGHT_DARKEST, _STRAIGHT_OTHER = 0.4, 0.6
_FURTHER_VALUES = 2


@dataclass(frozen=True, slots=True, eq=False)
class Candidate:
    """An exact value that covers areas of one channel of a field, or of a part of one (y, x)."""

    value: float
    mask: Mask
    """(y, x), the areas."""
    near: NDArray[np.float32]
    """(k,), distances in grey levels from the value, 3 and 4 px off the areas."""
    far: NDArray[np.float32]
    """(m,), the same 7 and 8 px off."""
    near_flat: int
    """How many of the near pixels are of one value with their eight neighbours."""
    roughness: float
    """Sum over the near pixels of the difference from the pixel beside, grey levels."""
    edge: int
    """Number of pixels beside the areas."""
    straight: int
    """Those of them that lie on a straight edge."""


@dataclass(frozen=True, slots=True, eq=False)
class Extent:
    """What a channel's values span."""

    low: float
    high: float
    whole_numbers: bool


@dataclass(frozen=True, slots=True, eq=False)
class Fill:
    """Pixels of a field that no camera recorded, in one channel or several."""

    mask: Mask | None
    """(Y, X), with what lies within 2 px of them; None where the channels that were recorded are whole."""
    recorded: float
    """Share of the field's pixels that all of these channels have."""
    blank: tuple[int, ...] = ()
    """Channels that hold one value alone, by index: nothing of them was recorded."""


def find_fill(image: NDArray[Any]) -> Fill | None:
    """Fill of a field (C, Y, X) of any real dtype; None where there is none.

    A pixel that one channel lacks counts as not recorded, but for channels that hold nothing at all.
    """
    missing = np.zeros(image.shape[1:], np.bool_)
    whole = slice(0, image.shape[1]), slice(0, image.shape[2])
    extents = [extent_of(plane) for plane in image]
    blank = tuple(c for c, extent in enumerate(extents) if extent.low == extent.high)
    for c, (plane, extent) in enumerate(zip(image, extents, strict=True)):
        for candidate in candidates(plane, whole) if c not in blank else ():
            if is_fill([candidate], extent):
                missing |= candidate.mask
    return fill_of(missing if missing.any() else None, blank)


def fill_of(missing: Mask | None, blank: tuple[int, ...]) -> Fill | None:
    """The fill of a field of which ``missing`` (Y, X), and of some channels everything, was not recorded."""
    if missing is None:
        return Fill(None, 1.0, blank) if blank else None
    return Fill(beside(missing), 1.0 - float(np.count_nonzero(missing)) / missing.size, blank)


def beside(missing: Mask) -> Mask:
    """``missing`` (y, x) and what lies within 2 px of it."""
    return _dilated(missing.view(np.uint8), SEAM_PX).view(np.bool_)


def without_fill(labels: NDArray[np.uint32], fill: Fill | None) -> NDArray[np.uint32]:
    """Labels (Y, X) with none in fill, 1..n in raster order of the nuclei's first pixels."""
    if fill is None or fill.mask is None or not labels[fill.mask].any():
        return labels
    kept = np.where(fill.mask, np.uint32(0), labels)
    values, first = np.unique(kept, return_index=True)
    present = values > 0
    new = np.zeros(int(labels.max()) + 1, np.uint32)
    new[values[present][np.argsort(first[present])]] = np.arange(1, present.sum() + 1, dtype=np.uint32)
    return np.asarray(new[kept], np.uint32)


def extent_of(plane: NDArray[Any]) -> Extent:
    """What the values of a channel's plane span."""
    return Extent(float(plane.min()), float(plane.max()), plane.dtype.kind in "iu")


def joint_extent(parts: Sequence[Extent]) -> Extent:
    """The extent of a channel of these parts."""
    return Extent(
        min(part.low for part in parts), max(part.high for part in parts), all(part.whole_numbers for part in parts)
    )


def candidates(plane: NDArray[Any], core: tuple[slice, slice]) -> list[Candidate]:
    """Exact values that cover areas of the ``core`` of a channel's plane (y, x): 0, the type's largest, and the two
    others most often found. No area is narrower than 5 px.

    The plane reaches `MARGIN_PX` beyond the core, or to the field's edge, and starts at a multiple of 4 px.
    """
    pixels = _as_cv(plane)
    found = [_candidate(pixels, value, core) for value in _values(pixels)]
    return [candidate for candidate in found if candidate is not None]


def is_fill(parts: Sequence[Candidate], extent: Extent) -> bool:
    """Whether areas of one value were not recorded, as far as their edges tell; ``parts`` are those of one value, of a
    field or of all its parts."""
    near = np.concatenate([part.near for part in parts])
    edge = sum(part.edge for part in parts)
    area = sum(int(np.count_nonzero(part.mask)) for part in parts)
    if area < _FEWEST_PX or near.size < _FEWEST_BESIDE or edge < _FEWEST_BESIDE:
        return False
    value = parts[0].value
    straight = sum(part.straight for part in parts) / edge
    if sum(part.near_flat for part in parts) > _MOST_FLAT * near.size or np.mean(near == 0) > _MOST_EQUAL:
        return False
    if value in (extent.low, extent.high):
        far = np.concatenate([part.far for part in parts])
        least = _LEAST_STEP if extent.whole_numbers else _LEAST_STEP_FLOAT * float(np.median(near))
        step = float(np.percentile(near, 10.0)) > least
        ramp = far.size > 0 and float(np.median(near)) < _RAMP * float(np.median(far))
        return step and not ramp and straight >= (_STRAIGHT_DARKEST if value == extent.low else _STRAIGHT_OTHER)
    rough = sum(part.roughness for part in parts) / near.size
    return rough >= (1.0 if extent.whole_numbers else 0.0) and straight >= _STRAIGHT_OTHER


def may_hold_fill(plane: NDArray[Any]) -> bool:
    """Whether a part (y, x) of a channel's plane can hold areas of one value, which may go on beyond the part."""
    pixels = _as_cv(plane)
    square = np.ones((_LEAST_SIDE_PX, _LEAST_SIDE_PX), np.uint8)
    return any(
        cv2.erode((pixels == value).view(np.uint8), square, borderType=cv2.BORDER_CONSTANT, borderValue=1).any()
        for value in _values(pixels)
    )


def _as_cv(plane: NDArray[Any]) -> NDArray[Any]:
    """The plane in a type that OpenCV filters, of the same values."""
    native = plane.astype(plane.dtype.newbyteorder("="), copy=False)
    known = native.dtype in (np.uint8, np.uint16, np.int16, np.float32, np.float64)
    return np.ascontiguousarray(native if known else native.astype(np.float64))


def _values(pixels: NDArray[Any]) -> list[Any]:
    """Values that may cover areas: a square of 5 px holds a pixel of a lattice of 4, an area a run of them."""
    lattice = np.ascontiguousarray(pixels[::_LATTICE_PX, ::_LATTICE_PX])
    usual = _usual(pixels.dtype)
    values: list[Any] = [value for value in usual if (lattice == value).any()]
    level = lattice[:, 1:-1][(lattice[:, 1:-1] == lattice[:, :-2]) & (lattice[:, 1:-1] == lattice[:, 2:])]
    upright = lattice[1:-1][(lattice[1:-1] == lattice[:-2]) & (lattice[1:-1] == lattice[2:])]
    others, counts = np.unique(np.concatenate([level, upright]), return_counts=True)
    further = [others[k] for k in np.argsort(-counts, kind="stable") if others[k] not in usual]
    return values + further[:_FURTHER_VALUES]


def _usual(dtype: np.dtype[Any]) -> tuple[int, ...]:
    """Values that software fills with."""
    return (0, int(np.iinfo(dtype).max)) if dtype.kind in "iu" else (0,)


@kernel
def _may_hold_square(pixels: NDArray[Any], value: Any) -> bool:
    """Whether a square of 5 px may be of ``value`` alone: in its row and in its column, a pixel of the lattice that it
    holds lies in a run of 5 px. Most values of a field without fill fail here, and cost no more."""
    height, width = pixels.shape
    for y in range(0, height, _LATTICE_PX):
        for x in range(0, width, _LATTICE_PX):
            if pixels[y, x] != value:
                continue
            left = right = x
            while left > 0 and pixels[y, left - 1] == value:
                left -= 1
            while right < width - 1 and pixels[y, right + 1] == value:
                right += 1
            if right - left + 1 < _LEAST_SIDE_PX:
                continue
            top = bottom = y
            while top > 0 and pixels[top - 1, x] == value:
                top -= 1
            while bottom < height - 1 and pixels[bottom + 1, x] == value:
                bottom += 1
            if bottom - top + 1 >= _LEAST_SIDE_PX:
                return True
    return False


def _candidate(pixels: NDArray[Any], value: Any, core: tuple[slice, slice]) -> Candidate | None:
    if not _may_hold_square(pixels, pixels.dtype.type(value)):
        return None
    equal = (pixels == value).view(np.uint8)
    square = np.ones((_LEAST_SIDE_PX, _LEAST_SIDE_PX), np.uint8)
    # Outside the field nothing is equal: a dark column at its edge is no area.
    eroded = cv2.erode(equal, square, borderType=cv2.BORDER_CONSTANT, borderValue=0)
    solid = _dilated(np.asarray(eroded, np.uint8), _LEAST_SIDE_PX // 2)
    if not solid.any():
        return None
    areas = _dilated(solid, _GROW_PX if value in _usual(pixels.dtype) else _GROW_OTHER_PX) & equal
    near = _ring(areas, *_NEAR_PX)[core]
    if np.count_nonzero(near & equal[core].view(np.bool_)) > _CLIPPED * np.count_nonzero(near):
        return None
    far = _ring(areas, *_FAR_PX)[core]
    edge = (_dilated(areas, 1) & (1 - areas)).view(np.bool_)
    straight = _on_line(edge) | _on_edge(areas)
    here = pixels[core].astype(np.float32)
    flat, rough = _texture(pixels, near, core)
    return Candidate(
        value=float(value),
        mask=np.ascontiguousarray(areas[core]).view(np.bool_),
        near=np.abs(here[near] - np.float32(value)),
        far=np.abs(here[far] - np.float32(value)),
        near_flat=flat,
        roughness=rough,
        edge=int(np.count_nonzero(edge[core])),
        straight=int(np.count_nonzero((edge & straight)[core])),
    )


def _texture(pixels: NDArray[Any], near: Mask, core: tuple[slice, slice]) -> tuple[int, float]:
    """How many of the ``near`` pixels of the core are of one value with their eight neighbours, and the sum of their
    differences from the pixel beside."""
    rows, columns = np.nonzero(near)
    rows, columns = rows + (core[0].start or 0), columns + (core[1].start or 0)
    here = pixels[rows, columns].astype(np.float64)
    alike = np.ones(rows.size, np.bool_)
    beside = np.zeros(rows.size)
    for dy in (-1, 0, 1):
        for dx in (-1, 0, 1):
            y, x = np.clip(rows + dy, 0, pixels.shape[0] - 1), np.clip(columns + dx, 0, pixels.shape[1] - 1)
            there = pixels[y, x]
            alike &= there == here
            if (dy, dx) == (0, 1):
                beside = np.abs(there - here)
    return int(np.count_nonzero(alike)), float(beside.sum())


def _dilated(bits: Bits, reach: int) -> Bits:
    side = 2 * reach + 1
    return np.asarray(cv2.dilate(bits, np.ones((side, side), np.uint8)), np.uint8)


def _ring(areas: Bits, inner: int, outer: int) -> Mask:
    """Pixels farther than ``inner`` and at most ``outer`` px from the areas."""
    return (_dilated(areas, outer) & (1 - _dilated(areas, inner))).view(np.bool_)


def _on_line(edge: Mask) -> Mask:
    """Pixels of the edge that lie on a level or upright line of 15 px."""
    bits = edge.view(np.uint8)
    level, upright = (
        np.asarray(cv2.morphologyEx(bits, cv2.MORPH_OPEN, np.ones(line, np.uint8)), np.uint8)
        for line in ((1, _RUN_PX), (_RUN_PX, 1))
    )
    return np.asarray((level | upright) > 0)


def _on_edge(areas: Bits) -> Mask:
    """Pixels around which the areas fill half of a box, as they do on either side of a straight edge of any angle.

    By half a pixel less than half on the outer side, from where it is asked.
    """
    share = cv2.boxFilter(areas, cv2.CV_32F, (_BOX_PX, _BOX_PX), borderType=cv2.BORDER_REPLICATE)
    return np.asarray(np.abs(share + 0.5 / _BOX_PX - 0.5) <= _OFF_HALF)
