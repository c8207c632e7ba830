"""ImageXpress HCS.ai (MetaXpress Acquire): ``image_metadata_1.csv`` has a row a plane, a ``.jdce`` file (JSON) channels
and pixel size.

A run's folder holds ``experiment``, and beside it ``experiment_z_stack`` and ``experiment_montage`` where those were
recorded: ``experiment`` is taken. Element names as the readers of fractal-uzh-converters and bioio-imagexpress have
them.
"""

from __future__ import annotations

import csv
import json
import re
from collections.abc import Mapping
from typing import Any

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
    with_the_wells,
)
from hcs.store.microscopes.xml import length_um, number

_LIST = re.compile(r"(^|/)image_metadata_\d+\.csv$", re.IGNORECASE)
_MADE_OF_OTHERS = re.compile(r"_(montage|z_stack)$", re.IGNORECASE)
_WELL = re.compile(r"\s*([A-Za-z]{1,2})\s*-?\s*(\d{1,2})\s*")
_NAMES = re.compile(
    r"_t(?P<t>\d+)_(?P<well>[A-Z]{1,2}\d{1,2})_s(?P<field>\d+)_w(?P<channel>\d+)_z(?P<z>\d+)\.tiff?$", re.IGNORECASE
)
_NEEDED = ("Field", "Wavelength", "ImageFileName")


def lists(folder: Folder) -> tuple[str, ...]:
    """One list of images for each unit that was recorded; of a run's units those that are not made of others, if there
    are such."""
    found = [name for name in folder.names if _LIST.search(name) and b"ImageFileName" in folder.head(name)]
    units = {_around(name): name for name in reversed(found)}
    raw = {unit: name for unit, name in units.items() if not _MADE_OF_OTHERS.search(unit)}
    stacks = {unit: name for unit, name in units.items() if unit.lower().endswith("_z_stack")}
    return tuple(sorted((raw or stacks or units).values()))


def images_named_so(folder: Folder) -> tuple[str, ...]:
    """Images with names of HCS.ai."""
    return tuple(name for name in folder.images if _NAMES.search(name))


def read_names(folder: Folder, plate_format: int | None) -> PlaneTable:
    """The planes that names alone tell."""
    return read_pattern(folder, _NAMES, plate_format=plate_format, title="ImageXpress HCS.ai, names without its list")


def read_imagexpress_ai(folder: Folder, first: str) -> PlaneTable:
    """The planes that a list names; PlateError where it is damaged or names none."""
    around = _around(first)
    rows = [
        row
        for name in folder.names
        if _LIST.search(name) and _around(name) == around
        for row in csv.DictReader(folder.read(name).decode("utf-8-sig", "replace").splitlines())
    ]
    if not rows or any(column not in rows[0] for column in _NEEDED):
        raise PlateError(f"{first} lists no image by {', '.join(_NEEDED)}; copy the run's folder again")
    planes = Planes()
    places: dict[FieldName, Mapping[str, str]] = {}
    for row in rows:
        place = _place(row)
        if place is not None:
            below = (row.get("ImageSubFolderPath") or "").replace("\\", "/").strip("/ ")
            called = f"{below}/{row['ImageFileName'].strip()}".lstrip("/")
            planes.add(place, Source(folder.find(called, first) or f"{around}/{called}".lstrip("/")))
            places.setdefault((place.well, place.field), row)
    if not planes.found:
        raise PlateError(f"{first} names the well of no image; copy the run's folder again")
    told = _descriptor(folder, around)
    unlisted = {source.name for source in planes.found.values()}
    others = sorted({_around(name) for name in folder.names if _LIST.search(name)} - {around})
    notes = (f"{', '.join(others)} is left out; give that folder to take it instead.",) if others else ()
    waves = sorted({place.channel for place in planes.found}, key=natural)
    return PlaneTable(
        title="ImageXpress HCS.ai",
        planes=planes.found,
        channels=_channels(told, waves),
        centres_um=_centres(places),
        pixel_size_um=_pixel_size(told),
        z_step_um=number(str(_part(told, "PlateMap", "ZDimensionParameters").get("Step"))) or None,
        interval_s=step(_schedule(told)),
        times_s={str(t): seconds for t, seconds in enumerate(_schedule(told))},
        ignored=tuple(name for name in folder.images if name.startswith(around) and name not in unlisted),
        notes=notes,
    )


