"""Names of parts between double dashes: ScanR (``A1--W00001--P00001--Z00000--T00000--GFP.tif``) and EMBL's screens
(``W0021--B9--P001--C01.tif``, in any order). ScanR's ``metadata.ome.xml`` adds pixel size, positions and wells."""

from __future__ import annotations

import re
from dataclasses import dataclass, field

from hcs.errors import PlateError
from hcs.plate.keys import PLATE_FORMATS, WellId
from hcs.store.microscopes.folder import Folder
from hcs.store.microscopes.table import Place, Planes, PlaneTable, Source, only_one
from hcs.store.microscopes.xml import children, length_um, parse_xml

_NUMBERED = re.compile(r"^(?P<what>[WPZTC])_?(?P<number>\d{1,6})$", re.IGNORECASE)
_WELL = re.compile(r"^(?:[A-P]\d{1,2}|A[A-F]\d{1,2})$", re.IGNORECASE)
_IN_NAME = re.compile(r"Well (\d+), Position (\d+) \(([A-Z]{1,2}\d+)\)")
_LEAST_PARTS = 2


def images_named_so(folder: Folder) -> tuple[str, ...]:
    """Images with parts between double dashes, a well's number among them; those that metadata.ome.xml lists where none
    is there."""
    there = tuple(name for name in folder.images if "W" in _parts(name))
    return there or tuple(name for name in _metadata(folder).files if "W" in _parts(name))


def read_dashes(folder: Folder, plate_format: int | None) -> PlaneTable:
    """The planes that the names tell; PlateError where the number of a well is all there is and the plate's size is not
    known."""
    metadata = _metadata(folder)
    there = {*images_named_so(folder)}
    listed = {name for name in metadata.files if "W" in _parts(name)}
    images = {name: _parts(name) for name in sorted(there | listed)}
    wells, note = _wells(images, metadata, plate_format)
    planes, centres = Planes(), {}
    for name, parts in images.items():
        well, position = wells[parts["W"]], parts.get("P", "")
        planes.add(
            Place(well, position, parts.get("channel", ""), parts.get("Z", ""), parts.get("T", "")), Source(name)
        )
        centre = metadata.centres.get((int(parts["W"]), int(position or 0)))
        if centre is not None:
            centres[well, position] = centre
    size, notes = only_one([*metadata.sizes], "pixel size")
    return PlaneTable(
        title="ScanR or EMBL, names" + (" and metadata.ome.xml" if metadata.sizes else ""),
        planes=planes.found,
        centres_um=centres,
        pixel_size_um=size,
        ignored=tuple(name for name in folder.images if name not in images),
        notes=(*notes, *((note,) if note else ())),
    )


def _parts(name: str) -> dict[str, str]:
    """Numbers by letter, ``well`` where a part is a well's name, and ``channel``: the part that is none of these."""
    parts = name.rpartition("/")[2].rpartition(".")[0].split("--")
    if len(parts) < _LEAST_PARTS + 1:
        return {}
    found: dict[str, str] = {}
    for part in parts:
        match = _NUMBERED.match(part)
        if match and match["what"].upper() not in found:
            found[match["what"].upper()] = match["number"]
        elif _WELL.match(part):
            found.setdefault("well", part)
        elif part:
            found["channel"] = part
    if "C" in found:
        found["channel"] = found["C"]
    return found


@dataclass(slots=True)
class _Metadata:
    """What ScanR's metadata.ome.xml says, by the numbers of well and position."""

    wells: dict[int, WellId] = field(default_factory=dict)
    centres: dict[tuple[int, int], tuple[float, float]] = field(default_factory=dict)
    sizes: list[float | None] = field(default_factory=list)
    files: list[str] = field(default_factory=list)
    """As they are called in the folder, or in the metadata where they are not there."""


def _metadata(folder: Folder) -> _Metadata:
    found = _Metadata()
    for name in folder.ending("metadata.ome.xml"):
        for image in children(parse_xml(folder.read(name), name), "Image"):
            match, pixels = _IN_NAME.search(image.get("Name", "")), image.find("Pixels")
            if match is None or pixels is None:
                continue
            found.wells[int(match[1])] = WellId.parse(match[3])
            named = [uuid.get("FileName", "") for uuid in children(pixels, "TiffData/UUID")]
            found.files += [folder.find(each, name) or each for each in named if each]
            found.sizes.append(length_um(pixels.get("PhysicalSizeX"), pixels.get("PhysicalSizeXUnit")))
            plane = pixels.find("Plane")
            if plane is not None:
                x, y = (length_um(plane.get(f"Position{axis}"), plane.get(f"Position{axis}Unit")) for axis in "XY")
                if x is not None and y is not None:
                    found.centres[int(match[1]), int(match[2])] = (-y, x)  # the stage's y grows upwards
    return found


def _wells(
    images: dict[str, dict[str, str]], metadata: _Metadata, plate_format: int | None
) -> tuple[dict[str, WellId], str]:
    """The well of each number: named in the files, else by the metadata, else counted along the rows of a plate whose
    size is given or follows from wells that are named; and a sentence where wells are counted."""
    named = {parts["W"]: WellId.parse(parts["well"]) for parts in images.values() if "well" in parts}
    for parts in images.values():
        if "well" in parts and named[parts["W"]] != WellId.parse(parts["well"]):
            both = f"{WellId.parse(parts['well'])} and {named[parts['W']]}"
            raise PlateError(f"well number {parts['W']} is called {both}; rename the files of one")
    numbers = {parts["W"] for parts in images.values()}
    wells = named | {n: metadata.wells[int(n)] for n in numbers - named.keys() if int(n) in metadata.wells}
    left = sorted(numbers - wells.keys())
    if not left:
        return wells, ""
    size = plate_format or _format_of(wells)
    if size is None:
        raise PlateError(
            f"well number {left[0]} has no name, and the plate's size is not known; say --plate-format with the number "
            f"of its wells ({', '.join(map(str, PLATE_FORMATS))}), counted along row A, then B"
        )
    counted = {number: WellId.numbered(str(int(number)), size) for number in left}
    return wells | counted, f"Wells are numbered along the rows of {size} wells: {left[-1]} is {counted[left[-1]]}."


def _format_of(named: dict[str, WellId]) -> int | None:
    """The one plate size on which the named wells have their numbers; None where none or several fit."""
    fitting = [
        size
        for size, (rows, columns) in PLATE_FORMATS.items()
        if named and all(int(n) == w.row * columns + w.column + 1 and w.row < rows for n, w in named.items())
    ]
    return fitting[0] if len(fitting) == 1 else None
