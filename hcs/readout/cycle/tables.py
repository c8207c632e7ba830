"""Tables of the cell cycle: fits by well, phases by nucleus, columns for the well table, the sensor's threshold."""

from __future__ import annotations

from collections.abc import Iterator
from functools import lru_cache
from typing import Any

import numpy as np
import numpy.typing as npt
import pandas as pd

from hcs.readout.cycle.cdk2 import CDK2_FRACTIONS, CDK2_PHASES, cdk2_fractions, cdk2_phase
from hcs.readout.cycle.columns import CYCLE_COLUMNS, GATES, PHASES, SENSOR_COLUMNS
from hcs.readout.cycle.cycles import PlateCycle
from hcs.readout.cycle.deanjett import CycleFit
from hcs.readout.cycle.fits import CycleFits, margins, place_of_wave
from hcs.readout.cycle.gates import SINGLE
from hcs.readout.cycle.phases import Floats
from hcs.readout.wells.nuclei import Codes

_KEYS = ("Metadata_Plate", "Metadata_Well", "Metadata_Site", "Metadata_Timepoint", "Metadata_ObjectNumber")
MODELS = ("watson", "djf")
_ROWS_AT_ONCE = 100_000


def cycles_table(cycle: PlateCycle, plate: str) -> pd.DataFrame:
    """One row per well and model, then the plate's own with an empty well; columns as CYCLE_COLUMNS."""
    rows = [
        row
        for well, fits in (*zip(cycle.wells, cycle.fits, strict=True), ("", cycle.plate))
        for row in _fit_rows(plate, well, fits)
    ]
    return pd.DataFrame(rows, columns=[column.name for column in CYCLE_COLUMNS])


def _fit_rows(plate: str, well: str, fits: CycleFits) -> Iterator[dict[str, Any]]:
    for model, fit in zip(MODELS, (fits.watson, fits.deanjett), strict=True):
        known = isinstance(fit, CycleFit)
        weights = fit.weights if isinstance(fit, CycleFit) else np.full(len(PHASES), np.nan)
        row: dict[str, Any] = {"Metadata_Plate": plate, "Metadata_Well": well, "Model": model}
        row |= {f"Fraction_{phase}": float(weight) for phase, weight in zip(PHASES, weights, strict=True)}
        half = margins(fit) if isinstance(fit, CycleFit) else np.full(len(PHASES), np.nan)
        row |= {f"Margin_{phase}": float(width) for phase, width in zip(PHASES, half, strict=True)}
        waves = isinstance(fit, CycleFit) and fit.model.wave > 0
        row |= {
            "Wave": float(fit.model.wave * fit.weights[2]) if isinstance(fit, CycleFit) else np.nan,
            "Wave_N": place_of_wave(fit) if isinstance(fit, CycleFit) and waves else np.nan,
            "TwoN": fit.model.two_n if isinstance(fit, CycleFit) else np.nan,
            "CV_G1": fit.model.cv if isinstance(fit, CycleFit) else np.nan,
            "Ratio_G2G1": fit.model.four_n_ratio if isinstance(fit, CycleFit) else np.nan,
            "Misfit": fit.misfit if isinstance(fit, CycleFit) else np.nan,
            "Count_Nuclei": fits.single,
            "Count_Gated": fits.gated,
            "Reason": "" if known else fit,
        }
        yield row


def sensor_table(cycle: PlateCycle, plate: str) -> pd.DataFrame:
    """One row: what separates CDK2-high from CDK2-low on the plate; none without a sensor. Columns as
    SENSOR_COLUMNS."""
    names = [column.name for column in SENSOR_COLUMNS]
    sensor = cycle.sensor
    if sensor is None:
        return pd.DataFrame(columns=names)
    row = {
        "Metadata_Plate": plate,
        "Threshold": sensor.threshold,
        "Threshold_Mixture": sensor.mixture,
        "Threshold_Fixed": sensor.fixed,
        "Ratio_Low": sensor.low,
        "Ratio_High": sensor.high,
        "Share_High": sensor.share_high,
        "Separation": sensor.separation,
        "Count_Nuclei": sensor.n,
        "SourceWells": sensor.source_wells,
        "Reason": sensor.reason,
    }
    return pd.DataFrame([row], columns=names)


