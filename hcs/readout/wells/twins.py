"""Fields that show what another field shows already: the same pixels, or nearly the same nuclei.

A plate can hold a field twice (raw and corrected, a stack and its projection, one file copied to two names), and each
of its nuclei then counts twice. Stage positions do not tell that; pixels and nuclei do.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from itertools import combinations

import numpy as np
import numpy.typing as npt
import pandas as pd

WELL, SITE = "Metadata_Well", "Metadata_Site"
CENTER = ["Nuclei_AreaShape_Center_Y", "Nuclei_AreaShape_Center_X"]
AREA = "Nuclei_AreaShape_Area"
NEEDED = (WELL, SITE, *CENTER, AREA)
"""Columns of the nucleus table that are looked at."""
SAME_PIXELS, SAME_NUCLEI = "same_pixels", "same_nuclei"
_NEAR_PX = 3.0
_AREA_RATIO = 1.5
_SHARE = 0.7
_FEWEST = 8
"""Nuclei that both fields must have. Of 8 nuclei in a crowded field, 6 lie this near to one of another field by chance
once in some 10⁵ pairs of fields."""
_FIRST_LOOK = 16
_MOST_NAMED = 5

Floats = npt.NDArray[np.float64]


@dataclass(frozen=True, slots=True)
class Twin:
    """Two fields, (well, site), that show the same; ``share`` of the nuclei of the smaller are in the other."""

    first: tuple[str, int]
    second: tuple[str, int]
    flag: str
    share: float = 1.0


def twins_by_pixels(fields: pd.DataFrame, checksums: Iterable[str]) -> tuple[Twin, ...]:
    """Pairs of fields with nuclei whose pixels have one checksum, each with the first field that has it.

    ``fields`` has Metadata_Well, Metadata_Site and Count_Nuclei. Fields without nuclei may be black alike.
    """
    seen: dict[str, tuple[str, int]] = {}
    twins = []
    rows = zip(fields[WELL], fields[SITE], fields["Count_Nuclei"], checksums, strict=True)
    for well, site, count, checksum in rows:
        place = (str(well), int(site))
        if not checksum or not count:
            continue
        first = seen.setdefault(checksum, place)
        if first != place:
            twins.append(Twin(first, place, SAME_PIXELS))
    return tuple(twins)


def twins_by_nuclei(wells: Iterable[tuple[str, pd.DataFrame]]) -> tuple[Twin, ...]:
    """Pairs of fields of one well of which one's nuclei are nearly all in the other, from tables (`NEEDED`) by well.

    A nucleus is in the other field where one of similar size lies within 3 px. At least 8 nuclei a field, and 70 % of
    those of the field with fewer.
    """
    return tuple(twin for well, nuclei in wells for twin in _of_well(well, nuclei))


def _of_well(well: str, nuclei: pd.DataFrame) -> Iterator[Twin]:
    from scipy.spatial import cKDTree  # noqa: PLC0415  a third of a second, which plates of one field a well need not spend

    fields: dict[int, tuple[Floats, Floats]] = {}
    for site, rows in nuclei.groupby(SITE, sort=True):
        if len(rows) >= _FEWEST:
            fields[int(str(site))] = (rows[CENTER].to_numpy(np.float64), rows[AREA].to_numpy(np.float64))
    trees = {site: cKDTree(points) for site, (points, _) in fields.items()} if len(fields) > 1 else {}
    for one, other in combinations(trees, 2):
        few, many = sorted((one, other), key=lambda site: len(fields[site][1]))
        step = max(len(fields[few][1]) // _FIRST_LOOK, 1)
        if _share(fields[few], trees[many], fields[many][1], step) < _SHARE / 2:
            continue
        share = _share(fields[few], trees[many], fields[many][1], 1)
        if share >= _SHARE:
            yield Twin((well, one), (well, other), SAME_NUCLEI, share)


def _share(field: tuple[Floats, Floats], tree: object, areas: Floats, step: int) -> float:
    """Share of a field's nuclei, or of every so many, that have a nucleus of like size near them in another field."""
    points, own = field[0][::step], field[1][::step]
    distance, nearest = tree.query(points, distance_upper_bound=_NEAR_PX)  # type: ignore[attr-defined]
    near = np.isfinite(distance)
    ratio = own[near] / areas[nearest[near]]
    alike = (ratio < _AREA_RATIO) & (ratio > 1 / _AREA_RATIO)
    return float(alike.sum() / len(points))


def twin_flags(fields: pd.DataFrame, twins: Iterable[Twin]) -> list[tuple[str, bool]]:
    """For every row of ``fields`` its flag, empty for none, and whether it may be left out for it.

    The later field of two in one well is flagged, so that leaving it out keeps the first. Two fields of different wells
    are both flagged, and neither is left out: which of them is right, pixels do not tell.
    """
    flags: dict[tuple[str, int], tuple[str, bool]] = {}
    for twin in twins:
        if twin.first[0] == twin.second[0]:
            flags.setdefault(twin.second, (twin.flag, True))
        else:
            flags.setdefault(twin.first, (twin.flag, False))
            flags.setdefault(twin.second, (twin.flag, False))
    return [
        flags.get((str(well), int(site)), ("", False)) for well, site in zip(fields[WELL], fields[SITE], strict=True)
    ]


def twin_notes(twins: tuple[Twin, ...]) -> tuple[str, ...]:
    """Sentences for the user: how many pairs, which, and what to do."""
    notes = []
    inside = [twin for twin in twins if twin.first[0] == twin.second[0]]
    across = [twin for twin in twins if twin.first[0] != twin.second[0]]
    for flag, what in ((SAME_PIXELS, "exactly the same pixels"), (SAME_NUCLEI, "nearly the same nuclei")):
        pairs = [twin for twin in inside if twin.flag == flag]
        if pairs:
            notes.append(
                f"{len(pairs)} fields show {what} as an earlier field of their well ({_named(pairs)}): nuclei there "
                "count twice; take one version with --images or --acquisition, or leave them out by --exclude-flagged."
            )
    if across:
        notes.append(
            f"{len(across)} fields have exactly the pixels of a field of another well ({_named(across)}): one of the "
            "two is not what it is called."
        )
    return tuple(notes)


def _named(twins: list[Twin]) -> str:
    shown = [f"{t.second[0]}/{t.second[1]} as {t.first[0]}/{t.first[1]}" for t in twins[:_MOST_NAMED]]
    return ", ".join(shown) + (", …" if len(twins) > _MOST_NAMED else "")
