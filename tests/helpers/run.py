"""What the tests of running share: calling the command line, and looking at what it left."""

from __future__ import annotations

import contextlib
import subprocess
import sys
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import dask
from distributed import Client, LocalCluster

from hcs.commands.simulate import SimulationFiles
from hcs.engine.cluster import ENVIRONMENT
from hcs.field.whole import process_fields_here
from hcs.run.prepare import Prepared

Hcs = Callable[..., "Shown"]


@dataclass(frozen=True)
class Shown:
    """What a command showed."""

    code: int
    out: str
    err: str


def call_hcs(*arguments: object, cwd: Path | None = None) -> Shown:
    """Run ``hcs`` in a process of its own, as a user does."""
    done = subprocess.run(
        [sys.executable, "-m", "hcs", *map(str, arguments)],
        capture_output=True,
        text=True,
        cwd=cwd,
        timeout=900,
        check=False,
    )
    return Shown(done.returncode, done.stdout, done.stderr)


@dataclass(frozen=True)
class Finished:
    """A run that ended well."""

    files: SimulationFiles
    out: Path
    shown: Shown


def process_here(run: Prepared) -> None:
    """All fields of a run that writes labels that are left to do, in this process; each must go well."""
    run.record.write(run.out)
    assert run.job.labels is not None
    run.job.labels.prepare(run.job.plate)
    entries = process_fields_here(run.job, run.pending)
    assert all(entry.status == "ok" for entry in entries), entries


def table_bytes(out: Path) -> dict[str, bytes]:
    """Every part of the nucleus table, byte by byte."""
    return {str(p.relative_to(out)): p.read_bytes() for p in sorted((out / "nuclei").rglob("*.parquet"))}


@contextlib.contextmanager
def local_client(**options: Any) -> Iterator[Client]:
    """A client of a cluster (``client.cluster``) of workers of one thread each, on ports that nobody else has."""
    with dask.config.set({"distributed.nanny.pre-spawn-environ": ENVIRONMENT}):
        cluster = LocalCluster(threads_per_worker=1, dashboard_address=":0", silence_logs=50, **options)
        try:
            with Client(cluster) as client:
                yield client
        finally:
            with contextlib.suppress(TimeoutError):  # workers of a busy machine end later than dask waits
                cluster.close()
