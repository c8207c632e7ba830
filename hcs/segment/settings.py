"""Settings of segmentation."""

from __future__ import annotations

from dataclasses import dataclass, replace
from fractions import Fraction

from hcs.errors import ConfigError


@dataclass(frozen=True, slots=True, kw_only=True)
class InstanceSettings:
    """How probabilities become nuclei."""

    foreground: float = 0.55
    """A pixel belongs to some nucleus where interior + boundary probability exceeds this; chosen on training images."""
    interior: float = 0.35
    """A pixel is a nucleus' core where the interior probability exceeds this; one core, one nucleus. Lower, fewer
    nuclei are split and more are merged; chosen on training images, where 0.35 to 0.4 give the highest F1."""
    min_area_px: int = 20
    """Nuclei of fewer pixels are dropped."""
    min_area_um2: float | None = None
    """The same in µm², instead of ``min_area_px``; needs images that state their pixel size."""
    min_confidence: float = 0.55
    """Nuclei of less confidence are dropped: mean over their pixels of the likelier nucleus class' probability. Haze
    and debris end up below; chosen on training images, where 0.55 and 0.6 give the same mean F1 and 0.55 the
    higher F1 at IoU 0.5."""
    small_px: int = 60
    """Nuclei of fewer pixels, at the scale at which the network sees them, need ``small_confidence``; there a usual
    nucleus has 450. Specks look like nuclei to a network more often than anything large does."""
    small_confidence: float = 0.65
    """Least confidence of a small nucleus; chosen on training images, where of the small ones 13 of 32 are right at 0.5
    to 0.6 and 13 of 20 at 0.6 to 0.7, and on drawn specks."""
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
        for name in ("min_area_px", "small_px", "min_core_px", "max_hole_px"):
            if getattr(self, name) < 0:
                raise ConfigError(f"instances.{name} = {getattr(self, name)}: a number of pixels cannot be negative")

    def for_field(self, pixel_size_um: float | None, scale: Fraction) -> InstanceSettings:
        """The same settings with every area in pixels of a field that the network sees at ``scale``.

        ConfigError where that needs a pixel size and there is none.
        """
        small_px = round(self.small_px / scale**2)
        if self.min_area_um2 is None:
            return replace(self, small_px=small_px)
        if pixel_size_um is None:
            raise ConfigError(
                f"instances.min_area_um2 = {self.min_area_um2}, but the images state no pixel size; set min_area_px"
            )
        min_area_px = round(self.min_area_um2 / pixel_size_um**2)
        return replace(self, small_px=small_px, min_area_um2=None, min_area_px=min_area_px)
