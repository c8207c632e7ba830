"""What a plate's tables say, in sentences and short rows that the console and the report share."""

from __future__ import annotations

import math
from collections.abc import Iterator
from dataclasses import dataclass

import pandas as pd

from hcs.readout.phases import PHASES
from hcs.readout.readouts import Readouts
from hcs.report.style import interval, number

_GOOD, _SOME = 0.5, 0.0


@dataclass(frozen=True, slots=True)
class Finding:
    """One comparison in words: ``what`` was compared, ``zprime`` with interval, ``n`` wells, ``verdict``."""

    readout: str
    what: str
    zprime: str
    n: str
    verdict: str


def status_counts(wells: pd.DataFrame) -> dict[str, int]:
    """Number of wells by status, ok first; statuses that no well has are left out."""
    counts = wells["Status"].value_counts()
    return {s: int(counts[s]) for s in ("ok", "empty", "partial", "failed", "excluded", "pending") if s in counts}


def verdict(zprime: float, reason: str) -> str:
    """How Zhang et al. 1999 read a Z': from 0.5 excellent, above 0 marginal, else no screen; or why NaN."""
    if not math.isfinite(zprime):
        return reason or "no value"
    if zprime >= _GOOD:
        return "excellent separation"
    return "marginal separation" if zprime > _SOME else "controls overlap: not usable for screening"


def control_findings(readouts: Readouts) -> Iterator[Finding]:
    """Positive against negative controls, per readout and group; once where all are NaN for one reason."""
    for readout, rows in readouts.plate.groupby("Readout", sort=False):
        reasons = set(rows["Reason"])
        if len(reasons) == 1 and rows["ZPrime"].isna().all():
            yield Finding(str(readout), "all comparisons", "–", "", verdict(math.nan, str(reasons.pop())))
            continue
        yield from _each(rows)


def _each(rows: pd.DataFrame) -> Iterator[Finding]:
    for row in rows.to_dict("records"):
        yield Finding(
            readout=str(row["Readout"]),
            what=str(row["Reference"]),
            zprime=interval(row["ZPrime"], row["ZPrime_Low"], row["ZPrime_High"]),
            n=f"{row['Count_Wells']} against {row['Count_NegativeWells']} wells",
            verdict=verdict(row["ZPrime"], str(row["Reason"])),
        )


def best_doses(readouts: Readouts, *, limit: int = 20) -> pd.DataFrame:
    """Per compound the dose with the highest Z' on the first readout, best first, at most ``limit`` rows.

    Compounds without any Z' are left out.
    """
    table = readouts.compounds
    table = table[(table["Readout"] == readouts.settings.readouts[0]) & table["ZPrime"].notna()]
    ranked = table.sort_values("ZPrime", ascending=False, kind="stable")
    return ranked.drop_duplicates(["Compound", "Group"]).head(limit)


def dose_text(dose: float, unit: str) -> str:
    """Dose with its unit; an en dash where the map gives none."""
    return f"{number(dose)} {unit}".strip() if math.isfinite(dose) else "–"


def cycle_rows(readouts: Readouts) -> list[tuple[str, int, dict[str, float]]]:
    """Mean phase fractions over wells, of negative and positive controls, or of all wells without controls.

    Each row is a name, the number of wells with a value and the fraction of each phase; none without a usable
    peak.
    """
    wells = readouts.wells
    columns = [f"Fraction_{phase}" for phase in PHASES]
    known = wells[wells[columns].notna().all(axis=1)]
    roles = [(f"{role} controls", known[known["Metadata_Role"] == role]) for role in ("negative", "positive")]
    chosen = [(name, rows) for name, rows in roles if len(rows)] or [("all wells", known)]
    return [
        (name, len(rows), {phase: float(rows[f"Fraction_{phase}"].mean()) for phase in PHASES})
        for name, rows in chosen
        if len(rows)
    ]
