"""Settings of what is read from tracks."""

from __future__ import annotations

from dataclasses import dataclass
from math import inf

from hcs.errors import ConfigError


@dataclass(frozen=True, slots=True, kw_only=True)
class LiveSettings:
    """Which tracks are read, and by which rules; impossible values raise ConfigError."""

    min_quality: float = 0.5
    """Least Track_Quality of a track that is read: the probability that all its links are right."""
    min_tracks: int = 10
    """Tracks of that quality that a readout of a well needs; with fewer it is NaN, with the reason."""
    smooth_frames: int = 3
    """Frames of the running median that a trace is smoothed by; an odd number."""
    rise_by: float = 0.2
    """CDK2 has risen once the sensor ratio is so far above the cell's lowest since birth, for ``hold_min``. The rise
    began when the ratio was last within a third of that above the lowest."""
    hold_min: float = 60.0
    """Minutes for which a risen ratio must stay so, or until the track ends."""
    early_min: float = 180.0
    """A cell whose CDK2 begins to rise within so many minutes of its birth is CDK2-inc; one that does later, emerging
    (Spencer et al., Cell 155, 369, 2013)."""
    low_min: float = 600.0
    """A cell whose CDK2 has not risen for so many minutes after birth is CDK2-low."""
    stimulus_min: float | None = None
    """Time of a stimulus, in minutes from the first frame; without one there is no answer to read."""
    light_off_min: float | None = None
    """Where the stimulus is light, when it ends, in minutes from the first frame; null: the reporter's recovery is read
    from where the nuclei have least of it."""
    response_min: float | None = None
    """Minutes after the stimulus up to which answers are read; null: to the end of the movie."""
    window_frames: tuple[int, ...] = (1, 3, 9)
    """Widths of the windows among which the best for an assay is looked for, in frames."""

    def __post_init__(self) -> None:
        for name, good, rule in self._rules():
            if not good:
                raise ConfigError(f"readout.live.{name} is {getattr(self, name)!r}; it must {rule}")

    def _rules(self) -> tuple[tuple[str, bool, str], ...]:
        odd = self.smooth_frames >= 1 and self.smooth_frames % 2 == 1
        return (
            ("min_quality", 0 <= self.min_quality < 1, "be 0 or more and below 1"),
            ("min_tracks", self.min_tracks >= 3, "be at least 3"),
            ("smooth_frames", odd, "be an odd number of frames, 1 for none"),
            ("rise_by", self.rise_by > 0, "be above 0"),
            ("hold_min", self.hold_min >= 0, "be 0 minutes or more"),
            ("early_min", self.early_min > 0, "be above 0 minutes"),
            ("low_min", self.low_min > self.early_min, "be above early_min"),
            ("stimulus_min", self.stimulus_min is None or self.stimulus_min > 0, "be above 0 minutes, or null"),
            (
                "light_off_min",
                self.light_off_min is None or self.light_off_min > (self.stimulus_min or inf),
                "come after stimulus_min, or be null",
            ),
            ("response_min", self.response_min is None or self.response_min > 0, "be above 0 minutes, or null"),
            ("window_frames", bool(self.window_frames) and min(self.window_frames) >= 1, "be widths of 1 or more"),
        )
