"""Runs of pixels, and pieces of them, beside what OpenCV finds pixel by pixel."""

from __future__ import annotations

import cv2
import numpy as np
from hypothesis import given
from hypothesis import strategies as st
from numpy.typing import NDArray

from hcs.segment.ours.runs import Runs, pieces_of, runs_above, runs_below, runs_of, without_holes


def painted(runs: Runs, width: int, values: NDArray[np.int32] | None = None) -> NDArray[np.int32]:
    """Runs as an image: of each its value, by default 1; 0 elsewhere."""
    found = np.zeros((len(runs.offsets) - 1, width), np.int32)
    for y in range(len(found)):
        for r in range(runs.offsets[y], runs.offsets[y + 1]):
            assert runs.starts[r] < runs.stops[r]
            found[y, runs.starts[r] : runs.stops[r]] = 1 if values is None else values[r]
    return found


@given(seed=st.integers(0, 10_000), share=st.sampled_from([0.0, 0.1, 0.5, 0.9, 1.0]), width=st.integers(1, 40))
def test_runs_and_pieces_and_holes_are_those_of_the_mask(seed: int, share: float, width: int) -> None:
    mask = np.random.default_rng(seed).random((23, width)) < share
    runs = runs_of(mask)
    np.testing.assert_array_equal(painted(runs, width), mask)
    piece, count = pieces_of(runs)
    n, expected = cv2.connectedComponents(mask.view(np.uint8), connectivity=4)
    found = painted(runs, width, piece + 1)
    assert count == n - 1 == len({*zip(found[mask].tolist(), expected[mask].tolist(), strict=True)})
    assert list(dict.fromkeys(found[mask].tolist())) == list(range(1, n))  # in raster order
    filled = mask.copy()
    gaps, holes = cv2.connectedComponents((~mask).view(np.uint8), connectivity=4)
    for i in range(1, gaps):
        border = np.concatenate([holes[0], holes[-1], holes[:, 0], holes[:, -1]])
        if (holes == i).sum() <= 4 and i not in border:
            filled[holes == i] = True
    np.testing.assert_array_equal(painted(without_holes(runs, width, 4), width), filled)


@given(seed=st.integers(0, 10_000), width=st.integers(1, 200))
def test_runs_of_a_plane_are_below_a_limit_or_above_one_within_others(seed: int, width: int) -> None:
    rng = np.random.default_rng(seed)
    plane = rng.integers(0, 5, (9, width)).astype(np.float32)
    below = runs_below(plane, np.float32(3.0))
    np.testing.assert_array_equal(painted(below, width), plane < 3)
    chosen = rng.random(len(below.starts)) < 0.7
    wanted = painted(below, width, chosen.astype(np.int32)) > 0
    listed = plane[plane < 3].astype(np.uint8)
    above, inside = runs_above(listed, 1, below, chosen)
    np.testing.assert_array_equal(painted(above, width), wanted & (plane > 1))
    for r, around in enumerate(inside):
        assert below.starts[around] <= above.starts[r] < above.stops[r] <= below.stops[around]
        assert above.places[r] - below.places[around] == above.starts[r] - below.starts[around]


def test_there_is_room_for_the_runs_of_any_field() -> None:
    stripes = np.zeros((40, 700), np.bool_)
    stripes[:, ::2] = True
    np.testing.assert_array_equal(painted(runs_of(stripes), 700), stripes)
