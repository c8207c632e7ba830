"""Means and medians of the nucleus table's features by well, from one well's nuclei at a time."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable
from typing import TypeAlias

import numpy as np
import pandas as pd

from hcs.readout.cycle.dna import DnaPeak
from hcs.readout.cycle.phases import Floats
from hcs.readout.settings import ReadoutSettings
from hcs.readout.wells.nuclei import (
    AREA,
    DNA_CONTENT,
    MICRONUCLEI,
    SENSOR_RATIO,
    SOLIDITY,
    TOUCHES_BORDER,
    measured_rows,
    rows_of_wells,
    well_codes,
)

ByWell: TypeAlias = Iterable[tuple[str, pd.DataFrame]]
"""Wells and their nuclei, each well once."""

SENSOR_FEATURES = (SENSOR_RATIO, "Nuclei_Sensor_LogRatio")
_SINGLE = (DNA_CONTENT, SENSOR_RATIO, TOUCHES_BORDER, AREA, SOLIDITY, MICRONUCLEI)
_SATURATED = "Nuclei_Flag_SaturatedPixels_"


def single_columns(names: Iterable[str]) -> list[str]:
    """Those columns of the nucleus table that readouts need of all nuclei of a plate at once: keys, DNA content,
    sensor ratio, what gates are made of. Of the others, means and medians by well are enough."""
    return [name for name in names if name.startswith(("Metadata_", _SATURATED)) or name in _SINGLE]


def by_well(nuclei: pd.DataFrame, wells: list[str]) -> ByWell:
    """Each of ``wells`` and its nuclei, of a table that holds all of them; a well without any has no rows."""
    codes = well_codes(nuclei["Metadata_Well"], wells)
    rows = rows_of_wells(codes, np.ones(len(nuclei), bool), len(wells))
    return ((well, nuclei.iloc[chosen]) for well, chosen in zip(wells, rows, strict=True))


def well_features(tables: ByWell, wells: list[str], settings: ReadoutSettings) -> pd.DataFrame:
    """Mean_ and Median_ of every numeric feature over the measured nuclei: one row for each of ``wells``, in order.

    NaN and infinite values are left out; without any value, and for a well that is not among ``tables``, it is NaN.
    Sensor columns are there (NaN) even without a sensor.
    """
    place = {well: i for i, well in enumerate(wells)}
    columns: dict[str, Floats] = defaultdict(lambda: np.full(len(wells), np.nan))
    numeric: dict[tuple[object, ...], list[str]] = {}
    """By columns and their types, which are the same in most wells."""
    for well, nuclei in tables:
        kinds = (*nuclei.columns, *map(str, nuclei.dtypes))
        names = numeric[kinds] if kinds in numeric else numeric.setdefault(kinds, _numeric(nuclei))
        means, medians = _averages(nuclei[names].to_numpy(dtype=np.float64)[measured_rows(nuclei, settings)])
        for i, name in enumerate(names):
            for kind, averages in (("Mean", means), ("Median", medians)):
                columns[f"{kind}_{name}"][place[well]] = averages[i]
    for name in SENSOR_FEATURES:
        for kind in ("Mean", "Median"):
            columns.setdefault(f"{kind}_{name}", np.full(len(wells), np.nan))
    return pd.DataFrame(dict(columns))


def _averages(values: Floats) -> tuple[Floats, Floats]:
    """Means and medians (p,) of the finite values of each column (n, p); NaN for a column without any."""
    rows = np.ascontiguousarray(values.T)  # a sum along memory has the bits of a sum of the column alone
    means, medians = np.full(len(rows), np.nan), np.full(len(rows), np.nan)
    if not rows.size:
        return means, medians
    finite = np.isfinite(rows)
    whole = finite.all(axis=1)
    means[whole], medians[whole] = rows[whole].mean(axis=1), np.median(rows[whole], axis=1)
    for i in np.flatnonzero(~whole & finite.any(axis=1)):
        means[i], medians[i] = rows[i, finite[i]].mean(), np.median(rows[i, finite[i]])
    return means, medians


def content_in_n(features: pd.DataFrame, peak: DnaPeak) -> pd.DataFrame:
    """Mean_ and Median_Nuclei_DNA_ContentN of each well: those of the DNA content in units of N, NaN without a usable
    peak. None where the table has no DNA content."""
    return pd.DataFrame(
        {
            f"{kind}_{DNA_CONTENT}N": peak.content_n(features[f"{kind}_{DNA_CONTENT}"])
            for kind in ("Mean", "Median")
            if f"{kind}_{DNA_CONTENT}" in features
        },
        index=features.index,
    )


def _numeric(nuclei: pd.DataFrame) -> list[str]:
    return [
        str(name)
        for name, dtype in nuclei.dtypes.items()
        if not str(name).startswith("Metadata_")
        and pd.api.types.is_numeric_dtype(dtype)
        and not pd.api.types.is_bool_dtype(dtype)
    ]
