"""Verdicts go by the lower end of the interval, and not at all where hardly a nucleus stands behind them."""

from __future__ import annotations

import math

import numpy as np
import pytest
from helpers.screen_plates import READOUT, control_plate

from hcs.readout.cycle.dna import DnaPeak
from hcs.readout.screen.compounds import summarise_plate
from hcs.readout.screen.verdict import sentence_of, word_of
from hcs.readout.settings import ReadoutSettings

SETTINGS = ReadoutSettings(readouts=(READOUT, "Count_Nuclei"))
NO_PEAK = DnaPeak(math.nan, math.nan, math.nan, 0, False, "none", "")


@pytest.mark.parametrize(
    ("zprime", "low", "caution", "word"),
    [
        (0.8, 0.5, "", "excellent"),
        (0.8, 0.49, "", "marginal"),
        (0.4, 0.01, "", "marginal"),
        (0.9, 0.0, "", "uncertain"),
        (0.0, -1.0, "", "overlap"),
        (-2.0, -9.0, "few", "overlap"),
        (0.9, 0.8, "few", "withheld"),
        (0.9, math.nan, "", "withheld"),
        (math.nan, math.nan, "", ""),
    ],
)
def test_words_go_by_the_lower_end(zprime: float, low: float, caution: str, word: str) -> None:
    assert word_of(zprime, low, caution) == word


def test_excellent_by_its_value_alone_is_said_to_be_so() -> None:
    row = {"ZPrime": 0.71, "ZPrime_Low": 0.3, "Verdict": "marginal", "Verdict_Reason": "", "Reason": ""}
    assert sentence_of(row) == "marginal separation; excellent by its value alone, not by its lower end 0.30"


def test_wells_of_a_nucleus_or_two_have_no_verdict() -> None:
    rng = np.random.default_rng(0)
    wells = control_plate(
        {"negative": list(rng.normal(1, 0.02, 16)), "positive": list(rng.normal(3, 0.02, 8))},
        Count_Nuclei_Measured=[400] * 16 + [1, 2, 1, 2, 1, 1, 2, 1],
        Count_Nuclei=[400 + i for i in range(16)] + [1, 2, 1, 2, 1, 1, 2, 1],
    )
    table = summarise_plate(wells, NO_PEAK, SETTINGS).set_index("Readout")
    row = table.loc[READOUT]
    assert row["ZPrime_Low"] > 0.5
    assert (row["Count_Nuclei"], row["Count_NegativeNuclei"], row["Nuclei_PerWell"]) == (11, 6400, 1)
    assert row["Verdict"] == "withheld"
    assert (
        sentence_of(row.to_dict())
        == "no verdict: positive wells have 1 measured nucleus in the median, at least 10 needed"
    )
    assert table.loc["Count_Nuclei", "Verdict"] == "excellent"  # a count may be small
    many = summarise_plate(wells.assign(Count_Nuclei_Measured=400), NO_PEAK, SETTINGS).set_index("Readout")
    assert many.loc[READOUT, "Verdict"] == "excellent"


def test_nuclei_of_wells_without_a_value_do_not_count() -> None:
    wells = control_plate({"negative": [1.0, 1.1, 0.9], "positive": [9.0, 9.1, 8.9, math.nan]})
    row = summarise_plate(wells, NO_PEAK, SETTINGS).iloc[0]
    assert (row["Count_Nuclei"], row["Count_NegativeNuclei"]) == (300, 300)
