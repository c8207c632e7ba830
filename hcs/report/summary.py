"""What a plate says in answers: is it good, what works at which dose, what is toxic, which wells to distrust, cycle."""

from __future__ import annotations

import math
from collections.abc import Hashable, Mapping
from dataclasses import dataclass, field
from typing import Any, Literal

from hcs.readout.screen.verdict import sentence_of
from hcs.report.compounds import CompoundRow, compound_rows
from hcs.report.distrust import distrusted
from hcs.report.findings import behind_text, dose_text, status_counts
from hcs.report.names import readout_name
from hcs.report.style import interval, number, short
from hcs.report.tables import PlateTables
from hcs.report.toxic import toxicity_lines

Mark = Literal["good", "fair", "poor", "none"]
_MOST_LINES = 8
_GAIN, _CHANCE = 0.02, 0.05
"""A cause is named where Z′ would be higher by this without it, and its p value is at most this."""


@dataclass(frozen=True, slots=True)
class Answer:
    """One question with its answer: a mark, a headline, further lines, and wells with the reason to look at them."""

    question: str
    mark: Mark
    headline: str
    lines: tuple[str, ...] = ()
    wells: Mapping[str, str] = field(default_factory=dict)


def answers(tables: PlateTables) -> tuple[Answer, ...]:
    """The plate's summary, from its tables alone."""
    return (_quality(tables), _compounds(tables), _toxicity(tables), _distrust(tables), _cycle(tables))


def _quality(tables: PlateTables) -> Answer:
    question = "Is the plate good?"
    table = tables.frame("plate")
    if table.empty or not tables.readouts:
        return Answer(question, "none", "Unknown: there are no controls to compare.")
    first = tables.readouts[0]
    rows = table[table["Readout"] == first]
    known = rows[rows["ZPrime"].notna()]
    if known.empty:
        reason = next((str(r) for r in rows["Reason"] if r), "no Z′ could be computed")
        return Answer(question, "none", f"Unknown: {short(reason, 200)}.", _best_readout(tables))
    compared = known[known["Group"] != ""] if (known["Group"] != "").any() else known
    worst = min(compared.to_dict("records"), key=lambda row: (_ORDER.index(row["Verdict"]), row["ZPrime"]))
    word = str(worst["Verdict"])
    lines = [
        f"{_what(row)}: Z′ {interval(row['ZPrime'], row['ZPrime_Low'], row['ZPrime_High'])}, {behind_text(row)}: "
        f"{sentence_of(row)}."
        for row in compared.head(_MOST_LINES).to_dict("records")
    ]
    lines += [f"{_what(r)}: {short(r['Reason'], 160)}." for r in rows[rows["ZPrime"].isna()].to_dict("records")][:3]
    return Answer(question, _MARKS[word], _headline(worst), (*lines, *_largest_cause(tables), *_best_readout(tables)))


_ORDER = ("overlap", "uncertain", "withheld", "marginal", "excellent")
_MARKS: dict[str, Mark] = {
    "excellent": "good",
    "marginal": "fair",
    "uncertain": "poor",
    "overlap": "poor",
    "withheld": "none",
}


def _headline(row: Mapping[Hashable, Any]) -> str:
    """The verdict on the comparison that separates worst, first readout."""
    name = readout_name(str(row["Readout"]))
    value = f"Z′ {interval(row['ZPrime'], row['ZPrime_Low'], row['ZPrime_High'])}"
    match row["Verdict"]:
        case "excellent":
            return f"Yes: {name} separates the controls with {value}; the lower end of the interval is excellent."
        case "marginal":
            return f"Marginal: {name} separates the controls with {value}; the lower end of the interval decides."
        case "uncertain":
            return f"Not shown: {name} has {value}; by the lower end of the interval the controls may overlap."
        case "overlap":
            return f"No: {name} does not separate the controls, {value}."
    return f"Unknown: {name} has {value}, but {short(row['Verdict_Reason'] or 'no interval', 200)}."


def _what(row: Mapping[Hashable, Any]) -> str:
    return f"{short(row['Group'], 60)} controls" if row["Group"] else "All controls"


def _best_readout(tables: PlateTables) -> tuple[str, ...]:
    """The readout of the highest Z′ among all, where the ranking was made and it is another one."""
    table = tables.frame("assay")
    if table.empty or not {"Readout", "Group", "ZPrime"} <= set(table.columns):
        return ()
    ranked = table[(table["Group"] == "") & table["ZPrime"].notna()].sort_values("ZPrime", ascending=False)
    if ranked.empty or ranked["Readout"].iloc[0] in tables.readouts[:1]:
        return ()
    top = ranked.iloc[0]
    return (
        f"Of {len(ranked)} readouts, {readout_name(str(top['Readout']))} has the highest Z′ over all controls, "
        f"{interval(top['ZPrime'], top['ZPrime_Low'], top['ZPrime_High'])}. It "
        "was chosen on these wells, so its true value is probably lower.",
    )


def _largest_cause(tables: PlateTables) -> tuple[str, ...]:
    """What lowers Z′ of the first readout over all controls most, where that is more than chance."""
    table = tables.frame("attribution")
    if table.empty or not {"Readout", "Group", "Cause", "Delta"} <= set(table.columns):
        return ()
    own = table[(table["Readout"] == tables.readouts[0]) & (table["Group"] == "") & (table["Delta"] > _GAIN)]
    own = own[~(own["PValue"] > _CHANCE)] if "PValue" in own else own
    if own.empty:
        return ()
    row = own.sort_values("Delta", ascending=False).iloc[0]
    return (
        f"The largest cause of a low Z′ is {row['Cause']} ({short(row['Detail'], 120)}). Without this cause, Z′ over "
        f"all controls would be {number(row['ZPrime_Without'])} instead of {number(row['ZPrime'])}.",
    )


