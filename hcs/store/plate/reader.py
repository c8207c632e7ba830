"""Reading OME-Zarr plates, NGFF 0.4 and 0.5: wells, fields, pixels, labels."""

from __future__ import annotations

from bisect import bisect_left
from collections import Counter
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, Literal
from urllib.parse import quote

from numpy.typing import NDArray

from hcs.errors import ConfigError, FieldError, PlateError
from hcs.plate.keys import FieldKey, WellId
from hcs.store.location import Location, Url, location, map_at
from hcs.store.meter import Meter
from hcs.store.paths import shown
from hcs.store.plate.field import FieldInfo, missing_chunks, open_image, read_pixels
from hcs.store.plate.metadata import ImageReference, PlateMetadata, WellMetadata, explain
from hcs.store.plate.nodes import Ngff, Node, read_node
from hcs.store.plate.strangers import what_else, what_file, what_folder
from hcs.store.plate.wellnames import name_wells

_LONGEST_NAME = 200
_KNOWN_VERSIONS = frozenset({"0.1", "0.2", "0.3", "0.4", "0.5"})


@dataclass(frozen=True, slots=True)
class FieldEntry:
    """A field that a plate lists; ``path`` is relative to the plate (``B/03/0``).

    ``fault`` is the reason where the well's metadata is so broken that its fields cannot be listed: the well then has
    this one entry, and reading it raises a FieldError, so that one broken well does not stop the others.
    """

    key: FieldKey
    path: str
    acquisition: int | None = None
    fault: str | None = None


@dataclass(frozen=True, slots=True)
class Plate:
    """A plate as its metadata describe it; ``wells`` and ``fields`` are sorted.

    ``wells`` are those with a group, ``absent_wells`` those that the plate lists without one. A well without fields is
    in ``wells`` and has no entry in ``fields``; ``missing`` has an entry with the reason for every well without fields.
    """

    path: str
    name: str
    ngff: Ngff
    wells: tuple[WellId, ...]
    fields: tuple[FieldEntry, ...]
    missing: tuple[FieldEntry, ...] = ()
    notes: tuple[str, ...] = ()
    """Sentences on how wells are called, where that was not plain."""

    @property
    def absent_wells(self) -> tuple[WellId, ...]:
        """Wells that the plate lists, of which there is no group."""
        present = set(self.wells)
        return tuple(entry.key.well for entry in self.missing if entry.key.well not in present)

    def entry(self, key: FieldKey) -> FieldEntry:
        """The entry of a field, or of the field of a frame; FieldError where the plate lists no such field."""
        found = self._entries(key.of_field)
        if not found:
            raise FieldError(key, f"plate {self.path} lists no such field; check well and field number")
        return found[0]

    def only(self, *keys: FieldKey) -> Plate:
        """The same plate as if it listed some fields, or those of some frames, alone; a field that it does not list is
        not listed then."""
        fields = tuple(entry for key in sorted({key.of_field for key in keys}) for entry in self._entries(key))
        return replace(self, wells=tuple(sorted({key.well for key in keys})), fields=fields, missing=(), notes=())

    def _entries(self, key: FieldKey) -> tuple[FieldEntry, ...]:
        for entries in (self.fields, self.missing):
            place = bisect_left(entries, key, key=lambda entry: entry.key)
            found = tuple(entry for entry in entries[place : place + 1] if entry.key == key)
            if found:
                return found
        return ()


def open_plate(path: str) -> Plate:
    """The wells and fields of the OME-Zarr plate at ``path``, a folder or URL; reads plate and well metadata, no
    pixel.

    Raises PlateError where there is no such folder, it is not OME-Zarr, is not a plate, or its metadata is broken.
    """
    root = location(path)
    metadata, wells, ngff, notes = _listed_wells(root)
    order = sorted(wells)
    listed = dict(zip(order, map_at(root, lambda well: _list_fields(root, well, wells[well]), order), strict=True))
    return Plate(
        path=path,
        name=_plate_name(metadata.name or _stem(root), root),
        ngff=ngff,
        wells=tuple(well for well, fields in listed.items() if fields is not None),
        fields=tuple(entry for fields in listed.values() for entry in fields or ()),
        missing=tuple(_lost(well, wells[well], fields) for well, fields in listed.items() if not fields),
        notes=notes,
    )


