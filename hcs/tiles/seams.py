"""Nuclei where a field was cut, beside those elsewhere: do two ways of cutting it give the same ones?"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from math import sqrt

import numpy as np
import pandas as pd
from numpy.typing import NDArray
from scipy.spatial import cKDTree

from hcs.tiles.blocks import Box, Cut

NEAR_PX = 8
"""A nucleus whose box comes this near to a seam is one at a seam."""
CENTER = ["Nuclei_AreaShape_Center_Y", "Nuclei_AreaShape_Center_X"]
BOX = [f"Nuclei_AreaShape_BoundingBox{end}_{axis}" for end in ("Minimum", "Maximum") for axis in "YX"]
AREA, CONTENT = "Nuclei_AreaShape_Area", "Nuclei_DNA_Content"
COLUMNS = (*CENTER, *BOX, AREA, CONTENT)
"""Columns of the nucleus table that a comparison needs; without a DNA channel it does without that one."""
_LARGEST_RATIO = 2.0
_Z95 = 1.959963984540054

Flags = NDArray[np.bool_]
Ints = NDArray[np.int64]


@dataclass(frozen=True, slots=True)
class Seams:
    """Lines along which a field was cut: rows ``y`` and columns ``x`` at which a part begins, px."""

    y: tuple[float, ...]
    x: tuple[float, ...]

    def near(self, boxes: NDArray[np.float64]) -> Flags:
        """Which of ``boxes`` (n, 4) of y0, x0, y1, x1 lie on a seam or come within `NEAR_PX` of one."""
        y0, x0, y1, x1 = boxes.T
        found = np.zeros(len(boxes), np.bool_)
        for low, high, lines in ((y0, y1, self.y), (x0, x1, self.x)):
            for line in lines:
                found |= (low - NEAR_PX < line) & (high + NEAR_PX > line)
        return found


def seams_of(cut: Cut, shape: tuple[int, int]) -> Seams:
    """Where blocks and cells of a field of ``shape`` (Y, X) meet."""
    cores = [*(block.core for block in cut.blocks(shape)), *(cell.core for cell in cut.cells(shape))]
    return Seams(_inner(core.y0 for core in cores), _inner(core.x0 for core in cores))


def crossings(cut: Cut, shape: tuple[int, int], count: int) -> tuple[tuple[int, int], ...]:
    """Up to ``count`` places (y, x) at which most blocks meet, evenly spread: corners, or the middles of edges where
    there is one row or column of blocks; none for a field of one block."""
    blocks = cut.blocks(shape)
    rows, columns = (_inner(getattr(block.core, axis) for block in blocks) for axis in ("y0", "x0"))
    places = [(int(y), int(x)) for y in rows or (shape[0] // 2,) for x in columns or (shape[1] // 2,)]
    if not rows and not columns:
        return ()
    chosen = np.unique(np.linspace(0, len(places) - 1, min(count, len(places))).round().astype(int))
    return tuple(places[i] for i in chosen)


def compare(one: pd.DataFrame, other: pd.DataFrame, core: Box, seams: Seams) -> pd.DataFrame:
    """The nuclei (rows of `COLUMNS`) of two ways to cut a field, paired.

    A row for each nucleus of either with its centre in ``core``: whether it is at a seam of the first way (Seam),
    found by the first (One) and the second (Other), its pixels the same (Same: area and box), and the second's area
    and DNA content relative to the first's (Area, DNA), less 1; NaN where it has no partner. Partners are nearest to
    each other, less than half a radius apart, and differ less than twofold in area.
    """
    partner = _partners(one, other)
    mine = core.holds(*one[CENTER].to_numpy().T)
    taken = np.isin(np.arange(len(other)), partner[partner >= 0])
    extra = core.holds(*other[CENTER].to_numpy().T) & ~taken
    first, second = one[mine], other.iloc[partner[mine]] if len(other) else other.reindex(partner[mine])
    paired = partner[mine] >= 0
    lost = pd.DataFrame({"Seam": seams.near(first[BOX].to_numpy(np.float64)), "One": True, "Other": paired})
    for name, column in (("Area", AREA), ("DNA", CONTENT)):
        if column not in one:
            lost[name] = np.nan
            continue
        change = second[column].to_numpy(np.float64) / first[column].to_numpy(np.float64) - 1.0
        lost[name] = np.where(paired, change, np.nan)
    alike = (second[[*BOX, AREA]].to_numpy() == first[[*BOX, AREA]].to_numpy()).all(axis=1)
    lost["Same"] = paired & alike
    gained = pd.DataFrame({"Seam": seams.near(other.loc[extra, BOX].to_numpy(np.float64)), "One": False, "Other": True})
    gained = gained.assign(Area=np.nan, DNA=np.nan, Same=False)
    return pd.concat([lost, gained[lost.columns]], ignore_index=True)


def summarise(pairs: pd.DataFrame) -> pd.DataFrame:
    """Two rows, seam and interior (Where), of what `compare` gave of any number of places.

    Count_Nuclei of the first way; Count_Lost and Count_Gained by the second; Count_Changed, with other pixels;
    Fraction_Different, the three together by nuclei, with a 95 % interval (Wilson 1927); and of the pairs the median
    and the largest absolute difference in area and DNA content, %. NaN where there is no nucleus.
    """
    rows = []
    for where, at_seam in (("seam", True), ("interior", False)):
        here = pairs[pairs["Seam"].astype(bool) == at_seam]
        one, other = here["One"].astype(bool), here["Other"].astype(bool)
        both = here[one & other]
        changed = int((~both["Same"].astype(bool)).sum())
        n, lost, gained = int(one.sum()), int((one & ~other).sum()), int((other & ~one).sum())
        low, high = wilson(lost + gained + changed, n)
        row: dict[str, object] = {"Where": where, "Count_Nuclei": n, "Count_Lost": lost, "Count_Gained": gained}
        row["Count_Changed"] = changed
        row |= {"Fraction_Different": (lost + gained + changed) / n if n else np.nan}
        row |= {"Fraction_Different_Low": low, "Fraction_Different_High": high}
        for name in ("Area", "DNA"):
            percent = 100.0 * both[name].abs().to_numpy(np.float64)
            percent = percent[np.isfinite(percent)]
            row[f"Median_{name}_Percent"] = float(np.median(percent)) if percent.size else np.nan
            row[f"Max_{name}_Percent"] = float(percent.max()) if percent.size else np.nan
        rows.append(row)
    return pd.DataFrame(rows)


def wilson(hits: int, n: int) -> tuple[float, float]:
    """95 % interval of a share of ``hits`` in ``n`` (Wilson 1927, J. Am. Stat. Assoc. 22:209); NaN for n = 0."""
    if n == 0:
        return float("nan"), float("nan")
    share, z2 = min(hits, n) / n, _Z95**2
    middle = (share + z2 / (2 * n)) / (1 + z2 / n)
    half = _Z95 * sqrt(share * (1 - share) / n + z2 / (4 * n * n)) / (1 + z2 / n)
    return max(middle - half, 0.0), min(middle + half, 1.0)


def _partners(one: pd.DataFrame, other: pd.DataFrame) -> Ints:
    """Row of ``other`` for every row of ``one``, (n,); −1 where there is none."""
    none = np.full(len(one), -1, np.int64)
    if not len(one) or not len(other):
        return none
    here, there = one[CENTER].to_numpy(np.float64), other[CENTER].to_numpy(np.float64)
    distance, forth = cKDTree(there).query(here)
    back = cKDTree(here).query(there)[1]
    ratio = other[AREA].to_numpy(np.float64)[forth] / one[AREA].to_numpy(np.float64)
    radius = np.sqrt(one[AREA].to_numpy(np.float64) / np.pi)
    good = (back[forth] == np.arange(len(one))) & (distance < radius / 2)
    good &= (ratio < _LARGEST_RATIO) & (ratio > 1 / _LARGEST_RATIO)
    return np.where(good, forth, none)


def _inner(starts: Iterable[int]) -> tuple[float, ...]:
    return tuple(float(start) for start in sorted(set(starts)) if start > 0)
