"""Classes of nuclei taught by examples, beside the readouts of a run: a table of nuclei, and columns of wells."""

from __future__ import annotations

from dataclasses import replace
from io import BytesIO
from pathlib import Path

import pandas as pd

from hcs.errors import ConfigError, ResultsError
from hcs.readout.cycle.cycles import PlateCycle
from hcs.readout.readouts import Extend
from hcs.readout.settings import ReadoutSettings
from hcs.readout.wells.classes import (
    KEYS,
    Taught,
    classify,
    features_of,
    fraction_names,
    read_examples,
    teach,
    well_fractions,
)
from hcs.readout.wells.nuclei import TOUCHES_BORDER
from hcs.store.results.folder import Results
from hcs.store.results.sealed import Written

EXAMPLES = "class-examples.csv"
"""The examples that classes were taught by, in the results folder; every readout teaches them anew."""


def taught_by(results: Results, examples: pd.DataFrame, source: str) -> Taught:
    """A classifier of a run's nuclei; ConfigError where the ``examples`` are too few, or the plate has time."""
    if results.record.time is not None:
        raise ConfigError(f"{results.folder} has frames; classes are taught on plates without time only")
    if not results.has_nuclei:
        raise ResultsError(f"{results.folder} has no nuclei yet; run the plate first")
    wells = sorted({str(well) for well in examples["Metadata_Well"]} & set(results.well_names()))
    parts = results.parts(wells)
    columns = features_of(parts.columns())
    known = parts.read([*KEYS, *columns]) if wells else pd.DataFrame(columns=[*KEYS, *columns])
    return teach(known.astype({"Metadata_Well": "str"}), examples, source)


class ClassWells:
    """The classes of a run's nuclei: of all of them for the table, of those that statistics are made of for wells."""

    def __init__(self, results: Results, data: bytes) -> None:
        self.written = Written.of(data)
        self._examples = read_examples(pd.read_csv(BytesIO(data)), str(results.folder / EXAMPLES))
        self.taught = taught_by(results, self._examples, str(results.folder / EXAMPLES))
        self.names = fraction_names(self.taught.classes)
        self.table, self._inside = self._classified(results)

    @classmethod
    def kept(cls, results: Results, out: Path) -> ClassWells | None:
        """The classes that the results folder's examples teach; None without any."""
        path = out / EXAMPLES
        return cls(results, path.read_bytes()) if path.is_file() else None

    @property
    def notes(self) -> tuple[str, ...]:
        """What the classes are worth."""
        return tuple(f"Classes by examples: {line}." for line in self.taught.lines())

    def settings(self, chosen: ReadoutSettings) -> ReadoutSettings:
        """Where the user left the readouts as they are, the classes' fractions come beside them."""
        if chosen.readouts != ReadoutSettings().readouts:
            return chosen
        return replace(chosen, readouts=(*chosen.readouts, *self.names.values()))

    def extend(self, used: pd.DataFrame, further: Extend | None) -> Extend:
        """Columns of wells, beside those that ``further`` adds, over the nuclei of the fields that are ``used``."""
        excluded = used.loc[used["Status"] == "excluded", ["Metadata_Well", "Metadata_Site"]]
        out = pd.MultiIndex.from_frame(excluded)
        found = self.table[self._inside]
        found = found[~pd.MultiIndex.from_frame(found[["Metadata_Well", "Metadata_Site"]]).isin(out)]

        def columns(cycle: PlateCycle, wells: list[str]) -> pd.DataFrame:
            own = well_fractions(found, wells, self.names)
            return own if further is None else further(cycle, wells).merge(own, on="Metadata_Well", how="outer")

        return columns

    def _classified(self, results: Results) -> tuple[pd.DataFrame, pd.Series]:
        """The table, and which of its nuclei do not touch the field's border."""
        frames, inside = [], []
        columns = ["Metadata_Plate", *KEYS, TOUCHES_BORDER, *self.taught.features]
        for _, nuclei in results.parts().by_well(columns):
            frames.append(nuclei[["Metadata_Plate", *KEYS]].reset_index(drop=True).join(classify(self.taught, nuclei)))
            inside.append(~nuclei[TOUCHES_BORDER].astype(bool))
        table = pd.concat(frames, ignore_index=True).astype({"Metadata_Well": "str"})
        examples = self._examples.rename(columns={"class": "Example"})
        table = table.merge(examples, on=list(KEYS), how="left")
        return table.fillna({"Example": ""}), pd.concat(inside, ignore_index=True)
