"""A process that imports what workers need while the client still looks at its plate; local workers are forked from it.

So torch is imported once for all of them, and a worker that takes a dead one's place is there at once. A process with
threads must not be forked: what is imported starts none, if pyarrow is told not to.
"""

from __future__ import annotations

import contextlib
import os
import signal
import sys
from collections.abc import Iterator, Mapping
from multiprocessing import forkserver, resource_tracker

_IMPORTED = ["hcs.engine.ancestor"]

QUIET = {
    "distributed.worker.profile.enabled": False,
    "distributed.admin.tick.interval": "500ms",
    "distributed.admin.system-monitor.interval": "5s",
}
"""Dask looks at the stacks of all threads a hundred times a second, and at its event loop fifty times, which takes
every worker 6 % of its core and the client as much; hcs keeps an account of its own."""

# One thread a process: cores are never oversubscribed, and a convolution sums in the same order however many workers
# share the machine, so the table is the same to the last bit. Dask's nanny would have malloc return memory at once,
# which triples the network's time.
ENVIRONMENT = {
    "OMP_NUM_THREADS": "1",
    "MKL_NUM_THREADS": "1",
    "OPENBLAS_NUM_THREADS": "1",
    "MALLOC_TRIM_THRESHOLD_": str(2**30),
    "JE_ARROW_MALLOC_CONF": "background_thread:false",  # of an allocator that pyarrow brings and does not use
    **{f"DASK_{key.upper().replace('.', '__').replace('-', '_')}": str(value) for key, value in QUIET.items()},
}
START_METHOD = "forkserver" if sys.platform == "linux" else "spawn"
"""How local workers come to be; elsewhere system libraries do not bear being forked."""


def warm_up() -> None:
    """Start that process, if it is not there; it ends with this one. Takes no time of the caller.

    Ctrl-C goes to all processes of a terminal. Workers are closed by the client, which hears it: they, and the process
    they come from, are born deaf to it, and stop without tracebacks.
    """
    if START_METHOD == "forkserver":
        forkserver.set_forkserver_preload(_IMPORTED)
        with _environment({"PYTHONWARNINGS": _quiet_tracker()}):
            resource_tracker.ensure_running()
        heard = signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGINT})
        try:
            with _environment(ENVIRONMENT):
                forkserver.ensure_running()
        finally:
            signal.pthread_sigmask(signal.SIG_SETMASK, heard)


def _quiet_tracker() -> str:
    """What the process that clears up after a killed client is told of warnings: semaphores that are left then are what
    it is for."""
    return ",".join(filter(None, (os.environ.get("PYTHONWARNINGS"), "ignore:resource_tracker:UserWarning")))


@contextlib.contextmanager
def _environment(values: Mapping[str, str]) -> Iterator[None]:
    """Environment variables of processes that start meanwhile."""
    before = {name: os.environ.get(name) for name in values}
    os.environ.update(values)
    try:
        yield
    finally:
        for name, value in before.items():
            os.environ.pop(name, None) if value is None else os.environ.update({name: value})
