"""Whether a results folder still holds what was written into it: every entry, part, table and record against its
checksum."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

from hcs.errors import HcsError, ResultsError
from hcs.plate.keys import FieldKey
from hcs.store.location import Location, map_at
from hcs.store.platemap import MAP_REMEDY, PLATE_MAP, plate_map_fault
from hcs.store.results.folder import Results
from hcs.store.results.ledger import LedgerEntry, entry_damage, entry_path
from hcs.store.results.readout_record import PHASES, READOUT_RECORD, ReadoutRecord, remedy
from hcs.store.results.sealed import Damaged, Written
from hcs.store.results.table import FRAMES, NUCLEI, TRACKS, part_path, tracks_path

_FOREIGN_SHOWN = 20


@dataclass(frozen=True, slots=True)
class Fault:
    """One file that is not what was written: which, what is wrong with it, and what makes it right."""

    path: Location
    what: str
    remedy: str
    field: FieldKey | None = None
    """The field whose result it is."""

    def __str__(self) -> str:
        return f"{self.path} {self.what}; {self.remedy}"


@dataclass(frozen=True, slots=True)
class Verified:
    """What came of looking at a results folder."""

    faults: tuple[Fault, ...]
    foreign: tuple[Location, ...]
    """Files among the parts that hcs did not write, such as a synchroniser's copies; they are passed over."""
    files: int
    """Files that were compared with their checksum."""

    def lines(self) -> Iterator[str]:
        """A sentence for every fault, then one that counts."""
        yield from map(str, self.faults)
        shown = ", ".join(str(path) for path in self.foreign[:_FOREIGN_SHOWN])
        more = f" and {len(self.foreign) - _FOREIGN_SHOWN} more" if len(self.foreign) > _FOREIGN_SHOWN else ""
        if self.foreign:
            yield f"{len(self.foreign)} file(s) that hcs did not write are passed over: {shown}{more}"
        yield f"{self.files} files compared with their checksums: {len(self.faults) or 'none'} damaged"


def verify(results: Results) -> Verified:
    """Compare everything that is read of a results folder with what was written; reads every part and table."""
    entries = (*results.entries(), *results.frame_entries())
    faults = [*field_faults(results, entries, look=Written.read), *_table_faults(results), *_other_faults(results)]
    readouts = _readouts(results)
    tables = 0 if readouts is None else len(readouts.files)
    parts = sum(entry.done + (entry.tracks is not None) for entry in entries) + sum(entry.done for entry in entries)
    return Verified(tuple(faults), _foreign(results, entries), tables + parts + 1)


def field_faults(
    results: Results,
    entries: tuple[LedgerEntry, ...],
    *,
    look: Callable[[Written, Location], object] = Written.glance,
) -> list[Fault]:
    """What is wrong with entries and parts of fields; ``look`` compares a part with what was written, by default only
    its size."""
    again = f"`hcs run` into {results.folder} again makes this field, and no other, again"
    counted = results.counted()

    def fault(entry: LedgerEntry) -> Fault | None:
        key = FieldKey.parse(entry.field)
        place = entry_path(results.folder, key)
        if entry.damaged:
            return Fault(place, entry_damage(results.folder, key, results.record.run_id), again, key)
        if entry.status == "pending" and entry.field in counted:
            return Fault(place, "is missing, though the readouts have its field", again, key)
        if not entry.done:
            return None
        path = part_path(results.folder, results.record.plate, key)
        try:
            look(entry.part, path)
            if entry.tracks is not None:
                path = tracks_path(results.folder, results.record.plate, key)
                look(entry.tracks, path)
        except Damaged as damage:
            return Fault(path, str(damage), again, key)
        return None

    return [found for found in map_at(results.folder, fault, entries) if found is not None]


def _table_faults(results: Results) -> list[Fault]:
    """What is wrong with the tables of the readouts and the record of them."""
    try:
        readouts = results.readouts()
    except ResultsError as error:
        path = results.folder / READOUT_RECORD
        return [Fault(path, str(error).removeprefix(f"{path} ").partition(";")[0], remedy(results.folder))]
    faults = []
    for name, written in readouts.files.items() if readouts else ():
        try:
            written.read(results.folder / name)
        except Damaged as damage:
            faults.append(Fault(results.folder / name, str(damage), remedy(results.folder)))
    return faults


def _other_faults(results: Results) -> list[Fault]:
    """What is wrong with the plate map, and with the illumination that fields were corrected with."""
    faults, light = [], results.record.illumination
    if what := plate_map_fault(results.folder, results.record):
        faults.append(Fault(results.folder / PLATE_MAP, what, MAP_REMEDY))
    if light is None:
        return faults
    from hcs.store.illumination import illumination_hash, illumination_path, read_illumination  # noqa: PLC0415

    path = illumination_path(results.folder)
    back = "put it back from a copy, or run the plate again into a new folder"
    try:
        found = illumination_hash(read_illumination(path, results.record.channels.names))
    except HcsError as error:
        return [*faults, Fault(path, f"cannot be used ({error})", back)]
    if found != light["sha256"]:
        faults.append(Fault(path, "is not what the fields were corrected with", back))
    return faults


def _readouts(results: Results) -> ReadoutRecord | None:
    try:
        return results.readouts()
    except ResultsError:
        return None


def _foreign(results: Results, entries: tuple[LedgerEntry, ...]) -> tuple[Location, ...]:
    """Files below ``nuclei/``, ``frames/``, ``tracks/``, ``ledger/`` and ``phases/`` that hcs did not write, sorted;
    hidden files, as those of a writer that was killed, are left out."""
    readouts, folder = _readouts(results), results.folder
    keys, plate = [FieldKey.parse(entry.field) for entry in entries], results.record.plate
    names = [path(folder, plate, key) for key in keys for path in (part_path, tracks_path)]
    written = {str(path) for path in (*names, *(entry_path(folder, key) for key in keys))}
    written |= {str(folder / name) for name in (readouts.files if readouts else ())}
    there: list[Location] = []
    for room in ("ledger", NUCLEI, FRAMES, TRACKS, PHASES):
        place = folder / room
        if isinstance(place, Path):
            there += [path for path in place.rglob("*") if path.is_file()]
        elif place.is_dir():
            there += [place / name for name in place.files()]
    return tuple(sorted((path for path in there if str(path) not in written and path.name[:1] != "."), key=str))
