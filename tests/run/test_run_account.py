"""Where a run's time went, from entries with known times; and how many fields a task has."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any, ClassVar, cast

import pytest
from helpers.run import Finished

import hcs
from hcs.clock import Stopwatch
from hcs.engine.cluster import crowding
from hcs.engine.portions import FieldTask, Portions
from hcs.field.job import Job
from hcs.plate.keys import FieldKey, WellId
from hcs.run.account import STAGES, account_line, by_worker, plain_account, together
from hcs.store.results.ledger import LedgerEntry

READ, WRITE = {"read": 1.0, "decode": 0.5}, {"write labels": 0.25}


def entry(field: str, worker: str, began: float, ended: float, infer_s: float) -> LedgerEntry:
    seconds = READ | {"infer": infer_s, "measure": 1.0} | WRITE
    return LedgerEntry(
        field=field, status="ok", seconds=seconds, bytes={"read": 2_000_000}, worker=worker, began=began, ended=ended
    )


ENTRIES = (
    entry("A01/0", "host:1", 100.0, 110.0, 6.0),
    entry("A02/0", "host:1", 108.0, 118.0, 8.0),
    entry("A03/0", "host:2", 104.0, 120.0, 9.0),
    LedgerEntry(field="A04/0", status="failed", reason="broken"),
)


def test_wait_is_what_is_left_of_a_workers_time_on_its_host() -> None:
    accounts = by_worker(ENTRIES)
    # Worker 1 began at 100 and the last field of its host ended at 120; it computed 6 + 1 + 8 + 1 s.
    assert accounts["host:1"].seconds["wait"] == pytest.approx(20 - 16)
    assert accounts["host:2"].seconds["wait"] == pytest.approx(16 - 10)
    assert [a.fields for a in accounts.values()] == [2, 1]


def test_all_workers_add_up() -> None:
    total = together(by_worker(ENTRIES))
    assert total.seconds["infer"] == 23
    assert total.bytes["read"] == 6_000_000
    plain = plain_account(ENTRIES, since=0.0)
    assert plain["all"]["stages"]["read"] == {"s": 3.0, "mb": 6.0}
    assert list(plain["all"]["stages"]) == ["read", "decode", "infer", "measure", "write labels", "wait"]
    assert set(plain["workers"]) == {"host:1", "host:2"}


def test_fields_of_earlier_sessions_do_not_count() -> None:
    assert {name: a.fields for name, a in by_worker(ENTRIES, since=105.0).items()} == {"host:1": 1}


def test_a_field_that_several_workers_did_counts_to_none_and_waits_for_none() -> None:
    blocks = LedgerEntry(field="B01/0", status="ok", seconds={"infer": 5.0})
    accounts = by_worker([blocks])
    assert "wait" not in accounts[""].seconds
    assert plain_account([blocks], since=0.0)["workers"] == {}
    assert account_line([blocks], since=0.0) == "Time of all workers, 5 s: network 100%."


def test_the_line_tells_shares_of_the_workers_time() -> None:
    # 23 s network, 3 s measure, 10 s wait: 36 s in all.
    line = account_line(ENTRIES, since=0.0)
    assert line.startswith("Time of 2 workers, 36 s: network 64%, measure 8%, wait 28%; beside that read 8%")
    assert line.endswith("6 MB read, 0 MB written.")
    assert account_line(ENTRIES[3:], since=0.0) == ""


def test_a_stopwatch_books_laps_and_what_others_took() -> None:
    clock, other = Stopwatch(), Stopwatch()
    clock.lap("read", 10)
    clock.lap("read", 5)
    other.book("write", 2.0)
    clock.add(other)
    assert clock.bytes == {"read": 15}
    assert clock.seconds["write"] == 2.0
    assert clock.seconds["read"] >= 0


JOBS = tuple(cast(Job, object()) for _ in range(2))


def tasks(count: int, job: Job) -> Iterator[FieldTask]:
    return ((job, FieldKey(WellId(0, 0), i)) for i in range(count))


def timed(seconds: float) -> LedgerEntry:
    return LedgerEntry(field="A01/0", status="ok", seconds={"infer": seconds, "start": 60.0})


def test_portions_hold_every_field_once_and_shrink_to_the_end() -> None:
    portions = Portions(tasks(200, JOBS[0]))
    first = portions.take(workers=2)
    assert len(first) == 2  # no field's time is known yet
    portions.learn(timed(0.25))
    sizes, seen = [], [key.field for _, key in first]
    while portion := portions.take(workers=2):
        sizes.append(len(portion))
        seen += [key.field for _, key in portion]
    assert seen == list(range(200))
    assert sizes[0] == 32  # 8 s of fields
    assert sizes == sorted(sizes, reverse=True)
    assert sizes[-1] == 1


def test_slow_fields_go_in_twos_so_that_reading_overlaps() -> None:
    portions = Portions(tasks(100, JOBS[0]))
    portions.learn(timed(30.0))
    assert len(portions.take(workers=4)) == 2


def test_a_worker_by_itself_has_whole_portions_to_the_end() -> None:
    portions = Portions(tasks(100, JOBS[0]))
    portions.learn(timed(0.25))
    assert [len(portions.take(workers=1)) for _ in range(5)] == [32, 32, 32, 4, 0]


def test_few_fields_are_shared_out_evenly() -> None:
    portions = Portions(tasks(6, JOBS[0]))
    portions.learn(timed(0.1))
    assert [len(portions.take(workers=2)) for _ in range(6)] == [1] * 6


def test_a_portion_is_of_one_plate() -> None:
    both = [*tasks(40, JOBS[0]), *tasks(40, JOBS[1])]
    portions = Portions(both)
    portions.learn(timed(0.1))
    taken = []
    while portion := portions.take(workers=1):
        assert len({id(job) for job, _ in portion}) == 1
        taken += portion
    assert taken == both


def test_a_run_keeps_its_account_and_says_it_in_one_line(finished: Finished) -> None:
    account = hcs.open_results(finished.out).record.account
    assert account is not None
    assert account["all"]["fields"] == 6
    assert sum(worker["fields"] for worker in account["workers"].values()) == 6
    assert set(account["all"]["stages"]) == set(STAGES) - {"correct", "upload", "download", "cells"}
    for stage in ("read", "decode", "infer", "write labels", "write table"):
        assert account["all"]["stages"][stage]["s"] > 0
        assert account["all"]["stages"][stage]["mb"] > 0
    assert "Time of " in finished.shown.out
    assert "MB written." in finished.shown.out


class TwoHosts:
    """A stand-in for a client: one host of four cores with three workers, one of two cores with two of two threads."""

    workers: ClassVar = {
        **{f"tcp://a:{i}": {"host": "a", "nthreads": 1} for i in range(3)},
        **{f"tcp://b:{i}": {"host": "b", "nthreads": 2} for i in range(2)},
    }

    def scheduler_info(self, n_workers: int) -> dict[str, Any]:
        assert n_workers == -1  # all of them, not the first five
        return {"workers": self.workers}

    def run(self, _: object, on_error: str) -> dict[str, int]:
        assert on_error == "ignore"
        return {address: 4 if worker["host"] == "a" else 2 for address, worker in self.workers.items()}


def test_more_threads_than_cores_are_told() -> None:
    (sentence,) = crowding(cast(Any, TwoHosts()))
    assert sentence.startswith("2 workers with 4 threads share 2 cores of b:")
