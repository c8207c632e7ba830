"""Dose curves: known curves are found, with intervals that hold the truth; the rest is refused with a reason."""

from __future__ import annotations

import math

import numpy as np
import pandas as pd
import pytest
from helpers.screen_plates import READOUT, Floats, bbbc013, well_names, well_table

from hcs.readout.screen.doses import dose_curves
from hcs.readout.screen.hit_columns import DOSE_COLUMNS
from hcs.readout.screen.logistic import Curve, fit_curve, replicate_weights, response
from hcs.readout.settings import DoseSettings, ReadoutSettings

SETTINGS = ReadoutSettings(readouts=(READOUT,), draws=100)
DOSES = np.geomspace(1, 256, 9)


def plate(responses: Floats, *, negatives: Floats, positives: Floats, doses: Floats = DOSES) -> pd.DataFrame:
    """Replicates (n_doses, k) of one compound, with controls."""
    values = np.concatenate([negatives, positives, responses.ravel()])
    roles = ["negative"] * len(negatives) + ["positive"] * len(positives) + ["sample"] * responses.size
    compounds = ["", "", "drug"]
    names = [compounds[("negative", "positive", "sample").index(role)] for role in roles]
    dose = np.concatenate([np.full(len(negatives) + len(positives), np.nan), np.repeat(doses, responses.shape[1])])
    return well_table(well_names(8, 12)[: len(roles)], roles, values, compounds=names, doses=dose)


def simulated(
    seed: int, *, ec50: float = 16.0, hill: float = 1.3, start: float = 0.0, end: float = 10.0, sd: float = 0.5
) -> pd.DataFrame:
    rng = np.random.default_rng(seed)
    truth = response(np.log10(DOSES), math.log10(ec50), hill, start, end)[:, None]
    return plate(
        truth + sd * rng.standard_normal((9, 3)),
        negatives=start + sd * rng.standard_normal(8),
        positives=end + sd * rng.standard_normal(4),
    )


def curve_of(wells: pd.DataFrame, settings: ReadoutSettings = SETTINGS) -> pd.Series:
    table = dose_curves(wells, settings)
    assert table.columns.tolist() == [c.name for c in DOSE_COLUMNS]
    return table[table["Compound"] == "drug"].iloc[0]


def test_half_the_effect_at_the_ec50() -> None:
    # at the EC50 half way; ten times above it, slope 1: 10/11 of the way; dose 0 is the start
    found = response([-np.inf, 0.0, 1.0], 0.0, 1.0, 2.0, 13.0)
    np.testing.assert_allclose(found, [2.0, 7.5, 12.0])


@pytest.mark.parametrize(("start", "end"), [(0.0, 10.0), (10.0, 0.0)])
def test_an_exact_curve_is_found(start: float, end: float) -> None:
    row = curve_of(simulated(0, start=start, end=end, sd=1e-6))
    assert row["EC50"] == pytest.approx(16, rel=1e-4)
    assert row["Hill"] == pytest.approx(1.3 if end > start else -1.3, rel=1e-3)
    assert (row["Bottom"], row["Top"]) == pytest.approx((0, 10), abs=1e-3)
    assert row["Efficacy"] == pytest.approx(end - start, rel=1e-4)
    assert row["Efficacy_Percent"] == pytest.approx(100, rel=1e-3)
    assert row["Direction"] == ("rising" if end > start else "falling")
    assert row["R2"] == pytest.approx(1)
    assert (row["Count_Wells"], row["Count_Doses"], row["Count_NegativeWells"]) == (27, 9, 8)
    assert (row["Reason"], row["Note"]) == ("", "")


def fitted(seed: int, *, ec50: float = 16.0, hill: float = 1.3, sd: float = 0.5, shared: float = 0.0) -> Curve:
    """Curve through 9 doses in triplicate and 8 wells of dose 0, whose errors the wells of a dose share in part."""
    rng = np.random.default_rng(seed)
    x = np.concatenate([np.full(8, -np.inf), np.repeat(np.log10(DOSES), 3)])
    _, dose = np.unique(x, return_inverse=True)
    y = response(x, math.log10(ec50), hill, 0.0, 10.0) + sd * rng.standard_normal(x.size)
    y += shared * rng.standard_normal(10)[dose]
    return fit_curve(x, y, replicate_weights(x, y), confidence=0.95)


def test_intervals_hold_the_truth_about_as_often_as_they_say() -> None:
    curves = [fitted(seed) for seed in range(60)]
    inside = [curve.low <= math.log10(16) <= curve.high for curve in curves]
    assert 50 <= sum(inside) <= 60  # nominal 57 of 60; weights that are estimated, too, cost one: 93 % of 460 were seen
    for ends, truth in (("hill_ends", 1.3), ("start_ends", 0.0), ("end_ends", 10.0)):
        inside = [getattr(curve, ends)[0] <= truth <= getattr(curve, ends)[1] for curve in curves]
        assert 51 <= sum(inside) <= 60, ends
    assert np.median([curve.high - curve.low for curve in curves]) < 0.25  # decades
    assert sum(curve.lacks_fit for curve in curves) <= 4


