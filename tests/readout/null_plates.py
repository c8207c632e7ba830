"""Plates made up of a population with known truth: effects of the position, controls in the outer columns, hits."""

from __future__ import annotations

from typing import Literal

import numpy as np
import pandas as pd
from screen_plates import Floats, well_names, well_table

Position = Literal["none", "gradient", "rows", "columns", "edge", "corner"]
Noise = Literal["gaussian", "t3"]
_SHAPES = {96: (8, 12), 384: (16, 24)}


def position_effect(kind: Position, shape: tuple[int, int], rng: np.random.Generator) -> Floats:
    """Effect (rows x columns,) of the position, of a range of 3 standard deviations of the controls, or of that SD."""
    rows, columns = np.divmod(np.arange(shape[0] * shape[1]), shape[1])
    match kind:
        case "gradient":
            return 3.0 * columns / (shape[1] - 1) - 1.5
        case "corner":
            return 1.5 * columns / (shape[1] - 1) + 1.5 * rows / (shape[0] - 1)
        case "rows":
            return 1.5 * rng.standard_normal(shape[0])[rows]
        case "columns":
            return 1.5 * rng.standard_normal(shape[1])[columns]
        case "edge":
            return 3.0 * (np.isin(rows, (0, shape[0] - 1)) | np.isin(columns, (0, shape[1] - 1)))
    return np.zeros(rows.size)


def screen_plate(
    seed: int,
    *,
    size: int = 384,
    position: Position = "none",
    noise: Noise = "gaussian",
    wider: float = 1.0,
    replicates: int = 1,
    hits: int = 0,
    effect: float = 8.0,
) -> pd.DataFrame:
    """A plate with negatives in its first and positives in its last column, samples in between, each compound in
    ``replicates`` wells at random places. The first ``hits`` compounds act by ``effect`` SD of the samples."""
    rng = np.random.default_rng(seed)
    shape = _SHAPES[size]
    wells = well_names(*shape)
    columns = np.arange(size) % shape[1]
    roles = np.where(columns == 0, "negative", np.where(columns == shape[1] - 1, "positive", "sample")).astype(object)
    values = rng.standard_normal(size) if noise == "gaussian" else rng.standard_t(3, size) / 1.13
    sample = np.flatnonzero(roles == "sample")
    values[sample] *= wider
    numbers = np.empty(size, dtype=np.int64)
    numbers[rng.permutation(sample)] = np.arange(sample.size) // replicates
    values[sample] += effect * wider * (numbers[sample] < hits)
    values += position_effect(position, shape, rng) + 12.0 * (roles == "positive")
    names = ["" if role != "sample" else f"c{n:03d}" for role, n in zip(roles, numbers, strict=True)]
    doses = np.where(roles == "sample", 10.0, np.nan)
    return well_table(wells, list(roles), 100 + values, compounds=names, doses=doses)