def read_info(plate: Plate, key: FieldKey) -> FieldInfo:
    """Shape, channels, pixel size and storage of a field; FieldError where it is missing or broken."""
    return open_image(location(plate.path), _sound(plate.entry(key)).path, key)[0]


def read_field(
    plate: Plate,
    key: FieldKey,
    *,
    channels: tuple[int, ...],
    z: Literal["refuse", "max"] = "refuse",
    window: tuple[slice, slice] | None = None,
) -> NDArray[Any]:
    """Pixels (C, Y, X) of the given channels (0-based) of a field, in the stored dtype and the order asked for; of all
    of it, or of the rows and columns in ``window``; of the frame that ``key`` names.

    Raises FieldError where the field is missing, damaged, has no chunk at all, has several time points and ``key`` has
    no frame, or has several z planes and ``z`` is ``"refuse"`` (``"max"`` projects them).
    """
    root = location(plate.path)
    info, array = open_image(root, _sound(plate.entry(key)).path, key)
    return read_pixels(array, info, root, key, channels=channels, z=z, window=window, frame=key.frame)


@dataclass(frozen=True, slots=True)
class OpenField:
    """A field whose metadata are read, and whose pixels can be."""

    key: FieldKey
    root: Location
    info: FieldInfo
    array: Any
    meter: Meter

    def read(self, *, z: Literal["refuse", "max"], channels: tuple[int, ...] | None = None) -> NDArray[Any]:
        """Pixels (C, Y, X) of the ``channels``, by default of all; raises as `read_field` does."""
        channels = tuple(range(self.info.shape[0])) if channels is None else channels
        return read_pixels(self.array, self.info, self.root, self.key, channels=channels, z=z, frame=self.key.frame)

    def missing_chunks(self) -> tuple[int, int]:
        """How many chunk files are missing, and how many there should be."""
        return missing_chunks(self.root, self.info, self.array, frame=self.key.frame)


def open_field(plate: Plate, key: FieldKey) -> OpenField:
    """A field of the plate, opened once for metadata and pixels; FieldError where it is missing or broken."""
    root, meter = location(plate.path), Meter()
    info, array = open_image(root, _sound(plate.entry(key)).path, key, meter)
    return OpenField(key, root, info, array, meter)


def locate(path: str, key: FieldKey) -> FieldEntry:
    """One field of the plate in folder ``path``, found without reading the metadata of other wells.

    Raises PlateError as `open_plate` does, FieldError where the plate lists no such field or its well is broken.
    """
    root = location(path)
    _, wells, _, _ = _listed_wells(root)
    fields = _list_fields(root, key.well, wells[key.well]) if key.well in wells else None
    lost = [_lost(key.well, wells[key.well], fields)] if key.well in wells and not fields else []
    for entry in (*(fields or ()), *lost):
        if entry.key == key.of_field:
            return _sound(entry)
    raise FieldError(key, f"plate {path} lists no such field; check well and field number")


def find_channel(channels: tuple[str, ...], wanted: str | int, *, option: str) -> int:
    """Index of a channel given by exact name or by 0-based index; a name goes before an index written as text.

    Raises ConfigError, naming ``option`` and listing the channels, where there is no such channel or a name is borne by
    more than one.
    """
    hits = [i for i, name in enumerate(channels) if name == wanted]
    if len(hits) == 1:
        return hits[0]
    known = ", ".join(f"{i} ({name})" for i, name in enumerate(channels))
    if hits:
        raise ConfigError(f"{option} {wanted!r} is the name of {len(hits)} channels; give an index: {known}")
    text = str(wanted)
    if text.isascii() and text.isdigit() and int(text) < len(channels):
        return int(text)
    raise ConfigError(f"{option} {wanted!r} is no channel of this plate; it has {known}")


def _listed_wells(root: Location) -> tuple[PlateMetadata, dict[WellId, str], Ngff, tuple[str, ...]]:
    """Plate metadata, the path of every well they list, and sentences on the wells' names; PlateError where they are
    missing or broken."""
    node = _plate_node(root)
    try:
        metadata = PlateMetadata.model_validate(node.ome["plate"])
        wells, notes = name_wells(metadata) if metadata.wells else ({}, ())
    except ValueError as error:
        raise PlateError(f"the plate metadata of {root} is broken ({explain(error)}); write the plate again") from error
    if not wells:
        raise PlateError(f"the plate metadata of {root} lists no wells; write the plate again")
    return metadata, wells, node.ngff, notes


