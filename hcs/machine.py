"""This machine: the cores that this process may use, its processor, and the name of a process.

Alone in a file because workers, records and benchmarks name the machine by the same words.
"""

from __future__ import annotations

import os
import platform
import socket
from pathlib import Path


def cores() -> int:
    """CPU cores that this process may use."""
    try:
        return len(os.sched_getaffinity(0))
    except AttributeError:  # not on macOS
        return os.cpu_count() or 1


def memory_bytes() -> int:
    """Memory that this process may use: the machine's, or less where a container or a batch system says so."""
    from distributed.system import MEMORY_LIMIT  # noqa: PLC0415  it takes a moment, and most commands do not ask

    return int(MEMORY_LIMIT)


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
