"""What a user may change about measuring."""

from __future__ import annotations

import re
from dataclasses import dataclass, replace
from math import ceil
from typing import Literal

from hcs.errors import ConfigError

_LARGEST_REACH_PX = 200
_LARGEST_CELL_PX = 500
_LARGEST_BOUNDARY = 100
_BOUNDARY_PX = 4
"""Pixels of boundary that a cell may have at its own edge."""
CELL_OVER_NUCLEUS = 2.2
"""Diameter of usual whole cells over that of their nuclei."""
_NAME = re.compile(r"[A-Za-z0-9_][A-Za-z0-9_.-]{0,99}")
_RING_UM = 3.25


@dataclass(frozen=True, slots=True, kw_only=True)
class MeasureSettings:
    """Ring, local background and field background. Distances are between pixel centres."""

    ring_width_um: float | Literal["auto"] | None = "auto"
    """Width of the ring in µm, for plates that state their pixel size: the same rim of a cell at every magnification.
    ``ring_width_px``, ``ring_gap_px`` and ``local_width_px`` are then in proportion, in whole pixels. ``auto`` is 3.25
    µm, 5 px at 0.65 µm, unless one of these three is set; null: in pixels."""

    ring_width_px: int = 5
    """Width of the ring: its pixels lie farther than ``ring_gap_px`` and at most this much farther."""

    ring_gap_px: int = 1
    """Pixels this near to any nucleus belong to no ring; keeps the nucleus's blurred edge out of it."""

    ring_min_px: int = 20
    """A nucleus whose ring has fewer pixels gets no sensor ratio (NaN)."""

    sensor_min_signal: float = 3.0
    """Grey levels by which a nucleus' mean must exceed the field's background to get a sensor ratio, in integer images:
    below three levels rounding and the background's own error (about one level) make the ratio worthless, and a few
    such nuclei carry a well's mean away. Float images need only be above the background."""

    sensor_ratio: Literal["means", "dhb"] = "means"
    """``means``: ring mean over nucleus mean. ``dhb``: as published for DHB sensors, median of the upper half of the
    ring's pixels over the nucleus median. Both above the background."""

    local_width_px: int = 10
    """Width of the zone beyond the ring from which a nucleus's local background is taken."""

    local_min_px: int = 100
    """With fewer pixels of its own, a nucleus takes its local background from a window around it, which grows
    until it holds this many; where even the widest does not, the field's background is used and flagged."""

    background_percentile: float = 1.0
    """The field's background is this percentile of its block means."""

    background_block_px: int = 8
    """Side of those blocks: averaging takes the noise out before the percentile looks at the low end."""

    saturation_level: float | None = None
    """Pixels at or above this value count as saturated. Default: the largest value of an integer image's
    dtype; set 4095 for a 12-bit camera stored as uint16."""

    def for_pixels(self, pixel_size_um: float | None) -> MeasureSettings:
        """The same settings in pixels of this size; of unknown size, as they are."""
        width_um = self.ring_width_um
        if width_um == "auto":
            width_um = _RING_UM if (self.ring_width_px, self.ring_gap_px, self.local_width_px) == (5, 1, 10) else None
        if width_um is None or pixel_size_um is None:
            return self
        width_px = width_um / pixel_size_um
        return replace(
            self,
            ring_width_um=None,
            ring_width_px=max(round(width_px), 1),
            ring_gap_px=max(round(width_px * self.ring_gap_px / self.ring_width_px), 0),
            local_width_px=max(round(width_px * self.local_width_px / self.ring_width_px), 1),
        )

    def __post_init__(self) -> None:
        if isinstance(self.ring_width_um, float | int) and not self.ring_width_um > 0:
            raise ConfigError(f"measure.ring_width_um = {self.ring_width_um}: give a width above 0 µm, or null")
        self._require_at_least("ring_gap_px", 0)
        for name in ("ring_width_px", "ring_min_px", "local_width_px", "local_min_px", "background_block_px"):
            self._require_at_least(name, 1)
        if self.sensor_min_signal < 0:
            raise ConfigError(f"measure.sensor_min_signal = {self.sensor_min_signal}: give 0 or more grey levels")
        if self.reach_px > _LARGEST_REACH_PX:
            raise ConfigError(
                f"measure.ring_gap_px + ring_width_px + local_width_px = {self.reach_px}: "
                f"a nucleus's surroundings may reach {_LARGEST_REACH_PX} px at most; make one of them smaller"
            )
        if not 0.0 <= self.background_percentile <= 100.0:
            raise ConfigError(
                f"measure.background_percentile = {self.background_percentile}: a percentile lies between 0 and 100"
            )

    @property
    def ring_end_px(self) -> int:
        """Largest distance of a ring pixel from its nucleus."""
        return self.ring_gap_px + self.ring_width_px

    @property
    def reach_px(self) -> int:
        """Largest distance at which a pixel still belongs to a nucleus's surroundings."""
        return self.ring_end_px + self.local_width_px

    def _require_at_least(self, name: str, least: int) -> None:
        value = getattr(self, name)
        if value < least:
            raise ConfigError(f"measure.{name} = {value}: give a whole number of at least {least}")


