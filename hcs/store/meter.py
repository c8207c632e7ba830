"""How long bytes take to come out of a store, apart from how long it takes to decode them."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from time import perf_counter
from typing import Any

from zarr.storage import LocalStore, WrapperStore


@dataclass(slots=True)
class Meter:
    """Bytes that came out of a store, and the seconds in which at least one request was under way."""

    bytes: int = 0
    seconds: float = 0.0
    _open: int = 0
    _since: float = 0.0

    def start(self) -> None:
        """A request begins. All requests are made by zarr's one event loop."""
        if self._open == 0:
            self._since = perf_counter()
        self._open += 1

    def stop(self, nbytes: int) -> None:
        """A request ends."""
        self._open -= 1
        self.bytes += nbytes
        if self._open == 0:
            self.seconds += perf_counter() - self._since


class _Metered(WrapperStore[Any]):
    """A store whose answers are counted."""

    def __init__(self, store: Any, meter: Meter) -> None:
        super().__init__(store)
        self._meter = meter

    async def get(self, key: str, prototype: Any, byte_range: Any = None) -> Any:
        self._meter.start()
        found = None
        try:
            found = await super().get(key, prototype, byte_range)
        finally:
            self._meter.stop(0 if found is None else len(found))
        return found


def metered(store: Any, meter: Meter) -> Any:
    """``store``, or the local one of a path, read-only, with a meter."""
    return _Metered(LocalStore(store, read_only=True) if isinstance(store, Path) else store, meter)
