"""Plate maps as files: CSV and Parquet."""

from __future__ import annotations

import hashlib
from io import BytesIO, StringIO

import pandas as pd
import pyarrow as pa

from hcs.errors import PlateError, ResultsError
from hcs.plate.platemap import PlateMap
from hcs.store.atomic import write_text
from hcs.store.location import Location, Url, location
from hcs.store.record import RunRecord
from hcs.store.sealed import Damaged, content

PLATE_MAP = "platemap.csv"
"""The plate map's name in a results folder."""
MAP_REMEDY = "put it back, or run the same command again, which writes it again"

_AS_TEXT = {"well": str, "role": str, "compound": str, "unit": str}


def read_plate_map(path: str | Location) -> PlateMap:
    """The plate map in a CSV or Parquet file.

    Only empty cells count as missing: a compound may be called NA. Columns other than the known ones keep the type that
    the file gives them. Raises PlateError where the file is missing, unreadable, empty, or not a plate map.
    """
    file = location(path)
    try:
        frame = _read_frame(file)
    except FileNotFoundError as error:
        raise PlateError(f"no such plate map: {file}; check the path") from error
    except pd.errors.EmptyDataError as error:
        raise PlateError(
            f"plate map {file} is empty; write a header with well and role, then one row a well"
        ) from error
    except (OSError, ValueError, pa.ArrowException) as error:
        kind = "Parquet" if file.suffix.lower() in (".parquet", ".pq") else "CSV"
        raise PlateError(f"plate map {file} cannot be read as {kind} ({error}); save it as CSV or Parquet") from error
    return PlateMap.from_frame(frame, str(file))


def write_plate_map(path: str | Location, plate_map: PlateMap) -> None:
    """Write a plate map as CSV, such that `read_plate_map` gives it back; ResultsError where it cannot be written."""
    write_text(location(path), plate_map.frame.to_csv(index=False, lineterminator="\n"))


def kept_plate_map(out: Location, record: RunRecord) -> PlateMap | None:
    """The plate map in the results folder ``out``, None where the run had none; ResultsError where it is not the one
    that was put there."""
    if what := plate_map_fault(out, record):
        raise ResultsError(f"{out / PLATE_MAP} {what}; {MAP_REMEDY}")
    return None if record.identity.get("plate_map_sha256") is None else read_plate_map(out / PLATE_MAP)


def plate_map_fault(out: Location, record: RunRecord) -> str:
    """What is wrong with the plate map in ``out``, as the end of a sentence; empty where it is the run's."""
    wanted = record.identity.get("plate_map_sha256")
    if wanted is None:
        return ""
    try:
        data = content(out / PLATE_MAP)
    except Damaged as damage:
        return str(damage)
    return "" if hashlib.sha256(data).hexdigest() == wanted else "is not the plate map that the run was given"


def _read_frame(file: Location) -> pd.DataFrame:
    if file.suffix.lower() in (".parquet", ".pq"):
        return pd.read_parquet(BytesIO(file.read_bytes()) if isinstance(file, Url) else file)
    # Spreadsheets put a BOM before UTF-8, and separate by semicolons where the comma is the decimal sign.
    text = file.read_text(encoding="utf-8-sig")
    header = text.partition("\n")[0]
    separator = max(",;\t", key=header.count)
    return pd.read_csv(
        StringIO(text),
        sep=separator,
        dtype=_AS_TEXT,
        keep_default_na=False,
        na_values=[""],
        skipinitialspace=True,
    )
