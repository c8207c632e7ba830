"""The linear discriminant of controls cannot flatter itself, and finds what no single readout shows."""

from __future__ import annotations

import math

import numpy as np
import pandas as pd
import pytest
from helpers.screen_plates import READOUT, control_plate

from hcs.readout.screen.assay import assay_quality
from hcs.readout.screen.discriminant import discriminate, fit_discriminant, held_out_scores
from hcs.readout.screen.zprime import compare_wells
from hcs.readout.settings import ReadoutSettings

SETTINGS = ReadoutSettings(readouts=(READOUT,), draws=100)


def plate(features: np.ndarray, n: int) -> pd.DataFrame:
    """n negatives and n positives with features (2n, p) and a readout that tells nothing."""
    wells = control_plate({"negative": [0.0] * n, "positive": [0.0] * n})
    return pd.concat([wells, pd.DataFrame({f"Mean_F{i}": f for i, f in enumerate(features.T)})], axis=1)


@pytest.mark.parametrize(("n", "p"), [(4, 150), (8, 150), (8, 10)])
def test_noise_gives_no_separation(n: int, p: int) -> None:
    found, flattering = [], []
    for seed in range(8):
        noise = np.random.default_rng(seed).standard_normal((2 * n, p))
        found.append(discriminate(plate(noise, n), SETTINGS)["ZPrime"].iloc[-1])
        positive = np.arange(2 * n) >= n
        scores = fit_discriminant(noise, positive).score(noise)
        gap = scores[positive].mean() - scores[~positive].mean()
        flattering.append(1 - 3 * (scores[positive].std(ddof=1) + scores[~positive].std(ddof=1)) / gap)
    assert not (np.array(found) > 0).any()  # NaN or negative, every time
    if p == 150 and n == 4:
        assert np.median(flattering) > 0.8  # what the same wells would claim of themselves


def test_two_readouts_together_tell_what_neither_tells_alone() -> None:
    rng = np.random.default_rng(1)
    n = 12
    shared = rng.standard_normal(2 * n)  # well to well, both readouts go up and down together; the effect parts them
    effect = np.repeat([0.0, 2.0], n)
    features = np.column_stack([shared - effect, shared + effect]) + 0.1 * rng.standard_normal((2 * n, 2))
    wells = plate(features, n)
    alone = assay_quality(wells, SETTINGS)
    assert alone["ZPrime"].max() < 0
    row = discriminate(wells, SETTINGS).iloc[-1]
    assert row["ZPrime"] > 0.7
    assert row["SSMD"] > 5
    assert row["Count_Readouts"] == 2  # readouts that do not vary take no part
    assert row["Readouts"] == "Mean_F0;Mean_F1"
    assert set(row["Leading"].split(";")) == {"Mean_F0", "Mean_F1"}


def test_near_duplicates_do_not_make_the_assay_look_worse() -> None:
    lost = []
    for seed in range(15):
        rng = np.random.default_rng(seed)
        positive = np.arange(12) >= 8
        shared = rng.standard_normal((12, 1))  # 78 readouts that say one thing, each with a little noise of its own
        values = shared + 0.3 * rng.standard_normal((12, 78)) + 12 * positive[:, None]
        alone = compare_wells(values[positive, 0], values[~positive, 0], settings=SETTINGS).zprime.value
        scores, _ = held_out_scores(values, positive)
        lost.append(alone - compare_wells(scores[positive], scores[~positive], settings=SETTINGS).zprime.value)
    assert np.median(lost) < 0.15  # twelve wells that are left out one by one lose 0.09


def test_scores_of_the_wells_it_is_made_from_have_means_0_and_1() -> None:
    rng = np.random.default_rng(2)
    positive = np.arange(14) >= 8
    values = rng.standard_normal((14, 5)) + 2 * positive[:, None]
    scores = fit_discriminant(values, positive).score(values)
    assert scores[~positive].mean() == pytest.approx(0, abs=1e-12)
    assert scores[positive].mean() == pytest.approx(1)


def test_scores_do_not_depend_on_units() -> None:
    rng = np.random.default_rng(3)
    positive = np.arange(14) >= 7
    values = rng.standard_normal((14, 4)) + positive[:, None]
    scores, _ = held_out_scores(values, positive)
    rescaled, _ = held_out_scores(values * [1, 10, 1e4, 1e-3] + 5, positive)
    np.testing.assert_allclose(scores, rescaled, rtol=1e-6)


def test_many_controls_are_held_out_in_parts() -> None:
    rng = np.random.default_rng(4)
    positive = np.arange(300) >= 150
    values = rng.standard_normal((300, 3)) + 4 * positive[:, None]
    scores, _ = held_out_scores(values, positive)
    assert scores[positive].mean() == pytest.approx(1, abs=0.05)
    assert scores[~positive].mean() == pytest.approx(0, abs=0.05)


def test_reasons() -> None:
    few = discriminate(control_plate({"negative": [1.0, 2, 3], "positive": [9.0, 10, 11]}), SETTINGS).iloc[-1]
    assert math.isnan(few["ZPrime"])
    assert few["Reason"] == "3 positive and 3 negative wells with nuclei, at least 4 of each needed"
    flat = discriminate(control_plate({"negative": [1.0] * 4, "positive": [1.0] * 4}), SETTINGS).iloc[-1]
    assert flat["Reason"].startswith("no readout that every control well has")
