"""The process that starts a local worker, and starts it again when it dies: also when it dies while it starts.

Alone in a file because importing `distributed.nanny` takes a moment that only a local cluster needs.
"""

from __future__ import annotations

from distributed import Nanny
from distributed.core import Status

_STARTS = 5
"""A worker that dies as often while it starts will not live."""


class PatientNanny(Nanny):
    """A nanny whose first worker may be killed before it is connected, as the out-of-memory killer and impatient users
    do: dask's own ends the whole cluster then."""

    async def instantiate(self) -> Status:
        """Start the worker process, up to five times; the status of the last."""
        for _ in range(_STARTS):
            status = await super().instantiate()
            if status == Status.running or self.status not in (Status.init, Status.starting, Status.running):
                break
        return status
