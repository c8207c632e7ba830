"""Numbers and names as readers see them, and the summary on the console."""

from __future__ import annotations

import math

import numpy as np
import pandas as pd
import pytest

from hcs.readout.readouts import Readouts, make_readouts
from hcs.readout.settings import ReadoutSettings
from hcs.report.findings import best_doses, status_counts
from hcs.report.style import interval, number, short
from hcs.report.text import console_summary

HOSTILE = '<script>alert("1")</script> $\\frac{ \n\x00 \u202e' + "x" * 10_000


def plate(*, compound: str = "drug", sensor: bool = True, failed: tuple[str, ...] = ()) -> Readouts:
    """96 wells: columns 1 and 2 negative, 12 positive, the rest samples of two doses; sensor ratio by column."""
    rng = np.random.default_rng(0)
    frames, rows, fields = [], [], []
    for row in "ABCDEFGH":
        for column in range(1, 13):
            well = f"{row}{column:02d}"
            role = "negative" if column <= 2 else "positive" if column == 12 else "sample"
            dose = math.nan if role == "negative" else 10.0 if column > 6 else 1.0
            name = "" if role == "negative" else compound
            rows.append({"well": well, "role": role, "compound": name, "dose": dose, "unit": "nM"})
            lost = well in failed
            fields.append(
                {"well": well, "field": 0, "status": "failed" if lost else "ok", "reason": compound if lost else ""}
            )
            if not lost:
                phase = rng.choice([2.0, 4.0], 40, p=[0.75, 0.25])
                frame = {"Nuclei_DNA_Content": 900 * phase * (1 + 0.06 * rng.standard_normal(40))}
                ratio = {"Nuclei_Sensor_Ratio": column + 0.1 * rng.standard_normal(40)} if sensor else {}
                frames.append(pd.DataFrame({"Metadata_Plate": compound, "Metadata_Well": well, **frame, **ratio}))
    nuclei = pd.concat(frames) if frames else pd.DataFrame({"Metadata_Plate": [], "Metadata_Well": []})
    settings = ReadoutSettings(draws=100)
    return make_readouts(nuclei, pd.DataFrame(fields), pd.DataFrame(rows), settings, plate=compound)


def all_failed() -> Readouts:
    return plate(failed=tuple(f"{r}{c:02d}" for r in "ABCDEFGH" for c in range(1, 13)))


@pytest.mark.parametrize(
    ("value", "text"),
    [(0.0, "0.00"), (1.2345, "1.23"), (0.012345, "0.0123"), (12345.6, "12,346"), (-3e9, "-3.00e+09"), (math.nan, "–")],
)
def test_number(value: float, text: str) -> None:
    assert number(value) == text


def test_interval() -> None:
    assert interval(0.8449, 0.78, 0.92) == "0.84 (0.78 to 0.92)"
    assert interval(0.5, math.nan, math.nan) == "0.50"
    assert interval(math.nan, math.nan, math.nan) == "–"


def test_short_keeps_one_printable_line() -> None:
    assert short("a\n b\x00\u202ec") == "a b c"
    assert short("x" * 50, 10) == "x" * 9 + "…"
    assert len(short(HOSTILE)) == 32


def test_console_names_the_numbers() -> None:
    readouts = plate(failed=("C05",))
    text = console_summary(readouts)
    first = readouts.plate.iloc[0]
    assert "96 wells (95 ok, 1 failed), 3,800 nuclei" in text
    assert "C05 failed: field 0: drug" in text
    assert (
        f"{first['ZPrime']:.2f} ({first['ZPrime_Low']:.2f} to {first['ZPrime_High']:.2f}), 8 against 16 wells" in text
    )
    assert "negative controls (16): SubG1" in text


@pytest.mark.parametrize("make", [plate, lambda: plate(compound=HOSTILE), lambda: plate(sensor=False), all_failed])
def test_console_lines_fit(make) -> None:  # type: ignore[no-untyped-def]
    for line in console_summary(make()).splitlines():
        assert len(line) <= 100
        assert line.isprintable()


def test_console_says_once_why_a_readout_is_missing() -> None:
    text = " ".join(console_summary(plate(sensor=False)).split())
    assert text.count("no well has a value of Mean_Nuclei_Sensor_Ratio") == 1


def test_best_dose_is_the_one_with_the_highest_zprime() -> None:
    readouts = plate()
    best = best_doses(readouts)
    sensor = readouts.compounds[readouts.compounds["Readout"] == "Mean_Nuclei_Sensor_Ratio"]
    assert len(best) == 1
    assert best["ZPrime"].iloc[0] == sensor["ZPrime"].max()


def test_status_counts_put_ok_first() -> None:
    wells = pd.DataFrame({"Status": ["failed", "ok", "ok", "empty"]})
    assert list(status_counts(wells).items()) == [("ok", 2), ("empty", 1), ("failed", 1)]
