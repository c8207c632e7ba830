"""Flags of fields: thresholds from the plate, what is flagged, and what leaving it out does."""

from __future__ import annotations

from typing import Any

import numpy as np
import pandas as pd
import pytest

from hcs.errors import ConfigError
from hcs.readout.settings import ReadoutSettings
from hcs.readout.wells.flag_columns import THRESHOLD_COLUMNS, field_columns
from hcs.readout.wells.flags import flag_fields, flag_wells
from hcs.readout.wells.left_out import leave_out
from hcs.readout.wells.wells import summarise_wells

SETTINGS = ReadoutSettings()


def plate(n: int = 24, **columns: Any) -> pd.DataFrame:
    """A field table of n wells of one field that differ a little; ``columns`` replace values."""
    rng = np.random.default_rng(0)
    usual = {
        "Focus": 0.7 + 0.01 * rng.standard_normal(n),
        "Saturated": np.zeros(n),
        "Background": 200 + 2 * rng.standard_normal(n),
        "Gradient": 0.05 + 0.01 * rng.random(n),
        "Noise": np.full(n, 9.0),
        "Stain": 1000 + 30 * rng.standard_normal(n),
        "SNR": 100 + 3 * rng.standard_normal(n),
        "Confluence": 0.3 + 0.02 * rng.standard_normal(n),
        "Debris": rng.integers(0, 12, n).astype(float),
    }
    table = pd.DataFrame(
        {
            "Metadata_Well": [f"A{i + 1:02d}" for i in range(n)],
            "Metadata_Site": 0,
            "Status": "ok",
            "Reason": "",
            "Count_Nuclei": rng.integers(80, 130, n),
            **{f"Quality_{name}_DNA": values for name, values in usual.items()},
        }
    )
    for name, changes in columns.items():
        table[name] = table[name].astype(object if name in ("Status", "Reason") else np.float64)
        for row, value in changes.items():
            table.loc[row, name] = value
    return table


def test_a_plate_of_like_fields_has_no_flags() -> None:
    found = flag_fields(plate(), SETTINGS)
    assert (found.flags == "").all()
    assert found.notes == ()


@pytest.mark.parametrize(
    ("column", "value", "flag", "excludes"),
    [
        ("Quality_Focus_DNA", 0.3, "blurred_DNA", True),
        ("Quality_Saturated_DNA", 0.01, "saturated_DNA", True),
        ("Quality_Background_DNA", 320.0, "background_DNA", True),
        ("Quality_Background_DNA", 120.0, "background_DNA", True),
        ("Quality_Gradient_DNA", 0.5, "gradient_DNA", True),
        ("Quality_SNR_DNA", 40.0, "low_snr_DNA", True),
        ("Quality_Stain_DNA", 2300.0, "stain_DNA", True),
        ("Quality_Stain_DNA", -5.0, "", False),
        ("Quality_Debris_DNA", 90.0, "debris_DNA", True),
        ("Quality_Confluence_DNA", 0.95, "confluence_DNA", False),
        ("Count_Nuclei", 5, "few_nuclei", False),
        ("Count_Nuclei", 0, "few_nuclei", False),
        ("Count_Nuclei", 900, "many_nuclei", False),
        ("Quality_Focus_DNA", 0.99, "", False),
        ("Quality_Focus_DNA", 0.58, "", False),
        ("Quality_Focus_DNA", float("nan"), "", False),
    ],
)
def test_one_field_unlike_the_others_is_flagged_alone(column: str, value: float, flag: str, excludes: bool) -> None:
    found = flag_fields(plate(**{column: {7: value}}), SETTINGS)
    assert found.flags[7] == flag
    assert found.excluding[7] == (flag if excludes else "")
    assert (found.flags.drop(7) == "").all()
    assert found.notes == ((f"1 of 24 fields are flagged: {flag} 1 (A08/0).",) if flag else ())