def test_wells_of_a_dose_that_share_an_error_do_not_count_as_so_many_witnesses() -> None:
    curves = [fitted(seed, sd=0.3, shared=0.4) for seed in range(40)]
    assert sum(curve.lacks_fit for curve in curves) >= 26
    assert sum(curve.low <= math.log10(16) <= curve.high for curve in curves) >= 33  # 91 % of 300 were seen
    row = curve_of(plate(shared_plate(), negatives=np.linspace(-0.1, 0.1, 8), positives=np.full(4, 10.0)))
    assert row["PValue_LackOfFit"] < 1e-6
    assert row["Note"].startswith("doses scatter about the curve more than their replicates explain (p = ")


def shared_plate() -> Floats:
    """Triplicates that agree to 0.1 on doses that lie 0.5 off their curve, now above, now below it."""
    truth = response(np.log10(DOSES), math.log10(16), 1.3, 0.0, 10.0)
    return (truth + 0.5 * (-1.0) ** np.arange(9))[:, None] + np.array([-0.1, 0.0, 0.1])


def test_no_effect_is_no_curve() -> None:
    rng = np.random.default_rng(0)
    reasons = [
        curve_of(plate(rng.standard_normal((9, 3)), negatives=rng.standard_normal(8), positives=np.full(3, 9.0)))
        for _ in range(12)
    ]
    refused = [row["Reason"].startswith("no effect of the dose beyond chance (F test, p = ") for row in reasons]
    assert sum(refused) >= 11  # about 1 in 75 passes the F test
    assert all(math.isnan(row["EC50"]) for row, no in zip(reasons, refused, strict=True) if no)


def test_a_hump_is_no_sigmoid() -> None:
    hump = 10 * np.exp(-((np.arange(9.0) - 4) ** 2))[:, None] + np.array([[-0.01, 0.0, 0.01]])
    row = curve_of(plate(hump, negatives=np.zeros(8), positives=np.full(3, 10.0)))
    assert row["Reason"].startswith("no ")
    assert math.isnan(row["EC50"])


@pytest.mark.parametrize(
    ("ec50", "words"),
    [
        (5000.0, "EC50 > 256 nM, the highest dose: the effect does not level off"),
        (0.05, "EC50 < 1 nM, the lowest dose: the effect is there already"),
    ],
)
def test_an_ec50_outside_the_doses_is_only_bounded(ec50: float, words: str) -> None:
    end = 300.0 if ec50 > 256 else 10.0
    row = curve_of(simulated(3, ec50=ec50, hill=1.0, end=end, sd=0.2))
    assert row["Reason"] == words
    assert math.isnan(row["EC50"])
    assert math.isnan(row["Hill"])
    assert row["Direction"] == "rising"
    assert row["EC50_Low"] < ec50 < row["EC50_High"]


def test_an_end_that_the_doses_do_not_reach_leaves_the_interval_open() -> None:
    curves = [fitted(seed, ec50=250.0, hill=1.0, sd=1.0) for seed in range(30)]
    assert sum(math.isinf(curve.high) for curve in curves) >= 24  # noise makes some curves level off: 89 % of 300
    assert sum(curve.low <= math.log10(250) <= curve.high for curve in curves) >= 26
    assert all(math.isfinite(curve.low) for curve in curves)
    row = curve_of(simulated(3, ec50=250.0, hill=1.0, sd=1.0))
    assert math.isnan(row["EC50"])
    assert math.isnan(row["Top"])
    assert row["EC50_Low"] < 250
    assert math.isinf(row["EC50_High"])
    assert row["Reason"].startswith("EC50 open above, > ")
    assert row["Reason"].endswith(": the effect does not level off up to 256 nM, the highest dose")


def test_a_partial_curve_gives_a_bound_and_no_number_that_is_too_low() -> None:
    rows = [curve_of(simulated(seed, ec50=1000.0, hill=1.0, end=40.0, sd=0.5)) for seed in range(25)]
    printed = [row["EC50"] for row in rows if math.isfinite(row["EC50"])]
    assert len(printed) <= 1  # noise alone can make a curve level off
    assert sum(row["EC50_Low"] <= 1000 <= row["EC50_High"] for row in rows) >= 22
    assert all("EC50 > 256 nM" in row["Reason"] or "EC50 open above" in row["Reason"] for row in rows if row["Reason"])


@pytest.mark.parametrize(("ec50", "hill"), [(4.0, 1.0), (16.0, 2.0), (64.0, 1.3)])
def test_intervals_of_enclosed_curves_hold_the_truth(ec50: float, hill: float) -> None:
    curves = [fitted(seed, ec50=ec50, hill=hill) for seed in range(100, 220)]
    inside = np.mean([curve.low <= math.log10(ec50) <= curve.high for curve in curves])
    assert 0.89 <= inside <= 1.0  # nominal 0.95, known to 0.02 by 120 curves; the benchmark has more


