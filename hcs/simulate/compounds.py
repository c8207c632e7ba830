"""What a compound does to a population of cells, as a function of dose."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

PHASES: Final = ("subG1", "G1", "S", "G2M", ">4N")
"""Phases of the cell cycle by DNA content; every tuple of fractions follows this order."""

UNTREATED: Final = (0.02, 0.55, 0.24, 0.17, 0.02)
"""Phase fractions of a growing epithelial line."""

QUIESCENT_RATIO: Final = 0.55
"""Sensor ratio (cytoplasm / nucleus) of a cell without CDK2 activity."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Compound:
    """A compound by its half-effective dose and what its full effect does."""

    name: str
    ec50_um: float
    """Dose of half effect."""
    hill: float
    """Slope of the dose response."""
    phases: tuple[float, ...] = UNTREATED
    """Phase fractions at full effect."""
    inhibition: float = 0.0
    """Share of the log sensor ratio's way to QUIESCENT_RATIO that full effect goes."""
    loss: float = 0.0
    """Share of cells missing at full effect."""
    kills: bool = False
    """Whether the dead cells beyond the untreated share are its victims, which `SimulationSettings.dead_brightness`
    then makes bright."""
    slowing: float = 0.0
    """In movies, how much longer the cell cycle is at full effect, as a share of the untreated one."""
    quiescence: float = 0.0
    """In movies, share of the newborn cells that full effect keeps from starting a cycle."""
    deaths_per_h: float = 0.0
    """In movies, deaths an hour and cell at full effect."""

    def effect(self, dose_um: float) -> float:
        """Effect between 0 and 1 at a dose: the Hill equation; 0 at dose 0."""
        if dose_um <= 0:
            return 0.0
        return float(1 / (1 + (self.ec50_um / dose_um) ** self.hill))


CDK2_INHIBITOR: Final = Compound(
    name="cdk2-inhibitor",
    ec50_um=0.3,
    hill=1.2,
    phases=(0.03, 0.86, 0.05, 0.05, 0.01),
    inhibition=0.85,
    loss=0.3,
    quiescence=0.7,
)
G2M_ARRESTER: Final = Compound(
    name="g2m-arrester", ec50_um=0.1, hill=1.5, phases=(0.05, 0.15, 0.12, 0.60, 0.08), loss=0.35
)
CYTOTOXIC: Final = Compound(
    name="cytotoxic",
    ec50_um=1.0,
    hill=2.0,
    phases=(0.40, 0.33, 0.13, 0.12, 0.02),
    loss=0.5,
    kills=True,
    deaths_per_h=0.08,
)
INACTIVE: Final = Compound(name="inactive", ec50_um=1.0, hill=1.0)
CYCLE_SLOWER: Final = Compound(name="cycle-slower", ec50_um=0.5, hill=1.5, slowing=1.0)
COMPOUNDS: Final = (CDK2_INHIBITOR, G2M_ARRESTER, CYTOTOXIC, INACTIVE)
"""The library of a simulated plate; the first, at its top dose, is the positive control."""

LIVE_COMPOUNDS: Final = (CYCLE_SLOWER, CYTOTOXIC, INACTIVE)
"""The library of a simulated movie plate, whose positive control is the CDK2 inhibitor too."""

VEHICLE: Final = Compound(name="DMSO", ec50_um=1.0, hill=1.0)
"""What negative controls get."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Condition:
    """State of the cells of one well."""

    phases: tuple[float, ...]
    """Phase fractions, in the order of PHASES; they add up to 1."""
    inhibition: float
    """Share of the log sensor ratio's way to QUIESCENT_RATIO."""
    density: float
    """Cells relative to an untreated well; 0 is an empty well."""
    killed: float = 0.0
    """Share of the dead cells that the compound killed."""


def condition(compound: Compound, dose_um: float, *, seeding: float) -> Condition:
    """State of a well seeded with `seeding` times the usual cells after a compound has acted at a dose."""
    effect = compound.effect(dose_um)
    mixed = [(1 - effect) * base + effect * full for base, full in zip(UNTREATED, compound.phases, strict=True)]
    total = sum(mixed)
    killed = max(0.0, 1 - (1 - effect) * UNTREATED[0] / mixed[0]) if compound.kills else 0.0
    return Condition(
        phases=tuple(share / total for share in mixed),
        inhibition=effect * compound.inhibition,
        density=seeding * (1 - effect * compound.loss),
        killed=killed,
    )
