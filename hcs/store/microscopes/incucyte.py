"""Incucyte exports: ``HC01_R_B2_1_00d02h30m.tif``, and the XML in the second page of each TIFF.

Raw exports have the channel before the well; a channel's name is the microscope's (Green, Red, Phase).
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from datetime import datetime

from hcs.plate.keys import WellId
from hcs.store.microscopes.folder import Folder
from hcs.store.microscopes.table import Channel, FieldName, Place, Planes, PlaneTable, Source, only_one
from hcs.store.microscopes.xml import length_um, number, parse_xml, text

_NAME = re.compile(
    r"(?:^|/)(?:(?P<before>[^/]*?)_)?(?P<well>[A-P]\d{1,2})_(?P<field>\d+)_(?P<t>\d{1,3}d\d\dh\d\dm|\d{4}y\d\dm\d\dd_\d\dh\d\dm)"
    r"[^/]*\.tiff?$"
)
_LENGTH = re.compile(r"^\s*([-+0-9.eE]+)\s*(\S*)")
_PAIR = re.compile(r"\(([-+0-9.eE]+)\s*,\s*([-+0-9.eE]+)\)\s*(\S*)")
_COLOUR = re.compile(r"Color\s*(\d+)")


def images_named_so(folder: Folder) -> tuple[str, ...]:
    """Images with names of an Incucyte export."""
    return tuple(name for name in folder.images if _NAME.search(name))


def read_incucyte(folder: Folder, plate_format: int | None) -> PlaneTable:
    """The planes that names tell, with pixel size, light and positions from the XML in the TIFFs."""
    found = {name: match for name in folder.images if (match := _NAME.search(name)) is not None}
    before = {match["before"] or "" for match in found.values()}
    common = _common_start(before)
    planes = Planes()
    for name, match in found.items():
        channel = (match["before"] or "")[len(common) :]
        planes.add(Place(WellId.parse(match["well"]), match["field"], channel, "", match["t"]), Source(name))
    return _table(folder, planes, ignored=tuple(name for name in folder.images if name not in found))


def _table(folder: Folder, planes: Planes, *, ignored: tuple[str, ...]) -> PlaneTable:
    order = sorted(planes.found.items(), reverse=True)
    by_channel = {place.channel: source.name for place, source in order}
    by_field = {(place.well, place.field): source.name for place, source in order}
    said = {name: _xml(folder, name) for name in {*by_channel.values(), *by_field.values()}}
    size, notes = only_one([_size(said[name]) for name in by_channel.values()], "pixel size")
    names = {channel: _name(said[name]) or channel for channel, name in by_channel.items()}
    twice = [name for name in names.values() if [*names.values()].count(name) > 1]
    return PlaneTable(
        title="Incucyte export",
        planes=planes.found,
        channels={
            channel: _channel(f"{name} ({channel})" if name in twice else name, said[by_channel[channel]])
            for channel, name in sorted(names.items())
        },
        centres_um=_centres(by_field, said),
        pixel_size_um=size,
        times_s={time: _seconds(time) for time in sorted({place.t for place in planes.found})},
        ignored=ignored,
        notes=notes,
    )


def _common_start(names: set[str]) -> str:
    """What all names begin with, up to and with an underscore; of one name all before its last part."""
    if len(names) == 1:
        (only,) = names
        return only[: only.rfind("_") + 1] or only
    first, last = min(names), max(names)
    length = next((i for i, (a, b) in enumerate(zip(first, last, strict=False)) if a != b), min(len(first), len(last)))
    return first[: first.rfind("_", 0, length) + 1]


def _xml(folder: Folder, name: str) -> dict[str, str]:
    """What the XML of a TIFF says of its image and light; empty where there is none."""
    for document in folder.texts(name):
        if "<ImageInfo" not in document:
            continue
        root = parse_xml(document[document.index("<ImageInfo") :].rstrip("\x00 \r\n"), name)
        kind = text(root, "AcqInfo/ImageType")
        colour = _COLOUR.search(kind)
        light = root.find(f"DeviceInfo/OpticalModule/ColorChannel{colour.group(1)}") if colour else None
        return {
            "kind": kind,
            "size": text(root, "AcqInfo/FullResPixelSpacing"),
            "place": text(root, "AcqInfo/Location/GantryPosition"),
            "name": text(light, "Name"),
            "excitation": text(light, "ExcitationWavelength"),
            "emission": text(light, "EmissionWavelength"),
        }
    return {}


def _size(said: Mapping[str, str]) -> float | None:
    match = _LENGTH.match(said.get("size", ""))
    return length_um(match[1], match[2]) if match else None


def _name(said: Mapping[str, str]) -> str:
    return said.get("name") or ("Phase" if "phase" in said.get("kind", "").lower() else "")


def _channel(name: str, said: Mapping[str, str]) -> Channel:
    return Channel(name, *(number(said.get(light, "").split(" ")[0]) for light in ("excitation", "emission")))


def _centres(
    by_field: Mapping[FieldName, str], said: Mapping[str, Mapping[str, str]]
) -> dict[FieldName, tuple[float, float]]:
    """Positions of the gantry, as the instrument gives them."""
    found = {}
    for key, name in by_field.items():
        match = _PAIR.search(said[name].get("place", ""))
        x, y = (length_um(match[i], match[3]) if match else None for i in (1, 2))
        if x is not None and y is not None:
            found[key] = (y, x)
    return found


def _seconds(time: str) -> float:
    """Seconds of a frame that is named by time since the start or by date."""
    if "y" in time:
        return (datetime.strptime(time, "%Yy%mm%dd_%Hh%Mm") - datetime(2000, 1, 1)).total_seconds()
    days, hours, minutes = (int(part) for part in re.findall(r"\d+", time))
    return 60.0 * (minutes + 60 * (hours + 24 * days))
