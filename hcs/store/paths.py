"""Paths below a plate or a results folder: what metadata may name, and where symbolic links lead."""

from __future__ import annotations

import contextlib
import os
import re
import stat
from collections.abc import Mapping
from pathlib import Path

from hcs.errors import ResultsError
from hcs.store.location import Location

_LONGEST_NAME_BYTES = 255
_WRITTEN = ("nuclei", "ledger", "phases", "figures", "illumination", "blocks", "labels.zarr")
"""Folders that hcs writes into a results folder."""
_DRIVE = re.compile(r"[A-Za-z]:")


def inner_path(text: str) -> str:
    """A path that metadata give, relative to their own folder, such as ``B/03``; slashes at its end are dropped.

    ValueError for one that leads elsewhere or that no file system has: ``..``, an absolute path, a URL, a backslash, an
    empty part, a control character, a name longer than 255 bytes.
    """
    parts = text.rstrip("/").split("/")
    if text.startswith("/") or "\\" in text or "://" in text or _DRIVE.match(text):
        raise ValueError(f"{shown(text)} is not a path relative to its folder")
    if any(part in ("", ".", "..") for part in parts):
        raise ValueError(f"{shown(text)} leads elsewhere or nowhere")
    if not text.isprintable():
        raise ValueError(f"{shown(text)} has characters that no name has")
    if any(len(part.encode()) > _LONGEST_NAME_BYTES for part in parts):
        raise ValueError(f"{shown(text)} has a name of more than {_LONGEST_NAME_BYTES} bytes")
    return "/".join(parts)


def shown(text: str) -> str:
    """A text from outside as a sentence can hold it: in quotes, short, control characters escaped."""
    plain = text if len(text) <= 60 else f"{text[:57]}…"
    return ascii(plain) if not plain.isprintable() else repr(plain)


def behind_link(root: Location, path: str) -> Path | None:
    """Where ``path`` below ``root`` really lies, if symbolic links lead out of ``root``; None otherwise, and in a
    store. OSError for links that go round in circles."""
    if not isinstance(root, Path):
        return None
    base = os.path.realpath(root)
    there = os.path.realpath(os.path.join(base, path), strict=False)
    return None if there == base or there.startswith(base.rstrip("/") + "/") else Path(there)


def linked_images(root: Location, images: Mapping[str, str]) -> dict[str, Path]:
    """Of ``images``, paths below ``root`` by name, those behind a symbolic link which leads out of ``root``, or
    a level of which does, and where they really are."""
    if not isinstance(root, Path):
        return {}
    found = {}
    for name, path in images.items():
        below = [path]
        with contextlib.suppress(OSError), os.scandir(root / path) as entries:
            below += [f"{path}/{entry.name}" for entry in entries if entry.is_symlink()]
        there = next(filter(None, (behind_link(root, part) for part in below)), None)
        if there is not None:
            found[name] = there
    return found


def check_stays(root: Location, path: str) -> None:
    """ResultsError where a symbolic link would have ``path`` written outside ``root``."""
    there = behind_link(root, path)
    if there is not None:
        raise ResultsError(
            f"{root / path} is not written: a symbolic link leads out of {root}, to {there}; put a folder in its place"
        )


def check_results(out: Location) -> None:
    """ResultsError where a folder in the results folder ``out`` is a symbolic link that leads out of it."""
    if isinstance(out, Path):
        for name in _WRITTEN:
            check_stays(out, name)


def is_ordinary(file: Path) -> bool:
    """Whether a file of bytes is there, behind a link or not; False for a folder, pipe, socket or device, which may
    never end. Raises OSError (FileNotFoundError, NotADirectoryError) where nothing is."""
    return stat.S_ISREG(file.stat().st_mode)
