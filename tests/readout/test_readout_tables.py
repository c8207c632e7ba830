"""Well, compound and plate tables of a small plate whose numbers can be worked out by hand."""

from __future__ import annotations

import math
import time

import numpy as np
import pandas as pd
import pytest

from hcs.errors import ConfigError, ResultsError
from hcs.readout.columns import COMPOUND_COLUMNS, PLATE_COLUMNS, well_columns
from hcs.readout.readouts import make_readouts
from hcs.readout.screen.toxicity_columns import WARNING_COLUMN
from hcs.readout.settings import ReadoutSettings
from hcs.readout.wells.wells import summarise_wells

SENSOR = ReadoutSettings(readouts=("Mean_Nuclei_Sensor_Ratio",), draws=200)
# sensor ratio of each well; group x has negatives 1, 2, 3 and positives 9, 10, 11; group y sits 100 higher
RATIOS = {
    "A01": 1.0, "A02": 2.0, "A03": 3.0, "A10": 9.0, "A11": 10.0, "A12": 11.0,
    "B01": 101.0, "B02": 102.0, "B03": 103.0, "B10": 109.0, "B11": 110.0, "B12": 111.0,
}  # fmt: skip


def plate_map(*, group: bool = True) -> pd.DataFrame:
    rows = []
    for well in RATIOS:
        negative = int(well[1:]) < 5
        rows.append(
            {
                "well": well,
                "role": "negative" if negative else "positive",
                "compound": "" if negative else f"drug {well[0]}",
                "dose": math.nan if negative else 5.0,
                "unit": "nM",
            }
            | ({"group": "x" if well[0] == "A" else "y"} if group else {})
        )
    return pd.DataFrame(rows)


def nuclei(ratios: dict[str, float] = RATIOS) -> pd.DataFrame:
    """Three nuclei a well: two measured, ratios r - 0.5 and r + 0.5, and one at the border, ratio 1000."""
    rows = []
    for well, ratio in ratios.items():
        for value, touches in ((ratio - 0.5, False), (ratio + 0.5, False), (1000.0, True)):
            rows.append(
                {
                    "Metadata_Plate": "P1",
                    "Metadata_Well": well,
                    "Metadata_Site": 0,
                    "Nuclei_DNA_Content": 5.0,
                    "Nuclei_Sensor_Ratio": value,
                    "Nuclei_Flag_TouchesBorder": touches,
                }
            )
    return pd.DataFrame(rows)


def fields(wells: dict[str, tuple[str, ...]] | None = None) -> pd.DataFrame:
    """One row per field; ``wells`` maps a well to the status of each of its fields."""
    wells = wells or dict.fromkeys(RATIOS, ("ok",))
    return pd.DataFrame(
        [
            {
                "well": w,
                "field": i,
                "status": s,
                "reason": "bad chunk" if s == "failed" else "",
                "n_nuclei": 0,
            }
            for w, statuses in wells.items()
            for i, s in enumerate(statuses)
        ]
    )


def test_well_means_leave_nuclei_at_the_border_out() -> None:
    wells = summarise_wells(nuclei(), fields(), plate_map(), SENSOR).set_index("Metadata_Well")
    assert wells.loc["A11", "Mean_Nuclei_Sensor_Ratio"] == pytest.approx(10)
    assert wells.loc["A11", "Median_Nuclei_Sensor_Ratio"] == pytest.approx(10)
    assert wells.loc["A11", "Count_Nuclei"] == 3
    assert wells.loc["A11", "Count_Nuclei_Measured"] == 2
    assert wells.loc["A01", "Fraction_SensorHigh"] == pytest.approx(0.5)  # 0.5 and 1.5 against 0.8
    assert wells.loc["A11", "Metadata_Group"] == "x"
    assert wells.loc["A01", "Metadata_Role"] == "negative"
    assert (wells["Metadata_Plate"] == "P1").all()


