"""One image of a plate or by itself: what it is, and its pixels."""

from __future__ import annotations

import math
import os
import stat
from collections.abc import Iterator
from contextlib import nullcontext
from dataclasses import dataclass
from itertools import islice, product
from pathlib import Path
from typing import Any, Literal

import numpy as np
import zarr
from numcodecs.blosc import Blosc
from numpy.typing import NDArray
from zarr.codecs import BloscCodec
from zarr.storage import LocalStore, WrapperStore

from hcs.errors import FieldError
from hcs.machine import memory_bytes
from hcs.plate.keys import NO_FRAME, FieldKey
from hcs.store.location import Location, Url, as_os_errors, map_at, zarr_store
from hcs.store.meter import Meter
from hcs.store.paths import shown
from hcs.store.plate.demand import check_demand
from hcs.store.plate.in_files import InFiles, read_in_files
from hcs.store.plate.metadata import ImageMetadata, explain
from hcs.store.plate.nodes import chunk_files, read_node

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

    def __init__(
        self, store: Any, folder: Path | None = None, files: InFiles | None = None, meter: Meter | None = None
    ) -> None:
        """``folder`` is where a store on disk is; ``files`` are those that its chunks are made of, where they are not
        stored, and ``meter`` then counts what is read of them."""
        super().__init__(LocalStore(store, read_only=True) if isinstance(store, Path) else store)
        self._folder = folder
        self._files = files
        self._meter = meter
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
        if self._files is not None and key in self._files.pieces:
            return prototype.buffer.from_bytes(self._decoded(self._files, key))
        if self._folder is not None and not self._is_there(self._folder / key, key):
            return None
        found = await super().get(key, prototype, byte_range)
        if self._looks and found is not None and byte_range is None:
            expected = int.from_bytes(bytes(found[_LENGTH_AT].as_numpy_array()), "little")
            if len(found) < max(expected, _LENGTH_AT.stop):
                raise ValueError(f"chunk {key} has {len(found)} bytes of {expected}")
        return found

    def _decoded(self, files: InFiles, key: str) -> bytes:
        if self._meter is None:
            return files.chunk(key)
        nbytes = 0
        self._meter.start()
        try:
            data = files.chunk(key)
            nbytes = files.nbytes(key)
        finally:
            self._meter.stop(nbytes)
        return data

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


@dataclass(frozen=True, slots=True)
class FieldInfo:
    """A field's full-resolution array: ``shape`` (C, Y, X), its lengths in z and t, and how it is stored.

    ``axes`` are the stored axes, such as ``tczyx``; ``level_path`` is relative to the plate. ``chunks`` and ``shards``
    have one number an axis. ``pixel_size_um`` is None where the metadata do not tell it.
    """

    shape: tuple[int, int, int]
    z_size: int
    t_size: int
    dtype: np.dtype[Any]
    axes: str
    channels: tuple[str, ...]
    pixel_size_um: float | None
    level_path: str
    chunks: tuple[int, ...]
    shards: tuple[int, ...] | None
    origin_um: tuple[float, float] | None = None
    """Where the first pixel lies on the stage, (y, x); None where the metadata do not tell it."""
    interval_min: float | None = None
    """Minutes from one time point to the next; None where the metadata do not tell it."""
    times_min: tuple[float, ...] | None = None
    """Minutes of every time point, where the metadata tell them one by one."""


