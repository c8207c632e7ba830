"""The tables of one results folder, as the report reads them, and what a table that is not there means."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import pandas as pd

from hcs.readout.tables import ALL_TABLES
from hcs.store.results.record import RunRecord

ABSENT = {
    **{table.name: table.absent for table in ALL_TABLES if table.absent},
    "replicates": "The plate was not compared with replicates.",
}
"""Every table that the page shows, by its name, with the sentence that stands where it is missing or has no row."""

NUCLEUS_COLUMNS = (
    "Metadata_Well",
    "Metadata_Site",
    "Metadata_ObjectNumber",
    "Nuclei_AreaShape_Area",
    "Nuclei_AreaShape_Center_X",
    "Nuclei_AreaShape_Center_Y",
    "Nuclei_DNA_Content",
    "Nuclei_Sensor_Ratio",
    "Nuclei_Flag_TouchesBorder",
    "Nuclei_Confidence",
)
"""Columns of the nucleus table that the report shows; those of saturated pixels, one a channel, come with them."""

KEYS = ("Metadata_Well", "Metadata_Site", "Metadata_ObjectNumber")


@dataclass(frozen=True, slots=True, kw_only=True)
class PlateTables:
    """What a results folder says: its tables by name, its nuclei, its record, its column dictionary."""

    plate: str
    frames: Mapping[str, pd.DataFrame]
    """Tables by name as in ``ABSENT``; one that the folder does not hold is left out."""
    nuclei: pd.DataFrame
    """``NUCLEUS_COLUMNS``, as far as measured, with Nuclei_DNA_ContentN and the columns of phases/ where there are."""
    record: RunRecord
    """``run.json``."""
    dictionary: pd.DataFrame
    """``columns.csv``: table, name, dtype, unit, definition, source."""

    def frame(self, name: str) -> pd.DataFrame:
        """A table by name; one without rows or columns where the folder does not hold it."""
        return self.frames.get(name, pd.DataFrame())

    @property
    def readouts(self) -> tuple[str, ...]:
        """The readouts that statistics were made of, in the order of the settings; the first one leads the report."""
        table = self.frame("plate")
        return tuple(dict.fromkeys(map(str, table["Readout"]))) if "Readout" in table else ()

    @property
    def peak(self) -> Mapping[str, Any]:
        """The plate's 2N peak: the DNA_ columns of the plate table; nothing where there is none."""
        table = self.frame("plate").head(1)
        return {str(name): table[name].iloc[0] for name in table.columns if str(name).startswith("DNA_")}

    @property
    def peak_usable(self) -> bool:
        """Whether DNA content can be put in units of N."""
        return bool(self.peak.get("DNA_Usable", False))
