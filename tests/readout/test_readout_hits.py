"""Scores, hits and plate effects: anchors by hand and by SciPy, planted hits, planted effects, layouts refused."""

from __future__ import annotations

import math

import numpy as np
import pandas as pd
import pytest
import scipy.stats
from helpers.screen_plates import READOUT, bbbc013, well_names, well_table
from hypothesis import given, settings
from hypothesis import strategies as st

from hcs.errors import ConfigError
from hcs.readout.cycle.caicedo import caicedo_fractions
from hcs.readout.screen.chance import false_discovery, t_test
from hcs.readout.screen.hit_columns import HIT_COLUMNS, REPLICATE_COLUMNS, SCORE_COLUMNS
from hcs.readout.screen.hits import find_hits
from hcs.readout.screen.plate_effects import correct, positions_of
from hcs.readout.screen.replicates import replicate_correlation
from hcs.readout.screen.scores import score_wells
from hcs.readout.screen.tables import screen_notes, screen_tables
from hcs.readout.settings import HitSettings, ReadoutSettings
from hcs.readout.tables import TABLES

SETTINGS = ReadoutSettings(readouts=(READOUT,), draws=100)


def settings_with(**hits: object) -> ReadoutSettings:
    return ReadoutSettings(readouts=(READOUT,), draws=100, hits=HitSettings(**hits))  # type: ignore[arg-type]


def screen(seed: int, *, replicates: int = 2, hits: int = 5, effect: float = 8.0) -> pd.DataFrame:
    """A 384-well plate, all scattered at random: 32 negatives, 16 positives, samples; the first compounds are hits."""
    rng = np.random.default_rng(seed)
    wells = list(rng.permutation(well_names(16, 24)))
    n = (384 - 48) // replicates
    roles = ["negative"] * 32 + ["positive"] * 16 + ["sample"] * (n * replicates)
    compounds = [""] * 48 + [f"c{i:03d}" for i in range(n) for _ in range(replicates)]
    doses = np.where(np.array(roles) == "sample", 10.0, np.nan)
    values = 100 + rng.standard_normal(384)
    values[32:48] += 10
    values[48 : 48 + hits * replicates] += effect
    return well_table(wells, roles, values, compounds=compounds, doses=doses).sort_values("Metadata_Well")


@settings(max_examples=60)
@given(st.lists(st.floats(0, 1), min_size=1, max_size=40))
def test_false_discovery_is_scipys(p: list[float]) -> None:
    np.testing.assert_allclose(false_discovery(p), scipy.stats.false_discovery_control(p), rtol=1e-12)


def test_false_discovery_leaves_missing_tests_out() -> None:
    q = false_discovery([0.01, math.nan, 0.04, 0.03])
    assert q[[0, 2, 3]].tolist() == pytest.approx([0.03, 0.04, 0.04])
    assert math.isnan(q[1])
    assert false_discovery([]).size == 0


def test_t_test_is_students_and_with_one_well_a_test_of_a_new_value() -> None:
    negative = np.array([1.0, 2.0, 4.0, 3.0])
    values = np.array([5.0, 6.0, 5.5])
    assert t_test(values, negative) == pytest.approx(scipy.stats.ttest_ind(values, negative).pvalue)
    t = (6 - 2.5) / (negative.std(ddof=1) * math.sqrt(1 + 1 / 4))
    assert t_test(np.array([6.0]), negative) == pytest.approx(2 * scipy.stats.t.sf(t, 3))
    assert math.isnan(t_test(values, np.array([1.0])))
    assert math.isnan(t_test(np.array([2.0]), np.array([1.0, 1.0])))


