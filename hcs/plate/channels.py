"""Which channel of a plate is which.

Alone in a file because the store, the pipeline and the run all name channels this way.
"""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Channels:
    """Channels of a plate by 0-based index, with their names; ``sensor`` may be absent."""

    names: tuple[str, ...]
    dna: int
    sensor: int | None
    nuclei: int
