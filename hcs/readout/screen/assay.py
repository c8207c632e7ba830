"""How well each readout of the wells tells positive from negative controls, and which does so best."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
import pandas as pd

from hcs.readout.columns import as_table
from hcs.readout.groups import (
    TESTED,
    Floats,
    absence,
    conditions,
    control_groups,
    numeric_readouts,
    of_group,
    references,
    values_of,
    with_group,
)
from hcs.readout.screen import assay_statistics as extra
from hcs.readout.screen.assay_columns import ASSAY_COLUMNS
from hcs.readout.screen.zprime import Separation, Statistic, separate, undefined, well_sample
from hcs.readout.settings import ReadoutSettings

NONE, LOG, LOGIT = "none", "log", "logit"


def transforms_of(readout: str) -> tuple[str, ...]:
    """Scales that a well readout is judged on: its own, and logit for a fraction, log for a ratio.

    Told from the name alone, never from which scale gives the better Z'.
    """
    if readout.startswith("Fraction_"):
        return (NONE, LOGIT)
    if "Ratio" in readout and "LogRatio" not in readout:
        return (NONE, LOG)
    return (NONE,)


def transformed(wells: pd.DataFrame, readout: str, transform: str) -> Floats:
    """Values (n_wells,) of a readout on the scale ``transform``.

    The logit of a fraction p of n measured nuclei is log[(pn + 1/2) / (n - pn + 1/2)], which is finite at 0 and 1
    (Haldane 1956). The log (base 2) of a ratio that is not above 0 is NaN.
    """
    values = values_of(wells, readout)
    if transform == LOGIT:
        n = values_of(wells, "Count_Nuclei_Measured")
        inside = np.clip(values, 0, 1)
        logit: Floats = np.log((inside * n + 0.5) / (n - inside * n + 0.5))
        return np.where(n > 0, logit, np.nan)
    if transform == LOG:
        return np.log2(values, out=np.full(values.shape, np.nan), where=values > 0)
    return values


@dataclass(frozen=True, slots=True)
class _Controls:
    """Row positions, in the well table, of a group's controls and of its doses' replicates."""

    group: str
    positive: list[int]
    negative: list[int]
    doses: list[list[int]]


def assay_quality(wells: pd.DataFrame, settings: ReadoutSettings) -> pd.DataFrame:
    """Assay table: one row per numeric readout of the wells, scale and group of controls, best Z' first in each group.

    The empty group, all controls of the plate, comes last. Fractions have a second row on the logit scale, ratios one
    on the log scale. Ranks count from 1 in each group; rows without Z' have the last ranks. Columns are those of
    ``ASSAY_COLUMNS``; for the intervals see ``separate``. On a plate without controls all is NaN, with the
    reason.
    """
    grouped = with_group(wells).reset_index(drop=True)
    plate = str(wells["Metadata_Plate"].iloc[0]) if len(wells) else ""
    absent = {name: absence(grouped, name) for name in numeric_readouts(grouped)}
    rows: list[dict[str, object]] = []
    for group in control_groups(grouped):
        controls = _controls(grouped, group)
        found = [
            {"Metadata_Plate": plate, "Readout": name, "Group": group, "Transform": scale}
            | _judged(values, controls, absent[name], settings)
            for name, scale, values in _scales(grouped)
        ]
        order = np.argsort([-row["ZPrime"] for row in found], kind="stable")  # type: ignore[operator]  # NaN last
        rows += [found[i] | {"Rank": rank} for rank, i in enumerate(order, start=1)]
    return as_table(rows, ASSAY_COLUMNS)


def _scales(grouped: pd.DataFrame) -> Iterator[tuple[str, str, Floats]]:
    for name in numeric_readouts(grouped):
        for scale in transforms_of(name):
            yield name, scale, transformed(grouped, name, scale)


def _controls(grouped: pd.DataFrame, group: str) -> _Controls:
    positive, negative = references(grouped, group)
    tested = of_group(grouped, group)
    tested = tested[tested["Metadata_Role"].isin(TESTED[:1]) & tested["Metadata_Dose"].notna()]
    doses = [list(members.index) for _, members in conditions(tested)] if len(tested) else []
    return _Controls(group, list(positive.index), list(negative.index), doses)


def _judged(values: Floats, controls: _Controls, absent: str, settings: ReadoutSettings) -> dict[str, object]:
    """Counts, statistics and reason of one row; ``absent`` says why no well has a value."""
    positive = well_sample(values[controls.positive], name="positive", settings=settings, stream=1)
    negative = well_sample(values[controls.negative], name="negative", settings=settings, stream=0)
    separation = undefined(absent) if absent else separate(positive, negative, settings=settings)
    counts: dict[str, object] = {"Count_Positive": positive.n, "Count_Negative": negative.n}
    return counts | statistics_of(separation) | _further(values, controls, separation, settings)


def statistics_of(separation: Separation) -> dict[str, float]:
    """ZPrime, RobustZPrime and SSMD, each with _Low and _High."""
    named: tuple[tuple[str, Statistic], ...] = (
        ("ZPrime", separation.zprime),
        ("RobustZPrime", separation.robust_zprime),
        ("SSMD", separation.ssmd),
    )
    columns: dict[str, float] = {}
    for name, statistic in named:
        columns |= {name: statistic.value, f"{name}_Low": statistic.low, f"{name}_High": statistic.high}
    return columns


def _further(
    values: Floats, controls: _Controls, separation: Separation, settings: ReadoutSettings
) -> dict[str, object]:
    """The statistics without interval; NaN wherever Z' is."""
    strength = settings.control_strength
    columns: dict[str, object] = {
        "SSMD_Class": extra.ssmd_class(separation.ssmd.low, separation.ssmd.high, strength),
        "Reason": separation.reason,
    }
    if not np.isfinite(separation.zprime.value):
        return columns
    p, n = _finite(values[controls.positive]), _finite(values[controls.negative])
    doses = [_finite(values[rows]) for rows in controls.doses]
    points = [p, n, *doses]
    replicated = any(point.size > 1 for point in doses)
    return columns | {
        "OneSidedZPrime": extra.one_sided_zprime(p, n),
        "VFactor": extra.v_factor(points, float(p.mean() - n.mean())) if replicated else float("nan"),
        "SignalToBackground": extra.signal_to_background(p, n),
        "SignalWindow": extra.signal_window(p, n),
        "CV_Positive": extra.variation(p),
        "CV_Negative": extra.variation(n),
    }


def _finite(values: Floats) -> Floats:
    kept: Floats = values[np.isfinite(values)]
    return kept
