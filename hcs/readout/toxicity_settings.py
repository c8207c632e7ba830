"""Settings of dead cells and toxicity: which nuclei are dead, and from which loss of living ones a dose is toxic.

Alone, as the settings of all readouts hold these and the rooms that use them hold those.
"""

from __future__ import annotations

from dataclasses import dataclass

from hcs.errors import ConfigError


@dataclass(frozen=True, slots=True, kw_only=True)
class DeadSettings:
    """Which nuclei are called dead, relative to the living ones of the plate; impossible values raise ConfigError."""

    exclude: bool = True
    """Leave dead cells out of means, medians, fractions, the DNA peak and the cell cycle; a note says how many. They
    are counted (Count_Dead) and keep their rows in the table of nuclei either way."""
    bright: float = 4.0
    """DNA intensity above background, relative to living nuclei, from which a nucleus of any size is dead. Mitotic
    ones reach 2 to 3."""
    condensed: float = 2.5
    """The same for a nucleus that is small as well, or half of whose DNA pixels are saturated, so that it is brighter
    than it seems."""
    small: float = 0.5
    """Area, relative to living nuclei, up to which a nucleus is small."""
    min_nuclei: int = 50
    """Nuclei that are needed to learn what living ones look like."""

    def __post_init__(self) -> None:
        _check(
            "dead",
            ("condensed", self.condensed > 1, "be above 1, the living nuclei's intensity"),
            ("bright", self.bright >= self.condensed, "be at least `condensed`"),
            ("small", 0 < self.small <= 1, "lie between 0 and 1"),
            ("min_nuclei", self.min_nuclei >= 10, "be at least 10"),
            settings=self,
        )


@dataclass(frozen=True, slots=True, kw_only=True)
class ToxicitySettings:
    """From which loss of living nuclei a dose is called toxic; impossible values raise ConfigError."""

    alpha: float = 0.05
    """Largest probability that any compound at any dose of a plate without toxicity is called toxic."""
    min_loss: float = 0.2
    """Smallest loss of living nuclei, relative to the negatives, that is called toxic however certain it is."""

    def __post_init__(self) -> None:
        _check(
            "toxicity",
            ("alpha", 0 < self.alpha < 1, "lie between 0 and 1"),
            ("min_loss", 0 <= self.min_loss < 1, "be 0 or more and below 1"),
            settings=self,
        )


def _check(section: str, *rules: tuple[str, bool, str], settings: object) -> None:
    for name, good, rule in rules:
        if not good:
            raise ConfigError(f"readout.{section}.{name} is {getattr(settings, name)!r}; it must {rule}")
