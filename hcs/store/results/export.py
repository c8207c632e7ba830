"""Tables of a results folder as single files: CSV for spreadsheets, Parquet, AnnData."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq

from hcs.errors import ConfigError, ResultsError
from hcs.plate.keys import WellId
from hcs.readout.tables import READOUTS
from hcs.store.atomic import replacing
from hcs.store.results.folder import Results
from hcs.store.results.table import no_column

TABLES = ("nuclei", "phases", *READOUTS)
SHEET_ROWS = 1_048_576
"""Rows that a sheet of the usual spreadsheet programs holds, the header's included."""
_FORMULA = r"^[=+\-@\t\r]"


@dataclass(frozen=True, slots=True, kw_only=True)
class Selection:
    """What to export: a table of TABLES, of all wells or some, all columns or some."""

    table: str
    wells: tuple[str, ...] | None = None
    columns: tuple[str, ...] | None = None

    def __post_init__(self) -> None:
        if self.table not in TABLES:
            raise ConfigError(f"--table {self.table!r} is no table; choose one of {', '.join(TABLES)}")


def selected_frames(results: Results, selection: Selection) -> Iterator[pd.DataFrame]:
    """The rows selected: nuclei and phases a well at a time, other tables at once. There is at least one frame.

    ResultsError where the folder lacks the table, or it lacks a column or the wells.
    """
    if selection.table == "nuclei":
        found = results.nuclei_by_well(selection.columns, wells=selection.wells)
    elif selection.table == "phases":
        found = results.phases_by_well(selection.columns, wells=selection.wells)
    else:
        yield _small_table(results, selection)
        return
    count = 0
    for count, (_, frame) in enumerate(found, start=1):  # noqa: B007
        yield frame
    if not count:
        raise ResultsError(f"{results.folder} has no nuclei in the wells asked for; `hcs status` lists its wells")


def _small_table(results: Results, selection: Selection) -> pd.DataFrame:
    frame = results.table(selection.table)
    if selection.wells is not None:
        if "Metadata_Well" not in frame:
            raise ResultsError(f"the table {selection.table} has no rows for single wells; export it without --wells")
        frame = frame[frame["Metadata_Well"].isin([str(WellId.parse(well)) for well in selection.wells])]
    unknown = [name for name in selection.columns or () if name not in frame]
    if unknown:
        raise no_column(f"the table {selection.table}", unknown, [str(name) for name in frame.columns])
    return frame if selection.columns is None else frame[list(selection.columns)]


def export_csv(results: Results, path: Path, selection: Selection) -> int:
    """Write the rows selected as CSV that spreadsheets open rightly; returns how many.

    UTF-8 with a byte-order mark, without which they misread µ. A text that a spreadsheet would take for a formula
    (starting with =, +, -, @, tab or return) gets an apostrophe in front: plate maps come from anywhere.
    """
    rows = 0
    with replacing(path) as temporary, temporary.open("w", encoding="utf-8-sig", newline="") as file:
        for frame in selected_frames(results, selection):
            harmless(frame).to_csv(file, index=False, header=rows == 0 and file.tell() == 0)
            rows += len(frame)
    return rows


def harmless(frame: pd.DataFrame) -> pd.DataFrame:
    """The frame with an apostrophe before every text that a spreadsheet would take for a formula."""
    changed: dict[str, pd.Series] = {}
    for name in frame.columns:
        if pd.api.types.is_numeric_dtype(frame[name]):
            continue
        texts = frame[name].astype(object)
        formula = texts.astype(str).str.match(_FORMULA)
        if formula.any():
            changed[str(name)] = texts.mask(formula, "'" + texts.astype(str))
    return frame.assign(**changed) if changed else frame


def export_parquet(results: Results, path: Path, selection: Selection) -> int:
    """Write the rows selected as one Parquet file, nuclei with a row group a well; returns how many rows.

    Faster to query in whole than the many parts of ``nuclei/``, and easier to send.
    """
    rows = 0
    writer: Any = None
    with replacing(path) as temporary:
        try:
            for frame in selected_frames(results, selection):
                table = pa.Table.from_pandas(frame, preserve_index=False)
                if writer is None:
                    writer = pq.ParquetWriter(temporary, table.schema, compression="zstd")
                writer.write_table(table.cast(writer.schema))
                rows += len(frame)
        finally:
            if writer is not None:
                writer.close()
    return rows
