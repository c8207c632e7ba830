"""Which wells belong together: groups of controls, readouts of a well table, replicate wells of one condition."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np
import numpy.typing as npt
import pandas as pd

from hcs.readout.cycle.columns import PHASES

Floats = npt.NDArray[np.float64]
GROUP = "Metadata_Group"
TESTED = ("sample", "positive")
_KEYS = ("Metadata_Role", "Metadata_Compound", "Metadata_Dose", "Metadata_Unit", "Group")
_NO_READOUTS = ("Metadata_", "Fields_")
_TWINS = {"Fraction_G2M": "Fraction_4N"}
"""Columns that are another one under its name in the literature: that one stands for both."""
_CYCLE = ("Fraction_4N", "Fraction_CDK2_", "DNA_ContentN", *(f"Fraction_{phase}" for phase in PHASES))
_NO_PEAK = "no usable 2N peak"
_TECHNICAL = (
    *("Background", "Bias_", "Confidence", "_Flag_", "Saturated"),
    *("Count_Duplicates", "Count_Tracks", "AreaJumps"),
)
"""Parts of the names of columns that tell of the lamp, the camera, the network and of linking: causes of a Z', no
readouts."""
_PLACES = ("_Center_", "_BoundingBox", "_Orientation", "_ObjectNumber")


def with_group(wells: pd.DataFrame) -> pd.DataFrame:
    """The wells with a text column Group, empty where the plate map names no group."""
    if GROUP not in wells:
        return wells.assign(Group="")
    named = wells[GROUP]
    return wells.assign(Group=named.astype(str).where(named.notna(), "").astype(object))


def control_groups(grouped: pd.DataFrame) -> list[str]:
    """Groups that positive controls are compared in, by name; last the empty one, which is the whole plate."""
    named = grouped.loc[grouped["Metadata_Role"] == "positive", "Group"]
    return [*sorted({str(g) for g in named if g}), ""]


def of_group(rows: pd.DataFrame, group: str) -> pd.DataFrame:
    """The rows of ``group``; all rows where it is empty."""
    return rows[rows["Group"] == group] if group else rows


def references(grouped: pd.DataFrame, group: str) -> tuple[pd.DataFrame, pd.DataFrame]:
    """Positive and negative control wells that wells of ``group`` are compared with."""
    members = of_group(grouped, group)
    return members[members["Metadata_Role"] == "positive"], members[members["Metadata_Role"] == "negative"]


def numeric_readouts(wells: pd.DataFrame) -> list[str]:
    """Numeric columns of a well table that say something of cells: not metadata, field counts, flags, places, nor what
    tells of the imaging (background, confidence, saturation), by which a plate must not be called good; of two that are
    one, one."""
    return [
        str(name)
        for name, dtype in wells.dtypes.items()
        if pd.api.types.is_numeric_dtype(dtype)
        and not pd.api.types.is_bool_dtype(dtype)
        and not str(name).startswith(_NO_READOUTS)
        and not any(part in str(name) for part in (*_PLACES, *_TECHNICAL))
        and not _end_of_interval(str(name))
        and _TWINS.get(str(name)) not in wells
    ]


def _end_of_interval(name: str) -> bool:
    """Whether a column is an end of the interval of another one, which is the readout."""
    return name.startswith("Live_") and name.endswith(("_Low", "_High"))


def conditions(tested: pd.DataFrame) -> Iterator[tuple[tuple[object, ...], pd.DataFrame]]:
    """Replicate wells: same role, compound, dose, unit and group; samples first, by compound and dose."""
    order = ["Metadata_Compound", "Group", "Metadata_Role", "Metadata_Dose", "Metadata_Unit"]
    ranked = tested.sort_values(order, ascending=[True, True, False, True, True], kind="stable")
    for key, members in ranked.groupby(list(_KEYS), sort=False, dropna=False):
        yield tuple(key), members


def values_of(rows: pd.DataFrame, name: str) -> Floats:
    """A column as float64 (n_rows,); infinite values as NaN."""
    values = rows[name].to_numpy(dtype=np.float64, na_value=np.nan)
    return np.where(np.isfinite(values), values, np.nan)


def absence(wells: pd.DataFrame, readout: str) -> str:
    """Why no well at all has a value of a readout; empty where one has, or where there is no well."""
    if not len(wells) or np.isfinite(values_of(wells, readout)).any():
        return ""
    reasons = wells["Cycle_Reason"][wells["Cycle_Reason"] != ""] if "Cycle_Reason" in wells else pd.Series(dtype=object)
    if len(reasons) and any(name in readout for name in _CYCLE):
        usual = str(reasons.mode().iloc[0])
        if usual.startswith(_NO_PEAK):
            return f"no cell cycle without a {usual.removeprefix('no ')}"
        return f"no cell cycle in any well: {usual}"
    return f"no well has a value of {readout}"
