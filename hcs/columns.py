"""Columns of tables: what a column is (name, unit, meaning, source), and the key columns that every table shares.

Alone in a file because every room that makes a table needs it, and none of them may need another.
"""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Column:
    """One column: ``dtype`` is a NumPy name, ``unit`` is empty where there is none."""

    name: str
    dtype: str
    unit: str
    definition: str
    source: str


CLASS, SCORE = "Nuclei_Class", "Nuclei_Class_Score"
"""The kind of a nucleus and how sure that is, whoever told it: a network in the table of nuclei, examples in that of
classes."""
KEY_COLUMNS = (
    Column("Metadata_Plate", "string", "", "name of the plate", "plate metadata"),
    Column("Metadata_Well", "string", "", "well, row letters and two-digit column", "plate metadata"),
    Column("Metadata_Site", "int32", "", "field: its 0-based position in the well's metadata", "plate metadata"),
)
"""What every nucleus is told by, besides its number."""

TIME_COLUMNS = (
    Column("Metadata_Timepoint", "int32", "", "frame: 0-based time point of the field", "plate metadata"),
    Column(
        "Metadata_Time_min",
        "float64",
        "min",
        "time since the field's first frame: as stated for every frame, or Metadata_Timepoint times the interval; NaN "
        "where nobody states either",
        "plate metadata, --interval-min or --times",
    ),
)
"""What else a nucleus is told by where fields have several time points."""

DNA_CONTENT_N = "Nuclei_DNA_ContentN"
"""DNA content in units of N, known when all fields are measured."""
DEAD = "Nuclei_Flag_Dead"
"""Whether a nucleus is called dead, known likewise."""
