"""The nucleus table on disk: one Parquet part a field, hive-partitioned by plate and well."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any, cast
from urllib.parse import quote

import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.dataset as ds
import pyarrow.parquet as pq
from numpy.typing import NDArray

from hcs.errors import ResultsError
from hcs.plate.keys import FieldKey, WellId
from hcs.store.atomic import replacing

_KEYS = ("Metadata_Plate", "Metadata_Well", "Metadata_Site")


def part_path(out: Path, plate: str, key: FieldKey) -> Path:
    """``OUT/nuclei/plate=P/well=B03/field-0000.parquet``."""
    return out / "nuclei" / f"plate={quote(plate, safe='')}" / f"well={key.well}" / f"field-{key.field:04d}.parquet"


def write_part(out: Path, plate: str, key: FieldKey, columns: dict[str, NDArray[Any]]) -> None:
    """Write one field's nuclei (columns of equal length, possibly 0) as its part; the same input gives the same bytes.

    The keys are columns of the file as well as partition folders: readers infer types from folder names, and a plate
    called 007 must stay a text.
    """
    rows = len(next(iter(columns.values())))
    keys = {
        "Metadata_Plate": _constant(plate, rows),
        "Metadata_Well": _constant(str(key.well), rows),
        "Metadata_Site": pa.array(np.full(rows, key.field, np.int32)),
    }
    table = pa.table(keys | {name: pa.array(values) for name, values in columns.items()})
    with replacing(part_path(out, plate, key)) as temporary:
        pq.write_table(table, temporary, compression="zstd", use_dictionary=list(_KEYS))


def _constant(text: str, rows: int) -> pa.Array:
    return pa.array(np.full(rows, text, dtype=object), type=pa.string())


def part_is_valid(out: Path, plate: str, key: FieldKey, rows: int) -> bool:
    """Whether the field's part is there, readable to its footer, and of ``rows`` nuclei."""
    try:
        return bool(pq.read_metadata(part_path(out, plate, key)).num_rows == rows)
    except (OSError, pa.ArrowInvalid):
        return False


def read_nuclei(
    out: Path,
    *,
    wells: Sequence[str] | None = None,
    columns: Sequence[str] | None = None,
    where: ds.Expression | None = None,
) -> pd.DataFrame:
    """The nuclei of a results folder, ordered by plate, well, field and object, without the partition columns.

    ``wells`` (``B03``, ``b3``) reads those wells' folders only; ``columns`` those columns only; ``where`` is a pyarrow
    expression. ResultsError where the folder holds no table or lacks a column.
    """
    folder = out / "nuclei"
    if not folder.is_dir():
        raise ResultsError(f"{folder} does not exist; give the --out folder of a finished `hcs run`")
    fields = pa.schema([("plate", pa.string()), ("well", pa.string())])
    data = ds.dataset(folder, format="parquet", partitioning=ds.partitioning(fields, flavor="hive"))
    names = [n for n in data.schema.names if n not in ("plate", "well")]
    unknown = sorted(set(columns or ()) - set(names))
    if unknown:
        raise ResultsError(f"{folder} has no column {', '.join(unknown)}; columns.csv lists all columns")
    expression = where
    if wells is not None:
        chosen = ds.field("well").isin([str(WellId.parse(w)) for w in wells])
        expression = chosen if where is None else chosen & where
    table = data.to_table(columns=list(columns) if columns is not None else names, filter=expression)
    return cast(pd.DataFrame, table.to_pandas())


def write_frame(path: Path, frame: pd.DataFrame) -> None:
    """Write a small table (wells, compounds, plate, fields) as Parquet by temporary name and rename."""
    table = pa.Table.from_pandas(frame, preserve_index=False)
    with replacing(path) as temporary:
        pq.write_table(table, temporary, compression="zstd")


def read_frame(path: Path) -> pd.DataFrame:
    """A small table; ResultsError where it is missing or damaged."""
    try:
        return pd.read_parquet(path)
    except (OSError, pa.ArrowInvalid) as error:
        raise ResultsError(f"{path} cannot be read ({error}); run `hcs readout {path.parent}` to make it") from error
