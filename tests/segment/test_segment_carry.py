"""Masks carried along a picture's movement, on pictures whose movement is known."""

from __future__ import annotations

from fractions import Fraction

import cv2
import numpy as np
import pytest

from hcs.segment.carry import agree, around, carry, clear_frames, clearness, corrected, levelled, step_flow, together

SIDE = 128
Y, X = np.mgrid[:SIDE, :SIDE]


def disc(y: float, x: float, radius: float = 11.0) -> np.ndarray:
    return np.hypot(Y - y, X - x) < radius


def labelled(*discs: np.ndarray) -> np.ndarray:
    out = np.zeros((SIDE, SIDE), np.uint32)
    for number, mask in enumerate(discs, start=1):
        out[mask] = number
    return out


def dice(a: np.ndarray, b: np.ndarray) -> float:
    return 2 * (a & b).sum() / (a.sum() + b.sum())


def cell(shift: float, contrast: float) -> np.ndarray:
    """A cell with a rough cytoplasm and a nucleus, moved to the right, of any contrast of the nucleus."""
    rng = np.random.default_rng(4)
    rough = cv2.GaussianBlur(rng.standard_normal((SIDE, SIDE)), (0, 0), 3)
    still = 100 + 300 * disc(64, 54, 30) * (1 + rough) + contrast * 300 * disc(64, 54)
    move = np.array([[1, 0, shift], [0, 1, 0]], np.float32)
    return cv2.warpAffine(still.astype(np.float32), move, (SIDE, SIDE), borderMode=cv2.BORDER_REPLICATE)


@pytest.mark.parametrize("scale", [Fraction(1), Fraction(1, 2)])
def test_a_mask_follows_its_cell_while_the_nucleus_vanishes(scale: Fraction) -> None:
    """Nine steps of 2 px, without contrast from the fifth on: a mask that stays where it was loses most of it."""
    frames = [cell(2.0 * k, max(1 - k / 4, 0)) for k in range(10)]
    found = carry([levelled(frame, scale) for frame in frames], labelled(disc(64, 54)))
    assert dice(found > 0, disc(64, 72)) > 0.87
    assert dice(disc(64, 54), disc(64, 72)) < 0.3


def test_a_field_too_small_for_flow_stays_still() -> None:
    assert not step_flow(np.zeros((9, 9), np.uint8), np.ones((9, 9), np.uint8)).any()


def test_clear_frames_are_told_by_contrast_whatever_the_light() -> None:
    """Bleaching to a third leaves every frame clear; a nucleus as bright as its cytoplasm does not."""
    bleached = [100 + (cell(0, 1.0) - 100) * level for level in (1.0, 0.6, 0.3)]
    assert clear_frames([clearness(frame, 24) for frame in bleached]).all()
    vanishing = [clearness(cell(0, contrast), 24) for contrast in (1, 1, 0.5, 0, 0, 0.6, 1)]
    clear = clear_frames(vanishing)
    assert clear.tolist()[:2] == [True, True]
    assert not clear[3:5].any()
    assert around(3, clear) == (int(np.flatnonzero(clear[:3])[-1]), 3 + int(np.flatnonzero(clear[3:])[0]))
    assert around(0, [False, True]) == (None, 1)
    assert clearness(np.zeros((9, 9)), 24) == 0.0


def test_a_nucleus_lies_between_where_both_sides_have_it() -> None:
    for nearness in (0.25, 0.75):
        found = together(labelled(disc(64, 50)), labelled(disc(64, 58)), nearness)
        place = np.argwhere(found == 1).mean(axis=0)
        assert place == pytest.approx([64, 50 * nearness + 58 * (1 - nearness)], abs=0.3)
        assert (found > 0).sum() == pytest.approx(disc(64, 50).sum(), rel=0.05)


def test_the_nearer_side_is_right_where_a_nucleus_divided_or_one_side_has_none() -> None:
    mother, daughters = labelled(disc(64, 64, 13)), labelled(disc(64, 57, 7), disc(64, 72, 7))
    alone = labelled(disc(64, 64, 13), disc(20, 20))
    assert together(alone, daughters, 0.8).max() == 2  # the mother, and the one that leaves
    assert together(alone, daughters, 0.2).max() == 2  # both daughters; the other has left
    assert together(mother, mother * 0, 0.7).max() == 1
    assert together(mother * 0, mother * 0, 0.7).max() == 0


def test_sides_that_tell_of_other_nuclei_are_not_believed() -> None:
    here = labelled(disc(64, 30), disc(20, 60), disc(100, 100))
    assert agree(here, labelled(disc(66, 34), disc(20, 62), disc(30, 110)))
    assert not agree(here, labelled(disc(66, 60), disc(40, 90), disc(30, 110)))
    assert agree(here * 0, here * 0)


def test_the_frames_own_outline_is_taken_where_it_agrees() -> None:
    over = labelled(disc(64, 40), disc(64, 90), disc(20, 20))
    own = labelled(disc(64, 41), disc(64, 99), disc(110, 110))
    found = corrected(over, own)
    assert found.max() == 3
    assert dice(found == found[64, 41], disc(64, 41)) == 1.0
    assert dice(found == found[64, 85], disc(64, 90)) == 1.0  # theirs share too little
    assert found[110, 110] == 0
    assert (corrected(over, own * 0) > 0).sum() == (over > 0).sum()
