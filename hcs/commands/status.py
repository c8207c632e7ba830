"""`hcs status`: every expected well or field and what became of it."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from itertools import groupby

from hcs.plate.keys import FieldKey
from hcs.store.results.folder import Results
from hcs.store.results.ledger import LedgerEntry
from hcs.store.results.verify import field_faults


def status_lines(results: Results, *, by_field: bool = False) -> Iterator[str]:
    """A line for every expected well (or field), then one that counts them.

    A field whose part is missing or of another size than was written, or whose entry is damaged, is ``damaged``; what
    the files hold is not looked at (`hcs.store.results.verify`).
    """
    entries = _with_faults(results)
    frames = _frames_by_field(results)
    groups = (
        [(entry.field, [entry]) for entry in entries]
        if by_field
        else [(well, list(g)) for well, g in groupby(entries, key=lambda e: str(FieldKey.parse(e.field).well))]
    )
    counts: dict[str, int] = {}
    for name, group in groups:
        status, reason = combined(group)
        counts[status] = counts.get(status, 0) + 1
        nuclei = sum(entry.nuclei for entry in group)
        yield f"{name:<8} {status:<8} {nuclei:>7} nuclei  {_frames(group, frames)}{reason}".rstrip()
    what = "fields" if by_field else "wells"
    yield f"{len(groups)} {what}: " + ", ".join(f"{n} {status}" for status, n in sorted(counts.items()))
    if frames:
        every = [entry for of_field in frames.values() for entry in of_field]
        done, failed = sum(entry.done for entry in every), sum(entry.status == "failed" for entry in every)
        yield f"{len(every)} frames: {done} done, {failed} failed, {len(every) - done - failed} pending"
    counted = results.counted()
    later = sum(entry.done and entry.field not in counted for entry in entries) if counted else 0
    if later:
        yield f"{later} field(s) were finished after the tables were made; `hcs readout {results.folder}` counts them"


def _frames_by_field(results: Results) -> dict[str, list[LedgerEntry]]:
    """Entries of the frames of each field, of a plate with time."""
    found: dict[str, list[LedgerEntry]] = {}
    for entry in results.frame_entries():
        found.setdefault(str(FieldKey.parse(entry.field).of_field), []).append(entry)
    return found


def _frames(group: list[LedgerEntry], frames: dict[str, list[LedgerEntry]]) -> str:
    """How many frames of some fields are done; nothing of a field without time."""
    of_group = [frame for entry in group for frame in frames.get(entry.field, [])]
    return f"{sum(frame.done for frame in of_group)}/{len(of_group)} frames  " if of_group else ""


def combined(entries: list[LedgerEntry]) -> tuple[str, str]:
    """(status, reason) of a well from its fields: damaged if any is, failed if any failed, pending if any is, else ok,
    or empty."""
    for status in ("damaged", "failed", "pending"):
        hit = [e for e in entries if (e.status if not e.damaged else "damaged") == status]
        if hit:
            reasons = [f"{e.field}: {e.reason}" for e in hit if e.reason]
            return status, "; ".join(reasons)
    return ("ok" if any(e.status == "ok" for e in entries) else "empty"), ""


def unfinished(results: Results) -> tuple[LedgerEntry, ...]:
    """Entries of fields, and of frames of a field with time, without a result: failed, pending or damaged."""
    return tuple(e for e in (*_with_faults(results), *_frames_with_faults(results)) if not e.done)


def _with_faults(results: Results) -> tuple[LedgerEntry, ...]:
    """All entries, those of damaged fields as pending with the reason."""
    return _marked(results, results.entries())


def _frames_with_faults(results: Results) -> tuple[LedgerEntry, ...]:
    return _marked(results, results.frame_entries())


def _marked(results: Results, entries: tuple[LedgerEntry, ...]) -> tuple[LedgerEntry, ...]:
    faults = {str(fault.field): fault for fault in field_faults(results, entries)}
    return tuple(
        replace(entry, status="pending", nuclei=0, reason=str(faults[entry.field])) if entry.field in faults else entry
        for entry in entries
    )
