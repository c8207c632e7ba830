"""Settings of tiling."""

from __future__ import annotations

from dataclasses import dataclass

from hcs.errors import ConfigError


@dataclass(frozen=True, slots=True, kw_only=True)
class TileSettings:
    """How a field is cut for the network. The result does not depend on it; memory and speed do."""

    size_px: int = 4096
    """Largest side of a tile's core. A field is cut into as few equal cores as this allows. Each has a halo that is
    computed twice; a network that runs layer by layer, as on a GPU or when it is not one of ours, holds a tile's
    layers in memory, which is 330 bytes a pixel at 16 channels."""
    max_field_px: int = 9_000_000
    """A field of more pixels, such as a stitched well, is not held in memory: it is cut into blocks."""
    block_px: int = 2048
    """Largest side of a block's core; larger blocks need less work in all and more memory."""
    max_nucleus_px: int = 128
    """Largest height and width of a nucleus in a field that is cut into blocks; the blocks overlap by this much.
    Larger objects are left out there, and the field's entry says how many."""

    def __post_init__(self) -> None:
        if self.size_px < 64:
            raise ConfigError(f"tiles.size_px = {self.size_px}: a core needs at least 64 px a side")
        if self.max_field_px < 1:
            raise ConfigError(f"tiles.max_field_px = {self.max_field_px}: give a number of pixels of at least 1")
        if self.block_px < 256:
            raise ConfigError(f"tiles.block_px = {self.block_px}: a block needs at least 256 px a side")
        if not 16 <= self.max_nucleus_px <= 1024:
            raise ConfigError(f"tiles.max_nucleus_px = {self.max_nucleus_px}: give 16 to 1024 px")
