"""Fields that show the same twice are noticed; fields that merely look alike are not."""

from __future__ import annotations

import numpy as np
import pandas as pd

from hcs.readout.settings import ReadoutSettings
from hcs.readout.wells.flags import flag_fields
from hcs.readout.wells.left_out import leave_out
from hcs.readout.wells.twins import NEEDED, Twin, twin_flags, twin_notes, twins_by_nuclei, twins_by_pixels

FIELDS = pd.DataFrame(
    {
        "Metadata_Well": ["A01", "A01", "A02", "A02", "B01"],
        "Metadata_Site": [0, 1, 0, 1, 0],
        "Status": ["ok"] * 4 + ["empty"],
        "Reason": [""] * 5,
        "Count_Nuclei": [20, 20, 20, 20, 0],
    }
)


def nuclei(well: str, *fields: np.ndarray) -> tuple[str, pd.DataFrame]:
    """A well's table of fields, each an array (n, 3) of y, x, area."""
    rows = [
        pd.DataFrame(
            {"Metadata_Well": well, "Metadata_Site": i, **dict(zip(NEEDED[2:], field.T, strict=True))},
        )
        for i, field in enumerate(fields)
    ]
    return well, pd.concat(rows, ignore_index=True)


def field(seed: int, n: int = 60, size_px: int = 500) -> np.ndarray:
    rng = np.random.default_rng(seed)
    return np.column_stack([rng.uniform(0, size_px, (n, 2)), rng.normal(300, 40, n)])


def test_equal_pixels_are_twins_unless_there_is_nothing() -> None:
    assert twins_by_pixels(FIELDS, ["a", "a", "b", "c", "a"]) == (Twin(("A01", 0), ("A01", 1), "same_pixels"),)
    assert twins_by_pixels(FIELDS, ["a", "b", "a", "", ""]) == (Twin(("A01", 0), ("A02", 0), "same_pixels"),)
    assert twins_by_pixels(FIELDS, ["a", "b", "c", "d", "e"]) == ()


def test_nearly_equal_nuclei_are_twins() -> None:
    first = field(0)
    rng = np.random.default_rng(1)
    corrected = first[rng.permutation(60)[:52]] + np.column_stack([rng.normal(0, 0.5, (52, 2)), rng.normal(0, 9, 52)])
    (twin,) = twins_by_nuclei([nuclei("A01", first, field(2), corrected)])
    assert (twin.first, twin.second, twin.flag) == (("A01", 0), ("A01", 2), "same_nuclei")
    assert twin.share > 0.9


def test_fields_of_a_crowded_plate_are_no_twins() -> None:
    wells = [nuclei(f"A{i:02d}", *(field(100 * i + k, n=250, size_px=300) for k in range(9))) for i in range(1, 9)]
    few = [nuclei("B01", *(field(9000 + k, n=8, size_px=120) for k in range(12)))]
    assert twins_by_nuclei([*wells, *few]) == ()


def test_fewer_nuclei_than_tell_anything_are_left_alone() -> None:
    assert twins_by_nuclei([nuclei("A01", field(0, n=7), field(0, n=7))]) == ()


def test_the_later_field_of_a_well_is_flagged_and_can_be_left_out() -> None:
    twins = (Twin(("A01", 0), ("A01", 1), "same_pixels"), Twin(("A01", 0), ("A02", 1), "same_pixels"))
    flags = twin_flags(FIELDS, twins)
    assert flags == [("same_pixels", False), ("same_pixels", True), ("", False), ("same_pixels", False), ("", False)]
    table = pd.DataFrame({"Metadata_Well": ["A01", "A01", "A02"], "Metadata_Site": [0, 1, 0]})
    leaving = ReadoutSettings(exclude_flagged=True)
    flagged = leave_out(table, FIELDS, flag_fields(FIELDS, leaving, further=flags), leaving)
    assert list(flagged.fields["Flags"]) == [flag for flag, _ in flags]
    assert list(flagged.used["Status"]) == ["ok", "excluded", "ok", "ok", "empty"]
    assert len(flagged.nuclei) == 2
    kept = leave_out(table, FIELDS, flag_fields(FIELDS, ReadoutSettings(), further=flags), ReadoutSettings())
    assert list(kept.used["Status"]) == list(FIELDS["Status"])


def test_the_notes_name_fields_and_the_way_out() -> None:
    inside, across = twin_notes(
        (Twin(("A01", 0), ("A01", 1), "same_nuclei"), Twin(("A01", 0), ("A02", 0), "same_pixels"))
    )
    assert "nearly the same nuclei" in inside
    assert "A01/1 as A01/0" in inside
    assert "--images" in inside
    assert "another well (A02/0 as A01/0)" in across
    assert twin_notes(()) == ()
