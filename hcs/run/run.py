"""`hcs run`: a plate over workers into a results folder, resumable at any moment."""

from __future__ import annotations

import time
from collections import Counter
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, replace
from functools import partial
from importlib import import_module
from typing import TYPE_CHECKING, Any

from hcs.config import Config
from hcs.engine.cluster import Workers, connect, crowding, scheduler_kept
from hcs.engine.flow import process_fields
from hcs.errors import WorkersError
from hcs.run.account import account_line, plain_account
from hcs.run.checks import map_lines
from hcs.run.link import link_fields
from hcs.run.prepare import Prepared, open_run, prepare
from hcs.run.progress import Progress
from hcs.store.location import Location
from hcs.store.results.ledger import LedgerEntry, read_ledger

if TYPE_CHECKING:
    from hcs.engine.cluster import Client
    from hcs.readout.readouts import Readouts
    from hcs.run.pictures import Submit

_FOR_TABLES = ("hcs.run.finish", "hcs.readout.cycle.phases")
"""What every run imports in the end: a second, in which this process would only wait for its workers to start."""


@dataclass(frozen=True, slots=True)
class RunSummary:
    """How a run ended: every expected field's entry, the readouts, sentences worth saying."""

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


def run_plate(
    plate_path: str | Location,
    out: Location,
    config: Config,
    *,
    plate_map_path: Location | None = None,
    wells: str | None = None,
    workers: Workers | None = None,
    say: Callable[[str], None] = lambda _: None,
    overwrite_labels: bool = False,
) -> RunSummary:
    """Process the plate's fields, or their frames, that ``out`` does not hold yet, then make all readouts; ``say`` is
    told first what was chosen: wells, fields, channels, and why.

    ``say`` is told what was understood of the plate map, before the first field.

    Everything that can be known to be wrong raises (ConfigError, PlateError, ResultsError) before anything is
    written; so do labels of the plate that are not this run's, unless ``overwrite_labels``. A field that fails is
    entered in the ledger with its reason, and the others go on.
    """
    workers = workers or Workers()
    prepared = prepare(
        plate_path,
        out,
        config,
        plate_map_path=plate_map_path,
        wells=wells,
        device=workers.device,
        overwrite_labels=overwrite_labels,
    )
    for line in (*prepared.lines(), *map_lines(prepared.plate_map, notes=True)):
        say(line)
    started = time.time()
    if prepared.pending:
        # A scheduler that closes takes its folder off sys.path, and an import in another thread may then miss a
        # package: tables are made, and with them everything is imported, before the cluster closes.
        with ThreadPoolExecutor(1) as aside:
            for name in _FOR_TABLES:
                aside.submit(import_module, name)
            with connect(workers) as client:
                with scheduler_kept():
                    prepared = open_run(prepared, client)
                    prepared = replace(prepared, notes=(*workers.notes(), *crowding(client), *prepared.notes))
                try:
                    with scheduler_kept():
                        _process_all(client, prepared)
                except WorkersError as lost:
                    return conclude(replace(prepared, notes=(_sentence(lost), *prepared.notes)), started)
                return conclude(prepared, started, submit=partial(client.submit, pure=False))
    return conclude(prepared, started)


def _sentence(error: WorkersError) -> str:
    text = str(error)
    return f"{text[:1].upper()}{text[1:]}."


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
    remarks = tuple(f"Field {e.field}: {e.reason}." for e in (*entries, *linked) if e.done and e.reason)
    time_line = account_line(done_now, since=started)
    from hcs.run.finish import finish  # noqa: PLC0415  readouts and report, for which the first field need not wait

    return RunSummary(
        out,
        entries,
        finish(out, submit=submit),
        (*prepared.notes, *remarks, *([time_line] if time_line else ())),
        linked,
    )


def _process_all(client: Client, prepared: Prepared) -> None:
    """Have the workers process what is pending; raises where results cannot be written."""
    keys = prepared.pending
    what = "fields" if prepared.record.time is None else "frames"
    progress = Progress(dict(Counter(str(key.well) for key in keys)), len(prepared.keys) - len(keys), what=what)
    try:
        for outcome in process_fields(client, ((prepared.job, key) for key in keys)):
            if outcome.error is not None:
                raise outcome.error
            progress.advance(outcome.entry)
    finally:
        progress.finish()


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
