"""What a plate's tables say, in sentences and short rows that the console and the report share."""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

import pandas as pd

from hcs.readout.cycle.columns import PHASES
from hcs.readout.readouts import Readouts
from hcs.readout.screen.verdict import sentence_of
from hcs.report.style import interval, number


@dataclass(frozen=True, slots=True)
class Finding:
    """One comparison in words: ``what`` was compared, ``zprime`` with interval, ``n`` wells and nuclei, ``verdict``."""

    readout: str
    what: str
    zprime: str
    n: str
    verdict: str


def status_counts(wells: pd.DataFrame) -> dict[str, int]:
    """Number of wells by status, ok first; statuses that no well has are left out."""
    counts = wells["Status"].value_counts()
    return {s: int(counts[s]) for s in ("ok", "empty", "partial", "failed", "excluded", "pending") if s in counts}


def control_findings(readouts: Readouts) -> Iterator[Finding]:
    """Positive against negative controls, per readout and group; once where all are NaN for one reason."""
    for readout, rows in readouts.plate.groupby("Readout", sort=False):
        reasons = set(rows["Reason"])
        if len(reasons) == 1 and rows["ZPrime"].isna().all():
            yield Finding(str(readout), "all comparisons", "–", "", str(reasons.pop()) or "no value")
            continue
        yield from _each(rows)


def _each(rows: pd.DataFrame) -> Iterator[Finding]:
    for row in rows.to_dict("records"):
        yield Finding(
            readout=str(row["Readout"]),
            what=str(row["Reference"]),
            zprime=interval(row["ZPrime"], row["ZPrime_Low"], row["ZPrime_High"]),
            n=behind_text(row),
            verdict=sentence_of(row),
        )


def behind_text(row: Mapping[Any, Any]) -> str:
    """How many wells and nuclei stand behind a row of the plate table."""
    return (
        f"{row['Count_Wells']} against {row['Count_NegativeWells']} wells, "
        f"{row['Count_Nuclei']:,} against {row['Count_NegativeNuclei']:,} nuclei"
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
