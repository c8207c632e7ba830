"""Tables on disk: the nuclei as one Parquet part a field or frame, hive-partitioned by plate and well; small tables as
files."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from difflib import get_close_matches
from io import BytesIO
from typing import TYPE_CHECKING, Any
from urllib.parse import quote

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
from numpy.typing import NDArray

from hcs.columns import CLASS
from hcs.errors import ResultsError
from hcs.plate.keys import FieldKey
from hcs.store.atomic import replacing
from hcs.store.location import Location
from hcs.store.paths import check_stays
from hcs.store.results.sealed import Written

if TYPE_CHECKING:
    import pandas as pd

_KEYS = ("Metadata_Plate", "Metadata_Well", "Metadata_Site")
NUCLEI, FRAMES, TRACKS = "nuclei", "frames", "tracks"
"""Folders of parts: a field's nuclei, those of its frames before they were linked, its tracks."""


def part_path(out: Location, plate: str, key: FieldKey) -> Location:
    """``OUT/nuclei/plate=P/well=B03/field-0000.parquet``; of a frame ``OUT/frames/…/field-0000-t0012.parquet``."""
    name = f"field-{key.field:04d}" + (f"-t{key.frame:04d}" if key.is_frame else "")
    return of_well(out, FRAMES if key.is_frame else NUCLEI, plate, key) / f"{name}.parquet"


def tracks_path(out: Location, plate: str, key: FieldKey) -> Location:
    """``OUT/tracks/plate=P/well=B03/field-0000.parquet``: the tracks of a field."""
    return of_well(out, TRACKS, plate, key) / f"field-{key.field:04d}.parquet"


def of_well(out: Location, table: str, plate: str, key: FieldKey) -> Location:
    """Folder of a well's parts of a table: ``OUT/nuclei/plate=P/well=B03``."""
    return out / table / f"plate={quote(plate, safe='')}" / f"well={key.well}"


def write_part(
    out: Location,
    plate: str,
    key: FieldKey,
    columns: dict[str, NDArray[Any]],
    *,
    time_min: float = math.nan,
    texts: Mapping[str, str] | None = None,
) -> Written:
    """Write the nuclei of one field or frame (columns of equal length, possibly 0) as its part; the same input gives
    the same bytes. Returns what they are known by. ``time_min`` is the time of a frame, ``texts`` are further columns
    of one text each.

    The keys are columns of the file as well as partition folders: readers infer types from folder names, and a plate
    called 007 must stay a text.
    """
    rows = len(next(iter(columns.values())))
    keys = key_columns(plate, key, rows)
    if key.is_frame:
        keys |= {
            "Metadata_Timepoint": plain_array(np.full(rows, key.frame, np.int32)),
            "Metadata_Time_min": plain_array(np.full(rows, time_min, np.float64)),
        }
    keys |= {name: constant_text(text, rows) for name, text in (texts or {}).items()}
    table = pa.table(keys | {name: plain_array(values) for name, values in columns.items()})
    return write_table(out, part_path(out, plate, key), table)


def key_columns(plate: str, key: FieldKey, rows: int) -> dict[str, pa.Array]:
    """The columns by which the rows of one field are told."""
    return {
        "Metadata_Plate": constant_text(plate, rows),
        "Metadata_Well": constant_text(str(key.well), rows),
        "Metadata_Site": plain_array(np.full(rows, key.field, np.int32)),
    }


def write_table(out: Location, path: Location, table: pa.Table) -> Written:
    """Write a part of a table of the results folder ``out``; ResultsError where a symbolic link leads out of it."""
    check_stays(out, str(path)[len(str(out)) :].strip("/"))
    dictionaries = [*_KEYS, *(field.name for field in table.schema if field.name == CLASS)]
    return _write(path, table, use_dictionary=dictionaries)


def plain_array(values: NDArray[Any]) -> pa.Array:
    """Numbers, truth values or texts (n,) as `pyarrow.array` has them. That imports pandas, if only to see that they
    are none of its own: half a second and 47 MB of every worker."""
    if values.dtype.kind == "U":
        return _texts(values)
    packed = np.packbits(values, bitorder="little") if values.dtype == np.bool_ else np.ascontiguousarray(values)
    return pa.Array.from_buffers(pa.from_numpy_dtype(values.dtype), len(values), [None, pa.py_buffer(packed)])


def _texts(values: NDArray[np.str_]) -> pa.Array:
    """Texts (n,)."""
    data = [text.encode() for text in values.tolist()]
    starts = np.cumsum([0, *map(len, data)], dtype=np.int32)
    return pa.Array.from_buffers(pa.string(), len(data), [None, pa.py_buffer(starts), pa.py_buffer(b"".join(data))])


def constant_text(text: str, rows: int) -> pa.Array:
    """The same text in every row."""
    data = text.encode()
    starts = np.arange(rows + 1, dtype=np.int32) * np.int32(len(data))
    return pa.Array.from_buffers(pa.string(), rows, [None, pa.py_buffer(starts), pa.py_buffer(data * rows)])


def write_frame(path: Location, frame: pd.DataFrame) -> Written:
    """Write a small table (wells, compounds, plate, fields) as Parquet by temporary name and rename; what it is known
    by."""
    return _write(path, pa.Table.from_pandas(frame, preserve_index=False))


def _write(path: Location, table: pa.Table, **options: Any) -> Written:
    data = parquet_bytes(table, **options)
    with replacing(path) as temporary:
        temporary.write_bytes(data)
    return Written.of(data)


def parquet_bytes(table: pa.Table, **options: Any) -> bytes:
    """A table as the bytes of a Parquet file; the same table gives the same bytes."""
    sink = pa.BufferOutputStream()
    pq.write_table(table, sink, compression="zstd", **options)
    return bytes(sink.getvalue().to_pybytes())


def read_frame(path: Location) -> pd.DataFrame:
    """A small table by itself; ResultsError where it is missing or damaged."""
    try:
        return frame_of(path.read_bytes())
    except (OSError, pa.ArrowException) as error:
        raise ResultsError(f"{path} cannot be read ({error}); make it again") from error


def frame_of(data: bytes) -> pd.DataFrame:
    """The small table of a file's bytes."""
    import pandas as pd  # noqa: PLC0415  half a second, which a worker need not spend

    return pd.read_parquet(BytesIO(data))


def no_column(table: object, unknown: Sequence[str], known: Sequence[str]) -> ResultsError:
    """The sentence for columns that a table lacks: which, and the known names that are like them."""
    close = dict.fromkeys(near for name in unknown for near in get_close_matches(str(name), known, n=3))
    remedy = f"did you mean {' or '.join(close)}?" if close else "columns.csv lists all columns"
    what = "column" if len(unknown) == 1 else "columns"
    return ResultsError(f"{table} has no {what} {', '.join(map(str, unknown))}; {remedy}")
