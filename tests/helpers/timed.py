"""What the tests of plates with time share: a run of one in this process, without workers."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterable
from pathlib import Path
from typing import Any

from hcs.config import Config
from hcs.field.whole import process_fields_here
from hcs.plate.keys import FieldKey
from hcs.run.link import link_fields
from hcs.run.plates import RunSummary
from hcs.run.prepare import Prepared, open_run, prepare
from hcs.run.run import conclude
from hcs.store.results.ledger import LedgerEntry

Choose = Callable[[tuple[FieldKey, ...]], Iterable[FieldKey]]


def measure_here(
    plate: Path, out: Path, *, plate_map: Path | None = None, choose: Choose = tuple, **settings: Any
) -> tuple[Prepared, tuple[LedgerEntry, ...]]:
    """What workers do in `hcs run` of a plate whose nuclei are 24 px wide, in this process: of the pending units those
    that ``choose`` names, in its order, and linking. Entries are those of fields with time."""
    config = Config.model_validate({"diameter_px": 24.0, "labels": "out", **settings})
    prepared = prepare(plate, out, config, plate_map_path=plate_map, wells=None, device="cpu")
    if prepared.pending:
        prepared = open_run(prepared, None)  # type: ignore[arg-type]  # with a given diameter no worker is asked
        chosen = list(choose(prepared.pending))
        if chosen:
            process_fields_here(prepared.job.for_fields(chosen), chosen)
    return prepared, link_fields(prepared)


def run_here(plate: Path, out: Path, **options: Any) -> RunSummary:
    """`measure_here`, and then tables and report."""
    started = time.time()
    prepared, _ = measure_here(plate, out, **options)
    return conclude(prepared, started)
