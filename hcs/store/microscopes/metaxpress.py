"""ImageXpress: folders that MetaXpress exports, with or without their .HTD file.

Names are ``PLATE_B02_s1_w2.TIF`` in ``TimePoint_1/ZStep_1``; site, wavelength, GUID and folders may be absent.
Thumbnails are passed over. ``ZStep_0``, and what lies beside folders ``ZStep_n``, is the microscope's projection.
"""

from __future__ import annotations

import csv
import re
from collections.abc import Mapping
from dataclasses import dataclass

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
    with_the_wells,
)
from hcs.store.microscopes.xml import length_um, number

_GUID = r"[0-9A-Fa-f]{8}-[0-9A-Fa-f]{4}-[0-9A-Fa-f]{4}-[0-9A-Fa-f]{4}-[0-9A-Fa-f]{12}"
_NAME = re.compile(
    r"(?:^|[/_])(?P<well>[A-P][0-9]{2}|[A-Z][0-9]{1,2}(?=_[sw]\d)|A[A-F][0-9]{2})(?:_s(?P<site>\d+?))?(?:_w(?P<wave>\d{1,2}?))?(?:_z(?P<z>\d+?))?"
    rf"(?:_t(?P<t>\d+?))?(?P<thumb>_thumb)?(?:{_GUID})?\.tiff?$",
    re.IGNORECASE,
)
_SUB = re.compile(r"(?:^|/)(?P<what>TimePoint|ZStep)[_ ]?(?P<number>\d+)(?=/)", re.IGNORECASE)
_PROP = re.compile(r'<prop id="([^"]*)" type="[^"]*" value="([^"]*)"')
_THUMB = re.compile(rf"_thumb(?:{_GUID})?\.", re.IGNORECASE)


def images_named_so(folder: Folder) -> tuple[str, ...]:
    """Images with names of MetaXpress, thumbnails among them."""
    return tuple(name for name in folder.images if _NAME.search(name))


def settings_files(folder: Folder) -> tuple[str, ...]:
    """The uppermost .HTD file of each plate; MetaXpress repeats the file in folders of time points."""
    return tuple(name for name in folder.ending(".htd") if not _SUB.search(f"/{name}"))


def read_metaxpress(folder: Folder, htds: tuple[str, ...]) -> PlaneTable:
    """The planes that names tell, with what .HTD file and TIFF tags add; PlateError for several plates in one."""
    names = [name for name in images_named_so(folder) if not _THUMB.search(name)]
    roots = sorted({_SUB.sub("", f"/{name}").rpartition("/")[0].strip("/") for name in names})
    called = {name.rpartition("/")[2][: _start(name)] for name in names}
    if len(roots) > 1 and (len(htds) > 1 or len(called) > 1):
        raise PlateError(f"{folder.place} holds {len(roots)} plates ({', '.join(roots[:6])}); convert each by itself")
    planes = _planes(names)
    htd = _htd(folder, htds or folder.ending(".htd")[:1])
    tags = _tags_by_field(folder, planes)
    waves = sorted({place.channel for place in planes.found}, key=natural)
    thumbs = len(images_named_so(folder)) - len(names)
    size, notes = only_one([_pixel_size(found) for found in tags.values()], "pixel size")
    return PlaneTable(
        title="ImageXpress, MetaXpress" + (f", {htds[0].rpartition('/')[2]}" if htds else ", without .HTD file"),
        planes=planes.found,
        channels=_channels(folder, planes, waves, htd),
        centres_um=_centres(tags),
        pixel_size_um=size,
        missing=htd.missing({(place.well, place.field) for place in planes.found}),
        ignored=tuple(name for name in folder.images if not _NAME.search(name)),
        notes=(*notes, *htd.notes(planes), *((f"{thumbs:,} thumbnails are passed over.",) if thumbs else ())),
    )


def _start(name: str) -> int:
    """How many letters of a file's name come before the well: the plate's name."""
    match = _NAME.search(name)
    return match.start("well") - name.rfind("/") - 1 if match else 0


def _planes(names: list[str]) -> Planes:
    planes = Planes()
    in_steps = any(_of_path(name).get("zstep") for name in names)
    for name in names:
        match = _NAME.search(name)
        assert match is not None
        where = _of_path(name)
        z = match["z"] or where.get("zstep", "")
        if in_steps and z in ("", "0"):
            z = PROJECTION
        place = Place(
            WellId.parse(match["well"]),
            match["site"] or "1",
            match["wave"] or "1",
            z,
            match["t"] or where.get("timepoint", ""),
        )
        planes.add(place, Source(name))
    return planes


def _of_path(name: str) -> dict[str, str]:
    """Numbers of the folders ``TimePoint_n`` and ``ZStep_n`` above a file."""
    return {match["what"].lower(): match["number"] for match in _SUB.finditer(f"/{name}")}


