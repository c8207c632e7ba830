"""Opera Phenix and Operetta: the index that Harmony (4 to 7) and Columbus export beside the images.

Harmony 4 and 5 say of every image its channel and pixel size; 6 and 7 once for each channel, under ``Maps``.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from xml.etree.ElementTree import Element

from hcs.errors import PlateError
from hcs.measure.illumination import ChannelLight
from hcs.plate.keys import WellId
from hcs.store.microscopes.assaylayout import layouts, read_layout
from hcs.store.microscopes.flatfield import read_flatfield
from hcs.store.microscopes.folder import Folder
from hcs.store.microscopes.table import Channel, FieldName, Place, Planes, PlaneTable, Source, only_one, step
from hcs.store.microscopes.xml import child_um, children, number, parse_xml, text

_INDEX = re.compile(r"(^|/)(image)?index(\.[a-z]+)?\.(xml|columbusidx\.xml)$", re.IGNORECASE)
_VERSION = re.compile(rb"Harmony\s?V(\d+)", re.IGNORECASE)
_HEAD_BYTES = 4000


def indexes(folder: Folder) -> tuple[str, ...]:
    """Harmony's index files, one for each folder of images."""
    found: dict[str, str] = {}
    for name in folder.names:
        if _INDEX.search(name) and b"EvaluationInputData" in folder.head(name):
            found.setdefault(name.rpartition("/")[0], name)
    return tuple(found.values())


def read_harmony(folder: Folder, index: str) -> PlaneTable:
    """The planes that an index lists; PlateError where it is damaged or lists none."""
    data = folder.read(index)
    root = parse_xml(data, index)
    images = list(children(root, "Images/Image"))
    if not images:
        raise PlateError(f"{index} lists no image; export the measurement from Harmony again, with its images")
    by_channel = _by_channel(root)
    planes, entries = Planes(), [_Entry(image, by_channel) for image in images]
    for entry in entries:
        planes.add(entry.place(), _source(folder, index, entry))
    size, notes = only_one([entry.um("ImageResolutionX") for entry in entries], "pixel size")
    heights = [entry.um("ImageResolutionY") for entry in entries]
    if size is not None and any(height is not None and abs(height - size) > 1e-3 * size for height in heights):
        size, notes = None, (*notes, "Pixels are not square; no pixel size is written.")
    version = _VERSION.search(data[:_HEAD_BYTES])
    lights = _lights(entries)
    plate_map, told = _plate_map(folder, index)
    notes = (*notes, *told)
    if lights:
        notes = (*notes, f"Harmony's flat-field of channel {', '.join(lights)} comes along, for `hcs run`.")
    return PlaneTable(
        title=_title(root, version.group(1).decode() if version else None),
        planes=planes.found,
        channels=_channels(entries),
        centres_um=_centres(entries),
        pixel_size_um=size,
        z_step_um=_z_step(entries),
        times_s=_times(entries),
        lights=lights,
        plate_map=plate_map,
        ignored=_strangers(folder, index, planes),
        notes=notes,
    )


class _Entry:
    """One image of the index; what it does not say itself, its channel says."""

    def __init__(self, image: Element, by_channel: Mapping[str, list[Element]]) -> None:
        self.image = image
        self.channel = text(image, "ChannelID") or "1"
        self._others = by_channel.get(self.channel, [])

    def text(self, tag: str) -> str:
        return next((found for where in (self.image, *self._others) if (found := text(where, tag))), "")

    def um(self, tag: str) -> float | None:
        where = next((where for where in (self.image, *self._others) if text(where, tag)), None)
        return child_um(where, tag, "m")

    def place(self) -> Place:
        well = WellId.of(self.text("Row"), self.text("Col"))
        return Place(well, self.text("FieldID") or "1", self.channel, self.text("PlaneID"), self.text("TimepointID"))


