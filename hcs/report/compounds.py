"""The compounds of a plate on its first readout: does each work, from which dose, with which EC50."""

from __future__ import annotations

import math
from dataclasses import dataclass

import pandas as pd

from hcs.report.style import number, short
from hcs.report.tables import PlateTables


@dataclass(frozen=True, slots=True)
class CompoundRow:
    """One compound (of one group) on the first readout; texts are ready to be shown."""

    compound: str
    group: str
    works: bool | None
    """Called as a hit where hits were called, else a dose with Z′ above 0; None where neither can be told."""
    first_dose: float
    """Lowest dose at which it works; NaN for none."""
    unit: str
    ec50: str
    best_dose: float
    """Dose of the highest Z′ against the negatives."""
    zprime: tuple[float, float, float]
    """Z′ at ``best_dose`` with its interval."""
    effect: str
    reason: str


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
    doses, judged = _hit_doses(tables.frame("hits"), members, tables.readouts[0], compound)
    return CompoundRow(
        compound=compound,
        group=group,
        works=bool(doses) if judged or len(known) else None,
        first_dose=min(doses) if doses and all(map(math.isfinite, doses)) else math.nan,
        unit=str(best["Unit"]),
        ec50=_ec50(tables.frame("doses"), tables.readouts[0], compound, group),
        best_dose=float(best["Dose"]),
        zprime=(float(best["ZPrime"]), float(best["ZPrime_Low"]), float(best["ZPrime_High"])),
        effect=_effect(best),
        reason=str(first["Reason"]),
    )


def _value(zprime: float) -> float:
    return zprime if math.isfinite(zprime) else -math.inf


def _hit_doses(hits: pd.DataFrame, members: pd.DataFrame, readout: str, compound: str) -> tuple[list[float], bool]:
    """Doses at which the compound is a hit, and whether hits were called for it at all."""
    if not hits.empty and {"Readout", "Compound", "Dose", "Hit"} <= set(hits.columns):
        own = hits[(hits["Readout"] == readout) & (hits["Compound"] == compound)]
        if len(own) and own["Hit"].notna().any():
            called = own["Hit"].astype("boolean").fillna(False).astype(bool)
            return [float(dose) for dose in own.loc[called, "Dose"]], True
    return [float(dose) for dose in members.loc[members["ZPrime"] > 0, "Dose"]], False


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
        return f"no fit: {short(row['Reason'], 120)}"
    return f"{number(row['EC50'])}{_ends(row['EC50_Low'], row['EC50_High'])} {short(row['Unit'], 12)}".strip()


def _ends(low: float, high: float) -> str:
    """The interval of an EC50 in words; one end, or both, may be open (0 and infinite)."""
    if math.isnan(low) or math.isnan(high):
        return ""
    if low > 0 and math.isfinite(high):
        return f" ({number(low)} to {number(high)})"
    if low > 0:
        return f" (at least {number(low)})"
    return f" (at most {number(high)})" if math.isfinite(high) else " (interval open)"


def _effect(row: pd.Series) -> str:
    mean, negative = float(row["Mean"]), float(row["NegativeMean"])
    if not (math.isfinite(mean) and math.isfinite(negative)):
        return ""
    return f"{number(negative)} → {number(mean)}"
