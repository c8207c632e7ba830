"""Z' family: anchors worked out by hand, invariances, and every reason for NaN."""

from __future__ import annotations

import math

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from hcs.errors import ConfigError
from hcs.readout.screen.zprime import compare_wells
from hcs.readout.settings import ReadoutSettings

SETTINGS = ReadoutSettings(draws=500)
POSITIVE, NEGATIVE = [9.0, 10.0, 11.0], [1.0, 2.0, 3.0]  # means 10 and 2, standard deviations 1 and 1


def test_zprime_by_hand() -> None:
    assert compare_wells(POSITIVE, NEGATIVE, settings=SETTINGS).zprime.value == pytest.approx(1 - 3 * 2 / 8)


def test_ssmd_by_hand_and_sign() -> None:
    assert compare_wells(POSITIVE, NEGATIVE, settings=SETTINGS).ssmd.value == pytest.approx(8 / math.sqrt(2))
    assert compare_wells(NEGATIVE, POSITIVE, settings=SETTINGS).ssmd.value == pytest.approx(-8 / math.sqrt(2))


def test_robust_zprime_by_hand_ignores_an_outlier() -> None:
    # medians 10 and 2; absolute deviations 0 0 1 1 990 and 0 0 1 1 1, so both MADs are 1; of five wells times 1.206
    result = compare_wells([9, 10, 10, 11, 1000], [1, 2, 2, 3, 3], settings=SETTINGS).robust_zprime
    assert result.value == pytest.approx(1 - 3 * 2 * 1.4826 * 1.206 / 8)


def test_same_seed_same_interval_other_seed_other_interval() -> None:
    def interval(seed: int) -> tuple[float, float]:
        z = compare_wells(POSITIVE * 3, [*NEGATIVE, 2.5, 1.2], settings=ReadoutSettings(draws=500, seed=seed)).zprime
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


@pytest.mark.parametrize(
    ("positive", "negative", "sds", "zprime"),
    [
        (3, 3, (1, 1), 0.5),
        (3, 16, (3, 1), 0.5),
        (4, 4, (1, 1), 0.0),
        (4, 8, (1, 3), 0.8),
        (8, 8, (1, 1), 0.5),
        (16, 16, (1, 1), 0.8),
    ],
)
def test_intervals_hold_the_truth_as_often_as_they_say(
    positive: int, negative: int, sds: tuple[float, float], zprime: float
) -> None:
    rng = np.random.default_rng(0)
    gap = 3 * sum(sds) / (1 - zprime)
    truths = (zprime, zprime, gap / math.hypot(*sds))
    inside = np.zeros(3)
    asked = ReadoutSettings(draws=1000)
    for _ in range(1500):
        found = compare_wells(rng.normal(gap, sds[0], positive), rng.normal(0, sds[1], negative), settings=asked)
        inside += [
            s.low <= t <= s.high for s, t in zip((found.zprime, found.robust_zprime, found.ssmd), truths, strict=True)
        ]
    assert (inside / 1500 >= 0.93).all(), inside / 1500  # 1,500 plates know it to 0.006
    assert (inside / 1500 <= 0.978).all(), inside / 1500


@pytest.mark.parametrize("n", [3, 4, 6, 9, 16])
def test_robust_zprime_does_not_flatter_few_wells(n: int) -> None:
    rng = np.random.default_rng(1)
    found = [
        compare_wells(
            rng.normal(12, 1, n), rng.normal(0, 1, n), settings=ReadoutSettings(draws=100)
        ).robust_zprime.value
        for _ in range(1500)
    ]
    assert np.mean(found) == pytest.approx(0.5, abs=0.03)  # 0.67 with three wells, without the small-sample factor


def test_three_wells_are_never_excellent_by_luck() -> None:
    # 3 against 3 wells that truly separate marginally (Z' = 0.3) come out above 0.5 in a quarter of plates
    rng = np.random.default_rng(2)
    found = [
        compare_wells(rng.normal(6 / 0.7, 1, 3), rng.normal(0, 1, 3), settings=ReadoutSettings(draws=500)).zprime
        for _ in range(400)
    ]
    assert np.mean([z.value >= 0.5 for z in found]) > 0.2
    assert np.mean([z.low >= 0.5 for z in found]) < 0.025


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
    settings = ReadoutSettings(draws=100)
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
        {"draws": 0},
        {"confidence": 1.0},
        {"max_peak_cv": 0.5},
        {"four_n_ratio": (2.2, 1.75)},
        {"phase_gates_n": (1.5, 1.5, 3.5, 5.0)},
    ],
)
def test_settings_refuse_nonsense(wrong: dict[str, object]) -> None:
    with pytest.raises(ConfigError, match=f"readout.{next(iter(wrong))} is"):
        ReadoutSettings(**wrong)  # type: ignore[arg-type]
