"""How many fields a task has: enough that reading and writing overlap computing, few enough that no worker is left
waiting at the end."""

from __future__ import annotations

from collections import deque
from collections.abc import Iterable

from hcs.field.job import Job
from hcs.plate.keys import FieldKey
from hcs.store.results.ledger import LedgerEntry

FieldTask = tuple[Job, FieldKey]

_TASK_S = 8.0
"""A task of small fields takes about so long: thousands of times the scheduler's part in it, a hundred times what its
first reading and last writing take, beside which nothing is computed; and little to lose."""
_LEAST, _MOST = 2, 64
_PORTIONS_LEFT = 3
"""Each of several workers should have this many portions to come: they become smaller towards the end."""
_MEMORY = 0.9


class Portions:
    """Takes fields off an iterable, as many at a time as their speed so far and what is left suggest."""

    def __init__(self, tasks: Iterable[FieldTask]) -> None:
        self._source = iter(tasks)
        self._ahead: deque[FieldTask] = deque()
        self._field_s: float | None = None

    def learn(self, entry: LedgerEntry) -> None:
        """Take note of how long a field took, without what its worker needed once."""
        seconds = sum(entry.seconds.values()) - entry.seconds.get("start", 0.0)
        if entry.done and seconds > 0:
            known = self._field_s
            self._field_s = seconds if known is None else _MEMORY * known + (1 - _MEMORY) * seconds

    def take(self, *, workers: int) -> list[FieldTask]:
        """The next fields of one plate, two of them as long as no field's time is known; empty at the end."""
        wanted = self._wanted()
        shares = _PORTIONS_LEFT * workers if workers > 1 else 1  # one waits for nobody
        while len(self._ahead) < wanted * shares:
            task = next(self._source, None)
            if task is None:
                break
            self._ahead.append(task)
        count = max(1, min(wanted, len(self._ahead) // shares))
        portion: list[FieldTask] = []
        while self._ahead and len(portion) < count and (not portion or self._ahead[0][0] is portion[0][0]):
            portion.append(self._ahead.popleft())
        return portion

    def _wanted(self) -> int:
        if self._field_s is None:
            return _LEAST
        return min(max(round(_TASK_S / self._field_s), _LEAST), _MOST)
