"""What the toxicity table says, in the sentences that console and report share.

Alone, as neither of the two should import the other.
"""

from __future__ import annotations

import math
from collections.abc import Hashable, Mapping
from typing import Any

import pandas as pd

from hcs.readout.screen.toxicity import toxic_compounds
from hcs.report.style import number, short

_MOST_NAMED = 8


def toxicity_lines(table: pd.DataFrame) -> tuple[str, tuple[str, ...]]:
    """A headline, and one line a toxic compound: living nuclei at its lowest toxic and at its clearest dose, dead ones.

    Without lines nothing is toxic (the headline starts with "None"), or it cannot be told, and the headline says why.
    """
    if table.empty:
        return "Unknown: the plate map names no compound on this plate.", ()
    told = table[table["Reason"] == ""]
    if told.empty:
        return f"Unknown: {short(table['Reason'].iloc[0], 200)}.", ()
    count = len(told[["Compound", "Unit", "Group"]].drop_duplicates())
    called = toxic_compounds(told)
    if called.empty:
        return f"None of {count} compounds leaves fewer living nuclei than chance explains.", ()
    named = [f"{_name(row)}{_from(row)}" for row in called.to_dict("records")]
    more = f" and {len(named) - _MOST_NAMED} more" if len(named) > _MOST_NAMED else ""
    verb = "leaves" if len(called) == 1 else "leave"
    head = f"{len(called)} of {count} compounds {verb} fewer living nuclei than chance explains: "
    lines = tuple(_line(row, _same(told, row)) for row in called.to_dict("records"))
    return head + ", ".join(named[:_MOST_NAMED]) + more + ".", lines


def _same(table: pd.DataFrame, row: Mapping[Hashable, Any]) -> pd.DataFrame:
    keys = ("Compound", "Unit", "Group")
    return table[(table[list(keys)] == [row[key] for key in keys]).all(axis=1) & table["Toxic"].astype(bool)]


def _line(row: Mapping[Hashable, Any], doses: pd.DataFrame) -> str:
    lowest = doses.sort_values("LivingRatio", kind="stable").iloc[0].to_dict()
    parts = [_living(row)]
    if lowest["Dose"] != row["Dose"]:
        parts.append(_living(lowest))
    dead = float(doses["FractionDead"].max())
    if dead >= 0.005 and dead >= 2 * float(row["NegativeFractionDead"]):
        parts.append(
            f"up to {dead:.0%} of its nuclei are dead cells, {row['NegativeFractionDead']:.0%} of the negatives'"
        )
    else:
        parts.append("no more dead cells than the negatives have: killed cells were washed away, or cells divide less")
    if row["Note"]:
        parts.append(str(row["Note"]))
    return f"{_name(row)}: {'; '.join(parts)}."


def _living(row: Mapping[Hashable, Any]) -> str:
    at = f" at {number(row['Dose'])} {short(row['Unit'], 12)}".rstrip() if math.isfinite(row["Dose"]) else ""
    ends = f"{row['LivingRatio_Low']:.0%} to {row['LivingRatio_High']:.0%}"
    return f"{row['LivingRatio']:.0%} ({ends}) of the living nuclei of the {row['Reference']}{at}"


def _name(row: Mapping[Hashable, Any]) -> str:
    group = f" ({short(row['Group'], 40)})" if row["Group"] and row["Group"] != row["Compound"] else ""
    return f"{short(row['Compound'] or '(unnamed)', 40)}{group}"


def _from(row: Mapping[Hashable, Any]) -> str:
    return f" from {number(row['Dose'])} {short(row['Unit'], 12)}".rstrip() if math.isfinite(row["Dose"]) else ""
