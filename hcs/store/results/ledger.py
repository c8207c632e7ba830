"""The ledger: one small file for every field or frame that was tried, so that every expected well is accounted for."""

from __future__ import annotations

import dataclasses
import zlib
from collections.abc import Iterable
from typing import TYPE_CHECKING, Any, Literal, get_args

import numpy as np
from numpy.typing import NDArray

from hcs.plate.keys import FieldKey
from hcs.store.location import Location, map_at
from hcs.store.results.sealed import Damaged, Written, read_sealed, write_sealed
from hcs.store.results.table import part_path, tracks_path

if TYPE_CHECKING:
    import pandas as pd

Status = Literal["ok", "empty", "failed", "pending"]


@dataclasses.dataclass(frozen=True, slots=True, kw_only=True)
class LedgerEntry:
    """What became of one field, or one frame of it: ``ok`` (nuclei found), ``empty`` (none found), ``failed`` (why),
    ``pending``."""

    field: str
    status: Status
    run: str = ""
    """The run that entered it: run_id of its record."""
    reason: str = ""
    part_bytes: int = 0
    """Size of the field's part of the nucleus table."""
    part_crc32: str = ""
    """CRC-32 of the part's bytes, by which it is known."""
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
    others: dict[str, tuple[int, str]] = dataclasses.field(default_factory=dict)
    """What else a field was written as, or made of: of one with time ``tracks``, and its ``frames`` together; of one
    whose nuclei were edited ``edited``, the number of its nuclei and the checksum of the files of its labels."""

    @property
    def done(self) -> bool:
        """Whether the field has its part of the table."""
        return self.status in ("ok", "empty")

    @property
    def damaged(self) -> bool:
        """Whether there is a file in its place that is no entry of this field and run; the reason says so."""
        return self.status == "pending" and bool(self.reason)

    @property
    def part(self) -> Written:
        """What the field's part was written as."""
        return Written(self.part_bytes, self.part_crc32)

    @property
    def edited_crc32(self) -> str:
        """Checksum of the files of edited labels whose nuclei were measured; empty where nobody edited any."""
        return self.others["edited"][1] if "edited" in self.others else ""

    @property
    def tracks(self) -> Written | None:
        """What the field's tracks were written as; None where it has none."""
        return Written(*self.others["tracks"]) if "tracks" in self.others else None


def pixel_hash(image: NDArray[Any]) -> str:
    """CRC-32 of an image's pixels, eight hexadecimal digits."""
    return f"{zlib.crc32(np.ascontiguousarray(image).data):08x}"


def entry_path(out: Location, key: FieldKey) -> Location:
    """``OUT/ledger/B03_0000.json``, of a frame ``B03_0000_t0012.json``."""
    return out / "ledger" / f"{key.file_stem}.json"


def write_entry(out: Location, entry: LedgerEntry) -> None:
    """Enter a field; written after its part, so that ``done`` means the part is there."""
    write_sealed(entry_path(out, FieldKey.parse(entry.field)), dataclasses.asdict(entry))


def read_entry(out: Location, key: FieldKey, run: str) -> LedgerEntry:
    """A field's entry by the run ``run``; ``pending`` where there is none, and with the reason where there is a file
    that is none: damaged, of another field, or another run's."""
    path = entry_path(out, key)
    try:
        return _entry_of(read_sealed(path), key, run)
    except Damaged as damage:
        if isinstance(damage.__cause__, FileNotFoundError):
            return LedgerEntry(field=str(key), status="pending", run=run)
        reason = f"its ledger entry {path.name} {damage}; `hcs run` makes the field again"
        return LedgerEntry(field=str(key), status="pending", run=run, reason=reason)


def entry_damage(out: Location, key: FieldKey, run: str) -> str:
    """What is wrong with the file of a field's entry, as the end of a sentence; empty where it is sound or missing."""
    try:
        _entry_of(read_sealed(entry_path(out, key)), key, run)
    except Damaged as damage:
        return "" if isinstance(damage.__cause__, FileNotFoundError) else str(damage)
    return ""


def _entry_of(plain: dict[str, Any], key: FieldKey, run: str) -> LedgerEntry:
    try:
        others = {name: (int(size), str(crc32)) for name, (size, crc32) in plain.get("others", {}).items()}
        entry = LedgerEntry(**(plain | {"others": others}))
    except (TypeError, ValueError, AttributeError) as error:
        raise Damaged("is not of this version of hcs") from error
    if entry.field != str(key):
        raise Damaged(f"is of field {entry.field}")
    if entry.run != run:
        raise Damaged("is of another run")
    if entry.status not in get_args(Status):
        raise Damaged(f"has the status {entry.status!r}")
    return entry


def read_ledger(out: Location, keys: Iterable[FieldKey], run: str) -> tuple[LedgerEntry, ...]:
    """Entries of all expected fields, in the given order."""
    return tuple(map_at(out, lambda key: read_entry(out, key, run), keys))


def unfinished_fields(out: Location, plate: str, keys: Iterable[FieldKey], run: str) -> tuple[FieldKey, ...]:
    """Those of ``keys`` that need work, in the given order; see `is_finished`."""
    wanted = tuple(keys)
    finished = map_at(out, lambda key: finished_entry(out, plate, key, run) is not None, wanted)
    return tuple(key for key, done in zip(wanted, finished, strict=True) if not done)


def finished_entry(out: Location, plate: str, key: FieldKey, run: str) -> LedgerEntry | None:
    """The entry of a field that needs no more work: entered as done, and its part is, to the last byte, what was
    entered; None where it needs work."""
    entry = read_entry(out, key, run)
    if not entry.done:
        return None
    try:
        entry.part.read(part_path(out, plate, key))
        if entry.tracks is not None:
            entry.tracks.read(tracks_path(out, plate, key))
    except Damaged:
        return None
    return entry


def ledger_frame(entries: Iterable[LedgerEntry], *, timepoints: bool = False) -> pd.DataFrame:
    """One row a field or frame: Metadata_Well, Metadata_Site, Status, Reason, Count_Nuclei, Labels_Edited,
    Fraction_Recorded, Background_<channel>, Seconds, Quality_<measure>_<channel>; with ``timepoints`` also
    Metadata_Timepoint."""
    rows = []
    for entry in entries:
        key = FieldKey.parse(entry.field)
        rows.append(
            {
                "Metadata_Well": str(key.well),
                "Metadata_Site": key.field,
                **({"Metadata_Timepoint": key.frame} if timepoints else {}),
                "Status": entry.status,
                "Reason": entry.reason,
                "Count_Nuclei": entry.nuclei,
                "Labels_Edited": bool(entry.edited_crc32),
                "Fraction_Recorded": float("nan") if entry.recorded is None else entry.recorded,
                **{f"Background_{name}": value for name, value in entry.background.items()},
                **{f"Background_Source_{name}": source for name, source in entry.ground.items()},
                "Seconds": sum(entry.seconds.values()),
                **{name: float("nan") if value is None else value for name, value in entry.quality.items()},
            }
        )
    import pandas as pd  # noqa: PLC0415  half a second, which a worker need not spend

    return pd.DataFrame(rows)
