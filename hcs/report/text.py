"""The readouts as plain text for the end of a run."""

from __future__ import annotations

import textwrap
from math import isnan

import pandas as pd

from hcs.readout.readouts import Readouts
from hcs.report.findings import best_doses, control_findings, cycle_rows, dose_text, status_counts
from hcs.report.style import interval, number, short
from hcs.report.toxic import toxicity_lines

_WIDTH = 100
_MOST_WELLS = 10


def console_summary(readouts: Readouts) -> str:
    """Plain text, at most 100 columns: wells by status, Z' of controls and best doses, toxicity, cycle, notes."""
    sections = (
        _wells(readouts),
        _controls(readouts),
        _best(readouts),
        _toxic(readouts),
        _cycle(readouts),
        _notes(readouts),
    )
    return "\n\n".join("\n".join(lines) for lines in sections if lines)


def _wells(readouts: Readouts) -> list[str]:
    wells = readouts.wells
    plate = short(wells["Metadata_Plate"].iloc[0], 40) if len(wells) else ""
    states = ", ".join(f"{n} {status}" for status, n in status_counts(wells).items()) or "none"
    nuclei, dead = int(wells["Count_Nuclei"].sum()), wells["Count_Dead"].sum()
    lines = [
        f"{plate or 'Plate'}: {len(wells)} wells ({states}), {nuclei:,} nuclei"
        + (f", {dead:,.0f} of them dead" if dead > 0 else "")
    ]
    bad = wells[~wells["Status"].isin(["ok", "empty"])]
    lines += [
        "  " + short(f"{row.Metadata_Well} {row.Status}: {row.Reason}", _WIDTH - 2)
        for row in bad.head(_MOST_WELLS).itertuples()
    ]
    if len(bad) > _MOST_WELLS:
        lines.append(f"  and {len(bad) - _MOST_WELLS} more; hcs status names them all")
    return lines


def _controls(readouts: Readouts) -> list[str]:
    lines = []
    last = ""
    for finding in control_findings(readouts):
        if finding.readout != last:
            last = finding.readout
            lines.append(f"Z' of {short(last, 60)}, with {readouts.settings.confidence:.0%} interval")
        value = "–" if finding.zprime == "–" else f"{finding.zprime}, {finding.n}"
        lines += _wrapped(f"{short(finding.what, 70)}: {value}; {finding.verdict}", indent="  ")
    return lines


def _best(readouts: Readouts) -> list[str]:
    best = best_doses(readouts)
    if best.empty:
        return []
    lines = [f"Best dose of each compound on {short(readouts.settings.readouts[0], 60)}"]
    for row in best.to_dict("records"):
        name = short(row["Compound"] or "(unnamed)", 24)
        dose = short(dose_text(row["Dose"], row["Unit"]), 14)
        zprime = interval(row["ZPrime"], row["ZPrime_Low"], row["ZPrime_High"])
        lines.append(f"  {name:<24} {dose:>14}  Z' {zprime:<24} SSMD {number(row['SSMD']):>8}  n {row['Count_Wells']}")
    return lines


def _toxic(readouts: Readouts) -> list[str]:
    """What is toxic, in sentences; nothing where no compound is on the plate."""
    if readouts.toxicity.empty:
        return []
    head, lines = toxicity_lines(readouts.toxicity)
    shown = [line for text in lines[:_MOST_WELLS] for line in _wrapped(text, indent="  ")]
    return [*_wrapped(f"Toxicity: {head}", indent=""), *shown]


def _cycle(readouts: Readouts) -> list[str]:
    peak = readouts.peak
    rows = cycle_rows(readouts)
    if not peak.usable or not rows:
        return []
    found = f"CV {peak.cv:.1%}, 4N/2N {peak.four_n_ratio:.2f}, {peak.n:,} nuclei"
    lines = [f"Cell cycle, mean over wells (2N peak: {found}, {short(peak.source_wells, 45)})"]
    for name, n, fractions in rows:
        parts = "  ".join(f"{phase} {value:.1%}" for phase, value in fractions.items())
        lines.append(f"  {name} ({n}): {parts}")
    return lines


def _notes(readouts: Readouts) -> list[str]:
    said = {str(reason) for reason in readouts.plate["Reason"] if reason}
    notes = [note for note in readouts.notes if not any(reason in note for reason in said)]
    notes = [note for note in notes if not note.startswith("Toxic, ")]  # said above
    return [line for note in notes for line in _wrapped(note, indent="  ", first="Note: ")]


def _wrapped(text: str, *, indent: str, first: str | None = None) -> list[str]:
    """Lines of at most the console's width; continued lines are indented further."""
    line = short(text, 600)
    start = indent if first is None else first
    return textwrap.wrap(line, _WIDTH, initial_indent=start, subsequent_indent=indent + "    ")


_ROWS = (
    ("nuclei", "Count_Nuclei", "{:,.0f}"),
    ("lost by a shifted grid", "Count_Lost", "{:,.0f}"),
    ("gained", "Count_Gained", "{:,.0f}"),
    ("other pixels", "Count_Changed", "{:,.0f}"),
    ("different", "Fraction_Different", "{:.2%}"),
    ("  95 % interval, low", "Fraction_Different_Low", "{:.2%}"),
    ("  95 % interval, high", "Fraction_Different_High", "{:.2%}"),
    ("area, median difference", "Median_Area_Percent", "{:.3f} %"),
    ("area, largest difference", "Max_Area_Percent", "{:.3f} %"),
    ("DNA content, median difference", "Median_DNA_Percent", "{:.3f} %"),
    ("DNA content, largest difference", "Max_DNA_Percent", "{:.3f} %"),
)


def seams_text(table: pd.DataFrame) -> str:
    """A table of `hcs.tiles.seams.summarise` with its rows, seam and interior, as columns; NaN shows as a dash."""
    columns = table.set_index("Where")
    lines = [f"{'':<34}{'at seams':>14}{'interior':>14}"]
    for title, name, form in _ROWS:
        values = (float(columns[name][where]) for where in ("seam", "interior"))
        lines.append(f"{title:<34}" + "".join(f"{'–' if isnan(v) else form.format(v):>14}" for v in values))
    return "\n".join(lines)
