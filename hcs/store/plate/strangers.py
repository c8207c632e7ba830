"""What a place holds that is no plate, and the way out: archives, other kinds of OME-Zarr, results, files.

A file by itself because its sentences are for people who gave the wrong thing, and need no plate to be read.
"""

from __future__ import annotations

from pathlib import Path

from hcs.store.location import Location
from hcs.store.plate.nodes import Node, read_node

_LAYOUT = "bioformats2raw.layout"
_STARTS = {
    b"PK\x03\x04": "a zip archive; unpack it and give the folder of the plate inside",
    b"PK\x05\x06": "an empty zip archive; give the folder of a plate",
    b"\x1f\x8b": "a gzip archive; unpack it (tar -xzf) and give the folder of the plate inside",
    b"7z\xbc\xaf": "a 7-Zip archive; unpack it and give the folder of the plate inside",
    b"BZh": "a bzip2 archive; unpack it and give the folder of the plate inside",
    b"\xfd7zXZ": "an xz archive; unpack it and give the folder of the plate inside",
    b"II*\0": "a TIFF file; `hcs convert` makes a plate of a folder of such files",
    b"MM\0*": "a TIFF file; `hcs convert` makes a plate of a folder of such files",
    b"\x89PNG": "a PNG file; `hcs convert` makes a plate of a folder of such files",
    b"\x89HDF": "an HDF5 file; export its images as TIFF, and `hcs convert` makes a plate of them",
}
_TAR_AT, _TAR = 257, b"ustar"


def what_file(file: Path) -> str:
    """What a file is that was given for a plate, and what to do, to end a sentence."""
    if not file.is_file():
        return "no folder; give the folder of a plate"
    with file.open("rb") as stream:
        start = stream.read(512)
    if start[_TAR_AT:].startswith(_TAR):
        return "a tar archive; unpack it and give the folder of the plate inside"
    for begin, what in _STARTS.items():
        if start.startswith(begin):
            return what
    return "a file; give the folder of a plate, whose metadata lists the wells"


def what_else(root: Location, node: Node) -> str:
    """What a Zarr group without plate metadata is, and the way out, to end a sentence."""
    if _LAYOUT in node.ome or "series" in node.ome:
        count = _count_images(root)
        images = f"a collection of {count} image{'s' if count != 1 else ''}" if count else "a collection of images"
        return (
            f"it is {images} without a plate ({_LAYOUT} {node.ome.get(_LAYOUT, '')}".rstrip()
            + "); its images say no wells: export them as TIFF files whose names do, and `hcs convert` makes a plate"
        )
    if "multiscales" in node.ome:
        return (
            "it is a single image; give the folder whose metadata lists the wells, or export the image as TIFF for "
            "`hcs segment`"
        )
    if "well" in node.ome:
        return "it is one well; give the folder of the plate above it, and --wells to take this one alone"
    if "labels" in node.ome:
        return "it is the labels of an image; give the folder of the plate"
    inside = _plates_inside(root)
    if inside:
        return f"it is a group around {', '.join(inside[:3])}{', …' if len(inside) > 3 else ''}; give that plate"
    return "it has no plate metadata; give the folder whose metadata lists the wells"


def what_folder(root: Location) -> str:
    """What a folder without Zarr metadata is, and the way out, to end a sentence."""
    if (root / "run.json").is_file():
        return "it is a results folder of hcs; give the plate that it was made from"
    inside = _plates_inside(root)
    if inside:
        return f"it is a folder around {', '.join(inside[:3])}{', …' if len(inside) > 3 else ''}; give that plate"
    return "it holds neither zarr.json nor .zattrs; `hcs convert` makes a plate of a folder of images"


def _count_images(root: Location) -> int:
    """Images directly below ``root``."""
    return sum(1 for node in _children(root).values() if "multiscales" in node.ome)


def _plates_inside(root: Location) -> list[str]:
    """Names of the plates directly below ``root``."""
    return [name for name, node in _children(root).items() if "plate" in node.ome]


def _children(root: Location) -> dict[str, Node]:
    """The groups directly below ``root``, by name; none where a place cannot be listed or its metadata is broken."""
    found: dict[str, Node] = {}
    try:
        children: list[Location] = [*root.iterdir()] if root.is_dir() else []
        for child in sorted(children, key=lambda child: (len(child.name), child.name)):
            node = read_node(child) if child.is_dir() else None
            if node is not None:
                found[child.name] = node
    except (OSError, ValueError):
        return found
    return found
