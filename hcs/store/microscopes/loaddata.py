"""CellProfiler's ``load_data.csv``, as pe2loaddata and the JUMP consortium write it: a row a field."""

from __future__ import annotations

import csv
import io
import re
from collections.abc import Mapping

from hcs.errors import PlateError
from hcs.plate.keys import WellId
from hcs.store.microscopes.folder import Folder
from hcs.store.microscopes.table import Channel, FieldName, Place, Planes, PlaneTable, Source, only_one
from hcs.store.microscopes.xml import number

_FILE = re.compile(r"^(?:Image_)?(FileName|URL)_(?P<channel>.+)$", re.IGNORECASE)
_IMAGES = (".tif", ".tiff", ".png")
_METRES = 1e6


def lists(folder: Folder) -> tuple[str, ...]:
    """CSV files with a column of file names and one of wells; those with illumination functions come last."""
    found = [name for name in folder.ending(".csv") if _is_list(folder.head(name))]
    return tuple(sorted(found, key=lambda name: ("illum" in name.lower(), name)))


def _is_list(head: bytes) -> bool:
    columns = [column.strip().lower() for column in next(csv.reader(io.StringIO(_text(head))), [])]
    files = any(_FILE.match(column) for column in columns)
    return files and ("metadata_well" in columns or {"metadata_row", "metadata_col"} <= {*columns} or "well" in columns)


def read_load_data(folder: Folder, name: str) -> PlaneTable:
    """The planes of a list; PlateError where it lists several plates, no image, or a well that is none."""
    rows = [{key.lower(): value for key, value in row.items() if key} for row in _rows(folder.read(name))]
    header = next(csv.reader(io.StringIO(_text(folder.read(name)))), [])
    columns = {m["channel"]: column.lower() for column in header if (m := _FILE.match(column.strip()))}
    plates = sorted({row.get("metadata_plate", "") for row in rows})
    if len(plates) > 1:
        raise PlateError(f"{name} lists {len(plates)} plates ({', '.join(plates[:4])}, …); give a list of one")
    planes = Planes()
    centres: dict[FieldName, tuple[float, float]] = {}
    for row in rows:
        well, site = _well(row, name), _first(row, "metadata_site", "metadata_fieldid", "metadata_field") or "1"
        for channel, column in columns.items():
            value = (row.get(column) or "").strip()
            if value and value.lower().endswith(_IMAGES):
                place = Place(well, site, channel, _z(row), _first(row, "metadata_timepointid", "metadata_time"))
                planes.add(place, _source(folder, name, value, row, channel))
        _keep_centre(centres, (well, site), row)
    if not planes.found:
        raise PlateError(f"{name} names no TIFF or PNG file; give the list of the images themselves")
    listed = {source.name for source in planes.found.values()}
    size, notes = only_one([number(row.get("metadata_imageresolutionx")) for row in rows], "pixel size")
    others = [other for other in lists(folder) if other != name]
    return PlaneTable(
        title=f"CellProfiler's list {name}",
        planes=planes.found,
        channels={channel: _channel(channel, rows[0]) for channel in {p.channel: None for p in planes.found}},
        centres_um=centres,
        pixel_size_um=None if size is None else size * _METRES if size < 1e-3 else size,
        ignored=tuple(image for image in folder.images if image not in listed),
        notes=(*notes, *((f"Other lists are there and are not read: {', '.join(others)}.",) if others else ())),
    )


def _text(data: bytes) -> str:
    for codec in ("utf-8-sig", "utf-16") if not data.startswith((b"\xff\xfe", b"\xfe\xff")) else ("utf-16",):
        try:
            return data.decode(codec)
        except UnicodeDecodeError:
            continue
    return data.decode("latin-1")


def _rows(data: bytes) -> list[dict[str, str]]:
    return [{k.strip(): v or "" for k, v in row.items() if k} for row in csv.DictReader(io.StringIO(_text(data)))]


def _first(row: Mapping[str, str], *keys: str) -> str:
    return next((row[key].strip() for key in keys if row.get(key, "").strip()), "")


def _well(row: Mapping[str, str], name: str) -> WellId:
    try:
        named = _first(row, "metadata_well", "well")
        return WellId.parse(named) if named else WellId.of(row.get("metadata_row", ""), row.get("metadata_col", ""))
    except PlateError as error:
        raise PlateError(f"{name}: {error}") from error


def _z(row: Mapping[str, str]) -> str:
    return _first(row, "metadata_planeid", "metadata_plane", "metadata_z")


def _source(folder: Folder, name: str, value: str, row: Mapping[str, str], channel: str) -> Source:
    """The file of a row and channel: by its path as written, else by its name, wherever it now lies in the folder."""
    path = row.get(f"pathname_{channel.lower()}", "").strip()
    base = value.replace("\\", "/").rpartition("/")[2]
    parts = [part for part in f"{path}/{value}".replace("\\", "/").split("/") if part]
    near = (folder.find("/".join(parts[-k:])) for k in range(len(parts), 1, -1))
    found = next((each for each in near if each), None) or folder.find(base, name)
    page = number(row.get(f"frame_{channel.lower()}"))
    return Source(found or base, int(page) if page else None)


def _channel(channel: str, row: Mapping[str, str]) -> Channel:
    key = channel.lower()
    light = (number(row.get(f"metadata_main{what}wavelength_{key}")) or None for what in ("excitation", "emission"))
    return Channel(channel.removeprefix("Orig"), *light)


def _keep_centre(centres: dict[FieldName, tuple[float, float]], key: FieldName, row: Mapping[str, str]) -> None:
    """Harmony's positions, metres with y upwards, where pe2loaddata has put them in the list."""
    x, y = (number(row.get(f"metadata_position{axis}")) for axis in "xy")
    if x is not None and y is not None and abs(x) < 1 and abs(y) < 1:
        centres.setdefault(key, (-y * _METRES, x * _METRES))
