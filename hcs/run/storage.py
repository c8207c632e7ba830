"""How a plate's arrays are stored, and what of it will be slow."""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Iterable

from hcs.store.plate.field import FieldInfo

_BEST = "chunks of one channel and at most 1080 px a side, as `hcs convert` writes them"
_SMALL_CHUNK_BYTES = 64 * 1024
_MANY_CHUNKS_A_FIELD = 16
_LARGE_CHUNK_BYTES = 256 * 1024**2
_MANY_FILES = 500_000


def chunk_bytes(info: FieldInfo) -> int:
    """Bytes of one chunk, decoded."""
    return math.prod(info.chunks) * info.dtype.itemsize


def count_files(info: FieldInfo) -> int:
    """Chunk files, or shard files of a sharded array, of one field at full resolution."""
    return _count(info, info.shards or info.chunks)


def _count(info: FieldInfo, sides: tuple[int, ...]) -> int:
    return math.prod(-(-length // side) for length, side in zip(_lengths(info), sides, strict=True))


def _lengths(info: FieldInfo) -> tuple[int, ...]:
    sizes = {"t": info.t_size, "c": info.shape[0], "z": info.z_size, "y": info.shape[1], "x": info.shape[2]}
    return tuple(sizes[axis] for axis in info.axes)


def storage_advice(infos: Iterable[FieldInfo]) -> tuple[str, ...]:
    """Sentences on what will be slow in reading these fields and what to convert; none where all is well.

    Each way in which fields are stored counts once, with the number of fields that are stored so.
    """
    found = list(infos)
    kinds = Counter((info.shape, info.z_size, info.dtype, info.chunks, info.shards) for info in found)
    examples = {(info.shape, info.z_size, info.dtype, info.chunks, info.shards): info for info in found}
    sentences = [sentence for kind, n in kinds.items() for sentence in _advice(examples[kind], n)]
    files = sum(count_files(info) for info in found)
    if files > _MANY_FILES:
        sentences.append(
            f"{files:,} chunk files: copying and listing them takes longer than reading; convert to one shard a field "
            "(NGFF 0.5), or to larger chunks"
        )
    return tuple(sentences)


def _advice(info: FieldInfo, n_fields: int) -> list[str]:
    chunk = "×".join(map(str, info.chunks))
    size = "×".join(map(str, _lengths(info)))
    what = f"{n_fields} field(s) of {size} ({info.axes}) in chunks of {chunk}"
    chunks = _count(info, info.chunks)
    decoded = chunks * math.prod(info.chunks) / math.prod(_lengths(info))
    sentences = []
    if decoded > 2:
        sentences.append(f"{what}: {decoded:.1f} times the pixels are decoded; convert to {_BEST}")
    if chunks > _MANY_CHUNKS_A_FIELD and chunk_bytes(info) < _SMALL_CHUNK_BYTES:
        sentences.append(
            f"{what}: {chunks} pieces of {chunk_bytes(info) / 1024:.0f} KiB a field are read one by one; convert to "
            f"{_BEST}"
        )
    if chunk_bytes(info) > _LARGE_CHUNK_BYTES and chunks > 1:
        sentences.append(
            f"{what}: {chunk_bytes(info) / 1e6:.0f} MB are decoded at a time, whatever part is asked for; convert to "
            f"{_BEST}"
        )
    return sentences