def test_too_few_doses_or_wells() -> None:
    few = plate(np.ones((4, 3)), negatives=np.zeros(8), positives=np.ones(3), doses=DOSES[:4])
    assert curve_of(few)["Reason"] == "4 doses with a value, at least 5 needed"
    single = plate(np.arange(5.0)[:, None], negatives=np.empty(0), positives=np.empty(0), doses=DOSES[:5])
    assert curve_of(single)["Reason"] == "5 wells with a value, at least 6 needed"
    flat = plate(np.ones((9, 2)), negatives=np.ones(4), positives=np.ones(3))
    assert curve_of(flat)["Reason"] == "all wells have the same value"


@pytest.mark.parametrize("seed", [3, 4])
def test_negatives_anchor_the_curve_only_where_asked(seed: int) -> None:
    wells = simulated(seed, ec50=2.0)  # the lower end of the curve lies below the doses
    free = curve_of(wells, ReadoutSettings(readouts=(READOUT,), doses=DoseSettings(anchor=False)))
    anchored = curve_of(wells)
    assert anchored["Reason"] == ""
    assert (free["Count_NegativeWells"], anchored["Count_NegativeWells"]) == (0, 8)
    if free["Reason"]:
        assert free["Reason"].endswith("the effect is there already at 1 nM, the lowest dose")
    else:
        assert anchored["Bottom_High"] - anchored["Bottom_Low"] < (free["Bottom_High"] - free["Bottom_Low"]) / 2
    assert anchored["EC50_Low"] > free["EC50_Low"] / 1.01


def test_unit_of_dose_and_readout_do_not_matter() -> None:
    wells = simulated(6)
    one = curve_of(wells)
    other = curve_of(wells.assign(Metadata_Dose=wells["Metadata_Dose"] * 1e3, **{READOUT: 5 - 7 * wells[READOUT]}))
    assert other["EC50"] == pytest.approx(1e3 * one["EC50"], rel=1e-3)
    assert other["EC50_High"] == pytest.approx(1e3 * one["EC50_High"], rel=1e-2)
    assert other["Hill"] == pytest.approx(-one["Hill"], rel=1e-3)


def test_weights_follow_the_spread_of_replicates_but_not_all_the_way() -> None:
    x = np.repeat([0.0, 1.0], 3)
    y = np.array([-1.0, 0.0, 1.0, -3.0, 0.0, 3.0])  # variances 1 and 9, pooled 5
    weights = replicate_weights(x, y)
    # (8 x 5 + 2 x 1) / 10 against (8 x 5 + 2 x 9) / 10
    assert weights[0] / weights[3] == pytest.approx(58 / 42)
    assert weights.mean() == pytest.approx(1)
    assert replicate_weights(np.arange(4.0), np.arange(4.0)).tolist() == [1, 1, 1, 1]


def test_a_noisy_dose_counts_less() -> None:
    x = np.repeat(np.log10(DOSES), 3)
    y = response(x, 1.2, 1.3, 0, 10)
    noisy = y.copy()
    noisy[12:15] += [-6, 1, 8]
    weighted = fit_curve(x, noisy, replicate_weights(x, noisy), confidence=0.95)
    plain = fit_curve(x, noisy, np.ones_like(y), confidence=0.95)
    assert abs(weighted.log_ec50 - 1.2) < abs(plain.log_ec50 - 1.2)


def test_ec50s_of_a_real_plate() -> None:
    settings = ReadoutSettings(readouts=("Mean_Nuclei_Sensor_Ratio", "Mean_Nuclei_Sensor_LogRatio", "Count_Nuclei"))
    table = dose_curves(bbbc013(), settings).set_index(["Readout", "Compound"])
    wortmannin = table.loc[("Mean_Nuclei_Sensor_Ratio", "Wortmannin")]
    ly294002 = table.loc[("Mean_Nuclei_Sensor_Ratio", "LY294002")]
    # PI3-kinase inhibitors: low nanomolar (about 5 nM on the enzyme) and low micromolar (1.4 uM on the enzyme)
    assert (wortmannin["Unit"], ly294002["Unit"]) == ("nM", "uM")
    assert 3 < wortmannin["EC50_Low"] < wortmannin["EC50"] < wortmannin["EC50_High"] < 10
    assert 1 < ly294002["EC50_Low"] < ly294002["EC50"] < ly294002["EC50_High"] < 5
    for row in (wortmannin, ly294002):
        assert row["EC50_High"] / row["EC50_Low"] < 1.5
        assert row["R2"] > 0.95
        assert -4 < row["Hill"] < -1
        assert row["Efficacy_Percent"] == pytest.approx(100, abs=5)
        assert (row["Count_Wells"], row["Count_NegativeWells"], row["Direction"]) == (40, 8, "falling")
    log = table.loc[("Mean_Nuclei_Sensor_LogRatio", "Wortmannin"), "EC50"]
    assert 1 < log / wortmannin["EC50"] < 2  # half way on the log scale is a higher dose
    assert table.loc["Count_Nuclei", "Reason"].str.startswith("no effect of the dose beyond chance").all()
