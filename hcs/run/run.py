"""`hcs run`: plates over workers, each into its results folder, resumable at any moment; one plate is many of one."""

from __future__ import annotations

import contextlib
import time
from collections import Counter
from collections.abc import Callable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from functools import partial
from importlib import import_module
from pathlib import Path
from typing import TYPE_CHECKING, Any

from hcs.config import Config
from hcs.engine.cluster import Workers, connect, crowding, scheduler_kept
from hcs.engine.flow import process_fields
from hcs.engine.portions import FieldTask
from hcs.errors import WorkersError
from hcs.machine import uncollected
from hcs.run.account import account_line, plain_account, remark_lines
from hcs.run.checks import control_wells, map_lines
from hcs.run.link import link_fields
from hcs.run.pictures import one_thread
from hcs.run.plates import PlateRun, RunSummary, check_list, find_plate_map, write_list
from hcs.run.prepare import Prepared, look_ahead, open_run, prepare
from hcs.run.progress import Progress
from hcs.store.location import Location, location
from hcs.store.models import find_model
from hcs.store.results.ledger import LedgerEntry, read_ledger

if TYPE_CHECKING:
    from hcs.engine.cluster import Client
    from hcs.run.pictures import Submit

Say = Callable[[str], None]

_FOR_TABLES = ("hcs.run.finish", "hcs.readout.cycle.phases", "scipy.ndimage", "scipy.optimize")
"""What every run imports in the end: a second, in which this process would only wait for its workers to start."""


def _silent(_: object) -> None:
    """Say nothing."""


def run_plate(
    plate: str | Location,
    out: Location,
    config: Config,
    *,
    plate_map: str | Path | None = None,
    wells: str | None = None,
    workers: Workers | None = None,
    overwrite_labels: bool = False,
    say: Say = _silent,
) -> RunSummary:
    """Process the plate's fields, or their frames, that ``out`` does not hold yet, then make all readouts; ``say`` is
    told first what was chosen (wells, fields, channels, and why) and what was understood of the plate map.

    Everything that can be known to be wrong raises (ConfigError, PlateError, ResultsError) before anything is
    written; so do labels of the plate that are not this run's, unless ``overwrite_labels``. A field that fails is
    entered in the ledger with its reason, and the others go on.
    """
    run = PlateRun(path=location(plate), out=out)
    _run_plates(
        (run,),
        config,
        plate_map=None if plate_map is None else str(plate_map),
        wells=wells,
        workers=workers or Workers(),
        overwrite_labels=overwrite_labels,
        say=say,
    )
    if run.error is not None:
        raise run.error
    assert run.summary is not None
    return run.summary


def run_many(
    runs: tuple[PlateRun, ...],
    out: Location,
    config: Config,
    *,
    plate_map: str | None = None,
    wells: str | None = None,
    workers: Workers | None = None,
    overwrite_labels: bool = False,
    say: Say = print,
) -> tuple[PlateRun, ...]:
    """`run_plate` for several plates over one set of workers: the controls of every plate, then plate after plate.

    ``say`` is told how each plate ended, as it ends. A plate that cannot be run, or whose results cannot be written,
    is left out with its reason; the others go on. ``plates.csv`` in ``out`` lists them all.
    """
    workers = workers or Workers()
    check_list(out / "plates.csv")
    # What is wrong for all plates is said once, before any is touched.
    find_model(config.model, workers.device, arithmetic=config.arithmetic)
    _run_plates(
        runs,
        config,
        plate_map=plate_map,
        wells=wells,
        workers=workers,
        overwrite_labels=overwrite_labels,
        say=say,
        ended=lambda run: say(run.line()),
    )
    write_list(out / "plates.csv", runs)
    return runs


def _run_plates(
    runs: tuple[PlateRun, ...],
    config: Config,
    *,
    plate_map: str | None,
    wells: str | None,
    workers: Workers,
    overwrite_labels: bool,
    say: Say,
    ended: Callable[[PlateRun], None] = _silent,
) -> None:
    """Take every plate to its summary, or to the error that keeps it from one; ``ended`` is told of each as it ends."""
    batch = _Batch(runs, say, ended)
    for run in runs:
        with batch.kept(run):
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
                say(f"{batch.prefix(run)}{line}")
            run.started = time.time()
    if not any(run.pending for run in runs):
        batch.conclude_rest()
        return
    # A scheduler that closes takes its folder off sys.path, and an import in another thread may then miss a package:
    # tables are made, and with them everything is imported, before the cluster closes.
    with one_thread() as aside:
        first, *others = (run for run in runs if run.pending)
        _begin_looking(first, aside)
        aside(_import_for_tables)
        for run in others:
            _begin_looking(run, aside)
        with connect(workers) as client, ThreadPoolExecutor(1) as finisher:
            submit: Submit | None = partial(client.submit, pure=False)
            for note in (*workers.notes(), *crowding(client)):
                say(note)
            try:
                with scheduler_kept():
                    batch.process(client, finisher)
            except WorkersError as lost:  # what is entered is read out
                text, submit = str(lost), None
                say(f"{text[:1].upper()}{text[1:]}.")
            batch.conclude_rest(submit)


def _begin_looking(run: PlateRun, aside: Submit) -> None:
    """Have the plate looked at while workers start."""
    assert run.prepared is not None
    run.looked = aside(partial(look_ahead, run.prepared)).result


