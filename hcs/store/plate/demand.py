"""What a field would take, by its metadata alone: what no machine can hold is refused before anything is read."""

from __future__ import annotations

import math
from typing import Any

import zarr

from hcs.errors import FieldError
from hcs.machine import memory_bytes

MOST_CHANNELS = 1_000
MOST_PX = 10**11
"""Of one plane: ten times the largest mosaics and whole slides."""
MOST_CHUNKS = 5_000_000
"""Files of one array, which are counted and read one by one."""


def check_demand(array: zarr.Array[Any], sizes: dict[str, int], key: object) -> None:
    """FieldError, naming ``key``, where an array of these axis lengths has more channels, pixels or chunks than can be
    processed, or chunks larger than the machine's memory."""
    channels, plane = sizes.get("c", 1), sizes["y"] * sizes["x"]
    if channels > MOST_CHANNELS:
        raise FieldError(key, f"it has {channels:,} channels, more than {MOST_CHANNELS:,}; {_REMEDY}")
    if plane > MOST_PX:
        raise FieldError(key, f"it has {sizes['y']:,} × {sizes['x']:,} px, more than {MOST_PX:,}; {_REMEDY}")
    sides = array.shards or array.chunks
    if not all(sides):
        raise FieldError(key, f"its chunks are {sides}, no pixel at all; {_REMEDY}")
    count = math.prod(-(-length // side) for length, side in zip(array.shape, sides, strict=True))
    if count > MOST_CHUNKS:
        raise FieldError(key, f"it is in {count:,} chunks, more than {MOST_CHUNKS:,}; write it in larger chunks")
    decoded = math.prod(array.chunks) * array.dtype.itemsize
    if decoded > memory_bytes():
        raise FieldError(
            key,
            f"one of its chunks takes {decoded / 1e9:,.0f} GB, and this machine has {memory_bytes() / 1e9:,.0f} GB; "
            "write it in smaller chunks",
        )


_REMEDY = "are its axes named rightly? Correct the metadata, or write it again"
