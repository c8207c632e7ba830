"""What a worker does with nuclei that somebody edited: what changed since they were measured, and what stays known.

Alone in a file because only `hcs remeasure` needs it.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
from numpy.typing import NDArray

from hcs.columns import CLASS, SCORE
from hcs.errors import FieldError
from hcs.field.job import Job
from hcs.plate.keys import FieldKey
from hcs.store.location import location
from hcs.store.results.ledger import LedgerEntry, read_entry
from hcs.store.results.sealed import Damaged
from hcs.store.results.table import part_path

_NUMBER = "Metadata_ObjectNumber"
_SEEN = ("Nuclei_Confidence", CLASS, SCORE)
"""What the network saw in a nucleus, which measuring again does not tell."""
_PLACE = ("Nuclei_AreaShape_Area", "Nuclei_AreaShape_Center_Y", "Nuclei_AreaShape_Center_X")

Columns = Mapping[str, NDArray[Any]]


@dataclass(frozen=True, slots=True)
class Edit:
    """What became of a field's nuclei: how many are new, gone, and of another shape under their number."""

    added: int
    removed: int
    reshaped: int

    def sentence(self) -> str:
        """For the ledger."""
        if not self.added + self.removed + self.reshaped:
            return "labels edited by hand, and no nucleus here is another"
        return f"nuclei edited by hand: {self.added} added, {self.removed} removed, {self.reshaped} reshaped"


def measured_before(job: Job, key: FieldKey) -> tuple[LedgerEntry, Columns | None]:
    """The entry of a field, or frame, and the columns of its part that tell what changed; None where the part is not
    what was entered, as after a measuring again that was interrupted."""
    out = location(job.out)
    entry = read_entry(out, key, job.run_id)
    try:
        data = entry.part.read(part_path(out, job.plate.name, key))
    except Damaged:
        return entry, None
    file = pq.ParquetFile(pa.BufferReader(data))
    seen = [name for name in _SEEN if name in file.schema_arrow.names]
    table = file.read(columns=[_NUMBER, *seen, *_PLACE], use_threads=False)
    return entry, {name: _array(table.column(name)) for name in table.column_names}


def _array(column: pa.ChunkedArray) -> NDArray[Any]:
    """A column's values; texts as NumPy has them."""
    return np.array(column.to_pylist(), np.str_) if pa.types.is_string(column.type) else column.to_numpy()


def check_same_pixels(before: LedgerEntry, key: FieldKey, pixels_crc32: str) -> None:
    """FieldError where the field's pixels are not those that were measured: new nuclei would stand beside others of
    other pixels."""
    if before.input_crc32 and before.input_crc32 != pixels_crc32:
        raise FieldError(
            key, "its pixels are no longer those that the run measured; run the plate again into a new folder"
        )


def compare(before: Columns, after: dict[str, NDArray[Any]]) -> Edit:
    """What changed between the nuclei of a part and those measured now; the unchanged ones get the confidence that the
    network had in them, and the kind it took them for, which ``after`` cannot know."""
    old, new = before[_NUMBER], after[_NUMBER]
    place = np.searchsorted(old, new)
    place[place == len(old)] = 0
    known = old[place] == new if len(old) else np.zeros(len(new), bool)
    same = known.copy()
    for name in _PLACE:
        same[known] &= before[name][place[known]] == after[name][known]
    for name in _SEEN:
        if name in before and name in after:
            after[name] = _kept(before[name][place[same]], same, after[name])
    return Edit(added=int((~known).sum()), removed=len(old) - int(known.sum()), reshaped=int((known & ~same).sum()))


def _kept(values: NDArray[Any], same: NDArray[np.bool_], new: NDArray[Any]) -> NDArray[Any]:
    """``new`` (n,) with ``values`` where ``same`` is set; texts as long as either needs."""
    kept = new.astype(np.promote_types(new.dtype, values.dtype))
    kept[same] = values
    return kept