def open_image(
    root: Location, path: str, key: FieldKey | str, meter: Meter | None = None
) -> tuple[FieldInfo, zarr.Array[Any]]:
    """Metadata and the full-resolution array of the image at ``path`` below ``root``; no pixel is read. ``meter``
    counts what is read of the array from then on.

    Raises FieldError, naming ``key``, where the group, its metadata or the array is missing or broken.
    """
    metadata, zarr_format = _image_metadata(root / path, key)
    multiscale = metadata.multiscales[0]
    level_path = f"{path}/{multiscale.datasets[0].path}".strip("/")
    try:
        array = _open_array(root / level_path, zarr_format, meter)
    except MemoryError:
        raise
    except Exception as error:  # zarr and its codecs raise whatever they stumble over
        raise FieldError(
            key,
            f"array {level_path} is missing or its metadata is broken ({_short(error)}); copy or write it again",
        ) from error
    sizes = _sizes(multiscale.letters, array.shape, key)
    check_demand(array, sizes, key)
    if array.dtype.kind not in "uifb":
        raise FieldError(
            key, f"array {level_path} has pixels of type {array.dtype}; integers or real numbers are needed"
        )
    channels = metadata.channel_names(sizes.get("c", 1))
    for name in channels:
        if not name.isprintable():
            raise FieldError(key, f"its channel {shown(name)} has characters that no column can have; rename it")
    info = FieldInfo(
        shape=(sizes.get("c", 1), sizes["y"], sizes["x"]),
        z_size=sizes.get("z", 1),
        t_size=sizes.get("t", 1),
        dtype=array.dtype.newbyteorder("="),
        axes=multiscale.letters,
        channels=channels,
        pixel_size_um=multiscale.pixel_size_um(),
        level_path=level_path,
        chunks=array.chunks,
        shards=array.shards,
        origin_um=multiscale.origin_um(),
        interval_min=multiscale.interval_min(),
        times_min=metadata.times_min,
    )
    return info, array


def read_pixels(
    array: zarr.Array[Any],
    info: FieldInfo,
    root: Location,
    key: FieldKey | str,
    *,
    channels: tuple[int, ...],
    z: Literal["refuse", "max"] = "refuse",
    window: tuple[slice, slice] | None = None,
    frame: int = NO_FRAME,
) -> NDArray[Any]:
    """Pixels of the given channels as (C, Y, X), stored dtype in native byte order.

    ``z="max"`` takes the maximum over more than one z plane; ``window`` takes some rows and columns; ``frame`` is the
    0-based time point of an image that has several. Raises FieldError for several time points and no frame, or a frame
    that there is not, for z planes that are not wanted, for a chunk that cannot be decoded, and for an image, or a
    frame, without any chunk: Zarr reads that as the fill value, and a black image must not be made of lost data.
    """
    _check_depth(info, key, z, frame)
    check_memory(info, channels, window, key)
    if not channels or not all(0 <= c < info.shape[0] for c in channels):
        raise FieldError(key, f"channels {channels} were asked for; it has channels 0 to {info.shape[0] - 1}")
    try:
        stored = _read_channels(array, info, channels, window or (slice(None), slice(None)), max(frame, 0))
    except (MemoryError, FieldError):
        raise
    except Exception as error:  # codecs raise whatever their library does
        raise FieldError(
            key,
            f"array {info.level_path} cannot be decoded ({_short(error)}): a chunk is damaged; copy or write it again",
        ) from error
    for channel, plane in zip(channels, stored, strict=True):
        if _is_fill(plane, array.fill_value):
            _check_recorded(array, info, root, key, channel=channel, frame=frame)
    return np.ascontiguousarray(stored, dtype=info.dtype)


def missing_chunks(
    root: Location, info: FieldInfo, array: zarr.Array[Any] | None = None, *, frame: int = NO_FRAME
) -> tuple[int, int]:
    """How many chunk (or shard) files of a field's array, or of one ``frame`` of it, are missing, and how many there
    should be; ``array`` is the field's, if it is open.

    Zarr reads a missing chunk as the fill value. Some writers leave out chunks of only that value, so a few missing
    ones are no error, but worth a word.
    """
    folder = root / info.level_path
    expected = tuple(_chunk_keys(_open_array(folder, None) if array is None else array, info, frame=frame))
    files = read_in_files(folder)
    if files is not None:
        there = {*files.pieces}
    elif frame == NO_FRAME:
        there = set(chunk_files(folder, expected))
    else:  # a listing would hold the files of all frames
        asked = map_at(folder, lambda name: (folder / name).is_file(), expected)
        there = {name for name, found in zip(expected, asked, strict=True) if found}
    return sum(name not in there for name in expected), len(expected)


