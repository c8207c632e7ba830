"""Cytation and Lionheart: names that Gen5 writes (``B2_01_1_3_DAPI_001.tif`` and its kin), and the XML in each TIFF.

In a name: well, ROI, number of the read step (negative for a processed image), channel's number, field, z, name of the
channel, time point. Images that Gen5 made of others (stitched, transformed, ``-1``) are passed over where raw ones are.
"""

from __future__ import annotations

import re
from collections.abc import Mapping

from hcs.plate.keys import WellId
from hcs.store.microscopes.folder import Folder
from hcs.store.microscopes.table import Channel, Place, Planes, PlaneTable, Source, only_one
from hcs.store.microscopes.xml import number, parse_xml, text

_WELL = r"(?:^|/)(?P<well>[A-Z]{1,2}\d{1,2})"
_NAMES = (
    re.compile(
        rf"{_WELL}(?:ROI(?P<roi>\d+))?_(?P<step>-?\d+)_(?P<number>\d+)_(?P<field>\d+)(?:Z(?P<z>\d+))?_(?P<channel>[^_/]+|"
        r"[^/]*\[[^/]*\])_(?P<t>\d+)\.tiff?$"
    ),
    re.compile(
        rf"{_WELL}_(?P<step>-?\d+)(?:Z(?P<z>\d+))?_(?P<channel>[^/]+?)_(?P<field>\d+)_(?P<t>\d+)_(?P<rest>-?\d*)\.tiff?$"
    ),
)
_MADE = re.compile(r"^(?:[A-Za-z ]+\[)+(?P<name>.*?)\]+$")
_LIGHT = re.compile(r"^(?P<name>.*?)\s+(?P<excitation>\d+(?:\.\d+)?)\s*,\s*(?P<emission>\d+(?:\.\d+)?)$")


def images_named_so(folder: Folder) -> tuple[str, ...]:
    """Images that Gen5 has named."""
    return tuple(name for name in folder.images if _match(name) is not None)


def read_cytation(folder: Folder, plate_format: int | None) -> PlaneTable:
    """The planes that the names tell, with pixel size and light from the TIFFs' XML."""
    found = {name: match for name in folder.images if (match := _match(name)) is not None}
    raw = {name: match for name, match in found.items() if not _is_made(match)}
    chosen = raw or found
    planes, steps = Planes(), {match["step"] for match in chosen.values()}
    for name, match in chosen.items():
        planes.add(_place(match, several_steps=len(steps) > 1), Source(name))
    first = {place.channel: source.name for place, source in sorted(planes.found.items(), reverse=True)}
    said = {channel: _xml(folder, name) for channel, name in first.items()}
    size, notes = only_one([each.get("pixel") for each in said.values()], "pixel size")
    made = len(found) - len(chosen)
    return PlaneTable(
        title="Cytation or Lionheart, Gen5 names",
        planes=planes.found,
        channels={channel: _channel(channel, said[channel]) for channel in sorted(first)},
        pixel_size_um=size,
        ignored=tuple(name for name in folder.images if name not in found),
        notes=(
            *notes,
            *((f"{made:,} images that Gen5 made of others (stitched …) are passed over.",) if made else ()),
        ),
    )


def _match(name: str) -> re.Match[str] | None:
    return next((match for pattern in _NAMES if (match := pattern.search(name)) is not None), None)


def _is_made(match: re.Match[str]) -> bool:
    return match["step"].startswith("-") or "[" in match["channel"]


def _place(match: re.Match[str], *, several_steps: bool) -> Place:
    groups = match.groupdict()
    channel = _plain(match["channel"])
    if several_steps:
        channel = f"{channel} (read {match['step']})"
    roi = groups.get("roi")
    field = f"{roi}_{match['field']}" if roi else match["field"]
    return Place(WellId.parse(match["well"]), field, channel, groups.get("z") or "", match["t"])


def _plain(channel: str) -> str:
    """The channel's name out of ``Tsf[Stitched[DAPI 377,447]]``, without the light."""
    made = _MADE.match(channel)
    name = made["name"] if made else channel
    light = _LIGHT.match(name)
    return (light["name"] if light else name).strip()


def _channel(name: str, said: Mapping[str, float | None]) -> Channel:
    return Channel(name, said.get("excitation"), said.get("emission"))


def _xml(folder: Folder, name: str) -> dict[str, float | None]:
    """Pixel size (µm) and light (nm) from the XML in a TIFF; empty where there is none."""
    for document in folder.texts(name):
        start = document.find("<BTIImageMetaData")
        if start < 0:
            continue
        end = document.find("</BTIImageMetaData>", start)
        root = parse_xml(document[start : end + 19 if end > 0 else None], name)
        width_px, width_um = (
            number(text(root, f"ImageAcquisition/{tag}")) for tag in ("PixelWidth", "ImageWidthMicrons")
        )
        colour = root.find("ImageAcquisition/Channel")
        light = _LIGHT.match(_bare(colour.get("Color", ""))) if colour is not None else None
        return {
            "pixel": width_um / width_px if width_px and width_um else None,
            "excitation": float(light["excitation"]) if light else None,
            "emission": float(light["emission"]) if light else None,
        }
    return {}


def _bare(channel: str) -> str:
    made = _MADE.match(channel)
    return made["name"] if made else channel
