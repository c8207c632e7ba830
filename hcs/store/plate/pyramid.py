"""Writing one multiscale image, NGFF 0.4 or 0.5: the arrays of its levels and their metadata."""

from __future__ import annotations

import os
import tempfile
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import lru_cache
from itertools import product
from pathlib import Path
from types import MappingProxyType
from typing import Any, Literal

import google_crc32c
import numpy as np
import zarr
from numcodecs.blosc import Blosc
from numpy.typing import NDArray
from zarr.codecs import BloscCodec, Crc32cCodec

from hcs.store.location import Location, Url, zarr_store
from hcs.store.plate.nodes import Ngff
from hcs.store.plate.ome import ome_format, ome_writer

CHUNK_PX = 1080
"""Longest side of a chunk: a 2160² field is four chunks a channel, a smaller field one."""

SMALLEST_LEVEL_PX = 256
"""No level of a pyramid has a side below this, unless the image itself has."""

TIME_UNIT = "minute"
"""Of the t axes that hcs writes."""


def open_group(folder: Location, ngff: Ngff) -> zarr.Group:
    """The group in ``folder``, made where it is missing."""
    return zarr.open_group(store=zarr_store(folder), mode="a", zarr_format=2 if ngff == "0.4" else 3)


def mean_halved(image: NDArray[Any]) -> NDArray[Any]:
    """Half-size image (…, Y/2, X/2) of an even-sided one: means of 2 × 2 pixels, rounded for integers."""
    wide = image.astype(np.result_type(image.dtype, np.float32))
    rows = wide[..., ::2, :] + wide[..., 1::2, :]
    mean = (rows[..., ::2] + rows[..., 1::2]) / 4
    halved: NDArray[Any] = (mean if image.dtype.kind == "f" else np.rint(mean)).astype(image.dtype)
    return halved


def nearest_halved(labels: NDArray[Any]) -> NDArray[Any]:
    """Half-size labels (…, Y/2, X/2): every second pixel, so that no label is made up."""
    return labels[..., ::2, ::2]


@dataclass(frozen=True, slots=True)
class Pixels:
    """How pixels of one kind are stored."""

    halve: Callable[[NDArray[Any]], NDArray[Any]]
    """The next smaller level (…, Y/2, X/2) of an even-sided one."""
    level: int
    """Of zstd, in Blosc."""
    shuffle: Literal["shuffle", "noshuffle"]
    block_bytes: int = 0
    """So much is compressed at a time; 0: as Blosc likes."""

    @property
    def v2(self) -> Blosc:
        """The codec of Zarr v2, which encodes the chunks of v3, too."""
        shuffle = Blosc.SHUFFLE if self.shuffle == "shuffle" else Blosc.NOSHUFFLE
        return Blosc(cname="zstd", clevel=self.level, shuffle=shuffle, blocksize=self.block_bytes)

    @property
    def v3(self) -> BloscCodec:
        """The same of Zarr v3."""
        return BloscCodec(cname="zstd", clevel=self.level, shuffle=self.shuffle, blocksize=self.block_bytes)


IMAGES = Pixels(mean_halved, level=3, shuffle="shuffle")
LABELS = Pixels(nearest_halved, level=1, shuffle="noshuffle", block_bytes=2**18)
"""Labels are long runs of one number, which shuffling cuts in four: a third of the time that images' way takes, and no
more room where nuclei are many (`benchmarks/label_codec.py`)."""


