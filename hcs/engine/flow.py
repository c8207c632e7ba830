"""Fields through the workers: a few in flight for every worker, however many workers come and go."""

from __future__ import annotations

import time
from collections.abc import Iterable, Iterator
from concurrent.futures import CancelledError
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from hcs.engine.cluster import scheduler_lost
from hcs.engine.parcel import Sender, Senders, unpack
from hcs.engine.portions import FieldTask, Portions
from hcs.errors import FieldError, HcsError
from hcs.field.job import Job
from hcs.field.large import LargeField
from hcs.field.worker import enter_failure
from hcs.plate.keys import FieldKey
from hcs.store.results.ledger import LedgerEntry

if TYPE_CHECKING:
    from distributed import Client

_IN_FLIGHT_PER_WORKER = 4
_COUNT_WORKERS_EVERY_S = 1.0

Found = list[LedgerEntry | LargeField] | BaseException
"""What a task returned, one for each of its fields, or what it failed with."""


@dataclass(frozen=True, slots=True)
class Outcome:
    """What became of one field of one run; ``error`` where the run itself cannot go on (its results cannot be
    written)."""

    job: Job
    entry: LedgerEntry
    error: HcsError | None = None


def process_fields(client: Client, tasks: Iterable[FieldTask]) -> Iterator[Outcome]:
    """Have the workers process ``tasks``; outcomes as they come. Entries are written by the workers, or here for fields
    whose worker died.

    A worker that dies takes all its fields with it, and where workers die often, as on borrowed machines, a sound field
    can be among the dead several times. Fields given up by the scheduler are therefore tried once more at the end, one
    at a time: the one that then kills its worker again is the culprit. WorkersError where the scheduler is gone:
    nothing is entered for fields that no worker entered.
    """
    from distributed import KilledWorker  # noqa: PLC0415

    suspects: list[FieldTask] = []
    senders = Senders()
    for portion, found in _completed(client, tasks, senders, attempt=1):
        if isinstance(found, KilledWorker):
            suspects += portion
        else:
            yield from _outcomes(portion, found)
    for suspect in suspects:
        for portion, found in _completed(client, [suspect], senders, attempt=2):
            yield from _outcomes(portion, found)


def _completed(
    client: Client, tasks: Iterable[FieldTask], senders: Senders, *, attempt: int
) -> Iterator[tuple[list[FieldTask], Found]]:
    """Fields with what became of them, as they finish; only a few tasks a worker are in flight, so that any number of
    fields costs client and scheduler the same."""
    from distributed import as_completed  # noqa: PLC0415

    waiting = Portions(tasks)
    running: dict[Any, list[FieldTask]] = {}
    completed = as_completed(with_results=True, raise_errors=False)  # results are fetched while others are handled
    width = _Width(client)

    def watch(future: Any, portion: list[FieldTask]) -> None:
        running[future] = portion
        completed.add(future)

    def fill() -> None:
        while len(running) < width.now():
            portion = waiting.take(workers=width.workers)
            if not portion:
                return
            sender = senders.of(portion[0][0])
            watch(_submit(client, sender, [key for _, key in portion], attempt=attempt), portion)

    fill()
    for future, result in completed:
        portion = running.pop(future)
        found = _found(future.status, result)
        if isinstance(found, CancelledError):  # nobody cancels but a client that lost its scheduler
            raise scheduler_lost()
        for (job, key), large in zip(portion, found, strict=True) if isinstance(found, list) else ():
            if isinstance(large, LargeField):
                watch(_submit_large(client, senders.of(job), key, large, attempt=attempt), [(job, key)])
            else:
                waiting.learn(large)
        yield portion, found
        fill()


def _found(status: str, result: Any) -> Found:
    """What a future holds, as `as_completed` gives it: the error of one that failed comes with type and traceback."""
    if status == "finished":
        return result if isinstance(result, list) else [result]
    return result if isinstance(result, BaseException) else result[1]


class _Width:
    """How many tasks may be in flight; workers are counted anew every second, for they come and go."""

    def __init__(self, client: Client) -> None:
        self._client = client
        self._counted = -_COUNT_WORKERS_EVERY_S
        self.workers = 1

    def now(self) -> int:
        if time.monotonic() - self._counted >= _COUNT_WORKERS_EVERY_S:
            workers = self._client.scheduler_info(n_workers=-1)["workers"].values()
            self.workers = max(1, sum(worker["nthreads"] for worker in workers))
            self._counted = time.monotonic()
        return _IN_FLIGHT_PER_WORKER * self.workers


def _submit(client: Client, sender: Sender, keys: list[FieldKey], *, attempt: int) -> Any:
    # Plates of one name may run together: the folder tells them apart. Keys of one group let the scheduler hold back
    # what workers have no hands for, so that a worker that dies takes few fields with it.
    name = (f"hcs-{sender.run}-{attempt}", str(keys[0]))
    return client.submit(process, sender.parcel(keys), pure=False, key=name)


def process(parcel: bytes) -> list[LedgerEntry | LargeField]:
    """`process_fields_here`, by a name for which the client need not import all that workers need."""
    from hcs.field import whole as fields  # noqa: PLC0415

    return fields.process_fields_here(*unpack(parcel))


def _submit_large(client: Client, sender: Sender, key: FieldKey, large: LargeField, *, attempt: int) -> Any:
    """Tasks for a field in blocks; where the workers have too little memory for them, an entry that says so."""
    job, run = sender.job, f"hcs-{sender.run}-{attempt}"
    from hcs.engine.block_graph import refusal, submit_blocks  # noqa: PLC0415  few plates need it

    reason = refusal(client, large)
    if reason is None:
        return submit_blocks(client, job, key, large, group=run)
    arguments = job.out, job.plate.name, key, job.run_id, reason
    return client.submit(enter_failure, *arguments, pure=False, key=(f"{run}-refused", str(key)))


def _outcomes(portion: list[FieldTask], found: Found) -> Iterator[Outcome]:
    """What the worker returned, or failed entries where the fields took their worker down; nothing for a field that
    goes on in blocks."""
    if isinstance(found, BaseException):
        for job, key in portion:
            yield _failure(job, key, found)
        return
    for (job, _), entry in zip(portion, found, strict=True):
        if isinstance(entry, LedgerEntry):
            yield Outcome(job, entry)


def _failure(job: Job, key: FieldKey, error: BaseException) -> Outcome:
    """A field that an error, or the death of its worker, kept from being done; what a worker entered stands."""
    from distributed import KilledWorker  # noqa: PLC0415

    if isinstance(error, HcsError) and not isinstance(error, FieldError):
        return Outcome(job, LedgerEntry(field=str(key), status="failed", reason=str(error)), error)
    reason = "its worker died repeatedly, most likely out of memory; use fewer workers or smaller tiles.size_px"
    if not isinstance(error, KilledWorker):
        reason = error.reason if isinstance(error, FieldError) else f"{type(error).__name__}: {error}"
    try:
        return Outcome(job, enter_failure(job.out, job.plate.name, key, job.run_id, reason))
    except HcsError as unwritten:
        return Outcome(job, LedgerEntry(field=str(key), status="failed", reason=reason), unwritten)
