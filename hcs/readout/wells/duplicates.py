"""Nuclei that two fields of a well show, because the fields overlap on the stage: counted once."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from itertools import combinations

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from hcs.columns import Column
from hcs.readout.columns import number_column, text_column

KEYS = ["Metadata_Well", "Metadata_Site", "Metadata_ObjectNumber"]
CENTER = ["Nuclei_AreaShape_Center_Y", "Nuclei_AreaShape_Center_X"]
AREA, TOUCHES = "Nuclei_AreaShape_Area", "Nuclei_Flag_TouchesBorder"
NEEDED = (*KEYS, *CENTER, AREA, TOUCHES)
"""Columns of the nucleus table that are looked at."""
_FEWEST_TO_ALIGN = 5

DUPLICATE_COLUMNS: tuple[Column, ...] = (
    text_column("Metadata_Well", "well, row letters and two-digit column"),
    Column("Metadata_Site", "int32", "", "field whose nucleus is left out", ""),
    Column("Metadata_ObjectNumber", "uint32", "", "its number there", ""),
    Column("Kept_Site", "int32", "", "field whose nucleus counts", ""),
    Column("Kept_ObjectNumber", "uint32", "", "its number there", ""),
    number_column("Distance_Px", "distance of the two centres, as the stage positions have it", unit="px"),
)

Floats = NDArray[np.float64]


@dataclass(frozen=True, slots=True, kw_only=True)
class Placed:
    """A field on the stage: position of its first pixel and its lengths, y before x, in pixels."""

    origin_px: tuple[float, float]
    shape: tuple[int, int]

    def holds(self, points: Floats, margin_px: Floats) -> NDArray[np.bool_]:
        """Which points (n, 2) of the stage lie in the field or within a margin (n,) of it."""
        inside = np.ones(len(points), np.bool_)
        for axis in (0, 1):
            along = points[:, axis] - self.origin_px[axis]
            inside &= (along >= -margin_px) & (along < self.shape[axis] + margin_px)
        return inside

    def depth(self, points: Floats) -> Floats:
        """Distance (n,) of points of the stage in the field to its nearest edge, px."""
        along = points - np.array(self.origin_px)
        return np.asarray(np.minimum(along, np.array(self.shape) - along).min(axis=1), np.float64)


def find_duplicates(nuclei: pd.DataFrame, places: dict[tuple[str, int], Placed]) -> pd.DataFrame:
    """Nuclei to be left out (`DUPLICATE_COLUMNS`), of ``nuclei`` (`NEEDED`) in fields whose ``places`` are known, keyed
    by well and field; fields of one well have one pixel size.

    Two nuclei of overlapping fields are one where each is the other's nearest and their centres lie no farther apart
    than the larger's radius. Before that, a pair of fields with at least 5 such pairs is moved by the median of their
    offsets, for stages are not exact to a pixel. Of one nucleus seen several times the one that is whole counts, then
    the one deepest in its field, then the one of the first field.
    """
    found = []
    for well, rows in nuclei.groupby("Metadata_Well", observed=True, sort=False):
        sites = [site for site in sorted(set(rows["Metadata_Site"].tolist())) if (str(well), site) in places]
        fields = {site: rows[rows["Metadata_Site"] == site] for site in sites}
        here = {site: places[str(well), site] for site in fields}
        pairs = [pair for a, b in combinations(fields, 2) for pair in _pairs(fields, here, a, b)]
        found += [(str(well), *row) for row in _dropped(fields, here, pairs)]
    table = pd.DataFrame(found, columns=[column.name for column in DUPLICATE_COLUMNS])
    return table.astype({column.name: column.dtype for column in DUPLICATE_COLUMNS if column.dtype != "string"})


def without(nuclei: pd.DataFrame, duplicates: pd.DataFrame) -> pd.DataFrame:
    """``nuclei`` less the ``duplicates``."""
    if duplicates.empty:
        return nuclei
    dropped = pd.MultiIndex.from_frame(duplicates[KEYS].astype({"Metadata_Well": str}))
    own = pd.MultiIndex.from_frame(nuclei[KEYS].astype({"Metadata_Well": str}))
    kept: pd.DataFrame = nuclei[~own.isin(dropped)]
    return kept


_Nucleus = tuple[int, int]
"""Field and row in that field's table."""


