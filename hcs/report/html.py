"""One self-contained HTML report of a plate."""

from __future__ import annotations

from collections.abc import Hashable, Mapping
from html import escape
from pathlib import Path

from matplotlib.figure import Figure

from hcs.readout.phases import PHASES
from hcs.readout.readouts import Readouts
from hcs.report.curves import dose_curves
from hcs.report.dna import dna_histogram
from hcs.report.figures import write_bytes
from hcs.report.findings import best_doses, control_findings, cycle_rows, dose_text, status_counts
from hcs.report.heatmap import plate_heatmap
from hcs.report.page import CSS, bullets, picture, provenance_table, table
from hcs.report.style import interval, number

_MOST_ROWS = 2000


def write_report(
    path: str | Path,
    readouts: Readouts,
    *,
    plate: str,
    provenance: Mapping[str, object],
    overlay: Figure | None = None,
) -> None:
    """Write ``render_report`` to ``path``, temporary name first; raises ResultsError where that fails."""
    page = render_report(readouts, plate=plate, provenance=provenance, overlay=overlay)
    write_bytes(Path(path), page.encode("utf-8", errors="replace"))


def render_report(
    readouts: Readouts, *, plate: str, provenance: Mapping[str, object], overlay: Figure | None = None
) -> str:
    """The report as one HTML page without links to anything outside it.

    ``provenance`` maps names (versions, config, model hash, command) to text, numbers or nested mappings.
    ``overlay`` is a picture of a labelled field. Every text that a user can set is escaped.
    """
    sections = (
        ("Summary", _summary(readouts)),
        ("Controls", _controls(readouts)),
        ("Plate", _plate_figure(readouts, plate)),
        ("Compounds", _compounds(readouts)),
        ("Cell cycle", _cycle(readouts)),
        ("Labelled field", picture(overlay, "A field with the outlines of its nuclei") if overlay else ""),
        ("Wells that are not ok", _bad_wells(readouts)),
        ("Notes", bullets(readouts.notes)),
        ("How this was made", provenance_table(provenance)),
    )
    body = "\n".join(f"<section><h2>{escape(name)}</h2>{text}</section>" for name, text in sections if text)
    title = escape(f"{plate}: high-content screen readouts")
    return (
        '<!doctype html>\n<html lang="en"><head><meta charset="utf-8">'
        '<meta name="viewport" content="width=device-width,initial-scale=1">'
        f"<title>{title}</title><style>{CSS}</style></head>\n<body><h1>{escape(plate)}</h1>\n{body}\n</body></html>\n"
    )


def _summary(readouts: Readouts) -> str:
    wells = readouts.wells
    states = ", ".join(f"{n} {status}" for status, n in status_counts(wells).items()) or "none"
    nuclei, measured = int(wells["Count_Nuclei"].sum()), int(wells["Count_Nuclei_Measured"].sum())
    lines = [f"{len(wells)} wells: {states}. {nuclei:,} nuclei, {measured:,} of them measured."]
    lines += [
        f"{f.readout}, {f.what}: Z′ {f.zprime}, {f.n}: {f.verdict}."
        if f.zprime != "–"
        else f"{f.readout}, {f.what}: {f.verdict}."
        for f in control_findings(readouts)
    ]
    best = best_doses(readouts, limit=5).to_dict("records")
    lines += [
        f"{row['Compound'] or '(unnamed)'}: best separated at {dose_text(row['Dose'], row['Unit'])}, "
        f"Z′ {interval(row['ZPrime'], row['ZPrime_Low'], row['ZPrime_High'])}."
        for row in best
    ]
    return bullets(lines, css="lead")


def _controls(readouts: Readouts) -> str:
    rows = [
        [
            row["Readout"],
            row["Reference"],
            row["Count_Wells"],
            row["Count_NegativeWells"],
            *_three_statistics(row),
            number(row["Mean"]),
            number(row["NegativeMean"]),
            _why(row),
        ]
        for row in readouts.plate.to_dict("records")
    ]
    heads = [
        "Readout",
        "Comparison",
        "n",
        "n neg.",
        "Z′",
        "Robust Z′",
        "SSMD",
        "Mean",
        "Mean neg.",
        "Remarks",
    ]
    share = f"{readouts.settings.confidence:.0%}"
    return table(heads, rows) + (
        f"<p>In brackets the {share} percentile bootstrap interval over wells; with fewer than 8 wells "
        "a side it is narrower than it should be.</p>"
    )


def _compounds(readouts: Readouts) -> str:
    readout = readouts.settings.readouts[0]
    if readouts.compounds.empty:
        return "<p>The plate map names no sample or positive wells on this plate.</p>"
    rows = [
        [
            row["Readout"],
            row["Compound"],
            dose_text(row["Dose"], row["Unit"]),
            row["Role"],
            row["Reference"],
            row["Count_Wells"],
            number(row["Mean"]),
            *_three_statistics(row),
            _why(row),
        ]
        for row in readouts.compounds.head(_MOST_ROWS).to_dict("records")
    ]
    heads = [
        "Readout",
        "Compound",
        "Dose",
        "Role",
        "Against",
        "n",
        "Mean",
        "Z′",
        "Robust Z′",
        "SSMD",
        "Remarks",
    ]
    curves = picture(dose_curves(readouts.wells, readout), f"{readout} against dose, a panel per compound")
    more = len(readouts.compounds) - _MOST_ROWS
    rest = f"<p>{more:,} more rows are in compounds.parquet.</p>" if more > 0 else ""
    return curves + table(heads, rows) + rest


def _plate_figure(readouts: Readouts, plate: str) -> str:
    readout = readouts.settings.readouts[0]
    return picture(plate_heatmap(readouts.wells, readout, title=plate), f"Heat map of {readout} over the plate")


def _cycle(readouts: Readouts) -> str:
    peak = readouts.peak
    if not peak.usable:
        return f"<p>No cell-cycle fractions: {escape(peak.reason)}.</p>"
    rows = [[name, n, *(f"{fractions[p]:.1%}" for p in PHASES)] for name, n, fractions in cycle_rows(readouts)]
    text = f"2N peak at a DNA content of {number(peak.two_n)} (CV {peak.cv:.1%}), 4N/2N {peak.four_n_ratio:.2f}"
    return (
        picture(dna_histogram(readouts), "Histogram of DNA content in units of N with the fitted phases")
        + table(["Mean over wells", "n", *PHASES], rows)
        + f"<p>{escape(text)}; {peak.n:,} nuclei, {escape(peak.source_wells)}.</p>"
    )


def _bad_wells(readouts: Readouts) -> str:
    bad = readouts.wells[readouts.wells["Status"] != "ok"]
    if bad.empty:
        return "<p>None.</p>"
    rows = [[r.Metadata_Well, r.Status, f"{r.Fields_Ok} of {r.Fields_Expected}", r.Reason] for r in bad.itertuples()]
    return table(["Well", "Status", "Fields done", "Reason"], rows)


def _three_statistics(row: Mapping[Hashable, float]) -> list[str]:
    return [interval(row[s], row[f"{s}_Low"], row[f"{s}_High"]) for s in ("ZPrime", "RobustZPrime", "SSMD")]


def _why(row: Mapping[Hashable, object]) -> str:
    return "; ".join(str(row[name]) for name in ("Reason", "Note") if row[name])
