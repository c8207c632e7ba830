"""Settings of the readouts: which statistics, from how many wells, and when a DNA peak may be used."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Literal

from hcs.errors import ConfigError
from hcs.readout.live.settings import LiveSettings


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


@dataclass(frozen=True, slots=True, kw_only=True)
class ReadoutSettings:
    """What is read out of the nucleus table; impossible values raise ConfigError."""

    readouts: tuple[str, ...] = ("Mean_Nuclei_Sensor_Ratio", "Fraction_4N")
    """Well-table columns for which Z', robust Z' and SSMD are computed; figures show the first."""
    timepoint: int | Literal["first", "last"] = "last"
    """Frame of a plate with time that the tables of wells are made of, as if the plate had been imaged then alone: its
    0-based number, the first, or the last that most fields have. Tables over time are of all frames."""
    sensor_threshold: float = 0.8
    """Ring/nucleus ratio above which a nucleus counts in Fraction_SensorHigh."""
    exclude_border: bool = True
    """Leave nuclei that touch the field's border out of means, medians, fractions and the DNA peak."""
    min_wells: int = 3
    """Wells with a value that each side of a comparison needs; with fewer, NaN with a reason."""
    draws: int = 4000
    """Draws that the intervals of Z', robust Z' and SSMD are made of."""
    min_nuclei: int = 10
    """Measured nuclei a well, in the median over a side's wells, below which a Z' has no verdict: the mean of one or
    two nuclei is no readout of a well. Not asked of counts, which are few where a control kills."""
    confidence: float = 0.95
    """Coverage aimed at by the intervals, between 0 and 1."""
    seed: int = 0
    """Seed of the draws; the same table and seed give the same intervals."""
    control_strength: ControlStrength = "strong"
    """How strong an effect the positive control is known to have; SSMD is classed by it."""
    doses: DoseSettings = field(default_factory=DoseSettings)
    """When a dose curve is fitted."""
    hits: HitSettings = field(default_factory=HitSettings)
    """What makes a hit, and which plate effect is taken out before."""
    dead: DeadSettings = field(default_factory=DeadSettings)
    """Which nuclei are dead cells, and whether they are left out."""
    toxicity: ToxicitySettings = field(default_factory=ToxicitySettings)
    """From which loss of living nuclei a dose is toxic."""
    min_nuclei_peak: int = 200
    """Nuclei needed to look for the 2N peak; 200 put about 100 in G1, so its position is known to CV/10."""
    max_peak_cv: float = 0.15
    """Loosest usable coefficient of variation of the 2N peak; wider, S cannot be told apart from 2N and 4N."""
    max_saturated: float = 0.5
    """Largest share of nuclei with saturated DNA pixels; above it DNA content counts as clipped."""
    four_n_ratio: tuple[float, float] = (1.75, 2.2)
    """Range of the 4N/2N content ratio; stains and compaction of chromatin move it from the ideal 2."""
    phase_gates_n: tuple[float, float, float, float] = (1.5, 2.5, 3.5, 5.0)
    """Gates sub-G1 | G1 | S | G2M | above 4N in units of N, for single nuclei; fractions come from a fit."""
    cycle: CycleSettings = field(default_factory=CycleSettings)
    """Single nuclei, when a cell-cycle fit is refused, and CDK2-high."""
    live: LiveSettings = field(default_factory=LiveSettings)
    """Which tracks are read, and by which rules; for plates with time."""
    drop_duplicates: bool = False
    """Count a nucleus once that two fields of a well show, because they overlap on the stage; positions are those in
    the plate's metadata. The table of nuclei keeps all, duplicates.parquet lists those left out of the readouts."""
    exclude_flagged: bool = False
    """Leave the nuclei of fields with a flag of image quality out of every readout; a note says which."""
    flag_mads: float = 5.0
    """Robust standard deviations (1.4826 MAD) from the plate's median beyond which a field is flagged."""
    flag_min_fields: int = 8
    """Fields with a value that the thresholds of flags are learned from; with fewer, no flags."""

    def __post_init__(self) -> None:
        for name, good, rule in self._rules():
            if not good:
                raise ConfigError(f"readout.{name} is {getattr(self, name)!r}; it must {rule}")

    def _rules(self) -> tuple[tuple[str, bool, str], ...]:
        low, high = self.four_n_ratio
        gates = self.phase_gates_n
        return (
            (
                "readouts",
                len(set(self.readouts)) == len(self.readouts) > 0,
                "name at least one column, each once",
            ),
            ("timepoint", isinstance(self.timepoint, str) or self.timepoint >= 0, "be 0 or more, first or last"),
            ("sensor_threshold", self.sensor_threshold > 0, "be above 0"),
            ("min_wells", self.min_wells >= 2, "be at least 2, as one well has no spread"),
            ("draws", self.draws >= 100, "be at least 100"),
            ("min_nuclei", self.min_nuclei >= 1, "be at least 1"),
            ("confidence", 0 < self.confidence < 1, "lie between 0 and 1"),
            ("seed", self.seed >= 0, "be 0 or more"),
            ("min_nuclei_peak", self.min_nuclei_peak >= 50, "be at least 50"),
            ("max_peak_cv", 0 < self.max_peak_cv <= 0.3, "be above 0 and at most 0.3"),
            ("max_saturated", 0 <= self.max_saturated <= 1, "lie between 0 and 1"),
            ("flag_mads", self.flag_mads > 0, "be above 0"),
            ("flag_min_fields", self.flag_min_fields >= 3, "be at least 3, as a spread needs some fields"),
            ("four_n_ratio", 1.5 <= low < high <= 2.5, "be two rising numbers between 1.5 and 2.5"),
            (
                "phase_gates_n",
                gates[0] > 0 and list(gates) == sorted(set(gates)),
                "be four rising numbers above 0",
            ),
        )
