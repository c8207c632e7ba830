"""Chunks that were cut short, which Blosc does not notice."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import zarr
from numcodecs.blosc import Blosc
from zarr.codecs import BloscCodec
from zarr.storage import LocalStore, WrapperStore

_LENGTH_AT = slice(12, 16)
"""Where a Blosc buffer says how many bytes it has, little-endian."""


class WholeChunks(WrapperStore[Any]):
    """A store that raises ValueError for a chunk shorter than its compressor says, once it is told to look.

    Blosc takes the length on trust and reads on behind the end: mostly that fails, but where the memory still holds
    what was there before, it gives pixels.
    """

    def __init__(self, store: Any) -> None:
        super().__init__(LocalStore(store, read_only=True) if isinstance(store, Path) else store)
        self._looks = False

    def look_at(self, array: zarr.Array[Any]) -> None:
        """Check the chunks of ``array``, from now on, if they are Blosc buffers; shards have checksums of their own."""
        last = array.compressors[-1] if array.compressors else None
        self._looks = array.shards is None and isinstance(last, Blosc | BloscCodec)

    async def get(self, key: str, prototype: Any, byte_range: Any = None) -> Any:
        """The bytes of ``key``; see the class."""
        found = await super().get(key, prototype, byte_range)
        if self._looks and found is not None and byte_range is None:
            expected = int.from_bytes(bytes(found[_LENGTH_AT].as_numpy_array()), "little")
            if len(found) < max(expected, _LENGTH_AT.stop):
                raise ValueError(f"chunk {key} has {len(found)} bytes of {expected}")
        return found