@dataclass(frozen=True, slots=True)
class _Htd:
    """What an .HTD file says: lines of a name and values."""

    values: Mapping[str, tuple[str, ...]]

    def get(self, key: str) -> str:
        found = self.values.get(key.lower(), ())
        return found[0] if found else ""

    def wells(self) -> set[WellId]:
        """The wells that were to be imaged."""
        chosen: set[WellId] = set()
        for key, values in self.values.items():
            if key.startswith("wellsselection") and key[14:].isdecimal():
                row = int(key[14:]) - 1
                chosen |= {WellId(row, i) for i, value in enumerate(values) if value.upper() == "TRUE"}
        return chosen

    def sites(self) -> set[str]:
        """The sites that were to be imaged, numbered along the rows."""
        if self.get("Sites").upper() != "TRUE":
            return {"1"}
        rows = sorted((int(key[13:]), v) for key, v in self.values.items() if key[:13] == "siteselection")
        flat = [value.upper() == "TRUE" for _, values in rows for value in values]
        return {str(i) for i, value in enumerate(flat, start=1) if value}

    def missing(self, there: set[FieldName]) -> tuple[str, ...]:
        """A sentence for each field that was to be imaged, of which there is no file."""
        wanted = {(well, site) for well in self.wells() for site in self.sites()}
        if not wanted & there:  # the file is of another plate, or counts sites otherwise
            return ()
        return tuple(
            f"well {well}, field {site} has no file, though the .HTD file lists the field"
            for well, site in sorted(wanted - there)
        )

    def notes(self, planes: Planes) -> tuple[str, ...]:
        """Sentences on wavelengths, time points and z steps of which there is no file at all."""
        found = []
        waves = {place.channel for place in planes.found}
        count = int(number(self.get("NWavelengths")) or 0)
        absent = [f"w{i} ({self.get(f'WaveName{i}')})" for i in range(1, count + 1) if str(i) not in waves]
        if absent and len(absent) < count:
            found.append(f"The .HTD file lists wavelengths of which there is no file: {', '.join(absent)}.")
        for key, what in (("TimePoints", "t"), ("ZSteps", "z")):
            there = {getattr(place, what) for place in planes.found} - {"", PROJECTION}
            told = int(number(self.get(key)) or 0)
            if told > max(len(there), 1):
                found.append(f"The .HTD file tells of {told} {key}, of which {len(there)} are there.")
        return tuple(found)


def _htd(folder: Folder, names: tuple[str, ...]) -> _Htd:
    if not names:
        return _Htd({})
    data = folder.read(names[0])
    text = data.decode("utf-16") if data[:2] in (b"\xff\xfe", b"\xfe\xff") else data.decode("utf-8", "replace")
    rows = csv.reader(text.splitlines(), skipinitialspace=True)
    return _Htd({row[0].strip().lower(): tuple(cell.strip() for cell in row[1:]) for row in rows if len(row) > 1})


def _tags_by_field(folder: Folder, planes: Planes) -> dict[FieldName, dict[str, str]]:
    """MetaSeries properties of one file of each field."""
    first: dict[FieldName, str] = {}
    for place, source in planes.found.items():
        first.setdefault((place.well, place.field), source.name)
    return {key: _tags(folder, name) for key, name in first.items()}


def _tags(folder: Folder, name: str) -> dict[str, str]:
    return {key: value for text in folder.texts(name) if "<MetaData>" in text for key, value in _PROP.findall(text)}


def _pixel_size(tags: Mapping[str, str]) -> float | None:
    if tags.get("spatial-calibration-state", "on").lower() != "on":
        return None
    width, height = (
        length_um(tags.get(f"spatial-calibration-{axis}"), tags.get("spatial-calibration-units")) for axis in "xy"
    )
    square = width is not None and height is not None and abs(width - height) <= 1e-3 * width
    return width if square else None


def _channels(folder: Folder, planes: Planes, waves: list[str], htd: _Htd) -> dict[str, Channel]:
    """Names of the .HTD file, else of the illumination in the tags; numbers where neither tells."""
    first = {place.channel: source.name for place, source in sorted(planes.found.items(), reverse=True)}
    tags = {wave: _tags(folder, first[wave]) for wave in waves}
    names = [htd.get(f"WaveName{wave}") or tags[wave].get("_IllumSetting_", "").strip() or f"w{wave}" for wave in waves]
    return {
        wave: Channel(
            name if names.count(name) == 1 else f"{name} (w{wave})", None, number(tags[wave].get("wavelength"))
        )
        for wave, name in zip(waves, names, strict=True)
    }


def _centres(tags: Mapping[FieldName, Mapping[str, str]]) -> dict[FieldName, tuple[float, float]]:
    """Stage positions, turned so that x grows with columns and y with rows of wells, as in the image."""
    found = {
        key: (y, x)
        for key, each in tags.items()
        if (x := number(each.get("stage-position-x"))) is not None
        and (y := number(each.get("stage-position-y"))) is not None
    }
    return with_the_wells(found)
