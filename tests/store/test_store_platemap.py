"""Plate maps in files."""

from __future__ import annotations

from datetime import datetime
from pathlib import Path

import openpyxl
import pandas as pd
import pytest

from hcs.errors import PlateError
from hcs.plate.platemap import PlateMap
from hcs.store.platemap import read_plate_map, write_plate_map

CSV = "well,role,compound,dose,unit,group,n\nB3,negative,,0,nM,x,1\na01,sample,NA,1.5,nM,y,2\n"


@pytest.mark.parametrize("separator", [",", ";", "\t"])
@pytest.mark.parametrize("mark", ["", "\ufeff"])
def test_csv_as_spreadsheets_save_it(tmp_path: Path, separator: str, mark: str) -> None:
    file = tmp_path / "map.csv"
    file.write_text(mark + CSV.replace(",", separator), encoding="utf-8")
    frame = read_plate_map(file).frame
    assert list(frame["well"]) == ["A01", "B03"]
    assert list(frame["compound"]) == ["NA", ""]
    assert list(frame["dose"]) == [1.5, 0.0]
    assert list(frame["n"]) == [2, 1]


def test_parquet_and_csv_give_the_same_map_and_csv_reads_back(tmp_path: Path) -> None:
    (tmp_path / "map.csv").write_text(CSV)
    from_csv = read_plate_map(tmp_path / "map.csv")
    from_csv.frame.to_parquet(tmp_path / "map.parquet")
    write_plate_map(tmp_path / "again.csv", from_csv)
    for name in ("map.parquet", "again.csv"):
        pd.testing.assert_frame_equal(read_plate_map(tmp_path / name).frame, from_csv.frame)


@pytest.mark.parametrize(
    ("name", "content", "sentence"),
    [
        ("map.csv", b"", "is empty"),
        ("map.csv", b"well,role\n", "lists no wells"),
        ("map.csv", b"\xff\xfe\x00\x01", "cannot be read as CSV"),
        ("map.csv", b"\x00\x01\x02\xff", "cannot be read as CSV"),
        ("map.csv", b"well,role\nA1,neg\x81ative\n", "cannot be read as CSV"),
        ("map.csv", b"PK\x03\x04 a zip of something else", "is no workbook that can be read"),
        ("map.xls", b"\xd0\xcf\x11\xe0\xa1\xb1", "Excel file of before 2007"),
        ("map.csv", b'well,role\nA1,"sample\n', "cannot be read as CSV"),
        ("map.parquet", b"PAR1 no", "cannot be read as Parquet"),
    ],
)
def test_a_damaged_file_gets_a_sentence(tmp_path: Path, name: str, content: bytes, sentence: str) -> None:
    (tmp_path / name).write_bytes(content)
    with pytest.raises(PlateError, match=sentence):
        read_plate_map(tmp_path / name)


@pytest.mark.parametrize("encoding", ["utf-8", "utf-8-sig", "utf-16", "utf-16-le", "utf-16-be", "cp1252"])
@pytest.mark.parametrize("separator", [",", ";", "\t"])
def test_any_usual_encoding(tmp_path: Path, encoding: str, separator: str) -> None:
    text = "Well,Role,Compound,Unit,Dose\r\nA1,sample,µ-Conotoxin,µM,5\r\n".replace(",", separator)
    (tmp_path / "map.csv").write_bytes(text.encode(encoding))
    found = read_plate_map(tmp_path / "map.csv")
    assert found.frame.loc[0, ["compound", "unit", "dose"]].tolist() == ["µ-Conotoxin", "µM", 5.0]
    assert {"cp1252": "Windows-1252", "utf-8-sig": "UTF-8"}.get(encoding, encoding[:6].upper()) in found.understood[0]


def test_a_german_spreadsheet(tmp_path: Path) -> None:
    (tmp_path / "map.csv").write_bytes(
        "sep=;\r\nwell;role;dose;unit\r\nA1;neg ctrl;0,0;µM\r\nA2;sample;0,5;µM\r\n".encode("cp1252")
    )
    found = read_plate_map(tmp_path / "map.csv")
    assert list(found.frame["dose"]) == [0.0, 0.5]
    assert found.understood[0] == "map.csv (CSV, Windows-1252, semicolons)"
    assert "doses have decimal commas" in found.notes


def workbook(path: Path, *rows: list[object]) -> openpyxl.Workbook:
    book = openpyxl.Workbook()
    book.active.title = "Layout"
    for row in rows:
        book.active.append(row)
    book.save(path)
    return book


def test_a_workbook(tmp_path: Path) -> None:
    path = tmp_path / "map.xlsx"
    rows = [["Screen 7"], [], ["Well", "Role", "Compound", "Dose [nM]"], ["A1", "neg ctrl", None, None]]
    book = workbook(path, *rows, ["A2", "sample", 1, 0.1 + 0.2], ["A3", "Sample", "000001", 10])
    book.active["C5"].number_format = "000000"
    book.create_sheet("Old").append(["well", "role"])
    book["Old"].append(["B7", "empty"])
    book.save(path)
    found = read_plate_map(path)
    assert list(found.frame["compound"]) == ["", "000001", "000001"]
    assert list(found.frame["dose"])[1:] == [0.3, 10.0]
    assert any("sheet 'Layout' is read, not Old" in note for note in found.notes)
    assert list(read_plate_map(f"{path}#Old").frame["well"]) == ["B07"]
    with pytest.raises(PlateError, match="has no sheet 'New'; it has Layout, Old"):
        read_plate_map(f"{path}#New")


