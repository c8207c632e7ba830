"""The compounds of a plate on its first readout: does each work, from which dose, with which EC50."""

from __future__ import annotations

import math
from dataclasses import dataclass

import pandas as pd

from hcs.report.style import number, short
from hcs.report.tables import PlateTables

HALF_EFFECT = 50.0
"""Percent of the positive controls' effect from which a dose is said to have half of it."""


@dataclass(frozen=True, slots=True)
class CompoundRow:
    """One compound (of one group) on the first readout; texts are ready to be shown."""

    compound: str
    group: str
    works: bool | None
    """Called as a hit where hits were called, else a dose whose Z′ is above 0 by its lower end; None where neither can
    be told."""
    first_dose: float
    """Lowest dose at which it works; NaN for none."""
    half_dose: float
    """Lowest of these doses with at least half the effect of the positive controls; NaN for none, or without any."""
    opposite: bool
    """Whether most of its hits move the readout away from where the positive controls do."""
    unit: str
    ec50: str
    best_dose: float
    """Dose of the highest Z′ against the negatives."""
    zprime: tuple[float, float, float]
    """Z′ at ``best_dose`` with its interval."""
    effect: str
    reason: str
    toxic: str | None
    """Lowest toxic dose; empty where it is not toxic, None where that cannot be told."""


def compound_rows(tables: PlateTables) -> list[CompoundRow]:
    """The compounds of the plate, working ones first, by Z′."""
    table = tables.frame("compounds")
    if table.empty or not tables.readouts:
        return []
    own = table[table["Readout"] == tables.readouts[0]]
    rows = [_compound_row(tables, members) for _, members in own.groupby(["Compound", "Group"], sort=False)]
    return sorted(rows, key=lambda row: (not row.works, -_value(row.zprime[0])))


def _compound_row(tables: PlateTables, members: pd.DataFrame) -> CompoundRow:
    first = members.iloc[0]
    compound, group = str(first["Compound"]), str(first["Group"])
    known = members[members["ZPrime"].notna()]
    best = known.sort_values("ZPrime").iloc[-1] if len(known) else first
    hits = _hits_of(tables, compound, group)
    doses = _hit_doses(hits, members)
    return CompoundRow(
        compound=compound,
        group=group,
        works=bool(doses) if len(hits) or len(known) else None,
        first_dose=min(doses) if doses and all(map(math.isfinite, doses)) else math.nan,
        half_dose=_half_dose(hits),
        opposite=_opposite(hits),
        unit=str(best["Unit"]),
        ec50=_ec50(tables.frame("doses"), tables.readouts[0], compound, group),
        best_dose=float(best["Dose"]),
        zprime=(float(best["ZPrime"]), float(best["ZPrime_Low"]), float(best["ZPrime_High"])),
        effect=_effect(best),
        reason=str(first["Reason"]),
        toxic=toxic_from(tables, compound, group),
    )


def toxic_from(tables: PlateTables, compound: str, group: str) -> str | None:
    """From which dose a compound is toxic, in words; empty where it is at none, None where that cannot be told."""
    table = tables.frame("toxicity")
    if table.empty:
        return None
    own = table[(table["Compound"] == compound) & (table["Group"] == group) & (table["Reason"] == "")]
    called = own[own["Toxic"].astype(bool)].sort_values("Dose", kind="stable")
    if called.empty:
        return "" if len(own) else None
    lowest, unit = float(called["Dose"].iloc[0]), short(called["Unit"].iloc[0], 16)
    return f"{number(lowest)} {unit}".rstrip() if math.isfinite(lowest) else "its only dose"


def _value(zprime: float) -> float:
    return zprime if math.isfinite(zprime) else -math.inf


def _hits_of(tables: PlateTables, compound: str, group: str) -> pd.DataFrame:
    """Rows of the hit table on the first readout in which the compound was decided on; none where it never was."""
    hits = tables.frame("hits")
    if hits.empty or not {"Readout", "Compound", "Dose", "Hit"} <= set(hits.columns):
        return pd.DataFrame()
    own = hits[(hits["Readout"] == tables.readouts[0]) & (hits["Compound"] == compound) & hits["Hit"].notna()]
    return own[own["Group"] == group] if "Group" in own and (own["Group"] == group).any() else own


def _hit_doses(hits: pd.DataFrame, members: pd.DataFrame) -> list[float]:
    """Doses at which the compound is a hit; where no hits were called, those whose lower end of Z′ is above 0."""
    if hits.empty:
        return [float(dose) for dose in members.loc[members["ZPrime_Low"] > 0, "Dose"]]
    return [float(dose) for dose in hits.loc[hits["Hit"].astype(bool), "Dose"]]


def _half_dose(hits: pd.DataFrame) -> float:
    if hits.empty or "PercentEffect" not in hits:
        return math.nan
    strong = hits[hits["Hit"].astype(bool) & (hits["PercentEffect"] >= HALF_EFFECT)]
    return float(strong["Dose"].min())


def _opposite(hits: pd.DataFrame) -> bool:
    if hits.empty or "PercentEffect" not in hits:
        return False
    return bool(hits.loc[hits["Hit"].astype(bool), "PercentEffect"].median() < 0)


def _ec50(doses: pd.DataFrame, readout: str, compound: str, group: str) -> str:
    """EC50 with its interval and unit, or why there is none; empty where no curves were fitted."""
    if doses.empty or "EC50" not in doses:
        return ""
    own = doses[(doses["Readout"] == readout) & (doses["Compound"] == compound)]
    own = own[own["Group"] == group] if "Group" in own and (own["Group"] == group).any() else own
    if own.empty:
        return ""
    row = own.iloc[0]
    if not math.isfinite(row["EC50"]):
        reason = short(row["Reason"], 120)
        return reason.removeprefix("EC50 ") if reason.startswith("EC50 ") else f"no fit: {reason}"
    return f"{number(row['EC50'])}{_ends(row['EC50_Low'], row['EC50_High'])} {short(row['Unit'], 12)}".strip()


def _ends(low: float, high: float) -> str:
    """The interval of an EC50 in words; closed wherever there is an EC50."""
    return "" if math.isnan(low) or math.isnan(high) else f" ({number(low)} to {number(high)})"


def _effect(row: pd.Series) -> str:
    mean, negative = float(row["Mean"]), float(row["NegativeMean"])
    if not (math.isfinite(mean) and math.isfinite(negative)):
        return ""
    return f"{number(negative)} → {number(mean)}"
