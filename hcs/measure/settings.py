"""What a user may change about measuring."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Literal

from hcs.errors import ConfigError

_LARGEST_REACH_PX = 200
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
