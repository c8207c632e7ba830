"""The cell cycle of a plate: gates, fits of the plate and of each well, what separates CDK2-high from CDK2-low."""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np
import numpy.typing as npt
import pandas as pd

from hcs.readout.cycle.cdk2 import SensorGate, find_sensor_gate
from hcs.readout.cycle.columns import PHASES
from hcs.readout.cycle.deanjett import CycleFit, Prior, fit_cycle
from hcs.readout.cycle.dna import DnaPeak
from hcs.readout.cycle.fits import CycleFits, fit_plate, fit_well, refused
from hcs.readout.cycle.gates import DEBRIS, DOUBLET, SINGLE, gate, learn_limits
from hcs.readout.cycle.phases import Floats, bin_content, bin_of
from hcs.readout.settings import ReadoutSettings
from hcs.readout.wells.nuclei import (
    AREA,
    DNA_CONTENT,
    SENSOR_RATIO,
    SOLIDITY,
    Codes,
    Rows,
    dead_rows,
    measured_rows,
    numbers,
    rows_of_wells,
    saturated_rows,
    source_rows,
    well_codes,
)

_NO_PEAK = "no usable 2N peak"
_PAIRED: Floats = np.array([0.15, 0.06])  # G1 and G2M of a well that has both peaks
_USUAL_RATIOS = (1.87, 2.1)  # of 4N to 2N
_SURE_RATIOS = (1.92, 2.05)  # at which no other wells are asked
_FEWEST_PAIRED = 3  # such wells
_STANDING = 0.045  # logarithm, by which they must differ from the plate


@dataclass(frozen=True, slots=True, kw_only=True)
class PlateCycle:
    """The cell cycle of a plate; arrays are of the nucleus table's length and order, ``fits`` in the order of
    ``wells``."""

    wells: tuple[str, ...]
    peak: DnaPeak
    plate: CycleFits
    fits: tuple[CycleFits, ...]
    sensor: SensorGate | None
    """None without a sensor."""
    well: Codes
    """Place of each nucleus' well in ``wells``."""
    gate: npt.NDArray[np.int8]
    """Place in gates.GATES."""
    content_n: Floats
    ratio: Floats

    def rows(self, *, single: bool) -> list[Codes]:
        """Places of each well's nuclei in the nucleus table, all or the single ones."""
        keep = self.gate == SINGLE if single else np.ones(len(self.gate), bool)
        return rows_of_wells(self.well, keep, len(self.wells))

    def probabilities(self, well: int, rows: Codes) -> Floats:
        """Probability (n, 5) of PHASES of some nuclei of a well; NaN for those not single, and in a well without a
        Dean-Jett-Fox fit."""
        fit = self.fits[well].deanjett
        table = np.full((len(rows), len(PHASES)), np.nan)
        if isinstance(fit, CycleFit):
            known = (self.gate[rows] == SINGLE) & np.isfinite(self.content_n[rows])
            table[known] = fit.probabilities()[bin_of(self.content_n[rows[known]])]
        return table


def find_cycle(
    nuclei: pd.DataFrame,
    wells: list[str],
    plate_map: pd.DataFrame | None,
    settings: ReadoutSettings,
    *,
    peak: DnaPeak,
    dna: str | None = None,
) -> PlateCycle:
    """The cell cycle of a plate whose expected ``wells`` are given in plate order.

    Limits of the gates, the plate's model and the sensor's threshold come from the nuclei that the 2N ``peak`` was
    found in, usually the negative controls; each well is then fitted by itself, with the plate's model as its prior.
    The peak is no longer usable where the other wells agree that it is not 2N, as where the negative controls
    themselves are held in S. Without a usable peak every fit is refused for that reason. ``dna`` names the DNA channel,
    to watch its saturation. Only the few columns needed are read. Raises ResultsError for nuclei of a well not among
    ``wells``.
    """
    well = well_codes(nuclei["Metadata_Well"], wells)
    content_n = peak.content_n(numbers(nuclei, DNA_CONTENT))
    ratio = numbers(nuclei, SENSOR_RATIO)
    source_wells, source = source_rows(nuclei, plate_map, settings)
    area, solidity = numbers(nuclei, AREA), numbers(nuclei, SOLIDITY)
    limits = learn_limits(content_n[source], area[source], solidity[source], settings.cycle)
    dead = dead_rows(nuclei, settings)
    codes = gate(content_n, area, solidity, ~measured_rows(nuclei, settings), limits, dead=dead)
    singles = rows_of_wells(well, codes == SINGLE, len(wells))
    left_out = (codes == DOUBLET) | (codes == DEBRIS)
    plate = _of_plate(
        content_n, [rows[source[rows]] for rows in singles], int((source & left_out).sum()), peak, settings
    )
    gated = np.bincount(well[left_out], minlength=len(wells))
    standing = _standing(plate, [content_n[rows] for rows in singles if not source[rows].any()], settings)
    if standing:
        return find_cycle(
            nuclei, wells, plate_map, settings, peak=replace(peak, usable=False, reason=standing), dna=dna
        )
    fits = _of_wells(content_n, singles, gated, plate, settings, clipped=saturated_rows(nuclei, dna))
    sensor = None
    if SENSOR_RATIO in nuclei:
        sensor = find_sensor_gate(
            ratio[source & (codes == SINGLE)],
            fixed=settings.sensor_threshold,
            source_wells=source_wells,
            settings=settings.cycle,
        )
    return PlateCycle(
        wells=tuple(wells),
        peak=peak,
        plate=plate,
        fits=tuple(fits),
        sensor=sensor,
        well=well,
        gate=codes,
        content_n=content_n,
        ratio=ratio,
    )


