"""`hcs run 'plates/*.zarr'`: many plates over the same workers, one results folder each."""

from __future__ import annotations

import contextlib
import glob
import time
from collections import Counter
from collections.abc import Callable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING

import pandas as pd

from hcs.config import Config
from hcs.engine.cluster import Workers, connect, scheduler_kept
from hcs.engine.flow import process_fields
from hcs.engine.portions import FieldTask
from hcs.errors import ConfigError, HcsError, PlateError, WorkersError
from hcs.run.checks import control_wells, map_lines
from hcs.run.prepare import Prepared, open_run, prepare
from hcs.run.progress import Progress
from hcs.run.run import RunSummary, conclude
from hcs.store.atomic import write_text
from hcs.store.location import Location, Url, location, within_reach
from hcs.store.models import find_model
from hcs.store.results.export import harmless

if TYPE_CHECKING:
    from hcs.engine.cluster import Client

_WILDCARDS = frozenset("*?[")
_LIST_COLUMNS = ("Plate", "Path", "Results", "Status", "Reason")
"""The first columns of plates.csv, by which hcs knows it again."""
_MAP_ENDINGS = (".csv", ".platemap.csv", ".xlsx", ".parquet")


@dataclass(slots=True, kw_only=True)
class PlateRun:
    """One plate of many, from its address to how it ended."""

    name: str
    path: Location
    out: Location
    prepared: Prepared | None = None
    summary: RunSummary | None = None
    reason: str = ""
    """Why the plate as a whole has no readouts."""
    started: float = field(default_factory=time.time)

    @property
    def status(self) -> str:
        """``failed`` (no readouts), ``incomplete`` (some fields failed) or ``ok``."""
        if self.summary is None:
            return "failed"
        return "incomplete" if self.summary.failed else "ok"


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
        name = place.name.removesuffix(".zarr").removesuffix(".ome")
        if name in runs:
            raise ConfigError(
                f"{runs[name].path} and {place} are both called {name}; run them into folders of their own"
            )
        runs[name] = PlateRun(name=name, path=place, out=out / name)
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
    if not place.is_dir():
        return place
    for ending in _MAP_ENDINGS:
        if (place / f"{name}{ending}").is_file():
            return place / f"{name}{ending}"
    raise PlateError(f"no plate map of {name} in {plate_map}: none of {', '.join(name + e for e in _MAP_ENDINGS)}")


def run_many(
    runs: tuple[PlateRun, ...],
    out: Location,
    config: Config,
    *,
    plate_map: str | None = None,
    wells: str | None = None,
    workers: Workers | None = None,
    overwrite_labels: bool = False,
    say: Callable[[str], None] = print,
) -> tuple[PlateRun, ...]:
    """Process all plates over one set of workers: first the controls of every plate, then plate after plate.

    ``say`` is told how each plate ended, as it ends. A plate that cannot be run, or whose results cannot be written,
    is left out with its reason; the others go on. ``plates.csv`` in ``out`` lists them all.
    """
    workers = workers or Workers()
    check_list(out / "plates.csv")
    find_model(config.model, workers.device)  # what is wrong for all plates is said once, before any is touched
    for run in runs:
        with _own_failure(run, say):
            run.prepared = prepare(
                run.path,
                run.out,
                config,
                plate_map_path=find_plate_map(plate_map, run.name),
                wells=wells,
                device=workers.device,
                overwrite_labels=overwrite_labels,
            )
            for line in run.prepared.lines():
                say(line)
            for line in map_lines(run.prepared.plate_map, notes=True):
                say(f"{run.name}: {line}")
    ready = [run for run in runs if run.prepared is not None]
    # Readouts and report are made while workers go on with the next plate, and before the cluster closes: that takes a
    # folder off sys.path, and an import in another thread may then miss a package.
    with contextlib.ExitStack() as cluster, ThreadPoolExecutor(1) as finisher:
        batch = _Batch(ready, finisher, say)
        if any(run.prepared.pending for run in ready if run.prepared):
            client = cluster.enter_context(connect(workers))
            for note in workers.notes():
                say(note)
            try:
                with scheduler_kept():
                    batch.process(client)
            except WorkersError as lost:  # what is entered is read out below
                say(str(lost))
        batch.finish_rest()
    write_text(out / "plates.csv", harmless(plates_frame(runs)).to_csv(index=False))
    return runs


