"""What a worker does with one field: read, analyse, write its labels, its part and its ledger entry."""

from __future__ import annotations

from functools import lru_cache
from pathlib import Path

import numpy as np

from hcs.errors import FieldError, HcsError
from hcs.pipeline import FieldResult, Stopwatch, analyse_field
from hcs.plate.keys import FieldKey
from hcs.run.job import Job
from hcs.segment.model import build_network
from hcs.segment.predict import find_device, tune_cpu
from hcs.segment.unet import UNet
from hcs.store.field import missing_chunks
from hcs.store.labels import write_labels
from hcs.store.ledger import LedgerEntry, pixel_hash, write_entry
from hcs.store.models import ModelFile, read_model
from hcs.store.plate import read_field, read_info
from hcs.store.table import write_part


@lru_cache(maxsize=2)
def network_of(model: ModelFile, device: str) -> UNet:
    """The run's network, loaded once per worker process and kept."""
    tune_cpu(threads=1)
    card, weights = read_model(model)
    return build_network(card, weights, find_device(device))


def process_field(job: Job, key: FieldKey) -> LedgerEntry:
    """Process one field from the plate to its ledger entry; doing it twice gives the same files.

    Whatever is wrong with the field itself (missing, corrupt, out of memory) ends as a ``failed`` entry with the
    reason; only results that cannot be written (ResultsError) or a run that cannot work at all (ConfigError) raise.
    """
    clock = Stopwatch()
    try:
        entry = _process(job, key, clock)
    except FieldError as error:
        entry = LedgerEntry(field=str(key), status="failed", reason=error.reason)
    except HcsError:
        raise
    except Exception as error:  # whatever one field does, the plate goes on
        entry = LedgerEntry(field=str(key), status="failed", reason=f"{type(error).__name__}: {error}")
    write_entry(Path(job.out), entry)
    return entry


def _process(job: Job, key: FieldKey, clock: Stopwatch) -> LedgerEntry:
    network = network_of(job.model, job.device)
    clock.lap("start")
    info = read_info(job.plate, key)
    if info.channels != job.channels.names:
        raise FieldError(key, f"its channels {info.channels} are not those of the plate, {job.channels.names}")
    image = read_field(job.plate, key, channels=tuple(range(len(info.channels))), z=job.config.z)
    clock.lap("read")
    if image.dtype.kind == "f" and not np.isfinite(image).all():
        raise FieldError(key, "it holds NaN or infinite pixels; write it again from the raw images")
    result = analyse_field(image, network, job.channels, job.config, pixel_size_um=info.pixel_size_um)
    clock.lap("analyse")
    _write_labels(job, key, result, info.pixel_size_um)
    clock.lap("write labels")
    write_part(Path(job.out), job.plate.name, key, result.nuclei.columns)
    clock.lap("write table")
    seconds = {stage: s for stage, s in clock.seconds.items() if stage != "analyse"} | result.seconds
    n = int(result.labels.max(initial=0))
    missing, chunks = missing_chunks(Path(job.plate.path), info)
    return LedgerEntry(
        field=str(key),
        status="ok" if n else "empty",
        reason=f"{missing} of {chunks} chunks are missing and were read as the fill value" if missing else "",
        nuclei=n,
        input_crc32=pixel_hash(image),
        seconds={stage: round(s, 4) for stage, s in seconds.items()},
        background={name: float(value) for name, value in result.nuclei.backgrounds.items()},
    )


def _write_labels(job: Job, key: FieldKey, result: FieldResult, pixel_size_um: float | None) -> None:
    if job.labels == "none":
        return
    target = job.plate.path if job.labels == "plate" else str(Path(job.out) / "labels.zarr")
    write_labels(target, key, result.labels, ngff=job.plate.ngff, pixel_size_um=pixel_size_um)
