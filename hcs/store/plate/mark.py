"""The mark that labels carry: who wrote them, of what, and whether they are still as they were written."""

from __future__ import annotations

import json
import zlib
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from typing import Any, Literal

from hcs import __version__
from hcs.store.location import Location, Url, map_at
from hcs.store.plate.nodes import Node, chunk_files, read_node

ATTRIBUTE = "hcs"
_WRITTEN = frozenset({ATTRIBUTE, "version", "multiscales", "image-label"})
_WRITTEN_OF_LABELS = frozenset({"version", "source"})
DESCRIBED = frozenset({"colors", "properties"})
"""What a label image's metadata say of single nuclei."""

Origin = Literal["none", "this run", "another run", "changed", "foreign"]
"""Whose labels are in a folder: nobody's, this run's, another run's of hcs, hcs's but changed since, somebody's."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Mark:
    """The attribute ``hcs`` of a label image's group."""

    run: str
    """Identity of the run: what its labels depend on (`hcs.run.checks.labels_identity`)."""
    pixels_crc32: str = ""
    """Checksum of the pixels that the labels were made from, as the field's ledger entry has it."""
    files_crc32: str = ""
    """Checksum of the chunk files of all levels; empty where it was not taken."""
    described_crc32: str = ""
    """Checksum of the colours and properties of the nuclei, see `hcs.store.plate.describe`; empty without any."""
    version: str = __version__

    def plain(self) -> dict[str, Any]:
        """As it is written."""
        return asdict(self)


def read_mark(node: Node) -> Mark | None:
    """The mark of a label image; None where there is none, or none of hcs's."""
    found = node.others.get(ATTRIBUTE)
    names = Mark.__slots__
    if not isinstance(found, dict) or not isinstance(found.get("run"), str):
        return None
    return Mark(**{name: str(found.get(name, "")) for name in names})


def origin_of(folder: Location, run: str) -> tuple[Origin, Mark | None]:
    """Whose labels are in ``folder``, seen by ``run``, and their mark.

    OSError where they cannot be read. Metadata that are damaged are somebody's: what hcs writes is there complete.
    """
    if isinstance(folder, Url) and not folder.is_dir():  # one request instead of four
        return "none", None
    try:
        node = read_node(folder)
    except ValueError:
        return "foreign", None
    if node is None:
        return ("foreign" if _holds_anything(folder) else "none"), None
    mark = read_mark(node)
    if mark is None:
        return "foreign", None
    if _has_more(node, mark) or (mark.files_crc32 and mark.files_crc32 != files_crc32(folder)):
        return "changed", mark
    return ("this run" if mark.run == run else "another run"), mark


def files_crc32(folder: Location) -> str:
    """Checksum of the names and contents of all files beneath ``folder`` but metadata, eight hexadecimal digits."""
    names = sorted(chunk_files(folder))
    crc = 0
    for name, data in zip(names, map_at(folder, lambda name: (folder / name).read_bytes(), names), strict=True):
        crc = zlib.crc32(data, zlib.crc32(f"{name}\0".encode("utf-8", "surrogateescape"), crc))
    return f"{crc:08x}"


def _has_more(node: Node, mark: Mark) -> bool:
    """Whether a label image has attributes that hcs did not write."""
    described = node.ome.get("image-label")
    about = described if isinstance(described, dict) else {}
    own = _WRITTEN_OF_LABELS | (DESCRIBED if described_crc32(about) == mark.described_crc32 else set())
    return bool((set(node.ome) | set(node.others)) - _WRITTEN or set(about) - own)


def described_crc32(image_label: Mapping[str, Any]) -> str:
    """Checksum of the colours and properties that a label image's metadata have; empty without any."""
    about = {name: image_label[name] for name in sorted(DESCRIBED) if name in image_label}
    return f"{zlib.crc32(json.dumps(about, sort_keys=True).encode()):08x}" if about else ""


def _holds_anything(folder: Location) -> bool:
    """Whether something lies in a folder without metadata. In a store, which cannot rename, levels without their
    group's metadata are what an interrupted write of hcs left; nobody reads them as labels."""
    if isinstance(folder, Url):
        return not folder.is_web and any(not name[:1].isdigit() for name in folder.files())
    return folder.is_symlink() or folder.exists()
