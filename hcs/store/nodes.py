"""Groups and arrays of a Zarr hierarchy as folders: their attributes, and whether an array holds any chunk."""

from __future__ import annotations

import json
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

Ngff = Literal["0.4", "0.5"]

_METADATA_FILES = frozenset({"zarr.json", ".zarray", ".zattrs", ".zgroup", ".zmetadata"})


@dataclass(frozen=True, slots=True)
class Node:
    """One group or array: its OME metadata (beneath ``ome`` in NGFF 0.5, at the top in 0.4) and the NGFF version."""

    ome: dict[str, Any]
    ngff: Ngff


def read_node(folder: Path) -> Node | None:
    """Metadata of the group or array in ``folder``; None where there is none.

    A lone ``.zattrs`` without ``.zgroup`` counts. Raises ValueError, naming the file, where the JSON is damaged.
    """
    document = _read_json(folder / "zarr.json")
    if document is not None:
        attributes = document.get("attributes") or {}
        if "ome" in attributes and not isinstance(attributes["ome"], dict):
            raise ValueError(f"'ome' in {folder / 'zarr.json'} is not a JSON object")
        return Node(attributes.get("ome", attributes), "0.5")
    attributes = _read_json(folder / ".zattrs")
    if attributes is not None:
        return Node(attributes, "0.4")
    return Node({}, "0.4") if (folder / ".zgroup").is_file() or (folder / ".zarray").is_file() else None


def holds_chunks(array: Path) -> bool:
    """Whether any chunk or shard file lies beneath the folder of an array; stops at the first."""
    return next(_chunk_files(array), None) is not None


def count_chunks(array: Path) -> int:
    """Number of chunk files, or shard files of a sharded array, beneath the folder of an array."""
    return sum(1 for _ in _chunk_files(array))


def _chunk_files(array: Path) -> Iterator[Path]:
    for entry in array.rglob("*"):
        if entry.is_file() and entry.name not in _METADATA_FILES and not entry.name.startswith("."):
            yield entry


def _read_json(file: Path) -> dict[str, Any] | None:
    """A JSON object; None where the file is missing, ValueError where it is damaged."""
    try:
        data = json.loads(file.read_bytes())
    except (FileNotFoundError, NotADirectoryError):
        return None
    except ValueError as error:
        raise ValueError(f"{file} is not valid JSON ({error})") from error
    if not isinstance(data, dict):
        raise ValueError(f"{file} is not a JSON object")
    return data
