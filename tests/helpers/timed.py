"""What the tests of plates with time share: a run of one in this process, without workers."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterable
from pathlib import Path
from typing import Any

from hcs.config import Config
from hcs.field.whole import process_fields_here
from hcs.plate.keys import FieldKey
from hcs.run.prepare import Prepared, open_run, prepare
from hcs.run.run import RunSummary, conclude

Choose = Callable[[tuple[FieldKey, ...]], Iterable[FieldKey]]


def run_here(
    plate: Path, out: Path, *, plate_map: Path | None = None, choose: Choose = tuple, **settings: Any
) -> RunSummary:
    """`hcs run` of a plate whose nuclei are 24 px wide, in this process; of the pending units those that ``choose``
    names, in its order."""
    config = Config.model_validate({"diameter_px": 24.0, "labels": "out", **settings})
    prepared: Prepared = prepare(plate, out, config, plate_map_path=plate_map, wells=None, device="cpu")
    started = time.time()
    if prepared.pending:
        prepared = open_run(prepared, None)  # type: ignore[arg-type]  with a given diameter no worker is asked
        chosen = list(choose(prepared.pending))
        if chosen:
            process_fields_here(prepared.job.for_fields(chosen), chosen)
    return conclude(prepared, started)
