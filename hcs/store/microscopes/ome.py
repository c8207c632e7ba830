"""OME-XML: companion files, ``*.ome.xml`` and OME-TIFF, with Screen, Plate and Well or without.

ome-types is not used: its models refuse what real writers leave out, for the twelve attributes that are read here.
"""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass
from xml.etree.ElementTree import Element

from hcs.errors import PlateError
from hcs.plate.keys import WellId
from hcs.store.microscopes.folder import Folder
from hcs.store.microscopes.table import Channel, FieldName, Place, Planes, PlaneTable, Source, only_one
from hcs.store.microscopes.xml import children, length_um, number, parse_xml

_OME_HEAD = 3000
_TIFFS = (".ome.tif", ".ome.tiff", ".ome.tf2", ".ome.btf")
_SECONDS = {"s": 1.0, "ms": 1e-3, "min": 60.0, "h": 3600.0, "": 1.0}


def documents(folder: Folder) -> tuple[str, ...]:
    """Files with the OME-XML of a data set: companion and XML files, else an OME-TIFF that describes itself."""
    found = [
        name
        for name in folder.ending(".companion.ome", ".ome.xml", ".ome")
        if b"<OME" in folder.head(name) or b":OME" in folder.head(name)
    ]
    if found:
        return tuple(found)
    tiffs = [name for name in folder.ending(*_TIFFS) if _embedded(folder, name)]
    return tuple(tiffs)


def _embedded(folder: Folder, name: str) -> str:
    """The OME-XML in a TIFF; empty where there is none, or where it only points to another file."""
    return next((t for t in folder.texts(name)[:1] if "<Image" in t and "OME" in t[:_OME_HEAD]), "")


def read_ome(folder: Folder, names: tuple[str, ...]) -> PlaneTable:
    """The planes that OME-XML lists; PlateError for several plates, and for a plate without images."""
    if len(names) > 1 and not any(name.lower().endswith(_TIFFS) for name in names):
        raise PlateError(
            f"{folder.place} holds {len(names)} data sets ({', '.join(names[:6])}); convert each by itself"
        )
    planes, described = Planes(), _Described()
    taken: set[str] = set()
    seen: Counter[WellId] = Counter()
    for name in names:
        if name in taken:  # an OME-TIFF of a set that another member has described
            continue
        embedded = name.lower().endswith(_TIFFS)
        root = parse_xml(_embedded(folder, name) if embedded else folder.read(name), name)
        images = {image.get("ID", str(i)): image for i, image in enumerate(children(root, "Image"))}
        for spot in _spots(root, images, name, seen):
            pixels = images[spot.image].find("Pixels")
            if pixels is not None:
                _add_planes(planes, spot, pixels, folder, name)
                _describe(described, spot, pixels)
        taken |= {source.name for source in planes.found.values()}
    if not planes.found:
        raise PlateError(
            f"{names[0]} lists no plane in a TIFF file; its pixels may be inside the XML, which is not read"
        )
    size, notes = only_one(described.sizes, "pixel size")
    return PlaneTable(
        title=f"OME metadata ({names[0].rpartition('/')[2]})",
        planes=planes.found,
        channels=described.channels,
        centres_um=described.centres,
        acquisitions=described.acquisitions if len({*described.acquisitions.values()}) > 1 else {},
        pixel_size_um=size,
        z_step_um=described.z_step,
        interval_s=described.interval,
        times_s=described.times,
        ignored=tuple(name for name in folder.images if name not in taken),
        notes=(*notes, *described.notes),
    )


@dataclass(frozen=True, slots=True)
class _Spot:
    """A field of a plate: its well, its name there, its image's ID, its acquisition and place."""

    well: WellId
    field: str
    image: str
    acquisition: int | None = None
    centre: tuple[float, float] | None = None


class _Described:
    """What the images say besides their planes."""

    def __init__(self) -> None:
        self.channels: dict[str, Channel] = {}
        self.centres: dict[FieldName, tuple[float, float]] = {}
        self.acquisitions: dict[FieldName, int] = {}
        self.sizes: list[float | None] = []
        self.z_step: float | None = None
        self.interval: float | None = None
        self.times: dict[str, float] = {}
        self.notes: dict[str, None] = {}


def _spots(root: Element, images: dict[str, Element], name: str, seen: Counter[WellId]) -> Iterator[_Spot]:
    """The fields of the one plate of a document; without a plate, wells by the names of images, or of their file, or
    one well A01, with the fields that were ``seen`` in each so far."""
    plates = list(children(root, "Plate")) or list(children(root, "Screen/Plate"))
    if len(plates) > 1:
        listed = ", ".join(plate.get("Name") or plate.get("ID") or "?" for plate in plates)
        raise PlateError(f"{name} holds {len(plates)} plates ({listed}); export each by itself")
    if not plates:
        yield from _without_plate(images, name, seen)
        return
    acquisitions = _acquisitions(plates[0])
    for well in children(plates[0], "Well"):
        row, column = (int(number(well.get(what)) or 0) for what in ("Row", "Column"))
        samples = list(children(well, "WellSample"))
        for i, sample in enumerate(sorted(samples, key=lambda s: number(s.get("Index")) or 0)):
            reference = sample.find("ImageRef")
            image = "" if reference is None else reference.get("ID", "")
            if image in images:
                x, y = (length_um(sample.get(f"Position{a}"), sample.get(f"Position{a}Unit")) for a in "XY")
                centre = None if x is None or y is None else (y, x)
                yield _Spot(WellId(row, column), str(i), image, acquisitions.get(sample.get("ID", "")), centre)


