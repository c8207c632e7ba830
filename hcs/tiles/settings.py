"""Settings of tiling."""

from __future__ import annotations

from dataclasses import dataclass

from hcs.errors import ConfigError


@dataclass(frozen=True, slots=True, kw_only=True)
class TileSettings:
    """How a field is cut for the network. The result does not depend on it; memory and speed do."""

    size_px: int = 1024
    """Largest side of a tile's core. A field is cut into as few equal cores as this allows."""

    def __post_init__(self) -> None:
        if self.size_px < 64:
            raise ConfigError(f"tiles.size_px = {self.size_px}: a core needs at least 64 px a side")
