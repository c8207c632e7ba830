"""What a reader has to know of a plate's cell cycle, in sentences."""

from __future__ import annotations

import numpy as np

from hcs.readout.cycles import PlateCycle
from hcs.readout.deanjett import CycleFit

_MOST_NAMED = 5
_WAVE = 0.1  # of the nuclei, from which cells that stand together are worth a note
_CLIPPED = 0.002  # of the nuclei with saturated pixels, from which a refused stain is also called clipped


def cycle_notes(cycle: PlateCycle) -> tuple[str, ...]:
    """Wells without fractions, and why; what separates CDK2-high from CDK2-low; what a refused stain leaves."""
    notes = []
    if not cycle.peak.usable:
        notes.append(
            "Without a usable 2N peak nothing can be said of DNA content, phases or ploidy on this plate; counts, "
            "shapes and the sensor ratio do not need it."
        )
        if cycle.peak.saturated > _CLIPPED:
            notes.append(f"{cycle.peak.saturated:.1%} of these nuclei have saturated DNA pixels.")
    elif isinstance(cycle.plate.deanjett, str):
        notes.append(f"Cell-cycle fractions are NaN, the fit of the plate is refused: {cycle.plate.deanjett}.")
    else:
        notes.extend(_refusals(cycle))
        notes.extend(_waves(cycle))
    sensor = cycle.sensor
    if sensor is not None and np.isnan(sensor.mixture):
        notes.append(f"CDK2-high is told by the fixed threshold {sensor.fixed:g}, as {sensor.reason}.")
    return tuple(notes)


def _refusals(cycle: PlateCycle) -> list[str]:
    """Wells that have single nuclei but no fit, by the kind of reason."""
    wells = [(well, fits) for well, fits in zip(cycle.wells, cycle.fits, strict=True) if fits.reason and fits.single]
    if not wells:
        return []
    few = [well for well, fits in wells if "single nuclei, at least" in fits.reason]
    others = [well for well, _ in wells if well not in few]
    notes = []
    if few:
        notes.append(f"No cell-cycle fractions in {_named(few)}: too few single nuclei.")
    if others:
        notes.append(f"No cell-cycle fractions in {_named(others)}: Cycle_Reason of the well table says why.")
    return notes


def _waves(cycle: PlateCycle) -> list[str]:
    """Wells in which cells stand together in S."""
    wells = [
        well
        for well, fits in zip(cycle.wells, cycle.fits, strict=True)
        if isinstance(fits.deanjett, CycleFit) and fits.deanjett.model.wave * fits.deanjett.weights[2] > _WAVE
    ]
    if not wells:
        return []
    return [
        f"Cells stand together in S in {_named(wells)}, as a block holds them or lets them go; Wave_N of cycles says "
        "where."
    ]


def _named(wells: list[str]) -> str:
    shown = ", ".join(wells[:_MOST_NAMED])
    more = len(wells) - _MOST_NAMED
    plural = "s" if len(wells) > 1 else ""
    return f"{len(wells)} well{plural} ({shown}{f' and {more} more' if more > 0 else ''})"
