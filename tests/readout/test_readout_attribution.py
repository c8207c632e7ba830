"""Why a Z' is low: planted causes are found and taken out; causes that do nothing gain nothing."""

from __future__ import annotations

import math

import numpy as np
import pandas as pd
import pytest
from helpers.screen_plates import READOUT, control_plate, well_table

from hcs.readout.screen.attribution import attribute
from hcs.readout.settings import ReadoutSettings

SETTINGS = ReadoutSettings(readouts=(READOUT,), draws=100)


def controls(seed: int, n: int = 16) -> pd.DataFrame:
    """Negatives (mean 0) and positives (mean 10), SD 0.5, half of each at the edge, over all rows and six columns."""
    rng = np.random.default_rng(seed)
    places = [(r, c) for r in range(8) for c in (0, 1, 4, 7, 10, 11)]
    chosen = rng.permutation(len(places))[: 2 * n]
    wells = [f"{chr(ord('A') + places[i][0])}{places[i][1] + 1:02d}" for i in chosen]
    roles = ["negative", "positive"] * n
    values = np.where(np.array(roles) == "positive", 10.0, 0.0) + 0.5 * rng.standard_normal(2 * n)
    return well_table(wells, roles, values, Count_Nuclei=rng.integers(80, 120, 2 * n))


def rows_of(wells: pd.DataFrame, quality: pd.DataFrame | None = None) -> pd.DataFrame:
    return attribute(wells, SETTINGS, quality=quality).set_index("Cause")


def place(wells: pd.DataFrame) -> tuple[np.ndarray, np.ndarray]:
    names = wells["Metadata_Well"]
    return names.str[0].map(ord).to_numpy() - 65, names.str[1:].astype(int).to_numpy() - 1


def test_an_edge_effect_is_found_and_taken_out() -> None:
    wells = controls(0)
    clean = rows_of(wells)["ZPrime"].iloc[0]
    row, column = place(wells)
    edge = np.isin(row, (0, 7)) | np.isin(column, (0, 11))
    found = rows_of(wells.assign(**{READOUT: wells[READOUT] + 3 * edge})).loc["edge"]
    assert found["ZPrime"] < clean - 0.3
    assert found["ZPrime_Without"] == pytest.approx(clean, abs=0.08)
    assert found["Delta"] == pytest.approx(found["ZPrime_Without"] - found["ZPrime"])
    assert found["PValue"] < 1e-6
    assert f"{edge.sum()} of 32 control wells on the edge, +" in found["Detail"]


@pytest.mark.parametrize("cause", ["row", "column", "gradient"])
def test_effects_of_rows_columns_and_gradients_are_told_apart_from_none(cause: str) -> None:
    wells = controls(1)
    clean = rows_of(wells).loc[cause, "ZPrime_Without"]
    row, column = place(wells)
    effect = {"row": 3.0 * (row % 2), "column": 3.0 * np.isin(column, (1, 7)), "gradient": row - 0.5 * column}[cause]
    found = rows_of(wells.assign(**{READOUT: wells[READOUT] + effect})).loc[cause]
    assert found["Delta"] > 0.2
    # all that the cause explains is gone; the means stay, and lie a little apart where it is not even over the roles
    assert found["ZPrime_Without"] == pytest.approx(clean, abs=0.03)
    assert found["PValue"] < 1e-4


