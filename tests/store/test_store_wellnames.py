"""Wells of plates as other software names them: by path, by number, by index; and plates that contradict themselves."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from hcs.errors import FieldError, PlateError
from hcs.store.plate.metadata import PlateMetadata
from hcs.store.plate.reader import open_plate, read_info
from hcs.store.plate.wellnames import name_wells


def plate(wells: list[dict[str, Any]], rows: list[str] | None = None, columns: list[str] | None = None) -> Any:
    data = {
        "rows": [{"name": name} for name in rows or []],
        "columns": [{"name": name} for name in columns or []],
        "wells": wells,
    }
    return PlateMetadata.model_validate(data)


def at(path: str, row: int | None = None, column: int | None = None, *, snake: bool = False) -> dict[str, Any]:
    names = ("row_index", "column_index") if snake else ("rowIndex", "columnIndex")
    return {"path": path} | ({} if row is None else dict(zip(names, (row, column), strict=True)))


def named(metadata: PlateMetadata) -> tuple[dict[str, str], str]:
    wells, notes = name_wells(metadata)
    return {path: str(well) for well, path in wells.items()}, " ".join(notes)


ALL = [str(i) for i in range(12)]


@pytest.mark.parametrize("snake", [False, True])
def test_bioformats2raw_counts_rows_from_zero(snake: bool) -> None:
    wells, note = named(plate([at("4/11", 4, 11, snake=snake), at("0/0", 0, 0, snake=snake)], ALL[:8], ALL))
    assert wells == {"4/11": "E12", "0/0": "A01"}
    assert "rows and columns are numbers, from 0: 4/11 is E12" in note


def test_numbers_without_a_zero_count_from_one_unless_indices_say_otherwise() -> None:
    wells, note = named(plate([at("3/3"), at("16/24")]))
    assert wells == {"3/3": "C03", "16/24": "P24"}
    assert "from 1" in note
    assert named(plate([at("3/4", 3, 4), at("5/6", 5, 6)]))[0] == {"3/4": "D05", "5/6": "F07"}
    assert named(plate([at("3/4", 2, 3), at("5/6", 4, 5)]))[0] == {"3/4": "C04", "5/6": "E06"}
    sparse = plate([at("3/4", 0, 0), at("5/6", 1, 1)], ["3", "5"], ["4", "6"])
    assert named(sparse)[0] == {"3/4": "C04", "5/6": "E06"}


def test_other_names_go_by_row_and_column_or_by_index() -> None:
    wells, note = named(plate([at("well_7", 1, 2)], ["A", "B"], ["1", "2", "3"]))
    assert wells == {"well_7": "B03"}
    assert "by the names of their rows and columns: well_7 is B03" in note
    wells, note = named(plate([at("north/left", 0, 1), at("south/left", 1, 1)], ["north", "south"], ["right", "left"]))
    assert wells == {"north/left": "A02", "south/left": "B02"}
    assert "by their indices" in note
    assert named(plate([at("A/0", 0, 0), at("A/1", 0, 1)], ["A"], ["0", "1"]))[0] == {"A/0": "A01", "A/1": "A02"}


def test_1536_wells() -> None:
    assert named(plate([at("A/01"), at("AA/01"), at("AF/48")])) == (
        {"A/01": "A01", "AA/01": "AA01", "AF/48": "AF48"},
        "",
    )
    wells, note = named(plate([at("Aa/1"), at("Ab/1"), at("Hd/48")]))
    assert wells == {"Aa/1": "A01", "Ab/1": "B01", "Hd/48": "AF48"}
    assert "Hd48 is AF48" in note
    wells, note = named(plate([at("A/01a1"), at("A/01b3"), at("H/12d4")]))
    assert wells == {"A/01a1": "A01", "A/01b3": "B03", "H/12d4": "AF48"}
    assert "A01a1 is A01" in note
    assert named(plate([at("A/1"), at("Z/1"), at("Aa/1")]))[0]["Aa/1"] == "AA01"


ROWS, COLUMNS = ["B", "C", "D"], ["03", "04", "05"]


def test_the_path_counts_where_indices_contradict_it() -> None:
    plain = [("B/03", 0, 0), ("C/04", 1, 1), ("D/05", 2, 2)]
    assert named(plate([at(*well) for well in plain], ROWS, COLUMNS))[1] == ""
    absolute = [("B/03", 1, 2), ("C/04", 2, 3), ("D/05", 3, 4)]
    of_sorted = [("B/03", 0, 0), ("C/04", 1, 1), ("D/05", 2, 2)]
    for places, rows in ((absolute, ROWS), (of_sorted, ["D", "B", "C"])):
        wells, note = named(plate([at(*well) for well in places], rows, COLUMNS))
        assert wells == {"B/03": "B03", "C/04": "C04", "D/05": "D05"}
        assert "of 3 wells contradict their paths" in note
        assert "the paths count: B/03 is B03" in note


def test_one_place_for_one_well() -> None:
    for wells in ([at("A/1"), at("A/1")], [at("A/1"), at("A/01")], [at("0/1", 0, 1), at("0/01", 0, 1)]):
        with pytest.raises(ValueError, match="listed twice"):
            name_wells(plate(wells))
    with pytest.raises(ValueError, match="two rows are called B"):
        name_wells(plate([at("A/1", 0, 0)], ["B", "B"], ["1"]))


def edit(folder: Path, change: Any) -> None:
    file = folder / "zarr.json" if (folder / "zarr.json").exists() else folder / ".zattrs"
    document = json.loads(file.read_text())
    change(document["attributes"]["ome"] if file.name == "zarr.json" else document)
    file.write_text(json.dumps(document))


def test_a_plate_says_how_its_wells_are_called(small_plate: Any) -> None:
    assert open_plate(small_plate.path).notes == ()
    edit(Path(small_plate.path), lambda ome: ome["plate"]["wells"][0].update(rowIndex=9))
    opened = open_plate(small_plate.path)
    assert [str(well) for well in opened.wells] == ["A01", "B03"]
    assert "point at no row and column of the plate" in opened.notes[0]


def test_an_image_listed_twice_fails_its_well_alone(small_plate: Any) -> None:
    folder = Path(small_plate.path) / "A" / "01"
    edit(folder, lambda ome: ome["well"]["images"].append(ome["well"]["images"][0]))
    opened = open_plate(small_plate.path)
    assert [str(entry.key) for entry in opened.fields] == ["A01/0", "B03/0", "B03/1"]
    with pytest.raises(FieldError, match="lists image 0 2 times"):
        read_info(opened, opened.fields[0].key)


def test_a_well_that_lists_no_image_says_so(small_plate: Any) -> None:
    edit(Path(small_plate.path) / "A" / "01", lambda ome: ome["well"].update(images=[]))
    opened = open_plate(small_plate.path)
    assert opened.absent_wells == ()
    with pytest.raises(FieldError, match="lists well A01, and the metadata of its folder A/01 lists no image"):
        read_info(opened, opened.missing[0].key)


@pytest.mark.parametrize(
    ("start", "words"),
    [
        (b"PK\x03\x04" + bytes(20), "is a zip archive; unpack it"),
        (b"\x1f\x8b" + bytes(20), "is a gzip archive; unpack it"),
        (bytes(257) + b"ustar" + bytes(20), "is a tar archive; unpack it"),
        (b"II*\0" + bytes(20), "is a TIFF file; `hcs convert`"),
        (b"well,role", "is a file; give the folder of a plate"),
    ],
)
def test_files_are_named_for_what_they_are(tmp_path: Path, start: bytes, words: str) -> None:
    (tmp_path / "plate.zarr.zip").write_bytes(start)
    with pytest.raises(PlateError, match=words):
        open_plate(str(tmp_path / "plate.zarr.zip"))


def test_other_kinds_of_ome_zarr_are_named_with_the_way_out(small_plate: Any, tmp_path: Path) -> None:
    root = Path(small_plate.path)
    for place, words in ((root / "A" / "01", "it is one well"), (root / "A" / "01" / "0", "it is a single image")):
        with pytest.raises(PlateError, match=words):
            open_plate(str(place))
    (tmp_path / "outer").mkdir()
    root.rename(tmp_path / "outer" / "inner.zarr")
    with pytest.raises(PlateError, match=r"it is a folder around inner.zarr; give that plate"):
        open_plate(str(tmp_path / "outer"))
    collection = tmp_path / "coll.zarr"
    collection.mkdir()
    (collection / ".zgroup").write_text('{"zarr_format": 2}')
    (collection / ".zattrs").write_text('{"bioformats2raw.layout": 3}')
    for i in range(3):
        (collection / str(i)).mkdir()
        (collection / str(i) / ".zattrs").write_text('{"multiscales": [{"datasets": [{"path": "0"}]}]}')
    with pytest.raises(PlateError, match=r"a collection of 3 images without a plate \(bioformats2raw.layout 3\)"):
        open_plate(str(collection))
    (tmp_path / "results").mkdir()
    (tmp_path / "results" / "run.json").write_text("{}")
    with pytest.raises(PlateError, match="it is a results folder of hcs"):
        open_plate(str(tmp_path / "results"))
