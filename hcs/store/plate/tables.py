"""Tables beside an image of a plate, as Fractal's specification has them and ngio reads them: regions and features.

A table is a group below ``tables`` of the image, which lists it, with one Parquet file and the attributes that say what
it is. Those of hcs carry its mark, as labels do: what another program wrote, or somebody changed, stays as it is.
Specification: https://fractal-analytics-platform.github.io/fractal-tasks-core/tables/ (version 1; backend ``parquet``).
"""

from __future__ import annotations

import json
from dataclasses import dataclass
from typing import Any, Literal

import pyarrow as pa

from hcs.errors import ResultsError
from hcs.store.folders import replacing_folder
from hcs.store.location import Location
from hcs.store.plate.labels import group_documents, put_documents
from hcs.store.plate.mark import ATTRIBUTE, Mark, files_crc32, read_mark
from hcs.store.plate.nodes import Ngff, read_node
from hcs.store.results.table import parquet_bytes

_FILE = "table.parquet"
FOV, MASKS = "FOV_ROI_table", "{labels}_ROI_table"
"""Names of the tables of regions: of the field as a whole, and of every nucleus."""

Kept = Literal["written", "same", "foreign"]
"""What became of a table: written, there already, or left because it is somebody else's."""


@dataclass(frozen=True, slots=True, kw_only=True)
class ViewerTable:
    """A table of one image."""

    name: str
    kind: Literal["roi_table", "masking_roi_table", "feature_table"]
    data: pa.Table
    """Its first column is the index: ``label``, or ``FieldIndex`` of an ``roi_table``."""
    labels: str | None = None
    """Name of the labels whose numbers the index has."""

    def attributes(self) -> dict[str, Any]:
        """What says what the table is."""
        index = self.data.column_names[0]
        about: dict[str, Any] = {
            "table_version": "1",
            "type": self.kind,
            "backend": "parquet",
            "index_key": index,
            "index_type": "str" if self.kind == "roi_table" else "int",
        }
        if self.labels is not None:
            about |= {"region": {"path": f"../labels/{self.labels}"}, "instance_key": index}
        return about


def write_viewer_table(field: Location, table: ViewerTable, *, run: str, ngff: Ngff) -> Kept:
    """Write ``tables/NAME`` of the image at ``field``, and name it in the list; a table of that name which is not hcs's
    own, or was changed since, stays. ResultsError where it cannot be written."""
    folder = field / "tables" / table.name
    whose = _whose(folder)
    if whose == "foreign":
        return "foreign"
    data = parquet_bytes(table.data)
    if whose == "own" and _is_same(folder, table, data, run):
        _enlist(field / "tables", table.name, ngff)
        return "same"
    with replacing_folder(folder) as new:
        (new / _FILE).write_bytes(data)
        mark = Mark(run=run, files_crc32=files_crc32(new))
        for name, text in _documents({**table.attributes(), ATTRIBUTE: mark.plain()}, ngff).items():
            (new / name).write_bytes(text)
    _enlist(field / "tables", table.name, ngff)
    return "written"


def _whose(folder: Location) -> Literal["none", "own", "foreign"]:
    try:
        node = read_node(folder)
    except ValueError:
        return "foreign"
    if node is None:
        return "foreign" if folder.exists() else "none"
    mark = read_mark(node)
    if mark is None or mark.files_crc32 != files_crc32(folder):
        return "foreign"
    return "own"


def _is_same(folder: Location, table: ViewerTable, data: bytes, run: str) -> bool:
    node = read_node(folder)
    mark = None if node is None else read_mark(node)
    if node is None or mark is None or mark.run != run:
        return False
    about = {name: node.others.get(name) for name in table.attributes()}
    return about == table.attributes() and (folder / _FILE).read_bytes() == data


def _documents(attributes: dict[str, Any], ngff: Ngff) -> dict[str, bytes]:
    """Metadata files of a group that is no OME-Zarr: tables stand beside the specification."""
    if ngff == "0.4":
        return group_documents({}, ngff, attributes)
    group = {"attributes": attributes, "zarr_format": 3, "node_type": "group"}
    return {"zarr.json": json.dumps(group, indent=2).encode()}


def _enlist(folder: Location, name: str, ngff: Ngff) -> None:
    """Add ``name`` to the tables that a ``tables`` group lists; others stay, and so does all else in its metadata."""
    node = read_node(folder)
    if node is None:
        put_documents(folder, _documents({"tables": [name]}, ngff))
        return
    listed = node.others.get("tables", [])
    if not isinstance(listed, list):
        raise ResultsError(f"the list of tables in {folder} is broken: it is {type(listed).__name__}; correct it")
    if name in listed:
        return
    v3 = (folder / "zarr.json").is_file()
    file = folder / ("zarr.json" if v3 else ".zattrs")
    document = json.loads(file.read_bytes()) if file.is_file() else {}
    attributes = document.setdefault("attributes", {}) if v3 else document
    attributes["tables"] = [*listed, name]
    put_documents(folder, {file.name: json.dumps(document, indent=2).encode()})
