"""`hcs plan`: a plate looked at and a few of its fields processed into a temporary folder; the plate is not written
to.

Long, because the rehearsal, the forecast made of it and their text are of no use without each other.
"""

from __future__ import annotations

import resource
import tempfile
import time
from collections import Counter
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass, replace
from functools import partial
from itertools import groupby
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from hcs.config import Config
from hcs.engine.cluster import Workers, connect, count_gpus
from hcs.engine.flow import process_fields
from hcs.errors import ConfigError, FieldError, PlateError, ResultsError
from hcs.field.job import Job
from hcs.field.large import is_large, look_at
from hcs.field.memory import field_bytes, load_of
from hcs.field.worker import cell_network_of, segmenter_of
from hcs.machine import cores
from hcs.plate.keys import FieldKey
from hcs.run.checks import map_lines
from hcs.run.finish import finish
from hcs.run.pictures import Submit
from hcs.run.prepare import Prepared, open_run, prepare
from hcs.run.storage import storage_advice
from hcs.store.location import Location, location
from hcs.store.plate.field import FieldInfo
from hcs.store.plate.in_files import read_in_files
from hcs.store.plate.nodes import METADATA_FILES
from hcs.store.plate.reader import read_info
from hcs.store.results.folder import open_results
from hcs.store.results.ledger import LedgerEntry, write_entry
from hcs.store.results.table import part_path, write_part

if TYPE_CHECKING:
    from hcs.engine.cluster import Client


_MOST_REPEATED = 2000
_OF_TIME = ("The forecast is of the frames, each a unit of work; linking them, and readouts and report, come on top.",)
_PARTITION_COLUMNS = ("Metadata_Plate", "Metadata_Well", "Metadata_Site")


def time_finish(prepared: Prepared, done: list[LedgerEntry], *, submit: Submit) -> tuple[float, int]:
    """Seconds for the readouts of the whole plate, made of the fields that were processed, repeated with a little
    noise, beside idle workers that ``submit`` gives work; and the number of files that readouts and report make.
    Nothing is told of a plate with time, whose frames cannot be repeated as other cells."""
    out = prepared.out
    if prepared.record.time is not None:
        return 0.0, 0
    results = open_results(out)
    wells = sorted({entry.field.partition("/")[0] for entry in done})
    nuclei = results.nuclei(wells=wells, columns=results.stored_columns())
    tables = {
        entry.field: {
            str(name): nuclei.loc[_rows(nuclei, FieldKey.parse(entry.field)), name].to_numpy()
            for name in nuclei.columns
            if name not in (*_PARTITION_COLUMNS, *prepared.job.texts)
        }
        for entry in done
    }
    present = {entry.field for entry in done}
    repeated = [key for key in prepared.keys if str(key) not in present][:_MOST_REPEATED]
    noise = np.random.default_rng(0)
    for i, key in enumerate(repeated):
        like = done[i % len(done)]
        columns = _noisy(tables[like.field], noise)
        part = write_part(out, prepared.job.plate.name, key, columns, texts=prepared.job.texts)
        write_entry(out, replace(like, field=str(key), part_bytes=part.nbytes, part_crc32=part.crc32))
    before = _files_of_plate(out)
    began = time.perf_counter()
    finish(out, submit=submit)
    seconds = (time.perf_counter() - began) * len(prepared.keys) / (len(repeated) + len(done))
    return seconds, _files_of_plate(out) - before + 1


def _files_of_plate(out: Location) -> int:
    """Files of a results folder but those beside labels, which are counted by field."""
    folder = Path(str(out))
    return sum(path.is_file() for path in folder.rglob("*") if "labels.zarr" not in path.relative_to(folder).parts)


def _rows(nuclei: pd.DataFrame, key: FieldKey) -> NDArray[np.bool_]:
    return np.asarray((nuclei["Metadata_Well"] == str(key.well)) & (nuclei["Metadata_Site"] == key.field))


def _noisy(columns: dict[str, NDArray[Any]], noise: np.random.Generator) -> dict[str, NDArray[Any]]:
    """The columns, real numbers all multiplied by one factor near 1: wells are alike, not equal."""
    factor = float(np.exp(noise.normal(0.0, 0.05)))
    return {
        name: (values * values.dtype.type(factor)).astype(values.dtype) if values.dtype.kind == "f" else values
        for name, values in columns.items()
    }


