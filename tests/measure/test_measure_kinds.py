"""The kind of a nucleus: the largest share of the kinds' probabilities over its pixels."""

from __future__ import annotations

import numpy as np

from hcs.columns import CLASS, SCORE
from hcs.measure.kinds import Kinds, kind_columns
from hcs.measure.regions import regions_of


def test_the_score_is_the_kinds_sum_over_that_of_all_kinds() -> None:
    labels = np.array([[7, 7, 0, 2], [0, 0, 0, 2]])
    planes = np.array([[[0.1, 0.3, 0.9, 0.6], [0.9, 0.9, 0.9, 0.2]], [[0.5, 0.7, 0.0, 0.1], [0.0, 0.0, 0.0, 0.1]]])
    found = Kinds(("a", "bb"), planes.astype(np.float32)).columns(regions_of(labels).pixels)
    np.testing.assert_array_equal(found[CLASS], ["a", "bb"])  # in the order of label values: 2, then 7
    np.testing.assert_allclose(found[SCORE], [0.8, 0.75], rtol=1e-6)


def test_nobody_knows_the_kind_of_nuclei_without_probabilities() -> None:
    regions = regions_of(np.array([[1, 0, 2]])).pixels
    found = Kinds(("a", "b")).columns(regions)
    assert found[CLASS].tolist() == ["", ""]
    assert np.isnan(found[SCORE].astype(float)).all()
    none = kind_columns(("a", "b"), np.empty((0, 2)))
    assert len(none[CLASS]) == len(none[SCORE]) == 0
    assert kind_columns(("a", "b"), np.zeros((1, 2)))[CLASS].tolist() == [""]
