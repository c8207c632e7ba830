"""Settings of segmentation."""

from __future__ import annotations

from dataclasses import dataclass, replace
from fractions import Fraction

from hcs.errors import ConfigError

_LEVEL_STEP, _HIGHEST_LEVEL, _GROWTH_PER_LEVEL = 0.1, 0.8, 1.5


@dataclass(frozen=True, slots=True, kw_only=True)
class InstanceSettings:
    """How probabilities become nuclei."""

    foreground: float = 0.55
    """A pixel belongs to some nucleus where interior + boundary probability exceeds this; chosen on training images."""
    interior: float = 0.25
    """A pixel can be of a nucleus' core where the interior probability exceeds this; one core, one nucleus."""
    split_px: int = 80
    """Parts of a core that come apart where the interior probability exceeds ``interior`` + 0.1 are cores of their own
    if they have this many pixels there, at the scale at which the network sees them; half as many more at each further
    0.1, for a shallow dip parts nuclei less often. Lower, more nuclei are split and fewer are merged; chosen on
    training images."""
    min_area_px: int = 20
    """Nuclei of fewer pixels are dropped."""
    min_area_um2: float | None = None
    """The same in µm², instead of ``min_area_px``; needs images that state their pixel size."""
    min_confidence: float = 0.75
    """Nuclei of less are dropped: mean over their pixels of interior + boundary probability. Haze and debris end up
    below; chosen on training images."""
    small_px: int = 60
    """Nuclei of fewer pixels, at the scale at which the network sees them, need ``small_confidence``; there a usual
    nucleus has 450. Specks look like nuclei to a network more often than anything large does."""
    small_confidence: float = 0.77
    """Least confidence of a small nucleus; chosen on training images."""
    min_core_px: int = 8
    """Cores of fewer pixels start no nucleus of their own."""
    max_hole_px: int = 64
    """Holes inside a nucleus of up to this many pixels are filled."""

    def __post_init__(self) -> None:
        for name in ("min_confidence", "small_confidence"):
            if not 0.0 <= getattr(self, name) < 1.0:
                raise ConfigError(f"instances.{name} = {getattr(self, name)}: give a probability from 0 to below 1")
        for name in ("foreground", "interior"):
            if not 0.0 < getattr(self, name) < 1.0:
                raise ConfigError(f"instances.{name} = {getattr(self, name)}: a probability between 0 and 1 is needed")
        if self.min_area_um2 is not None and not self.min_area_um2 >= 0:
            raise ConfigError(f"instances.min_area_um2 = {self.min_area_um2}: an area cannot be negative")
        for name in ("split_px", "min_area_px", "small_px", "min_core_px", "max_hole_px"):
            if getattr(self, name) < 0:
                raise ConfigError(f"instances.{name} = {getattr(self, name)}: a number of pixels cannot be negative")

    def for_field(self, pixel_size_um: float | None, scale: Fraction) -> InstanceSettings:
        """The same settings with every area in pixels of a field that the network sees at ``scale``.

        ConfigError where that needs a pixel size and there is none.
        """
        small_px, split_px = round(self.small_px / scale**2), round(self.split_px / scale**2)
        if self.min_area_um2 is None:
            return replace(self, small_px=small_px, split_px=split_px)
        if pixel_size_um is None:
            raise ConfigError(
                f"instances.min_area_um2 = {self.min_area_um2}, but the images state no pixel size; set min_area_px"
            )
        min_area_px = round(self.min_area_um2 / pixel_size_um**2)
        return replace(self, small_px=small_px, split_px=split_px, min_area_um2=None, min_area_px=min_area_px)

    def levels(self) -> list[tuple[float, int]]:
        """Interior probabilities at which cores may come apart, from the lowest up, and how many pixels a part needs
        there."""
        found = [(self.interior, self.min_core_px)]
        level, least_px = self.interior + _LEVEL_STEP, float(self.split_px)
        while level < _HIGHEST_LEVEL:
            found.append((level, max(round(least_px), self.min_core_px)))
            level, least_px = level + _LEVEL_STEP, least_px * _GROWTH_PER_LEVEL
        return found
