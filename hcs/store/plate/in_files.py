"""Arrays whose chunks are not stored: each is a plane, or the projection of several, in image files elsewhere.

Such an array has a file ``files.json`` beside its metadata, with the folder of the images and, for every chunk, the
files and pages that it is made of. Zarr asks a store for chunks; this one decodes the files, so that every reader of
plates reads them as they lie.
"""

from __future__ import annotations

import json
import tempfile
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import lru_cache
from itertools import product
from pathlib import Path
from typing import Any

import numpy as np
import zarr
from numpy.typing import NDArray

from hcs.errors import FieldError
from hcs.store.files.images import read_plane
from hcs.store.location import Location
from hcs.store.plate.nodes import Ngff

IN_FILES = "files.json"

Piece = tuple[str, int | None]
"""A plane: a file's name below the folder, and its page where it has several."""
_LARGE_BYTES = 2**26
"""Planes from this size on are read in windows, again and again: the last few are kept."""


@dataclass(frozen=True, slots=True)
class InFiles:
    """Which files the chunks of one array are made of."""

    root: Path
    pieces: Mapping[str, tuple[Piece, ...]]
    """By the chunk's key; of a chunk that is not among these there is no image."""
    shape: tuple[int, int]
    dtype: np.dtype[Any]

    def chunk(self, key: str) -> bytes:
        """The bytes of a chunk, little-endian; FieldError where a file is missing, damaged, or another than it was."""
        pixels = _projected(self.root, self.pieces[key])
        if (pixels.shape, pixels.dtype) != (self.shape, self.dtype):
            name = self.pieces[key][0][0]
            raise FieldError(
                name,
                f"{self.root / name} is {pixels.shape} {pixels.dtype}, and was {self.shape} {self.dtype} when the run "
                "began: the file was replaced; run into a new folder",
            )
        return np.ascontiguousarray(pixels, self.dtype.newbyteorder("<")).tobytes()

    def nbytes(self, key: str) -> int:
        """Bytes of the files of a chunk."""
        return sum(_bytes(self.root, piece) for piece in self.pieces[key])


def read_in_files(array: Location) -> InFiles | None:
    """What the array in a folder is made of; None where its chunks are stored, as they mostly are."""
    if not isinstance(array, Path):
        return None
    try:
        data = json.loads((array / IN_FILES).read_bytes())
    except (FileNotFoundError, NotADirectoryError):
        return None
    pieces = {key: tuple((name, page) for name, page in made_of) for key, made_of in data["chunks"].items()}
    return InFiles(Path(data["root"]), pieces, (data["shape"][0], data["shape"][1]), np.dtype(data["dtype"]))


def write_in_files(
    folder: Path,
    root: Path,
    planes: Mapping[tuple[int, ...], Sequence[Piece]],
    shape: tuple[int, ...],
    dtype: np.dtype[Any],
    *,
    axes: str,
    ngff: Ngff,
) -> None:
    """Write the metadata of an array (…, Y, X) of one chunk a plane, and the files of each plane by its place along the
    axes before y; nothing of the pixels."""
    documents, keys = _template(shape, dtype.str, axes, ngff)
    folder.mkdir(parents=True)
    for name, text in documents.items():
        (folder / name).write_bytes(text)
    data = {
        "root": str(root),
        "shape": shape[-2:],
        "dtype": dtype.str,
        "chunks": {keys[place]: [*made_of] for place, made_of in planes.items()},
    }
    (folder / IN_FILES).write_text(json.dumps(data), encoding="utf-8", errors="surrogatepass")


@lru_cache(maxsize=64)
def _template(
    shape: tuple[int, ...], dtype: str, axes: str, ngff: Ngff
) -> tuple[dict[str, bytes], dict[tuple[int, ...], str]]:
    """The metadata files of an array, and the key of every chunk by its place before y."""
    with tempfile.TemporaryDirectory(prefix="hcs-") as name:
        v2 = ngff == "0.4"
        array = zarr.create_array(
            store=Path(name),
            shape=shape,
            dtype=np.dtype(dtype).newbyteorder("<"),
            chunks=(*(1 for _ in shape[:-2]), *shape[-2:]),
            compressors=None,
            fill_value=0,
            zarr_format=2 if v2 else 3,
            chunk_key_encoding={"name": "v2" if v2 else "default", "separator": "/"},
            dimension_names=None if v2 else list(axes),
        )
        documents = {file.name: file.read_bytes() for file in Path(name).iterdir()}
    places = product(*(range(length) for length in shape[:-2]))
    return documents, {place: array.metadata.encode_chunk_key((*place, 0, 0)) for place in places}


def _projected(root: Path, pieces: tuple[Piece, ...]) -> NDArray[Any]:
    """The maximum of some planes, as a conversion takes it."""
    if len(pieces) == 1 and _bytes(root, pieces[0]) >= _LARGE_BYTES:
        return _kept(root, pieces[0])
    planes = [read_plane(root / name, page).pixels for name, page in pieces]
    return planes[0] if len(planes) == 1 else np.stack(planes).max(axis=0)


def _bytes(root: Path, piece: Piece) -> int:
    try:
        return (root / piece[0]).stat().st_size if piece[1] is None else 0
    except OSError:
        return 0


@lru_cache(maxsize=2)
def _kept(root: Path, piece: Piece) -> NDArray[Any]:
    return read_plane(root / piece[0], piece[1]).pixels
