"""Where a run's time went: seconds and bytes by stage, per worker and in all, from the ledger's entries."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Collection, Iterable
from dataclasses import dataclass, field
from typing import Any

from hcs.plate.keys import FieldKey
from hcs.store.results.ledger import LedgerEntry

STAGES = (
    *("start", "read", "decode", "correct", "normalise", "upload", "infer", "stitch", "instances", "download", "cells"),
    *("measure", "quality", "write labels", "write table", "wait"),
)
"""In the order in which a field goes through them; ``start`` loads the model, ``wait`` is explained at `Account`."""
BESIDE = frozenset({"read", "decode", "write labels", "write table"})
"""Stages that run in threads beside the one that computes, in a worker on the CPU."""
_BESIDE_A_GPU = BESIDE | {"measure", "quality"}
_NAMES = {"infer": "network", "write table": "write Parquet"}


def remark_lines(entries: Iterable[LedgerEntry]) -> tuple[str, ...]:
    """What is to be said of fields that are done, a sentence each; frames of a field that one thing is to be said of
    are named together."""
    frames: dict[tuple[str, str], list[str]] = {}
    for entry in entries:
        if entry.done and entry.reason:
            key = FieldKey.parse(entry.field)
            frames.setdefault((str(key.of_field), entry.reason), []).append(str(key.frame) if key.is_frame else "")
    said = []
    for (field_name, reason), numbers in frames.items():
        if len(numbers) == 1:
            place = "/".join(filter(None, (field_name, numbers[0])))
        else:
            place = f"{field_name}, {len(numbers)} frames from {numbers[0]} to {numbers[-1]}"
        said.append(f"Field {place}: {reason}.")
    return tuple(said)


def beside(stages: Collection[str]) -> frozenset[str]:
    """Which stages run in threads beside the one that computes, or that drives the GPU, in an account of ``stages``."""
    return _BESIDE_A_GPU if "upload" in stages else BESIDE


@dataclass(slots=True)
class Account:
    """Of one worker, or of all together.

    ``wait`` is the time in which a worker computed nothing: from its first field's beginning to the end of the last
    field of all workers on its host, less all stages but reading, decoding and writing, which run beside. So time for
    these that is not hidden behind the computing is in ``wait`` as well as in their own stages.
    """

    fields: int = 0
    seconds: defaultdict[str, float] = field(default_factory=lambda: defaultdict(float))
    bytes: defaultdict[str, int] = field(default_factory=lambda: defaultdict(int))
    began: float = float("inf")
    ended: float = 0.0

    @property
    def computing_s(self) -> float:
        """Time of the stages that do not run beside."""
        hidden = beside(self.seconds)
        return sum(s for stage, s in self.seconds.items() if stage not in hidden and stage != "wait")

    def add(self, other: LedgerEntry | Account) -> None:
        """Count one field, or all of another account."""
        self.fields += other.fields if isinstance(other, Account) else 1
        for stage, seconds in other.seconds.items():
            self.seconds[stage] += seconds
        for stage, count in other.bytes.items():
            self.bytes[stage] += count
        self.began, self.ended = min(self.began, other.began), max(self.ended, other.ended)

    def plain(self) -> dict[str, Any]:
        """For ``run.json``: fields, and for every stage seconds and MB handed on."""
        known = [stage for stage in (*STAGES, *self.seconds) if stage in self.seconds]
        stages = {
            stage: {"s": round(self.seconds[stage], 3), "mb": round(self.bytes[stage] / 1e6, 2)}
            for stage in dict.fromkeys(known)
        }
        return {"fields": self.fields, "stages": stages}


def by_worker(entries: Iterable[LedgerEntry], *, since: float = 0.0) -> dict[str, Account]:
    """Worker → account of the fields that it began at or after ``since``; what several did counts to worker ''."""
    found: dict[str, Account] = {}
    for entry in entries:
        if entry.seconds and (not entry.worker or entry.began >= since):
            found.setdefault(entry.worker, Account()).add(entry)
    ends: dict[str, float] = {}
    for name, account in found.items():
        host = name.partition(":")[0]
        ends[host] = max(ends.get(host, 0.0), account.ended)
    for name, account in found.items():
        if name:
            wall_s = ends[name.partition(":")[0]] - account.began
            account.seconds["wait"] = max(wall_s - account.computing_s, 0.0)
    return dict(sorted(found.items()))


def together(accounts: dict[str, Account]) -> Account:
    """One account of all workers."""
    total = Account()
    for account in accounts.values():
        total.add(account)
    return total


def plain_account(entries: Iterable[LedgerEntry], *, since: float) -> dict[str, Any]:
    """For ``run.json``: `Account.plain` of all workers and of each."""
    accounts = by_worker(entries, since=since)
    return {"all": together(accounts).plain(), "workers": {name: a.plain() for name, a in accounts.items() if name}}


def account_line(entries: Iterable[LedgerEntry], *, since: float) -> str:
    """One sentence on where the time went; empty where no field was processed.

    Shares are of the workers' time; what runs beside the computing is told apart.
    """
    accounts = by_worker(entries, since=since)
    total = together(accounts)
    whole = total.computing_s + total.seconds["wait"]
    if whole <= 0:
        return ""
    aside = beside(total.seconds)
    shown = [stage for stage in (*STAGES, *total.seconds) if stage in total.seconds and stage not in aside]
    shares = {stage: total.seconds[stage] / whole for stage in dict.fromkeys(shown)}
    parts = [f"{_NAMES.get(stage, stage)} {share:.0%}" for stage, share in shares.items() if share >= 0.005]
    hidden = {stage: total.seconds[stage] / whole for stage in STAGES if stage in aside and stage in total.seconds}
    threads = [f"{_NAMES.get(stage, stage)} {share:.0%}" for stage, share in hidden.items()]
    workers = sum(bool(name) for name in accounts)
    who = f"{workers} worker{'s' * (workers != 1)}" if workers else "all workers"
    sentence = f"Time of {who}, {whole:.0f} s: {', '.join(parts)}"
    if threads:
        sentence += f"; beside that {', '.join(threads)}"
    if total.bytes["read"]:  # bytes of blocks are not counted
        written = total.bytes["write labels"] + total.bytes["write table"]
        sentence += f"; {total.bytes['read'] / 1e6:,.0f} MB read, {written / 1e6:,.0f} MB written"
    return f"{sentence}."
