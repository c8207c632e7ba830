"""Chunks that are not what their metadata says, which zarr and Blosc do not notice."""

from __future__ import annotations

import os
import stat
from pathlib import Path
from typing import Any

import zarr
from numcodecs.blosc import Blosc
from zarr.codecs import BloscCodec
from zarr.storage import LocalStore, WrapperStore

_LENGTH_AT = slice(12, 16)
"""Where a Blosc buffer says how many bytes it has, little-endian."""
_LARGEST_METADATA_BYTES = 2**28
_SLACK_BYTES = 2**20
"""What a compressor may add to data that it cannot make smaller, with room to spare."""


class WholeChunks(WrapperStore[Any]):
    """A store that raises ValueError for a chunk shorter than its compressor says, once it is told to look, and for
    what is in a chunk's place without being a file of a chunk's size.

    Blosc takes the length on trust and reads on behind the end: mostly that fails, but where the memory still holds
    what was there before, it gives pixels. Zarr takes a folder in the place of a chunk, or a file in the place of its
    folder, for a missing chunk, and waits for ever for what may come out of a pipe.
    """

    def __init__(self, store: Any, folder: Path | None = None) -> None:
        """``folder`` is where a store on disk is."""
        super().__init__(LocalStore(store, read_only=True) if isinstance(store, Path) else store)
        self._folder = folder
        self._looks = False
        self._most_bytes = _LARGEST_METADATA_BYTES

    def look_at(self, array: zarr.Array[Any], *, most_bytes: int) -> None:
        """Check the chunks of ``array``, from now on, if they are Blosc buffers; those of shards, and those with a
        checksum, are known to be whole. No file may have much more than ``most_bytes``, what it decodes to."""
        last = array.compressors[-1] if array.compressors else None
        self._looks = array.shards is None and isinstance(last, Blosc | BloscCodec)
        self._most_bytes = 2 * most_bytes + _SLACK_BYTES

    async def get(self, key: str, prototype: Any, byte_range: Any = None) -> Any:
        """The bytes of ``key``; see the class."""
        if self._folder is not None and not self._is_there(self._folder / key, key):
            return None
        found = await super().get(key, prototype, byte_range)
        if self._looks and found is not None and byte_range is None:
            expected = int.from_bytes(bytes(found[_LENGTH_AT].as_numpy_array()), "little")
            if len(found) < max(expected, _LENGTH_AT.stop):
                raise ValueError(f"chunk {key} has {len(found)} bytes of {expected}")
        return found

    def _is_there(self, path: Path, key: str) -> bool:
        """Whether there is a file at ``path``; ValueError where there is something else."""
        try:
            found = path.stat()
        except FileNotFoundError:
            if os.path.islink(path):
                raise ValueError(f"{key} is a symbolic link to nothing") from None
            return False
        except NotADirectoryError:
            raise ValueError(f"a file is in the place of the folder of {key}") from None
        if stat.S_ISDIR(found.st_mode):
            raise ValueError(f"a folder is in the place of {key}")
        if not stat.S_ISREG(found.st_mode):
            raise ValueError(f"{key} is no file but a pipe, socket or device")
        if found.st_size > self._most_bytes:
            raise ValueError(f"{key} has {found.st_size:,} bytes, more than it can hold")
        return True