def test_thresholds_are_medians_and_mads() -> None:
    """Values 1 to 9 have the median 5 and the MAD 2: 5 less 2 spreads is 5 - 2 · 1.4826 · 2 = -0.93."""
    table = plate(9)
    table["Quality_Focus_DNA"] = np.arange(1.0, 10.0)
    rows = flag_fields(table, ReadoutSettings(flag_mads=2.0)).thresholds.set_index("Flag")
    assert rows.loc["blurred_DNA", "Median"] == 5
    assert rows.loc["blurred_DNA", "Low"] == pytest.approx(5 - 2 * 1.4826 * 2)
    assert np.isnan(rows.loc["blurred_DNA", "High"])
    table["Quality_SNR_DNA"] = 100.0  # all alike: the floor of one octave holds
    rows = flag_fields(table, SETTINGS).thresholds.set_index("Flag")
    assert rows.loc["low_snr_DNA", ["Median", "Low"]].tolist() == pytest.approx([100, 50])


def test_few_fields_teach_nothing_and_that_is_said() -> None:
    found = flag_fields(plate(7, Quality_Focus_DNA={2: 0.0}), SETTINGS)
    assert (found.flags == "").all()
    assert found.notes == ("No field is flagged: 7 fields have nuclei, and thresholds are learned from at least 8.",)
    assert (found.thresholds["Reason"] == "7 of the 8 fields needed have a value").all()
    assert found.thresholds[["Low", "High"]].isna().all(axis=None)


def test_fields_that_are_not_done_have_no_flags_and_teach_nothing() -> None:
    failed = dict.fromkeys(range(6), "failed")
    table = plate(
        Status=failed, Quality_Focus_DNA=dict.fromkeys(range(6), 0.0), Count_Nuclei=dict.fromkeys(range(6), 0)
    )
    found = flag_fields(table, SETTINGS)
    assert (found.flags == "").all()
    assert (found.thresholds["Count_Fields"] == 18).all()


def test_a_plate_without_quality_is_judged_by_its_nuclei() -> None:
    table = plate(Count_Nuclei={3: 2})[["Metadata_Well", "Metadata_Site", "Status", "Reason", "Count_Nuclei"]]
    assert flag_fields(table, SETTINGS).flags[3] == "few_nuclei"
    pending = table.assign(Status="pending", Count_Nuclei=0)
    assert (flag_fields(pending, SETTINGS).flags == "").all()


def two_channels(**columns: Any) -> pd.DataFrame:
    """The plate with the same measures in a sensor channel; ``columns`` replace values."""
    table = plate(**columns)
    sensor = {c.replace("_DNA", "_GFP"): table[c] for c in table.columns if c.endswith("_DNA")}
    return plate().assign(**sensor)


def test_what_a_compound_does_to_the_sensor_excludes_no_field() -> None:
    table = two_channels(Quality_Stain_DNA={3: 5000.0}, Quality_Debris_DNA={4: 900.0}, Quality_Focus_DNA={5: 0.1})
    found = flag_fields(table, SETTINGS, nuclear="DNA")
    assert found.flags[[3, 4, 5]].tolist() == ["stain_GFP", "", "blurred_GFP"]
    assert found.excluding[[3, 4, 5]].tolist() == ["", "", "blurred_GFP"]
    assert "debris_GFP" not in set(found.thresholds["Flag"])
    alike = flag_fields(table, SETTINGS)
    assert alike.flags[4] == "debris_GFP"
    assert alike.excluding[3] == "stain_GFP"


def test_a_grey_level_of_background_beside_a_bright_stain_is_no_fault() -> None:
    table = plate().assign(Quality_Background_DNA=np.where(np.arange(24) == 3, 4.0, 1.0))
    assert flag_fields(table, SETTINGS).flags[3] == ""
    dim = table.assign(Quality_Stain_DNA=20.0, Quality_SNR_DNA=20.0)
    assert flag_fields(dim, SETTINGS).flags[3] == "background_DNA"


def test_the_table_of_thresholds_counts_the_fields_that_have_the_flag() -> None:
    no_fault = plate().assign(Quality_Background_DNA=np.where(np.arange(24) == 3, 4.0, 1.0))
    for table in (no_fault, no_fault.assign(Quality_Stain_DNA=20.0), plate(Quality_Focus_DNA={2: 0.1, 4: 0.1})):
        found = flag_fields(table, SETTINGS)
        for row in found.thresholds.to_dict("records"):
            assert row["Count_Flagged"] == sum(row["Flag"] in text.split(";") for text in found.flags), row["Flag"]


