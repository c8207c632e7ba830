"""Images too large for memory, read piece by piece as they are sliced."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from functools import lru_cache
from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray

from hcs.errors import FieldError
from hcs.plate.keys import FieldKey
from hcs.store.location import Location, location
from hcs.store.plate.field import open_image, read_pixels
from hcs.store.plate.reader import Plate, locate

_PIECE_PX = 1024
_PIECES_KEPT = 48

Window = tuple[slice, slice]


class LazyPlane:
    """One channel, or the labels, (Y, X) of a field: slices are read when asked for, and the last few pieces kept.

    Slices are those of rows and columns, forwards, with or without a step.
    """

    def __init__(self, read: Callable[[Window], NDArray[Any]], shape: tuple[int, int], dtype: np.dtype[Any]) -> None:
        self.shape = shape
        self.dtype = dtype
        self._read = read
        self._piece = lru_cache(maxsize=_PIECES_KEPT)(self._piece_at)

    def __getitem__(self, window: Window) -> NDArray[Any]:
        rows, columns = (range(*part.indices(length)) for part, length in zip(window, self.shape, strict=True))
        out = np.empty((len(rows), len(columns)), self.dtype)
        for i, (out_y, in_y) in _pieces(rows).items():
            for j, (out_x, in_x) in _pieces(columns).items():
                out[out_y, out_x] = self._piece(i, j)[in_y, in_x]
        return out

    def _piece_at(self, i: int, j: int) -> NDArray[Any]:
        y, x = i * _PIECE_PX, j * _PIECE_PX
        return self._read((slice(y, min(y + _PIECE_PX, self.shape[0])), slice(x, min(x + _PIECE_PX, self.shape[1]))))


def open_channels(
    plate: Plate, key: FieldKey, channels: tuple[int, ...], *, z: Literal["refuse", "max"], whole_px: int = 0
) -> Sequence[LazyPlane] | Sequence[NDArray[Any]]:
    """Channels of a field of the plate, read already where it has at most ``whole_px`` pixels; FieldError where it is
    missing or broken, or later where a chunk is."""
    return _planes(location(plate.path), plate.entry(key).path, key, channels, z=z, whole_px=whole_px)


def open_labels(
    target: str, key: FieldKey, name: str = "nuclei", *, path: str | None = None, whole_px: int = 0
) -> LazyPlane | NDArray[Any]:
    """Labels of a field of the plate or label store ``target``, read already where it has at most ``whole_px`` pixels;
    ``path`` is the field's in it, where that is known. FieldError where there are none."""
    where = f"{path or locate(target, key).path}/labels/{name}"
    return _planes(location(target), where, key, (0,), z="refuse", whole_px=whole_px)[0]


def _planes(
    root: Location, path: str, key: FieldKey, channels: tuple[int, ...], *, z: Literal["refuse", "max"], whole_px: int
) -> Sequence[LazyPlane] | Sequence[NDArray[Any]]:
    info, array = open_image(root, path, key)
    if not all(0 <= c < info.shape[0] for c in channels):
        raise FieldError(key, f"channels {channels} were asked for; it has channels 0 to {info.shape[0] - 1}")
    if info.shape[1] * info.shape[2] <= whole_px:
        return list(read_pixels(array, info, root, key, channels=channels, z=z, frame=key.frame))

    def reader(channel: int) -> Callable[[Window], NDArray[Any]]:
        def read(window: Window) -> NDArray[Any]:
            plane: NDArray[Any] = read_pixels(
                array, info, root, key, channels=(channel,), z=z, window=window, frame=key.frame
            )[0]
            return plane

        return read

    return [LazyPlane(reader(channel), (info.shape[1], info.shape[2]), info.dtype) for channel in channels]


def _pieces(chosen: range) -> dict[int, tuple[slice, slice]]:
    """Piece → where its pixels go in what is asked for, and where they are in the piece, along one axis."""
    found = {}
    for piece in range(chosen.start // _PIECE_PX, (chosen[-1] // _PIECE_PX if chosen else -1) + 1):
        low, high = (_at_or_after(chosen, edge) for edge in (piece * _PIECE_PX, (piece + 1) * _PIECE_PX))
        if low < high:
            first, last = (chosen[i] - piece * _PIECE_PX for i in (low, high - 1))
            found[piece] = slice(low, high), slice(first, last + 1, chosen.step)
    return found


def _at_or_after(chosen: range, edge: int) -> int:
    """Index of the first of ``chosen`` that is not below ``edge``."""
    return min(max(-(-(edge - chosen.start) // chosen.step), 0), len(chosen))
