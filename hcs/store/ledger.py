"""The ledger: one small file for every field that was tried, so that every expected well is accounted for."""

from __future__ import annotations

import dataclasses
import json
import zlib
from collections.abc import Iterable
from typing import TYPE_CHECKING, Any, Literal

import numpy as np
from numpy.typing import NDArray

from hcs.plate.keys import FieldKey
from hcs.store.atomic import write_json
from hcs.store.location import Location, map_at
from hcs.store.table import part_is_valid

if TYPE_CHECKING:
    import pandas as pd

Status = Literal["ok", "empty", "failed", "pending"]


@dataclasses.dataclass(frozen=True, slots=True, kw_only=True)
class LedgerEntry:
    """What became of one field: ``ok`` (nuclei found), ``empty`` (none found), ``failed`` (why), ``pending``."""

    field: str
    status: Status
    reason: str = ""
    nuclei: int = 0
    recorded: float | None = None
    """Share of the field's pixels that were recorded, where it was processed."""
    input_crc32: str = ""
    """Checksum of the pixels the field was processed from."""
    seconds: dict[str, float] = dataclasses.field(default_factory=dict)
    bytes: dict[str, int] = dataclasses.field(default_factory=dict)
    """Bytes that stages handed on: as stored for ``read``, decoded, files for ``write``."""
    worker: str = ""
    """Process that did it, host:pid; empty where several did."""
    began: float = 0.0
    """When, seconds since 1970 by that host's clock."""
    ended: float = 0.0
    background: dict[str, float] = dataclasses.field(default_factory=dict)
    ground: dict[str, str] = dataclasses.field(default_factory=dict)
    """Channel → whose background that is: ``field``, ``plate`` or, where it lies in cells, ``none``."""
    quality: dict[str, float | None] = dataclasses.field(default_factory=dict)
    """Quality_ columns of the field table; None where a number has no meaning."""

    @property
    def done(self) -> bool:
        """Whether the field has its part of the table."""
        return self.status in ("ok", "empty")


def pixel_hash(image: NDArray[Any]) -> str:
    """CRC-32 of an image's pixels, eight hexadecimal digits."""
    return f"{zlib.crc32(np.ascontiguousarray(image).data):08x}"


def _path(out: Location, key: FieldKey) -> Location:
    return out / "ledger" / f"{key.well}_{key.field:04d}.json"


def write_entry(out: Location, entry: LedgerEntry) -> None:
    """Enter a field; written after its part, so that ``done`` means the part is there."""
    write_json(_path(out, FieldKey.parse(entry.field)), dataclasses.asdict(entry))


def read_entry(out: Location, key: FieldKey) -> LedgerEntry:
    """A field's entry; ``pending`` where there is none or it is damaged."""
    try:
        return LedgerEntry(**json.loads(_path(out, key).read_bytes()))
    except FileNotFoundError:
        return LedgerEntry(field=str(key), status="pending")
    except (OSError, ValueError, TypeError):
        return LedgerEntry(field=str(key), status="pending", reason="its ledger entry is damaged; it will be redone")


def read_ledger(out: Location, keys: Iterable[FieldKey]) -> tuple[LedgerEntry, ...]:
    """Entries of all expected fields, in the given order."""
    return tuple(map_at(out, lambda key: read_entry(out, key), keys))


def unfinished_fields(out: Location, plate: str, keys: Iterable[FieldKey]) -> tuple[FieldKey, ...]:
    """Those of ``keys`` that need work, in the given order; see `is_finished`."""
    wanted = tuple(keys)
    finished = map_at(out, lambda key: is_finished(out, plate, key), wanted)
    return tuple(key for key, done in zip(wanted, finished, strict=True) if not done)


def is_finished(out: Location, plate: str, key: FieldKey) -> bool:
    """Whether a field needs no more work: entered as done, and its part valid and of as many nuclei as entered."""
    entry = read_entry(out, key)
    return entry.done and part_is_valid(out, plate, key, entry.nuclei)


def ledger_frame(entries: Iterable[LedgerEntry]) -> pd.DataFrame:
    """One row a field: Metadata_Well, Metadata_Site, Status, Reason, Count_Nuclei, Fraction_Recorded,
    Background_<channel>, Seconds, Quality_<measure>_<channel>."""
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
                "Fraction_Recorded": float("nan") if entry.recorded is None else entry.recorded,
                **{f"Background_{name}": value for name, value in entry.background.items()},
                **{f"Background_Source_{name}": source for name, source in entry.ground.items()},
                "Seconds": sum(entry.seconds.values()),
                **{name: float("nan") if value is None else value for name, value in entry.quality.items()},
            }
        )
    import pandas as pd  # noqa: PLC0415  half a second, which a worker need not spend

    return pd.DataFrame(rows)
