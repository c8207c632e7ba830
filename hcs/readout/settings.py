"""Settings of the readouts: which statistics, from how many wells, and when a DNA peak may be used."""

from __future__ import annotations

from dataclasses import dataclass, field

from hcs.errors import ConfigError
from hcs.readout.cycle_settings import CycleSettings
from hcs.readout.hit_settings import ControlStrength, DoseSettings, HitSettings
from hcs.readout.toxicity_settings import DeadSettings, ToxicitySettings


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
