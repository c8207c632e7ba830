"""Tables on disk: the nuclei as one Parquet part a field, hive-partitioned by plate and well; small tables as files."""

from __future__ import annotations

from collections.abc import Sequence
from difflib import get_close_matches
from io import BytesIO
from typing import TYPE_CHECKING, Any
from urllib.parse import quote

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
from numpy.typing import NDArray

from hcs.errors import ResultsError
from hcs.plate.keys import FieldKey
from hcs.store.atomic import replacing
from hcs.store.location import Location, Url
from hcs.store.paths import check_stays

if TYPE_CHECKING:
    import pandas as pd

_FOOTER_BYTES = 2**18
"""More than the footer of a part, which is all that is fetched of one in a store to see whether it is valid."""

_KEYS = ("Metadata_Plate", "Metadata_Well", "Metadata_Site")


def part_path(out: Location, plate: str, key: FieldKey) -> Location:
    """``OUT/nuclei/plate=P/well=B03/field-0000.parquet``."""
    return out / "nuclei" / f"plate={quote(plate, safe='')}" / f"well={key.well}" / f"field-{key.field:04d}.parquet"


def write_part(out: Location, plate: str, key: FieldKey, columns: dict[str, NDArray[Any]]) -> int:
    """Write one field's nuclei (columns of equal length, possibly 0) as its part; the same input gives the same bytes.
    Returns how many bytes.

    The keys are columns of the file as well as partition folders: readers infer types from folder names, and a plate
    called 007 must stay a text.
    """
    rows = len(next(iter(columns.values())))
    keys = {
        "Metadata_Plate": _constant(plate, rows),
        "Metadata_Well": _constant(str(key.well), rows),
        "Metadata_Site": _array(np.full(rows, key.field, np.int32)),
    }
    table = pa.table(keys | {name: _array(values) for name, values in columns.items()})
    path = part_path(out, plate, key)
    check_stays(out, str(path)[len(str(out)) :].strip("/"))
    with replacing(path) as temporary:
        pq.write_table(table, temporary, compression="zstd", use_dictionary=list(_KEYS))
        return temporary.stat().st_size


def _array(values: NDArray[Any]) -> pa.Array:
    """Numbers or truth values (n,) as `pyarrow.array` has them. That imports pandas, if only to see that they are none
    of its own: half a second and 47 MB of every worker."""
    packed = np.packbits(values, bitorder="little") if values.dtype == np.bool_ else np.ascontiguousarray(values)
    return pa.Array.from_buffers(pa.from_numpy_dtype(values.dtype), len(values), [None, pa.py_buffer(packed)])


def _constant(text: str, rows: int) -> pa.Array:
    """The same text in every row."""
    data = text.encode()
    starts = np.arange(rows + 1, dtype=np.int32) * np.int32(len(data))
    return pa.Array.from_buffers(pa.string(), rows, [None, pa.py_buffer(starts), pa.py_buffer(data * rows)])


def part_is_valid(out: Location, plate: str, key: FieldKey, rows: int) -> bool:
    """Whether the field's part is there, readable to its footer, and of ``rows`` nuclei."""
    path = part_path(out, plate, key)
    try:
        source = BytesIO(path.read_tail(_FOOTER_BYTES)) if isinstance(path, Url) else path
        return bool(pq.read_metadata(source).num_rows == rows)
    except (OSError, pa.ArrowInvalid):
        return False


def write_frame(path: Location, frame: pd.DataFrame) -> None:
    """Write a small table (wells, compounds, plate, fields) as Parquet by temporary name and rename."""
    table = pa.Table.from_pandas(frame, preserve_index=False)
    with replacing(path) as temporary:
        pq.write_table(table, temporary, compression="zstd")


def read_frame(path: Location) -> pd.DataFrame:
    """A small table; ResultsError where it is missing or damaged."""
    import pandas as pd  # noqa: PLC0415  half a second, which a worker need not spend

    try:
        return pd.read_parquet(BytesIO(path.read_bytes()) if isinstance(path, Url) else path)
    except (OSError, pa.ArrowInvalid) as error:
        raise ResultsError(f"{path} cannot be read ({error}); run `hcs readout {path.parent}` to make it") from error


def no_column(table: object, unknown: Sequence[str], known: Sequence[str]) -> ResultsError:
    """The sentence for columns that a table lacks: which, and the known names that are like them."""
    close = dict.fromkeys(near for name in unknown for near in get_close_matches(str(name), known, n=3))
    remedy = f"did you mean {' or '.join(close)}?" if close else "columns.csv lists all columns"
    what = "column" if len(unknown) == 1 else "columns"
    return ResultsError(f"{table} has no {what} {', '.join(map(str, unknown))}; {remedy}")
