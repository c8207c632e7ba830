"""Fields through the workers: a few in flight for every worker, however many workers come and go."""

from __future__ import annotations

import hashlib
import time
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from hcs.errors import FieldError, HcsError
from hcs.plate.keys import FieldKey
from hcs.run.blockflow import refusal, submit_blocks
from hcs.run.job import Job
from hcs.run.large import LargeField
from hcs.run.worker import enter_failure, process_field
from hcs.store.ledger import LedgerEntry, write_entry
from hcs.store.location import location

if TYPE_CHECKING:
    from distributed import Client

_IN_FLIGHT_PER_WORKER = 4
_COUNT_WORKERS_EVERY_S = 1.0

Task = tuple[Job, FieldKey]


@dataclass(frozen=True, slots=True)
class Outcome:
    """What became of one field of one run; ``error`` where the run itself cannot go on (its results cannot be
    written)."""

    job: Job
    entry: LedgerEntry
    error: HcsError | None = None


def process_fields(client: Client, tasks: Iterable[Task]) -> Iterator[Outcome]:
    """Have the workers process ``tasks``; outcomes as they come. Entries are written by the workers, or here for fields
    whose worker died.

    A worker that dies takes all its fields with it, and where workers die often, as on borrowed machines, a sound field
    can be among the dead several times. Fields given up by the scheduler are therefore tried once more at the end, one
    at a time: the one that then kills its worker again is the culprit.
    """
    from distributed import KilledWorker  # noqa: PLC0415

    suspects: list[Task] = []
    for task, future in _completed(client, tasks, attempt=1):
        if isinstance(future.exception(), KilledWorker):
            suspects.append(task)
        else:
            yield _outcome(*task, future)
    for suspect in suspects:
        for task, future in _completed(client, [suspect], attempt=2):
            yield _outcome(*task, future)


def _completed(client: Client, tasks: Iterable[Task], *, attempt: int) -> Iterator[tuple[Task, Any]]:
    """Finished futures with their tasks; only a few fields a worker are in flight, so that any number of fields costs
    client and scheduler the same."""
    from distributed import as_completed  # noqa: PLC0415

    waiting = iter(tasks)
    running: dict[Any, Task] = {}
    completed = as_completed()
    width = _Width(client)

    def fill() -> None:
        while len(running) < width.now():
            task = next(waiting, None)
            if task is None:
                return
            future = _submit(client, *task, attempt=attempt)
            running[future] = task
            completed.add(future)

    fill()
    for future in completed:
        task = running.pop(future)
        large = _large(future)
        if large is not None:
            in_blocks = _submit_large(client, *task, large, attempt=attempt)
            running[in_blocks] = task
            completed.add(in_blocks)
            continue
        yield task, future
        fill()


class _Width:
    """How many fields may be in flight; workers are counted anew every second, for they come and go."""

    def __init__(self, client: Client) -> None:
        self._client = client
        self._counted = -_COUNT_WORKERS_EVERY_S
        self._width = _IN_FLIGHT_PER_WORKER

    def now(self) -> int:
        if time.monotonic() - self._counted >= _COUNT_WORKERS_EVERY_S:
            workers = self._client.scheduler_info(n_workers=-1)["workers"].values()
            self._width = _IN_FLIGHT_PER_WORKER * max(1, sum(worker["nthreads"] for worker in workers))
            self._counted = time.monotonic()
        return self._width


def _submit(client: Client, job: Job, key: FieldKey, *, attempt: int) -> Any:
    # Plates of one name may run together: the folder tells them apart. Keys of one group let the scheduler hold back
    # what workers have no hands for, so that a worker that dies takes few fields with it.
    run = hashlib.sha256(job.out.encode()).hexdigest()[:12]
    return client.submit(process_field, job.for_field(key), key, pure=False, key=(f"hcs-{run}-{attempt}", str(key)))


def _large(future: Any) -> LargeField | None:
    """How the field is to be cut, where that is what the worker found."""
    result = future.result() if future.status == "finished" else None
    return result if isinstance(result, LargeField) else None


def _submit_large(client: Client, job: Job, key: FieldKey, large: LargeField, *, attempt: int) -> Any:
    """Tasks for a field in blocks; where the workers have too little memory for them, an entry that says so."""
    run = f"hcs-{hashlib.sha256(job.out.encode()).hexdigest()[:12]}-{attempt}"
    reason = refusal(client, large)
    if reason is None:
        return submit_blocks(client, job, key, large, group=run)
    return client.submit(enter_failure, job.out, key, reason, pure=False, key=(f"{run}-refused", str(key)))


def _outcome(job: Job, key: FieldKey, future: Any) -> Outcome:
    """What the worker returned, or a failed entry where the field took its worker down."""
    from distributed import KilledWorker  # noqa: PLC0415

    error = future.exception()
    if error is None:
        return Outcome(job, future.result())
    if isinstance(error, HcsError) and not isinstance(error, FieldError):
        return Outcome(job, LedgerEntry(field=str(key), status="failed", reason=str(error)), error)
    reason = "its worker died repeatedly, most likely out of memory; use fewer workers or smaller tiles.size_px"
    if not isinstance(error, KilledWorker):
        reason = error.reason if isinstance(error, FieldError) else f"{type(error).__name__}: {error}"
    entry = LedgerEntry(field=str(key), status="failed", reason=reason)
    try:
        write_entry(location(job.out), entry)
    except HcsError as unwritten:
        return Outcome(job, entry, unwritten)
    return Outcome(job, entry)