@pytest.mark.parametrize(
    ("cell", "words"),
    [
        ("=1+1", "the formula =1\\+1 has no value in the file"),
        (datetime(2026, 3, 1), "took it for a date"),
        ("#N/A", "error"),
    ],
)
def test_what_a_workbook_s_cell_may_not_hold(tmp_path: Path, cell: object, words: str) -> None:
    workbook(tmp_path / "map.xlsx", ["well", "role", "compound"], ["A1", "sample", cell])
    with pytest.raises(PlateError, match=f"cell C2.*{words}"):
        read_plate_map(tmp_path / "map.xlsx")


def test_a_workbook_under_another_name_and_merged_cells(tmp_path: Path) -> None:
    book = workbook(tmp_path / "a.xlsx", ["well", "role"], ["A1", "sample"], ["A2", None])
    book.active.merge_cells("B2:B3")
    book.save(tmp_path / "map.csv")
    found = read_plate_map(tmp_path / "map.csv")
    assert list(found.frame["role"]) == ["sample", "sample"]
    assert "merged cells hold their text in each: B2:B3" in found.notes


@pytest.mark.parametrize("name", ["=cmd|' /C calc'!A0", "+1", "-5", "@x", "'=x", "''+x"])
def test_no_copy_of_a_map_holds_a_formula_and_the_copy_reads_back(tmp_path: Path, name: str) -> None:
    plate_map = PlateMap.from_frame(pd.DataFrame({"well": ["A1"], "role": ["sample"], "compound": [name]}), "test")
    assert plate_map.frame.loc[0, "compound"] == name
    write_plate_map(tmp_path / "copy.csv", plate_map)
    assert f",'{name}," in (tmp_path / "copy.csv").read_text()
    pd.testing.assert_frame_equal(read_plate_map(tmp_path / "copy.csv").frame, plate_map.frame)


@pytest.mark.parametrize(
    ("path", "wells", "compounds", "negative"),
    [
        ("jump-target/JUMP-Target-1_compound_platemap.tsv", 384, 306, 64),
        ("jump-target/JUMP-Target-1_crispr_platemap.tsv", 384, 335, 60),
        ("jump-target/JUMP-Target-1_orf_platemap.tsv", 384, 175, 0),
        ("operetta-compose/fixtures/drug_layout.csv", 1, 1, 0),
        ("operetta-compose/fixtures/drug_layout_utf8-dom.csv", 1, 1, 0),
    ],
)
def test_plate_maps_of_others(shared_data: Path, path: str, wells: int, compounds: int, negative: int) -> None:
    file = shared_data / "microscopes" / path
    if not file.exists():
        pytest.skip(f"{file} is not there")
    found = read_plate_map(file)
    assert len(found.frame) == wells
    assert len(set(found.frame["compound"]) - {""}) == compounds
    assert (found.frame["role"] == "negative").sum() == negative  # of JUMP's by the metadata file beside
    assert any("no column role" in note for note in found.notes) != bool(negative)


def test_a_missing_file_gets_a_sentence(tmp_path: Path) -> None:
    with pytest.raises(PlateError, match="no such plate map"):
        read_plate_map(tmp_path / "map.csv")


def test_the_map_of_bbbc013(shared_data: Path) -> None:
    frame = read_plate_map(shared_data / "bbbc013" / "platemap.csv").frame
    assert frame["role"].value_counts().to_dict() == {"sample": 72, "negative": 16, "positive": 8}
    assert list(frame.columns[5:]) == ["group", "dose_index"]
    assert frame.loc[frame["well"] == "A03", "dose"].item() == pytest.approx(0.9766)


def test_an_assay_layout_of_harmony_is_a_plate_map(tmp_path: Path) -> None:
    well = "<Well><Row>{}</Row><Col>{}</Col><Value>{}</Value></Well>"
    layers = {"Compound": [(1, 1, "DMSO"), (2, 12, "W")], "Type": [(1, 1, "neg"), (2, 12, "Positivkontrolle")]}
    text = "".join(
        f"<Layer><Name>{name}</Name>{''.join(well.format(*each) for each in wells)}</Layer>"
        for name, wells in layers.items()
    )
    path = tmp_path / "layout.xml"
    path.write_text(f'\ufeff<?xml version="1.0"?><AssayLayout xmlns="http://x/HarmonyV5">{text}</AssayLayout>')
    found = read_plate_map(path)
    assert found.frame[["well", "role", "compound"]].to_numpy().tolist() == [
        ["A01", "negative", "DMSO"],
        ["B12", "positive", "W"],
    ]
    assert "assay layout of Harmony" in found.understood[0]
    path.write_text("<AssayLayout><Layer><Name>Compound</Name></Layer></AssayLayout>")
    with pytest.raises(PlateError, match="says nothing of any well"):
        read_plate_map(path)
