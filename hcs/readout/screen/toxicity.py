"""Which compounds are toxic, and from which dose: fewer living nuclei than the negatives have, beyond chance.

A compound may kill cells, detach them or keep them from dividing; all three leave fewer living nuclei, and a count does
not tell them apart, though the share of dead ones may. Counts a field are compared as square roots, on which the spread
of counted cells does not depend on their number (Anscombe, Biometrika 35, 246 (1948)), after effects of the plate's
edge, rows and columns are taken out where the layout lets these be told. What chance makes of a condition, which is
the mean of its replicate wells, is learned from the plate itself:

- reference: the negatives' mean, or the level of the undisturbed conditions where that is lower, so that control
  columns in which cells grow better than elsewhere call nothing toxic;
- spread: of wells within negatives and replicates, at least that of counted cells (Poisson); and what the undisturbed
  conditions differ by beyond it, as the position on the plate makes them differ.

Undisturbed is the upper third of the plate's conditions, as toxicity only lowers counts: level and spread of a Gaussian
follow from it, and hold, on the safe side, while no more than half of the conditions are toxic. One-sided p-values of
Student's t are adjusted over all conditions of the plate (Holm, Scand. J. Stat. 6, 65 (1979)): on a plate without
toxicity, ``toxicity.alpha`` bounds the probability that anything is called toxic.
"""

from __future__ import annotations

from collections.abc import Hashable, Mapping
from dataclasses import dataclass, replace
from typing import Any, Final

import numpy as np
import numpy.typing as npt
import pandas as pd
from scipy.special import stdtr, stdtrit

from hcs.readout.columns import as_table
from hcs.readout.groups import TESTED, Floats, of_group, values_of, with_group
from hcs.readout.screen.plate_effects import correct
from hcs.readout.screen.toxicity_columns import TOXICITY_COLUMNS
from hcs.readout.settings import ReadoutSettings
from hcs.readout.wells.dead import LIVING

_ROOT: Final = "_root"
_KEYS: Final = ["Metadata_Role", "Metadata_Compound", "Metadata_Dose", "Metadata_Unit", "Group"]
_UNDISTURBED: Final = "undisturbed samples"
_MOST_NAMED: Final = 8
_NOTEWORTHY: Final = 0.1
"""Share by which the reference must lie below the negatives for a note to say so."""
_MIN_CONDITIONS: Final = 12
"""Conditions that the plate's own level and spread are learned from."""
_MIN_SAMPLES: Final = 40
"""Sample wells that effects of the position are learned from; of fewer, a toxic compound is too large a part."""
_UPPER: Final = 2 / 3
_QUANTILE: Final = 0.4307
"""The standard Gaussian's quantile of ``_UPPER``; next, by how much its upper third exceeds that on average."""
_EXCESS: Final = 0.6601


@dataclass(frozen=True, slots=True, kw_only=True)
class _Chance:
    """What chance makes of the conditions of one group of wells, in square roots of living nuclei a field."""

    reference: float
    reference_variance: float
    within: float
    """Variance of wells about their condition."""
    within_freedom: float
    between: float = 0.0
    """Variance of conditions beyond that, by where they lie."""
    between_freedom: float = 1.0
    name: str = "negatives"

    def error(self, n: Floats) -> tuple[Floats, Floats]:
        """Standard errors of conditions of ``n`` wells against the reference, and their degrees of freedom
        (Satterthwaite)."""
        inner = self.within / n + self.reference_variance
        total = inner + self.between
        freedom = total**2 / (inner**2 / self.within_freedom + self.between**2 / self.between_freedom)
        return np.sqrt(total), freedom