def _pairs(
    fields: dict[int, pd.DataFrame], places: dict[int, Placed], a: int, b: int
) -> Iterator[tuple[_Nucleus, _Nucleus, float]]:
    """Pairs of nuclei of two fields that are one, with their distance."""
    points = {site: _on_stage(fields[site], places[site]) for site in (a, b)}
    radii = {site: np.sqrt(fields[site][AREA].to_numpy(np.float64) / np.pi) for site in (a, b)}
    rows = {s: np.flatnonzero(places[o].holds(points[s], radii[s])) for s, o in ((a, b), (b, a))}
    if not rows[a].size or not rows[b].size:
        return
    one, other = points[a][rows[a]], points[b][rows[b]]
    reach = radii[a][rows[a]], radii[b][rows[b]]
    i, j, _ = _mutual(one, other, reach, slack=2.0)
    whole = ~(_touching(fields[a])[rows[a][i]] | _touching(fields[b])[rows[b][j]])
    offsets = (other[j] - one[i])[whole]
    shift = np.median(offsets, axis=0) if len(offsets) >= _FEWEST_TO_ALIGN else np.zeros(2)
    for k, m, distance in zip(*_mutual(one, other - shift, reach, slack=1.0), strict=True):
        yield (a, int(rows[a][k])), (b, int(rows[b][m])), float(distance)


def _mutual(
    one: Floats, other: Floats, radii: tuple[Floats, Floats], *, slack: float
) -> tuple[NDArray[np.int64], NDArray[np.int64], Floats]:
    """Index pairs of points that are nearest to each other, within ``slack`` of the larger radius; their distances."""
    from scipy.spatial import cKDTree  # noqa: PLC0415  a third of a second, for what few plates ask for

    distance, forth = cKDTree(other).query(one)
    back = cKDTree(one).query(other)[1]
    near = distance <= slack * np.maximum(radii[0], radii[1][forth])
    i = np.flatnonzero((back[forth] == np.arange(len(one))) & near)
    return i, forth[i], distance[i]


def _dropped(
    fields: dict[int, pd.DataFrame], places: dict[int, Placed], pairs: list[tuple[_Nucleus, _Nucleus, float]]
) -> Iterator[tuple[int, int, int, int, float]]:
    """Rows of the table: every nucleus of a group of pairs but the best, which comes with each."""
    partner: dict[_Nucleus, dict[_Nucleus, float]] = {}
    for one, other, distance in pairs:
        partner.setdefault(one, {})[other] = distance
        partner.setdefault(other, {})[one] = distance
    depth = {site: places[site].depth(_on_stage(own, places[site])) for site, own in fields.items()}
    touching = {site: _touching(own) for site, own in fields.items()}

    def rank(nucleus: _Nucleus) -> tuple[bool, float, int]:
        site, row = nucleus
        return bool(touching[site][row]), -float(depth[site][row]), site

    kept: set[_Nucleus] = set()
    for nucleus in sorted(partner, key=rank):
        better = [other for other in partner[nucleus] if other in kept]
        if not better:
            kept.add(nucleus)
            continue
        best = min(better, key=rank)
        own, its = (int(fields[site]["Metadata_ObjectNumber"].iloc[row]) for site, row in (nucleus, best))
        yield nucleus[0], own, best[0], its, partner[nucleus][best]


def _on_stage(nuclei: pd.DataFrame, place: Placed) -> Floats:
    return np.asarray(nuclei[CENTER].to_numpy(np.float64) + np.array(place.origin_px), np.float64)


def _touching(nuclei: pd.DataFrame) -> NDArray[np.bool_]:
    return nuclei[TOUCHES].to_numpy(dtype=bool)
