"""Several plates on one page: each in a row, and trends of Z′, controls and EC50 over them."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from html import escape

import numpy as np
import pandas as pd

from hcs.report.distrust import distrusted
from hcs.report.embed import plain, table_data
from hcs.report.findings import status_counts
from hcs.report.html import page_frame
from hcs.report.names import readout_name
from hcs.report.style import number
from hcs.report.summary import answers
from hcs.report.tables import PlateTables

SCRIPTS = ("core.js", "colours.js", "chart.js", "overview.js")
_SECTIONS = (("plates", "Plates"), ("trends", "Trends"), ("ec50", "EC50 by plate"), ("replicates", "Replicates"))
_STATISTICS = (
    "ZPrime",
    "ZPrime_Low",
    "ZPrime_High",
    "RobustZPrime",
    "SSMD",
    "Mean",
    "SD",
    "NegativeMean",
    "NegativeSD",
)
_CURVES = ("Compound", "Group", "EC50", "EC50_Low", "EC50_High", "Unit", "Efficacy", "Reason")


@dataclass(frozen=True, slots=True)
class PlateOfMany:
    """One plate of an overview: its tables, and where its own report lies, relative to the overview's page."""

    tables: PlateTables
    link: str


def render_overview(plates: Sequence[PlateOfMany], replicates: pd.DataFrame) -> str:
    """The page; plates in the given order, ``replicates`` as of ``REPLICATE_COLUMNS`` and possibly empty."""
    data = overview_data(plates, replicates)
    body = _lead(plates) + "".join(
        f'<section id="{name}"><h2>{title}</h2><div id="{name}-body"></div></section>\n' for name, title in _SECTIONS
    )
    return page_frame(
        title=f"{len(plates)} plates: high-content screen",
        heading=f"{len(plates)} plates",
        sub=" · ".join((f"{_total(plates, 'Count_Nuclei'):,} nuclei", f"{sum(map(_n_wells, plates))} wells")),
        body=body,
        data=data,
        scripts=SCRIPTS,
        links=_SECTIONS,
    )


def overview_data(plates: Sequence[PlateOfMany], replicates: pd.DataFrame) -> dict[str, object]:
    """The plain data of the page: plates, trend (a row a plate, readout and group), doses, replicates."""
    tables = {
        "plates": pd.DataFrame([_plate_row(plate) for plate in plates]),
        "trend": _stacked(plates, "plate", ("Readout", "Group", "Count_Wells", "Count_NegativeWells", *_STATISTICS)),
        "doses": _stacked(plates, "doses", ("Readout", *_CURVES)),
        "replicates": replicates,
    }
    readouts = [*dict.fromkeys(name for plate in plates for name in plate.tables.readouts)]
    return {
        "tables": {name: table_data(frame) for name, frame in tables.items() if len(frame)},
        "absent": {
            "plates": "There are no plates.",
            "trend": "No plate has a plate table; `hcs readout` makes it.",
            "doses": "No dose curves were fitted on these plates.",
            "replicates": "Replicates are compared where two or more plates share compounds and doses.",
        },
        "names": {name: readout_name(name) for name in readouts},
        "readouts": readouts,
        "definitions": {},
        "distrusted": {},
    }


def _plate_row(plate: PlateOfMany) -> dict[str, object]:
    """One plate in one row; its index in the order given makes two plates of one name two plates."""
    tables = plate.tables
    wells, first = tables.frame("wells"), tables.readouts[:1]
    controls = tables.frame("plate")
    own = controls[(controls["Group"] == "") & controls["Readout"].isin(first)] if len(controls) else controls
    z = own.iloc[0] if len(own) else {"ZPrime": np.nan, "ZPrime_Low": np.nan, "ZPrime_High": np.nan}
    peak = tables.peak
    states = status_counts(wells) if len(wells) else {}
    quality = answers(tables)[0]
    fields = tables.frame("fields")
    return {
        "Plate": plain(tables.plate),
        "Link": plate.link,
        "Verdict": quality.mark,
        "Date": str((tables.record.times or {}).get("started", ""))[:10],
        "Readout": first[0] if first else "",
        "ZPrime": float(z["ZPrime"]),
        "ZPrime_Low": float(z["ZPrime_Low"]),
        "ZPrime_High": float(z["ZPrime_High"]),
        "Wells": len(wells),
        "Wells_NotOk": sum(n for status, n in states.items() if status not in ("ok", "empty")),
        "Wells_LookTwice": len(distrusted(tables)),
        "Fields_Flagged": int((fields["Flags"].fillna("") != "").sum()) if "Flags" in fields else None,
        "Count_Nuclei": int(wells["Count_Nuclei"].sum()) if len(wells) else 0,
        "DNA_CV": float(peak["DNA_CV"]) if tables.peak_usable else np.nan,
        "DNA_FourNRatio": float(peak["DNA_FourNRatio"]) if tables.peak_usable else np.nan,
    }


def _stacked(plates: Sequence[PlateOfMany], name: str, columns: tuple[str, ...]) -> pd.DataFrame:
    """The named columns of one table of every plate, with the plate's index."""
    frames = []
    for i, plate in enumerate(plates):
        frame = plate.tables.frame(name)
        if len(frame):
            frames.append(frame.reindex(columns=list(columns)).assign(PlateIndex=i))
    return pd.concat(frames, ignore_index=True) if frames else pd.DataFrame()


def _lead(plates: Sequence[PlateOfMany]) -> str:
    """How many plates are good, by the lower ends of their Z′, and the best and the worst."""
    marks = [answers(plate.tables)[0].mark for plate in plates]
    words = (
        ("good", "excellent"),
        ("fair", "marginal"),
        ("poor", "not shown to separate"),
        ("none", "without a verdict"),
    )
    counted = ", ".join(f"{marks.count(mark)} {word}" for mark, word in words if mark in marks)
    rows = [_plate_row(plate) for plate in plates]
    known = [row for row in rows if np.isfinite(float(str(row["ZPrime"])))]
    lines = []
    if known:
        ranked = sorted(known, key=lambda row: float(str(row["ZPrime"])))
        for word, row in (("Highest", ranked[-1]), ("Lowest", ranked[0])):
            value = number(float(str(row["ZPrime"])))
            lines.append(f"{word} Z′ over all controls: {value} ({row['Plate']}, {readout_name(str(row['Readout']))})")
    items = "".join(f"<li>{escape(line)}</li>" for line in lines)
    mark = "good" if set(marks) == {"good"} else "poor" if "poor" in marks else "fair"
    return (
        f'<section class="answers" aria-label="Summary"><article class="answer {mark}"><h2>Are the plates good?</h2>'
        f'<p class="head">Of {len(plates)} plates: {escape(counted)}.</p><ul>{items}</ul></article></section>\n'
    )


def _n_wells(plate: PlateOfMany) -> int:
    return len(plate.tables.frame("wells"))


def _total(plates: Sequence[PlateOfMany], column: str) -> int:
    return sum(int(plate.tables.frame("wells")[column].sum()) for plate in plates if _n_wells(plate))
