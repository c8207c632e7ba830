"""How much of an image enters the network at a time: as much as memory and cache allow, never enough to change a
result."""

from __future__ import annotations

_LAYER_BYTES = 21
"""Per pixel of a tile and channel of the network at full resolution: all its layers."""


_STREAM_PX = 262_144
"""Pixels of a tile that enter the network at a time on the CPU. Fewer take less memory, and more time for laying out
the weights anew at every call."""


_LEAST_STRIDES = 2


def rows_at_once(width: int, stride_px: int) -> int:
    """Rows of a tile of ``width`` that enter the network at a time on the CPU, a multiple of its stride."""
    return max(_STREAM_PX // width // stride_px, _LEAST_STRIDES) * stride_px


def tiles_at_once(free_bytes: int, shape: tuple[int, int], *, width: int, itemsize: int, most: int = 32) -> int:
    """How many tiles of ``shape`` (y, x) a network of ``width`` channels at full resolution takes at a time on a device
    with ``free_bytes``: at least 1, a power of two up to ``most``.

    Layers are counted in float32 and shrink with ``itemsize``; a fifth of the memory is left for what the allocator
    cuts off and convolutions need beside their layers.
    """
    tile = shape[0] * shape[1] * width * _LAYER_BYTES * itemsize // 4
    fitting = max(min(int(free_bytes * 0.8) // max(tile, 1), most), 1)
    return 1 << (fitting.bit_length() - 1)
