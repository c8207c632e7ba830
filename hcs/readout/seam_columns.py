"""Columns of seams.parquet, which `hcs audit-seams` writes."""

from __future__ import annotations

from hcs.measure.columns import Column
from hcs.readout.columns import count_column, number_column, text_column

_WILSON = "Wilson 1927, J. Am. Stat. Assoc. 22:209"
_PAIRS = "difference in {} between the run's nuclei and their partners, without sign"

SEAM_COLUMNS: tuple[Column, ...] = (
    text_column("Where", "seam: boxes of nuclei within 8 px of where parts of a field meet; interior: all others"),
    count_column("Count_Nuclei", "nuclei", "nuclei of the run in the places looked at"),
    count_column("Count_Lost", "nuclei", "of these, those that a shifted grid does not give"),
    count_column("Count_Gained", "nuclei", "nuclei that only the shifted grid gives"),
    count_column("Count_Changed", "nuclei", "nuclei of both that differ in area or box"),
    number_column("Fraction_Different", "lost, gained and changed over Count_Nuclei; NaN without nuclei"),
    number_column("Fraction_Different_Low", "lower end of the 95 % interval of Fraction_Different", _WILSON),
    number_column("Fraction_Different_High", "upper end of the 95 % interval of Fraction_Different", _WILSON),
    number_column("Median_Area_Percent", f"median {_PAIRS.format('area')}", unit="%"),
    number_column("Max_Area_Percent", f"largest {_PAIRS.format('area')}", unit="%"),
    number_column("Median_DNA_Percent", f"median {_PAIRS.format('Nuclei_DNA_Content')}", unit="%"),
    number_column("Max_DNA_Percent", f"largest {_PAIRS.format('Nuclei_DNA_Content')}", unit="%"),
)
