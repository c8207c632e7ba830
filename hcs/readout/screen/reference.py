"""What the wells of a screen are measured against: the sample wells, most of which do nothing, or the negatives."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

import numpy as np
import pandas as pd

from hcs.readout.groups import Floats
from hcs.readout.screen.chance import t_test
from hcs.readout.screen.null import LEAST, Null, learn_null
from hcs.readout.screen.spread import robust_sd
from hcs.readout.settings import HitSettings

Basis = Literal["samples", "negatives"]
_CONDITION = ["Metadata_Compound", "Metadata_Dose", "Metadata_Unit"]
_SERIES = 3  # doses of a compound from which on they are a series


def basis_of(samples: pd.DataFrame, settings: HitSettings) -> Basis:
    """Whether sample wells (rows that have a value) are measured against themselves or against the negatives.

    ``auto`` takes the samples where there are 20 conditions (wells, where no compound is named) and fewer than half of
    these belong to a series of doses; of such a series many doses act. Asked for samples, fewer than 20 have no say.
    """
    names = samples[_CONDITION].fillna({"Metadata_Dose": -1.0})
    conditions = names.drop_duplicates()
    n = len(conditions) if conditions["Metadata_Compound"].ne("").any() else len(samples)
    if settings.reference == "negatives" or n < LEAST:
        return "negatives"
    if settings.reference == "samples":
        return "samples"
    doses = conditions.groupby(["Metadata_Compound", "Metadata_Unit"])["Metadata_Dose"].transform("nunique")
    return "samples" if float((doses >= _SERIES).mean()) < 0.5 else "negatives"


@dataclass(frozen=True, slots=True)
class Reference:
    """``centre`` and robust ``spread`` that z scores are made of, the negatives' values (m,), and the null
    distribution: of single samples where these are the basis, else of their noise, where that could be told."""

    basis: Basis
    centre: float
    spread: float
    negative: Floats
    null: Null | None

    def robust_z(self, values: Floats) -> Floats:
        """(value - centre) / spread; NaN where there is no spread."""
        return (values - self.centre) / self.spread if self.spread > 0 else np.full(values.shape, np.nan)

    def p_values(self, values: Floats) -> Floats:
        """Two-sided p-values (n,) of single wells; NaN where there is no reference."""
        if self.basis == "samples":
            return self.null.p_values(values) if self.null else np.full(values.shape, np.nan)
        return np.array([self.p_of(values[[i]]) if np.isfinite(v) else np.nan for i, v in enumerate(values)])

    def p_of(self, values: Floats) -> float:
        """Two-sided p-value that the mean of wells (k,) is that of the negatives.

        Student's test against the negatives, or what the samples' own noise says where that is more: samples may vary
        more than the controls, or now and then lie far out.
        """
        student = t_test(values, self.negative)
        if self.null is None or not np.isfinite(student):
            return student
        away = (values.mean() - self.negative.mean()) / np.sqrt(1 / values.size + 1 / self.negative.size)
        return max(student, float(self.null.p_values(np.array([away]))[0]))


def reference_of(samples: pd.DataFrame, negative: Floats, settings: HitSettings) -> Reference:
    """Reference of a readout: sample wells (rows with a finite Corrected) and corrected negatives (m,)."""
    values = samples["Corrected"].to_numpy(dtype=np.float64)
    if basis_of(samples, settings) == "samples":
        null = learn_null(values)
        if null is not None:
            return Reference("samples", null.centre, null.spread, negative, null)
    middle = float(np.median(negative)) if negative.size else float("nan")
    noise = learn_null(own_noise(samples), centre=0.0)
    return Reference("negatives", middle, robust_sd(negative), negative, noise)


def contrasts(values: Floats) -> Floats:
    """What replicates (k,) scatter by, as k - 1 values of the scale of one: each well against the mean of those before
    (Helmert), which are independent where the wells are, so that they may be counted."""
    before = np.arange(1, values.size)
    found: Floats = (np.cumsum(values)[:-1] - before * values[1:]) / np.sqrt(before * (before + 1))
    return found


def own_noise(samples: pd.DataFrame) -> Floats:
    """What sample wells scatter by without regard to what their compounds do, on the scale of single wells.

    Contrasts of replicates; with fewer than 20, also those of a dose against the mean of the next lower and higher one,
    divided by sqrt(1.5), which a steep curve only makes larger.
    """
    groups = [rows["Corrected"].to_numpy(dtype=np.float64) for _, rows in samples.groupby(_CONDITION, dropna=False)]
    left = np.concatenate([np.empty(0), *(contrasts(values) for values in groups)])
    if left.size >= LEAST:
        return left
    bends: list[Floats] = []
    for _, rows in samples[samples["Metadata_Dose"].notna()].groupby(["Metadata_Compound", "Metadata_Unit"]):
        means = rows.groupby("Metadata_Dose")["Corrected"].mean().to_numpy(dtype=np.float64)
        if means.size >= _SERIES:
            bends.append((means[1:-1] - (means[:-2] + means[2:]) / 2) / np.sqrt(1.5))
    return np.concatenate([left, *bends])
