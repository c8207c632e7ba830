"""This machine: the cores that this process may use, its processor, and a process: its name, its garbage."""

from __future__ import annotations

import contextlib
import gc
import os
import platform
import socket
from collections.abc import Iterator
from functools import lru_cache
from pathlib import Path

_CGROUP_LIMITS = (Path("/sys/fs/cgroup/memory.max"), Path("/sys/fs/cgroup/memory/memory.limit_in_bytes"))


def cores() -> int:
    """CPU cores that this process may use."""
    try:
        return len(os.sched_getaffinity(0))
    except AttributeError:  # not on macOS
        return os.cpu_count() or 1


@lru_cache(maxsize=1)
def memory_bytes() -> int:
    """Memory of this machine, or what its container is allowed."""
    limits = [os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES")]
    for file in _CGROUP_LIMITS:
        try:
            limits.append(int(file.read_text()))
        except (OSError, ValueError):  # another system, or "max"
            continue
    return min(limits)


def is_x86() -> bool:
    """Whether this is a processor of Intel's or AMD's 64-bit kind."""
    return platform.machine().lower() in {"x86_64", "amd64"}


@contextlib.contextmanager
def uncollected() -> Iterator[None]:
    """Collect no garbage in the block, which imports modules: it would take a fifth of the time and find nothing."""
    enabled = gc.isenabled()
    gc.disable()
    try:
        yield
    finally:
        if enabled:
            gc.enable()


def process_name() -> str:
    """host:pid of this process, for the ledger."""
    return f"{socket.gethostname()}:{os.getpid()}"


def processor_name() -> str:
    """The processor's name as Linux gives it, else what Python knows."""
    try:
        lines = Path("/proc/cpuinfo").read_text(encoding="utf-8").splitlines()
    except OSError:
        return platform.processor()
    names = [line.partition(":")[2].strip() for line in lines if line.startswith("model name")]
    return names[0] if names else platform.processor()