def _by_channel(root: Element) -> dict[str, list[Element]]:
    """What the index says once for each channel."""
    found: dict[str, list[Element]] = {}
    for entry in children(root, "Maps/Map/Entry"):
        found.setdefault(entry.get("ChannelID", ""), []).append(entry)
    return found


def _source(folder: Folder, index: str, entry: _Entry) -> Source:
    url = entry.text("URL")
    name = folder.find(url, index) if url else None
    state = entry.text("State").lower()
    fault = f"the microscope recorded it as {entry.text('State')}" if state not in ("", "ok") else ""
    buffer = entry.image.find("URL")
    page = number(buffer.get("BufferNo")) if buffer is not None else None
    return Source(name or url, int(page) if page else None, fault)


def _channels(entries: list[_Entry]) -> dict[str, Channel]:
    """By number; names that two channels share get the number."""
    first = {entry.channel: entry for entry in reversed(entries)}
    order = sorted(first, key=lambda channel: (len(channel), channel))
    names = [first[channel].text("ChannelName") or f"Channel {channel}" for channel in order]
    return {
        channel: Channel(
            name if names.count(name) == 1 else f"{name} ({channel})",
            number(first[channel].text("MainExcitationWavelength")) or None,
            number(first[channel].text("MainEmissionWavelength")) or None,
        )
        for channel, name in zip(order, names, strict=True)
    }


def _lights(entries: list[_Entry]) -> dict[str, ChannelLight]:
    """The flat-field of every channel that has one."""
    texts = {entry.channel: entry.text("FlatfieldProfile") for entry in reversed(entries)}
    found = {channel: read_flatfield(profile) for channel, profile in sorted(texts.items()) if profile}
    return {channel: light for channel, light in found.items() if light is not None}


def _plate_map(folder: Folder, index: str) -> tuple[tuple[tuple[str, ...], ...], tuple[str, ...]]:
    """What the assay layout says of the wells, and a sentence on it."""
    files = layouts(folder, index)
    if len(files) > 1:
        return (), (f"There are {len(files)} assay layouts ({', '.join(files)}); none is taken for a plate map.",)
    for name in files:
        cells, fault = read_layout(folder, name)
        if fault:
            return (), (fault,)
        if cells:
            what = ", ".join(cells[0][1:])
            return cells, (f"{name} has {what} of {len(cells) - 1} wells, which come along as plate map.",)
    return (), ()


def _centres(entries: Iterable[_Entry]) -> dict[FieldName, tuple[float, float]]:
    """Harmony's y grows upwards, rows of an image downwards."""
    found: dict[FieldName, tuple[float, float]] = {}
    for entry in entries:
        x, y, place = entry.um("PositionX"), entry.um("PositionY"), entry.place()
        if x is not None and y is not None:
            found.setdefault((place.well, place.field), (-y, x))
    return found


def _z_step(entries: list[_Entry]) -> float | None:
    channel = entries[0].channel
    return step([z for entry in entries if entry.channel == channel and (z := entry.um("PositionZ")) is not None])


def _times(entries: list[_Entry]) -> dict[str, float]:
    """Seconds of the time points, from the first well's first field."""
    first = entries[0].place()
    own = [e for e in entries if (p := e.place()).well == first.well and p.field == first.field and p.z == first.z]
    offsets = {e.place().t: number(e.text("MeasurementTimeOffset")) for e in own if e.channel == first.channel}
    return {t: offset for t, offset in offsets.items() if offset is not None}


def _strangers(folder: Folder, index: str, planes: Planes) -> tuple[str, ...]:
    """Images beside the index that it does not list."""
    listed, around = {source.name for source in planes.found.values()}, index.rpartition("/")[0]
    return tuple(name for name in folder.images if name.startswith(around) and name not in listed)


def _title(root: Element, version: str | None) -> str:
    model = {"sonata": "Operetta CLS", "phenix": "Opera Phenix"}.get(text(root, "InstrumentType").lower())
    return f"{model or 'Opera Phenix or Operetta'}, Harmony{f' {version}' if version else ''}"
