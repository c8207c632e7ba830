"""The nucleus table before there are nuclei."""

from __future__ import annotations

import pandas as pd

from hcs.measure.columns import Column, column_dictionary

KEY_COLUMNS = (
    Column("Metadata_Plate", "string", "", "name of the plate", "plate metadata"),
    Column("Metadata_Well", "string", "", "well, row letters and two-digit column", "plate metadata"),
    Column("Metadata_Site", "int32", "", "field: its 0-based position in the well's metadata", "plate metadata"),
)
"""What every nucleus is told by, besides its number."""


def empty_nuclei(channels: tuple[str, ...], dna: str, sensor: str | None) -> pd.DataFrame:
    """The nucleus table of a plate without nuclei."""
    types = {c.name: c.dtype for c in (*KEY_COLUMNS, *column_dictionary(channels, dna, sensor))}
    return pd.DataFrame({name: pd.Series(dtype=dtype) for name, dtype in types.items()})
