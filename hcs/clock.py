"""Seconds and bytes by stage: what a worker keeps of every field, so that a run can say where its time went."""

from __future__ import annotations

from time import perf_counter


class Stopwatch:
    """Seconds by stage, in the order of the stages, and the bytes that each stage handed on."""

    def __init__(self) -> None:
        self.seconds: dict[str, float] = {}
        self.bytes: dict[str, int] = {}
        self._last = perf_counter()

    def lap(self, stage: str, nbytes: int = 0) -> None:
        """Book the time since the last lap under ``stage``."""
        now = perf_counter()
        self.book(stage, now - self._last, nbytes)
        self._last = now

    def book(self, stage: str, seconds: float, nbytes: int = 0) -> None:
        """Book time that was taken elsewhere, beside the laps."""
        self.seconds[stage] = self.seconds.get(stage, 0.0) + seconds
        if nbytes:
            self.bytes[stage] = self.bytes.get(stage, 0) + nbytes

    def add(self, other: Stopwatch) -> None:
        """Book all that ``other`` has, which was kept by another thread."""
        for stage, seconds in other.seconds.items():
            self.book(stage, seconds, other.bytes.get(stage, 0))
