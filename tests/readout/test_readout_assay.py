"""Statistics of assay quality: anchors worked out by hand, scales, ranks, agreement with the plate table, speed."""

from __future__ import annotations

import math
import time

import numpy as np
import pandas as pd
import pytest
from helpers.screen_plates import READOUT, bbbc013, control_plate, well_names, well_table
from hypothesis import given, settings
from hypothesis import strategies as st

from hcs.errors import ConfigError
from hcs.readout.groups import numeric_readouts
from hcs.readout.screen import assay_statistics as extra
from hcs.readout.screen.assay import assay_quality, transformed
from hcs.readout.screen.assay_columns import ASSAY_COLUMNS
from hcs.readout.screen.zprime import compare_wells
from hcs.readout.settings import ReadoutSettings

SETTINGS = ReadoutSettings(readouts=(READOUT,), draws=100)
POSITIVE, NEGATIVE = np.array([9.0, 10.0, 11.0]), np.array([1.0, 2.0, 3.0])
SKEWED = np.array([1.0, 2.0, 2.0, 2.0, 13.0])  # mean 4


def test_one_sided_zprime_is_zprime_where_wells_lie_evenly() -> None:
    assert extra.one_sided_zprime(POSITIVE, NEGATIVE) == pytest.approx(1 - 3 * 2 / 8)


def test_one_sided_zprime_leaves_the_far_tail_out() -> None:
    # negatives below the mean 4: deviations 3, 2, 2, 2, mean square 21/4, times 5/4; their long tail points away
    spread = math.sqrt(21 / 4 * 5 / 4)
    low = np.array([-9.0, -10.0, -11.0])
    assert extra.one_sided_zprime(low, SKEWED) == pytest.approx(1 - 3 * (1 + spread) / 14)
    # towards positives at 100 the tail counts: one well, 9 from the mean
    assert extra.one_sided_zprime(POSITIVE * 10, SKEWED) == pytest.approx(1 - 3 * (10 + math.sqrt(81 * 5 / 4)) / 96)


def test_v_factor_by_hand() -> None:
    # standard deviations 1, 1, 2 (mean 4/3), window 8; the single well has none
    points = [POSITIVE, NEGATIVE, np.array([4.0, 6.0, 8.0]), np.array([5.0])]
    assert extra.v_factor(points, 8.0) == pytest.approx(1 - 6 * (4 / 3) / 8)
    assert extra.v_factor([POSITIVE, NEGATIVE], 8.0) == pytest.approx(1 - 3 * 2 / 8)  # Z'


def test_signal_window_signal_to_background_and_variation_by_hand() -> None:
    assert extra.signal_window(POSITIVE, NEGATIVE) == pytest.approx((8 - 3 * 2) / 1)
    assert extra.signal_window(NEGATIVE, POSITIVE * 2) == pytest.approx((18 - 3 * 3) / 2)  # SD of the higher one
    assert extra.signal_to_background(POSITIVE, NEGATIVE) == pytest.approx(5)
    assert math.isnan(extra.signal_to_background(POSITIVE, -NEGATIVE))
    assert extra.variation(NEGATIVE) == pytest.approx(0.5)
    assert math.isnan(extra.variation(NEGATIVE - 2))


@pytest.mark.parametrize(
    ("low", "high", "strength", "name"),
    [
        (3.0, 9.0, "strong", "excellent"),
        (-9.0, -2.9, "strong", "good"),
        (1.5, 9.0, "strong", "inferior"),
        (0.9, 9.0, "strong", "poor"),
        (-9.0, 9.0, "strong", "poor"),
        (2.0, 3.0, "moderate", "excellent"),
        (0.6, 3.0, "moderate", "inferior"),
        (4.9, 9.0, "very strong", "good"),
        (6.0, 9.0, "extremely strong", "good"),
        (math.nan, math.nan, "strong", ""),
    ],
)
def test_classes_of_ssmd_go_by_the_end_nearer_to_0(
    low: float, high: float, strength: extra.ControlStrength, name: str
) -> None:
    assert extra.ssmd_class(low, high, strength) == name


@settings(max_examples=25)
@given(factor=st.floats(0.01, 100), offset=st.floats(-100, 100), seed=st.integers(0, 50), flip=st.sampled_from([1, -1]))
def test_unit_and_offset_do_not_matter(factor: float, offset: float, seed: int, flip: int) -> None:
    rng = np.random.default_rng(seed)
    p, n = rng.normal(3, 1, 6), rng.normal(0, 1, 9)
    scaled = flip * factor * p + offset, flip * factor * n + offset
    assert extra.one_sided_zprime(*scaled) == pytest.approx(extra.one_sided_zprime(p, n), rel=1e-6)
    assert extra.signal_window(factor * p, factor * n) == pytest.approx(extra.signal_window(p, n), rel=1e-6)


def test_fractions_are_judged_on_the_logit_scale_too_and_ratios_on_the_log_scale() -> None:
    wells = control_plate(
        {"negative": [0.0, 0.1, 0.2], "positive": [0.8, 0.9, 1.0]},
        Fraction_4N=[0.0, 0.1, 0.2, 0.8, 0.9, 1.0],
        Mean_Sensor_Ratio=[2.0, 2.2, 1.8, 0.25, 0.5, 0.0],
        Mean_Sensor_LogRatio=1.0,
    )
    logit = transformed(wells, "Fraction_4N", "logit")
    assert logit[0] == pytest.approx(math.log(0.5 / 100.5))  # finite at 0: 0 of 100 nuclei
    assert logit[3] == pytest.approx(math.log(80.5 / 20.5))
    assert transformed(wells, "Mean_Sensor_Ratio", "log")[3] == -2
    table = assay_quality(wells, SETTINGS)
    scales = table.groupby("Readout")["Transform"].agg(sorted).to_dict()
    assert scales["Fraction_4N"] == ["logit", "none"]
    assert scales["Mean_Sensor_Ratio"] == ["log", "none"]
    assert scales["Mean_Sensor_LogRatio"] == ["none"]
    log = table[(table["Readout"] == "Mean_Sensor_Ratio") & (table["Transform"] == "log")].iloc[0]
    assert log["Count_Positive"] == 2  # a ratio of 0 has no logarithm
    assert log["Reason"].startswith("2 positive wells with a value (1 more without a value)")


