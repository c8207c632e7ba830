"""Fields that overlap: every nucleus counts once, and of two views of it the better one."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from hcs.readout.wells.duplicates import KEYS, Placed, find_duplicates, without

RADIUS_PX = 8.0


def seen(
    well: str, site: int, place: Placed, nuclei: np.ndarray, jitter: tuple[float, float] = (0.0, 0.0)
) -> pd.DataFrame:
    """What a field at ``place`` shows of ``nuclei`` (n, 2) on the stage, standing ``jitter`` px beside it."""
    y, x = (nuclei - np.array(place.origin_px) - np.array(jitter)).T
    height, width = place.shape
    inside = (y >= 0) & (y < height) & (x >= 0) & (x < width)
    y, x = y[inside], x[inside]
    edge = np.minimum.reduce([y, x, height - y, width - x])
    return pd.DataFrame(
        {
            "Metadata_Well": well,
            "Metadata_Site": np.int32(site),
            "Metadata_ObjectNumber": np.arange(1, len(y) + 1, dtype=np.uint32),
            "Nuclei_AreaShape_Center_Y": y,
            "Nuclei_AreaShape_Center_X": x,
            "Nuclei_AreaShape_Area": np.pi * RADIUS_PX**2,
            "Nuclei_Flag_TouchesBorder": edge < RADIUS_PX,
            "Truth": np.flatnonzero(inside),
        }
    )


def apart(count: int, extent: tuple[int, int], rng: np.random.Generator) -> np.ndarray:
    """Points at least a diameter and a half apart."""
    found: list[np.ndarray] = []
    for point in rng.uniform(0, extent, (count * 4, 2)):
        if all(np.hypot(*(point - other)) > 3 * RADIUS_PX for other in found):
            found.append(point)
    return np.array(found[:count]).reshape(-1, 2)


@settings(max_examples=40)
@given(
    count=st.integers(0, 60),
    side=st.integers(120, 220),
    overlap=st.integers(20, 90),
    jitter=st.floats(0, 2.8),  # twice that along both axes is a radius: farther apart, too few to align stay two
    seed=st.integers(0, 9999),
)
def test_every_nucleus_of_four_overlapping_fields_counts_once(
    count: int, side: int, overlap: int, jitter: float, seed: int
) -> None:
    rng = np.random.default_rng(seed)
    step = side - overlap
    nuclei = apart(count, (step + side, step + side), rng)
    places = {("B02", k): Placed(origin_px=(k // 2 * step, k % 2 * step), shape=(side, side)) for k in range(4)}
    tables = [seen("B02", k, place, nuclei, tuple(rng.uniform(-jitter, jitter, 2))) for (_, k), place in places.items()]
    table = pd.concat(tables, ignore_index=True)
    duplicates = find_duplicates(table, places)
    kept = without(table, duplicates)
    assert sorted(kept["Truth"]) == sorted(set(table["Truth"]))
    dropped = duplicates.merge(table, on=KEYS)["Truth"].to_numpy()
    partners = duplicates[["Metadata_Well", "Kept_Site", "Kept_ObjectNumber"]].set_axis(KEYS, axis=1)
    assert dropped.tolist() == partners.merge(table, on=KEYS, how="left")["Truth"].tolist()


def two_fields(*nuclei: tuple[float, float]) -> tuple[pd.DataFrame, dict[tuple[str, int], Placed]]:
    places = {
        ("A01", 0): Placed(origin_px=(0, 0), shape=(100, 100)),
        ("A01", 1): Placed(origin_px=(0, 60), shape=(100, 100)),
    }
    points = np.array(nuclei)
    return pd.concat([seen("A01", k, places["A01", k], points) for k in (0, 1)], ignore_index=True), places


@pytest.mark.parametrize(("shared", "once"), [(6, True), (4, False)])
def test_a_stage_that_is_off_by_more_than_a_radius_needs_enough_nuclei(shared: int, once: bool) -> None:
    places = {("A01", k): Placed(origin_px=(0, 100 * k), shape=(200, 200)) for k in (0, 1)}
    nuclei = np.column_stack([np.linspace(15, 185, shared), np.full(shared, 150.0)])
    tables = [seen("A01", k, places["A01", k], nuclei, (0.0, 9.0 * k)) for k in (0, 1)]
    table = pd.concat(tables, ignore_index=True)
    assert len(without(table, find_duplicates(table, places))) == (shared if once else 2 * shared)


def test_the_whole_view_counts_and_not_the_one_cut_by_the_border() -> None:
    table, places = two_fields((50, 65), (50, 95))
    assert table["Nuclei_Flag_TouchesBorder"].tolist() == [False, True, True, False]
    duplicates = find_duplicates(table, places)
    dropped = duplicates[["Metadata_Site", "Metadata_ObjectNumber", "Kept_Site", "Kept_ObjectNumber"]].to_numpy()
    assert sorted(map(tuple, dropped.tolist())) == [(0, 2, 1, 2), (1, 1, 0, 1)]
    assert duplicates["Distance_Px"].tolist() == [0.0, 0.0]


def test_nuclei_beside_the_overlap_and_other_wells_are_left_alone() -> None:
    table, places = two_fields((50, 20), (50, 140))
    assert find_duplicates(table, places).empty
    both, places = two_fields((50, 80))
    other = both.assign(Metadata_Well=["A01", "A02"])
    assert find_duplicates(other, {**places, ("A02", 1): places["A01", 1]}).empty


def test_fields_without_a_place_keep_all_their_nuclei() -> None:
    table, places = two_fields((50, 80))
    assert len(find_duplicates(table, places)) == 1
    assert find_duplicates(table, {("A01", 0): places["A01", 0]}).empty
    assert without(table, find_duplicates(table, {})) is table
