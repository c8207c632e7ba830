"""The ledger: one small file for every field that was tried, so that every expected well is accounted for."""

from __future__ import annotations

import dataclasses
import zlib
from collections.abc import Iterable
from pathlib import Path
from typing import Any, Literal

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from hcs.errors import ResultsError
from hcs.plate.keys import FieldKey
from hcs.store.atomic import read_json, write_json
from hcs.store.table import part_is_valid

Status = Literal["ok", "empty", "failed", "pending"]


@dataclasses.dataclass(frozen=True, slots=True, kw_only=True)
class LedgerEntry:
    """What became of one field: ``ok`` (nuclei found), ``empty`` (none found), ``failed`` (why), ``pending``."""

    field: str
    status: Status
    reason: str = ""
    nuclei: int = 0
    input_crc32: str = ""
    """Checksum of the pixels the field was processed from."""
    seconds: dict[str, float] = dataclasses.field(default_factory=dict)
    background: dict[str, float] = dataclasses.field(default_factory=dict)

    @property
    def done(self) -> bool:
        """Whether the field has its part of the table."""
        return self.status in ("ok", "empty")


def pixel_hash(image: NDArray[Any]) -> str:
    """CRC-32 of an image's pixels, eight hexadecimal digits."""
    return f"{zlib.crc32(np.ascontiguousarray(image).data):08x}"


def _path(out: Path, key: FieldKey) -> Path:
    return out / "ledger" / f"{key.well}_{key.field:04d}.json"


def write_entry(out: Path, entry: LedgerEntry) -> None:
    """Enter a field; written after its part, so that ``done`` means the part is there."""
    write_json(_path(out, FieldKey.parse(entry.field)), dataclasses.asdict(entry))


def read_entry(out: Path, key: FieldKey) -> LedgerEntry:
    """A field's entry; ``pending`` where there is none or it is damaged."""
    path = _path(out, key)
    if not path.exists():
        return LedgerEntry(field=str(key), status="pending")
    try:
        return LedgerEntry(**read_json(path))
    except (ResultsError, TypeError):
        return LedgerEntry(field=str(key), status="pending", reason="its ledger entry is damaged; it will be redone")


def read_ledger(out: Path, keys: Iterable[FieldKey]) -> tuple[LedgerEntry, ...]:
    """Entries of all expected fields, in the given order."""
    return tuple(read_entry(out, key) for key in keys)


def is_finished(out: Path, plate: str, key: FieldKey) -> bool:
    """Whether a field needs no more work: entered as done, and its part valid and of as many nuclei as entered."""
    entry = read_entry(out, key)
    return entry.done and part_is_valid(out, plate, key, entry.nuclei)


def ledger_frame(entries: Iterable[LedgerEntry]) -> pd.DataFrame:
    """One row a field: Metadata_Well, Metadata_Site, Status, Reason, Count_Nuclei, Background_<channel>, Seconds."""
    rows = []
    for entry in entries:
        key = FieldKey.parse(entry.field)
        rows.append(
            {
                "Metadata_Well": str(key.well),
                "Metadata_Site": key.field,
                "Status": entry.status,
                "Reason": entry.reason,
                "Count_Nuclei": entry.nuclei,
                **{f"Background_{name}": value for name, value in entry.background.items()},
                "Seconds": sum(entry.seconds.values()),
            }
        )
    return pd.DataFrame(rows)