def test_best_readout_ranks_first_and_undefined_ones_last() -> None:
    wells = control_plate(
        {"negative": [1.0, 2.0, 3.0], "positive": [9.0, 10.0, 11.0]},
        Mean_Better=[1.0, 1.1, 1.2, 9.0, 9.1, 9.2],
        Mean_Absent=np.nan,
    )
    table = assay_quality(wells, SETTINGS)
    ranked = table.sort_values("Rank")["Readout"].tolist()
    assert ranked[:2] == ["Mean_Better", READOUT]
    assert table["Rank"].tolist() == list(range(1, len(table) + 1))
    absent = table[table["Readout"] == "Mean_Absent"].iloc[0]
    assert math.isnan(absent["ZPrime"])
    assert absent["Reason"] == "no well has a value of Mean_Absent"
    assert [c.name for c in ASSAY_COLUMNS] == table.columns.tolist()


def test_a_minimum_of_wells_below_which_nothing_is_said() -> None:
    table = assay_quality(control_plate({"negative": [1.0, 2.0, 3.0], "positive": [9.0, 10.0]}), SETTINGS)
    numbers = [c.name for c in ASSAY_COLUMNS if c.dtype == "float64"]
    assert table[numbers].isna().all(axis=None)
    assert table["SSMD_Class"].tolist() == [""] * len(table)
    assert table["Reason"].str.contains("2 positive wells with a value, at least 3 needed").all()


def test_numbers_of_a_real_plate_are_those_of_its_wells() -> None:
    wells = bbbc013()
    settings = ReadoutSettings(readouts=("Mean_Nuclei_Sensor_Ratio",))
    table = assay_quality(wells, settings).set_index(["Readout", "Group", "Transform"])
    row = table.loc[("Mean_Nuclei_Sensor_Ratio", "Wortmannin", "none")]
    here = wells[wells["Metadata_Group"] == "Wortmannin"]
    p, n = (here.loc[here["Metadata_Role"] == r, "Mean_Nuclei_Sensor_Ratio"] for r in ("positive", "negative"))
    assert row["ZPrime"] == pytest.approx(1 - 3 * (p.std() + n.std()) / abs(p.mean() - n.mean()))
    assert row["SSMD"] == pytest.approx((p.mean() - n.mean()) / math.hypot(p.std(), n.std()))
    assert row["SSMD_Class"] == "excellent"
    same = compare_wells(p, n, settings=settings)  # the same draws as in the plate table
    assert (row["ZPrime_Low"], row["ZPrime_High"]) == (same.zprime.low, same.zprime.high)
    doses = here[here["Metadata_Role"] == "sample"].groupby("Metadata_Dose")["Mean_Nuclei_Sensor_Ratio"].std()
    mean_sd = np.mean([p.std(), n.std(), *doses])
    assert row["VFactor"] == pytest.approx(1 - 6 * mean_sd / abs(p.mean() - n.mean()))
    assert (row["Count_Positive"], row["Count_Negative"]) == (4, 8)


def test_places_field_counts_and_what_tells_of_the_imaging_are_no_readouts() -> None:
    wells = control_plate(
        {"negative": [1.0], "positive": [2.0]},
        Fields_Ok=1, Mean_Nuclei_AreaShape_Center_X=1.0, Metadata_Batch=1, Status="ok", Flag=True,
        Mean_Nuclei_Confidence=0.9, Median_Nuclei_Intensity_Background_DNA=5.0, Count_Duplicates=2,
        Mean_Nuclei_Flag_SaturatedPixels_DNA=1.0, Mean_Nuclei_Flag_FieldBackground=0.0,
    )  # fmt: skip
    assert numeric_readouts(wells) == ["Count_Nuclei", "Count_Nuclei_Measured", READOUT]


def test_every_readout_of_a_384_well_plate_takes_seconds() -> None:
    rng = np.random.default_rng(0)
    wells = well_names(16, 24)
    roles = ["negative" if w.endswith("01") else "positive" if w.endswith("24") else "sample" for w in wells]
    more = pd.DataFrame({f"Mean_F{i}": rng.standard_normal(384) for i in range(150)})
    table = pd.concat([well_table(wells, roles, rng.standard_normal(384), doses=1.0), more], axis=1)
    start = time.process_time()
    found = assay_quality(table, ReadoutSettings(readouts=(READOUT,)))
    assert time.process_time() - start < 3  # 0.8 s on one core of an AMD EPYC
    assert found["ZPrime_Low"].notna().sum() >= 150


def test_settings_refuse_nonsense() -> None:
    from hcs.readout.settings import DoseSettings, HitSettings

    with pytest.raises(ConfigError, match=r"readout\.doses\.min_doses is 3; it must be at least 4"):
        DoseSettings(min_doses=3)
    with pytest.raises(ConfigError, match=r"readout\.hits\.fdr is 1"):
        HitSettings(fdr=1.0)
