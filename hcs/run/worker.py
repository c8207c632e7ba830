"""What a worker does with one field: read, analyse, write its labels, its part and its ledger entry."""

from __future__ import annotations

from functools import lru_cache

import numpy as np

from hcs.errors import FieldError, HcsError
from hcs.measure.quality_columns import quality_values
from hcs.pipeline import FieldResult, Stopwatch, analyse_field
from hcs.plate.keys import FieldKey
from hcs.run.diameter import load_segmenter
from hcs.run.illumination import read_kept
from hcs.run.job import Job
from hcs.run.large import LargeField, is_large, look_at
from hcs.segment.predict import tune_cpu
from hcs.segment.segmenter import Segmenter
from hcs.store.field import missing_chunks
from hcs.store.illumination import Lights
from hcs.store.labels import write_labels
from hcs.store.ledger import LedgerEntry, pixel_hash, write_entry
from hcs.store.location import location
from hcs.store.models import ModelFile
from hcs.store.plate import read_field, read_info
from hcs.store.table import write_part


@lru_cache(maxsize=2)
def segmenter_of(model: ModelFile, device: str, *, flips: bool) -> Segmenter:
    """The run's model, loaded once per worker process and kept."""
    tune_cpu(threads=1)
    return load_segmenter(model, device, flips=flips)


@lru_cache(maxsize=2)
def lights_of(out: str, sha256: str, channels: tuple[str, ...]) -> Lights:
    """The run's illumination, read once per worker process and kept."""
    return read_kept(location(out), sha256, channels)


def process_field(job: Job, key: FieldKey) -> LedgerEntry | LargeField:
    """Process one field from the plate to its ledger entry; doing it twice gives the same files. A field too large for
    memory is only looked at: how it is to be cut comes back.

    Whatever is wrong with the field itself (missing, corrupt, out of memory) ends as a ``failed`` entry with the
    reason; only results that cannot be written (ResultsError) or a run that cannot work at all (ConfigError) raise.
    """
    clock = Stopwatch()
    try:
        found = _process(job, key, clock)
        if isinstance(found, LargeField):
            return found
        entry = found
    except FieldError as error:
        entry = LedgerEntry(field=str(key), status="failed", reason=error.reason)
    except HcsError:
        raise
    except Exception as error:  # whatever one field does, the plate goes on
        entry = LedgerEntry(field=str(key), status="failed", reason=f"{type(error).__name__}: {error}")
    write_entry(location(job.out), entry)
    return entry


def enter_failure(out: str, key: FieldKey, reason: str) -> LedgerEntry:
    """Enter a field as failed."""
    entry = LedgerEntry(field=str(key), status="failed", reason=reason)
    write_entry(location(out), entry)
    return entry


def _process(job: Job, key: FieldKey, clock: Stopwatch) -> LedgerEntry | LargeField:
    segmenter = segmenter_of(job.model, job.device, flips=job.config.flips)
    clock.lap("start")
    info = read_info(job.plate, key)
    if info.channels != job.channels.names:
        raise FieldError(key, f"its channels {info.channels} are not those of the plate, {job.channels.names}")
    if is_large(info, job.config):
        return look_at(info, job, key, segmenter)
    image = read_field(job.plate, key, channels=tuple(range(len(info.channels))), z=job.config.z)
    clock.lap("read")
    if image.dtype.kind == "f" and not np.isfinite(image).all():
        raise FieldError(key, "it holds NaN or infinite pixels; write it again from the raw images")
    result = analyse_field(
        image,
        segmenter,
        job.channels,
        job.config,
        scale=job.scale,
        pixel_size_um=info.pixel_size_um,
        lights=None if job.illumination is None else lights_of(job.out, job.illumination, job.channels.names),
    )
    clock.lap("analyse")
    _write_labels(job, key, result, info.pixel_size_um)
    clock.lap("write labels")
    write_part(location(job.out), job.plate.name, key, result.nuclei.columns)
    clock.lap("write table")
    seconds = {stage: s for stage, s in clock.seconds.items() if stage != "analyse"} | result.seconds
    n = int(result.labels.max(initial=0))
    missing, chunks = missing_chunks(location(job.plate.path), info)
    return LedgerEntry(
        field=str(key),
        status="ok" if n else "empty",
        reason=f"{missing} of {chunks} chunks are missing and were read as the fill value" if missing else "",
        nuclei=n,
        input_crc32=pixel_hash(image),
        seconds={stage: round(s, 4) for stage, s in seconds.items()},
        background={name: float(value) for name, value in result.nuclei.backgrounds.items()},
        quality={name: None if np.isnan(value) else value for name, value in quality_values(result.quality).items()},
    )


def _write_labels(job: Job, key: FieldKey, result: FieldResult, pixel_size_um: float | None) -> None:
    if job.labels == "none":
        return
    target = job.plate.path if job.labels == "plate" else f"{job.out}/labels.zarr"
    write_labels(target, key, result.labels, ngff=job.plate.ngff, pixel_size_um=pixel_size_um)
