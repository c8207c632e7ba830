"""Names of wells and fields: every spelling means one well, and writing then reading gives the same back."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from hcs.errors import ConfigError, PlateError
from hcs.plate.keys import FieldKey, WellId, row_index, row_name, select_wells

WELLS = st.builds(WellId, row=st.integers(0, 31), column=st.integers(0, 47))
PLATE = tuple(WellId(row, column) for row in range(8) for column in range(12))


@pytest.mark.parametrize("text", ["B3", "B03", "b03", " b3 ", "B003", "B 3"])
def test_every_spelling_of_a_well_is_one_well(text: str) -> None:
    assert WellId.parse(text) == WellId(row=1, column=2)
    assert str(WellId.parse(text)) == "B03"


@pytest.mark.parametrize("text", ["", "B", "3", "B0", "B00", "3B", "ABC1", "B100", "B-3", "B3.5", "nan"])
def test_what_is_no_well_is_refused_by_name(text: str) -> None:
    with pytest.raises(PlateError, match=r"is not a well name.*such as B03"):
        WellId.parse(text)


@pytest.mark.parametrize(("index", "name"), [(0, "A"), (7, "H"), (25, "Z"), (26, "AA"), (31, "AF")])
def test_rows_go_on_after_z(index: int, name: str) -> None:
    assert row_name(index) == name
    assert row_index(name) == row_index(name.lower()) == index


@given(WELLS)
def test_a_well_reads_back_from_its_name(well: WellId) -> None:
    assert WellId.parse(str(well)) == well
    assert str(well) == well.row_name + well.column_name


@given(WELLS, st.integers(0, 10_000))
def test_a_field_reads_back_from_its_name(well: WellId, field: int) -> None:
    key = FieldKey(well, field)
    assert FieldKey.parse(str(key)) == key


@pytest.mark.parametrize("text", ["B03", "B03/", "B03/x", "B03/-1", "/0"])
def test_what_is_no_field_is_refused(text: str) -> None:
    with pytest.raises(PlateError):
        FieldKey.parse(text)


def test_wells_sort_by_row_then_column() -> None:
    names = ["AA01", "B01", "A10", "A02", "Z01"]
    assert [str(well) for well in sorted(map(WellId.parse, names))] == ["A02", "A10", "B01", "Z01", "AA01"]


def test_selection_takes_names_and_wildcards_in_plate_order() -> None:
    assert select_wells(PLATE, None) == PLATE
    assert [str(w) for w in select_wells(PLATE, "c12, b3,B03")] == ["B03", "C12"]
    assert len(select_wells(PLATE, "C*")) == 12
    assert len(select_wells(PLATE, "*12")) == 8
    assert len(select_wells(PLATE, "C*,*12")) == 19


def test_selection_of_nothing_is_refused_with_what_there_is() -> None:
    with pytest.raises(ConfigError, match=r"'P24' names no well of this plate; it has 96 wells, A01 to H12"):
        select_wells(PLATE, "B03,P24")
