"""The record of the readouts as they were last made, ``readout.json``: settings, notes, and what was written."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any

from hcs.errors import ResultsError
from hcs.store.location import Location
from hcs.store.results.parts import Part, Parts, in_plate_order
from hcs.store.results.sealed import Damaged, Written, content, read_sealed, write_sealed

READOUT_RECORD = "readout.json"
COLUMNS = "columns.csv"
"""The column dictionary, the last table that is written before the record."""
PHASES = "phases"
"""Folder of the phase table."""

_WELL = "/well="


@dataclass(frozen=True, slots=True, kw_only=True)
class ReadoutRecord:
    """The readouts of a results folder as they were last made."""

    run: str
    """The run whose nuclei they are made of: run_id of its record."""
    settings: Mapping[str, Any]
    """The readout settings, which need not be the run's."""
    notes: tuple[str, ...]
    plate_map: Mapping[str, Any] | None = None
    """The plate map that they were made with, as in the run's record."""
    done: tuple[str, ...]
    """Fields that had a result then, such as ``B03/0``."""
    files: Mapping[str, Written]
    """Every table that was written, by its name in the folder (``wells.parquet``, parts of ``phases/``)."""

    def write(self, out: Location) -> None:
        """Write ``readout.json`` of the results folder ``out``."""
        files = {name: [written.nbytes, written.crc32] for name, written in self.files.items()}
        data = {"run": self.run, "settings": self.settings, "notes": self.notes, "plate_map": self.plate_map}
        data |= {"done": self.done, "files": files}
        write_sealed(out / READOUT_RECORD, data)

    @classmethod
    def read(cls, out: Location, run: str) -> ReadoutRecord | None:
        """The record of the results folder ``out``, None where no readouts were made; ResultsError where it is damaged,
        of another run, or gone from among its tables."""
        try:
            return _record_of(read_sealed(out / READOUT_RECORD), run)
        except Damaged as damage:
            if isinstance(damage.__cause__, FileNotFoundError) and not (out / COLUMNS).exists():
                return None
            raise ResultsError(f"{out / READOUT_RECORD} {damage}; {remedy(out)}") from damage

    def content(self, out: Location, name: str) -> bytes:
        """The bytes of one of ``files``; ResultsError where they are not what was written."""
        try:
            return self.files[name].read(out / name)
        except Damaged as damage:
            raise ResultsError(f"{out / name} {damage}; {remedy(out)}") from damage

    def phases(self, out: Location) -> Parts:
        """The parts of the phase table of the results folder ``out``; there may be none."""
        names = [name for name in self.files if name.startswith(f"{PHASES}/") and _WELL in name]
        parts = [Part(out / name, name.rpartition(_WELL)[2].partition("/")[0], self.files[name]) for name in names]
        return Parts(out / PHASES, in_plate_order(parts), remedy(out))


def written_files(out: Location, names: Iterable[str]) -> dict[str, Written]:
    """What the files of these names were written as, by name."""
    return {name: Written.of(content(out / name)) for name in names}


def remedy(out: Location) -> str:
    """What makes tables again."""
    return f"`hcs readout {out}` makes it again"


def _record_of(plain: Mapping[str, Any], run: str) -> ReadoutRecord:
    try:
        record = ReadoutRecord(
            run=str(plain["run"]),
            settings=dict(plain["settings"]),
            notes=tuple(map(str, plain["notes"])),
            plate_map=plain.get("plate_map"),
            done=tuple(map(str, plain["done"])),
            files={str(name): Written(int(size), str(crc32)) for name, (size, crc32) in plain["files"].items()},
        )
    except (KeyError, TypeError, ValueError, AttributeError) as error:
        raise Damaged("is not of this version of hcs") from error
    if record.run != run:
        raise Damaged("is of another run")
    return record
