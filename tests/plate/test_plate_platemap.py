"""The plate map: what is accepted, and the sentence for what is not."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest

from hcs.errors import PlateError
from hcs.plate.annotations import lacks_roles, with_compounds
from hcs.plate.keys import WellId
from hcs.plate.platemap import PlateMap


def make(**columns: object) -> PlateMap:
    return PlateMap.from_frame(pd.DataFrame(columns), "map.csv")


def test_wells_are_canonical_and_sorted() -> None:
    plate_map = make(well=["b3", "A10", "A02"], role=["Sample", "negative", "POSITIVE"])
    assert list(plate_map.frame["well"]) == ["A02", "A10", "B03"]
    assert list(plate_map.frame["role"]) == ["positive", "negative", "sample"]
    assert plate_map.wells == (WellId(0, 1), WellId(0, 9), WellId(1, 2))


def test_missing_columns_get_empty_values_and_fixed_types() -> None:
    frame = make(well=["A1"], role=["empty"]).frame
    assert list(frame.columns) == ["well", "role", "compound", "dose", "unit"]
    assert frame.loc[0, "compound"] == frame.loc[0, "unit"] == ""
    assert frame["dose"].dtype == np.float64
    assert np.isnan(frame.loc[0, "dose"])


def test_values_follow_their_well_and_further_columns_are_carried() -> None:
    frame = make(
        batch=[2, 1],
        Dose=["0.5", None],
        well=["B1", "A1"],
        role=["sample"] * 2,
        compound=["X", np.nan],
        Group=["g", "h"],
    ).frame
    assert list(frame.columns) == ["well", "role", "compound", "dose", "unit", "batch", "Group"]
    assert frame.loc[1].to_dict() == {
        "well": "B01", "role": "sample", "compound": "X", "dose": 0.5, "unit": "", "batch": 2, "Group": "g",
    }  # fmt: skip
    assert frame.loc[0, "compound"] == ""
    assert frame["batch"].dtype == np.int64


@pytest.mark.parametrize(
    ("columns", "sentence"),
    [
        ({"well": ["B3", "A1", "b03"], "role": ["sample"] * 3}, r"gives well B03 more than once"),
        ({"well": ["A1"], "role": ["control"]}, r"A01 has role 'control'.*negative, positive, sample, empty"),
        ({"well": ["A1"], "role": [None]}, r"A01 has role ''"),
        ({"well": ["A1", "Q99x"], "role": ["sample"] * 2}, r"row 2: 'Q99x' is not a well name"),
        ({"well": ["A1", None], "role": ["sample"] * 2}, r"row 2: "),
        ({"Place": ["A1"], "role": ["sample"]}, r"no column well; its columns are Place, role: rename"),
        ({"x": ["A1"]}, r"no column well and no column role"),
        ({"well": ["A1"], "Well": ["A1"], "role": ["sample"]}, r"column 'well' twice"),
        ({"well": [], "role": []}, r"lists no wells"),
        ({"well": ["A1"], "role": ["sample"], "dose": ["10 nM"]}, r"A01 has dose '10 nM', which is no number"),
        ({"well": ["A1"], "role": ["sample"], "dose": [-1.0]}, r"A01 has dose -1.0; a dose is 0 or more"),
        ({"well": ["A1"], "role": ["sample"], "dose": ["inf"]}, r"A01 has dose inf"),
    ],
)
def test_a_bad_map_is_refused_in_one_sentence(columns: dict[str, list[object]], sentence: str) -> None:
    with pytest.raises(PlateError, match=rf"^plate map map\.csv.*{sentence}"):
        make(**columns)


def test_unmatched_wells_are_told_apart() -> None:
    plate_map = make(well=["A1", "A2", "H12"], role=["sample"] * 3)
    only_map, only_plate = plate_map.unmatched([WellId(0, 1), WellId(0, 2), WellId(0, 0)])
    assert only_map == (WellId(7, 11),)
    assert only_plate == (WellId(0, 2),)


def test_of_several_plates_the_rows_of_one_are_read() -> None:
    cells = [
        ("Assay Plate Barcode", "well", "role"),
        ("P-1", "A01", "neg"),
        ("P-2", "A01", "pos"),
        ("P-2", "b2", "neg"),
    ]
    found = PlateMap.from_cells(cells, "map.csv", plate="p2.zarr")
    assert list(found.frame["well"]) == ["A01", "B02"]
    assert list(found.frame["role"]) == ["positive", "negative"]
    assert "of 2 plates, the rows of 'P-2'" in found.notes[0]
    with pytest.raises(PlateError, match=r"names 2 plates \(P-1, P-2\), and none is called 'p3'"):
        PlateMap.from_cells(cells, "map.csv", plate="p3")
    with pytest.raises(PlateError, match="keep one file a plate"):
        PlateMap.from_cells(cells, "map.csv")
    assert len(PlateMap.from_cells(cells[:2], "map.csv", plate="other").frame) == 1  # one plate: called as it may be


def test_german_words_are_understood() -> None:
    cells = [
        ("Vertiefung", "Rolle", "Substanz", "Konzentration", "Einheit"),
        ("A1", "Negativkontrolle", "DMSO", "", ""),
        ("A2", "Positivkontrolle", "W", "1,5", "µM"),
        ("A3", "Probe", "X", "0,25", "nM"),
        ("A4", "leer", "", "", ""),
    ]
    frame = PlateMap.from_cells(cells, "map.csv", semicolons=True).frame
    assert list(frame["role"]) == ["negative", "positive", "sample", "empty"]
    assert frame["dose"].tolist()[1:3] == [1.5, 0.25]


def test_jump_plate_maps_have_names_and_roles_from_their_metadata() -> None:
    rows = [
        ("well_position", "broad_sample", "solvent"),
        ("A01", "BRD-1", "DMSO"),
        ("A02", "", "DMSO"),
        ("A03", "BRD-2"),
    ]
    metadata = [
        ("broad_sample", "pert_iname", "pert_type", "control_type"),
        ("BRD-1", "quinine", "trt", "NA"),
        ("BRD-2", "CYT-997", "control", "poscon_diverse"),
        ("NA", "DMSO", "control", "negcon"),
    ]
    assert lacks_roles(rows)
    frame = PlateMap.from_cells(with_compounds(rows, metadata), "JUMP_platemap.tsv").frame
    assert list(frame["compound"]) == ["BRD-1", "", "BRD-2"]
    assert list(frame["name"]) == ["quinine", "DMSO", "CYT-997"]
    assert list(frame["role"]) == ["sample", "negative", "positive"]
    assert not lacks_roles([("well", "role"), ("A01", "neg")])
