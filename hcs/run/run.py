"""`hcs run`: a plate over workers into a results folder, resumable at any moment."""

from __future__ import annotations

import time
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from hcs.config import Config
from hcs.errors import HcsError
from hcs.plate.keys import FieldKey
from hcs.run.cluster import Workers, connect
from hcs.run.finish import finish
from hcs.run.job import Job
from hcs.run.plan import (
    check_plate_map,
    check_readouts,
    check_resumable,
    check_same_pixels,
    expected_fields,
    identity,
    plain_model,
    provenance,
    settle_channels,
)
from hcs.run.progress import Progress
from hcs.run.worker import process_field
from hcs.store.atomic import write_json
from hcs.store.labels import prepare_label_plate
from hcs.store.ledger import LedgerEntry, is_finished, read_ledger, write_entry
from hcs.store.models import find_model
from hcs.store.plate import open_plate
from hcs.store.platemap import read_plate_map, write_plate_map

if TYPE_CHECKING:
    from distributed import Client

    from hcs.readout.readouts import Readouts

_IN_FLIGHT_PER_WORKER = 4


@dataclass(frozen=True, slots=True)
class RunSummary:
    """How a run ended: every expected field's entry, the readouts, sentences worth saying."""

    out: Path
    entries: tuple[LedgerEntry, ...]
    readouts: Readouts
    notes: tuple[str, ...]

    @property
    def failed(self) -> tuple[LedgerEntry, ...]:
        """Fields without a result."""
        return tuple(entry for entry in self.entries if not entry.done)


def run_plate(
    plate_path: str,
    out: Path,
    config: Config,
    *,
    plate_map_path: Path | None = None,
    wells: str | None = None,
    workers: Workers | None = None,
) -> RunSummary:
    """Process the plate's fields that ``out`` does not hold yet, then make all readouts.

    Everything that can be known to be wrong raises (ConfigError, PlateError, ResultsError) before anything is
    written. A field that fails is entered in the ledger with its reason, and the others go on.
    """
    workers = workers or Workers()
    plate = open_plate(str(Path(plate_path).absolute()))
    plate_map = read_plate_map(plate_map_path) if plate_map_path is not None else None
    notes = check_plate_map(plate_map, plate)
    keys = expected_fields(plate, wells)
    channels = settle_channels(plate, config.channels, keys)
    model = find_model(config.model)
    out = out.absolute()
    wanted = identity(plate, keys, config, model, plate_map)
    resumed = check_resumable(out, wanted)
    if resumed:
        check_same_pixels(out, plate, keys, config)
    job = Job(
        plate=plate,
        out=str(out),
        config=config,
        channels=channels,
        model=model,
        device=workers.device,
        labels=config.labels,
    )
    check_readouts(keys, channels, plate_map, config.readout)
    pending = tuple(key for key in keys if not (resumed and is_finished(out, plate.name, key)))
    record: dict[str, Any] = {
        "identity": wanted,
        "plate_path": plate.path,
        "channels": {
            "names": list(channels.names),
            "dna": channels.names[channels.dna],
            "sensor": None if channels.sensor is None else channels.names[channels.sensor],
            "nuclei": channels.names[channels.nuclei],
        },
        "model": plain_model(model),
        "fields": [str(key) for key in keys],
        **provenance(workers.device),
    }
    started = time.time()
    if pending:
        if config.labels == "plate":
            prepare_label_plate(plate.path, plate)  # a read-only plate is better known now than after the first field
        with connect(workers) as client:
            _open_folder(out, job, record, plate_map)
            _process_all(client, job, pending, done=len(keys) - len(pending))
    entries = read_ledger(out, keys)
    write_json(out / "run.json", record | {"times": _times(started, entries, n_fields=len(pending))})
    remarks = tuple(f"Field {e.field}: {e.reason}." for e in entries if e.done and e.reason)
    return RunSummary(out, entries, finish(out), notes + remarks)


def _open_folder(out: Path, job: Job, record: dict[str, Any], plate_map: Any) -> None:
    """Write what must be there before the first field: the record, the plate map, the label groups.

    The record comes first, because it is what tells a folder of this run from a stranger's; a run that goes on does all
    of it again, because it may have been stopped in between.
    """
    write_json(out / "run.json", record)
    if plate_map is not None:
        write_plate_map(out / "platemap.csv", plate_map)
    if job.labels == "out":
        prepare_label_plate(str(out / "labels.zarr"), job.plate)


def _process_all(client: Client, job: Job, keys: tuple[FieldKey, ...], *, done: int) -> None:
    """Have the workers process ``keys``; entries are written by the workers, or here for fields whose worker died."""
    progress = Progress(dict(Counter(str(key.well) for key in keys)), done)
    try:
        for entry in _entries(client, job, keys):
            progress.advance(entry)
    finally:
        progress.finish()


def _entries(client: Client, job: Job, keys: tuple[FieldKey, ...]) -> Iterator[LedgerEntry]:
    """Entries as fields finish. Only a few fields a worker are in flight, so a plate of any size costs the client the
    same."""
    from distributed import as_completed  # noqa: PLC0415

    waiting = iter(keys)
    key_of: dict[Any, FieldKey] = {}

    def submit() -> Any:
        key = next(waiting, None)
        if key is None:
            return None
        future = client.submit(process_field, job, key, pure=False, key=f"hcs-{job.plate.name}-{key}")
        key_of[future] = key
        return future

    n_workers = max(1, len(client.scheduler_info(n_workers=-1)["workers"]))
    first = [f for f in (submit() for _ in range(_IN_FLIGHT_PER_WORKER * n_workers)) if f is not None]
    running = as_completed(first)
    for future in running:
        yield _entry_of(future, job, key_of.pop(future))
        following = submit()
        if following is not None:
            running.add(following)


def _entry_of(future: Any, job: Job, key: FieldKey) -> LedgerEntry:
    """The entry that a worker returned, or a failed one where the field took its worker down."""
    from distributed import KilledWorker  # noqa: PLC0415

    error = future.exception()
    if error is None:
        entry: LedgerEntry = future.result()
        return entry
    if isinstance(error, HcsError):
        raise error
    reason = "its worker died repeatedly, most likely out of memory; use fewer workers or smaller tiles.size_px"
    if not isinstance(error, KilledWorker):
        reason = f"{type(error).__name__}: {error}"
    entry = LedgerEntry(field=str(key), status="failed", reason=reason)
    write_entry(Path(job.out), entry)
    return entry


def _times(started: float, entries: tuple[LedgerEntry, ...], *, n_fields: int) -> dict[str, Any]:
    """When the last session began and how long it took, and worker seconds by stage over all fields."""
    stages: Counter[str] = Counter()
    for entry in entries:
        stages.update(entry.seconds)
    return {
        "started": time.strftime("%Y-%m-%dT%H:%M:%S%z", time.localtime(started)),
        "wall_s": round(time.time() - started, 2),
        "fields_this_session": n_fields,
        "worker_s_by_stage": {stage: round(s, 2) for stage, s in stages.items()},
    }
