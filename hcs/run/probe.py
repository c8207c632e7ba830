"""`hcs plan`: a plate looked at and a few of its fields processed into a temporary folder; the plate is not written
to."""

from __future__ import annotations

import resource
import tempfile
import time
from collections import Counter
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from hcs.config import Config
from hcs.errors import FieldError, PlateError, ResultsError
from hcs.plate.keys import FieldKey
from hcs.run.cluster import Workers, connect, cores, count_gpus
from hcs.run.flow import process_fields
from hcs.run.forecast import Forecast, Probe, forecast, one_field_s
from hcs.run.job import Job
from hcs.run.large import is_large, look_at
from hcs.run.plan import map_lines
from hcs.run.prepare import Prepared, open_run, prepare
from hcs.run.rehearsal import time_finish
from hcs.run.storage import storage_advice
from hcs.run.worker import segmenter_of
from hcs.store.field import FieldInfo
from hcs.store.ledger import LedgerEntry
from hcs.store.location import Location, location
from hcs.store.nodes import METADATA_FILES
from hcs.store.plate import read_info
from hcs.store.table import part_path
from hcs.tiles.memory import field_bytes

if TYPE_CHECKING:
    from distributed import Client

_FEWEST_PER_WORKER, _MOST_PER_WORKER = 3, 40
_ENOUGH_S = 10.0
"""Fields are timed for this long, within the numbers above: small ones are many, so that their mean is known."""
_GOLDEN = (5**0.5 - 1) / 2


@dataclass(frozen=True, slots=True, kw_only=True)
class PlatePlan:
    """What is known of a plate before it is run."""

    name: str
    forecast: Forecast
    probe: Probe
    notes: tuple[str, ...]
    """What is odd about plate, plate map and storage, and what to do about it."""


def plan_plate(
    plate_path: str | Location,
    config: Config,
    *,
    plate_map_path: Location | None = None,
    wells: str | None = None,
    workers: Workers | None = None,
    launch_s: float = 0.0,
    say: Callable[[str], None] = lambda _: None,
) -> PlatePlan:
    """Check everything about a run that can be checked, process a few fields, and project to the whole plate.

    Labels and tables go to a temporary folder. More workers than this machine has cores or GPUs are measured with as
    many as it has. ``launch_s`` is the time from a command's start to here, which a run takes as well. Raises as
    `hcs run` would, and PlateError where none of the fields tried can be processed.
    """
    workers = workers or Workers()
    probed = config if config.labels == "none" else config.override(labels="out")
    with tempfile.TemporaryDirectory(prefix="hcs-plan-") as folder:
        out = Path(folder) / "results"
        began = time.perf_counter()
        prepared = prepare(plate_path, out, probed, plate_map_path=plate_map_path, wells=wells, device=workers.device)
        launch_s += time.perf_counter() - began
        for line in map_lines(prepared.plate_map):
            say(line)
        infos, faults = _read_infos(prepared)
        for line in prepared.lines():
            say(line)
        probe = _probe(prepared, infos, _at_hand(workers))
        probe = replace(probe, start_s=probe.start_s + launch_s)
        notes = (
            *prepared.notes,
            *_labels_in_the_way(prepared, config),
            *_mixed(infos),
            *faults,
            *storage_advice(infos.values()),
        )
    found = forecast(
        probe, fields=len(prepared.keys), workers=workers.count or probe.workers, gpu=workers.device == "cuda"
    )
    return PlatePlan(name=prepared.job.plate.name, forecast=found, probe=probe, notes=notes)


def process_age_s() -> float:
    """Seconds since this process began."""
    import psutil  # noqa: PLC0415

    return time.time() - float(psutil.Process().create_time())


def _at_hand(workers: Workers) -> Workers:
    """The workers asked for, as far as this machine has cores or GPUs for them."""
    if workers.scheduler is not None:
        return workers
    most = cores() if workers.device == "cpu" else count_gpus()
    return replace(workers, count=min(workers.count or most, most))


def _read_infos(prepared: Prepared) -> tuple[dict[FieldKey, FieldInfo], tuple[str, ...]]:
    """Metadata of every field, and sentences on fields without."""
    infos, faults = {}, []
    for key in prepared.keys:
        try:
            infos[key] = read_info(prepared.job.plate, key)
        except FieldError as error:
            faults.append(f"{error}; it will fail.")
    if not infos:
        raise PlateError(f"{prepared.job.plate.path}: not one field can be read ({faults[0]})")
    return infos, tuple(faults)


def _labels_in_the_way(prepared: Prepared, config: Config) -> tuple[str, ...]:
    """A sentence where the plate has labels that a run would refuse to write over."""
    plate = prepared.job.plate
    if config.labels != "plate" or prepared.job.labels is None:
        return ()
    try:
        replace(prepared.job.labels, path=plate.path, in_plate=True).survey(plate.only(*prepared.keys).fields)
    except ResultsError as error:
        return (f"A run refuses this: {error}.",)
    return ()


def _mixed(infos: dict[FieldKey, FieldInfo]) -> tuple[str, ...]:
    """Sentences on fields that are not as most; channels are told of before, by the run's own choices."""
    sentences = []
    for what in ("shape", "dtype", "pixel_size_um"):
        usual = Counter(getattr(info, what) for info in infos.values()).most_common(1)[0][0]
        others = [str(key) for key, info in infos.items() if getattr(info, what) != usual]
        if others:
            some = ", ".join(others[:5]) + (", …" if len(others) > 5 else "")
            sentences.append(
                f"{len(others)} field(s) differ from the others in {what} ({some}): the forecast is rough."
            )
    return tuple(sentences)


