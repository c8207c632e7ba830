"""Z' family: anchors worked out by hand, invariances, and every reason for NaN."""

from __future__ import annotations

import math

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from hcs.errors import ConfigError
from hcs.readout.settings import ReadoutSettings
from hcs.readout.zprime import compare_wells

SETTINGS = ReadoutSettings(bootstrap=500)
POSITIVE, NEGATIVE = [9.0, 10.0, 11.0], [1.0, 2.0, 3.0]  # means 10 and 2, standard deviations 1 and 1


def test_zprime_by_hand() -> None:
    assert compare_wells(POSITIVE, NEGATIVE, settings=SETTINGS).zprime.value == pytest.approx(1 - 3 * 2 / 8)


def test_ssmd_by_hand_and_sign() -> None:
    assert compare_wells(POSITIVE, NEGATIVE, settings=SETTINGS).ssmd.value == pytest.approx(8 / math.sqrt(2))
    assert compare_wells(NEGATIVE, POSITIVE, settings=SETTINGS).ssmd.value == pytest.approx(-8 / math.sqrt(2))


def test_robust_zprime_by_hand_ignores_an_outlier() -> None:
    # medians 10 and 2; absolute deviations 0 0 1 1 990 and 0 0 1 1 1, so both MADs are 1
    result = compare_wells([9, 10, 10, 11, 1000], [1, 2, 2, 3, 3], settings=SETTINGS).robust_zprime
    assert result.value == pytest.approx(1 - 3 * 2 * 1.4826 / 8)


def test_same_seed_same_interval_other_seed_other_interval() -> None:
    def interval(seed: int) -> tuple[float, float]:
        z = compare_wells(
            POSITIVE * 3, [*NEGATIVE, 2.5, 1.2], settings=ReadoutSettings(bootstrap=500, seed=seed)
        ).zprime
        return z.low, z.high

    assert interval(1) == interval(1)
    assert interval(1) != interval(2)


def test_interval_holds_the_truth_for_many_wells() -> None:
    rng = np.random.default_rng(0)
    truth, hits = 1 - 3 * (0.2 + 0.3) / 3, 0
    for _ in range(100):
        z = compare_wells(rng.normal(4, 0.2, 100), rng.normal(1, 0.3, 100), settings=SETTINGS).zprime
        hits += z.low <= truth <= z.high
    assert 86 <= hits <= 100  # nominal 95 of 100


def test_resamples_of_one_well_are_dropped_and_counted() -> None:
    result = compare_wells(POSITIVE, NEGATIVE, settings=SETTINGS)
    # one in nine resamples of three wells repeats one well: 1 - (8/9)^2 = 21 % have a side without spread
    assert result.zprime.dropped / 500 == pytest.approx(1 - (8 / 9) ** 2, abs=0.06)
    assert f"{result.zprime.dropped} for Z'" in result.note
    assert result.zprime.low < result.zprime.value < result.zprime.high


@pytest.mark.parametrize(
    ("positive", "negative", "words"),
    [
        ([1.0, 2.0], NEGATIVE, "2 positive wells with a value, at least 3 needed"),
        ([1.0, 2.0, math.nan, math.inf], NEGATIVE, "2 positive wells with a value (2 more without a value)"),
        ([], NEGATIVE, "0 positive wells with a value, at least 3 needed"),
        (POSITIVE, [], "0 negative wells"),
        ([0.1, 0.1, 0.1], NEGATIVE, "the positive wells do not vary"),
        ([7.0, 7.0, 7.0], [0.3, 0.3, 0.3], "the positive and negative wells do not vary"),
    ],
)
def test_nan_has_a_reason(positive: list[float], negative: list[float], words: str) -> None:
    result = compare_wells(positive, negative, settings=SETTINGS)
    for statistic in (result.zprime, result.robust_zprime, result.ssmd):
        assert math.isnan(statistic.value)
        assert math.isnan(statistic.low)
        assert words in statistic.reason
    assert words in result.reason


def test_equal_means_are_nan_for_zprime_but_zero_for_ssmd() -> None:
    result = compare_wells(NEGATIVE, NEGATIVE, settings=SETTINGS)
    assert math.isnan(result.zprime.value)
    assert "same mean (2)" in result.zprime.reason
    assert result.ssmd.value == 0
    assert result.reason.startswith("Z': the positive and negative wells have the same mean")


def test_half_of_the_wells_alike_makes_only_the_robust_one_nan() -> None:
    result = compare_wells([5.0, 5.0, 5.0, 9.0], NEGATIVE, settings=SETTINGS)
    assert not math.isnan(result.zprime.value)
    assert result.robust_zprime.reason == "half or more of the positive wells are alike (MAD 0)"


@settings(max_examples=25)
@given(
    factor=st.floats(0.01, 100),
    offset=st.floats(-100, 100),
    seed=st.integers(0, 50),
    flip=st.sampled_from([1, -1]),
)
def test_unit_and_offset_of_the_readout_do_not_matter(factor: float, offset: float, seed: int, flip: int) -> None:
    rng = np.random.default_rng(seed)
    p, n = rng.normal(3, 1, 6), rng.normal(0, 1, 9)
    settings = ReadoutSettings(bootstrap=100)
    one = compare_wells(p, n, settings=settings)
    other = compare_wells(flip * factor * p + offset, flip * factor * n + offset, settings=settings)
    assert other.zprime.value == pytest.approx(one.zprime.value, rel=1e-6)
    assert other.zprime.low == pytest.approx(one.zprime.low, rel=1e-6)
    assert other.robust_zprime.value == pytest.approx(one.robust_zprime.value, rel=1e-6)
    assert other.ssmd.value == pytest.approx(flip * one.ssmd.value, rel=1e-6)


@pytest.mark.parametrize(
    "wrong",
    [
        {"readouts": ()},
        {"readouts": ("a", "a")},
        {"min_wells": 1},
        {"bootstrap": 0},
        {"confidence": 1.0},
        {"max_peak_cv": 0.5},
        {"four_n_ratio": (2.2, 1.75)},
        {"phase_gates_n": (1.5, 1.5, 3.5, 5.0)},
    ],
)
def test_settings_refuse_nonsense(wrong: dict[str, object]) -> None:
    with pytest.raises(ConfigError, match=f"readout.{next(iter(wrong))} is"):
        ReadoutSettings(**wrong)  # type: ignore[arg-type]