def nuclei_of(fields: pd.DataFrame) -> pd.DataFrame:
    """Three nuclei a field, whose value is the field's row."""
    rows = np.repeat(np.arange(len(fields)), 3)
    return pd.DataFrame(
        {
            "Metadata_Well": fields["Metadata_Well"].to_numpy()[rows],
            "Metadata_Site": fields["Metadata_Site"].to_numpy()[rows],
            "Nuclei_AreaShape_Area": rows.astype(float),
        }
    )


def two_fields_a_well() -> pd.DataFrame:
    table = plate(Quality_Focus_DNA={2: 0.1, 4: 0.1, 5: 0.1}, Quality_Debris_DNA={2: 200.0}, Count_Nuclei={8: 2})
    return table.assign(
        Metadata_Well=[f"A{i // 2 + 1:02d}" for i in range(24)], Metadata_Site=[i % 2 for i in range(24)]
    )


def test_nothing_is_left_out_unless_asked() -> None:
    fields = two_fields_a_well()
    kept = leave_out(nuclei_of(fields), fields, flag_fields(fields, SETTINGS), SETTINGS)
    assert len(kept.nuclei) == 72
    assert (kept.used["Status"] == "ok").all()
    assert kept.fields["Flags"].tolist()[:6] == ["", "", "blurred_DNA;debris_DNA", "", "blurred_DNA", "blurred_DNA"]
    assert kept.notes == (
        "4 of 24 fields are flagged: blurred_DNA 3 (A02/0, A03/0, A03/1), debris_DNA 1 (A02/0), few_nuclei 1 (A05/0).",
    )


def test_excluded_fields_are_missing_from_values_and_named() -> None:
    fields = two_fields_a_well()
    settings = ReadoutSettings(exclude_flagged=True)
    kept = leave_out(nuclei_of(fields), fields, flag_fields(fields, settings), settings)
    assert sorted(set(kept.nuclei["Nuclei_AreaShape_Area"])) == [i for i in range(24) if i not in (2, 4, 5)]
    assert "3 of 24 fields, in 2 wells, with 9 nuclei were left out" in kept.notes[1]
    used = kept.used.rename(
        columns={"Metadata_Well": "well", "Metadata_Site": "field", "Status": "status", "Reason": "reason"}
    )
    wells = flag_wells(summarise_wells(kept.nuclei, used, None, settings), kept.fields).set_index("Metadata_Well")
    assert wells.loc["A02", ["Status", "Fields_Ok", "Count_Nuclei", "Mean_Nuclei_AreaShape_Area"]].tolist() == [
        "partial", 1, 3, 3.0,
    ]  # fmt: skip
    assert wells.loc["A02", "Reason"] == "field 0: flagged blurred_DNA;debris_DNA"
    assert wells.loc["A03", "Status"] == "excluded"
    assert np.isnan(wells.loc["A03", "Mean_Nuclei_AreaShape_Area"])
    assert wells.loc["A05", ["Status", "Flags", "Fields_Flagged"]].tolist() == ["ok", "few_nuclei", 1]
    assert wells.loc["A03", ["Flags", "Fields_Flagged"]].tolist() == ["blurred_DNA", 2]
    assert wells.loc["A01", ["Flags", "Fields_Flagged"]].tolist() == ["", 0]


def test_excluding_nothing_is_said_too() -> None:
    fields = plate(Count_Nuclei={8: 2})
    settings = ReadoutSettings(exclude_flagged=True)
    kept = leave_out(nuclei_of(fields), fields, flag_fields(fields, settings), settings)
    assert len(kept.nuclei) == 72
    assert kept.notes[-1] == "No field was left out of the readouts: none has a flag that excludes it."


def test_every_column_is_defined() -> None:
    fields = leave_out(nuclei_of(plate()), plate(), flag_fields(plate(), SETTINGS), SETTINGS).fields
    assert [c.name for c in field_columns(fields, ("DNA",))] == list(fields.columns)
    assert [c.name for c in THRESHOLD_COLUMNS] == list(flag_fields(plate(), SETTINGS).thresholds.columns)


@pytest.mark.parametrize("bad", [{"flag_mads": 0.0}, {"flag_min_fields": 2}])
def test_impossible_settings_name_their_key(bad: dict[str, Any]) -> None:
    with pytest.raises(ConfigError, match=next(iter(bad))):
        ReadoutSettings(**bad)


