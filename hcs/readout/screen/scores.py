"""Every well against the negatives: percent of control, robust z before and after a plate effect is taken out, p, q."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import pandas as pd

from hcs.readout.columns import as_table
from hcs.readout.groups import Floats, absence, values_of, with_group
from hcs.readout.screen.chance import false_discovery
from hcs.readout.screen.hit_columns import SCORE_COLUMNS
from hcs.readout.screen.plate_effects import Corrected, correct
from hcs.readout.screen.reference import reference_of
from hcs.readout.screen.spread import robust_sd
from hcs.readout.settings import ReadoutSettings

_CARRIED = (
    "Metadata_Plate",
    "Metadata_Well",
    "Metadata_Role",
    "Metadata_Compound",
    "Metadata_Dose",
    "Metadata_Unit",
)


@dataclass(frozen=True, slots=True)
class Scale:
    """Location and spread of negative wells, and how far the positive wells lie, that values are put in units of."""

    n: int
    mean: float
    median: float
    mad: float
    window: float

    @classmethod
    def of(cls, negative: Floats, positive: Floats) -> Scale:
        """From the values of the controls; NaN where there are none."""
        n, p = negative[np.isfinite(negative)], positive[np.isfinite(positive)]
        if not n.size:
            return cls(0, *(float("nan"),) * 4)
        median = float(np.median(n))
        mean = float(n.mean())
        return cls(n.size, mean, median, robust_sd(n), float(p.mean()) - mean if p.size else float("nan"))

    def robust_z(self, values: Floats) -> Floats:
        """(value - median) / (1.4826 MAD); NaN where the negatives have no spread."""
        return (values - self.median) / self.mad if self.mad > 0 else np.full(values.shape, np.nan)

    def percent_of_control(self, values: Floats) -> Floats:
        """100 x value / mean of the negatives; NaN unless that is above 0."""
        return 100 * values / self.mean if self.mean > 0 else np.full(values.shape, np.nan)

    def percent_effect(self, values: Floats) -> Floats:
        """0 at the negatives' mean, 100 at the positives' (Malo et al. 2006); NaN without positives."""
        return 100 * (values - self.mean) / self.window if self.window else np.full(values.shape, np.nan)


def score_wells(wells: pd.DataFrame, settings: ReadoutSettings) -> pd.DataFrame:
    """Score table: one row per configured readout and well, in the wells' order, of columns ``SCORE_COLUMNS``.

    A well is compared with the controls of its group, or with all of the plate where the map names no group for it.
    Hits are called on the values after correction, among sample wells alone, whose p-values also make up the q-values,
    against the samples or the negatives (see ``basis_of``). Fewer than ``min_wells`` negatives give NaN with the
    reason.
    """
    grouped = with_group(wells).reset_index(drop=True)
    parts = [_scored(grouped, readout, settings) for readout in settings.readouts]
    rows = pd.concat(parts, ignore_index=True) if parts else pd.DataFrame()
    return as_table(rows.to_dict("records"), SCORE_COLUMNS)  # type: ignore[arg-type]


def _scored(grouped: pd.DataFrame, readout: str, settings: ReadoutSettings) -> pd.DataFrame:
    corrected = correct(grouped, readout, settings.hits)
    table = grouped[[*_CARRIED, "Group"]].assign(
        Readout=readout,
        Value=values_of(grouped, readout),
        Corrected=corrected.values,
        BScore=corrected.polished,
        Correction=corrected.method,
        Correction_Reason=corrected.reason,
        **_by_group(grouped, readout, corrected, settings),
    )
    sample = (grouped["Metadata_Role"] == "sample").to_numpy()
    q = np.full(len(grouped), np.nan)
    q[sample] = false_discovery(table["PValue"].to_numpy()[sample])
    strong = np.abs(table["RobustZ_Corrected"].to_numpy()) >= settings.hits.robust_z
    return table.assign(QValue=q, Hit=sample & strong & (q <= settings.hits.fdr))


def _by_group(
    grouped: pd.DataFrame, readout: str, corrected: Corrected, settings: ReadoutSettings
) -> dict[str, Floats | list[str]]:
    """Columns (n_wells,) that depend on the controls compared with."""
    value = values_of(grouped, readout)
    names = ("PercentOfControl", "PercentEffect", "RobustZ", "RobustZ_Corrected", "PValue", "Count_NegativeWells")
    columns = {name: np.full(len(grouped), np.nan) for name in names}
    absent = absence(grouped, readout)
    reasons = np.array([absent] * len(grouped), dtype=object)
    basis = np.array(["negatives"] * len(grouped), dtype=object)
    role, groups = grouped["Metadata_Role"].to_numpy(), grouped["Group"].to_numpy()
    for group in sorted(set(groups)):
        here = groups == group
        inside = here if group else np.ones(len(grouped), bool)
        positive, negative = inside & (role == "positive"), inside & (role == "negative")
        before = Scale.of(value[negative], value[positive])
        columns["Count_NegativeWells"][here] = before.n
        if absent:
            continue
        if before.n < settings.min_wells:
            reasons[here] = f"{before.n} negative wells with a value, at least {settings.min_wells} needed"
            continue
        columns["PercentOfControl"][here] = before.percent_of_control(value[here])
        columns["PercentEffect"][here] = before.percent_effect(value[here])
        columns["RobustZ"][here] = before.robust_z(value[here])
        known = np.isfinite(corrected.values)
        samples = grouped.assign(Corrected=corrected.values)[inside & (role == "sample") & known]
        reference = reference_of(samples, corrected.values[negative & known], settings.hits)
        basis[here] = reference.basis
        columns["RobustZ_Corrected"][here] = reference.robust_z(corrected.values[here])
        columns["PValue"][here] = reference.p_values(corrected.values[here])
        if not before.mad > 0 and reference.basis == "negatives":
            reasons[here] = "half of the negative wells are alike (MAD 0)"
        reasons[here & ~np.isfinite(value)] = "no value"
    return columns | {"Reference": list(basis), "Reason": list(reasons)}
