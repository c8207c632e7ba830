"""What of a field in blocks was not recorded: found window by window, decided for the whole field, asked box by box."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from hcs.measure.fill import (
    MARGIN_PX,
    SEAM_PX,
    Candidate,
    Extent,
    Fill,
    Mask,
    beside,
    candidates,
    extent_of,
    is_fill,
    joint_extent,
)
from hcs.store.scratch import Scratch
from hcs.tiles.blocks import Box

_NUMBERS = ("value", "near_flat", "roughness", "edge", "straight")


@dataclass(frozen=True, slots=True)
class FieldFill:
    """What of a field was not recorded, without the pixels."""

    values: tuple[tuple[int, float], ...] = ()
    """Channels and the values that fill areas of them."""
    blank: tuple[int, ...] = ()
    """Channels that hold one value alone."""
    recorded: float = 1.0
    """Share of the field's pixels that all other channels have."""


def reach_of(box: Box, shape: tuple[int, int]) -> Box:
    """What must be read to find the candidates of a window."""
    return box.grown(MARGIN_PX, shape)


def plain_candidates(image: NDArray[Any], core: tuple[slice, slice]) -> dict[str, NDArray[Any]]:
    """Arrays for the scratch folder: the candidates of all channels (C, y, x) in ``core``."""
    arrays: dict[str, NDArray[Any]] = {}
    for c, plane in enumerate(image):
        for k, found in enumerate(candidates(plane, core)):
            name = f"fill_{c}_{k}"
            arrays[f"{name}_numbers"] = np.array([getattr(found, number) for number in _NUMBERS], np.float64)
            arrays[f"{name}_mask"] = np.packbits(found.mask)
            arrays[f"{name}_near"], arrays[f"{name}_far"] = found.near, found.far
    return arrays


def plain_extents(image: NDArray[Any]) -> dict[str, NDArray[Any]]:
    """Arrays for the scratch folder: what the values of each channel (C, y, x) span."""
    return {
        f"extent_{c}": np.array([extent.low, extent.high, extent.whole_numbers], np.float64)
        for c, extent in enumerate(map(extent_of, image))
    }


def decide(scratch: Scratch, boxes: Sequence[Box], n_channels: int) -> FieldFill:
    """The fill of a field whose windows ``boxes`` left their candidates; its share is not known yet."""
    extents: list[list[Extent]] = [[] for _ in range(n_channels)]
    found: dict[tuple[int, float], list[Candidate]] = {}
    for i, box in enumerate(boxes):
        arrays = scratch.read(window_name(i))
        for c in range(n_channels):
            low, high, whole = arrays[f"extent_{c}"]
            extents[c].append(Extent(float(low), float(high), bool(whole)))
        for c, candidate in _read_candidates(arrays, box):
            found.setdefault((c, candidate.value), []).append(candidate)
    joint = [joint_extent(parts) for parts in extents]
    blank = tuple(c for c, extent in enumerate(joint) if extent.low == extent.high)
    values = tuple(key for key, parts in sorted(found.items()) if key[0] not in blank and is_fill(parts, joint[key[0]]))
    return FieldFill(values, blank)


def window_name(i: int) -> str:
    """Name of what a window leaves in the scratch folder."""
    return f"statistics-{i:05d}"


def missing_in(scratch: Scratch, boxes: Sequence[Box], field: FieldFill, box: Box) -> Mask | None:
    """Pixels of ``box`` that were not recorded, (y, x); None where there are none."""
    missing = np.zeros(box.shape, np.bool_)
    wanted = set(field.values)
    for i, window in enumerate(boxes if wanted else ()):
        if not box.overlaps(np.array([[window.y0, window.x0, window.y1, window.x1]]))[0]:
            continue
        common = Box(max(box.y0, window.y0), max(box.x0, window.x0), min(box.y1, window.y1), min(box.x1, window.x1))
        for c, candidate in _read_candidates(scratch.read(window_name(i)), window):
            if (c, candidate.value) in wanted:
                missing[common.within(box)] |= candidate.mask[common.within(window)]
    return missing if missing.any() else None


def fill_in(scratch: Scratch, boxes: Sequence[Box], field: FieldFill, box: Box, shape: tuple[int, int]) -> Fill | None:
    """The fill of a part of a field of ``shape``, as `hcs.measure.fill.find_fill` has it of the whole."""
    wide = box.grown(SEAM_PX, shape)
    missing = missing_in(scratch, boxes, field, wide)
    if missing is None:
        return Fill(None, field.recorded, field.blank) if field.blank else None
    return Fill(np.ascontiguousarray(beside(missing)[box.within(wide)]), field.recorded, field.blank)


def _read_candidates(arrays: dict[str, NDArray[Any]], box: Box) -> Iterator[tuple[int, Candidate]]:
    """Channel and candidate, of what a window ``box`` left."""
    size = box.shape[0] * box.shape[1]
    for name in sorted(name for name in arrays if name.startswith("fill_") and name.endswith("_numbers")):
        start = name.removesuffix("_numbers")
        value, flat, roughness, edge, straight = arrays[name]
        yield (
            int(start.split("_")[1]),
            Candidate(
                value=float(value),
                mask=np.unpackbits(arrays[f"{start}_mask"], count=size).reshape(box.shape).view(np.bool_),
                near=arrays[f"{start}_near"],
                far=arrays[f"{start}_far"],
                near_flat=int(flat),
                roughness=float(roughness),
                edge=int(edge),
                straight=int(straight),
            ),
        )
