"""Settings of the cell cycle: what is a single nucleus, when a fit is refused, how sensor-high is told."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

from hcs.errors import ConfigError


@dataclass(frozen=True, slots=True, kw_only=True)
class CycleSettings:
    """Gates and limits of the cell-cycle fits; impossible values raise ConfigError."""

    min_nuclei: int = 30
    """Single nuclei that a well needs, its plate telling where the peaks lie.

    Chance alone moves a fraction of 30 nuclei by 9 points.
    """
    max_misfit: float = 0.06
    """Largest distance between the cumulative histograms of nuclei and fitted model, beyond what chance explains."""
    max_uncertainty: float = 0.05
    """Largest standard deviation of a fraction, beyond chance, and largest fraction of S under one peak, with which a
    fit is accepted whose S is not spread as on the plate."""
    debris_n: float = 0.4
    """Objects of less DNA, in units of N, are debris."""
    debris_area: float = 0.15
    """Objects smaller than this share of the plate's typical 2N nucleus are debris."""
    doublet_n: float = 3.0
    """Least DNA, in units of N, of what may be two nuclei taken for one."""
    doublet_area: float = 1.5
    """Least area of such a doublet, as a multiple of the plate's typical 2N nucleus."""
    doublet_spread: float = 4.0
    """A doublet's solidity lies at least so many robust standard deviations below the typical 2N nucleus'."""
    sensor_gate: Literal["mixture", "fixed"] = "mixture"
    """What tells CDK2-high from CDK2-low: the plate's two-component mixture of log ratios where it has two, else the
    fixed ``readout.sensor_threshold``; or always the latter."""
    sensor_min_nuclei: int = 200
    """Nuclei with a sensor ratio that the mixture needs."""
    sensor_min_share: float = 0.05
    """Share of the nuclei that each component of the mixture must hold."""
    sensor_min_separation: float = 2.0
    """Ashman's D, the distance of the two components in units of their width, from which they count as two."""

    def __post_init__(self) -> None:
        for name, good, rule in self._rules():
            if not good:
                raise ConfigError(f"readout.cycle.{name} is {getattr(self, name)!r}; it must {rule}")

    def _rules(self) -> tuple[tuple[str, bool, str], ...]:
        return (
            ("min_nuclei", self.min_nuclei >= 20, "be at least 20, as fewer say nothing of a fraction"),
            ("max_misfit", 0 < self.max_misfit <= 1, "be above 0 and at most 1"),
            ("max_uncertainty", 0 < self.max_uncertainty <= 1, "be above 0 and at most 1"),
            ("debris_n", 0 <= self.debris_n < 2, "be 0 or more and below 2"),
            ("debris_area", 0 <= self.debris_area < 1, "be 0 or more and below 1"),
            ("doublet_n", self.doublet_n >= 2, "be at least 2"),
            ("doublet_area", self.doublet_area >= 1, "be at least 1"),
            ("doublet_spread", self.doublet_spread > 0, "be above 0"),
            ("sensor_min_nuclei", self.sensor_min_nuclei >= 50, "be at least 50"),
            ("sensor_min_share", 0 < self.sensor_min_share < 0.5, "lie between 0 and 0.5"),
            ("sensor_min_separation", self.sensor_min_separation > 0, "be above 0"),
        )
