"""Settings of dose curves and hits: when a curve is fitted, what is a hit, which plate effect is taken out."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

from hcs.errors import ConfigError

ControlStrength = Literal["moderate", "strong", "very strong", "extremely strong"]


@dataclass(frozen=True, slots=True, kw_only=True)
class DoseSettings:
    """When a four-parameter logistic curve is fitted; impossible values raise ConfigError."""

    min_doses: int = 5
    """Different doses above 0 with a value that a curve needs; it has four parameters."""
    anchor: bool = True
    """Take the negative wells as dose 0 of every compound, which fixes the end of the curve without effect."""
    max_p: float = 0.01
    """Largest p-value of the F test of the curve against no effect at all, above which no curve is given."""
    min_r2: float = 0.5
    """Smallest share of the wells' weighted variance that a curve must explain."""

    def __post_init__(self) -> None:
        for name, good, rule in (
            ("min_doses", self.min_doses >= 4, "be at least 4, as many as the curve has parameters"),
            ("max_p", 0 < self.max_p < 1, "lie between 0 and 1"),
            ("min_r2", 0 <= self.min_r2 < 1, "be 0 or more and below 1"),
        ):
            if not good:
                raise ConfigError(f"readout.doses.{name} is {getattr(self, name)!r}; it must {rule}")


@dataclass(frozen=True, slots=True, kw_only=True)
class HitSettings:
    """What makes a hit, and which effect of the position is taken out before; impossible values raise ConfigError."""

    by: Literal["robust_z", "ssmd"] = "robust_z"
    """Effect that a hit must have: median robust z of the condition's wells, or their SSMD against the negatives."""
    robust_z: float = 3.0
    """Least robust z of a hit, up or down."""
    ssmd: float = 2.0
    """Least SSMD of a hit, up or down; 2 is where Zhang 2009 calls an effect strong."""
    fdr: float = 0.05
    """Share of false discoveries aimed at (Benjamini-Hochberg) among the hits of a readout."""
    reference: Literal["auto", "samples", "negatives"] = "auto"
    """What wells without an effect are known by: most of the sample wells, or the negative wells. auto: the samples
    where at least 20 conditions are there to learn from and most compounds come at one or two doses, as in a screen,
    where most do nothing; the negatives, widened by the samples' own noise, on plates of dose series."""
    correction: Literal["auto", "none", "bscore", "edge", "both"] = "auto"
    """Effect of the position taken out of the wells: none, rows and columns by median polish (bscore), edge, row and
    column as straight lines (edge), or both, these lines and then every row and column by Huber's regression. auto:
    both where the sample wells show an effect of their rows, columns or edge, else none. Scores before and after stand
    side by side, hits are called on the scores after."""

    def __post_init__(self) -> None:
        for name, good, rule in (
            ("robust_z", self.robust_z > 0, "be above 0"),
            ("ssmd", self.ssmd > 0, "be above 0"),
            ("fdr", 0 < self.fdr < 1, "lie between 0 and 1"),
        ):
            if not good:
                raise ConfigError(f"readout.hits.{name} is {getattr(self, name)!r}; it must {rule}")
