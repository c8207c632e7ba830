"""IN Cell Analyzer: the ``.xdce`` file, or its names alone, ``B - 03(fld 1 wv DAPI - DAPI z 2 time 1).tif`` and, since
version 7.2, ``B_03_f1_c1_xDAPI_mDAPI_z2_t1.tif``."""

from __future__ import annotations

import re
from xml.etree.ElementTree import Element

from hcs.errors import PlateError
from hcs.plate.keys import WellId
from hcs.store.microscopes.folder import Folder
from hcs.store.microscopes.pattern import read_pattern
from hcs.store.microscopes.table import (
    Channel,
    FieldName,
    Place,
    Planes,
    PlaneTable,
    Source,
    natural,
    step,
)
from hcs.store.microscopes.xml import children, length_um, number, parse_xml

_NAMES = (
    re.compile(
        r"(?:^|[/_ ])(?P<row>[A-P]|A[A-F]) - (?P<column>\d{1,2})\((?:fld (?P<field>\d+))?(?: ?wv (?P<channel>[^()]*?))?"
        r"(?:[ -]*z (?P<z>\d+))?(?:[ -]*time (?P<t>\d+)(?: - \d+ ?ms)?)?\)\.tiff?$"
    ),
    re.compile(
        r"(?:^|/)(?P<row>[A-P]|A[A-F])_(?P<column>\d{1,2})_f(?P<field>\d+)_c\d+_(?P<channel>x.*_m.*)_z(?P<z>\d+)_t(?P<t>\d+)"
        r"\.tiff?$"
    ),
)


def lists(folder: Folder) -> tuple[str, ...]:
    """The .xdce files: one for each plate."""
    return folder.ending(".xdce")


def images_named_so(folder: Folder) -> tuple[str, ...]:
    """Images with either kind of names."""
    return max((tuple(name for name in folder.images if pattern.search(name)) for pattern in _NAMES), key=len)


def read_names(folder: Folder, plate_format: int | None) -> PlaneTable:
    """The planes that the names tell."""
    pattern = max(_NAMES, key=lambda pattern: sum(bool(pattern.search(name)) for name in folder.images))
    return read_pattern(folder, pattern, plate_format=plate_format, title="IN Cell, names without .xdce file")


def read_incell(folder: Folder, xdce: str) -> PlaneTable:
    """The planes that an .xdce file lists; PlateError where it is damaged or lists none."""
    root = parse_xml(folder.read(xdce), xdce)
    images = [image for image in root.iter("Image") if image.get("filename")]
    if not images:
        raise PlateError(f"{xdce} lists no image; export the plate again")
    planes = Planes()
    centres: dict[FieldName, tuple[float, float]] = {}
    channels: dict[str, Channel] = {}
    for image in images:
        place, source = _place(image), _source(folder, xdce, image)
        planes.add(place, source)
        channels.setdefault(place.channel, _channel(image))
        centre = _centre(image)
        if centre is not None:
            centres.setdefault((place.well, place.field), centre)
    listed = {source.name for source in planes.found.values()}
    return PlaneTable(
        title="IN Cell Analyzer, .xdce file",
        planes=planes.found,
        channels=_unlike(channels),
        centres_um=centres,
        pixel_size_um=_pixel_size(root),
        z_step_um=step([z for i in images if (z := _attribute(i, "FocusPosition", "z")) is not None]),
        ignored=tuple(name for name in folder.images if name not in listed),
    )


def _place(image: Element) -> Place:
    well = image.find("Well")
    row, column = (children_number(well, what) for what in ("Row", "Column"))
    index = image.find("Identifier")
    key = {} if index is None else index.attrib
    field, wave, z, t = (key.get(f"{what}_index", "0") for what in ("field", "wave", "z", "time"))
    return Place(WellId.of(row, column), str(int(field) + 1), wave, z, t)


def children_number(well: Element | None, what: str) -> str:
    """The number, from 1, or the name of a well's row or column."""
    found = next(children(well, what), None)
    return "" if found is None else found.get("number") or found.get("name") or ""


def _source(folder: Folder, xdce: str, image: Element) -> Source:
    name = image.get("filename", "")
    return Source(folder.find(name, xdce) or name)


def _attribute(image: Element, tag: str, name: str) -> float | None:
    found = image.find(tag)
    return None if found is None else number(found.get(name))


def _centre(image: Element) -> tuple[float, float] | None:
    """The field's offset in its well, µm; its y grows upwards, rows of an image downwards."""
    x, y = (_attribute(image, "OffsetFromWellCenter", axis) for axis in "xy")
    return None if x is None or y is None else (-y, x)


def _channel(image: Element) -> Channel:
    emission, excitation = image.find("EmissionFilter"), image.find("ExcitationFilter")
    names = [found.get("name", "") for found in (excitation, emission) if found is not None]
    name = names[-1] if names and names[-1] else "".join(names[:1])
    light = [None if found is None else number(found.get("wavelength")) for found in (excitation, emission)]
    return Channel(name, light[0] or None, light[1] or None)


def _unlike(channels: dict[str, Channel]) -> dict[str, Channel]:
    """Channels in the order of their numbers; a name that two share, or that is missing, gets the number."""
    names = [channel.name for channel in channels.values()]
    return {
        key: c
        if c.name and names.count(c.name) == 1
        else Channel(f"{c.name} ({key})".strip(), c.excitation_nm, c.emission_nm)
        for key, c in sorted(channels.items(), key=lambda item: natural(item[0]))
    }


def _pixel_size(root: Element) -> float | None:
    objective = next(root.iter("ObjectiveCalibration"), None)
    if objective is None:
        return None
    width, height = (length_um(objective.get(f"pixel_{side}"), objective.get("unit")) for side in ("width", "height"))
    binning = next((number(e.get("value", "").split()[0]) for e in root.iter("Binning") if e.get("value")), 1.0) or 1.0
    square = width is not None and (height is None or abs(width - height) <= 1e-3 * width)
    return width * binning if square and width is not None else None
