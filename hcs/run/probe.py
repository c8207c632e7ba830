"""`hcs plan`: a plate looked at and a few of its fields processed into a temporary folder; the plate is not written
to."""

from __future__ import annotations

import resource
import tempfile
import time
from collections.abc import Callable, Iterable
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from hcs.config import Config
from hcs.errors import FieldError, PlateError
from hcs.plate.keys import FieldKey
from hcs.run.cluster import Workers, connect, cores
from hcs.run.finish import finish
from hcs.run.flow import process_fields
from hcs.run.forecast import Forecast, Probe, forecast
from hcs.run.job import Job
from hcs.run.large import is_large, look_at
from hcs.run.prepare import Prepared, open_run, prepare
from hcs.run.storage import storage_advice
from hcs.run.worker import segmenter_of
from hcs.store.field import FieldInfo
from hcs.store.ledger import LedgerEntry, write_entry
from hcs.store.location import Location, location
from hcs.store.nodes import METADATA_FILES
from hcs.store.parts import read_parts
from hcs.store.plate import read_info
from hcs.store.table import part_path, write_part
from hcs.tiles.memory import field_bytes

if TYPE_CHECKING:
    from distributed import Client

_FIELDS_PER_WORKER = 3
_MOST_REPEATED = 2000
_PARTITION_COLUMNS = ("Metadata_Plate", "Metadata_Well", "Metadata_Site")


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
    say: Callable[[str], None] = lambda _: None,
) -> PlatePlan:
    """Check everything about a run that can be checked, process a few fields, and project to the whole plate.

    Labels and tables go to a temporary folder. More workers than this machine has cores are measured with as many as
    it has. Raises as `hcs run` would, and PlateError where none of the fields tried can be processed.
    """
    workers = workers or Workers()
    count = workers.local_count
    probing = replace(workers, count=min(count, cores())) if workers.scheduler is None else workers
    probed = config if config.labels == "none" else config.override(labels="out")
    with tempfile.TemporaryDirectory(prefix="hcs-plan-") as folder:
        out = Path(folder) / "results"
        prepared = prepare(plate_path, out, probed, plate_map_path=plate_map_path, wells=wells, device=workers.device)
        infos, faults = _read_infos(prepared)
        names = ", ".join(prepared.job.channels.names)
        say(f"{prepared.job.plate.name}: {len(prepared.keys):,} fields, channels {names}")
        probe = _probe(prepared, infos, probing)
        notes = (*prepared.notes, *_mixed(infos), *faults, *storage_advice(infos.values()))
    found = forecast(probe, fields=len(prepared.keys), workers=count, gpu=workers.device == "cuda")
    return PlatePlan(name=prepared.job.plate.name, forecast=found, probe=probe, notes=notes)


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


def _mixed(infos: dict[FieldKey, FieldInfo]) -> tuple[str, ...]:
    """Sentences on fields that are not as the first."""
    first = next(iter(infos.values()))
    sentences = []
    for what in ("channels", "shape", "dtype", "pixel_size_um"):
        others = [str(key) for key, info in infos.items() if getattr(info, what) != getattr(first, what)]
        if others:
            some = ", ".join(others[:5]) + (", …" if len(others) > 5 else "")
            sentences.append(
                f"{len(others)} field(s) differ from the others in {what} ({some}), "
                + ("which a run refuses." if what == "channels" else "so the forecast is rough.")
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
        keys = _spread(tuple(infos), count * (1 + _FIELDS_PER_WORKER))
        warm, timed = keys[:count], keys[count:] or keys
        first, warm_s = _timed(client, prepared.job, warm)
        entries, timed_s = _timed(client, prepared.job, timed)
        peak = max(client.run(peak_bytes).values())
        projected = client.submit(projected_bytes, prepared.job, timed[0], pure=False).result()
    done = [entry for entry in (*first, *entries) if entry.done]
    if not done:
        raise PlateError(f"{prepared.job.plate.path}: of the fields tried none can be processed ({first[0].reason})")
    field_s = timed_s * count / len(timed)
    sizes, files = _written(prepared, [FieldKey.parse(entry.field) for entry in done])
    finish_s, fixed_files = _time_finish(prepared, done)
    return Probe(
        workers=count,
        start_s=connected_s + max(warm_s - field_s * -(-len(warm) // count), 0.0),
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
    """Up to ``count`` keys, evenly spread, in an order that mixes early and late ones."""
    chosen = [keys[i] for i in np.unique(np.linspace(0, len(keys) - 1, min(count, len(keys))).round().astype(int))]
    return (*chosen[::2], *chosen[1::2])


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


def _time_finish(prepared: Prepared, done: list[LedgerEntry]) -> tuple[float, int]:
    """Seconds for the readouts of the whole plate, made of the fields that were processed, repeated with a little
    noise; and the number of files that readouts and report make."""
    out = prepared.out
    nuclei = read_parts(out / "nuclei")
    tables = {
        entry.field: {
            str(name): nuclei.loc[_rows(nuclei, FieldKey.parse(entry.field)), name].to_numpy()
            for name in nuclei.columns
            if name not in _PARTITION_COLUMNS
        }
        for entry in done
    }
    present = {entry.field for entry in done}
    repeated = [key for key in prepared.keys if str(key) not in present][:_MOST_REPEATED]
    noise = np.random.default_rng(0)
    for i, key in enumerate(repeated):
        like = done[i % len(done)]
        write_part(out, prepared.job.plate.name, key, _noisy(tables[like.field], noise))
        write_entry(out, replace(like, field=str(key)))
    folder = Path(str(out))
    before = sum(path.is_file() for path in folder.rglob("*"))
    began = time.perf_counter()
    finish(out)
    seconds = (time.perf_counter() - began) * len(prepared.keys) / (len(repeated) + len(done))
    return seconds, sum(path.is_file() for path in folder.rglob("*")) - before + 1


def _rows(nuclei: pd.DataFrame, key: FieldKey) -> NDArray[np.bool_]:
    return np.asarray((nuclei["Metadata_Well"] == str(key.well)) & (nuclei["Metadata_Site"] == key.field))


def _noisy(columns: dict[str, NDArray[Any]], noise: np.random.Generator) -> dict[str, NDArray[Any]]:
    """The columns, real numbers all multiplied by one factor near 1: wells are alike, not equal."""
    factor = float(np.exp(noise.normal(0.0, 0.05)))
    return {
        name: (values * values.dtype.type(factor)).astype(values.dtype) if values.dtype.kind == "f" else values
        for name, values in columns.items()
    }