def find_toxicity(wells: pd.DataFrame, settings: ReadoutSettings) -> pd.DataFrame:
    """Toxicity table: one row per compound, dose, role and group of a plate's wells, of columns ``TOXICITY_COLUMNS``.

    ``wells`` is the well table with Count_LivingPerField and Fraction_Dead. Wells without a finished field do not
    count. A condition is toxic if its living nuclei are fewer than the reference's by at least ``toxicity.min_loss``
    and its adjusted p-value is at most ``toxicity.alpha``. With fewer than ``min_wells`` negatives everything is NaN,
    with the reason.
    """
    table, why_not = _roots(with_group(wells), settings)
    known = table[table[_ROOT].notna()]
    negatives = known[known["Metadata_Role"] == "negative"]
    tested = table[table["Metadata_Role"].isin(TESTED)]
    parts = [
        _of_group(members, str(group), of_group(negatives, str(group)), settings)
        for group, members in tested.groupby("Group", sort=True)
    ]
    found = pd.concat(parts, ignore_index=True) if parts else pd.DataFrame()
    plate = str(wells["Metadata_Plate"].iloc[0]) if len(wells) else ""
    rows = found.assign(Metadata_Plate=plate, Correction_Reason=why_not).to_dict("records")
    return _decided(as_table(rows, TOXICITY_COLUMNS), settings)  # type: ignore[arg-type]


def _roots(wells: pd.DataFrame, settings: ReadoutSettings) -> tuple[pd.DataFrame, str]:
    """The wells with the square root of living nuclei a field, less the effect of the position, and why that could not
    be taken out."""
    done = values_of(wells, "Fields_Ok") > 0
    table = wells.assign(**{_ROOT: np.where(done, np.sqrt(values_of(wells, LIVING)), np.nan)}).reset_index(drop=True)
    samples = int(((table["Metadata_Role"] == "sample") & table[_ROOT].notna()).sum())
    if samples < _MIN_SAMPLES:
        return (
            table,
            f"{samples} sample wells with a count, at least {_MIN_SAMPLES} needed to tell position from toxicity",
        )
    levelled = correct(table, _ROOT, replace(settings.hits, correction="edge"))
    return table.assign(**{_ROOT: levelled.values}), levelled.reason


def _of_group(tested: pd.DataFrame, group: str, negatives: pd.DataFrame, settings: ReadoutSettings) -> pd.DataFrame:
    """Rows of the toxicity table of the conditions of one group, by compound and dose, before they are decided on."""
    grouped = tested.groupby(_KEYS, dropna=False, sort=True)
    found = grouped.agg(
        Count_Wells=(_ROOT, "count"),
        root=(_ROOT, "mean"),
        variance=(_ROOT, "var"),
        Living=(LIVING, "mean"),
        FractionDead=("Fraction_Dead", "mean"),
    ).reset_index()
    found = found.rename(columns={key: key.removeprefix("Metadata_") for key in _KEYS}).assign(
        Count_NegativeWells=len(negatives),
        NegativeLiving=negatives[LIVING].mean(),
        NegativeFractionDead=negatives["Fraction_Dead"].mean(),
        Reason=np.where(found["Count_Wells"] > 0, "", "no well has a count"),
    )
    samples = found[(found["Role"] == "sample") & (found["Count_Wells"] > 0)]
    chance = _chance(samples, negatives, settings)
    if isinstance(chance, str):
        return found.assign(Reason=chance)
    return found.assign(**_compared(found, chance, settings.confidence))


def _chance(samples: pd.DataFrame, negatives: pd.DataFrame, settings: ReadoutSettings) -> _Chance | str:
    """What chance makes of the conditions of a group; in words why that cannot be told."""
    if len(negatives) < settings.min_wells:
        return f"{len(negatives)} negative wells with a count, at least {settings.min_wells} needed"
    if not values_of(negatives, LIVING).any():
        return "the negative wells have no living nuclei"
    roots = values_of(negatives, _ROOT)
    within, freedom = _within(roots, samples)
    counted = float((1 / (4 * values_of(negatives, "Fields_Ok"))).mean())
    chance = _Chance(
        reference=float(roots.mean()),
        reference_variance=max(within, counted) / len(roots),
        within=max(within, counted),
        within_freedom=freedom,
    )
    return chance if len(samples) < _MIN_CONDITIONS else _learned(chance, samples)


