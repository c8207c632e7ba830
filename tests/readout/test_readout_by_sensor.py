"""What is said of nuclei that were found in the sensor's channel: the share found worst, and the bias that follows."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest

from hcs.readout.settings import ReadoutSettings
from hcs.readout.wells.by_sensor import BIAS, MEDIUM, add_by_sensor, bias_of_mean, by_sensor_notes, read_found_by_ratio

CARD = {
    "wells": "four wells",
    "ranges": [
        {"from": 0.0, "recall": 0.8, "precision": 0.8},
        {"from": 0.5, "recall": 0.4, "precision": 0.8},
        {"from": 1.0, "recall": 0.9, "precision": 0.9},
    ],
}


def tables() -> tuple[pd.DataFrame, pd.DataFrame]:
    """Two wells of two nuclei each, ratio 0.2 and 0.8, and 0.2 and 2, and one without."""
    wells = pd.DataFrame({"Metadata_Well": ["A01", "A02", "A03"], "Metadata_Role": ["negative", "positive", "sample"]})
    nuclei = pd.DataFrame({"Metadata_Well": ["A01", "A01", "A02", "A02"], "Nuclei_Sensor_Ratio": [0.2, 0.8, 0.2, 2.0]})
    return wells, nuclei


def test_the_bias_is_that_of_weights_by_precision_over_recall() -> None:
    found = read_found_by_ratio(CARD)
    assert found is not None
    # weights 1, 2: mean 0.5 against (0.2 + 2 * 0.8) / 3 = 0.6
    assert bias_of_mean(np.array([0.2, 0.8, np.nan]), found) == pytest.approx(-0.1)
    assert bias_of_mean(np.array([0.2, 2.0]), found) == pytest.approx(0.0)
    assert np.isnan(bias_of_mean(np.array([np.nan]), found))


def test_wells_have_share_and_bias_and_the_notes_name_channel_share_and_controls() -> None:
    wells, nuclei = tables()
    found = read_found_by_ratio(CARD)
    table = add_by_sensor(wells, nuclei, ReadoutSettings(), channel="CDK2", found=found)
    assert table["Metadata_NucleiChannel"].tolist() == ["CDK2"] * 3
    assert table[MEDIUM].tolist()[:2] == [0.5, 0.0]
    assert np.isnan(table[MEDIUM].iloc[2])
    assert table[BIAS].tolist()[:2] == [pytest.approx(-0.1), pytest.approx(0.0)]
    text = " ".join(by_sensor_notes(table, nuclei, ReadoutSettings(), channel="CDK2", model="sensor", found=found))
    assert "sensor channel CDK2" in text
    assert "25% of them" in text
    assert "recall 0.40" in text
    assert "-0.100 in negative controls" in text
    assert "0.0% of them have a ratio above 5" in text


def test_what_is_as_dark_as_the_background_is_counted_as_a_likely_hole() -> None:
    wells, nuclei = tables()
    nuclei = pd.concat([nuclei, nuclei.assign(Nuclei_Sensor_Ratio=[9.0, np.nan, 0.4, 0.4])], ignore_index=True)
    table = add_by_sensor(wells, nuclei, ReadoutSettings(), channel="CDK2", found=None)
    text = " ".join(by_sensor_notes(table, nuclei, ReadoutSettings(), channel="CDK2", model="mine", found=None))
    assert "25.0% of them have a ratio above 5, or none" in text


def test_a_model_whose_card_says_nothing_gives_a_reason_and_no_number() -> None:
    wells, nuclei = tables()
    assert read_found_by_ratio(None) is None
    table = add_by_sensor(wells, nuclei, ReadoutSettings(), channel="CDK2", found=None)
    assert table[BIAS].isna().all()
    text = " ".join(by_sensor_notes(table, nuclei, ReadoutSettings(), channel="CDK2", model="mine", found=None))
    assert "card does not say" in text
    empty = by_sensor_notes(table, nuclei.iloc[:0], ReadoutSettings(), channel="CDK2", model="mine", found=None)
    assert "None has a sensor ratio" in " ".join(empty)