def test_scores_by_hand() -> None:
    roles = ["negative"] * 5 + ["positive"] * 2 + ["sample"]
    values = [8.0, 9.0, 10.0, 11.0, 17.0, 31.0, 31.0, 16.0]  # negatives: median 10, MAD 1, mean 11
    table = score_wells(well_table(well_names(2, 4), roles, values), SETTINGS)
    assert table.columns.tolist() == [c.name for c in SCORE_COLUMNS]
    row = table.iloc[-1]
    assert row["RobustZ"] == pytest.approx(6 / (1.4826 * 1.206))  # the factor of five wells
    assert row["PercentOfControl"] == pytest.approx(100 * 16 / 11)
    assert row["PercentEffect"] == pytest.approx(25)
    assert (row["Correction"], row["Corrected"], row["RobustZ_Corrected"]) == ("none", 16, row["RobustZ"])
    negatives = np.array(values[:5])
    assert row["PValue"] == pytest.approx(scipy.stats.ttest_ind([16.0], negatives).pvalue)
    assert row["QValue"] == pytest.approx(row["PValue"])  # one sample well
    assert not row["Hit"]  # far from the median, but one negative is as far: p = 0.25
    assert table["QValue"].notna().tolist() == [False] * 7 + [True]


def test_wells_are_scored_by_their_groups_controls() -> None:
    roles = ["negative"] * 3 + ["sample"] + ["negative"] * 3 + ["sample"]
    groups = ["x"] * 4 + ["y"] * 4
    wells = well_table(well_names(2, 4), roles, [1, 2, 3, 2, 101, 102, 103, 102], Metadata_Group=groups)
    table = score_wells(wells, SETTINGS)
    assert table["RobustZ"].iloc[[3, 7]].tolist() == [0, 0]
    assert table["Count_NegativeWells"].tolist() == [3] * 8
    few = score_wells(wells.assign(Metadata_Group=["x"] * 2 + ["z"] * 6), SETTINGS)
    assert few["Reason"].iloc[0] == "2 negative wells with a value, at least 3 needed"
    assert few["RobustZ"].iloc[:2].isna().all()


def test_planted_hits_are_found_and_few_others() -> None:
    found = [find_hits(score_wells(screen(seed), SETTINGS), SETTINGS) for seed in range(3)]
    true = false = 0
    for table in found:
        assert table.columns.tolist() == [c.name for c in HIT_COLUMNS]
        hits = set(table.loc[table["Hit"], "Compound"])
        true += len(hits & {f"c{i:03d}" for i in range(5)})
        false += len(hits - {f"c{i:03d}" for i in range(5)})
    assert true == 15
    assert false <= 2  # of 489; 5 % of discoveries aimed at
    positives = found[0][found[0]["Role"] == "positive"]
    assert not positives["Hit"].any()
    assert positives["QValue"].isna().all()
    assert positives["PercentEffect"].iloc[0] == pytest.approx(100)


def test_without_effects_the_tests_are_calibrated() -> None:
    p = pd.concat([find_hits(score_wells(screen(s, hits=0), SETTINGS), SETTINGS) for s in range(4)])
    tested = p.loc[p["Role"] == "sample", "PValue"]
    assert (tested < 0.05).mean() == pytest.approx(0.05, abs=0.03)


def test_hits_by_ssmd_need_two_wells() -> None:
    by = settings_with(by="ssmd", correction="none")
    pairs = find_hits(score_wells(screen(1), by), by)
    assert set(pairs.loc[pairs["Hit"], "Compound"]) >= {"c000", "c001", "c002", "c003", "c004"}
    against = settings_with(by="ssmd", reference="negatives", correction="none")
    first = find_hits(score_wells(screen(1), against), against)
    first = first[first["Compound"] == "c000"].iloc[0]
    wells = screen(1)
    a = wells.loc[wells["Metadata_Compound"] == "c000", READOUT]
    b = wells.loc[wells["Metadata_Role"] == "negative", READOUT]
    assert first["SSMD"] == pytest.approx((a.mean() - b.mean()) / math.hypot(a.std(), b.std()))
    single = find_hits(score_wells(screen(1, replicates=1), by), by)
    assert not single["Hit"].any()
    assert (single.loc[single["Role"] == "sample", "Reason"] == "1 well with a value: no ssmd").all()


