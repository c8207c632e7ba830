"""What a user may change about tracks."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

from hcs.errors import ConfigError


@dataclass(frozen=True, slots=True, kw_only=True)
class TrackSettings:
    """How nuclei are linked over frames; impossible values raise ConfigError."""

    max_step_px: float | Literal["auto"] = "auto"
    """Farthest that a nucleus is looked for from one frame to the next, the field's drift taken out. ``auto`` learns
    from the movie how far nuclei move and looks as far as a link is likelier than none."""
    max_gap: int = 2
    """Most frames in a row in which a nucleus may be missed and still be the same one; 0 ends its track at once."""
    divisions: bool = True
    """Look for divisions; without, a daughter that is not the mother's continuation is a nucleus that appeared."""
    min_daughter_frames: int = 3
    """Frames that a daughter must be seen for, unless the movie ends or it leaves the field: two pieces of one nucleus
    that merge again after a frame are no division."""
    min_cycle_min: float = 240.0
    """Shortest time between two divisions of a lineage, minutes; used where the interval of frames is known."""
    dead_small: float = 0.55
    """A nucleus that shrinks to this share of its own median area until then, and condenses, for the rest of its track,
    has died."""
    dead_condensed: float = 1.5
    """Median of its mean DNA intensity from then on, relative to that until then, from which a nucleus that small has
    died; with its DNA unchanged, one of 0.55 of the area is at 1.8, and one that lost half of it is at 1."""
    dead_bright: float = 4.0
    """The same for a nucleus of any size."""

    def __post_init__(self) -> None:
        for name, good, rule in self._rules():
            if not good:
                raise ConfigError(f"tracks.{name} is {getattr(self, name)!r}; it must {rule}")

    def _rules(self) -> tuple[tuple[str, bool, str], ...]:
        return (
            ("max_step_px", self.max_step_px == "auto" or self.max_step_px > 0, "be above 0 px, or auto"),
            ("max_gap", 0 <= self.max_gap <= 20, "be from 0 to 20 frames"),
            ("min_daughter_frames", self.min_daughter_frames >= 1, "be at least 1 frame"),
            ("min_cycle_min", self.min_cycle_min >= 0, "be 0 minutes or more"),
            ("dead_small", 0 < self.dead_small < 1, "lie between 0 and 1"),
            ("dead_condensed", self.dead_condensed > 1, "be above 1, the living nucleus' own intensity"),
            ("dead_bright", self.dead_bright >= self.dead_condensed, "be at least `dead_condensed`"),
        )
