"""Which objects are single nuclei: debris and doublets told by DNA content, area and outline."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from hcs.readout.cycle.columns import GATES
from hcs.readout.cycle.phases import Floats
from hcs.readout.settings import CycleSettings

SINGLE, DOUBLET, DEBRIS, BORDER, DEAD_CELL = range(len(GATES))
_MAD_SD = 1.4826
_HALF_WIDTH_N = 0.3  # around 2 N: nuclei that the usual area and solidity are learned from
_FEWEST = 20  # nuclei that the limits can be learned from

Codes = npt.NDArray[np.int8]


@dataclass(frozen=True, slots=True, kw_only=True)
class GateLimits:
    """Limits of one plate; NaN where there is nothing to learn one from, which then gates nothing."""

    debris_n: float
    debris_px: float
    """Area below which an object is debris, in pixels."""
    doublet_n: float
    doublet_px: float
    """Area that a doublet has at least, in pixels."""
    doublet_solidity: float
    """Solidity below which a nucleus of such content and area is a doublet."""


def learn_limits(content_n: Floats, area_px: Floats, solidity: Floats, settings: CycleSettings) -> GateLimits:
    """Limits of a plate from the nuclei (n,) of its negative controls: those of about 2 N show how large and how solid
    a single nucleus is.

    ``content_n`` is NaN without a usable 2N peak: all nuclei are learned from then, and content gates nothing.
    """
    reference = np.abs(content_n - 2) < _HALF_WIDTH_N
    if not np.isfinite(content_n).any():
        reference = np.ones(len(content_n), bool)
    areas, roundness = (values[reference & np.isfinite(values)] for values in (area_px, solidity))
    typical = float(np.median(areas)) if areas.size >= _FEWEST else np.nan
    least_solid = np.nan
    if roundness.size >= _FEWEST:
        middle = float(np.median(roundness))
        spread = max(_MAD_SD * float(np.median(np.abs(roundness - middle))), 1e-3)
        least_solid = middle - settings.doublet_spread * spread
    return GateLimits(
        debris_n=settings.debris_n,
        debris_px=settings.debris_area * typical,
        doublet_n=settings.doublet_n,
        doublet_px=settings.doublet_area * typical,
        doublet_solidity=least_solid,
    )


def gate(
    content_n: Floats,
    area_px: Floats,
    solidity: Floats,
    border: npt.NDArray[np.bool_],
    limits: GateLimits,
    *,
    dead: npt.NDArray[np.bool_] | None = None,
) -> Codes:
    """Code (n,) of each object, a place in GATES; NaN in a measurement gates nothing.

    Debris: content below ``debris_n`` or area below ``debris_px``. Doublet: content of at least ``doublet_n`` (two G1
    nuclei have 4), area of at least ``doublet_px``, and an outline less solid than ``doublet_solidity``, as the notch
    between two nuclei makes it; a round nucleus of any content stays single. Border: cut by the field's border,
    whatever else it is. Dead: flagged as a dead cell and left out for that, also at the border.
    """
    codes = np.full(len(content_n), SINGLE, np.int8)
    with np.errstate(invalid="ignore"):
        rich = ~(content_n < limits.doublet_n)
        codes[rich & (area_px >= limits.doublet_px) & (solidity < limits.doublet_solidity)] = DOUBLET
        codes[(content_n < limits.debris_n) | (area_px < limits.debris_px)] = DEBRIS
    codes[border] = BORDER
    if dead is not None:
        codes[dead] = DEAD_CELL
    return codes
