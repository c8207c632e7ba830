"""Plate maps as labs write them: what is understood, and what of it is said."""

from __future__ import annotations

import numpy as np
import pytest

from hcs.errors import PlateError
from hcs.plate.headers import meaning
from hcs.plate.numerals import DecimalSign, NotANumber
from hcs.plate.platemap import PlateMap
from hcs.plate.units import canonical_unit


def cells(text: str, **options: bool) -> PlateMap:
    """A plate map from rows of cells separated by commas."""
    return PlateMap.from_cells([line.split("|") for line in text.strip("\n").split("\n")], "map.csv", **options)


@pytest.mark.parametrize(
    ("name", "what", "unit"),
    [
        ("Well Position", "well", ""), ("Metadata_Well", "well", ""), ("well_position", "well", ""),
        ("Image_Metadata_Well", "well", ""), ("Wells", "well", ""), ("DESTINATION WELL", "well", ""),
        ("Drug", "compound", ""), ("pert_iname", "compound", ""), ("Compound Name", "compound", ""),
        ("conc", "dose", ""), ("Dose (µM)", "dose", "µM"), ("concentration [nM]", "dose", "nM"),
        ("dose_uM", "dose", "µM"), ("Conc in mM", "dose", "mM"), ("mmoles_per_liter", "dose", "mM"),
        ("Col", "column", ""), ("Metadata_Row", "row", ""), ("Well Type", "role", ""), ("Units", "unit", ""),
    ],
)  # fmt: skip
def test_names_of_others_are_known(name: str, what: str, unit: str) -> None:
    found = meaning(name)
    assert found is not None
    assert (found.what, found.unit) == (what, unit)


@pytest.mark.parametrize("name", ["batch", "dose_index", "group", "plate", "", "solvent", "my wells count"])
def test_other_names_are_left_alone(name: str) -> None:
    assert meaning(name) is None


@pytest.mark.parametrize(
    ("texts", "unit"),
    [
        (("uM", "µM", "μM", "UM", "um", " µM ", "µmol/L", "umol/l", "micromolar", "μmol/l", "Micromolar"), "µM"),
        (("nM", "nm", "NM", "nmol/L", "nanomolar"), "nM"),
        (("M", "mol/L", "molar"), "M"),
        (("mM", "mmol/l", "millimolar"), "mM"),
        (("ug/ml", "µg/mL", "μg/ml"), "µg/mL"),
        (("%",), "%"),
    ],
)
def test_spellings_of_a_unit(texts: tuple[str, ...], unit: str) -> None:
    assert {canonical_unit(text).text for text in texts} == {unit}


def test_factors_between_units() -> None:
    assert canonical_unit("nM").factor_to(canonical_unit("µM")) == pytest.approx(1e-3)
    assert canonical_unit("ng/mL").factor_to(canonical_unit("mg/L")) == pytest.approx(1e-3)
    assert canonical_unit("nM").factor_to(canonical_unit("ng/mL")) is None


@pytest.mark.parametrize(
    ("texts", "numbers"),
    [
        (["0,5", "12,25", "1,000"], [0.5, 12.25, 1.0]),
        (["0.5", "1,000"], [0.5, 1000.0]),
        (["0,5", "1.000"], [0.5, 1000.0]),
        (["1.000,5", "2"], [1000.5, 2.0]),
        (["1,000,000", "1,000.5"], [1e6, 1000.5]),
        (["1e-3", "1E+2", ".5", "5."], [0.001, 100.0, 0.5, 5.0]),
        (["0,125", "3"], [0.125, 3.0]),
        (["1 000", "1'000"], [1000.0, 1000.0]),
        (["1.000", "2.5"], [1.0, 2.5]),
        (["NA", "n/a", "-", ""], [None] * 4),
    ],
)
def test_numbers_by_what_the_column_tells(texts: list[str], numbers: list[float | None]) -> None:
    sign = DecimalSign.of(texts)
    assert [sign.number(text) for text in texts] == numbers