def test_border_nuclei_count_when_asked_for() -> None:
    settings = ReadoutSettings(readouts=("Mean_Nuclei_Sensor_Ratio",), exclude_border=False)
    wells = summarise_wells(nuclei(), fields(), plate_map(), settings).set_index("Metadata_Well")
    assert wells.loc["A11", "Mean_Nuclei_Sensor_Ratio"] == pytest.approx((9.5 + 10.5 + 1000) / 3)
    assert wells.loc["A11", "Count_Nuclei_Measured"] == 3


def test_every_expected_well_has_a_row_with_its_fate() -> None:
    table = fields(
        {
            "B10": ("failed", "failed"),
            "B02": ("ok", "failed"),
            "B03": ("pending",),
            "A01": ("ok", "empty"),
            "AA01": ("empty",),
            "B04": ("failed", "pending"),
        }
    )
    wells = summarise_wells(nuclei({"A01": 1.0, "B02": 2.0}), table, None, SENSOR)
    assert wells["Metadata_Well"].tolist() == ["A01", "B02", "B03", "B04", "B10", "AA01"]
    assert wells["Status"].tolist() == ["ok", "partial", "pending", "failed", "failed", "empty"]
    assert wells["Reason"].tolist()[1] == "field 1: bad chunk"
    assert wells["Reason"].tolist()[2:4] == ["field 0: pending", "field 0: bad chunk; field 1: pending"]
    assert wells["Fields_Expected"].tolist() == [2, 2, 1, 2, 2, 1]
    assert wells["Fields_Ok"].tolist() == [2, 1, 0, 0, 0, 1]
    assert wells["Count_Nuclei"].tolist() == [3, 3, 0, 0, 0, 0]
    assert wells["Mean_Nuclei_Sensor_Ratio"].isna().tolist() == [False, False, True, True, True, True]


def test_infinite_and_missing_values_are_left_out_of_means() -> None:
    table = nuclei({"A01": 1.0})
    table["Nuclei_Sensor_LogRatio"] = [2.0, -np.inf, 7.0]
    wells = summarise_wells(table, fields({"A01": ("ok",)}), None, SENSOR)
    assert wells.loc[0, "Mean_Nuclei_Sensor_LogRatio"] == 2.0


def test_nuclei_of_a_stranger_well_are_refused() -> None:
    with pytest.raises(ResultsError, match="nuclei of well A02"):
        summarise_wells(nuclei(), fields({"A01": ("ok",)}), None, SENSOR)


def test_further_map_columns_are_carried_and_never_overwrite() -> None:
    named = plate_map().assign(plate="other", dose_index=3)
    wells = summarise_wells(nuclei(), fields(), named, SENSOR)
    assert (wells["Metadata_Plate"] == "P1").all()
    assert (wells["Metadata_Map_Plate"] == "other").all()
    assert (wells["Metadata_Dose_index"] == 3).all()


def test_positives_are_compared_with_negatives_of_their_group() -> None:
    table = make_readouts(nuclei(), fields(), plate_map(), SENSOR).plate
    assert table["Group"].tolist() == ["x", "y", ""]
    assert table["Reference"].tolist() == [
        "positives against negatives of group x",
        "positives against negatives of group y",
        "positives against all negatives",
    ]
    assert table["ZPrime"].tolist()[:2] == pytest.approx([0.25, 0.25])
    assert table["ZPrime"].tolist()[2] < 0  # the two halves of the plate lie far apart
    assert table["Count_Wells"].tolist() == [3, 3, 6]
    assert (table["ZPrime_Low"] < table["ZPrime_High"]).all()


def test_compounds_name_their_reference() -> None:
    table = make_readouts(nuclei(), fields(), plate_map(), SENSOR).compounds
    assert table["Compound"].tolist() == ["drug A", "drug B"]
    assert table["Reference"].tolist() == ["negatives of group x", "negatives of group y"]
    assert table["Dose"].tolist() == [5, 5]
    assert table["SSMD"].tolist() == pytest.approx([8 / math.sqrt(2)] * 2)
    assert table["NegativeMean"].tolist() == pytest.approx([2, 102])


