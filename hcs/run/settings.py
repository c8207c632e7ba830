"""Settings of the cluster that a run starts for itself."""

from __future__ import annotations

import re
from dataclasses import dataclass

from hcs.errors import ConfigError

_WALLTIME = re.compile(r"(\d+-)?\d{1,3}:\d{2}(:\d{2})?")


@dataclass(frozen=True, slots=True, kw_only=True)
class ClusterSettings:
    """Jobs of a batch system; used with ``--cluster`` only, and without influence on the results."""

    jobs: int = 1
    """Jobs asked for; with ``min_jobs``, the most at a time."""
    min_jobs: int | None = None
    """Let the number of jobs follow the work, from this many to ``jobs``; null keeps ``jobs`` going."""
    workers_per_job: int = 1
    """Worker processes in a job, each with one thread and one core; with ``--device cuda`` it is one, with one GPU."""
    memory: str = "4GiB"
    """Memory of a whole job."""
    walltime: str | int = "04:00:00"
    """Longest time of a job, as hours:minutes:seconds or in seconds; a field that is cut off by its end is done by
    another job."""
    queue: str | None = None
    """Partition."""
    account: str | None = None
    """Account that is charged."""
    directives: tuple[str, ...] = ()
    """Further options of the batch system, such as ``--gres=gpu:1`` or ``--nice``."""
    prologue: tuple[str, ...] = ()
    """Shell lines ahead of the worker, such as ``module load cuda``."""
    interface: str | None = None
    """Network interface through which workers reach the scheduler, such as ``ib0``; null takes the default."""
    python: str | None = None
    """Python of the workers, which must have the same hcs; null takes the one that runs the command."""
    logs: str = "slurm-logs"
    """Folder of the jobs' output."""
    wait_s: float = 600.0
    """Longest wait for the first worker, s."""

    def __post_init__(self) -> None:
        if self.jobs < 1:
            raise ConfigError(f"cluster.jobs = {self.jobs}: at least one job is needed")
        if self.min_jobs is not None and not 0 <= self.min_jobs <= self.jobs:
            raise ConfigError(f"cluster.min_jobs = {self.min_jobs}: give a number from 0 to cluster.jobs = {self.jobs}")
        if self.workers_per_job < 1:
            raise ConfigError(f"cluster.workers_per_job = {self.workers_per_job}: at least one worker is needed")
        if isinstance(self.walltime, str) and not _WALLTIME.fullmatch(self.walltime):
            raise ConfigError(f"cluster.walltime = {self.walltime!r}: write hours, minutes and seconds as 04:00:00")
        if self.wait_s <= 0:
            raise ConfigError(f"cluster.wait_s = {self.wait_s}: give a time above 0")

    @property
    def walltime_text(self) -> str:
        """The longest time as Slurm reads it. YAML makes seconds of 12:00:00 without quotes."""
        if isinstance(self.walltime, str):
            return self.walltime
        minutes, seconds = divmod(self.walltime, 60)
        return f"{minutes // 60:02d}:{minutes % 60:02d}:{seconds:02d}"