@pytest.mark.parametrize(
    ("texts", "semicolons"),
    [(["1,000", "10"], False), (["1.000", "10"], True), (["1,000", "0,5", "0.5"], False)],
)
def test_a_number_that_may_be_two_is_not_guessed(texts: list[str], semicolons: bool) -> None:
    with pytest.raises(NotANumber, match=r"which may be 1000 or 1: .*; write 1000, or 1 as 1.0000"):
        DecimalSign.of(texts, semicolons=semicolons).number(texts[0])


@pytest.mark.parametrize("text", ["10 nM", "1_000", "~5", "<1", "1-2", "½", "1e", "++1"])
def test_what_is_no_number(text: str) -> None:
    with pytest.raises(NotANumber, match="is no number"):
        DecimalSign.of([text]).number(text)


def test_ids_stay_what_they_are() -> None:
    found = cells("Well|Role|Compound\nA1|sample|000001\nA2|sample|1E2\nA3|sample|100\nA4|sample|0100\nA5|sample|NA")
    assert list(found.frame["compound"]) == ["000001", "1E2", "100", "0100", "NA"]
    assert "5 compounds: 000001, 1E2, 100, 0100, NA" in found.understood


def test_one_unit_and_one_dose_for_one_compound_and_both_are_said() -> None:
    found = cells(
        "well|role|compound|dose|unit\nA1|sample|Drug|1|uM\nA2|sample|Drug|1|μM\nA3|sample|Drug |100|nM\n"
        "A4|sample|Drug|0.1|µM\nA5|sample|Drug|0.1000000001|µM\nB1|sample|other|5|%"
    )
    assert list(found.frame["dose"]) == [1, 1, 0.1, 0.1, 0.1, 5]
    assert list(found.frame["unit"]) == ["µM"] * 5 + ["%"]
    assert list(found.frame["compound"]) == ["Drug"] * 5 + ["other"]
    said = " ".join(found.notes)
    for words in ("'uM', 'μM', 'µM' taken as µM", "Drug (µM, nM) in µM", "Drug 0.1 µM (2 values)", "less than 1%"):
        assert words in said


def test_doses_further_apart_than_one_percent_stay_apart() -> None:
    found = cells("well|role|compound|dose\nA1|sample|x|1\nA2|sample|x|1.011\nA3|sample|y|1.005")
    assert list(found.frame["dose"]) == [1, 1.011, 1.005]
    assert found.notes == ()


def test_units_that_cannot_be_converted_are_two_curves_and_said() -> None:
    found = cells("well|role|compound|dose|unit\nA1|sample|x|1|µM\nA2|sample|x|1|µg/mL")
    assert list(found.frame["unit"]) == ["µM", "µg/mL"]
    assert "cannot be converted, each a curve of its own: x (µM, µg/mL)" in found.notes[0]


def test_the_units_of_controls_without_a_compound_are_left() -> None:
    found = cells("well|role|compound|dose|unit\nA1|negative||0|nM\nA2|negative||0|uM\nA3|sample|x|1|uM")
    assert list(found.frame["unit"]) == ["nM", "uM", "uM"]
    assert found.notes == ()


def test_case_tells_compounds_apart_and_is_said() -> None:
    found = cells("well|role|compound\nA1|sample|Drug\nA2|sample|drug")
    assert "differ only in case are kept apart: 'Drug' and 'drug'" in found.notes[0]


def test_titles_empty_rows_and_empty_columns_are_passed_over() -> None:
    found = cells("My screen|||\n|||\nwell|role|compound|\nA1|neg ctrl||\nA2|Sample|x|\n|||\n|||")
    assert list(found.frame["role"]) == ["negative", "sample"]
    assert list(found.frame.columns) == ["well", "role", "compound", "dose", "unit"]
    assert found.notes == ("row 1 is a title, not read: 'My screen'", "role 'neg ctrl' as negative")