def well_fractions(cycle: PlateCycle) -> pd.DataFrame:
    """Columns of the well table that the cell cycle gives, in the order of the cycle's wells."""
    weights = np.array([fits.fractions for fits in cycle.fits]).reshape(-1, len(PHASES))
    columns: dict[str, Any] = {f"Fraction_{name}": weights[:, k] for k, name in enumerate(PHASES)}
    columns["Fraction_4N"] = columns["Fraction_G2M"]
    columns["Cycle_Reason"] = [fits.reason for fits in cycle.fits]
    singles = cycle.rows(single=True)
    shares = np.full((len(singles), len(CDK2_FRACTIONS)), np.nan)
    high = np.full(len(singles), np.nan)
    if cycle.sensor is not None:
        for i, rows in enumerate(singles):
            ratio = cycle.ratio[rows]
            shares[i] = cdk2_fractions(cycle.probabilities(i, rows), ratio, cycle.sensor.threshold)
            high[i] = _share_above(ratio, cycle.sensor.mixture)
    columns["Fraction_SensorHighMixture"] = high
    columns |= {name: shares[:, k] for k, name in enumerate(CDK2_FRACTIONS)}
    return pd.DataFrame(columns)


def _share_above(ratio: Floats, threshold: float) -> float:
    known = ratio[np.isfinite(ratio)]
    return float((known > threshold).mean()) if known.size and np.isfinite(threshold) else float("nan")


def phase_parts(cycle: PlateCycle, nuclei: pd.DataFrame) -> Iterator[tuple[list[tuple[str, int]], pd.DataFrame]]:
    """The phase table: some wells with their numbers of nuclei, and the rows of these one well after another; columns
    as PHASE_COLUMNS.

    ``nuclei`` is the table that ``cycle`` was found in. As many wells at a time as hold some 100,000 nuclei, so that a
    plate of any size fits and one of small wells does not take a table for each.
    """
    keys = nuclei[[key for key in _KEYS if key in nuclei]]
    by_well = cycle.rows(single=False)
    for wells in _together([rows.size for rows in by_well]):
        rows = [by_well[i] for i in wells]
        probability = np.concatenate([cycle.probabilities(i, own) for i, own in zip(wells, rows, strict=True)])
        chosen = np.concatenate(rows)
        part = pd.concat([keys.iloc[chosen].reset_index(drop=True), _phases(cycle, chosen, probability)], axis=1)
        yield [(cycle.wells[i], own.size) for i, own in zip(wells, rows, strict=True)], part


def _together(sizes: list[int]) -> Iterator[list[int]]:
    """Wells that have nuclei, by their numbers of nuclei, in runs of at least _ROWS_AT_ONCE."""
    run: list[int] = []
    for well, size in enumerate(sizes):
        if size:
            run.append(well)
        if sum(sizes[i] for i in run) >= _ROWS_AT_ONCE:
            yield run
            run = []
    if run:
        yield run


def _phases(cycle: PlateCycle, rows: Codes, probability: Floats) -> pd.DataFrame:
    """Columns of some rows of the nuclei whose phases have the ``probability`` (n, 5)."""
    known = np.isfinite(probability[:, 0])
    phase = np.full(rows.size, -1, np.int8)
    phase[known] = probability[known].argmax(axis=1)
    columns: dict[str, Any] = {
        "Gate": _category(cycle.gate[rows], GATES),
        "Phase": _category(phase, PHASES),
    }
    columns |= {f"Probability_{name}": probability[:, k].astype(np.float32) for k, name in enumerate(PHASES)}
    if cycle.sensor is not None:
        ratio = np.where(cycle.gate[rows] == SINGLE, cycle.ratio[rows], np.nan)
        threshold = cycle.sensor.threshold
        state = np.where(np.isfinite(ratio), ratio > threshold, -1).astype(np.int8)
        columns["CDK2_State"] = _category(state, ("low", "high"))
        columns["CDK2_Phase"] = _category(cdk2_phase(phase, ratio, threshold), CDK2_PHASES)
    return pd.DataFrame(columns)


def _category(codes: npt.NDArray[np.int8], names: tuple[str, ...]) -> pd.Categorical[Any]:
    """Codes (n,), -1 for none, as text of few values."""
    return pd.Categorical.from_codes(codes, dtype=_dtype(names))


@lru_cache(maxsize=8)
def _dtype(names: tuple[str, ...]) -> pd.CategoricalDtype[Any]:
    """The type of a column of these values, the same for all wells, as making one takes long."""
    return pd.CategoricalDtype(pd.Index(names))