def _around(name: str) -> str:
    return name.rpartition("/")[0]


def _place(row: Mapping[str, str]) -> Place | None:
    """What a row's plane shows; None of a row that names no well, field or file."""
    named = _WELL.fullmatch(row.get("Well") or "")
    by_number = (row.get("Row") or "").strip(), (row.get("Column") or "").strip()
    if not (row.get("Field") or "").strip() or not (row.get("ImageFileName") or "").strip():
        return None
    try:
        well = WellId.of(*by_number) if all(by_number) else WellId.of(named[1], named[2]) if named else None
    except PlateError:
        return None
    if well is None:
        return None
    field, channel, z, t = ((row.get(key) or "").strip() for key in ("Field", "Wavelength", "ZIndex", "Timepoint"))
    return Place(well, field, channel, z, t)


def _descriptor(folder: Folder, around: str) -> Mapping[str, Any]:
    """The acquisition protocol of the .jdce file beside the list; empty where there is none that can be read."""
    for name in folder.ending(".jdce"):
        if _around(name) == around:
            try:
                found = json.loads(folder.read(name).decode("utf-8-sig", "replace"))
            except ValueError:
                return {}
            return _part(found, "ImageStack", "AutoLeadAcquisitionProtocol")
    return {}


def _part(found: Any, *keys: str) -> Mapping[str, Any]:
    for key in keys:
        found = found.get(key) if isinstance(found, dict) else None
    return found if isinstance(found, dict) else {}


def _channels(told: Mapping[str, Any], waves: list[str]) -> dict[str, Channel]:
    """By index: the name of the emission filter, and the filters' light."""
    given = told.get("Wavelengths")
    by_index = {str(each.get("Index")): each for each in given if isinstance(each, dict)} if given else {}
    names = [str(_part(by_index.get(wave), "EmissionFilter").get("Name") or f"w{wave}") for wave in waves]
    return {
        wave: Channel(
            name if names.count(name) == 1 else f"{name} (w{wave})",
            *(number(str(_part(by_index.get(wave), f"{light}Filter").get("Wavelength"))) or None for light in _LIGHTS),
        )
        for wave, name in zip(waves, names, strict=True)
    }


_LIGHTS = ("Excitation", "Emission")


def _pixel_size(told: Mapping[str, Any]) -> float | None:
    calibration = _part(told, "ObjectiveCalibration")
    width, height = (
        length_um(str(calibration.get(key)), str(calibration.get("Unit") or "um"))
        for key in ("PixelWidth", "PixelHeight")
    )
    square = width is not None and height is not None and abs(width - height) <= 1e-3 * width
    return (width or None) if square else None


def _schedule(told: Mapping[str, Any]) -> list[float]:
    """Seconds of the time points, which are numbered from 0."""
    times = _part(told, "PlateMap", "TimeSchedule").get("Times")
    if not isinstance(times, list):
        return []
    told_ms = [number(str(each.get("Ms"))) for each in times if isinstance(each, dict)]
    return [value / 1000 for value in told_ms if value is not None]


def _centres(places: Mapping[FieldName, Mapping[str, str]]) -> dict[FieldName, tuple[float, float]]:
    """Stage positions, turned so that they run with the wells."""
    found = {
        key: (y, x)
        for key, row in places.items()
        if (x := number(row.get("PositionXUm"))) is not None and (y := number(row.get("PositionYUm"))) is not None
    }
    return with_the_wells(found)