def _within(roots: Floats, samples: pd.DataFrame) -> tuple[float, float]:
    """Pooled variance within the negatives and those replicates whose mean is among the upper half, which has no
    wells of few cells; and its degrees of freedom."""
    upper = samples[(samples["root"] >= samples["root"].median()) & (samples["Count_Wells"] > 1)]
    freedom = len(roots) - 1 + float((upper["Count_Wells"] - 1).sum())
    squares = float(((roots - roots.mean()) ** 2).sum() + (upper["variance"] * (upper["Count_Wells"] - 1)).sum())
    return squares / freedom, freedom


def _learned(chance: _Chance, samples: pd.DataFrame) -> _Chance:
    """The chance with what the undisturbed conditions of the plate say."""
    means = values_of(samples, "root")
    split = float(np.quantile(means, _UPPER))
    spread = float((means[means > split] - split).mean()) / _EXCESS if (means > split).any() else 0.0
    level = split - _QUANTILE * spread
    between = max(0.0, spread**2 - chance.within * float((1 / samples["Count_Wells"]).mean()))
    known = replace(chance, between=between, between_freedom=len(means) / 4)
    if level >= chance.reference:
        return known
    variance = 3 * spread**2 / len(means)
    return replace(known, reference=level, reference_variance=variance, name=_UNDISTURBED)


def _compared(found: pd.DataFrame, chance: _Chance, confidence: float) -> dict[str, Any]:
    """Columns of conditions against what chance makes of them."""
    roots, n = values_of(found, "root"), values_of(found, "Count_Wells")
    error, freedom = chance.error(np.where(n > 0, n, np.nan))
    margin = stdtrit(freedom, 0.5 + confidence / 2) * error

    def ratio(root: Floats) -> Floats:
        return np.asarray((np.maximum(root, 0) / chance.reference) ** 2)

    return {
        "Reference": chance.name,
        "ReferenceLiving": chance.reference**2,
        "LivingRatio": ratio(roots),
        "LivingRatio_Low": ratio(roots - margin),
        "LivingRatio_High": ratio(roots + margin),
        "PValue": stdtr(freedom, (roots - chance.reference) / error),
    }


def holm(p: npt.ArrayLike) -> Floats:
    """p-values (n,) adjusted so that rejecting those up to a level errs at all with at most that probability.

    Holm 1979, whatever the dependence of the tests; NaN stays NaN and does not count.
    """
    values = np.asarray(p, dtype=np.float64)
    adjusted = np.full(values.shape, np.nan)
    known = np.flatnonzero(np.isfinite(values))
    order = known[np.argsort(values[known], kind="stable")]
    scaled = values[order] * np.arange(known.size, 0, -1)
    adjusted[order] = np.minimum(np.maximum.accumulate(scaled), 1.0)
    return adjusted


def _decided(table: pd.DataFrame, settings: ReadoutSettings) -> pd.DataFrame:
    """The table with adjusted p-values, what is toxic, and each compound's lowest toxic dose."""
    adjusted = holm(table["PValue"])
    lost = 1 - table["LivingRatio"].to_numpy() >= settings.toxicity.min_loss
    toxic = lost & (adjusted <= settings.toxicity.alpha)
    table = table.assign(PValue_Adjusted=adjusted, Toxic=toxic)
    notes = np.full(len(table), "", dtype=object)
    for _, rows in table.groupby(["Compound", "Unit", "Group"]):
        called = rows[rows["Toxic"]]
        if called.empty:
            continue
        lowest = float(called["Dose"].min())
        table.loc[rows.index, "LowestToxicDose"] = lowest
        safe = rows[~rows["Toxic"] & rows["PValue"].notna() & (rows["Dose"] > lowest)]
        doses = ", ".join(f"{dose:g}" for dose in sorted(safe["Dose"].unique()))
        if doses:
            notes[rows.index] = f"not toxic at the higher {doses} {rows['Unit'].iloc[0]}".rstrip()
    return table.assign(Note=notes)


