"""Workers: a local cluster of processes or of GPUs, jobs of a batch system, or somebody else's scheduler."""

from __future__ import annotations

import contextlib
import logging
import os
import threading
import time
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import CancelledError
from dataclasses import dataclass, field
from multiprocessing import forkserver
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeVar

from hcs.config import ClusterSettings
from hcs.engine.certificates import is_encrypted, is_loopback, security_for, temporary_security
from hcs.engine.slurm import slurm
from hcs.engine.warm import ENVIRONMENT, QUIET, START_METHOD, warm_up
from hcs.errors import ConfigError, WorkersError
from hcs.machine import cores, uncollected

if TYPE_CHECKING:
    import psutil
    from distributed import Client, Future
    from distributed.security import Security

T = TypeVar("T")

__all__ = [
    "Client",
    "Workers",
    "connect",
    "count_gpus",
    "crowding",
    "gathered",
    "require_cuda",
    "scheduler_kept",
    "scheduler_lost",
]

_FREEZES_S = 0.01
"""A process that is told to stand still may fork once more before it does."""
_HELD_S = 2.0
_FIRST_WORKER_S = 60.0
"""A scheduler's workers may still be on their way: pods that start, jobs of an adaptive cluster."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Workers:
    """Who does the work: ``scheduler`` (an address), jobs of ``cluster`` (``slurm``, as ``jobs`` says) or ``count``
    local processes; on ``device`` cpu or cuda."""

    count: int | None = None
    scheduler: str | None = None
    certificates: Path | None = None
    """Folder of the certificates that ``scheduler`` was started with."""
    unencrypted: bool = False
    """A ``scheduler`` that others can reach too may be one without encryption."""
    device: str = "cpu"
    cluster: str | None = None
    jobs: ClusterSettings = field(default_factory=ClusterSettings)

    def __post_init__(self) -> None:
        if self.count is not None and self.count < 1:
            raise ConfigError(f"--workers {self.count}: at least one worker is needed")
        if self.count is not None and self.scheduler is not None:
            raise ConfigError("--workers and --scheduler exclude each other: a scheduler brings its own workers")
        if self.scheduler is None and (self.certificates is not None or self.unencrypted):
            raise ConfigError("--certificates and --unencrypted go with --scheduler: other clusters draw their own key")
        if self.scheduler is not None:
            security_for(self.scheduler, self.certificates, unencrypted=self.unencrypted)
        if self.cluster is not None and (self.count is not None or self.scheduler is not None):
            raise ConfigError(
                f"--cluster {self.cluster} goes with neither --workers nor --scheduler; say cluster.jobs in the "
                "configuration"
            )
        if self.cluster is not None and self.device == "cuda" and self.jobs.workers_per_job > 1:
            raise ConfigError(
                f"cluster.workers_per_job = {self.jobs.workers_per_job}: a job has one GPU and one worker; raise "
                "cluster.jobs instead"
            )

    def notes(self) -> tuple[str, ...]:
        """A sentence on a scheduler that is not encrypted."""
        if self.scheduler is None or is_encrypted(self.scheduler):
            return ()
        who = "other users of this machine" if is_loopback(self.scheduler) else "others on its network"
        return (f"{self.scheduler} is not encrypted: {who} can run programs as you; see deploy/README.md.",)

    @property
    def local_count(self) -> int:
        """Local CPU processes: as asked, else one for every core this process may use."""
        return self.count or cores()


def scheduler_lost() -> WorkersError:
    """The sentence for a scheduler that is gone in the middle of a run."""
    return WorkersError(
        "the connection to the dask scheduler was lost; what its workers entered is kept, and the same command goes on "
        "with the rest once a scheduler is there"
    )


@contextlib.contextmanager
def scheduler_kept() -> Iterator[None]:
    """Turn what dask raises for a scheduler that is gone into a WorkersError."""
    from distributed.client import ClosedClientError  # noqa: PLC0415
    from distributed.comm.core import CommClosedError  # noqa: PLC0415

    try:
        yield
    except (CancelledError, ClosedClientError, CommClosedError) as error:
        raise scheduler_lost() from error


def gathered(client: Client, futures: Sequence[Future[T]]) -> list[T] | None:
    """The results of ``futures``, in their order; None where one of them killed its workers."""
    from distributed import KilledWorker  # noqa: PLC0415

    try:
        return list(client.gather(futures))
    except KilledWorker:
        return None


def crowding(client: Client) -> tuple[str, ...]:
    """A sentence for every host whose workers have more threads than it lets them use cores; none where all is well."""
    workers = client.scheduler_info(n_workers=-1)["workers"]
    available = client.run(cores, on_error="ignore")  # one may be gone by now
    hosts: dict[str, list[str]] = {}
    for address, worker in workers.items():
        if address in available:
            hosts.setdefault(worker["host"], []).append(address)
    sentences = []
    for host, addresses in hosts.items():
        threads, most = sum(workers[a]["nthreads"] for a in addresses), max(available[a] for a in addresses)
        if threads > most:
            sentences.append(
                f"{len(addresses)} workers with {threads} threads share {most} cores of {host}: they take turns and "
                f"memory for no gain; {most} workers with one thread each are as fast."
            )
    return tuple(sentences)


@contextlib.contextmanager
def connect(workers: Workers) -> Iterator[Client]:
    """A dask client for ``workers``; what was started here is stopped at the end, somebody else's scheduler is left
    running.

    ConfigError where the scheduler does not answer, or there is no CUDA device for ``device="cuda"``; WorkersError
    where it is lost meanwhile.
    """
    with uncollected():
        import dask  # noqa: PLC0415
        import distributed  # noqa: F401, PLC0415  its defaults must be loaded before one of them is set for a while

    # A field that fails is entered in the ledger; retrying it on every worker would only repeat the failure. A worker
    # that dies (killed, out of memory) takes its field to another one at most twice.
    with dask.config.set({**QUIET, "distributed.scheduler.allowed-failures": 2}), scheduler_kept():
        if workers.scheduler is not None:
            security = security_for(workers.scheduler, workers.certificates, unencrypted=workers.unencrypted)
            with _remote(workers.scheduler, security) as client:
                yield client
        elif workers.cluster == "slurm":
            security = temporary_security()
            with slurm(workers.jobs, device=workers.device, environment=ENVIRONMENT, security=security) as client:
                yield client
        elif workers.device == "cuda":
            with _cuda(workers.count) as client:
                yield client
        else:
            with _local(workers) as client:
                yield client


@contextlib.contextmanager
def _local(workers: Workers) -> Iterator[Client]:
    import dask  # noqa: PLC0415
    from distributed import Client, LocalCluster  # noqa: PLC0415

    from hcs.engine.nanny import PatientNanny  # noqa: PLC0415

    warm_up()
    settings = {
        "distributed.nanny.pre-spawn-environ": ENVIRONMENT,
        "distributed.worker.multiprocessing-method": START_METHOD,
        "distributed.scheduler.http.routes": [],  # pages that nobody looks at, and other users of the machine could
        "distributed.worker.http.routes": [],
    }
    with dask.config.set(settings):
        cluster = _started(
            LocalCluster,
            n_workers=workers.local_count,
            threads_per_worker=1,
            processes=True,
            worker_class=PatientNanny,
            security=temporary_security(),
            memory_limit=0,  # made for results that pile up in workers, where tasks here keep none
            env=dict(os.environ) | ENVIRONMENT,  # as it is now, not as it was when the forked process started
            dashboard_address=None,
            scheduler_kwargs={"dashboard_address": "127.0.0.1:0"},  # its other pages: any port, for none but us
            silence_logs=50,
        )
        try:
            with Client(cluster) as client:
                yield client
        finally:
            # On a busy machine workers take longer to go than dask waits; what is left of them goes with this process.
            with contextlib.suppress(TimeoutError):
                cluster.close()


def _started(cluster: Callable[..., T], **options: Any) -> T:
    """A cluster of processes on this machine; WorkersError where they do not start."""
    try:
        return cluster(**options)
    except KeyboardInterrupt:
        _let_go()
        raise
    except RuntimeError as error:
        reason = error.__cause__ or error
        raise WorkersError(
            f"local workers die while they start ({type(reason).__name__}: {reason}); look for a lack of memory or "
            "processes, and use fewer --workers"
        ) from error


def _let_go() -> None:
    """Kill the processes of a cluster that was interrupted while it started, and keep dask from closing it at exit.

    Half of such a cluster may not be there: what dask does at exit, and a worker that still starts while this process
    goes, would end in a traceback. Workers have done nothing yet. Python's resource tracker stays, to tidy up.

    A nanny would start a killed worker again, so event loops are held first; and a process that forks could do so
    between a look at its children and its own death, so all are frozen before the first is killed.
    """
    import psutil  # noqa: PLC0415
    from distributed.deploy.spec import SpecCluster  # noqa: PLC0415

    SpecCluster._instances.clear()
    _hold_threads()
    frozen: set[psutil.Process] = set()
    while new := {p for p in psutil.Process().children(recursive=True) if p not in frozen and not _is_tracker(p)}:
        for process in new:
            with contextlib.suppress(psutil.Error):
                process.suspend()
        frozen |= new
        time.sleep(_FREEZES_S)
    for process in frozen:
        with contextlib.suppress(psutil.Error):
            process.kill()


def _hold_threads() -> None:
    """Hold the threads of this process that start workers: dask's event loops for ever, and what asks for a fork."""
    from distributed.utils import LoopRunner  # noqa: PLC0415

    forkserver._forkserver._lock.acquire(timeout=_HELD_S)  # type: ignore[attr-defined]
    for loop in list(LoopRunner._all_loops):
        held = threading.Event()

        def hold(held: threading.Event = held) -> None:
            held.set()
            threading.Event().wait()  # its thread is a daemon

        loop.add_callback(hold)
        held.wait(_HELD_S)


