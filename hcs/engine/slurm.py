"""Workers as jobs of Slurm, by dask-jobqueue."""

from __future__ import annotations

import contextlib
import shutil
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

from hcs.config import ClusterSettings
from hcs.errors import ConfigError
from hcs.store.atomic import cannot_write

if TYPE_CHECKING:
    from distributed import Client
    from distributed.security import Security

# Only a few fields a worker are with the scheduler at a time. Dask would take that for all there is, work for less than
# its target of 5 s, and never grow: with a short target every field that waits counts. A job that has nothing to do is
# kept for half a minute, because the next one would have to queue.
ADAPTING: dict[str, Any] = {"target_duration": "50ms", "interval": "2s", "wait_count": 15}


@contextlib.contextmanager
def slurm(
    settings: ClusterSettings, *, device: str, environment: Mapping[str, str], security: Security
) -> Iterator[Client]:
    """A client of a scheduler in this process whose workers are Slurm jobs; the jobs are cancelled at the end.

    ``environment`` is that of every worker. All traffic is encrypted with ``security``, which jobs read from files in
    the folder of their output: only the user can read them, and they are gone at the end. ConfigError where
    dask-jobqueue or Slurm is missing, a job is refused, or no worker comes within ``wait_s``.
    """
    from distributed import Client  # noqa: PLC0415

    try:
        from dask_jobqueue.slurm import SLURMCluster  # noqa: PLC0415
    except ImportError as error:
        raise ConfigError(f"--cluster slurm needs dask-jobqueue ({error}); pip install dask-jobqueue") from error
    if shutil.which("sbatch") is None:
        raise ConfigError("--cluster slurm: no sbatch on the PATH; run the command on a login node of the cluster")
    options = job_options(settings, device=device, environment=environment)
    logs = Path(settings.logs).absolute()
    try:
        logs.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise cannot_write(logs, error) from error
    with SLURMCluster(**options, security=security, protocol="tls://", shared_temp_directory=str(logs)) as cluster:
        if settings.min_jobs is None:
            cluster.scale(jobs=settings.jobs)
        else:
            cluster.adapt(minimum_jobs=settings.min_jobs, maximum_jobs=settings.jobs, **ADAPTING)
        with Client(cluster) as client:
            if settings.min_jobs != 0:
                _await_worker(client, settings)
            yield client


def job_options(settings: ClusterSettings, *, device: str, environment: Mapping[str, str]) -> dict[str, Any]:
    """What dask-jobqueue's SLURMCluster is made with.

    One thread a process, as everywhere in hcs. What dask does when memory runs short is made for results that pile up
    in workers, and is off: Slurm holds a job to its memory.
    """
    import dask  # noqa: PLC0415

    unlimited = dict.fromkeys(("target", "spill", "pause", "terminate"), False)
    nanny = {"pre-spawn-environ": dict(environment)}
    inherited = dask.config.serialize({"distributed": {"nanny": nanny, "worker": {"memory": unlimited}}})
    exports = [f"export {name}={value}" for name, value in environment.items()]
    gpus = ["--gres=gpu:1"] if device == "cuda" and not any("gpu" in d for d in settings.directives) else []
    options: dict[str, Any] = {
        "cores": settings.workers_per_job,
        "processes": settings.workers_per_job,
        "memory": settings.memory,
        "walltime": settings.walltime_text,
        "queue": settings.queue,
        "account": settings.account,
        "job_extra_directives": [*gpus, *settings.directives],
        "job_script_prologue": [*exports, f"export DASK_INTERNAL_INHERIT_CONFIG={inherited}", *settings.prologue],
        "worker_extra_args": ["--no-dashboard"],
        "scheduler_options": {"dashboard": False, "dashboard_address": "127.0.0.1:0"},
        "log_directory": settings.logs,
    }
    if settings.interface is not None:
        options["interface"] = settings.interface
    if settings.python is not None:
        options["python"] = settings.python
    return options


def _await_worker(client: Client, settings: ClusterSettings) -> None:
    try:
        client.wait_for_workers(1, timeout=settings.wait_s)
    except TimeoutError as error:
        raise ConfigError(
            f"--cluster slurm: no worker came within {settings.wait_s:g} s; look at `squeue` and the jobs' output in "
            f"{settings.logs}, or raise cluster.wait_s"
        ) from error
