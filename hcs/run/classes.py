"""Classes of nuclei, taught by examples or told by the run's network, beside the readouts of a run: columns of wells,
and for those taught a table of nuclei."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from io import BytesIO
from pathlib import Path

import pandas as pd

from hcs.columns import CLASS, SCORE
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
    frame_fractions,
    keys_of,
    read_examples,
    teach,
    well_fractions,
)
from hcs.readout.wells.nuclei import TOUCHES_BORDER
from hcs.store.results.folder import Results
from hcs.store.results.sealed import Written

_LEAST_SURE = 0.8
"""Median score below which a network's kinds are not to be read: the shipped one has above 0.9 on nuclei like those
that it has learnt, and 0.59 on a plate where half of its kinds are wrong."""
_FRAME = "Metadata_Timepoint"
EXAMPLES = "class-examples.csv"
"""The examples that classes were taught by, in the results folder; every readout teaches them anew."""


def taught_by(results: Results, examples: pd.DataFrame, source: str) -> Taught:
    """A classifier of a run's nuclei, of all frames; ConfigError where the ``examples`` are too few."""
    if results.record.kinds:
        raise ConfigError(
            f"{results.folder}: model {results.record.model['name']} tells kinds of nuclei already "
            f"({', '.join(results.record.kinds)}); run the plate with another model to teach classes by examples"
        )
    if not results.has_nuclei:
        raise ResultsError(f"{results.folder} has no nuclei yet; run the plate first")
    wells = sorted({str(well) for well in examples["Metadata_Well"]} & set(results.well_names()))
    parts = results.parts(wells)
    keys, columns = keys_of(examples), features_of(parts.columns())
    known = parts.read([*keys, *columns]) if wells else pd.DataFrame(columns=[*keys, *columns])
    return teach(known.astype({"Metadata_Well": "str"}), examples, source)


@dataclass(frozen=True, slots=True, eq=False)
class ClassWells:
    """The classes of a run's nuclei, whoever told them, as readouts of wells."""

    names: dict[str, str]
    """Class → the well table's column of its fraction."""
    found: pd.DataFrame
    """Well, field and class of the nuclei that do not touch the field's border."""
    source: str
    """What told the classes, for the column dictionary."""
    notes: tuple[str, ...] = ()
    """What the classes are worth."""
    table: pd.DataFrame | None = None
    """Of classes taught by examples, class and score of every nucleus."""
    files: Mapping[str, Written] = field(default_factory=dict)
    """What these examples are known by."""
    over_time: pd.DataFrame | None = None
    """Of a plate with time, the fractions of every well and frame."""

    @classmethod
    def of(cls, results: Results, every_frame: Results, out: Path) -> ClassWells | None:
        """The classes that the results folder's examples teach, or those that the run's network told; None without
        either. ``results`` are those that wells are read out of, of a plate with time one frame of ``every_frame``."""
        path = out / EXAMPLES
        if path.is_file():
            return _taught(results, every_frame, path.read_bytes())
        return _seen(results, every_frame) if results.record.kinds else None

    def settings(self, chosen: ReadoutSettings) -> ReadoutSettings:
        """Where the user left the readouts as they are, the classes' fractions come beside them."""
        if chosen.readouts != ReadoutSettings().readouts:
            return chosen
        return replace(chosen, readouts=(*chosen.readouts, *self.names.values()))

    def extend(self, used: pd.DataFrame, further: Extend | None) -> Extend:
        """Columns of wells, beside those that ``further`` adds, over the nuclei of the fields that are ``used``."""
        excluded = used.loc[used["Status"] == "excluded", ["Metadata_Well", "Metadata_Site"]]
        out = pd.MultiIndex.from_frame(excluded)
        found = self.found[~pd.MultiIndex.from_frame(self.found[["Metadata_Well", "Metadata_Site"]]).isin(out)]
        return _beside(found, self.names, further)


def empty_fractions(kinds: tuple[str, ...], further: Extend | None) -> Extend:
    """The columns of wells that a network's ``kinds`` add, without a value: for the check of names before a run."""
    none = pd.DataFrame({name: pd.Series(dtype="str") for name in ("Metadata_Well", "Metadata_Site", CLASS)})
    return _beside(none, fraction_names(kinds), further)