def missing_sentence(missing: int, expected: int) -> str:
    """What is worth saying about chunks that are missing; nothing where none is."""
    if not missing:
        return ""
    share = f"{missing / expected:.0%}" if missing / expected >= 0.005 else "below 1%"
    return f"{missing} of {expected} chunks ({share}) are missing and were read as the fill value"


def _check_recorded(
    array: zarr.Array[Any], info: FieldInfo, root: Location, key: FieldKey | str, *, channel: int, frame: int
) -> None:
    """FieldError where not one chunk of a channel, which reads as the fill value, is there."""
    folder, expected = root / info.level_path, tuple(_chunk_keys(array, info, channel=channel, frame=frame))
    files = read_in_files(folder)
    if files is not None and not files.pieces.keys().isdisjoint(expected):
        return
    if isinstance(folder, Url):
        if not set(expected).isdisjoint(chunk_files(folder, expected)):
            return
    elif any((folder / name).is_file() for name in expected):
        return
    others = sorted(set(islice(chunk_files(folder, ()), 3))) if not (isinstance(folder, Url) and folder.is_web) else []
    what = f"channel {info.channels[channel]} of array {info.level_path}" if info.shape[0] > 1 else info.level_path
    if others and not set(others) & set(_chunk_keys(array)):
        raise FieldError(
            key,
            f"{what} holds no data under the names that its metadata give ({expected[0]}, …), but there is "
            f"{', '.join(others)}: is the dimension separator wrong? Correct the metadata, or copy it again",
        )
    raise FieldError(
        key,
        f"{what} holds no data: every chunk is missing; copy it again, or if the image is truly black, write it with "
        "empty chunks (write_empty_chunks=True), as hcs does",
    )


def _open_array(folder: Location, zarr_format: Literal[2, 3] | None, meter: Meter | None = None) -> zarr.Array[Any]:
    """The array, read-only; whatever a client of a store raises comes as OSError."""
    files = read_in_files(folder)
    store = WholeChunks(
        zarr_store(folder, read_only=True, meter=meter), None if isinstance(folder, Url) else folder, files, meter
    )
    with as_os_errors(str(folder)) if isinstance(folder, Url) else nullcontext():
        array = zarr.open_array(store=store, mode="r", zarr_format=zarr_format)
    store.look_at(array, most_bytes=math.prod(array.shards or array.chunks) * array.dtype.itemsize)
    return array


