"""What travels with a task is small, whatever the plate, and says all that the worker needs."""

from __future__ import annotations

import pickle
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any, cast

import pytest

from hcs.commands.simulate import SimulationFiles
from hcs.config import Config
from hcs.engine import flow
from hcs.engine.parcel import Sender, Senders, unpack
from hcs.field.job import Job
from hcs.plate.keys import FieldKey, WellId
from hcs.run.diameter import settle_diameter
from hcs.run.prepare import prepare
from hcs.store.plate.reader import FieldEntry


class Recorder:
    """A stand-in for a client: what it would have sent, in bytes."""

    def __init__(self) -> None:
        self.sizes: list[int] = []

    def submit(self, function: Callable[..., Any], *arguments: Any, pure: bool, key: Any) -> None:
        assert not pure
        self.sizes.append(len(pickle.dumps((key, function, arguments))))

    def map(self, function: Callable[..., Any], keys: list[FieldKey], pure: bool) -> None:
        assert not pure
        self.sizes += [len(pickle.dumps((function, key))) for key in keys]


@pytest.fixture
def job(simulated: SimulationFiles, tmp_path: Path) -> Job:
    return prepare(simulated.plate, tmp_path / "r", Config(), plate_map_path=None, wells=None, device="cpu").job


def with_fields(job: Job, per_well: int) -> Job:
    """The job on a plate of 384 wells."""
    wells = tuple(WellId(row, column) for row in range(16) for column in range(24))
    keys = [FieldKey(well, field) for well in wells for field in range(per_well)]
    entries = tuple(FieldEntry(key, f"{key.well.row_name}/{key.well.column_name}/{key.field}") for key in keys)
    return replace(job, plate=replace(job.plate, wells=wells, fields=entries))


def keys_of(job: Job) -> list[FieldKey]:
    return [entry.key for entry in job.plate.fields]


def test_a_task_of_a_plate_of_thousands_of_fields_is_small_to_send(job: Job) -> None:
    large, client = with_fields(job, per_well=16), Recorder()
    sender = Sender(large)
    for count in (1, 13, 64):
        flow._submit(cast(Any, client), sender, keys_of(large)[5000 : 5000 + count], attempt=1)
    one, thirteen, most = client.sizes
    assert one < 4000
    assert thirteen - one < 13 * 50
    assert most < 8000


def test_looking_for_the_size_of_nuclei_sends_little(job: Job) -> None:
    large, client = with_fields(job, per_well=16), Recorder()
    settle_diameter(cast(Any, client), large, tuple(keys_of(large)))
    assert len(client.sizes) == 6
    assert max(client.sizes) < 5000


def test_a_parcel_holds_the_job_for_its_fields_in_their_order(job: Job) -> None:
    first, *_, last = keys_of(job)
    found, keys = unpack(Sender(job).parcel([last, first]))
    assert keys == [last, first]
    assert found == job.for_fields(keys)


def test_a_field_that_the_plate_does_not_list_stays_unlisted(job: Job) -> None:
    stranger = FieldKey(WellId(7, 7), 3)
    faulty = FieldEntry(job.plate.fields[0].key, "A/01", acquisition=2, fault="broken")
    job = replace(job, plate=replace(job.plate, fields=(faulty, *job.plate.fields[1:])))
    found, keys = unpack(Sender(job).parcel([faulty.key, stranger]))
    assert keys == [faulty.key, stranger]
    assert found.plate.fields == (faulty,)


def test_a_job_is_described_once_and_read_once(job: Job) -> None:
    senders = Senders()
    assert senders.of(job) is senders.of(job)
    other = replace(job, out=f"{job.out}-other")
    assert senders.of(other).run != senders.of(job).run
    one, two = (unpack(senders.of(job).parcel([key]))[0] for key in keys_of(job)[:2])
    assert one.config is two.config
    assert unpack(senders.of(other).parcel(keys_of(job)[:1]))[0].out == other.out