def _import_for_tables() -> None:
    """Import what tables and page need."""
    with uncollected():
        for name in _FOR_TABLES:
            import_module(name)


class _Batch:
    """The plates of a call, and how far each is."""

    def __init__(self, runs: tuple[PlateRun, ...], say: Say, ended: Callable[[PlateRun], None]) -> None:
        self._runs = runs
        self._say, self._ended = say, ended
        self._left: Counter[str] = Counter()
        """Fields to come, by results folder."""
        self._finishing: dict[str, Future[None]] = {}

    def prefix(self, run: PlateRun) -> str:
        """What stands before a line or a well of one of several plates."""
        return f"{run.name}: " if len(self._runs) > 1 else ""

    @contextlib.contextmanager
    def kept(self, run: PlateRun) -> Iterator[None]:
        """Keep a plate's failure to that plate."""
        try:
            yield
        except Exception as error:  # whatever one plate does, the others go on
            self._fail(run, error)

    def _fail(self, run: PlateRun, error: Exception) -> None:
        run.error = error
        self._ended(run)

    def process(self, client: Client, finisher: ThreadPoolExecutor) -> None:
        """Have all pending fields processed; ``finisher`` concludes a plate while workers go on with the others."""
        for run in self._runs:
            if run.pending and run.prepared is not None:
                with self.kept(run), scheduler_kept():
                    run.prepared = open_run(run.prepared, client, run.looked)
        going = {run.prepared.job.out: run for run in self._runs if run.prepared is not None and run.error is None}
        progress = self._progress(going)
        try:
            for outcome in process_fields(client, self._tasks()):
                run = going[outcome.job.out]
                progress.advance(outcome.entry, plate=self.prefix(run).strip())
                if outcome.error is not None and run.error is None:
                    self._fail(run, outcome.error)
                self._left[outcome.job.out] -= 1
                if not any(run.pending for run in self._runs):
                    return  # what is still with the workers is of plates that cannot go on
                if self._left[outcome.job.out] == 0 and self._left.total() > 0:
                    self._finishing[outcome.job.out] = finisher.submit(self._conclude, run)
        finally:
            progress.finish()

    def _progress(self, going: dict[str, PlateRun]) -> Progress:
        """Counts the fields of the plates that go on, and takes note of how many each has left."""
        before, wells, timed = 0, Counter[str](), set()
        for out, run in going.items():
            assert run.prepared is not None
            self._left[out] = len(run.prepared.pending)
            before += len(run.prepared.keys) - len(run.prepared.pending)
            wells.update(f"{self.prefix(run).strip()}{key.well}" for key in run.prepared.pending)
            timed.add(run.prepared.record.time is not None)
        return Progress(dict(wells), before, what="frames" if timed == {True} else "fields")

    def _tasks(self) -> Iterator[FieldTask]:
        """Controls of every plate, then the rest of one plate after another; a plate that failed gets no further."""
        for controls in (True, False):
            for run in self._runs:
                if run.prepared is None:
                    continue
                wells = control_wells(run.prepared.plate_map)
                for key in run.prepared.pending:
                    if run.error is None and (str(key.well) in wells) is controls:
                        yield run.prepared.job, key

    def conclude_rest(self, submit: Submit | None = None) -> None:
        """Conclude the plates that nobody has concluded; ``submit`` gives work to workers that have none left."""
        for future in self._finishing.values():
            future.result()
        for run in self._runs:
            if run.summary is None:
                self._conclude(run, submit)

    def _conclude(self, run: PlateRun, submit: Submit | None = None) -> None:
        if run.error is not None or run.prepared is None:
            return
        with self.kept(run):
            run.summary = conclude(run.prepared, run.started, submit=submit)
            self._ended(run)


def conclude(prepared: Prepared, started: float, *, submit: Submit | None = None) -> RunSummary:
    """Link the frames of a plate with time, complete the run's record, and make its tables and report; idle workers
    that ``submit`` gives work link, and make the pictures. ``started`` is the time this session began."""
    out = prepared.out
    linked = link_fields(prepared, submit)
    entries = read_ledger(out, prepared.keys, prepared.job.run_id)
    pending = frozenset(map(str, prepared.pending))
    done_now = [entry for entry in entries if entry.field in pending]
    done_now += [entry for entry in linked if entry.began >= started]
    times = _times(started, entries, n_fields=len(prepared.pending))
    account = plain_account(done_now, since=started)
    prepared.record.with_session(times=times, account=account).write(out)
    remarks = remark_lines((*entries, *linked))
    time_line = account_line(done_now, since=started)
    from hcs.run.finish import finish  # noqa: PLC0415  readouts and report, for which the first field need not wait

    return RunSummary(
        out,
        entries,
        finish(out, submit=submit),
        (*prepared.notes, *remarks, *([time_line] if time_line else ())),
        linked,
    )


def _times(started: float, entries: tuple[LedgerEntry, ...], *, n_fields: int) -> dict[str, Any]:
    """When the last session began and how long it took, and worker seconds by stage over all fields."""
    stages: Counter[str] = Counter()
    for entry in entries:
        stages.update(entry.seconds)
    return {
        "started": time.strftime("%Y-%m-%dT%H:%M:%S%z", time.localtime(started)),
        "wall_s": round(time.time() - started, 2),
        "fields_this_session": n_fields,
        "worker_s_by_stage": {stage: round(s, 2) for stage, s in stages.items()},
    }