def _compounds(tables: PlateTables) -> Answer:
    question = "Which compounds work, and at which dose?"
    rows = compound_rows(tables)
    if not rows:
        return Answer(question, "none", "Unknown: the plate map names no compound on this plate.")
    working = [row for row in rows if row.works]
    unknown = [row for row in rows if row.works is None]
    called = "called as hits" if not tables.frame("hits").empty else "with a dose whose Z′ is above 0 by its lower end"
    if working:
        head = f"{len(working)} of {len(rows)} compounds work ({called}): " + _named(working) + "."
    elif len(unknown) == len(rows):
        head = f"Unknown: {short(rows[0].reason or 'no statistics', 200)}."
    else:
        head = f"None of {len(rows)} compounds stands out from the negatives."
    lines = [_of_compound(row) for row in working[:_MOST_LINES]]
    idle = [short(row.compound or "(unnamed)", 40) + _toxic(row) for row in rows if row.works is False]
    if working and idle:
        more = f" and {len(idle) - _MOST_LINES} more" if len(idle) > _MOST_LINES else ""
        names = ", ".join(idle[:_MOST_LINES])
        lines.append(f"Without an effect on {readout_name(tables.readouts[0])}: {names}{more}.")
    return Answer(question, "good" if working else "none", head, tuple(lines))


def _of_compound(row: CompoundRow) -> str:
    """EC50, lowest dose called a hit, and the dose that stands out most, of one compound."""
    unit = short(row.unit, 12)
    parts = [f"EC50 {row.ec50}"] if row.ec50 else []
    if math.isfinite(row.first_dose):  # the lowest one can owe it to its column, so the headline has the other
        parts.append(
            f"lowest dose that differs from the negative controls: {dose_text(row.first_dose, unit)} (a plate effect "
            "can cause this)"
        )
    if row.opposite:
        parts.append("opposite to the positives")
    if math.isfinite(row.zprime[0]):
        at = f" {dose_text(row.best_dose, unit)}" if math.isfinite(row.best_dose) else ""
        parts.append(f"best dose{at}: {row.effect}, Z′ {number(row.zprime[0])}")
    return f"{short(row.compound or '(unnamed)', 40)}: {'; '.join(parts)}."


def _named(rows: list[CompoundRow]) -> str:
    parts = []
    for row in rows[:_MOST_LINES]:
        unit, since = short(row.unit, 12), ""
        if math.isfinite(row.half_dose):
            since = f" with half the positives' effect or more from {dose_text(row.half_dose, unit)}"
        elif math.isfinite(row.first_dose):
            since = f" from {dose_text(row.first_dose, unit)}"
        parts.append(f"{short(row.compound or '(unnamed)', 40)}{since}{_toxic(row)}")
    return ", ".join(parts) + (f" and {len(rows) - _MOST_LINES} more" if len(rows) > _MOST_LINES else "")


def _toxicity(tables: PlateTables) -> Answer:
    head, lines = toxicity_lines(tables.frame("toxicity"))
    mark: Mark = "fair" if lines else "good" if head.startswith("None") else "none"
    return Answer("Which compounds are toxic?", mark, head, lines[:_MOST_LINES])


def _toxic(row: CompoundRow) -> str:
    return f" (toxic from {row.toxic})" if row.toxic else ""


def _distrust(tables: PlateTables) -> Answer:
    question = "Which wells should not be trusted?"
    wells = tables.frame("wells")
    if wells.empty:
        return Answer(question, "none", "Unknown: there is no well table.")
    states = ", ".join(f"{n} {status}" for status, n in status_counts(wells).items())
    bad = distrusted(tables)
    fields = tables.frame("fields")
    measured = [c for c in fields.columns if str(c).startswith("Quality_") and fields[c].notna().any()]
    checked = "" if measured else " Image quality was not measured."
    if not bad:
        return Answer(question, "good", f"None stands out: {len(wells)} wells, {states}.{checked}")
    mark: Mark = "fair" if len(bad) <= 0.1 * len(wells) else "poor"
    head = f"{len(bad)} of {len(wells)} wells ({states}) have a reason to look twice.{checked}"
    return Answer(question, mark, head, (), bad)


def _cycle(tables: PlateTables) -> Answer:
    question = "Can the cell cycle be read?"
    peak = tables.peak
    if not tables.peak_usable:
        reason = short(peak.get("DNA_Reason", "") or "no DNA content was measured", 200)
        return Answer(question, "none", f"No: {reason}.")
    cv, ratio = float(peak["DNA_CV"]), float(peak["DNA_FourNRatio"])
    mark: Mark = "good" if cv <= 0.12 else "fair"
    width = "" if mark == "good" else "; it is wide, so compare S fractions within this plate only"
    lines = []
    wells = tables.frame("wells")
    for role in ("negative", "positive"):
        rows = wells[(wells["Metadata_Role"] == role) & wells["Fraction_G1"].notna()]
        if len(rows):
            parts = ", ".join(
                f"{name} {rows[f'Fraction_{phase}'].mean():.0%}"
                for name, phase in (("G1", "G1"), ("S", "S"), ("G2/M", "G2M"))
            )
            lines.append(f"{role} controls, mean of {len(rows)} wells: {parts}")
    head = f"Yes: a 2N peak of CV {cv:.1%}, 4N/2N {ratio:.2f}, in {int(peak['DNA_Count_Nuclei']):,} nuclei{width}."
    return Answer(question, mark, head, tuple(lines))