def toxic_compounds(table: pd.DataFrame) -> pd.DataFrame:
    """The toxic compounds of a toxicity table, one row each, that of the lowest toxic dose; by compound."""
    ranked = table[table["Toxic"].astype(bool)].sort_values(["Compound", "Group", "Dose"], kind="stable")
    return ranked.drop_duplicates(["Compound", "Unit", "Group"]).reset_index(drop=True)


def _warning(row: Mapping[Hashable, Any], *, since: bool) -> str:
    """What the other readouts of a toxic condition carry, from its row of a toxicity table; with ``since``, those of
    all doses of the compound."""
    at = f" from {_dose(row)}, there" if since and _dose(row) else ""
    dead = f", {row['FractionDead']:.0%} of the nuclei dead" if row["FractionDead"] > 0 else ""
    return f"toxic{at}: {row['LivingRatio']:.0%} of the living nuclei of {row['Reference']}{dead}"


def _dose(row: Mapping[Hashable, Any]) -> str:
    """Dose and unit; empty where the map gives no dose."""
    return f"{row['Dose']:.3g} {row['Unit']}".rstrip() if np.isfinite(row["Dose"]) else ""


def with_warning(table: pd.DataFrame, toxicity: pd.DataFrame | None) -> pd.DataFrame:
    """A table of compounds with the column Warning: of a row with a Dose, that this dose is toxic; of one without the
    column, from which dose the compound is. Empty where nothing is toxic."""
    keys = [name for name in ("Compound", "Dose", "Unit", "Group") if name in table]
    called = pd.DataFrame() if toxicity is None else toxicity[toxicity["Toxic"].astype(bool)]
    if "Dose" not in keys and len(called):
        called = toxic_compounds(called)
    texts = {_key(row, keys): _warning(row, since="Dose" not in keys) for row in called.to_dict("records")}
    found = [texts.get(_key(row, keys), "") for row in table[keys].to_dict("records")]
    return table.assign(Warning=pd.Series(found, index=table.index, dtype=object))


def _key(row: Mapping[Any, Any], keys: list[str]) -> tuple[object, ...]:
    """Values of the keys; a dose that is not known is equal to another one."""
    return tuple("" if pd.isna(value) else value for value in (row[key] for key in keys))


def toxicity_notes(table: pd.DataFrame) -> tuple[str, ...]:
    """Which compounds are toxic and from which dose; what to know of the comparison."""
    called = toxic_compounds(table)
    notes = []
    if len(called):
        named = ", ".join(_named(row) for row in called.head(_MOST_NAMED).to_dict("records"))
        more = f" and {len(called) - _MOST_NAMED} more" if len(called) > _MOST_NAMED else ""
        notes.append(
            f"Toxic, with fewer living nuclei than chance explains: {named}{more}. Readouts of the cells that are left "
            "carry a warning; see toxicity."
        )
    lower = table[table["ReferenceLiving"] < (1 - _NOTEWORTHY) * table["NegativeLiving"]]
    if len(lower):
        row = lower.iloc[0]
        notes.append(
            f"Toxicity is told against the plate's undisturbed samples, of {row['ReferenceLiving']:.0f} living nuclei "
            f"a field, not against the negatives, of {row['NegativeLiving']:.0f}: these lie where cells grow "
            "better, or most conditions are toxic, of which those that are a little so are not told then."
        )
    return tuple(notes)


def _named(row: Mapping[Hashable, Any]) -> str:
    group = f" ({row['Group']})" if row["Group"] else ""
    since = f" from {_dose(row)}" if _dose(row) else ""
    return f"{row['Compound'] or '(unnamed)'}{group}{since}"