def test_focus_saturation_count_and_confidence() -> None:
    wells = controls(2)
    rng = np.random.default_rng(3)
    blur = rng.standard_normal(len(wells))
    wells[READOUT] += 1.5 * blur
    wells["Mean_Nuclei_Confidence"] = 0.8 + 0.01 * blur
    fields = pd.DataFrame(
        {
            "Metadata_Well": np.repeat(wells["Metadata_Well"].to_numpy(), 2),
            "Status": ["ok", "failed"] * len(wells),
            "Quality_Focus_DNA": np.stack([blur, np.full(len(wells), 1e6)], axis=1).ravel(),
            "Quality_Focus_GFP": rng.standard_normal(2 * len(wells)),
            "Quality_Saturated_DNA": 0.0,
        }
    )
    found = rows_of(wells, fields)
    focus = found.loc["focus"]
    assert focus["Detail"].str.split(":").str[0].tolist() == ["Quality_Focus_DNA", "Quality_Focus_GFP"]
    assert focus["Delta"].iloc[0] > 0.3  # a failed field's value is not averaged in
    assert abs(focus["Delta"].iloc[1]) < 0.1
    assert found.loc["confidence", "Delta"] == pytest.approx(focus["Delta"].iloc[0])
    assert found.loc["saturation", "Reason"] == "Quality_Saturated_DNA is 0 at most: too little to matter"
    assert math.isnan(found.loc["saturation", "ZPrime_Without"])
    clipped = rows_of(wells, fields.assign(Quality_Saturated_DNA=0.01 + 0.001 * fields["Quality_Focus_DNA"]))
    assert clipped.loc["saturation", "Delta"] == pytest.approx(focus["Delta"].iloc[0])
    assert abs(found.loc["cell count", "Delta"]) < 0.1


def test_causes_that_do_nothing_gain_nothing_on_average() -> None:
    found = pd.concat([attribute(controls(seed), SETTINGS) for seed in range(30)])
    fitted = found[(found["Cause"] != "well") & (found["Reason"] == "")]
    means = fitted.groupby("Cause")["Delta"].mean()
    assert set(means.index) == {"edge", "row", "column", "gradient", "cell count"}
    assert means.abs().max() < 0.02  # Z' itself varies by 0.04 between these plates
    assert (fitted["PValue"] < 0.05).mean() == pytest.approx(0.05, abs=0.04)


def test_one_bad_well_is_named_with_the_zprime_without_it() -> None:
    wells = control_plate(
        {"negative": [1.0, 2.0, 3.0, 2.0, 2.0, 9.0], "positive": [19.0, 20.0, 21.0, 20.0, 20.0, 20.0]}
    )
    found = rows_of(wells).loc["well"].iloc[0]
    assert found["Detail"].startswith("C07, negative, +2.0 SD")
    rest = np.array([1.0, 2.0, 3.0, 2.0, 2.0]).std(ddof=1) + np.array([19.0, 20, 21, 20, 20, 20]).std(ddof=1)
    assert found["ZPrime_Without"] == pytest.approx(1 - 3 * rest / 18)
    assert (found["Count_WellsRemoved"], found["Count_Positive"], found["Count_Negative"]) == (1, 6, 5)
    assert found["PValue"] < 0.05  # six wells cannot say more: the outlier is most of their SD


def test_the_best_well_to_leave_out_of_a_clean_plate_is_no_outlier() -> None:
    p = [rows_of(controls(seed)).loc["well", "PValue"].iloc[0] for seed in range(20)]
    assert np.mean(np.array(p) < 0.1) < 0.3
    assert np.median(p) > 0.25


def test_too_few_wells_and_no_contrast_are_reasons() -> None:
    found = rows_of(control_plate({"negative": [1.0, 3.0, 2.0], "positive": [9.0, 10.0, 11.0]}))
    assert found.loc["edge", "Reason"] == "it does not differ between the controls of a role"
    assert found.loc["column", "Reason"] == "6 control wells are too few to tell 2 effects of it from chance"
    assert found.loc["focus", "Reason"] == "the tables have no column Quality_Focus_"
    assert found.loc["well", "Reason"] == "3 positive and 3 negative wells: one fewer leaves under 3"
    assert found.drop(index="gradient")["ZPrime_Without"].isna().all()
    none = rows_of(control_plate({"negative": [1.0, 2.0, 3.0], "positive": [9.0]}))
    assert none["ZPrime"].isna().all()
    assert none["Reason"].str.startswith("1 positive wells with a value").all()
