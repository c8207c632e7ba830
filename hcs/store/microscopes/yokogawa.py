"""CellVoyager CV7000, CV8000, CQ1 and CQ3000: ``MeasurementData.mlf`` lists the images, ``.mrf`` has pixel sizes,
``.mes`` the channels. Without an .mlf file the names alone tell (``_B03_T0001F001L01A01Z01C01.tif``).
"""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Mapping
from datetime import datetime
from xml.etree.ElementTree import Element

from hcs.errors import PlateError
from hcs.plate.keys import WellId
from hcs.store.microscopes.folder import Folder
from hcs.store.microscopes.table import (
    PROJECTION,
    Channel,
    FieldName,
    Place,
    Planes,
    PlaneTable,
    Source,
    natural,
    only_one,
    step,
)
from hcs.store.microscopes.xml import children, number, parse_xml

_BAND = re.compile(r"BP(\d+)", re.IGNORECASE)
_CORRECTIONS = re.compile(r"(^|/)(DC_|SC_)[^/]*\.tiff?$", re.IGNORECASE)


def lists(folder: Folder) -> tuple[str, ...]:
    """The .mlf files: one for each measurement."""
    return folder.ending(".mlf")


def read_yokogawa(folder: Folder, mlf: str) -> PlaneTable:
    """The planes that an .mlf file lists; PlateError where it is damaged or lists none."""
    records = list(children(parse_xml(folder.read(mlf), mlf), "MeasurementRecord"))
    images = [record for record in records if record.get("Type", "IMG").upper() == "IMG"]
    if not images:
        raise PlateError(f"{mlf} lists no image; copy the measurement's folder again")
    detail = _beside(folder, mlf, ".mrf")
    sizes = _pixel_sizes(detail)
    setting = _setting(folder, mlf, detail)
    places, channel_of = _places(images)
    planes = Planes()
    for image, place in zip(images, places, strict=True):
        name = (image.text or "").strip()
        planes.add(place, Source(folder.find(name, mlf) or name))
    size, notes = only_one([sizes.get(channel) for channel in {*channel_of.values()}], "pixel size")
    errors = [record for record in records if record.get("Type", "").upper() == "ERR"]
    corrections = sum(bool(_CORRECTIONS.search(name)) for name in folder.images)
    listed = {source.name for source in planes.found.values()}
    return PlaneTable(
        title=_title(detail),
        planes=planes.found,
        channels=_channels(channel_of, setting),
        centres_um=_centres(images, places),
        pixel_size_um=size,
        z_step_um=_z_step(images),
        times_s=_times(images, places),
        missing=tuple(map(_said_of_error, errors)),
        ignored=tuple(name for name in folder.images if name not in listed and not _CORRECTIONS.search(name)),
        notes=(
            *notes,
            *(("There is no .mrf file beside it: the pixel size is unknown.",) if detail is None else ()),
            *((f"{corrections} images for dark and shading correction are passed over.",) if corrections else ()),
        ),
    )


def _places(images: list[Element]) -> tuple[list[Place], dict[str, str]]:
    """What each image shows, and the channel's number by the channel's key.

    A channel that two actions take of one place is two channels. Where every well has one time point, there is no time.
    """
    by_action = _taken_twice(images)
    in_time = len({(i.get("Row"), i.get("Column"), i.get("TimePoint")) for i in images}) > len(
        {(i.get("Row"), i.get("Column")) for i in images}
    )
    both = len({bool(i.get("ZImageProcessing")) for i in images}) > 1
    places, channel_of = [], {}
    for image in images:
        number_of = image.get("Ch", "1")
        channel = f"{number_of} action {image.get('ActionIndex')}" if number_of in by_action else number_of
        channel_of[channel] = number_of
        z = PROJECTION if both and image.get("ZImageProcessing") else image.get("ZIndex", "")
        well = WellId.of(image.get("Row", ""), image.get("Column", ""))
        places.append(Place(well, _field(image), channel, z, image.get("TimePoint", "") if in_time else ""))
    return places, channel_of


def _times(images: list[Element], places: list[Place]) -> dict[str, float]:
    """Seconds of the time points, from the first image of each in the first well's first field; none where one has no
    date."""
    found: dict[str, float] = {}
    for image, place in zip(images, places, strict=True):
        if (place.well, place.field) == (places[0].well, places[0].field) and place.t not in found:
            try:
                found[place.t] = datetime.fromisoformat(image.get("Time", "")).timestamp()
            except ValueError:
                return {}
    return found