def _plate_node(root: Location) -> Node:
    """The root's metadata, checked to be those of a plate that can be read."""
    if isinstance(root, Path) and not root.exists():
        raise PlateError(f"no such plate: {root}; check the path")
    if isinstance(root, Path) and not root.is_dir():
        raise PlateError(f"{root} is {what_file(root)}")
    try:
        node = read_node(root)
    except (OSError, ValueError) as error:
        remedy = "write the plate again" if isinstance(error, ValueError) else "check the address and your access to it"
        raise PlateError(f"the metadata of {root} cannot be read ({error}); {remedy}") from error
    if node is None and isinstance(root, Url):
        raise PlateError(f"no plate at {root}: neither zarr.json nor .zattrs is there; check the address")
    if node is None:
        raise PlateError(f"{root} is not OME-Zarr: {what_folder(root)}")
    if "plate" not in node.ome:
        raise PlateError(f"{root} is no plate: {what_else(root, node)}")
    plate = node.ome["plate"]
    version = str(node.ome.get("version") or (plate.get("version") if isinstance(plate, dict) else None) or node.ngff)
    if version not in _KNOWN_VERSIONS:
        raise PlateError(f"{root} is NGFF {version}; hcs reads up to 0.5: write the plate as 0.4 or 0.5")
    return node


def _list_fields(root: Location, well: WellId, path: str) -> tuple[FieldEntry, ...] | None:
    """Fields of a well in the order of its metadata; None where the well has no group."""
    try:
        node = read_node(root / path)
        if node is not None and "well" in node.ome:
            images = WellMetadata.model_validate(node.ome["well"]).images
        else:
            images = _find_images(root / path)
    except (OSError, ValueError) as error:
        reason = explain(error) if isinstance(error, ValueError) else str(error)
        return (FieldEntry(FieldKey(well, 0), path, fault=f"its well's metadata is broken ({reason}); write it again"),)
    if node is None and not images:
        return None
    paths = [image.path.strip("/") for image in images]
    again, times = Counter(paths).most_common(1)[0] if paths else ("", 0)
    if times > 1:
        fault = f"its well lists image {shown(again)[1:-1]} {times} times, which would count it as often; list it once"
        return (FieldEntry(FieldKey(well, 0), path, fault=fault),)
    return tuple(
        FieldEntry(FieldKey(well, i), f"{path}/{image.path.strip('/')}", image.acquisition)
        for i, image in enumerate(images)
    )


def _lost(well: WellId, path: str, fields: tuple[FieldEntry, ...] | None) -> FieldEntry:
    """The entry of a well without fields: its reason."""
    fault = (
        f"the plate lists well {well} but has no folder {path}: it was not converted, or not copied"
        if fields is None
        else f"the plate lists well {well}, and the metadata of its folder {path} lists no image: none was converted"
    )
    return FieldEntry(FieldKey(well, 0), path, fault=fault)


def _find_images(folder: Location) -> tuple[ImageReference, ...]:
    """Images below a well whose metadata does not list them, numbered folders in the order of their numbers."""
    names = [child.name for child in folder.iterdir() if child.is_dir()] if folder.is_dir() else []
    nodes = ((name, read_node(folder / name)) for name in sorted(names, key=lambda name: (len(name), name)))
    return tuple(ImageReference(path=name) for name, node in nodes if node and "multiscales" in node.ome)


def _plate_name(name: str, root: Location) -> str:
    """The plate's name, which becomes that of a folder; PlateError for one that none can have."""
    if not name.isprintable() or len(quote(name, safe="")) > _LONGEST_NAME:
        raise PlateError(
            f"{root} is called {shown(name)} in its metadata, which no folder of results can be called; give it a name "
            f"of up to {_LONGEST_NAME} characters, all printable"
        )
    return name


def _sound(entry: FieldEntry) -> FieldEntry:
    if entry.fault is not None:
        raise FieldError(entry.key, entry.fault)
    return entry


def _stem(root: Location) -> str:
    """Name of the folder without ``.ome.zarr`` or ``.zarr``."""
    return root.resolve().name.removesuffix(".zarr").removesuffix(".ome")
