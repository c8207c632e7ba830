"""Linking the frames of every field: the second unit of work of a plate with time, on workers or here.

Alone in a file because a run, each of many plates, and a run that was stopped before it linked anything all do it.
"""

from __future__ import annotations

from functools import partial

from hcs.run.pictures import Begun, Submit
from hcs.run.prepare import Prepared
from hcs.store.results.ledger import LedgerEntry, read_ledger


def link_fields(prepared: Prepared, submit: Submit | None = None) -> tuple[LedgerEntry, ...]:
    """Link the fields whose frames are all done, and say what the ledger then has of every field; nothing on a plate
    without time. ``submit`` gives workers the work; what they do not do is done here."""
    record, job = prepared.record, prepared.job
    if record.time is None:
        return ()
    from hcs.field.link import link_field  # noqa: PLC0415  scipy's trees and graphs, for which other plates need not wait

    begun: list[Begun] = []
    for key in record.keys:
        frames = record.frames(key)
        if not frames:
            continue
        call = partial(link_field, job.for_field(key), key, frames)
        if submit is None:
            call()
        else:
            begun.append((call, submit(call)))
    for again, pending in begun:
        try:
            pending.result()
        except Exception:  # whatever became of the worker; what cannot be written cannot be written here either
            again()
    return read_ledger(prepared.out, record.keys, record.run_id)
