"""Cells before they have a place: phase, DNA content, size, sensor."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Final

import numpy as np
from numpy.typing import NDArray

from hcs.simulate.compounds import PHASES, QUIESCENT_RATIO, Condition
from hcs.simulate.settings import SimulationSettings

Floats = NDArray[np.float64]

_SUB_G1, _G1, _S, _G2M, _POLYPLOID = range(len(PHASES))
_MITOTIC_SHARE: Final = 0.1
"""Share of G2M cells that are in mitosis: condensed, bright and elongated, as metaphase plates are."""
_AREA_EXPONENT: Final = 0.75
"""Projected area grows as DNA content to this power: a little more than a sphere's 2/3, as nuclei flatten."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Population:
    """Cells of one field, as arrays of equal length."""

    phase: NDArray[np.int64]
    """Index into PHASES."""
    dna_n: Floats
    """True DNA content in units of N."""
    dna_total: Floats
    """Stain over the whole nucleus, in counts above background."""
    area_px: Floats
    """Intended area of the nucleus."""
    aspect: Floats
    """Long over short axis of the nucleus."""
    ratio: Floats
    """Sensor concentration in the cytoplasm over that in the nucleus."""
    expression: Floats
    """Sensor level in counts: the mean of the levels in cytoplasm and nucleus."""
    dead: NDArray[np.bool_]
    mitotic: NDArray[np.bool_]
    brightness: Floats
    """Stain concentration over that of a usual 2N nucleus, of dead cells that shine; 1 for all others."""

    def __len__(self) -> int:
        return len(self.phase)

    @property
    def condensed(self) -> NDArray[np.bool_]:
        """Cells whose chromatin is compact: dead or mitotic; they have no nucleoli."""
        return self.dead | self.mitotic

    @property
    def bright(self) -> NDArray[np.bool_]:
        """Dead cells that shine."""
        return self.brightness > 1

    @property
    def nucleus_counts(self) -> Floats:
        """Sensor level in the nucleus, in counts."""
        return self.expression * 2 / (1 + self.ratio)

    @property
    def cytoplasm_counts(self) -> Floats:
        """Sensor level in the cytoplasm, in counts."""
        return self.nucleus_counts * self.ratio


@dataclass(frozen=True, slots=True, kw_only=True)
class WellEffects:
    """What sets one well apart by chance, as factors around 1."""

    seeding: float
    staining: float
    ratio: float

    @classmethod
    def draw(cls, rng: np.random.Generator) -> WellEffects:
        """Coefficients of variation: 8 % of cell number, 2 % of stain, 2 % of sensor ratio."""
        seeding, staining, ratio = np.exp(rng.normal(0.0, (0.08, 0.02, 0.02)))
        return cls(seeding=float(seeding), staining=float(staining), ratio=float(ratio))


def draw_population(
    rng: np.random.Generator,
    number: int,
    *,
    condition: Condition,
    effects: WellEffects,
    settings: SimulationSettings,
) -> Population:
    """Draw `number` cells of a well in a given condition.

    Sub-G1 cells are the dead ones: small, round, condensed. Area follows DNA content with a log-normal spread
    of its own: stain concentration varies, while the integrated stain has only the staining's spread.
    """
    phase = rng.choice(len(PHASES), size=number, p=condition.phases).astype(np.int64)
    dead = phase == _SUB_G1
    mitotic = (phase == _G2M) & (rng.random(number) < _MITOTIC_SHARE)
    dna_n = _dna_content(rng, phase)
    stain = np.maximum(1 + settings.staining_cv * rng.standard_normal(number), 0.1)
    area = settings.nucleus_area_px * (dna_n / 2) ** _AREA_EXPONENT * _spread(rng, number, 0.12)
    area *= np.select([dead, mitotic], [0.5, 0.55], 1.0)
    return Population(
        phase=phase,
        dna_n=dna_n,
        dna_total=settings.dna_counts * settings.nucleus_area_px * dna_n / 2 * stain * effects.staining,
        area_px=area,
        aspect=np.select([dead, mitotic], [1.1, 1.9], 1.28) * _spread(rng, number, 0.08),
        ratio=_sensor_ratio(rng, phase, dna_n, condition.inhibition) * effects.ratio,
        expression=settings.sensor_counts * _spread(rng, number, 0.25),
        dead=dead,
        mitotic=mitotic,
        brightness=np.ones(number),
    )


def brighten(
    rng: np.random.Generator, population: Population, *, condition: Condition, settings: SimulationSettings
) -> Population:
    """The population with its killed cells as bright as `dead_brightness` says; unchanged where that is None.

    The stain of a killed cell is spread evenly over its small, round nucleus, at a brightness drawn evenly on a
    logarithmic scale. Nothing else about any cell changes.
    """
    if settings.dead_brightness is None:
        return population
    low, high = np.log(settings.dead_brightness)
    killed = population.dead & (rng.random(len(population)) < condition.killed)
    brightness = np.where(killed, np.exp(rng.uniform(low, high, len(population))), 1.0)
    total = settings.dna_counts * brightness * population.area_px
    return replace(population, dna_total=np.where(killed, total, population.dna_total), brightness=brightness)


def _dna_content(rng: np.random.Generator, phase: NDArray[np.int64]) -> Floats:
    """DNA content in N: 2 in G1, 4 in G2M, between in S, 0.7-1.5 in dead cells, 5-8 in polyploid ones."""
    number = len(phase)
    low = np.array([0.7, 2.0, 2.0, 4.0, 5.0])[phase]
    high = np.array([1.5, 2.0, 4.0, 4.0, 8.0])[phase]
    return np.asarray(low + (high - low) * rng.beta(1.2, 1.2, number))


def _sensor_ratio(rng: np.random.Generator, phase: NDArray[np.int64], dna_n: Floats, inhibition: float) -> Floats:
    """Sensor ratio of each cell: 0.5-0.75 in G1, rising with DNA content through S to 1.35-1.75 in G2M.

    Dead cells have lost the nuclear envelope's barrier (about 1). Inhibition moves the logarithm towards the
    quiescent ratio in every living cell.
    """
    number = len(phase)
    place = rng.random(number)
    replicated = np.clip((dna_n - 2) / 2, 0, 1)
    low, high = 0.5 + 0.85 * replicated, 0.75 + 1.0 * replicated
    log_ratio = np.log(low + (high - low) * place)
    log_ratio += inhibition * (np.log(QUIESCENT_RATIO) - log_ratio)
    log_ratio[phase == _SUB_G1] = 0.0
    return np.asarray(np.exp(log_ratio) * _spread(rng, number, 0.06))


def _spread(rng: np.random.Generator, number: int, sigma: float) -> Floats:
    """Log-normal factors with mean 1."""
    return np.asarray(np.exp(rng.normal(-(sigma**2) / 2, sigma, number)))