@pytest.mark.parametrize("word", ["DMSO", "vehicle", "control", "cells"])
def test_a_treatment_is_no_role(word: str) -> None:
    with pytest.raises(PlateError, match=rf"A01 has role '{word}'; a role is one of .*: write negative for"):
        cells(f"well|role\nA1|{word}")


def test_rows_and_columns_make_wells() -> None:
    found = cells('Metadata_Row|Col|role\nC|3|sample\n4|"03"|sample\nE|12.0|sample')
    assert list(found.frame["well"]) == ["C03", "D03", "E12"]
    with pytest.raises(PlateError, match="row 2: row 0: rows are counted from 1"):
        cells("row|column|role\n0|3|sample")


def test_without_roles_all_are_samples_and_that_is_said() -> None:
    found = cells("well_position|broad_sample\nA01|BRD-1\nA02|")
    assert list(found.frame["role"]) == ["sample", "sample"]
    assert "no column role: every well counts as a sample" in found.notes[0]
    with pytest.raises(PlateError, match="no column role, but 'rol' holds roles; rename it to role"):
        cells("well|rol\nA1|negative\nA2|positive")


def test_the_better_of_two_names_is_taken_and_the_other_said() -> None:
    found = cells("well|role|compound_id|compound|mg_per_ml|mmoles_per_liter\nA1|sample|7|x|3|5")
    assert found.frame.loc[0, ["compound", "dose", "unit"]].tolist() == ["x", 5.0, "mM"]
    assert "'compound_id' is carried as it is: compound is 'compound'" in found.notes
    assert "'mg_per_ml' is carried as it is: dose is 'mmoles_per_liter'" in found.notes
    with pytest.raises(PlateError, match="column 'dose' twice"):
        cells("well|role|dose (nM)|dose (µM)\nA1|sample|1|2")
    with pytest.raises(PlateError, match="unit 'nM', but the name of the dose column says µM"):
        cells("well|role|dose (µM)|unit\nA1|sample|1|nM")


GRIDS = """
role|1|2|3|4
A|negative|sample|sample|
B|negative|sample|positive|
|||
compound||||
|1|2|3|4
A|DMSO|x|y|
B|DMSO|x|007|
|||
Dose (µM)|1|2|3|4
A||0,5|1|
B||1|2|
"""


def test_blocks_of_the_plate_s_shape() -> None:
    frame = cells(GRIDS).frame
    assert list(frame["well"]) == ["A01", "A02", "A03", "B01", "B02", "B03"]
    assert list(frame["role"]) == ["negative", "sample", "sample", "negative", "sample", "positive"]
    assert list(frame["compound"]) == ["DMSO", "x", "y", "DMSO", "x", "007"]
    np.testing.assert_array_equal(frame["dose"], [np.nan, 0.5, 1, np.nan, 1, 2])
    assert list(frame["unit"]) == ["", "µM", "µM", "", "µM", "µM"]


def test_blocks_without_a_name_or_with_one_name_are_refused() -> None:
    with pytest.raises(PlateError, match="the block at row 1 has no name"):
        cells("|1|2|3\nA|sample|sample|sample\nB|sample|sample|sample")
    block = "role|1|2|3\nA|sample|sample|sample\nB|sample|sample|sample\n"
    with pytest.raises(PlateError, match="two blocks called 'role'"):
        cells(block + block)


@pytest.mark.parametrize(("rows", "columns"), [(8, 12), (16, 24), (32, 48)])
def test_blocks_of_every_plate(rows: int, columns: int) -> None:
    letters = [chr(65 + i) if i < 26 else "A" + chr(39 + i) for i in range(rows)]
    lines = ["role", *map(str, range(1, columns + 1))], *([letter, *["sample"] * columns] for letter in letters)
    assert len(PlateMap.from_cells(list(lines), "map.csv").frame) == rows * columns


def test_doubled_wells_name_their_rows() -> None:
    with pytest.raises(PlateError, match=r"gives well A01 more than once \(A01 in rows 2 and 4\)"):
        cells("well|role\nA1|sample\nA2|sample\nA01|negative")
