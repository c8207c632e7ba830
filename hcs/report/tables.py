"""The tables of one results folder, as the report reads them, and what a table that is not there means."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import pandas as pd

from hcs.store.results.record import RunRecord

ABSENT = {
    "wells": "There is no well table; `hcs readout` makes it from the nuclei.",
    "compounds": "There is no compound table; `hcs readout` makes it from the nuclei and the plate map.",
    "plate": "There is no plate table; `hcs readout` makes it from the nuclei and the plate map.",
    "fields": "There is no field table; `hcs readout` makes it from the ledger.",
    "assay": "No ranking of readouts was made for these results; `hcs readout` makes it where the plate map names "
    "positive and negative controls.",
    "attribution": "What lowers Z′ was not looked into; `hcs readout` does so where the plate map names positive and "
    "negative controls.",
    "discriminant": "No multivariate Z′ was made; it needs positive and negative control wells.",
    "doses": "No dose curves were fitted; that needs compounds with doses in the plate map.",
    "scores": "No scores of single wells were made; they need negative control wells.",
    "hits": "No hits were called; that needs samples and negative control wells in the plate map.",
    "toxicity": "Toxicity was not looked for; that needs compounds and negative control wells in the plate map.",
    "dead": "Dead cells were not looked for; `hcs readout` does so.",
    "quality": "No thresholds of image quality were learned; `hcs readout` does so where the run measured it.",
    "sensor": "No threshold of the sensor was looked for; that needs a sensor channel and a usable 2N peak.",
    "replicates": "The plate was not compared with replicates.",
    "cycles": "No cell-cycle models were fitted to these results; `hcs readout` fits them.",
}
"""Every table by its file's name, with the sentence that stands where it is missing or has no row."""

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
