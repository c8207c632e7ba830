"""How well plates repeat each other: correlation of the same compounds and doses on any two of them."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import combinations

import numpy as np
import pandas as pd
from scipy.special import ndtri

from hcs.errors import ConfigError
from hcs.readout.columns import as_table
from hcs.readout.groups import Floats
from hcs.readout.screen.hit_columns import REPLICATE_COLUMNS

_LEAST = 4  # conditions; with fewer, a correlation has no interval


def replicate_correlation(
    plates: Sequence[pd.DataFrame], readouts: Sequence[str], *, confidence: float = 0.95
) -> pd.DataFrame:
    """Correlation of the well tables of plates, one row per readout and pair, of columns ``REPLICATE_COLUMNS``.

    Sample conditions (compound, dose, unit) are the points, each the mean over its wells; controls are left out, which
    would lift any correlation. NaN with the reason for fewer than four conditions in common or no spread. Raises
    ConfigError for a readout that a plate lacks.
    """
    rows: list[dict[str, object]] = []
    for readout in readouts:
        means = [(str(wells["Metadata_Plate"].iloc[0]), _means(wells, readout)) for wells in plates]
        for (name_a, a), (name_b, b) in combinations(means, 2):
            both = pd.concat([a, b], axis=1, join="inner").dropna().to_numpy(dtype=np.float64)
            head = {"Readout": readout, "Plate_A": name_a, "Plate_B": name_b, "Count_Conditions": len(both)}
            rows.append(head | _correlated(both[:, 0], both[:, 1], confidence))
    return as_table(rows, REPLICATE_COLUMNS)


def _means(wells: pd.DataFrame, readout: str) -> pd.Series:
    if readout not in wells:
        plate = wells["Metadata_Plate"].iloc[0]
        raise ConfigError(f"plate {plate} has no readout {readout!r}; name a column that all well tables have")
    samples = wells[wells["Metadata_Role"] == "sample"]
    keys = ["Metadata_Compound", "Metadata_Dose", "Metadata_Unit"]
    return samples.groupby(keys, dropna=False)[readout].mean()


def _correlated(a: Floats, b: Floats, confidence: float) -> dict[str, object]:
    if len(a) < _LEAST:
        return {"Reason": f"{len(a)} conditions with a value on both plates, at least {_LEAST} needed"}
    if np.ptp(a) == 0 or np.ptp(b) == 0:
        return {"Reason": "all conditions of a plate have the same value"}
    r = float(np.clip(np.corrcoef(a, b)[0, 1], -1, 1))
    ranks = [pd.Series(v).rank().to_numpy() for v in (a, b)]
    half = float(ndtri((1 + confidence) / 2)) / np.sqrt(len(a) - 3)
    middle = np.arctanh(np.clip(r, -1 + 1e-15, 1 - 1e-15))
    return {
        "Pearson": r,
        "Pearson_Low": float(np.tanh(middle - half)),
        "Pearson_High": float(np.tanh(middle + half)),
        "Spearman": float(np.corrcoef(ranks[0], ranks[1])[0, 1]),
        "Reason": "",
    }
