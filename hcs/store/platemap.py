"""Plate maps as files: CSV, Excel workbooks and Parquet."""

from __future__ import annotations

import hashlib
from dataclasses import replace
from io import BytesIO

import pandas as pd
import pyarrow as pa

from hcs.errors import PlateError, ResultsError
from hcs.plate.platemap import PlateMap
from hcs.store.atomic import write_text
from hcs.store.location import Location, location
from hcs.store.results.record import RunRecord
from hcs.store.results.sealed import Damaged, content
from hcs.store.sheets import read_sheet

PLATE_MAP = "platemap.csv"
"""The plate map's name in a results folder."""
MAP_REMEDY = "put it back, or run the same command again, which writes it again"

_FORMULA = r"^'*[=+\-@\t\r]"


def read_plate_map(path: str | Location) -> PlateMap:
    """The plate map in a CSV, Excel or Parquet file; ``FILE.xlsx#SHEET`` names a sheet other than the first.

    Cells are read as text, so that ``000001`` and ``NA`` stay what they are, and what must be a number becomes one; see
    `PlateMap.from_table`. ``understood`` begins with how the file was read. Raises PlateError where the file is
    missing, unreadable, empty, or not a plate map.
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
        found = PlateMap.from_frame(_parquet(data, file), str(file))
        return replace(found, understood=(f"{file.name} (Parquet)", *found.understood))
    cells = read_sheet(data, str(file), sheet or None)
    found = PlateMap.from_cells(cells.rows, str(file), semicolons=cells.semicolons)
    return replace(
        found, understood=(f"{file.name} ({cells.kind})", *found.understood), notes=(*cells.notes, *found.notes)
    )


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
