"""The plates that a call names, how each of them ended, and ``plates.csv``, the list of many."""

from __future__ import annotations

import glob
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING

import pandas as pd

from hcs.errors import ConfigError, HcsError, PlateError
from hcs.run.prepare import Looked, Prepared
from hcs.store.atomic import write_text
from hcs.store.location import Location, Url, location, within_reach
from hcs.store.results.export import harmless
from hcs.store.results.ledger import LedgerEntry

if TYPE_CHECKING:
    from hcs.readout.readouts import Readouts

_WILDCARDS = frozenset("*?[")
_LIST_COLUMNS = ("Plate", "Path", "Results", "Status", "Reason")
"""The first columns of plates.csv, by which hcs knows it again."""
_MAP_ENDINGS = (".csv", ".platemap.csv", ".xlsx", ".parquet")


@dataclass(frozen=True, slots=True)
class RunSummary:
    """How a plate's run ended: every expected field's entry, the readouts, sentences worth saying."""

    out: Location
    entries: tuple[LedgerEntry, ...]
    readouts: Readouts
    notes: tuple[str, ...]
    linked: tuple[LedgerEntry, ...] = ()
    """Entries of the fields of a plate with time, whose frames are ``entries``."""

    @property
    def failed(self) -> tuple[LedgerEntry, ...]:
        """Fields, and of a plate with time frames, without a result."""
        failed = tuple(entry for entry in self.entries if not entry.done)
        return failed + tuple(entry for entry in self.linked if not entry.done and not failed)


@dataclass(slots=True, kw_only=True)
class PlateRun:
    """One plate of a call, from its address to how it ended."""

    path: Location
    out: Location
    prepared: Prepared | None = None
    looked: Callable[[], Looked] | None = None
    """Waits for what was found out of the plate while workers started."""
    summary: RunSummary | None = None
    error: Exception | None = None
    """Why the plate as a whole has no readouts."""
    started: float = field(default_factory=time.time)

    @property
    def name(self) -> str:
        """The name of the plate's folder."""
        return self.path.absolute().name.removesuffix(".zarr").removesuffix(".ome")

    @property
    def reason(self) -> str:
        """``error`` as a sentence; empty where there is none."""
        if self.error is None:
            return ""
        return str(self.error) if isinstance(self.error, HcsError) else f"{type(self.error).__name__}: {self.error}"

    @property
    def pending(self) -> bool:
        """Whether workers have something to do."""
        return self.error is None and self.prepared is not None and bool(self.prepared.pending)

    @property
    def status(self) -> str:
        """``failed`` (no readouts), ``incomplete`` (some fields failed) or ``ok``."""
        if self.summary is None:
            return "failed"
        return "incomplete" if self.summary.failed else "ok"

    def line(self) -> str:
        """How the plate ended, in one line."""
        if self.summary is None:
            return f"{self.name}: failed: {self.reason}"
        entries = self.summary.entries
        failed = f", {len(self.summary.failed)} failed" if self.summary.failed else ""
        what = f"fields of {len(entries)} frames" if self.summary.linked else "fields"
        count = len(self.summary.linked or entries)
        return f"{self.name}: {count} {what}{failed}, {sum(e.nuclei for e in entries):,} nuclei; {self.out}"


def is_many(arguments: tuple[str, ...]) -> bool:
    """Whether the arguments of `hcs run` name several plates: more than one, or a name with wildcards."""
    return len(arguments) > 1 or (_WILDCARDS & set(arguments[0]) != set() and not Path(arguments[0]).exists())


def find_plates(arguments: tuple[str, ...], out: Location) -> tuple[PlateRun, ...]:
    """The plates that paths, URLs and patterns name, in their order, each with its results folder below ``out``.

    A plate is called after its folder. PlateError where a pattern fits nothing; ConfigError where two plates would have
    one name.
    """
    places: list[Location] = []
    for argument in arguments:
        places += _expand(argument) if is_many((argument,)) else [location(argument)]
    runs: dict[str, PlateRun] = {}
    for place in dict.fromkeys(places):
        run = PlateRun(path=place, out=out)
        run.out = out / run.name
        if run.name in runs:
            raise ConfigError(
                f"{runs[run.name].path} and {place} are both called {run.name}; run them into folders of their own"
            )
        runs[run.name] = run
    return tuple(runs.values())


def _expand(pattern: str) -> list[Location]:
    place = location(pattern)
    if isinstance(place, Url):
        if place.is_web:
            raise PlateError(f"{pattern}: a web server cannot be searched; give the plates' addresses one by one")
        with within_reach(place):
            found: list[Location] = [*place.glob()]
    else:
        found = [Path(name) for name in sorted(glob.glob(pattern, recursive=True))]
    if not found:
        raise PlateError(f"no plate fits {pattern!r}; check the path")
    return found


def find_plate_map(plate_map: str | None, name: str) -> Location | None:
    """The plate map of the plate ``name``: one file for all, a pattern with ``{plate}``, or a folder that holds
    ``name.csv``, ``name.platemap.csv``, ``name.xlsx`` or ``name.parquet``; PlateError where it holds none."""
    if plate_map is None:
        return None
    if "{plate}" in plate_map:
        return location(plate_map.replace("{plate}", name))
    place = location(plate_map)
    with within_reach(place):
        if not place.is_dir():
            return place
        for ending in _MAP_ENDINGS:
            if (place / f"{name}{ending}").is_file():
                return place / f"{name}{ending}"
    raise PlateError(f"no plate map of {name} in {plate_map}: none of {', '.join(name + e for e in _MAP_ENDINGS)}")


def write_list(path: Location, runs: tuple[PlateRun, ...]) -> None:
    """Write ``plates.csv``: one row a plate, see `plates_frame`."""
    write_text(path, harmless(plates_frame(runs)).to_csv(index=False))


def check_list(path: Location) -> None:
    """ConfigError where there is a ``plates.csv`` that is not hcs's list of plates: it would be written over."""
    with within_reach(path):
        if not path.exists():
            return
        first = path.read_bytes()[:100] if path.is_file() else b""
    if not first.startswith(",".join(_LIST_COLUMNS).encode()):
        raise ConfigError(f"{path} is there already and is no list of plates by hcs; give another --out, or move it")


def plates_frame(runs: tuple[PlateRun, ...]) -> pd.DataFrame:
    """One row a plate: Plate, Path, Results, Status (ok, incomplete, failed), Reason, Count_Fields, Count_FieldsFailed,
    Count_Nuclei, and the plate's Z′ of every readout, over all controls."""
    rows = []
    for run in runs:
        entries = run.summary.entries if run.summary else ()
        fields = (run.summary.linked if run.summary else ()) or entries
        row: dict[str, object] = {
            "Plate": run.name,
            "Path": str(run.path),
            "Results": str(run.out),
            "Status": run.status,
            "Reason": run.reason,
            "Count_Fields": len(fields),
            "Count_FieldsFailed": sum(not entry.done for entry in fields),
            "Count_Nuclei": sum(entry.nuclei for entry in entries),
        }
        if run.summary is not None:
            plate = run.summary.readouts.plate
            row |= {f"ZPrime_{r['Readout']}": r["ZPrime"] for r in plate.drop_duplicates("Readout").to_dict("records")}
        rows.append(row)
    return pd.DataFrame(rows)
