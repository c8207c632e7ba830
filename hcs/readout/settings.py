"""Settings of the readouts: which statistics, from how many wells, and when a DNA peak may be used."""

from __future__ import annotations

from dataclasses import dataclass

from hcs.errors import ConfigError


@dataclass(frozen=True, slots=True, kw_only=True)
class ReadoutSettings:
    """What is read out of the nucleus table; impossible values raise ConfigError."""

    readouts: tuple[str, ...] = ("Mean_Nuclei_Sensor_Ratio", "Fraction_4N")
    """Well-table columns for which Z', robust Z' and SSMD are computed; figures show the first."""
    sensor_threshold: float = 0.8
    """Ring/nucleus ratio above which a nucleus counts in Fraction_SensorHigh."""
    exclude_border: bool = True
    """Leave nuclei that touch the field's border out of means, medians, fractions and the DNA peak."""
    min_wells: int = 3
    """Wells with a value that each side of a comparison needs; with fewer, NaN with a reason."""
    bootstrap: int = 2000
    """Resamples of a bootstrap interval."""
    confidence: float = 0.95
    """Coverage aimed at by the intervals, between 0 and 1."""
    seed: int = 0
    """Seed of the bootstrap; the same table and seed give the same intervals."""
    min_nuclei_peak: int = 200
    """Nuclei needed to look for the 2N peak; 200 put about 100 in G1, so its position is known to CV/10."""
    max_peak_cv: float = 0.25
    """Loosest usable coefficient of variation of the 2N peak; wider, 2N and 4N cannot be told apart."""
    max_saturated: float = 0.5
    """Largest share of nuclei with saturated DNA pixels; above it DNA content counts as clipped."""
    four_n_ratio: tuple[float, float] = (1.75, 2.2)
    """Range of the 4N/2N content ratio; stains and compaction of chromatin move it from the ideal 2."""
    phase_gates_n: tuple[float, float, float, float] = (1.5, 2.5, 3.5, 5.0)
    """Gates sub-G1 | G1 | S | G2M | above 4N in units of N, for single nuclei; fractions come from a fit."""

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
            ("sensor_threshold", self.sensor_threshold > 0, "be above 0"),
            ("min_wells", self.min_wells >= 2, "be at least 2, as one well has no spread"),
            ("bootstrap", self.bootstrap >= 100, "be at least 100"),
            ("confidence", 0 < self.confidence < 1, "lie between 0 and 1"),
            ("seed", self.seed >= 0, "be 0 or more"),
            ("min_nuclei_peak", self.min_nuclei_peak >= 50, "be at least 50"),
            ("max_peak_cv", 0 < self.max_peak_cv <= 0.3, "be above 0 and at most 0.3"),
            ("max_saturated", 0 <= self.max_saturated <= 1, "lie between 0 and 1"),
            ("four_n_ratio", 1.5 <= low < high <= 2.5, "be two rising numbers between 1.5 and 2.5"),
            (
                "phase_gates_n",
                gates[0] > 0 and list(gates) == sorted(set(gates)),
                "be four rising numbers above 0",
            ),
        )