@dataclass(frozen=True, slots=True, kw_only=True)
class CellSettings:
    """Whole cells, grown from nuclei where `channels.cells` names a channel for them."""

    method: Literal["propagation", "contours"] = "propagation"
    """``propagation`` grows all nuclei at once, in a fraction of the network's time; ``contours`` then draws each
    cell's outline by an active contour seeded with its nucleus (seconds a field)."""

    model: str | None = None
    """Network whose cells, found in the channel, the nuclei are grown to: the shipped ``cells``, or the path of a
    .safetensors file with its card (.json) beside it, trained on whole cells. A cell ends where the network says
    background, and parts from its neighbour at the boundary between them. Without one, cells end where the channel is
    dark."""

    diameter_px: float | None = None
    """Typical diameter of whole cells, for ``model``, which sees them at the size that it was trained at; null: 2.2
    times that of the nuclei."""

    boundary: float = 4.0
    """With ``model``: for how many pixels of way more a pixel counts in which the boundary between cells is certain."""

    reach_um: float | None = 25.0
    """Longest way from a nucleus to the end of its cell, in µm, for plates that state their pixel size; null: in
    pixels."""

    reach_px: int = 40
    """The same in pixels, where the size of a pixel is not known."""

    threshold: float = 0.2
    """A pixel may be a cell's where it rises above the field's background by this share of the cell's own level, which
    is the upper quartile of the pixels of its ring."""

    edge_px: float = 5.0
    """How many pixels of way a change of intensity by the cell's own level counts for: cells that touch part where
    intensity changes. 0 parts them half-way between the nuclei."""

    least_signal: float = 3.0
    """A nucleus whose ring is not this many grey levels above the background is its own cell: nothing can be seen to
    grow into."""

    labels_name: str = "cells"
    """Name of the cells' labels in each field's list; they go where the nuclei's labels go."""

    @property
    def way_px(self) -> int:
        """Longest way of a cell from its nucleus, with what a change of the ground counts for."""
        return self.reach_px if self.model is None else self.reach_px + ceil(_BOUNDARY_PX * self.boundary)

    def typical_px(self, nucleus_px: float) -> float:
        """Typical diameter of whole cells around nuclei of this one; NaN where nobody knows."""
        return CELL_OVER_NUCLEUS * nucleus_px if self.diameter_px is None else self.diameter_px

    def for_pixels(self, pixel_size_um: float | None) -> CellSettings:
        """The same settings in pixels of this size; of unknown size, as they are."""
        if self.reach_um is None or pixel_size_um is None:
            return self
        reach_px = min(max(round(self.reach_um / pixel_size_um), 1), _LARGEST_CELL_PX)
        return replace(self, reach_um=None, reach_px=reach_px)

    def __post_init__(self) -> None:
        if self.reach_um is not None and not self.reach_um > 0:
            raise ConfigError(f"cells.reach_um = {self.reach_um}: give a way above 0 µm, or null")
        if not 1 <= self.reach_px <= _LARGEST_CELL_PX:
            raise ConfigError(f"cells.reach_px = {self.reach_px}: give 1 to {_LARGEST_CELL_PX} px")
        if not 0 < self.threshold < 1:
            raise ConfigError(f"cells.threshold = {self.threshold}: give a share above 0 and below 1")
        if not 0 <= self.edge_px <= _LARGEST_CELL_PX:
            raise ConfigError(f"cells.edge_px = {self.edge_px}: give 0 to {_LARGEST_CELL_PX} px")
        if not 0 <= self.boundary <= _LARGEST_BOUNDARY:
            raise ConfigError(f"cells.boundary = {self.boundary}: give 0 to {_LARGEST_BOUNDARY}")
        if self.diameter_px is not None and not self.diameter_px > 0:
            raise ConfigError(f"cells.diameter_px = {self.diameter_px}: give a diameter above 0 px, or null")
        if not _NAME.fullmatch(self.labels_name):
            raise ConfigError(
                f"cells.labels_name = {self.labels_name!r}: a name has up to 100 letters, digits, _, . and -, and "
                "begins with a letter, a digit or _"
            )
        if self.least_signal < 0:
            raise ConfigError(f"cells.least_signal = {self.least_signal}: give 0 or more grey levels")
