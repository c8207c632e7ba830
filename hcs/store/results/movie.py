"""A field with time in the results folder: the parts of its frames read together, and written as one part with tracks.

The parts of the frames stay in ``frames/``: a frame that is done again needs no other, and tables of one time point are
made of them. What a field takes in memory are the columns that linking reads; the others pass through part by part.
"""

from __future__ import annotations

import zlib
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
from numpy.typing import NDArray

from hcs.plate.keys import FieldKey
from hcs.store.atomic import replacing
from hcs.store.location import Location
from hcs.store.paths import check_stays
from hcs.store.results.ledger import LedgerEntry, read_ledger
from hcs.store.results.sealed import Written
from hcs.store.results.table import key_columns, part_path, tracks_path, write_table

_ROWS = 32_768
"""Rows of a row group, at least: one for every frame would be more description than data."""
_READ_BYTES = 2**20


@dataclass(frozen=True, slots=True)
class Movie:
    """The frames of one field, as the ledger has them at one moment."""

    key: FieldKey
    entries: tuple[LedgerEntry, ...]
    """One a frame, in order."""

    @classmethod
    def read(cls, out: Location, key: FieldKey, frames: int, run: str) -> Movie:
        """The entries of all frames of a field."""
        return cls(key, read_ledger(out, [key.at(t) for t in range(frames)], run))

    @property
    def complete(self) -> bool:
        """Whether every frame was tried."""
        return all(entry.status != "pending" for entry in self.entries)

    @property
    def done(self) -> tuple[LedgerEntry, ...]:
        """Entries of the frames that have a part."""
        return tuple(entry for entry in self.entries if entry.done)

    @property
    def failed(self) -> tuple[LedgerEntry, ...]:
        """Entries of the frames that could not be processed."""
        return tuple(entry for entry in self.entries if entry.status == "failed")

    @property
    def known_by(self) -> tuple[int, str]:
        """Bytes of all frames' parts and one checksum of theirs: by these a field that was linked is known to be made
        of these very parts."""
        return sum(e.part_bytes for e in self.done), _joint((e.field, e.status, e.part_crc32) for e in self.entries)

    @property
    def edited(self) -> dict[str, tuple[int, str]]:
        """``others`` of the field's entry where its labels were edited and measured: nuclei, checksum of the labels."""
        found = {e.edited_crc32 for e in self.done if e.edited_crc32}
        return {"edited": (sum(e.nuclei for e in self.done), found.pop())} if len(found) == 1 else {}

    @property
    def pixels_crc32(self) -> str:
        """One checksum of the pixels of all frames."""
        return _joint((e.field, e.input_crc32) for e in self.done)

    def columns(self, out: Location, plate: str, names: Sequence[str]) -> dict[str, NDArray[Any]]:
        """Those of the columns ``names`` that the parts have, over all frames in their order; `Damaged` where a part is
        not what was written."""
        tables = [table.select([n for n in names if n in table.column_names]) for table in self._tables(out, plate)]
        whole = pa.concat_tables(tables)
        return {name: whole.column(name).to_numpy() for name in whole.column_names}

    def write(
        self, out: Location, plate: str, nuclei: Mapping[str, NDArray[Any]], tracks: Mapping[str, Any]
    ) -> tuple[Written, Written]:
        """Write the field's part of the nuclei, all frames with the further columns ``nuclei``, and that of its tracks;
        what they are known by. The same input gives the same bytes."""
        lengths = [len(values) for values in tracks.values()]
        keys = key_columns(plate, self.key, lengths[0] if lengths else 0)
        table = pa.table(keys | {name: _column(values) for name, values in tracks.items()})
        written = write_table(out, tracks_path(out, plate, self.key), table)
        return self._write_nuclei(out, plate, nuclei), written

    def _write_nuclei(self, out: Location, plate: str, further: Mapping[str, NDArray[Any]]) -> Written:
        path = part_path(out, plate, self.key)
        check_stays(out, str(path)[len(str(out)) :].strip("/"))
        with replacing(path) as temporary:
            writer: Any = None
            for table in _grouped(_with_columns(self._tables(out, plate), further)):
                if writer is None:
                    keys = [name for name in table.column_names if name.startswith("Metadata_")]
                    writer = pq.ParquetWriter(temporary, table.schema, compression="zstd", use_dictionary=keys)
                writer.write_table(table)
            writer.close()
            nbytes = crc = 0
            with temporary.open("rb") as file:
                while piece := file.read(_READ_BYTES):
                    nbytes, crc = nbytes + len(piece), zlib.crc32(piece, crc)
        return Written(nbytes, f"{crc:08x}")

    def _tables(self, out: Location, plate: str) -> Iterator[pa.Table]:
        for entry in self.done:
            data = entry.part.read(part_path(out, plate, FieldKey.parse(entry.field)))
            yield pq.ParquetFile(pa.BufferReader(data)).read(use_threads=False)


def _with_columns(tables: Iterable[pa.Table], further: Mapping[str, NDArray[Any]]) -> Iterator[pa.Table]:
    """The tables, one after another, each with its rows of the columns ``further``."""
    first = 0
    for table in tables:
        last = first + table.num_rows
        whole = table
        for name, values in further.items():
            whole = whole.append_column(name, _column(values[first:last]))
        first = last
        yield whole


def _grouped(tables: Iterable[pa.Table]) -> Iterator[pa.Table]:
    """The tables joined to such of `_ROWS` rows or more; one without rows where there are none."""
    waiting: list[pa.Table] = []
    rows = 0
    for table in tables:
        waiting.append(table)
        rows += table.num_rows
        if rows >= _ROWS:
            yield pa.concat_tables(waiting).combine_chunks()
            waiting, rows = [], 0
    if waiting:
        yield pa.concat_tables(waiting).combine_chunks()


def _column(values: Any) -> pa.Array:
    """Numbers or truth values (n,), or texts."""
    array = np.asarray(values)
    if array.dtype.kind in "OU":
        return pa.array([str(text) for text in array.tolist()], pa.string())
    packed = np.packbits(array, bitorder="little") if array.dtype == np.bool_ else np.ascontiguousarray(array)
    return pa.Array.from_buffers(pa.from_numpy_dtype(array.dtype), len(array), [None, pa.py_buffer(packed)])


def _joint(parts: Iterable[tuple[str, ...]]) -> str:
    crc = 0
    for part in parts:
        crc = zlib.crc32("\0".join(part).encode(), crc)
    return f"{crc:08x}"