def _chunk_keys(
    array: zarr.Array[Any], info: FieldInfo | None = None, *, channel: int | None = None, frame: int = NO_FRAME
) -> Iterator[str]:
    """Names of all files that an array's chunks, or shards, should have; of those of one channel or frame of a
    field."""
    sides = array.shards or array.chunks
    ranges = [range(-(-length // side)) for length, side in zip(array.shape, sides, strict=True)]
    chosen = {"c": channel, "t": None if frame == NO_FRAME else frame}
    for axis, place in chosen.items() if info is not None else ():
        if info is not None and place is not None and axis in info.axes:
            along = info.axes.index(axis)
            ranges[along] = range(place // sides[along], place // sides[along] + 1)
    for coordinates in product(*ranges):
        yield array.metadata.encode_chunk_key(coordinates)


def _image_metadata(folder: Location, key: FieldKey | str) -> tuple[ImageMetadata, Literal[2, 3]]:
    try:
        node = read_node(folder)
        if node is None:
            raise FieldError(key, f"its group {folder} is missing; copy or write it again")
        told = node.ome | {"hcs": node.others.get("hcs")}
        return ImageMetadata.model_validate(told), 2 if node.ngff == "0.4" else 3
    except (OSError, ValueError) as error:
        reason = explain(error) if isinstance(error, ValueError) else str(error)
        raise FieldError(key, f"its image metadata in {folder} is broken ({reason}); write it again") from error


def _sizes(axes: str, shape: tuple[int, ...], key: FieldKey | str) -> dict[str, int]:
    """Length of each axis; FieldError for axes that are unknown, repeated, or do not fit the array."""
    if len(set(axes)) != len(axes) or not set(axes) <= {*"tczyx"} or not {*"yx"} <= set(axes):
        raise FieldError(key, f"its axes are {axes!r}; axes y and x, and t, c, z at most once each, are understood")
    if len(axes) != len(shape):
        raise FieldError(key, f"its axes are {axes!r} but the array has shape {shape}; correct the metadata")
    if 0 in shape:
        raise FieldError(key, f"its array has shape {shape}, no pixel at all; write it again")
    return dict(zip(axes, shape, strict=True))


def _check_depth(info: FieldInfo, key: FieldKey | str, z: Literal["refuse", "max"], frame: int) -> None:
    if frame == NO_FRAME and info.t_size > 1:
        raise FieldError(key, f"it has {info.t_size} time points; say which one, as its frame")
    if frame >= info.t_size:
        raise FieldError(key, f"it has {info.t_size} time points, and no frame {frame}; frames count from 0")
    if info.z_size > 1 and z == "refuse":
        raise FieldError(key, f"it has {info.z_size} z planes; set `z: max` in the configuration to project them")


def check_memory(
    info: FieldInfo, channels: tuple[int, ...], window: tuple[slice, slice] | None, key: FieldKey | str
) -> None:
    """FieldError where the pixels asked for, all their z planes included, do not fit into the machine's memory."""
    rows, columns = window or (slice(None), slice(None))
    size = len(range(*rows.indices(info.shape[1]))) * len(range(*columns.indices(info.shape[2])))
    needed = size * len(channels) * info.z_size * info.dtype.itemsize
    if needed > memory_bytes():
        raise FieldError(
            key,
            f"its {len(channels)} channels and {info.z_size} z planes of {size:,} px take {needed / 1e9:,.0f} GB, and "
            f"this machine has {memory_bytes() / 1e9:,.0f} GB; are its axes named rightly?",
        )


def _read_channels(
    array: zarr.Array[Any], info: FieldInfo, channels: tuple[int, ...], window: tuple[slice, slice], frame: int
) -> NDArray[Any]:
    """Stored pixels (C, Y, X) of the channels, in the order asked for; one read where they are neighbours."""
    low, high = min(channels), max(channels)
    if set(range(low, high + 1)) == set(channels):
        block = _read_range(array, info, slice(low, high + 1), window, frame)
        return block if channels == (*range(low, high + 1),) else block[[c - low for c in channels]]
    return np.concatenate([_read_range(array, info, slice(c, c + 1), window, frame) for c in channels])


def _read_range(
    array: zarr.Array[Any], info: FieldInfo, channels: slice, window: tuple[slice, slice], frame: int
) -> NDArray[Any]:
    """Neighbouring channels as (C, Y, X), a longer z max-projected."""
    along = {"t": slice(frame, frame + 1), "c": channels, "z": slice(None), "y": window[0], "x": window[1]}
    region = tuple(along[axis] for axis in info.axes)
    block = np.asarray(array[region])
    missing = [axis for axis in "tczyx" if axis not in info.axes]
    block = block.reshape(*(1 for _ in missing), *block.shape)
    order = ["".join([*missing, info.axes]).index(axis) for axis in "tczyx"]
    planes: NDArray[Any] = block.transpose(order)[0]
    projected: NDArray[Any] = planes[:, 0] if planes.shape[1] == 1 else planes.max(axis=1)
    return projected


def _is_fill(data: NDArray[Any], fill: Any) -> bool:
    """Whether every pixel has the fill value (0 where the array names none)."""
    value = np.asarray(0 if fill is None else fill, dtype=data.dtype)
    if data.dtype.kind == "f" and np.isnan(value):
        return bool(np.isnan(data).all())
    # The first pixel tells it of nearly every plane.
    return bool(data.size == 0 or data.flat[0] == value) and not (data != value).any()


def _short(error: BaseException) -> str:
    """First line of an error's text, or its kind where it has none."""
    lines = str(error).strip().splitlines()
    return lines[0] if lines else type(error).__name__
