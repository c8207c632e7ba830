"""What a worker process keeps and how it is set up."""

from __future__ import annotations

import logging
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from hcs.errors import FieldError
from hcs.field.large import is_large
from hcs.measure.fill import find_fill
from hcs.plate.keys import FieldKey
from hcs.segment.diameter import nucleus_diameters
from hcs.segment.segmenter import Segmenter, build_segmenter
from hcs.segment.territory import CellNetwork
from hcs.store.models import ModelFile, Numbers, read_model
from hcs.store.plate.field import FieldInfo
from hcs.store.plate.reader import read_field, read_info

if TYPE_CHECKING:
    from hcs.field.job import Job

from functools import lru_cache

from hcs.machine import cores
from hcs.store.illumination import Lights, read_kept
from hcs.store.location import location
from hcs.store.results.ledger import LedgerEntry, finished_entry, write_entry
from hcs.store.threads import set_threads

_MIDDLE_PX = 2560
_FOREIGN: dict[str, Numbers] = {"cpu": "float16", "cuda": "int8"}
_USUAL: dict[str, Numbers] = {"cpu": "float32", "cuda": "float16"}


def load_segmenter(model: ModelFile, device: str, *, flips: bool) -> Segmenter:
    """The model's networks on ``device``; ``flips`` asks for test-time flips, as the model's card may do too.

    A model that was found for the other kind of device calculates in the usual numbers of this one.
    """
    arithmetic = _USUAL[device] if model.arithmetic == _FOREIGN[device] else model.arithmetic
    networks = [read_model(network) for network in model.networks]
    return build_segmenter(networks, device=device, flips=flips or model.flips, arithmetic=arithmetic)


def field_diameters(job: Job, key: FieldKey) -> NDArray[np.float64]:
    """Diameters of the nuclei in the middle of one field; none where it cannot be read. Runs in a worker."""

    try:
        info = read_info(job.plate, key)
        window = _middle(info) if is_large(info, job.config) else None
        image = read_field(job.plate, key, channels=(job.channels.nuclei,), z=job.config.z, window=window)[0]
    except FieldError as error:
        logging.getLogger(__name__).info("no nucleus size from %s", error)  # its own task will enter the failure
        return np.empty(0)
    tune_worker()
    segmenter = segmenter_of(job.model, job.device, flips=False)
    fill = find_fill(image[None])
    if fill is not None and fill.mask is None:
        return np.empty(0)
    missing = None if fill is None else fill.mask
    prepared = segmenter.prepare(image, missing)
    return nucleus_diameters(prepared, segmenter, job.config.tiles, job.config.instances, missing)


def _middle(info: FieldInfo) -> tuple[slice, slice]:
    """The middle of a field that is too large to be read: more of it than is looked at, at any scale."""
    top, left = ((length - min(length, _MIDDLE_PX)) // 2 for length in info.shape[1:])
    return slice(top, top + _MIDDLE_PX), slice(left, left + _MIDDLE_PX)


def tune_worker() -> None:
    """One thread for everything that computes in this process: workers are as many as there are cores.

    Threads of torch are set for the calling thread, so every task does this.
    """
    from hcs.segment.predict import tune_cpu  # noqa: PLC0415  torch, for which the client need not wait

    tune_cpu(threads=1)
    set_threads(1)


def hands_of(device: str) -> int:
    """Threads that read, and as many that measure and write, beside the one that has the nuclei found.

    One for a worker on the CPU, which has one core. A GPU is fast enough to need all cores that are its share.
    """
    if device == "cpu":
        return 1
    from hcs.segment.predict import count_devices  # noqa: PLC0415  torch, for which the client need not wait

    return max(1, cores() // max(1, count_devices()) // 2)


def cell_network_of(job: Job) -> CellNetwork | None:
    """What tells a field's whole cells; None: no network does."""
    if job.cells_model is None or job.channels.cells is None:
        return None
    return CellNetwork(segmenter_of(job.cells_model, job.device, flips=False), job.cells_scale)


@lru_cache(maxsize=3)
def segmenter_of(model: ModelFile, device: str, *, flips: bool) -> Segmenter:
    """The run's model, loaded once per worker process and kept."""
    tune_worker()
    return load_segmenter(model, device, flips=flips)


@lru_cache(maxsize=2)
def lights_of(out: str, sha256: str, channels: tuple[str, ...]) -> Lights:
    """The run's illumination, read once per worker process and kept."""
    return read_kept(location(out), sha256, channels)


def enter_failure(out: str, plate: str, key: FieldKey, run: str, reason: str) -> LedgerEntry:
    """Enter a field as failed; what a worker entered as done stands, and is returned."""
    done = finished_entry(location(out), plate, key, run)
    if done is not None:
        return done
    entry = LedgerEntry(field=str(key), status="failed", run=run, reason=reason)
    write_entry(location(out), entry)
    return entry
