"""DNA contents of wells whose cells' phases are known: what cell-cycle fits are tried on."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Final

import numpy as np
from numpy.typing import NDArray

from hcs.simulate.compounds import CDK2_INHIBITOR, G2M_ARRESTER, UNTREATED

Floats = NDArray[np.float64]
Shape = tuple[float, float]

_EIGHT_N: Final = 8.0
_DEBRIS_N: Final = (0.1, 1.5)


@dataclass(frozen=True, slots=True, kw_only=True)
class Contents:
    """One kind of well: fractions of the phases, where in S the cells are, and how they are stained."""

    phases: tuple[float, ...] = UNTREATED
    """Fractions of sub-G1, G1, S, G2M, above 4N."""
    s_beta: Shape = (1.2, 1.2)
    """Beta distribution of a cell's place in S, 0 at 2N and 1 at 4N."""
    wave: float = 0.0
    """Share of the S cells that stand together, as after a block and release."""
    wave_n: float = 3.0
    """Where they stand, in N."""
    wave_sd_n: float = 0.08
    """Standard deviation of their content, in N, before that of the stain."""
    polyploid: float = 0.0
    """Share of the cells above 4N that are at 8N; the rest is between."""
    cv: float = 0.05
    """Coefficient of variation that staining and measuring add."""
    stain: float = 1.0
    """The well's stain over the plate's."""
    stain_cv: float = 0.02
    """Its chance variation from well to well."""

    def draw(self, rng: np.random.Generator, n: int) -> tuple[Floats, Floats]:
        """Contents (n,) in units of the plate's N, and the fractions (5,) of the phases really drawn."""
        phase = rng.choice(5, n, p=np.array(self.phases) / sum(self.phases))
        place = rng.beta(*self.s_beta, n)
        together = rng.random(n) < self.wave
        place[together] = np.clip((self.wave_n + self.wave_sd_n * rng.standard_normal(n) - 2) / 2, 0, 1)[together]
        above = np.where(rng.random(n) < self.polyploid, _EIGHT_N, rng.uniform(4.5, _EIGHT_N, n))
        debris = rng.uniform(*_DEBRIS_N, n)
        content = np.choose(phase, [debris, np.full(n, 2.0), 2 + 2 * place, np.full(n, 4.0), above])
        stain = self.stain * np.exp(self.stain_cv * rng.standard_normal())
        return content * stain * (1 + self.cv * rng.standard_normal(n)), np.bincount(phase, minlength=5) / n


@dataclass(frozen=True, slots=True)
class Population:
    """A named kind of well and the number of nuclei in it."""

    name: str
    contents: Contents = field(default_factory=Contents)
    n: int = 1000


def early_s(wave_n: float, *, s: float = 0.8, g2m: float = 0.06) -> Contents:
    """Cells held in early S, as by thymidine or hydroxyurea: ``s`` of them, nine in ten at ``wave_n``."""
    return Contents(phases=(0.02, 1 - s - g2m - 0.03, s, g2m, 0.01), wave=0.9, wave_n=wave_n)


_S_RICH = (0.02, 0.38, 0.40, 0.18, 0.02)
POPULATIONS: Final = (
    Population("asynchronous"),
    Population("asynchronous, CV 3 %", Contents(cv=0.03)),
    Population("asynchronous, CV 8 %", Contents(cv=0.08)),
    Population("G1 arrest", Contents(phases=CDK2_INHIBITOR.phases)),
    Population("G1 arrest, complete", Contents(phases=(0.01, 0.97, 0.01, 0.01, 0.0))),
    Population("G2M arrest", Contents(phases=G2M_ARRESTER.phases)),
    Population("G2M arrest, complete", Contents(phases=(0.01, 0.02, 0.02, 0.94, 0.01))),
    *(Population(f"early S at {at} N", early_s(at)) for at in (2.2, 2.3, 2.4, 2.5)),
    *(Population(f"early S at {at} N, nothing else", early_s(at, s=0.96, g2m=0.0)) for at in (2.2, 2.3, 2.4, 2.5)),
    *(Population(f"half in early S at {at} N", early_s(at, s=0.5, g2m=0.15)) for at in (2.2, 2.3, 2.5)),
    *(Population(f"S wave at {at} N", early_s(at, s=0.6, g2m=0.1)) for at in (2.8, 3.2, 3.6)),
    Population("S early-heavy", Contents(phases=_S_RICH, s_beta=(1.0, 4.0))),
    Population("S late-heavy", Contents(phases=_S_RICH, s_beta=(4.0, 1.0))),
    Population("S U-shaped", Contents(phases=_S_RICH, s_beta=(0.5, 0.5))),
    Population("S strongly early-heavy", Contents(phases=_S_RICH, s_beta=(0.6, 4.0))),
    Population("S in the middle", Contents(phases=_S_RICH, s_beta=(6.0, 6.0))),
    Population("polyploid", Contents(phases=(0.02, 0.30, 0.15, 0.28, 0.25), polyploid=0.7)),
    Population("mostly 8N", Contents(phases=(0.03, 0.05, 0.05, 0.27, 0.60), polyploid=0.8)),
    Population("debris", Contents(phases=(0.35, 0.36, 0.15, 0.12, 0.02))),
    Population("stain -10 %", Contents(stain=0.9)),
    Population("stain +10 %", Contents(stain=1.1)),
    Population("G1 arrest, stain -10 %", Contents(phases=CDK2_INHIBITOR.phases, stain=0.9)),
    Population("G1 arrest, stain +10 %", Contents(phases=CDK2_INHIBITOR.phases, stain=1.1)),
    Population("G2M arrest, stain +10 %", Contents(phases=G2M_ARRESTER.phases, stain=1.1)),
    Population("60 nuclei", n=60),
    Population("60 nuclei in early S at 2.3 N", early_s(2.3), n=60),
    Population("10,000 nuclei", n=10_000),
)
"""Wells of a screen, and those that mislead a fit."""