def _beside(found: pd.DataFrame, names: Mapping[str, str], further: Extend | None) -> Extend:
    def columns(cycle: PlateCycle, wells: list[str]) -> pd.DataFrame:
        own = well_fractions(found, wells, names)
        return own if further is None else further(cycle, wells).merge(own, on="Metadata_Well", how="outer")

    return columns


def _taught(results: Results, every_frame: Results, data: bytes) -> ClassWells:
    """The classes that examples, the bytes of a CSV, teach."""
    source, timed = str(results.folder / EXAMPLES), results.record.time is not None
    examples = read_examples(pd.read_csv(BytesIO(data)), source, timed=timed)
    taught = taught_by(every_frame, examples, source)
    keys, frames, inside = keys_of(examples), [], []
    columns = ["Metadata_Plate", *keys, TOUCHES_BORDER, *taught.features]
    for _, nuclei in every_frame.parts().by_well(columns):
        frames.append(nuclei[["Metadata_Plate", *keys]].reset_index(drop=True).join(classify(taught, nuclei)))
        inside.append(~nuclei[TOUCHES_BORDER].astype(bool))
    table = pd.concat(frames, ignore_index=True).astype({"Metadata_Well": "str"})
    table = table.merge(examples.rename(columns={"class": "Example"}), on=keys, how="left")
    names, found = fraction_names(taught.classes), table[pd.concat(inside, ignore_index=True)]
    over_time = frame_fractions(found, names) if timed else None
    if timed:
        found = found[found[_FRAME] == results.frame]
    return ClassWells(
        names=names,
        found=found[[*KEYS[:2], CLASS]],
        over_time=over_time,
        source="hcs classify",
        notes=tuple(f"Classes by examples: {line}." for line in taught.lines()),
        table=table.fillna({"Example": ""}),
        files={EXAMPLES: Written.of(data)},
    )


def _seen(results: Results, every_frame: Results) -> ClassWells:
    """The kinds that the run's network told, as they are in the table of nuclei."""
    kinds, keys = results.record.kinds, [*KEYS[:2], CLASS]
    found = pd.DataFrame({name: pd.Series(dtype="str") for name in keys})
    sure = float("nan")
    if results.has_nuclei:
        wells, scores = [], []
        for _, nuclei in results.parts().by_well([*keys, SCORE, TOUCHES_BORDER]):
            inside = ~nuclei[TOUCHES_BORDER].astype(bool)
            wells.append(nuclei.loc[inside, keys].astype({CLASS: pd.CategoricalDtype([*kinds])}))
            scores.append(nuclei.loc[inside, SCORE].dropna())
        sure = float(pd.concat(scores).median()) if scores else sure
        found = pd.concat(wells, ignore_index=True) if wells else found
    model, names = str(results.record.model["name"]), fraction_names(kinds)
    return ClassWells(
        names=names,
        found=found,
        over_time=_seen_over_time(every_frame, names),
        source=f"hcs; model {model}",
        notes=(f"Kinds of nuclei ({', '.join(kinds)}) are as the network of model {model} sees them.", *_doubt(sure)),
    )


def _seen_over_time(every_frame: Results, names: Mapping[str, str]) -> pd.DataFrame | None:
    """The fractions of a network's kinds in every well and frame; None without time, or before fields are linked."""
    if every_frame.record.time is None or not every_frame.has_nuclei:
        return None
    columns = [*KEYS[:2], _FRAME, CLASS, TOUCHES_BORDER]
    parts = [
        frame_fractions(nuclei[~nuclei[TOUCHES_BORDER].astype(bool)], names)
        for _, nuclei in every_frame.parts().by_well(columns)
    ]
    return pd.concat(parts, ignore_index=True) if parts else None


def _doubt(sure: float) -> tuple[str, ...]:
    """A sentence where a network is not sure of the kinds, by the median score of nuclei off the border."""
    if not sure < _LEAST_SURE:
        return ()
    return (
        f"Half of the nuclei have a kind with a score below {sure:.2f}: the network has not learnt nuclei like these. "
        "Do not read the fractions of kinds; train it on such nuclei, or teach classes of another run by examples.",
    )
