"""What a worker process keeps and how it is set up."""

from __future__ import annotations

import os
import socket
from functools import lru_cache

from hcs.plate.keys import FieldKey
from hcs.run.cluster import cores
from hcs.run.diameter import load_segmenter
from hcs.run.illumination import read_kept
from hcs.segment.segmenter import Segmenter
from hcs.store.illumination import Lights
from hcs.store.ledger import LedgerEntry, finished_entry, write_entry
from hcs.store.location import location
from hcs.store.models import ModelFile
from hcs.store.threads import set_threads


def tune_worker() -> None:
    """One thread for everything that computes in this process: workers are as many as there are cores.

    Threads of torch are set for the calling thread, so every task does this.
    """
    from hcs.segment.predict import tune_cpu  # noqa: PLC0415  torch, for which the client need not wait

    tune_cpu(threads=1)
    set_threads(1)


def process_name() -> str:
    """host:pid of this process, for the ledger."""
    return f"{socket.gethostname()}:{os.getpid()}"


def hands_of(device: str) -> int:
    """Threads that read, and as many that measure and write, beside the one that has the nuclei found.

    One for a worker on the CPU, which has one core. A GPU is fast enough to need all cores that are its share.
    """
    if device == "cpu":
        return 1
    from hcs.segment.predict import count_devices  # noqa: PLC0415  torch, for which the client need not wait

    return max(1, cores() // max(1, count_devices()) // 2)


@lru_cache(maxsize=2)
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