def test_without_groups_all_negatives_are_the_reference() -> None:
    readouts = make_readouts(nuclei(), fields(), plate_map(group=False), SENSOR)
    assert set(readouts.compounds["Reference"]) == {"all negatives"}
    assert readouts.compounds["Count_NegativeWells"].tolist() == [6, 6]
    assert readouts.plate["Group"].tolist() == [""]


def test_a_row_does_not_depend_on_the_other_compounds() -> None:
    whole = make_readouts(nuclei(), fields(), plate_map(), SENSOR).compounds
    fewer = plate_map()
    fewer.loc[fewer["compound"] == "drug A", "role"] = "empty"
    alone = make_readouts(nuclei(), fields(), fewer, SENSOR).compounds
    pd.testing.assert_frame_equal(whole[whole["Compound"] == "drug B"].reset_index(drop=True), alone)


def test_without_sensor_readouts_are_nan_with_a_reason() -> None:
    readouts = make_readouts(nuclei().drop(columns="Nuclei_Sensor_Ratio"), fields(), plate_map(), SENSOR)
    assert readouts.plate["ZPrime"].isna().all()
    assert readouts.plate["Reason"].iloc[0] == "no well has a value of Mean_Nuclei_Sensor_Ratio"
    assert readouts.wells["Fraction_SensorHigh"].isna().all()
    assert any("No sensor channel" in note for note in readouts.notes)


def test_no_usable_peak_gives_nan_fractions_and_says_so() -> None:
    readouts = make_readouts(nuclei(), fields(), plate_map(), ReadoutSettings(draws=100))
    assert readouts.wells["Fraction_4N"].isna().all()
    assert any(note.startswith("Cell-cycle fractions are NaN: 12 nuclei") for note in readouts.notes)
    assert not readouts.plate["DNA_Usable"].any()
    cycle = readouts.compounds[readouts.compounds["Readout"] == "Fraction_4N"]
    assert cycle["Reason"].str.startswith("no cell cycle without a usable 2N peak: 12 nuclei").all()


def test_without_a_plate_map_and_without_nuclei() -> None:
    none = nuclei().iloc[:0]
    readouts = make_readouts(none, fields({"A01": ("failed",)}), None, ReadoutSettings(), plate="P9")
    assert readouts.compounds.empty
    assert readouts.compounds.columns.tolist() == [c.name for c in (*COMPOUND_COLUMNS, WARNING_COLUMN)]
    assert readouts.plate["ZPrime"].isna().all()
    assert readouts.wells["Metadata_Plate"].tolist() == ["P9"]
    assert readouts.notes[0].startswith("No plate map")


def test_an_unknown_readout_names_close_matches() -> None:
    with pytest.raises(ConfigError, match=r"did you mean.*Mean_Nuclei_Sensor_Ratio"):
        make_readouts(nuclei(), fields(), None, ReadoutSettings(readouts=("Mean_Nuclei_SensorRatio",)))
    with pytest.raises(ConfigError, match="'Status' is no numeric column"):
        make_readouts(nuclei(), fields(), None, ReadoutSettings(readouts=("Status",)))


def test_fractions_of_wells_follow_their_own_cells() -> None:
    rng = np.random.default_rng(0)
    frames = []
    for well, four_n in (("A01", 0.2), ("A02", 0.2), ("A10", 0.9)):
        content = np.where(rng.uniform(size=1000) < four_n, 4.0, 2.0) * 300 * (1 + 0.06 * rng.standard_normal(1000))
        frames.append(pd.DataFrame({"Metadata_Plate": "P", "Metadata_Well": well, "Nuclei_DNA_Content": content}))
    table = fields({"A01": ("ok",), "A02": ("ok",), "A10": ("ok",)})
    readouts = make_readouts(pd.concat(frames), table, plate_map(), ReadoutSettings(draws=100))
    assert readouts.peak.two_n == pytest.approx(600, rel=0.02)
    assert readouts.peak.source_wells == "2 negative-control wells"
    assert readouts.histogram.sum() == 2000
    assert readouts.wells["Fraction_4N"].tolist() == pytest.approx([0.2, 0.2, 0.9], abs=0.04)
    parts = readouts.wells[[f"Fraction_{p}" for p in ("SubG1", "G1", "S", "G2M", "Above4N")]]
    assert parts.sum(axis=1).tolist() == pytest.approx([1, 1, 1])