def level_shapes(height: int, width: int) -> list[tuple[int, int]]:
    """Height and width of every level of an image's pyramid, as `write_levels` writes it."""
    shapes = [(height, width)]
    while min(shapes[-1]) // 2 >= SMALLEST_LEVEL_PX:
        shapes.append((shapes[-1][0] // 2, shapes[-1][1] // 2))
    return shapes


def write_levels(folder: Path, data: NDArray[Any], *, axes: str, ngff: Ngff, pixels: Pixels) -> int:
    """Write ``data`` (…, Y, X) as arrays ``0``, ``1``, … of ``folder``, each half the last; return how many.

    Levels end before a side would fall below 256 px; an odd last row or column is left out of the next level.
    """
    level = 0
    while True:
        _write_array(folder / str(level), data, axes=axes, ngff=ngff, pixels=pixels)
        level += 1
        height, width = data.shape[-2:]
        if min(height, width) // 2 < SMALLEST_LEVEL_PX:
            return level
        data = pixels.halve(data[..., : height // 2 * 2, : width // 2 * 2])


def write_frame(
    folder: Location, data: NDArray[Any], frame: int, frames: int, *, axes: str, ngff: Ngff, pixels: Pixels
) -> tuple[int, int]:
    """Write one frame (…, Y, X) of arrays ``0``, ``1``, … (t, …, Y, X) of ``frames`` time points; how many levels there
    are, and the bytes of all files.

    Every frame has chunks of its own, and each file appears in one step: any number of processes may write a frame
    each, in any order, and writing one again gives the same files.
    """
    level, nbytes = 0, 0
    while True:
        nbytes += _write_frame(folder / str(level), data, frame, frames, axes=axes, ngff=ngff, pixels=pixels)
        level += 1
        height, width = data.shape[-2:]
        if min(height, width) // 2 < SMALLEST_LEVEL_PX:
            return level, nbytes
        data = pixels.halve(data[..., : height // 2 * 2, : width // 2 * 2])


def write_image_metadata(
    folder: Location,
    *,
    axes: str,
    n_levels: int,
    ngff: Ngff,
    pixel_size_um: float | None,
    name: str,
    interval_min: float | None = None,
    times_min: tuple[float, ...] | None = None,
    omero: dict[str, Any] | None = None,
    prefix: str = "",
    z_step_um: float | None = None,
    origin_um: tuple[float, float] | None = None,
) -> None:
    """Write the ``multiscales`` (and ``omero``) metadata of the image group in ``folder``.

    The levels are the arrays ``{prefix}0``, ``{prefix}1``, …. Without a pixel size, scales count pixels of level 0 and
    axes have no unit; without an interval, those of time count frames. ``times_min``, of frames that are not evenly
    apart, are written beside the OME metadata, as these have no place for them. ``origin_um`` (y, x) is where the first
    pixel lies; it needs a pixel size.
    """
    units = dict.fromkeys("yx", "micrometer") if pixel_size_um else {}
    if z_step_um and "z" in axes:
        units["z"] = "micrometer"
    if interval_min and "t" in axes:
        units["t"] = TIME_UNIT
    extra = {"metadata": {"omero": omero}} if omero else {}
    steps = {"z": z_step_um, "t": interval_min}
    group = open_group(folder, ngff)
    ome_writer().write_multiscales_metadata(
        group,
        datasets(axes, n_levels, pixel_size_um, prefix=prefix, steps=steps, origin_um=origin_um),
        fmt=ome_format(ngff),
        axes=list(axes),
        axes_units=units or None,
        name=name,
        **extra,
    )
    if times_min is not None:
        group.attrs["hcs"] = {"times_min": list(times_min)}


def datasets(
    axes: str,
    n_levels: int,
    pixel_size_um: float | None,
    *,
    prefix: str = "",
    steps: Mapping[str, float | None] = MappingProxyType({}),
    origin_um: tuple[float, float] | None = None,
) -> list[dict[str, Any]]:
    """The ``datasets`` of a multiscale image whose levels are the arrays ``{prefix}0``, ``{prefix}1``, ….

    ``steps`` are those along other axes, µm in z and minutes in t, 1 where they are not known. A pixel of a smaller
    level is the mean of 2 × 2, so that its middle lies half a step further in.
    """
    base = pixel_size_um or 1.0
    found = []
    for level in range(n_levels):
        sizes = dict.fromkeys("yx", base * 2**level) | {axis: step or 1.0 for axis, step in steps.items()}
        transformations: list[dict[str, Any]] = [{"type": "scale", "scale": [sizes.get(axis, 1.0) for axis in axes]}]
        if origin_um is not None and pixel_size_um is not None:
            inset = (2**level - 1) / 2 * base
            first = {"y": origin_um[0] + inset, "x": origin_um[1] + inset}
            transformations.append({"type": "translation", "translation": [first.get(axis, 0.0) for axis in axes]})
        found.append({"path": f"{prefix}{level}", "coordinateTransformations": transformations})
    return found


@dataclass(frozen=True, slots=True)
class _Level:
    """What all new arrays of one shape and type have in common: their metadata files, and where chunks go."""

    documents: Mapping[str, bytes]
    chunks: tuple[int, ...]
    keys: Mapping[tuple[int, ...], str]


@lru_cache(maxsize=64)
def _level(shape: tuple[int, ...], dtype: str, axes: str, ngff: Ngff, pixels: Pixels) -> _Level:
    with tempfile.TemporaryDirectory(prefix="hcs-") as name:
        array = create_level(Path(name), shape, dtype, chunk_px=CHUNK_PX, axes=axes, ngff=ngff, pixels=pixels)
        documents = {file.name: file.read_bytes() for file in Path(name).iterdir()}
    counts = (range(-(-length // side)) for length, side in zip(shape, array.chunks, strict=True))
    return _Level(documents, array.chunks, {at: array.metadata.encode_chunk_key(at) for at in product(*counts)})


def _write_array(folder: Path, data: NDArray[Any], *, axes: str, ngff: Ngff, pixels: Pixels) -> None:
    """Write (…, Y, X) in chunks of one channel and at most 1080 px a side: the files that `create_level` and zarr would
    write, of which a plate has many thousands, in a third of zarr's time."""
    native = data.astype(data.dtype.newbyteorder("<"), copy=False)
    level = _level(native.shape, native.dtype.str, axes, ngff, pixels)
    folder.mkdir(parents=True)
    for file, text in level.documents.items():
        (folder / file).write_bytes(text)
    for at, key in level.keys.items():
        (folder / key).parent.mkdir(parents=True, exist_ok=True)
        (folder / key).write_bytes(_encoded(native, at, level.chunks, ngff, pixels))


def _write_frame(
    folder: Location, data: NDArray[Any], frame: int, frames: int, *, axes: str, ngff: Ngff, pixels: Pixels
) -> int:
    """Write the chunks of one frame (…, Y, X) of an array (t, …, Y, X), and the array's metadata where they are
    missing; the bytes of the chunks."""
    native = data.astype(data.dtype.newbyteorder("<"), copy=False)
    level = _level((frames, *native.shape), native.dtype.str, axes, ngff, pixels)
    for file, text in level.documents.items():
        if not (folder / file).is_file():
            _put(folder / file, text)
    nbytes = 0
    for at in product(*(range(-(-n // side)) for n, side in zip(native.shape, level.chunks[1:], strict=True))):
        encoded = _encoded(native, at, level.chunks[1:], ngff, pixels)
        _put(folder / level.keys[(frame, *at)], encoded)
        nbytes += len(encoded)
    return nbytes


def _put(path: Location, data: bytes) -> None:
    """A file in one step. Two processes may write the same file at once, each under a name of its own."""
    if isinstance(path, Url):
        path.write_bytes(data)
        return
    temporary = path.with_name(f".{path.name}.{os.getpid()}.part")
    path.parent.mkdir(parents=True, exist_ok=True)
    temporary.write_bytes(data)
    temporary.replace(path)


def _encoded(native: NDArray[Any], at: tuple[int, ...], chunks: tuple[int, ...], ngff: Ngff, pixels: Pixels) -> bytes:
    """The file of one chunk: its place ``at``, in chunks, of an array in little-endian order."""
    block = native[tuple(slice(i * side, (i + 1) * side) for i, side in zip(at, chunks, strict=True))]
    beyond = [(0, side - length) for length, side in zip(block.shape, chunks, strict=True)]
    whole = np.ascontiguousarray(np.pad(block, beyond) if any(after for _, after in beyond) else block)
    encoded = bytes(pixels.v2.encode(whole))
    return encoded if ngff == "0.4" else encoded + google_crc32c.value(encoded).to_bytes(4, "little")


def create_level(
    folder: Location, shape: tuple[int, ...], dtype: Any, *, chunk_px: int, axes: str, ngff: Ngff, pixels: Pixels
) -> zarr.Array[Any]:
    """A new array (…, Y, X) in Blosc-zstd chunks of one channel and at most ``chunk_px`` a side.

    Chunks of Zarr v3 end in a checksum (crc32c): a flipped bit is an error and no pixel. Zarr v2 has no such codec that
    all readers know. Chunks that hold only zeros are written too, so that a missing chunk is a lost one.
    """
    v2 = ngff == "0.4"
    v3_codecs = (pixels.v3, Crc32cCodec())
    return zarr.create_array(
        store=zarr_store(folder),
        shape=shape,
        dtype=dtype,
        chunks=(*(1 for _ in shape[:-2]), *(min(chunk_px, side) for side in shape[-2:])),
        compressors=pixels.v2.get_config() if v2 else v3_codecs,
        fill_value=0,
        zarr_format=2 if v2 else 3,
        chunk_key_encoding={"name": "v2" if v2 else "default", "separator": "/"},
        dimension_names=None if v2 else list(axes),
        config={"write_empty_chunks": True},
    )
