"""Nuclei of two ways to cut a field: paired, told apart by where they lie, counted."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest

from hcs.tiles.blocks import CELL_PX, Box, Cut
from hcs.tiles.seams import NEAR_PX, Seams, compare, crossings, seams_of, summarise, wilson

CUT = Cut(block_px=100, unit_px=10, context_px=5, nucleus_px=30, around_px=10)
FIELD = Box(0, 0, 200, 200)
SEAMS = Seams((100.0,), (100.0,))


def nuclei(*places: tuple[int, int, int]) -> pd.DataFrame:
    """Squares of (y, x, side), the centre given."""
    y, x, side = np.array(places or np.empty((0, 3)), np.int64).T
    half = side // 2
    return pd.DataFrame(
        {
            "Nuclei_AreaShape_Center_Y": y.astype(float),
            "Nuclei_AreaShape_Center_X": x.astype(float),
            "Nuclei_AreaShape_BoundingBoxMinimum_Y": y - half,
            "Nuclei_AreaShape_BoundingBoxMinimum_X": x - half,
            "Nuclei_AreaShape_BoundingBoxMaximum_Y": y + half,
            "Nuclei_AreaShape_BoundingBoxMaximum_X": x + half,
            "Nuclei_AreaShape_Area": side**2,
            "Nuclei_DNA_Content": side**2 * 10.0,
        }
    )


def test_seams_are_where_blocks_and_cells_meet() -> None:
    assert seams_of(CUT, (200, 300)) == Seams((100.0,), (100.0, 200.0))
    wide = Cut(block_px=4000, unit_px=16, context_px=5, nucleus_px=30, around_px=10)
    assert seams_of(wide, (3000, 3000)) == Seams((float(CELL_PX),), (float(CELL_PX),))


def test_crossings_are_spread_over_the_field() -> None:
    assert crossings(CUT, (300, 300), 9) == ((100, 100), (100, 200), (200, 100), (200, 200))
    assert crossings(CUT, (300, 300), 2) == ((100, 100), (200, 200))
    assert crossings(CUT, (300, 90), 9) == ((100, 45), (200, 45))
    assert crossings(CUT, (100, 100), 9) == ()


def test_a_nucleus_is_at_a_seam_within_eight_pixels() -> None:
    boxes = np.array(
        [[0, 0, 100 - NEAR_PX, 50], [0, 0, 101 - NEAR_PX, 50], [0, 90, 10, 110], [100 + NEAR_PX, 0, 120, 9]]
    )
    assert SEAMS.near(boxes.astype(float)).tolist() == [False, True, True, False]


def test_differences_are_counted_where_they_are() -> None:
    one = nuclei((100, 50, 10), (50, 50, 10), (150, 100, 10), (30, 30, 10))
    other = nuclei((100, 50, 10), (50, 51, 12), (150, 20, 10), (160, 160, 10))
    table = summarise(compare(one, other, FIELD, SEAMS)).set_index("Where")
    seam, interior = table.loc["seam"], table.loc["interior"]
    assert [seam[f"Count_{what}"] for what in ("Nuclei", "Lost", "Gained", "Changed")] == [2, 1, 0, 0]
    assert [interior[f"Count_{what}"] for what in ("Nuclei", "Lost", "Gained", "Changed")] == [2, 1, 2, 1]
    assert seam["Fraction_Different"] == 0.5
    assert interior["Fraction_Different"] == 2.0
    assert seam["Max_Area_Percent"] == 0.0
    assert interior["Max_Area_Percent"] == pytest.approx(44.0)
    assert interior["Median_DNA_Percent"] == pytest.approx(44.0)


def test_only_nuclei_centred_in_the_place_count_but_their_partners_may_lie_beside_it() -> None:
    one, other = nuclei((100, 99, 12), (100, 150, 12)), nuclei((100, 101, 12), (100, 150, 12))
    pairs = compare(one, other, Box(0, 0, 200, 100), SEAMS)
    assert pairs[["One", "Other", "Same"]].to_numpy().tolist() == [[True, True, False]]


def test_nuclei_of_very_different_size_are_no_pair() -> None:
    pairs = compare(nuclei((50, 50, 10)), nuclei((50, 50, 20)), FIELD, SEAMS)
    assert pairs[["One", "Other"]].to_numpy().tolist() == [[True, False], [False, True]]


def test_no_nuclei_are_nan_and_no_error() -> None:
    table = summarise(compare(nuclei(), nuclei(), FIELD, SEAMS))
    assert table["Count_Nuclei"].tolist() == [0, 0]
    assert table["Fraction_Different"].isna().all()
    lost = summarise(compare(nuclei((50, 50, 10)), nuclei(), FIELD, SEAMS)).set_index("Where")
    assert lost.loc["interior", "Count_Lost"] == 1
    gained = summarise(compare(nuclei(), nuclei((50, 50, 10)), FIELD, SEAMS)).set_index("Where")
    assert gained.loc["interior", "Count_Gained"] == 1


def test_wilson_as_in_his_table() -> None:
    # Newcombe 1998, Stat. Med. 17:857, table I, method 3: 81 of 263, and 0 of 20
    assert wilson(81, 263) == pytest.approx((0.2553, 0.3662), abs=5e-5)
    assert wilson(0, 20) == pytest.approx((0.0, 0.1611), abs=5e-5)
