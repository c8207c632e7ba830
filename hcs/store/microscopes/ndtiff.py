"""Micro-Manager's NDTiff: the index beside the TIFF files says which page is which position, channel, z and time.

ndstorage is not used: it needs dask for an array, and reads the same index with the same few lines.
"""

from __future__ import annotations

import json
import re
import struct
from collections.abc import Iterator
from typing import Any

from hcs.errors import PlateError
from hcs.plate.keys import WellId
from hcs.store.microscopes.folder import Folder
from hcs.store.microscopes.table import Channel, Place, Planes, PlaneTable, Source, only_one
from hcs.store.microscopes.xml import number

_WELL = re.compile(r"^(?P<well>[A-P]\d{1,2}|A[A-F]\d{1,2})(?:\W|_|$)(?P<rest>.*)$")
_NUMBER = re.compile(r"\d+")
_HEAD = 100_000


def indexes(folder: Folder) -> tuple[str, ...]:
    """The files NDTiff.index: one for each data set; those of smaller versions are left out."""
    return tuple(name for name in folder.ending("ndtiff.index") if "downsampled" not in name.lower())


def read_ndtiff(folder: Folder, index: str) -> PlaneTable:
    """The planes of an index; PlateError where it is damaged. Positions that name no well are fields of well A01."""
    entries = list(_entries(folder.read(index), index))
    names = sorted({str(axes.get("position", "")) for axes, _, _ in entries}, key=_in_order)
    wells = {name: _well(name) for name in names}
    planes, pages = Planes(), _pages(entries)
    for (axes, name, _), page in zip(entries, pages, strict=True):
        position = str(axes.get("position", ""))
        well, field = wells[position] or (WellId(0, 0), position)
        place = Place(well, field, *(str(axes.get(axis, "")) for axis in ("channel", "z", "time")))
        planes.add(place, Source(folder.find(name, index) or name, page))
    listed = {source.name for source in planes.found.values()}
    size, notes = only_one([_pixel_size(folder, name) for name in sorted(listed)], "pixel size")
    if not any(wells.values()):
        notes = (*notes, f"No position is called after a well: all {len(names)} are fields of well A01.")
    return PlaneTable(
        title="Micro-Manager, NDTiff",
        planes=planes.found,
        channels={c: Channel(c if not c.isdecimal() else f"Channel {c}") for c in _channels(entries)},
        pixel_size_um=size,
        ignored=tuple(name for name in folder.images if name not in listed),
        notes=notes,
    )


def _entries(data: bytes, name: str) -> Iterator[tuple[dict[str, Any], str, int]]:
    """Axes, file and offset of every image of an index, in the order of writing (NDTiff specification)."""
    at = 0
    try:
        while at < len(data):
            texts = []
            for _ in range(2):
                (length,) = struct.unpack_from("<I", data, at)
                if at + 4 + length > len(data):
                    raise ValueError("it is cut short")
                texts.append(data[at + 4 : at + 4 + length].decode("utf-8"))
                at += 4 + length
            offset, *_ = struct.unpack_from("<8I", data, at)
            at += 32
            axes = json.loads(texts[0])
            yield axes, texts[1], offset
    except (struct.error, ValueError) as error:
        raise PlateError(f"{name} is no index of NDTiff ({error}); copy the data set again") from error


def _pages(entries: list[tuple[dict[str, Any], str, int]]) -> list[int]:
    """The page of every image in its file: their order by offset."""
    offsets: dict[str, list[int]] = {}
    for _, name, offset in entries:
        offsets.setdefault(name, []).append(offset)
    rank = {name: {offset: i for i, offset in enumerate(sorted(found))} for name, found in offsets.items()}
    return [rank[name][offset] for _, name, offset in entries]


def _in_order(name: str) -> tuple[int, str]:
    found = _NUMBER.findall(name)
    return (int(found[-1]) if found else -1, name)


def _well(position: str) -> tuple[WellId, str] | None:
    """Well and field of a position called ``A01-Site_2``; None for other names."""
    match = _WELL.match(position)
    return None if match is None else (WellId.parse(match["well"]), match["rest"])


def _channels(entries: list[tuple[dict[str, Any], str, int]]) -> list[str]:
    return list(dict.fromkeys(str(axes.get("channel", "")) for axes, _, _ in entries))


def _pixel_size(folder: Folder, name: str) -> float | None:
    """µm, from Micro-Manager's metadata of the first image of a file."""
    said = [json.loads(document) for document in folder.texts(name) if "PixelSizeUm" in document[:_HEAD]]
    return number(str(said[0]["PixelSizeUm"])) if said else None
