"""Plate maps as files: CSV, Excel workbooks and Parquet."""

from __future__ import annotations

from dataclasses import replace
from io import BytesIO

import pandas as pd
import pyarrow as pa

from hcs.errors import PlateError
from hcs.plate.platemap import PlateMap
from hcs.store.atomic import write_text
from hcs.store.location import Location, location
from hcs.store.sheets import read_sheet

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
        content = file.read_bytes()
    except (FileNotFoundError, IsADirectoryError) as error:
        raise PlateError(f"no such plate map: {file}; check the path") from error
    except OSError as error:
        raise PlateError(f"plate map {file} cannot be read ({error}); check the path and its permissions") from error
    if not content.strip():
        raise PlateError(f"plate map {file} is empty; write a header with well and role, then one row a well")
    if file.suffix.lower() in (".parquet", ".pq"):
        found = PlateMap.from_frame(_parquet(content, file), str(file))
        return replace(found, understood=(f"{file.name} (Parquet)", *found.understood))
    cells = read_sheet(content, str(file), sheet or None)
    found = PlateMap.from_cells(cells.rows, str(file), semicolons=cells.semicolons)
    return replace(
        found, understood=(f"{file.name} ({cells.kind})", *found.understood), notes=(*cells.notes, *found.notes)
    )


def write_plate_map(path: str | Location, plate_map: PlateMap) -> None:
    """Write a plate map as CSV, such that `read_plate_map` gives it back; ResultsError where it cannot be written.

    A text that a spreadsheet would take for a formula gets an apostrophe in front, which reading takes off again.
    """
    frame = plate_map.frame
    texts = {
        name: frame[name].astype(object).where(frame[name].isna(), frame[name].astype(str))
        for name in frame.columns
        if not pd.api.types.is_numeric_dtype(frame[name])
    }
    escaped = {
        name: column.mask(column.astype(str).str.match(_FORMULA), "'" + column.astype(str))
        for name, column in texts.items()
    }
    write_text(location(path), frame.assign(**escaped).to_csv(index=False, lineterminator="\n"))


def _parquet(content: bytes, file: Location) -> pd.DataFrame:
    try:
        return pd.read_parquet(BytesIO(content))
    except (OSError, ValueError, pa.ArrowException) as error:
        raise PlateError(f"plate map {file} cannot be read as Parquet ({error}); save it as CSV or Parquet") from error
