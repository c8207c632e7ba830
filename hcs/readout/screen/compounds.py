"""Compounds and controls against negative controls, over wells: the compound table and the plate table."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

import pandas as pd

from hcs.readout.columns import COMPOUND_COLUMNS, PLATE_COLUMNS, as_table
from hcs.readout.cycle.dna import DnaPeak
from hcs.readout.groups import TESTED, absence, conditions, control_groups, of_group, values_of, with_group
from hcs.readout.screen.verdict import nuclei_behind, too_few_nuclei, word_of
from hcs.readout.screen.zprime import Separation, WellSample, separate, undefined, well_sample
from hcs.readout.settings import ReadoutSettings


@dataclass(frozen=True, slots=True)
class _Negatives:
    """Negative wells of each group, made a sample once per readout and group."""

    wells: pd.DataFrame
    settings: ReadoutSettings
    cache: dict[tuple[str, str], WellSample] = field(default_factory=dict)

    def of(self, readout: str, group: str) -> WellSample:
        """The negatives of ``group``; of the whole plate where ``group`` is empty."""
        if (readout, group) not in self.cache:
            values = self.rows(group)[readout]
            self.cache[readout, group] = well_sample(values, name="negative", settings=self.settings, stream=0)
        return self.cache[readout, group]

    def rows(self, group: str) -> pd.DataFrame:
        """The negative wells of ``group``, or all."""
        return of_group(self.wells, group)


def summarise_compounds(wells: pd.DataFrame, settings: ReadoutSettings) -> pd.DataFrame:
    """Compound table: one row per readout, compound, dose and group of the sample and positive wells.

    Each is compared with the negatives of its group where the plate map has a group column and names one for
    it, with all negatives of the plate otherwise; ``Reference`` says which. Columns are those of ``COMPOUND_COLUMNS``;
    a plate without such wells gives no rows.
    """
    grouped = with_group(wells)
    negatives = _Negatives(grouped[grouped["Metadata_Role"] == "negative"], settings)
    tested = grouped[grouped["Metadata_Role"].isin(TESTED)]
    rows: list[dict[str, Any]] = []
    for readout in settings.readouts:
        absent = absence(wells, readout)
        for key, members in conditions(tested):
            role, compound, dose, unit, group = key
            sample = well_sample(members[readout], name=str(role), settings=settings, stream=1)
            reference = negatives.of(readout, str(group))
            rows.append(
                {
                    "Metadata_Plate": members["Metadata_Plate"].iloc[0],
                    "Readout": readout,
                    "Compound": compound,
                    "Dose": dose,
                    "Unit": unit,
                    "Role": role,
                    "Group": group,
                    "Reference": _negatives_of(str(group)),
                    **_compared(sample, reference, absent, settings),
                    **_judged(readout, members, negatives.rows(str(group)), settings),
                }
            )
    return as_table([row | _verdict(row) for row in rows], COMPOUND_COLUMNS)


def summarise_plate(wells: pd.DataFrame, peak: DnaPeak, settings: ReadoutSettings) -> pd.DataFrame:
    """Plate table: positive against negative controls per readout, of each group and of the whole plate.

    The row of the whole plate has an empty Group and is always there, if need be with NaN and the reason. The
    2N peak is repeated in every row.
    """
    grouped = with_group(wells)
    positives = grouped[grouped["Metadata_Role"] == "positive"]
    negatives = _Negatives(grouped[grouped["Metadata_Role"] == "negative"], settings)
    plate = str(wells["Metadata_Plate"].iloc[0]) if len(wells) else ""
    rows: list[dict[str, Any]] = []
    for readout in settings.readouts:
        absent = absence(wells, readout)
        for group in control_groups(grouped):
            members = of_group(positives, group)
            sample = well_sample(members[readout], name="positive", settings=settings, stream=1)
            reference = negatives.of(readout, group)
            rows.append(
                {
                    "Metadata_Plate": plate,
                    "Readout": readout,
                    "Group": group,
                    "Reference": f"positives against {_negatives_of(group)}",
                    **_compared(sample, reference, absent, settings),
                    **_judged(readout, members, negatives.rows(group), settings),
                    **_peak_columns(peak),
                }
            )
    return as_table([row | _verdict(row) for row in rows], PLATE_COLUMNS)


def _negatives_of(group: str) -> str:
    return f"negatives of group {group}" if group else "all negatives"


def _location(sample: WellSample, negative: WellSample) -> dict[str, float | int]:
    """Counts of wells with a value, and what these values are on average."""

    def first(group: WellSample, name: str) -> float:
        values = getattr(group.observed, name)
        return float(values[0]) if values.size else float("nan")

    return {
        "Count_Wells": sample.n,
        "Count_NegativeWells": negative.n,
        "Mean": first(sample, "mean"),
        "SD": first(sample, "sd"),
        "Median": first(sample, "median"),
        "NegativeMean": first(negative, "mean"),
        "NegativeSD": first(negative, "sd"),
    }


def _compared(
    sample: WellSample, negative: WellSample, absent: str, settings: ReadoutSettings
) -> dict[str, float | int | str]:
    """Location and statistics columns of one row; ``absent`` says why no well has a value."""
    separation = undefined(absent) if absent else separate(sample, negative, settings=settings)
    return {**_location(sample, negative), **_statistics(separation)}


def _statistics(separation: Separation) -> dict[str, float | str]:
    columns: dict[str, float | str] = {}
    for name, statistic in (
        ("ZPrime", separation.zprime),
        ("RobustZPrime", separation.robust_zprime),
        ("SSMD", separation.ssmd),
    ):
        columns |= {name: statistic.value, f"{name}_Low": statistic.low, f"{name}_High": statistic.high}
    return columns | {"Reason": separation.reason}


def _judged(
    readout: str, members: pd.DataFrame, negatives: pd.DataFrame, settings: ReadoutSettings
) -> dict[str, float | int | str]:
    """How many nuclei stand behind a row, and why they are too few for a verdict."""
    own = nuclei_behind(members, values_of(members, readout))
    other = nuclei_behind(negatives, values_of(negatives, readout))
    return {
        "Count_Nuclei": own.total,
        "Count_NegativeNuclei": other.total,
        "Nuclei_PerWell": own.median,
        "Nuclei_PerNegativeWell": other.median,
        "Verdict_Reason": too_few_nuclei(readout, own, other, settings),
    }


def _verdict(row: Mapping[str, Any]) -> dict[str, str]:
    return {"Verdict": word_of(row["ZPrime"], row["ZPrime_Low"], row["Verdict_Reason"])}


def _peak_columns(peak: DnaPeak) -> dict[str, float | int | bool | str]:
    return {
        "DNA_TwoN": peak.two_n,
        "DNA_CV": peak.cv,
        "DNA_FourNRatio": peak.four_n_ratio,
        "DNA_Count_Nuclei": peak.n,
        "DNA_Saturated": peak.saturated,
        "DNA_Usable": peak.usable,
        "DNA_Reason": peak.reason,
        "DNA_SourceWells": peak.source_wells,
    }