def _field(image: Element) -> str:
    """The field's number, with the tile's where a field is cut into tiles."""
    tile = [image.get(key) for key in ("TileYIndex", "TileXIndex", "PartialTileIndex") if image.get(key)]
    return "_".join([image.get("FieldIndex", "1"), *(part for part in tile if part)])


def _taken_twice(images: list[Element]) -> set[str]:
    """Channels of which two actions took the same place."""
    seen: dict[tuple[str | None, ...], str | None] = {}
    twice = set()
    for image in images:
        keys = ("Row", "Column", "FieldIndex", "TileXIndex", "TileYIndex", "PartialTileIndex", "TimePoint", "ZIndex")
        place = (*(image.get(key) for key in keys), image.get("Ch"), image.get("ZImageProcessing"))
        if seen.setdefault(place, image.get("ActionIndex")) != image.get("ActionIndex"):
            twice.add(image.get("Ch", "1"))
    return twice


def _beside(folder: Folder, mlf: str, ending: str) -> Element | None:
    """The XML file of this ending beside the .mlf file; None where there is none."""
    around = mlf.rpartition("/")[0]
    found = [name for name in folder.ending(ending) if name.rpartition("/")[0] == around]
    return parse_xml(folder.read(found[0]), found[0]) if found else None


def _setting(folder: Folder, mlf: str, detail: Element | None) -> Element | None:
    """The .mes file that the .mrf file names, else the one beside."""
    named = None if detail is None else detail.get("MeasurementSettingFileName")
    name = folder.find(named, mlf) if named else None
    return parse_xml(folder.read(name), name) if name else _beside(folder, mlf, ".mes")


def _pixel_sizes(detail: Element | None) -> dict[str, float]:
    """µm by channel; pixels that are not square have none."""
    found = {}
    for channel in children(detail, "MeasurementChannel"):
        width, height = (number(channel.get(f"{way}PixelDimension")) for way in ("Horizontal", "Vertical"))
        if width and height and abs(width - height) <= 1e-3 * width:
            found[channel.get("Ch", "")] = width
    return found


def _channels(channel_of: Mapping[str, str], setting: Element | None) -> dict[str, Channel]:
    """Named by dye, else by the light's target; the number follows where two share a name."""
    told = {} if setting is None else {e.get("Ch", ""): e for e in setting.iter("Channel")}
    order = sorted(channel_of, key=lambda key: (natural(channel_of[key]), key))
    found = {}
    for key in order:
        entry = told.get(channel_of[key])
        name = "" if entry is None else (entry.get("Fluorophore") or entry.get("Target") or "").strip()
        band = None if entry is None else _BAND.search(entry.get("Acquisition", ""))
        excitation = None if entry is None else number(entry.get("Target"))
        found[key] = Channel(name or f"C{channel_of[key]}", excitation, float(band.group(1)) if band else None)
    names = Counter(channel.name for channel in found.values())
    return {
        key: Channel(f"{c.name} ({key})" if names[c.name] > 1 else c.name, c.excitation_nm, c.emission_nm)
        for key, c in found.items()
    }


def _centres(images: list[Element], places: list[Place]) -> dict[FieldName, tuple[float, float]]:
    """Positions in the well, µm; Yokogawa's y grows upwards, rows of an image downwards."""
    found: dict[FieldName, tuple[float, float]] = {}
    for image, place in zip(images, places, strict=True):
        x, y = number(image.get("X")), number(image.get("Y"))
        if x is not None and y is not None:
            found.setdefault((place.well, place.field), (-y, x))
    return found


def _z_step(images: list[Element]) -> float | None:
    heights = [z for i in images if not i.get("ZImageProcessing") and (z := number(i.get("Z"))) is not None]
    return step(heights)


def _said_of_error(record: Element) -> str:
    well = WellId.of(record.get("Row", ""), record.get("Column", ""))
    said = " ".join((record.text or "").split())
    return f"well {well}, field {_field(record)}: the microscope recorded an error" + (f" ({said})" if said else "")


def _title(detail: Element | None) -> str:
    system = "" if detail is None else (detail.get("TargetSystem") or "")
    return f"Yokogawa {system.split()[0]}" if system.startswith("C") else "Yokogawa CellVoyager"