@dataclass(frozen=True, slots=True, kw_only=True)
class Probe:
    """What was measured on a few fields, with all workers at work."""

    workers: int
    """Worker processes that the fields were measured with."""
    start_s: float
    """From nothing to workers that have done a field: processes, packages, network, compiled kernels."""
    settle_s: float
    """What is settled for the whole plate before its first field."""
    field_s: float
    """One field on one worker."""
    finish_s: float
    """Readouts, tables and report of the whole plate."""
    read_bytes: float
    """Stored bytes of a field's pixels."""
    written_bytes: float
    """Bytes of a field's labels, nuclei and ledger entry."""
    written_files: float
    """Files of them."""
    fixed_files: int
    """Files of a results folder that do not depend on the number of fields."""
    worker_bytes: int
    """Most memory that a worker had."""
    projected_bytes: int
    """Memory that a worker needs, as projected from the field's shape."""
    nuclei: float
    """Nuclei in a field."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Forecast:
    """What the run of one plate will take."""

    fields: int
    workers: int
    seconds: float
    gpu_hours: float
    worker_bytes: int
    memory_bytes: int
    """Of all workers on one machine."""
    read_bytes: int
    written_bytes: int
    files: int
    nuclei: int


def one_field_s(seconds: float, *, fields: int, workers: int) -> float:
    """Seconds that one field takes a worker, where ``workers`` workers did ``fields`` fields in ``seconds``."""
    return seconds / _rounds(fields, workers) if fields else 0.0


def _rounds(fields: int, workers: int) -> float:
    """How many fields' times a number of fields takes.

    Fields are dealt out as workers become free: on average the last ones leave half a field's time in which some
    workers wait.
    """
    return max(fields / workers + (0.5 if fields % workers else 0.0), min(fields, 1))


def forecast(probe: Probe, *, fields: int, workers: int, gpu: bool) -> Forecast:
    """The probe for ``fields`` fields on ``workers`` workers, each with one field at a time."""
    busy_s = probe.field_s * _rounds(fields, workers)
    seconds = probe.start_s + probe.settle_s + busy_s + probe.finish_s
    worker = max(probe.worker_bytes, probe.projected_bytes)
    return Forecast(
        fields=fields,
        workers=workers,
        seconds=seconds,
        gpu_hours=workers * (seconds - probe.finish_s) / 3600 if gpu else 0.0,
        worker_bytes=worker,
        memory_bytes=worker * workers,
        read_bytes=round(fields * probe.read_bytes),
        written_bytes=round(fields * probe.written_bytes),
        files=round(fields * probe.written_files) + probe.fixed_files,
        nuclei=round(fields * probe.nuclei),
    )


def forecast_lines(name: str, found: Forecast, probe: Probe) -> tuple[str, ...]:
    """A forecast as lines of text."""
    gpu = f", {found.gpu_hours:.2f} GPU-hours" if found.gpu_hours else ""
    return (
        f"{name}: {found.fields:,} fields on {found.workers} workers",
        f"  time    {_duration(found.seconds)}{gpu}: start {probe.start_s:.0f} s, size of nuclei and illumination "
        f"{probe.settle_s:.0f} s, {probe.field_s:.2f} s a field and worker, readouts and report {probe.finish_s:.0f} s",
        f"  memory  {found.worker_bytes / 1e9:.2f} GB a worker, {found.memory_bytes / 1e9:.2f} GB in all",
        f"  bytes   {_bytes(found.read_bytes)} read, {_bytes(found.written_bytes)} written in {found.files:,} files",
        f"  nuclei  about {found.nuclei:,}",
    )


def _duration(seconds: float) -> str:
    minutes, s = divmod(round(seconds), 60)
    hours, minutes = divmod(minutes, 60)
    return f"{hours} h {minutes:02d} min" if hours else f"{minutes} min {s:02d} s" if minutes else f"{s} s"


def _bytes(count: int) -> str:
    return f"{count / 1e9:.1f} GB" if count >= 1e9 else f"{count / 1e6:.1f} MB"


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
    if config.labels_from is not None:
        raise ConfigError(
            "labels_from: `hcs plan` forecasts networks, and none is used for labels that are given; run it"
        )
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
            *storage_advice({key.of_field: info for key, info in infos.items()}.values()),
            *(_OF_TIME if prepared.record.time is not None else ()),
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
    infos: dict[FieldKey, FieldInfo] = {}
    faults = []
    for field, units in groupby(prepared.keys, key=lambda key: key.of_field):
        try:
            infos |= dict.fromkeys(units, read_info(prepared.job.plate, field))
        except FieldError as error:
            faults.append(f"{error}; it will fail.")
    if not infos:
        raise PlateError(f"{prepared.job.plate.path}: not one field can be read ({faults[0]})")
    return infos, tuple(faults)


def _labels_in_the_way(prepared: Prepared, config: Config) -> tuple[str, ...]:
    """A sentence where the plate has labels that a run would refuse to write over."""
    plate = prepared.job.plate
    if config.labels != "plate":
        return ()
    try:
        for target in prepared.job.targets:
            replace(target, path=plate.path, in_plate=True).survey(plate.only(*prepared.keys).fields)
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
        return look_at(info, job, key, segmenter, cell_network_of(job)).projected_bytes
    specs = [network.spec for network in segmenter.networks]
    return field_bytes((info.shape[1], info.shape[2]), load_of(job, info, specs))


def _stored_bytes(prepared: Prepared, info: FieldInfo) -> int:
    """Bytes of a field's chunks, or a frame's, at full resolution; those of a plate on a web server are not known, and
    count as decoded. Of images that are read in place, bytes of their files."""
    array = location(prepared.job.plate.path) / info.level_path
    files = read_in_files(array)
    if files is not None:
        return sum(files.nbytes(key) for key in files.pieces) // info.t_size
    if isinstance(array, Path):
        sizes = [p.stat().st_size for p in array.rglob("*") if p.is_file() and p.name not in METADATA_FILES]
        return sum(sizes) // info.t_size
    if array.is_web:
        return int(np.prod(info.shape)) * info.z_size * info.dtype.itemsize
    named = array.files().items()
    return sum(size for name, size in named if name.rpartition("/")[2] not in METADATA_FILES) // info.t_size


def _written(prepared: Prepared, keys: list[FieldKey]) -> tuple[float, float]:
    """Mean bytes and files that the fields ``keys`` left in the results folder."""
    out = Path(str(prepared.out))
    paths = [out / "ledger" / f"{key.file_stem}.json" for key in keys]
    paths += [Path(str(part_path(out, prepared.job.plate.name, key))) for key in keys]
    for key in dict.fromkeys(key.of_field for key in keys):
        folder = out / "labels.zarr" / key.well.row_name / key.well.column_name / str(key.field)
        paths += [path for path in folder.rglob("*") if path.is_file()]
    return sum(path.stat().st_size for path in paths) / len(keys), len(paths) / len(keys)
