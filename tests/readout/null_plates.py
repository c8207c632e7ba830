"""Plates made up of a population with known truth: effects of the position, controls in the outer columns, hits."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Literal

import numpy as np
import numpy.typing as npt
import pandas as pd
from helpers.screen_plates import Floats, well_names, well_table

from hcs.readout.screen.chance import false_discovery
from hcs.readout.screen.null import Null, learn_null
from hcs.readout.screen.plate_effects import Positions, taken_out
from hcs.readout.screen.reference import contrasts
from hcs.readout.screen.spread import robust_sd

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


@dataclass(frozen=True, slots=True)
class Plate:
    """Values (n_wells,), their places, and the number of each well's compound (n_wells,), -1 for a control."""

    values: Floats
    place: Positions
    numbers: npt.NDArray[np.int64]


def plate_of(
    seed: int,
    *,
    size: int = 384,
    position: Position = "none",
    noise: Noise = "gaussian",
    wider: float = 1.0,
    replicates: int = 1,
    hits: int = 0,
    effect: float = 8.0,
) -> Plate:
    """A plate with negatives in its first and positives in its last column, samples in between, each compound in
    ``replicates`` wells at random places. The first ``hits`` compounds act by ``effect`` SD of the samples."""
    rng = np.random.default_rng(seed)
    shape = _SHAPES[size]
    rows, columns = np.divmod(np.arange(size), shape[1])
    values = rng.standard_normal(size) if noise == "gaussian" else rng.standard_t(3, size) / 1.13
    sample = np.flatnonzero((columns > 0) & (columns < shape[1] - 1))
    values[sample] *= wider
    numbers = np.full(size, -1)
    numbers[rng.permutation(sample)] = np.arange(sample.size) // replicates
    values[sample] += effect * wider * (numbers[sample] < hits)
    values += 100 + position_effect(position, shape, rng) + 12.0 * (columns == shape[1] - 1)
    return Plate(values, Positions(rows, columns, shape), numbers)


def screen_plate(seed: int, **plate: Any) -> pd.DataFrame:
    """The well table of a plate of ``plate_of``; its compounds are named c000, c001, …"""
    made = plate_of(seed, **plate)
    rows, columns = made.place.shape
    lone = np.where(made.place.columns == 0, "negative", "positive")
    roles = np.where(made.numbers >= 0, "sample", lone)
    names = [f"c{n:03d}" if n >= 0 else "" for n in made.numbers]
    doses = np.where(made.numbers >= 0, 10.0, np.nan)
    return well_table(well_names(rows, columns), list(roles), made.values, compounds=names, doses=doses)


def called(seed: int, *, limit: float = 3.0, fdr: float = 0.05, **plate: Any) -> set[int]:
    """Compounds of a plate that `find_hits` calls, by the same functions without tables: twenty times as fast."""
    made = plate_of(seed, **plate)
    sample = made.numbers >= 0
    values = taken_out(made.values, made.place, sample, "auto").values[sample]
    order = np.argsort(made.numbers[sample], kind="stable")
    compounds, first = np.unique(made.numbers[sample][order], return_index=True)
    wells = learn_null(values)
    assert wells is not None
    parts = np.split(values[order], first[1:])
    z = np.array([np.median((part - wells.centre) / wells.spread) for part in parts])
    far = np.array([np.sqrt(part.size) * (part.mean() - wells.centre) for part in parts])
    noise, stretch = wells, 1.0
    if parts[0].size > 1:
        noise = learn_null(np.concatenate([contrasts(part) for part in parts if part.size > 1]), centre=0.0) or wells
        stretch = max(
            1.0, robust_sd(np.array([f for f, p in zip(far, parts, strict=True) if p.size > 1])) / noise.spread
        )
    centre = 0.0 if noise is not wells else wells.centre
    p_values = _far_p_values(noise, centre + far / stretch)
    lone = np.array([part.size == 1 for part in parts])
    if noise is not wells and lone.any():
        p_values[lone] = wells.p_values(wells.centre + far[lone])
    q = false_discovery(p_values)
    return set(compounds[(q <= fdr) & (np.abs(z) >= limit)].tolist())


def _far_p_values(null: Null, values: Floats) -> Floats:
    """p-values (n,); 1 for values within 1.5 spreads where all of these have more than 0.05 and are no discoveries."""
    near = np.abs(values - null.centre) < 1.5 * null.spread
    if null.p_values(np.array([null.centre + 1.5 * null.spread]))[0] <= 0.05:
        near[:] = False
    p = np.ones(values.size)
    p[~near] = null.p_values(values[~near])
    return p
