"""What a run says while it works: one live line on a terminal, plain lines elsewhere."""

from __future__ import annotations

import sys
import time
from collections.abc import Callable
from typing import TextIO

from hcs.store.results.ledger import LedgerEntry

_LINE_EVERY_S = 10.0
_LIVE_EVERY_S = 0.2


def quarters(what: str, stream: TextIO | None = None) -> Callable[[int, int], None]:
    """A callback (done, total) that says ``what done/total fields`` four times on the way."""

    def say(done: int, total: int) -> None:
        if done * 4 // total > (done - 1) * 4 // total:
            print(f"{what} {done}/{total} fields", file=stream or sys.stderr, flush=True)

    return say


class Progress:
    """Counts fields (or frames), wells and nuclei as they are done; rates and the time left are of this session's
    only."""

    def __init__(
        self, fields_of_well: dict[str, int], done: int, stream: TextIO | None = None, *, what: str = "fields"
    ) -> None:
        """``fields_of_well``: fields, or frames, still to do by well; ``done``: finished before; ``what`` they are."""
        self._what = what
        self._open = dict(fields_of_well)
        self._wells = len(self._open)
        self._total = sum(self._open.values())
        self._before = done
        self._stream = stream or sys.stderr
        self._live = self._stream.isatty()
        self._started = self._said = time.monotonic()
        self._fields = self._nuclei = self._failed = 0

    def advance(self, entry: LedgerEntry, plate: str = "") -> None:
        """Count one field, and say so when it is time; ``plate`` stands before wells where there are several plates."""
        self._fields += 1
        self._nuclei += entry.nuclei
        self._failed += entry.status == "failed"
        well = plate + entry.field.partition("/")[0]
        self._open[well] -= 1
        if not self._live and entry.status == "failed":
            print(f"{self._what[:-1]} {plate}{entry.field} failed: {entry.reason}", file=self._stream, flush=True)
        now = time.monotonic()
        if now - self._said >= (_LIVE_EVERY_S if self._live else _LINE_EVERY_S) or self._fields == self._total:
            self._said = now
            self._say(now)

    def finish(self) -> None:
        """End the live line."""
        if self._live and self._fields:
            print(file=self._stream, flush=True)

    def _say(self, now: float) -> None:
        text = self._text(max(now - self._started, 1e-6))
        if self._live:
            print(f"\r\x1b[K{text}", end="", file=self._stream, flush=True)
        else:
            print(text, file=self._stream, flush=True)

    def _text(self, seconds: float) -> str:
        rate = self._fields / seconds
        left = (self._total - self._fields) / rate
        wells = self._wells - sum(n > 0 for n in self._open.values())
        parts = [
            f"{self._fields}/{self._total} {self._what}",
            f"{wells}/{self._wells} wells",
            f"{rate:.2f} {self._what}/s",
            f"{self._nuclei:,} nuclei",
            f"{_duration(left)} left",
        ]
        if self._before:
            parts.append(f"{self._before} done before")
        if self._failed:
            parts.append(f"{self._failed} failed")
        return " · ".join(parts)


def _duration(seconds: float) -> str:
    minutes, s = divmod(round(seconds), 60)
    hours, minutes = divmod(minutes, 60)
    return f"{hours}:{minutes:02d}:{s:02d}" if hours else f"{minutes}:{s:02d}"