def test_saturated_pixels_of_the_dna_channel_are_reported() -> None:
    table = nuclei().assign(Nuclei_Flag_SaturatedPixels_DNA405=[1, 0, 0] * len(RATIOS))
    readouts = make_readouts(table, fields(), None, SENSOR, dna="DNA 405")
    assert readouts.plate["DNA_Saturated"].tolist() == [0.5]


def test_every_column_is_defined() -> None:
    readouts = make_readouts(nuclei(), fields(), plate_map().assign(batch=1), SENSOR)
    assert readouts.plate.columns.tolist() == [c.name for c in PLATE_COLUMNS]
    defined = well_columns(readouts.wells)
    assert [c.name for c in defined] == readouts.wells.columns.tolist()
    assert all(c.definition for c in (*defined, *COMPOUND_COLUMNS, *PLATE_COLUMNS))


def test_two_hundred_thousand_nuclei_take_a_second() -> None:
    rng = np.random.default_rng(0)
    n, wells = 200_000, [f"{row}{column:02d}" for row in "ABCDEFGHIJKLMNOP" for column in range(1, 25)]
    features = {f"Nuclei_F{i}": rng.standard_normal(n).astype(np.float32) for i in range(20)}
    table = pd.DataFrame({"Metadata_Plate": "P", "Metadata_Well": rng.choice(wells, n), **features})
    start = time.process_time()
    result = summarise_wells(table, fields(dict.fromkeys(wells, ("ok",))), None, SENSOR)
    assert time.process_time() - start < 5  # about 0.4 s alone; wide, so that a busy machine does not fail it
    assert len(result) == 384


def test_the_fraction_with_micronuclei_is_a_readout_with_its_z_prime() -> None:
    counted = nuclei()
    assert "Fraction_Micronucleated" not in summarise_wells(counted, fields(), plate_map(), SENSOR)
    positive = counted["Metadata_Well"].str[1:].astype(int) > 5
    counted["Nuclei_Micronuclei_Count"] = np.where(positive, [0, 3, 5] * len(RATIOS), 0)  # the third is at the border
    counted.loc[counted["Metadata_Well"].isin(["A12", "B12"]), "Nuclei_Micronuclei_Count"] = 1
    counted.loc[counted.index[counted["Metadata_Well"].isin(["A03", "B03"])][::3], "Nuclei_Micronuclei_Count"] = 2
    counted["Nuclei_Micronuclei_Area"] = 20 * counted["Nuclei_Micronuclei_Count"]
    settings = ReadoutSettings(readouts=("Fraction_Micronucleated",), draws=200)
    readouts = make_readouts(counted, fields(), plate_map(), settings)
    wells = readouts.wells.set_index("Metadata_Well")
    assert wells.loc["A11", "Fraction_Micronucleated"] == pytest.approx(0.5)
    assert wells.loc["A01", "Fraction_Micronucleated"] == 0
    assert wells.loc["A11", "Mean_Nuclei_Micronuclei_Count"] == pytest.approx(1.5)
    assert (readouts.plate["Readout"] == "Fraction_Micronucleated").all()
    of_group = readouts.plate.set_index("Group")["ZPrime"]  # 0.5, 0.5 and 1 against 0, 0 and 0.5
    assert of_group["x"] == pytest.approx(1 - 6 * np.std([0, 0, 0.5], ddof=1) / 0.5)
    definition = {c.name: c for c in well_columns(readouts.wells)}["Fraction_Micronucleated"].definition
    assert "Nuclei_Micronuclei_Count" in definition