def check_list(path: Location) -> None:
    """ConfigError where there is a ``plates.csv`` that is not hcs's list of plates: it would be written over."""
    with within_reach(path):
        if not path.exists():
            return
        first = path.read_bytes()[:100] if path.is_file() else b""
    if not first.startswith(",".join(_LIST_COLUMNS).encode()):
        raise ConfigError(f"{path} is there already and is no list of plates by hcs; give another --out, or move it")


class _Batch:
    """The plates that can be run, and how far each is."""

    def __init__(self, runs: list[PlateRun], finisher: ThreadPoolExecutor, say: Callable[[str], None]) -> None:
        self._runs = {str(run.out.absolute()): run for run in runs}
        self._finisher, self._say = finisher, say
        self._left: Counter[str] = Counter()
        self._finishing: dict[str, Future[None]] = {}

    def process(self, client: Client) -> None:
        """Have all pending fields processed; plates are finished as their last field is."""
        for run in self._runs.values():
            with _own_failure(run, self._say):
                if run.prepared is not None and run.prepared.pending:
                    run.prepared = open_run(run.prepared, client)
        before, wells = 0, Counter[str]()
        for out, run in self._runs.items():
            if run.prepared is not None and not run.reason:
                self._left[out] = len(run.prepared.pending)
                before += len(run.prepared.keys) - len(run.prepared.pending)
                wells.update(f"{run.name}:{key.well}" for key in run.prepared.pending)
        timed = {run.prepared.record.time is not None for run in self._runs.values() if run.prepared is not None}
        progress = Progress(dict(wells), before, what="frames" if timed == {True} else "fields")
        try:
            for outcome in process_fields(client, self._tasks()):
                run = self._runs[outcome.job.out]
                progress.advance(outcome.entry, plate=f"{run.name}:")
                if outcome.error is not None and not run.reason:
                    _fail(run, outcome.error, self._say)
                self._count(outcome.job.out)
        finally:
            progress.finish()

    def _tasks(self) -> Iterator[FieldTask]:
        """Controls of every plate, then the rest of one plate after another; a plate that failed gets no further."""
        for controls in (True, False):
            for run in self._runs.values():
                if run.prepared is None:
                    continue
                wells = control_wells(run.prepared.plate_map)
                for key in run.prepared.pending:
                    if not run.reason and (str(key.well) in wells) is controls:
                        yield run.prepared.job, key

    def _count(self, out: str) -> None:
        self._left[out] -= 1
        if self._left[out] == 0:
            self._finishing[out] = self._finisher.submit(self._conclude, self._runs[out])

    def finish_rest(self) -> None:
        """Finish the plates that had nothing left to do, and wait for all."""
        for out, run in self._runs.items():
            if out not in self._finishing:
                self._finishing[out] = self._finisher.submit(self._conclude, run)
        for future in self._finishing.values():
            future.result()

    def _conclude(self, run: PlateRun) -> None:
        if run.reason or run.prepared is None:
            return
        with _own_failure(run, self._say):
            run.summary = conclude(run.prepared, run.started)
            self._say(_line(run))


@contextlib.contextmanager
def _own_failure(run: PlateRun, say: Callable[[str], None]) -> Iterator[None]:
    """Keep a plate's failure to that plate."""
    try:
        yield
    except Exception as error:  # whatever one plate does, the others go on
        _fail(run, error, say)


def _fail(run: PlateRun, error: Exception, say: Callable[[str], None]) -> None:
    """Enter why a plate as a whole failed, and say so."""
    run.reason = str(error) if isinstance(error, HcsError) else f"{type(error).__name__}: {error}"
    say(_line(run))


def _line(run: PlateRun) -> str:
    if run.summary is None:
        return f"{run.name}: failed: {run.reason}"
    entries = run.summary.entries
    failed = f", {len(run.summary.failed)} failed" if run.summary.failed else ""
    what = f"fields of {len(entries)} frames" if run.summary.linked else "fields"
    count = len(run.summary.linked or entries)
    return f"{run.name}: {count} {what}{failed}, {sum(e.nuclei for e in entries):,} nuclei; {run.out}"


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