def test_a_plate_that_is_out_of_focus_as_a_whole_is_flagged() -> None:
    table = plate().assign(Quality_Sharpness_DNA=0.15, Quality_SharpnessPart_DNA=0.9, Quality_Shading_DNA=0.8)
    assert (flag_fields(table, SETTINGS, nuclear="DNA").flags == "blurred_DNA").all()
    assert (flag_fields(table.head(3), SETTINGS, nuclear="DNA").flags == "blurred_DNA").all()
    part = plate().assign(Quality_Sharpness_DNA=0.6, Quality_SharpnessPart_DNA=0.2, Quality_Shading_DNA=0.3)
    assert (flag_fields(part, SETTINGS, nuclear="DNA").flags == "partly_blurred_DNA;shading_DNA").all()
    assert (flag_fields(part, SETTINGS, nuclear="DNA", corrected=True).flags == "partly_blurred_DNA").all()
    assert (flag_fields(part, SETTINGS, nuclear="GFP").flags == "").all()


def test_what_a_compound_does_is_no_fault_of_its_images() -> None:
    """Four positive wells have stain and cells of their own; one of them has lost its stain beside the others."""
    works = {row: 3000.0 + 20 * row for row in (0, 1, 2, 3)}
    table = plate(Quality_Stain_DNA=works, Count_Nuclei=dict.fromkeys(works, 12))
    wells = table["Metadata_Well"]
    plate_map = pd.DataFrame(
        {"well": wells, "role": "negative", "compound": "DMSO", "dose": np.nan, "unit": ""}
    ).assign(role=lambda m: np.where(m.index < 4, "positive", np.where(m.index == 9, "sample", "negative")))
    plate_map["compound"] = np.where(plate_map.index < 4, "palbociclib", np.where(plate_map.index == 9, "X", "DMSO"))
    without = flag_fields(table, SETTINGS).flags
    assert (without[:4] == "few_nuclei;stain_DNA").all()
    assert (flag_fields(table, SETTINGS, plate_map=plate_map).flags == "").all()
    table.loc[2, "Quality_Stain_DNA"] = 100.0
    table.loc[[9, 12], "Quality_Stain_DNA"] = 100.0
    found = flag_fields(table, SETTINGS, plate_map=plate_map).flags
    assert found[2] == "stain_DNA"
    assert found[9] == "", "one well of a compound cannot tell what the compound does"
    assert found[12] == "stain_DNA"


def test_wells_that_are_meant_to_be_empty_lack_no_nuclei_and_teach_nothing() -> None:
    empty = range(10)
    table = plate(Count_Nuclei=dict.fromkeys(empty, 0) | {0: 2, 1: 1, 15: 5}, Quality_SNR_DNA=dict.fromkeys(empty, 8.0))
    table["Status"] = np.where(table["Count_Nuclei"] > 0, "ok", "empty")
    plate_map = pd.DataFrame({"well": table["Metadata_Well"], "compound": "", "dose": np.nan, "unit": ""})
    plate_map["role"] = np.where(table.index < 10, "empty", "negative")
    assert (flag_fields(table, SETTINGS).flags[list(empty)] != "").any()
    flags = flag_fields(table, SETTINGS, plate_map=plate_map).flags
    assert (flags[list(empty)] == "").all()
    assert flags[15] == "few_nuclei"
    table.loc[3, "Quality_Background_DNA"] = 900.0
    assert flag_fields(table, SETTINGS, plate_map=plate_map).flags[3] == "background_DNA", "that is the image's fault"


def test_what_was_not_recorded_is_flagged_and_a_tenth_leaves_the_field_out() -> None:
    table = plate().assign(Fraction_Recorded=1.0)
    table.loc[[3, 5], "Fraction_Recorded"] = [0.97, 0.5]
    table.loc[7, [c for c in table if c.startswith("Quality_")]] = np.nan
    found = flag_fields(table, SETTINGS)
    assert found.flags[[3, 5, 7]].tolist() == ["not_recorded", "not_recorded", "not_recorded_DNA"]
    assert found.excluding[[3, 5, 7]].tolist() == ["", "not_recorded", "not_recorded_DNA"]


def test_a_background_in_cells_is_flagged() -> None:
    table = plate().assign(Fraction_Recorded=1.0, Background_Source_CDK2="field")
    table.loc[4, "Background_Source_CDK2"] = "none"
    found = flag_fields(table, SETTINGS, sensor="CDK2")
    assert found.flags[4] == "background_in_cells_CDK2"
    assert found.excluding[4] == ""