def _probe(prepared: Prepared, infos: dict[FieldKey, FieldInfo], workers: Workers) -> Probe:
    """Process fields that are evenly spread over the plate: one a worker to warm up, then some with the clock."""
    began = time.perf_counter()
    with connect(workers) as client:
        count = sum(worker["nthreads"] for worker in client.scheduler_info(n_workers=-1)["workers"].values())
        connected_s = time.perf_counter() - began
        began = time.perf_counter()
        prepared = open_run(prepared, client)
        settle_s = time.perf_counter() - began
        keys = _spread(tuple(infos), count * (1 + _MOST_PER_WORKER))
        warm, rest = keys[:count], keys[count:] or keys
        first, warm_s = _timed(client, prepared.job, warm)
        entries, timed_s = _timed(client, prepared.job, _for_a_while(rest, at_least=count * _FEWEST_PER_WORKER))
        peak = max(client.run(peak_bytes).values())
        projected = client.submit(projected_bytes, prepared.job.for_field(rest[0]), rest[0], pure=False).result()
        done = [entry for entry in (*first, *entries) if entry.done]
        if not done:
            reason = first[0].reason
            raise PlateError(f"{prepared.job.plate.path}: of the fields tried none can be processed ({reason})")
        finish_s, fixed_files = time_finish(prepared, done, submit=partial(client.submit, pure=False))
    field_s = one_field_s(timed_s, fields=len(entries), workers=count)
    sizes, files = _written(prepared, [FieldKey.parse(entry.field) for entry in done])
    return Probe(
        workers=count,
        start_s=connected_s + max(warm_s - field_s, 0.0),
        settle_s=settle_s,
        field_s=field_s,
        finish_s=finish_s,
        read_bytes=float(np.mean([_stored_bytes(prepared, infos[FieldKey.parse(entry.field)]) for entry in done])),
        written_bytes=sizes,
        written_files=files,
        fixed_files=fixed_files,
        worker_bytes=peak,
        projected_bytes=projected,
        nuclei=float(np.mean([entry.nuclei for entry in done])),
    )


def _spread(keys: tuple[FieldKey, ...], count: int) -> tuple[FieldKey, ...]:
    """Up to ``count`` keys, in an order whose every beginning is evenly spread over the plate."""
    return tuple(keys[i] for i in sorted(range(len(keys)), key=lambda i: i * _GOLDEN % 1.0)[:count])


def _for_a_while(keys: tuple[FieldKey, ...], *, at_least: int) -> Iterator[FieldKey]:
    """Keys until `_ENOUGH_S` have passed, and at least so many."""
    began = time.perf_counter()
    for i, key in enumerate(keys):
        if i >= at_least and time.perf_counter() - began > _ENOUGH_S:
            return
        yield key


def _timed(client: Client, job: Job, keys: Iterable[FieldKey]) -> tuple[list[LedgerEntry], float]:
    began = time.perf_counter()
    entries = [outcome.entry for outcome in process_fields(client, ((job, key) for key in keys))]
    return entries, time.perf_counter() - began


def peak_bytes() -> int:
    """Most memory that this process has had. Runs in a worker."""
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024


def projected_bytes(job: Job, key: FieldKey) -> int:
    """Memory that a worker needs for a field like this one. Runs in a worker."""
    info = read_info(job.plate, key)
    segmenter = segmenter_of(job.model, job.device, flips=job.config.flips)
    if is_large(info, job.config):
        return look_at(info, job, key, segmenter).projected_bytes
    specs = [network.spec for network in segmenter.networks]
    return field_bytes(
        (info.shape[1], info.shape[2]),
        channels=info.shape[0],
        itemsize=info.dtype.itemsize,
        classes=max(spec.classes for spec in specs),
        width=max(spec.widths[0] for spec in specs),
        scale=job.scale,
        tile_px=job.config.tiles.size_px,
        halo_px=max(spec.receptive_radius_px for spec in specs),
    )


def _stored_bytes(prepared: Prepared, info: FieldInfo) -> int:
    """Bytes of a field's chunks at full resolution; those of a plate on a web server are not known, and count as
    decoded."""
    array = location(prepared.job.plate.path) / info.level_path
    if isinstance(array, Path):
        return sum(p.stat().st_size for p in array.rglob("*") if p.is_file() and p.name not in METADATA_FILES)
    if array.is_web:
        return int(np.prod(info.shape)) * info.z_size * info.dtype.itemsize
    return sum(size for name, size in array.files().items() if name.rpartition("/")[2] not in METADATA_FILES)


def _written(prepared: Prepared, keys: list[FieldKey]) -> tuple[float, float]:
    """Mean bytes and files that the fields ``keys`` left in the results folder."""
    out = Path(str(prepared.out))
    paths = [out / "ledger" / f"{key.well}_{key.field:04d}.json" for key in keys]
    paths += [Path(str(part_path(out, prepared.job.plate.name, key))) for key in keys]
    for key in keys:
        folder = out / "labels.zarr" / key.well.row_name / key.well.column_name / str(key.field)
        paths += [path for path in folder.rglob("*") if path.is_file()]
    return sum(path.stat().st_size for path in paths) / len(keys), len(paths) / len(keys)