def _is_tracker(process: psutil.Process) -> bool:
    try:
        return "resource_tracker" in " ".join(process.cmdline())
    except psutil.Error:
        return True  # it is gone


@contextlib.contextmanager
def _cuda(count: int | None) -> Iterator[Client]:
    require_cuda()
    from dask_cuda import LocalCUDACluster  # noqa: PLC0415
    from distributed import Client  # noqa: PLC0415

    devices = {} if count is None else {"n_workers": count}
    with (
        LocalCUDACluster(dashboard_address=None, security=temporary_security(), **devices) as cluster,
        Client(cluster) as client,
    ):
        yield client


def require_cuda() -> None:
    """ConfigError, in one sentence, where no CUDA device can be used on this machine."""
    from hcs.segment.predict import find_device  # noqa: PLC0415

    find_device("cuda")
    try:
        import dask_cuda  # noqa: F401, PLC0415
    except ImportError as error:
        raise ConfigError(
            f"--device cuda: dask-cuda cannot be imported ({error}); install hcs with its extra gpu-cu12 or "
            "gpu-cu13: pip install '.[gpu-cu12]' in the clone"
        ) from error


def count_gpus() -> int:
    """CUDA devices that this machine has; ConfigError where none can be used."""
    require_cuda()
    from dask_cuda.utils import get_n_gpus  # noqa: PLC0415

    return int(get_n_gpus())


@contextlib.contextmanager
def _remote(address: str, security: Security | None) -> Iterator[Client]:
    from distributed import Client  # noqa: PLC0415

    logging.getLogger("distributed.client").setLevel(logging.CRITICAL)  # a scheduler that is lost is said by hcs
    try:
        client = Client(address, timeout=10, security=security)
    except (OSError, ValueError, TimeoutError) as error:
        what = "no dask scheduler" if security is None else "no dask scheduler with these certificates"
        raise ConfigError(
            f"--scheduler {address}: {what} answers there ({type(error).__name__}); start one with `dask scheduler` "
            "and give the address it prints"
        ) from error
    with client:
        try:
            client.wait_for_workers(1, timeout=_FIRST_WORKER_S)
        except TimeoutError as error:
            raise ConfigError(
                f"--scheduler {address}: it has had no workers for {_FIRST_WORKER_S:g} s; start some with `dask worker "
                f"{address} --nthreads 1`"
            ) from error
        yield client
