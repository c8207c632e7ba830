"""Wells that a reader should look at twice, and why."""

from __future__ import annotations

import math
from collections.abc import Iterable

import numpy as np
import pandas as pd

from hcs.report.style import number, short
from hcs.report.tables import PlateTables

_FEW = 3.5
_WELL_GAIN = 0.05
_HELD = 0.1
_CHANCE = 0.05


def distrusted(tables: PlateTables) -> dict[str, str]:
    """Wells that a reader should not take at face value, and why, in plate order."""
    reasons: dict[str, list[str]] = {}
    for well, reason in (
        *_incomplete(tables),
        *_flagged(tables),
        *_few_nuclei(tables),
        *_not_empty(tables),
        *_lowering(tables),
    ):
        reasons.setdefault(well, []).append(reason)
    order = [str(well) for well in tables.frame("wells").get("Metadata_Well", ())]
    return {well: "; ".join(reasons[well]) for well in order if well in reasons}


def _incomplete(tables: PlateTables) -> Iterable[tuple[str, str]]:
    wells = tables.frame("wells")
    if wells.empty:
        return
    expected_empty = wells["Metadata_Role"].eq("empty") if "Metadata_Role" in wells else pd.Series(False, wells.index)
    for row in wells[(wells["Status"] != "ok") & ~((wells["Status"] == "empty") & expected_empty)].itertuples():
        reason = "no nucleus found" if row.Status == "empty" else f"{row.Status}: {row.Reason}"
        yield str(row.Metadata_Well), short(reason.rstrip(": "), 200)


def _flagged(tables: PlateTables) -> Iterable[tuple[str, str]]:
    fields = tables.frame("fields")
    if fields.empty or "Flags" not in fields:
        return
    for well, rows in fields[fields["Flags"].fillna("") != ""].groupby("Metadata_Well", sort=False):
        flags = dict.fromkeys(flag.strip() for text in rows["Flags"] for flag in str(text).split(";") if flag.strip())
        yield str(well), short(f"image flagged: {', '.join(flags)} ({len(rows)} field{'s' * (len(rows) > 1)})", 200)


def _few_nuclei(tables: PlateTables) -> Iterable[tuple[str, str]]:
    """Control wells with far fewer nuclei than the others of their role: a robust z below -3.5."""
    wells = tables.frame("wells")
    if wells.empty or "Metadata_Role" not in wells:
        return
    done = wells[wells["Status"].eq("ok")]
    for role, rows in done[done["Metadata_Role"].isin(["negative", "positive"])].groupby("Metadata_Role"):
        counts = rows["Count_Nuclei"].to_numpy(dtype=np.float64)
        middle = float(np.median(counts))
        spread = max(1.4826 * float(np.median(np.abs(counts - middle))), math.sqrt(max(middle, 1.0)))
        for well, count in zip(rows["Metadata_Well"], counts, strict=True):
            if len(counts) >= 4 and (count - middle) / spread < -_FEW:
                yield str(well), f"{count:.0f} nuclei, {role} controls have {middle:.0f} in the median"


def _not_empty(tables: PlateTables) -> Iterable[tuple[str, str]]:
    """Wells that were to be empty and hold a tenth of the negative controls' nuclei or more."""
    wells = tables.frame("wells")
    if wells.empty or "Metadata_Role" not in wells:
        return
    usual = float(wells.loc[wells["Metadata_Role"].eq("negative"), "Count_Nuclei"].median())
    own = wells[wells["Metadata_Role"].eq("empty")]
    for well, count in zip(own["Metadata_Well"], own["Count_Nuclei"].to_numpy(np.float64), strict=True):
        if count >= max(_HELD * usual, 1.0):
            yield str(well), f"should be empty, holds {count:.0f} nuclei"


def _lowering(tables: PlateTables) -> Iterable[tuple[str, str]]:
    """Wells without which Z′ of the first readout would be clearly higher."""
    table = tables.frame("attribution")
    if table.empty or not {"Cause", "Delta", "Detail", "Readout"} <= set(table.columns):
        return
    own = table[(table["Cause"] == "well") & (table["Delta"] > _WELL_GAIN)]
    own = own[own["PValue"] < _CHANCE] if "PValue" in own else own
    known = set(map(str, tables.frame("wells").get("Metadata_Well", ())))
    for row in own[own["Readout"].isin(tables.readouts[:1])].to_dict("records"):
        for word in str(row["Detail"]).replace(",", " ").split():
            if word in known:
                yield word, f"without it Z′ would be {number(row['ZPrime_Without'])} instead of {number(row['ZPrime'])}"
