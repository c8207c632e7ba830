"""A plate map that takes the place of a run's own; alone, because only `hcs readout` needs it."""

from __future__ import annotations

from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from hcs.plate.keys import WellId
from hcs.plate.platemap import PlateMap
from hcs.run.checks import check_plate_map, map_lines, plain_plate_map
from hcs.store.location import Location
from hcs.store.platemap import PLATE_MAP, plate_map_fault, read_plate_map, write_plate_map
from hcs.store.results.folder import open_results
from hcs.store.results.record import RunRecord


@dataclass(frozen=True, slots=True, kw_only=True)
class NewMap:
    """A plate map that fits the results, checked before anything is written."""

    plate_map: PlateMap
    record: dict[str, Any]
    notes: tuple[str, ...]

    @property
    def lines(self) -> tuple[str, ...]:
        """What was understood of the map, and what was not plain, for the console."""
        return (*map_lines(self.plate_map), *self.notes)


def read_new_map(results: Location, path: Location) -> NewMap:
    """The plate map ``path`` for the results of a run; PlateError where it is none, or of another plate."""
    opened = open_results(results)
    plate_map = read_plate_map(path, plate=opened.record.plate)
    wells = tuple(WellId.parse(well) for well in opened.well_names())
    record = plain_plate_map(plate_map, path)
    assert record is not None
    return NewMap(plate_map=plate_map, record=record, notes=check_plate_map(plate_map, wells, str(results)))


def put_map(out: Path, new: NewMap) -> None:
    """Make it the map of the results folder ``out``: its copy, and its hash in run.json; what was there before is kept
    beside as ``platemap-HASH.csv`` and listed in the record."""
    record = RunRecord.read(out)
    before = record.plate_map
    if before is not None and before["sha256"] == new.record["sha256"] and not plate_map_fault(out, record):
        return
    earlier = list(before.get("before", [])) if before is not None else []
    if before is not None and before["sha256"] != new.record["sha256"] and not plate_map_fault(out, record):
        kept = f"platemap-{before['sha256'][:8]}.csv"
        (out / PLATE_MAP).replace(out / kept)
        earlier.append({"source": before["source"], "sha256": before["sha256"], "kept": kept})
    write_plate_map(out / PLATE_MAP, new.plate_map)
    replace(record, plate_map={**new.record, "before": earlier}).write(out)
