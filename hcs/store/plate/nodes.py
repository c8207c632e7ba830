"""Groups and arrays of a Zarr hierarchy as folders: their attributes, and whether an array holds any chunk."""

from __future__ import annotations

import contextlib
import json
import os
import stat
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Literal

from hcs.store.location import Location, Url, map_at

Ngff = Literal["0.4", "0.5"]

METADATA_FILES = frozenset({"zarr.json", ".zarray", ".zattrs", ".zgroup", ".zmetadata"})
_MOST_METADATA_BYTES = 2**28


@dataclass(frozen=True, slots=True)
class Node:
    """One group or array: its OME metadata (beneath ``ome`` in NGFF 0.5, at the top in 0.4) and the NGFF version."""

    ome: dict[str, Any]
    ngff: Ngff
    others: dict[str, Any] = field(default_factory=dict)
    """Attributes beside the OME metadata; in NGFF 0.4 those are among them."""


def read_node(folder: Location) -> Node | None:
    """Metadata of the group or array in ``folder``; None where there is none.

    A lone ``.zattrs`` without ``.zgroup`` counts. Raises ValueError, naming the file, where the JSON is damaged.
    """
    document = _read_json(folder / "zarr.json")
    if document is not None:
        attributes = document.get("attributes") or {}
        if isinstance(attributes, dict) and "ome" in attributes and not isinstance(attributes["ome"], dict):
            raise ValueError(f"'ome' in {folder / 'zarr.json'} is not a JSON object")
        if not isinstance(attributes, dict):
            raise ValueError(f"'attributes' in {folder / 'zarr.json'} is not a JSON object")
        others = {key: value for key, value in attributes.items() if key != "ome"}
        return Node(attributes.get("ome", attributes), "0.5", others)
    attributes = _read_json(folder / ".zattrs")
    if attributes is not None:
        return Node(attributes, "0.4", attributes)
    return Node({}, "0.4") if (folder / ".zgroup").is_file() or (folder / ".zarray").is_file() else None


def chunk_files(array: Location, expected: Iterable[str] = ()) -> Iterator[str]:
    """Names of the chunk files, or shard files of a sharded array, beneath the folder of an array, as they are found.

    A web server lists nothing: there the ``expected`` names are asked for one by one.
    """
    if isinstance(array, Url):
        names = iter(array.files()) if not array.is_web else _present(array, tuple(expected))
    else:
        names = _files(str(array))
    for name in names:
        last = name.rpartition("/")[2]
        if last not in METADATA_FILES and not last.startswith("."):
            yield name


def _files(folder: str, prefix: str = "") -> Iterator[str]:
    """Files beneath a folder, behind links too, but not those in linked folders; none where it is none or cannot be
    listed. `Path.rglob` takes three times as long."""
    with contextlib.suppress(FileNotFoundError, NotADirectoryError, PermissionError), os.scandir(folder) as entries:
        for entry in entries:
            if entry.is_dir(follow_symlinks=False):
                yield from _files(entry.path, f"{prefix}{entry.name}/")
            elif entry.is_file():
                yield f"{prefix}{entry.name}"


def _present(array: Url, names: tuple[str, ...]) -> Iterator[str]:
    there = map_at(array, lambda name: (array / name).is_file(), names)
    return (name for name, found in zip(names, there, strict=True) if found)


def _read_json(file: Location) -> dict[str, Any] | None:
    """A JSON object; None where the file is missing, ValueError where it is damaged."""
    try:
        if isinstance(file, Path) and not _is_readable(file):
            raise ValueError(f"it is no file, or larger than {_MOST_METADATA_BYTES >> 20} MiB")
        data = json.loads(file.read_bytes())
    except (FileNotFoundError, NotADirectoryError):
        return None
    except UnicodeDecodeError as error:
        raise ValueError(f"{file} is not valid JSON (its text is not UTF-8)") from error
    except ValueError as error:
        raise ValueError(f"{file} is not valid JSON ({error})") from error
    except RecursionError as error:
        raise ValueError(f"{file} is not valid JSON (it is nested too deep)") from error
    if not isinstance(data, dict):
        raise ValueError(f"{file} is not a JSON object")
    return data


def _is_readable(file: Path) -> bool:
    """Whether it can be read to its end: pipes and devices may have none."""
    found = os.stat(file)
    return stat.S_ISREG(found.st_mode) and found.st_size <= _MOST_METADATA_BYTES
