"""The audit of seams as text for the console."""

from __future__ import annotations

from math import isnan

import pandas as pd

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