@pytest.mark.parametrize("method", ["bscore", "edge"])
def test_a_planted_plate_effect_is_taken_out(method: str) -> None:
    wells = screen(2, hits=0)
    place = positions_of(wells["Metadata_Well"])
    assert place.shape == (16, 24)
    effect = (
        4.0 * place.edge + 0.3 * place.rows if method == "edge" else 5.0 * (place.rows == 3) - 4 * (place.columns == 7)
    )
    spoilt = wells.assign(**{READOUT: wells[READOUT] + effect})
    before = score_wells(spoilt, settings_with(correction="none"))
    after = score_wells(spoilt, settings_with(correction=method))
    truth = wells[READOUT].to_numpy()
    left = after["Corrected"].to_numpy() - truth
    assert np.std(left) < 0.3 * np.std(effect)  # the medians of 14 to 21 wells of SD 1 are what is left
    assert np.std(after["Corrected"]) < np.std(before["Corrected"])
    assert (after["Value"] == before["Value"]).all()
    assert (after["Correction"] == method).all()
    np.testing.assert_allclose(after["RobustZ"], before["RobustZ"])  # before and after side by side
    assert after["BScore"].notna().all() == (method == "bscore")


@settings(max_examples=12)
@given(row=st.integers(0, 7), shift=st.floats(-1e3, 1e3), seed=st.integers(0, 20))
def test_a_row_shift_does_not_change_what_median_polish_leaves(row: int, shift: float, seed: int) -> None:
    rng = np.random.default_rng(seed)
    names = well_names(8, 12)
    wells = well_table(names, ["sample"] * 96, rng.standard_normal(96), compounds=names)
    shifted = wells.assign(**{READOUT: wells[READOUT] + shift * (np.arange(96) // 12 == row)})
    asked = HitSettings(correction="bscore")
    one, other = correct(wells, READOUT, asked), correct(shifted, READOUT, asked)
    np.testing.assert_allclose(other.polished, one.polished, atol=0.05 + 1e-6 * abs(shift))


def test_median_polish_of_rows_and_columns_alone_leaves_nothing() -> None:
    names = well_names(8, 12)
    values = 100 + np.add.outer(np.arange(8.0) ** 2, 3.0 * np.arange(12) % 5).ravel()
    wells = well_table(names, ["sample"] * 96, values, compounds=names)
    found = correct(wells, READOUT, HitSettings(correction="bscore"))
    np.testing.assert_allclose(found.values, np.median(found.values), atol=1e-9)
    assert np.isnan(found.polished).all()  # nothing left: no spread to put residuals in units of


def test_bscore_by_hand() -> None:
    # rows 0, 1 and columns 0, 1 differ by 10 and 1; one well lies 6 above; medians find that exactly
    names = well_names(4, 5)
    values = np.add.outer([0.0, 10.0, 0.0, 0.0], [0.0, 1.0, 0.0, 0.0, 0.0])
    noise = np.array([[1, -1, 0, 2, -2], [-1, 1, 0, -2, 2], [2, -2, 0, 1, -1], [-2, 2, 0, -1, 1]]) * 0.1
    values += noise
    values[2, 2] += 6
    wells = well_table(names, ["sample"] * 20, values.ravel(), compounds=names)
    found = correct(wells, READOUT, HitSettings(correction="bscore"))
    left = values - np.add.outer([0.0, 10.0, 0.0, 0.0], [0.0, 1.0, 0.0, 0.0, 0.0])
    np.testing.assert_allclose(found.values.reshape(4, 5) - found.values[2], left - left.ravel()[2], atol=0.4)
    assert np.argmax(found.polished) == 12
    assert found.polished[12] > 10


def test_layouts_whose_plate_effect_cannot_be_told_from_doses_are_refused() -> None:
    asked = ReadoutSettings(readouts=("Mean_Nuclei_Sensor_Ratio",), hits=HitSettings(correction="bscore"))
    tables = screen_tables(bbbc013(), asked)
    assert (tables.scores["Correction"] == "none").all()
    assert (tables.scores["Corrected"] == tables.scores["Value"]).all()
    reason = "18 of 18 conditions lie in one column each: the column's effect cannot be told from theirs"
    assert (tables.scores["Correction_Reason"] == reason).all()
    assert screen_notes(tables, asked)[0] == f"Mean_Nuclei_Sensor_Ratio: no plate effect was taken out ({reason})."
    few = well_table(well_names(2, 4), ["sample"] * 8, np.arange(8.0))
    assert correct(few, READOUT, HitSettings(correction="edge")).reason.startswith("8 sample wells with a value")
    doses = np.tile(np.arange(1.0, 13), 8)
    series = well_table(
        well_names(8, 12), ["sample"] * 96, doses, compounds=[f"c{i // 36}" for i in range(96)], doses=doses
    )
    assert "column" in correct(series, READOUT, HitSettings(correction="bscore")).reason


def test_hits_of_a_real_plate_are_its_effective_doses() -> None:
    asked = ReadoutSettings(readouts=("Mean_Nuclei_Sensor_Ratio",))
    table = find_hits(score_wells(bbbc013(), asked), asked)
    hits = table[(table["Compound"] == "Wortmannin") & (table["Role"] == "sample")].set_index("Dose")["Hit"]
    assert hits.loc[[7.8125, 15.625, 31.25, 62.5, 125.0, 250.0]].all()
    weak = table[(table["Compound"] == "LY294002") & (table["Dose"] < 1)]
    assert len(weak) == 2
    assert not weak["Hit"].any()


def test_every_table_has_its_columns_with_and_without_wells() -> None:
    whole = screen_tables(screen(3), SETTINGS).frames()
    none = screen_tables(screen(3).iloc[:0], SETTINGS).frames()
    assert len(whole) == 6
    for name in whole:
        columns = TABLES[name].columns
        assert whole[name].columns.tolist() == [c.name for c in columns]
        assert none[name].columns.tolist() == [c.name for c in columns]
        assert all(c.definition for c in columns)
        texts = [c.name for c in columns if c.dtype == "string"]
        assert whole[name][texts].map(lambda value: isinstance(value, str)).all(axis=None)


def test_replicate_plates_are_correlated_by_condition() -> None:
    rng = np.random.default_rng(0)
    names = well_names(8, 12)
    truth = rng.standard_normal(96)
    roles = ["negative"] * 12 + ["sample"] * 84
    plates = [
        well_table(names, roles, truth + 0.5 * rng.standard_normal(96), compounds=names, doses=1.0).assign(
            Metadata_Plate=f"P{i}"
        )
        for i in range(3)
    ]
    table = replicate_correlation(plates, [READOUT])
    assert table.columns.tolist() == [c.name for c in REPLICATE_COLUMNS]
    assert table[["Plate_A", "Plate_B"]].to_numpy().tolist() == [["P0", "P1"], ["P0", "P2"], ["P1", "P2"]]
    a, b = (plate[READOUT].to_numpy()[12:] for plate in plates[:2])
    assert table["Pearson"].iloc[0] == pytest.approx(scipy.stats.pearsonr(a, b).statistic)
    interval = scipy.stats.pearsonr(a, b).confidence_interval()
    assert (table["Pearson_Low"].iloc[0], table["Pearson_High"].iloc[0]) == pytest.approx((interval.low, interval.high))
    assert table["Spearman"].iloc[0] == pytest.approx(scipy.stats.spearmanr(a, b).statistic)
    assert table["Count_Conditions"].tolist() == [84] * 3
    few = replicate_correlation([plate.iloc[10:15] for plate in plates[:2]], [READOUT])
    assert few["Reason"].tolist() == ["3 conditions with a value on both plates, at least 4 needed"]
    with pytest.raises(ConfigError, match="plate P0 has no readout 'Mean_Other'"):
        replicate_correlation(plates, ["Mean_Other"])


def test_caicedos_fraction_is_the_mean_over_images() -> None:
    nuclei = pd.DataFrame(
        {
            "Metadata_Well": ["A01"] * 6 + ["A02"] * 2,
            "Metadata_Site": [0, 0, 0, 0, 1, 1, 0, 0],
            "Nuclei_Flag_TouchesBorder": [False] * 7 + [True],
        }
    )
    content = np.array([2.0, 4.0, 3.49, 5.0, 3.5, 4.9, np.nan, 4.0])
    found = caicedo_fractions(nuclei, content, ["A02", "A01", "A03"], SETTINGS)
    # image 0: 4.0 of four (5.0 is above the gate), image 1: both; A02: one without content, one at the border
    assert found[1] == pytest.approx((1 / 4 + 1) / 2)
    assert np.isnan(found[[0, 2]]).all()
