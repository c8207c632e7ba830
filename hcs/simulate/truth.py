"""What is true of the simulated nuclei and wells."""

from __future__ import annotations

from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from hcs.plate.keys import FieldKey, WellId
from hcs.simulate.compounds import PHASES
from hcs.simulate.nuclei import Image
from hcs.simulate.population import Population

FRACTIONS = tuple(f"fraction_{name}" for name in ("subg1", "g1", "s", "g2m", "over4n"))
"""Well columns of the phase fractions, in the order of PHASES."""


def cell_table(
    labels: NDArray[np.uint32], dna: Image, population: Population, drawn: NDArray[np.int64], *, key: FieldKey
) -> pd.DataFrame:
    """Truth of each nucleus in labels (Y, X), one row a label.

    Columns: well, field; label; y, x (centre of its visible pixels, px); phase (one of PHASES); dna_n (DNA
    content in N); dna_total (stain on its visible pixels, in counts above background, before the optics);
    ratio (sensor level in the cytoplasm over that in the nucleus); area_px (visible pixels); touches_border;
    dead; brightness (stain concentration over that of a usual 2N nucleus, of dead cells that shine; 1 for all
    others); mitotic. `drawn` holds the 0-based place of each label's cell in the population.
    """
    flat = labels.ravel()
    number = len(drawn)
    area = np.bincount(flat, minlength=number + 1)[1:]
    y, x = (_mean_position(labels, area, axis) for axis in (0, 1))
    border = np.zeros(number + 1, bool)
    for edge in (labels[0], labels[-1], labels[:, 0], labels[:, -1]):
        border[edge] = True
    return pd.DataFrame(
        {
            "well": pd.Series([str(key.well)] * number, dtype="str"),
            "field": np.full(number, key.field, np.int64),
            "label": np.arange(1, number + 1, dtype=np.uint32),
            "y": y,
            "x": x,
            "phase": pd.Series([PHASES[index] for index in population.phase[drawn]], dtype="str"),
            "dna_n": population.dna_n[drawn],
            "dna_total": np.bincount(flat, weights=dna.ravel(), minlength=number + 1)[1:],
            "ratio": population.ratio[drawn],
            "area_px": area.astype(np.int64),
            "touches_border": border[1:],
            "dead": population.dead[drawn],
            "brightness": population.brightness[drawn],
            "mitotic": population.mitotic[drawn],
        }
    )


def truth_wells(cells: pd.DataFrame, *, wells: tuple[WellId, ...] | None = None) -> pd.DataFrame:
    """Truth of each well over nuclei off the border, from the concatenated `cells` of its fields.

    Columns: well; count; count_bright (of these, dead cells that shine); fraction_subg1, fraction_g1, fraction_s,
    fraction_g2m, fraction_over4n, mean_ratio and mean_dna_n, of those that do not shine; count_all and
    count_bright_all (border nuclei included). Every one of `wells` gets a row, in order; by default those in `cells`.
    One without nuclei has count 0 and NaN for fractions and means.
    """
    names = sorted(cells["well"].unique(), key=WellId.parse) if wells is None else [str(well) for well in wells]
    inside, bright = ~cells["touches_border"].astype(bool), cells["brightness"] > 1

    def count(rows: pd.Series) -> NDArray[Any]:
        return cells["well"][rows].value_counts().reindex(names, fill_value=0).to_numpy(dtype=np.int64)

    inner = cells[inside & ~bright]
    grouped = inner.groupby("well")
    table = pd.DataFrame({"well": names, "count": count(inside), "count_bright": count(inside & bright)})
    for column, phase in zip(FRACTIONS, PHASES, strict=True):
        table[column] = (inner["phase"] == phase).groupby(inner["well"]).mean().reindex(names).to_numpy()
    table["mean_ratio"] = grouped["ratio"].mean().reindex(names).to_numpy()
    table["mean_dna_n"] = grouped["dna_n"].mean().reindex(names).to_numpy()
    table["count_all"] = count(inside | ~inside)
    table["count_bright_all"] = count(bright)
    return table


def _mean_position(labels: NDArray[np.uint32], area: NDArray[np.int64], axis: int) -> NDArray[np.float64]:
    """Mean coordinate of each label's pixels along an axis, in px."""
    side = labels.shape[axis]
    places = np.arange(side, dtype=np.float64)
    weights = np.broadcast_to(places[:, None] if axis == 0 else places[None, :], labels.shape)
    return np.bincount(labels.ravel(), weights=weights.ravel(), minlength=len(area) + 1)[1:] / area