def _without_plate(images: dict[str, Element], name: str, seen: Counter[WellId]) -> Iterator[_Spot]:
    for image, element in images.items():
        texts = (element.get("Name", ""), name.rpartition("/")[2] if name.lower().endswith(_TIFFS) else "")
        called = next((found for text in texts if (found := _WELL_NAME.search(text))), None)
        well = WellId.parse(called[1]) if called else WellId(0, 0)
        yield _Spot(well, str(seen[well]), image)
        seen[well] += 1


_WELL_NAME = re.compile(r"(?:^|[\W_])([A-P]\d{1,2})(?:$|[\W_])")


def _acquisitions(plate: Element) -> dict[str, int]:
    """The number of the acquisition of every well sample that belongs to one."""
    return {
        reference.get("ID", ""): i
        for i, acquisition in enumerate(children(plate, "PlateAcquisition"))
        for reference in children(acquisition, "WellSampleRef")
    }


def _add_planes(planes: Planes, spot: _Spot, pixels: Element, folder: Folder, document: str) -> None:
    sizes = {axis: int(number(pixels.get(f"Size{axis}")) or 1) for axis in "ZCT"}
    for (z, c, t), source in _sources(folder, pixels, sizes, document):
        at_z, at_t = str(z) if sizes["Z"] > 1 else "", str(t) if sizes["T"] > 1 else ""
        planes.add(Place(spot.well, spot.field, str(c), at_z, at_t), source)


def _describe(described: _Described, spot: _Spot, pixels: Element) -> None:
    key = (spot.well, spot.field)
    width, height = (length_um(pixels.get(f"PhysicalSize{a}"), pixels.get(f"PhysicalSize{a}Unit")) for a in "XY")
    square = width is not None and (height is None or abs(width - height) <= 1e-3 * width)
    described.sizes.append(width if square else None)
    described.z_step = length_um(pixels.get("PhysicalSizeZ"), pixels.get("PhysicalSizeZUnit"))
    wait = number(pixels.get("TimeIncrement"))
    unit = _SECONDS.get(pixels.get("TimeIncrementUnit", ""))
    described.interval = None if wait is None or unit is None else wait * unit
    if not described.times:
        deltas = {p.get("TheT", "0"): dt for p in children(pixels, "Plane") if (dt := _delta(p)) is not None}
        described.times = deltas if len(deltas) == number(pixels.get("SizeT")) else {}
    if spot.acquisition is not None:
        described.acquisitions[key] = spot.acquisition
    centre = spot.centre or _position(pixels)
    if centre is not None:
        described.centres[key] = centre
    names = [channel.get("Name") or f"C{c}" for c, channel in enumerate(children(pixels, "Channel"))]
    for c, channel in enumerate(children(pixels, "Channel")):
        name = names[c] if names.count(names[c]) == 1 else f"{names[c]} ({c})"
        found = Channel(name, *(number(channel.get(f"{what}Wavelength")) for what in ("Excitation", "Emission")))
        before = described.channels.setdefault(str(c), found)
        if before.name != found.name:
            described.notes[f"Channel {c} is called {before.name} in some images and {found.name} in others."] = None


def _delta(plane: Element) -> float | None:
    """Seconds since the start, of the planes of the first channel and z."""
    unit = _SECONDS.get(plane.get("DeltaTUnit", ""))
    found = number(plane.get("DeltaT")) if plane.get("TheC", "0") == "0" and plane.get("TheZ", "0") == "0" else None
    return None if found is None or unit is None else found * unit


def _position(pixels: Element) -> tuple[float, float] | None:
    """Where the first plane lies on the stage, (y, x) µm, as the file gives it."""
    plane = pixels.find("Plane")
    if plane is None:
        return None
    x, y = (length_um(plane.get(f"Position{a}"), plane.get(f"Position{a}Unit")) for a in "XY")
    return None if x is None or y is None else (y, x)


def _sources(
    folder: Folder, pixels: Element, sizes: dict[str, int], document: str
) -> Iterator[tuple[tuple[int, int, int], Source]]:
    """Planes (z, c, t) and where they lie, as the TiffData elements say (OME-TIFF specification)."""
    order = [axis for axis in pixels.get("DimensionOrder", "XYZCT")[2:] if axis in sizes]
    total = sizes["Z"] * sizes["C"] * sizes["T"]
    for block in children(pixels, "TiffData"):
        first = {axis: int(number(block.get(f"First{axis}")) or 0) for axis in "ZCT"}
        ifd, count = number(block.get("IFD")), number(block.get("PlaneCount"))
        planes = int(count if count is not None else 1 if ifd is not None else total)
        named = next((uuid.get("FileName", "") for uuid in children(block, "UUID")), "")
        name = (folder.find(named, document) or named) if named else document
        start = 0
        for axis in reversed(order):
            start = start * sizes[axis] + first[axis]
        for k in range(planes):
            rest, at = start + k, {}
            for axis in order:
                rest, at[axis] = divmod(rest, sizes[axis])
            if rest:
                break
            yield (at["Z"], at["C"], at["T"]), Source(name, int(ifd or 0) + k)