def _of_plate(
    content_n: Floats, singles: list[Codes], gated: int, peak: DnaPeak, settings: ReadoutSettings
) -> CycleFits:
    """Fits of the single nuclei (by well) that the 2N peak was found in."""
    if not peak.usable:
        count = sum(rows.size for rows in singles)
        return refused(f"{_NO_PEAK}: {peak.reason}", single=count, gated=gated)
    contents = [content_n[rows] for rows in singles]
    return fit_plate([finite for c in contents if (finite := c[np.isfinite(c)]).size], gated, settings)


def _of_wells(
    content_n: Floats,
    singles: list[Codes],
    gated: npt.NDArray[np.intp],
    plate: CycleFits,
    settings: ReadoutSettings,
    *,
    clipped: Rows | None,
) -> list[CycleFits]:
    """Fits of each well's single nuclei; all refused where the plate's is."""
    if isinstance(plate.deanjett, str):
        reason = plate.deanjett if plate.deanjett.startswith(_NO_PEAK) else f"of the plate: {plate.deanjett}"
        return [refused(reason, single=rows.size, gated=int(n)) for rows, n in zip(singles, gated, strict=True)]
    fits = []
    for rows, n in zip(singles, gated, strict=True):
        content = content_n[rows]
        saturated = float(clipped[rows].mean()) if clipped is not None and rows.size else float("nan")
        finite = content[np.isfinite(content)]
        fits.append(
            fit_well(
                finite,
                plate.deanjett.model,
                settings,
                gated=int(n),
                saturated=saturated,
                spread=plate.spread,
                peak_gain=plate.peak_gain,
            )
        )
    return fits


def _standing(plate: CycleFits, others: list[Floats], settings: ReadoutSettings) -> str:
    """Why the 2N peak of a plate is none: the wells it was found in do not show two peaks at the usual ratio, and the
    ``others`` (contents by well) that do agree on another place, so that the cells stand together in S; empty
    otherwise."""
    fit = plate.deanjett
    if isinstance(fit, str) or _paired(fit, _SURE_RATIOS):
        return ""
    fits = [
        fit_cycle(bin_content(content), Prior.of_plate(cv=fit.model.cv))
        for content in others
        if content.size >= settings.min_nuclei_peak
    ]
    places = [float(np.log(other.model.two_n / 2)) for other in fits if _paired(other, _USUAL_RATIOS)]
    if len(places) < _FEWEST_PAIRED:
        return ""
    away = float(np.median(places))
    if abs(away) <= max(2 * plate.spread, _STANDING):
        return ""
    return (
        f"the highest peak of the cells that it was looked for in lies {abs(np.expm1(-away)):.0%} "
        f"{'below' if away > 0 else 'above'} the 2N peak of {len(places)} other wells, which have 2N and 4N: these "
        "cells stand together in S, or are stained otherwise; name other negative controls"
    )


def _paired(fit: CycleFit, ratios: tuple[float, float]) -> bool:
    """Whether a fit has both peaks, at a ratio within ``ratios``."""
    return bool((fit.weights[[1, 3]] > _PAIRED).all()) and ratios[0] < fit.model.four_n_ratio < ratios[1]


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
