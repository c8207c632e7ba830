"""What travels with a task: its run's job, described once for the whole run, and the entries of the task's fields.

A task is pickled by the client, unpickled and pickled again by the scheduler, and unpickled by the worker. Bytes pass
through all that as they are. They lie in every task, and nowhere else, so that workers may come and go.
"""

from __future__ import annotations

import hashlib
import pickle
from collections.abc import Sequence
from dataclasses import replace
from functools import lru_cache

from hcs.field.job import Job
from hcs.plate.keys import FieldKey, WellId
from hcs.store.plate.reader import FieldEntry

_PLATES_AT_ONCE = 64
"""Runs whose jobs a worker keeps: their tasks may come by turns."""


class Sender:
    """Makes parcels of one job's fields."""

    def __init__(self, job: Job) -> None:
        self.job = job
        self.run = hashlib.sha256(job.out.encode()).hexdigest()[:12]
        """Tells this run's tasks from those of another plate of the same name."""
        bare = replace(job, plate=replace(job.plate, wells=(), fields=(), missing=(), notes=()))
        self._job = pickle.dumps(bare, pickle.HIGHEST_PROTOCOL)
        self._entries = {entry.key: entry for entry in (*job.plate.fields, *job.plate.missing)}

    def parcel(self, keys: Sequence[FieldKey]) -> bytes:
        """The job and these fields; a field that the plate does not list goes without its entry."""
        # Plain tuples: as keys and entries, thirteen fields would take longer to describe than all else in the task.
        fields = []
        for key in keys:
            entry = self._entries.get(key.of_field)
            listed = None if entry is None else (entry.path, entry.acquisition, entry.fault)
            fields.append((key.well.row, key.well.column, key.field, key.frame, listed))
        return pickle.dumps((self._job, fields), pickle.HIGHEST_PROTOCOL)


class Senders:
    """The senders of all jobs of a stream of tasks, each made once."""

    def __init__(self) -> None:
        self._by_id: dict[int, Sender] = {}

    def of(self, job: Job) -> Sender:
        """The sender of ``job``, known by identity: to compare two plates of thousands of fields takes long."""
        sender = self._by_id.get(id(job))
        if sender is None:
            sender = self._by_id[id(job)] = Sender(job)  # which keeps the job, so that no other has its id
        return sender


def unpack(parcel: bytes) -> tuple[Job, list[FieldKey]]:
    """Job and keys, in the order they were given, of a parcel; the job's plate lists these fields alone."""
    packed, fields = pickle.loads(parcel)
    job, keys, entries = _job(packed), [], {}
    for row, column, field, frame, listed in fields:
        keys.append(FieldKey(WellId(row, column), field, frame))
        if listed is not None:
            of_field = keys[-1].of_field
            entries[of_field] = FieldEntry(of_field, *listed)
    wells = tuple(sorted({key.well for key in keys}))
    plate = replace(job.plate, wells=wells, fields=tuple(entries[key] for key in sorted(entries)))
    return replace(job, plate=plate), keys


@lru_cache(maxsize=_PLATES_AT_ONCE)
def _job(packed: bytes) -> Job:
    """The job of a run, unpickled once per worker process and kept."""
    job = pickle.loads(packed)
    assert isinstance(job, Job)
    return job
