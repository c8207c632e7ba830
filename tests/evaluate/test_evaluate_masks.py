"""Scores of masks, by hand."""

from __future__ import annotations

import numpy as np
import pytest
from scipy.spatial.distance import directed_hausdorff

from hcs.evaluate.masks import hausdorff_px, score_mask


def test_scores_by_hand() -> None:
    """4 true pixels of 20, 3 found, one beside: 3/4, 15/16, 6/8, and the missed corner is one pixel away."""
    true, found = np.zeros((4, 5), bool), np.zeros((4, 5), bool)
    true[1:3, 1:3] = True
    found[1:3, 1:3] = True
    found[2, 2], found[1, 3] = False, True
    score = score_mask(found, true)
    assert (score.sensitivity, score.specificity, score.dice) == (0.75, 15 / 16, 0.75)
    assert score.hausdorff_px == 1.0


def test_hausdorff_is_scipys() -> None:
    rng = np.random.default_rng(0)
    for _ in range(5):
        a, b = rng.random((2, 20, 30)) < 0.02
        a[3, 3] = b[9, 22] = True
        points = np.argwhere(a), np.argwhere(b)
        both = max(directed_hausdorff(*points)[0], directed_hausdorff(*points[::-1])[0])
        assert hausdorff_px(a, b) == pytest.approx(both, rel=1e-5)


def test_nothing_found_where_nothing_is() -> None:
    none = np.zeros((3, 3), bool)
    score = score_mask(none, none)
    assert (score.specificity, score.dice) == (1.0, 1.0)
    assert np.isnan([score.sensitivity, score.hausdorff_px]).all()
