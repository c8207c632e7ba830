"""Values by rank are those of numpy, to the last bit."""

from __future__ import annotations

import numpy as np
import pytest
from numpy.typing import NDArray

from hcs.measure.ranks import levels_of_rows, percentile, ranked

QS = (0.0, 1.0, 2.0, 5.0, 10.0, 25.0, 50.0, 99.0, 99.8, 99.9, 100.0)
KINDS = ("reals", "negative", "counts", "wide", "fill", "one value", "beyond 65,535")


def of_kind(kind: str, n: int) -> NDArray[np.float32]:
    rng = np.random.default_rng(n)
    values = {
        "reals": rng.random(n) * 1000.0,
        "negative": rng.normal(0.0, 5.0, n).round(),
        "counts": rng.poisson(200.0, n),
        "wide": rng.integers(0, 65_536, n),
        "fill": rng.poisson(0.3, n) * 7,
        "one value": np.full(n, 65_535),
        "beyond 65,535": rng.integers(0, 70_000, n),
    }[kind]
    return np.asarray(values, np.float32)


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("n", [1, 2, 3, 31, 1000, 40_001])
def test_percentiles_are_those_of_numpy(kind: str, n: int) -> None:
    values = of_kind(kind, n)
    before = values.copy()
    assert [percentile(values, q) for q in QS] == [float(np.percentile(values, q)) for q in QS]
    assert ranked(values).percentiles(*QS) == tuple(float(v) for v in np.percentile(values, QS))
    np.testing.assert_array_equal(values, before)


@pytest.mark.parametrize("kind", KINDS)
def test_the_least_step_is_that_of_the_sorted_values(kind: str) -> None:
    values = of_kind(kind, 5000)
    steps = np.diff(np.sort(values))
    assert ranked(values).least_step() == (float(steps[steps > 0].min()) if steps.any() else 0.0)


def test_a_value_that_is_no_number_makes_all_percentiles_that() -> None:
    assert np.isnan(ranked(np.array([1.0, np.nan, 2.0], np.float32)).percentiles(2.0, 99.8)).all()


@pytest.mark.parametrize("kind", KINDS)
def test_levels_of_rows_are_those_of_the_sorted_rows(kind: str) -> None:
    rows = of_kind(kind, 40 * 257).reshape(40, 257)
    low, high = levels_of_rows(rows, 12, 230)
    in_order = np.sort(rows, axis=1)
    np.testing.assert_array_equal(low, in_order[:, 12])
    np.testing.assert_array_equal(high, in_order[:, 230])
