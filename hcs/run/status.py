"""`hcs status`: every expected well or field and what became of it."""

from __future__ import annotations

from collections.abc import Iterator
from itertools import groupby

from hcs.plate.keys import FieldKey
from hcs.store.ledger import LedgerEntry
from hcs.store.results import Results


def status_lines(results: Results, *, by_field: bool = False) -> Iterator[str]:
    """A line for every expected well (or field), then one that counts them."""
    entries = results.entries()
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
        yield f"{name:<8} {status:<8} {nuclei:>7} nuclei  {reason}".rstrip()
    what = "fields" if by_field else "wells"
    yield f"{len(groups)} {what}: " + ", ".join(f"{n} {status}" for status, n in sorted(counts.items()))


def combined(entries: list[LedgerEntry]) -> tuple[str, str]:
    """(status, reason) of a well from its fields: failed if any failed, pending if any is, else ok, or empty."""
    for status in ("failed", "pending"):
        hit = [e for e in entries if e.status == status]
        if hit:
            reasons = [f"{e.field}: {e.reason}" for e in hit if e.reason]
            return status, "; ".join(reasons)
    return ("ok" if any(e.status == "ok" for e in entries) else "empty"), ""


def unfinished(results: Results) -> tuple[LedgerEntry, ...]:
    """Entries of fields without a result: failed or pending."""
    return tuple(e for e in results.entries() if not e.done)
