"""Plate maps as files: CSV, Excel workbooks and Parquet."""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from dataclasses import replace
from io import BytesIO

import pandas as pd
import pyarrow as pa

from hcs.errors import PlateError, ResultsError
from hcs.plate.annotations import lacks_roles, with_compounds
from hcs.plate.platemap import PlateMap
from hcs.store.atomic import write_text
from hcs.store.location import Location, location
from hcs.store.microscopes.assaylayout import layout_cells
from hcs.store.results.record import RunRecord
from hcs.store.results.sealed import Damaged, content
from hcs.store.sheets import Sheet, read_sheet

PLATE_MAP = "platemap.csv"
"""The plate map's name in a results folder."""
MAP_REMEDY = "put it back, or run the same command again, which writes it again"

_LAYOUT, _HEAD = b"<AssayLayout", 1000
_FORMULA = r"^'*[=+\-@\t\r]"


def read_plate_map(path: str | Location, *, plate: str | None = None) -> PlateMap:
    """The plate map in a CSV, Excel or Parquet file; ``FILE.xlsx#SHEET`` names a sheet other than the first.

    Cells are read as text, so that ``000001`` and ``NA`` stay what they are, and what must be a number becomes one; see
    `PlateMap.from_table`. Of a file of several plates, by a column or by a workbook's sheets, what is of the one called
    ``plate`` is read. A JUMP plate map gets names and roles from the metadata file beside it. ``understood`` begins
    with how the file was read. Raises PlateError where the file is missing, unreadable, empty, or not a plate map.
    """
    name, _, sheet = str(path).partition("#")
    file = location(path)
    if sheet and not file.is_file():
        file = location(name)
    else:
        sheet = ""
    try:
        data = file.read_bytes()
    except (FileNotFoundError, IsADirectoryError) as error:
        raise PlateError(f"no such plate map: {file}; check the path") from error
    except OSError as error:
        raise PlateError(f"plate map {file} cannot be read ({error}); check the path and its permissions") from error
    if not data.strip():
        raise PlateError(f"plate map {file} is empty; write a header with well and role, then one row a well")
    if file.suffix.lower() in (".parquet", ".pq"):
        found = PlateMap.from_frame(_parquet(data, file), str(file), plate=plate)
        return replace(found, understood=(f"{file.name} (Parquet)", *found.understood))
    cells = _layout(data, file) if _LAYOUT in data[:_HEAD] else read_sheet(data, str(file), sheet or None, plate=plate)
    rows, more = _with_compounds(cells.rows, file)
    found = PlateMap.from_cells(rows, str(file), semicolons=cells.semicolons, plate=plate)
    return replace(
        found, understood=(f"{file.name} ({cells.kind})", *found.understood), notes=(*cells.notes, *more, *found.notes)
    )


def _layout(data: bytes, file: Location) -> Sheet:
    """The wells of an assay layout of Harmony; PlateError where it says nothing of any."""
    rows = layout_cells(data, str(file))
    if not rows:
        raise PlateError(f"plate map {file} is an assay layout that says nothing of any well; fill it in, or write CSV")
    return Sheet(rows=rows, kind="assay layout of Harmony")


def _with_compounds(rows: Sequence[tuple[str, ...]], file: Location) -> tuple[Sequence[tuple[str, ...]], list[str]]:
    """Of a JUMP plate map ``…_platemap.tsv`` the rows with roles and names of its ids from ``…_metadata.tsv``
    beside it, where that is, and a note."""
    beside = file.parent / file.name.replace("_platemap", "_metadata")
    if beside.name == file.name or not lacks_roles(rows) or not beside.is_file():
        return rows, []
    about = read_sheet(beside.read_bytes(), str(beside)).rows
    return with_compounds(rows, about), [f"roles and names are those of {beside.name} beside it"]


def write_plate_map(path: str | Location, plate_map: PlateMap) -> None:
    """Write a plate map as CSV, such that `read_plate_map` gives it back; ResultsError where it cannot be written.

    A text that a spreadsheet would take for a formula gets an apostrophe in front, which reading takes off again.
    """
    write_text(location(path), _csv(plate_map))


def map_sha256(plate_map: PlateMap) -> str:
    """What tells this map from another, whatever file it came from: the hash of what `write_plate_map` writes."""
    return hashlib.sha256(_csv(plate_map).encode()).hexdigest()


def _csv(plate_map: PlateMap) -> str:
    frame = plate_map.frame
    changed: dict[str, pd.Series] = {}
    for name in frame.columns:
        if pd.api.types.is_numeric_dtype(frame[name]):
            continue
        texts = frame[name].astype(object)
        formula = texts.astype(str).str.match(_FORMULA)
        changed[str(name)] = texts.mask(formula, "'" + texts.astype(str))
    return frame.assign(**changed).to_csv(index=False, lineterminator="\n")


def kept_plate_map(out: Location, record: RunRecord) -> PlateMap | None:
    """The plate map in the results folder ``out``, None where the run had none; ResultsError where it is not the one
    that was put there."""
    if what := plate_map_fault(out, record):
        raise ResultsError(f"{out / PLATE_MAP} {what}; {MAP_REMEDY}")
    return None if record.plate_map is None else read_plate_map(out / PLATE_MAP)


def plate_map_fault(out: Location, record: RunRecord) -> str:
    """What is wrong with the plate map in ``out``, as the end of a sentence; empty where it is the run's."""
    if record.plate_map is None:
        return ""
    try:
        data = content(out / PLATE_MAP)
    except Damaged as damage:
        return str(damage)
    wanted = record.plate_map["sha256"]
    return "" if hashlib.sha256(data).hexdigest() == wanted else "is not the plate map that the run was given"


def _parquet(data: bytes, file: Location) -> pd.DataFrame:
    try:
        return pd.read_parquet(BytesIO(data))
    except (OSError, ValueError, pa.ArrowException) as error:
        raise PlateError(f"plate map {file} cannot be read as Parquet ({error}); save it as CSV or Parquet") from error
