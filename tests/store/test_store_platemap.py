"""Plate maps in files."""

from __future__ import annotations

from pathlib import Path

import pandas as pd
import pytest

from hcs.errors import PlateError
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
        ("map.csv", b'well,role\nA1,"sample\n', "cannot be read as CSV"),
        ("map.parquet", b"PAR1 no", "cannot be read as Parquet"),
    ],
)
def test_a_damaged_file_gets_a_sentence(tmp_path: Path, name: str, content: bytes, sentence: str) -> None:
    (tmp_path / name).write_bytes(content)
    with pytest.raises(PlateError, match=sentence):
        read_plate_map(tmp_path / name)


def test_a_missing_file_gets_a_sentence(tmp_path: Path) -> None:
    with pytest.raises(PlateError, match="no such plate map"):
        read_plate_map(tmp_path / "map.csv")


def test_the_map_of_bbbc013(shared_data: Path) -> None:
    frame = read_plate_map(shared_data / "bbbc013" / "platemap.csv").frame
    assert frame["role"].value_counts().to_dict() == {"sample": 72, "negative": 16, "positive": 8}
    assert list(frame.columns[5:]) == ["group", "dose_index"]
    assert frame.loc[frame["well"] == "A03", "dose"].item() == pytest.approx(0.9766)
