"""The nucleus table and the ledger on disk."""

from __future__ import annotations

import subprocess
import sys
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.dataset as ds
import pyarrow.parquet as pq
import pytest
from numpy.typing import NDArray

from hcs.errors import ResultsError
from hcs.plate.keys import FieldKey
from hcs.store.results.ledger import (
    LedgerEntry,
    entry_path,
    finished_entry,
    ledger_frame,
    read_entry,
    read_ledger,
    write_entry,
)
from hcs.store.results.parts import Part, Parts, in_plate_order
from hcs.store.results.sealed import Damaged, Written, read_sealed, write_sealed
from hcs.store.results.table import part_path, write_part

RUN = "a run"


def columns(n: int, first: float = 0.0) -> dict[str, NDArray[Any]]:
    return {
        "Metadata_ObjectNumber": np.arange(1, n + 1, dtype=np.int32),
        "Nuclei_AreaShape_Area": np.arange(n, dtype=np.float32) + np.float32(first),
        "Nuclei_Flag_TouchesBorder": np.zeros(n, bool),
    }


def parts_of(folder: Path) -> Parts:
    """Whatever parts lie in a folder, as they were written."""
    files = list(folder.rglob("*.parquet"))
    parts = [Part(path, path.parent.name.removeprefix("well="), Written.of(path.read_bytes())) for path in files]
    return Parts(folder, in_plate_order(parts), "make it again")


@pytest.fixture
def table(tmp_path: Path) -> Path:
    for well, field, n in (("B03", 1, 2), ("B03", 0, 3), ("A01", 0, 0), ("C12", 0, 1)):
        write_part(tmp_path, "007", FieldKey.parse(f"{well}/{field}"), columns(n, first=10.0 * field))
    return tmp_path


def test_pandas_reads_the_folder_without_hcs(table: Path) -> None:
    frame = pd.read_parquet(table / "nuclei")
    assert list(frame["Metadata_Well"]) == ["B03"] * 5 + ["C12"]
    assert set(frame["Metadata_Plate"]) == {"007"}
    assert list(frame["Metadata_Site"]) == [0, 0, 0, 1, 1, 0]
    assert frame["Nuclei_AreaShape_Area"].dtype == np.float32


def test_reading_wells_columns_and_rows(table: Path) -> None:
    parts = parts_of(table / "nuclei")
    assert len(parts.read()) == 6
    assert list(parts.of(["B03"]).read(["Metadata_Site"])["Metadata_Site"]) == [0, 0, 0, 1, 1]
    large = parts.read(where=ds.field("Nuclei_AreaShape_Area") >= 10)
    assert list(large["Nuclei_AreaShape_Area"]) == [10.0, 11.0]
    assert list(parts.of(["C12"]).read(where=ds.field("Metadata_Site") == 0)["Metadata_Well"]) == ["C12"]
    assert list(parts.of(["H12"]).read()) == list(parts.read())
    assert parts.of(["H12"]).read(where=ds.field("Metadata_Site") == 0).empty
    assert "well" not in parts.read().columns
    with pytest.raises(ResultsError, match="no column Nuclei_Aera"):
        parts.read(["Nuclei_Aera"])
    with pytest.raises(ResultsError, match="finished `hcs run`"):
        Parts(table / "elsewhere", (), "").read()


def test_a_part_that_is_not_what_was_written_is_named(table: Path) -> None:
    parts = parts_of(table / "nuclei")
    victim = part_path(table, "007", FieldKey.parse("B03/1"))
    data = victim.read_bytes()
    for damage, says in (
        (data[:-1], "has .* bytes and was written with"),
        (data[:9] + bytes([data[9] ^ 1]) + data[10:], "holds other bytes than were written"),
        (part_path(table, "007", FieldKey.parse("B03/0")).read_bytes(), "has .* bytes"),
        (b"", "has 0 bytes"),
    ):
        victim.write_bytes(damage)
        filtered = partial(parts.read, where=ds.scalar(True))
        for use in (parts.read, parts.dataset, lambda: list(parts.by_well()), filtered):
            with pytest.raises(ResultsError, match=rf"B03.field-0001.parquet {says}.*; make it again"):
                use()
        assert len(parts.of(["C12"]).read()) == 1
    victim.unlink()
    with pytest.raises(ResultsError, match=r"field-0001.parquet is missing; make it again"):
        parts.read()


def test_the_same_nuclei_give_the_same_bytes(table: Path) -> None:
    key = FieldKey.parse("B03/0")
    before = part_path(table, "007", key).read_bytes()
    write_part(table, "007", key, columns(3))
    assert part_path(table, "007", key).read_bytes() == before


@pytest.mark.parametrize("n", [0, 1, 11])
def test_a_part_holds_what_pyarrow_would_make_of_the_columns(n: int, tmp_path: Path) -> None:
    rng = np.random.default_rng(n)
    values: dict[str, NDArray[Any]] = {
        "truth": rng.random(n) > 0.5,
        "every second": np.arange(2 * n, dtype=np.int64)[::2],
        "missing": np.where(rng.random(n) > 0.5, np.nan, 1.5),
    } | {name: rng.integers(0, 99, n).astype(name) for name in ("uint8", "int32", "uint32", "float32", "float64")}
    key, plate = FieldKey.parse("B03/7"), "Plätte 漢"
    write_part(tmp_path, plate, key, values)
    expected = {
        "Metadata_Plate": pa.array([plate] * n, pa.string()),
        "Metadata_Well": pa.array(["B03"] * n, pa.string()),
        "Metadata_Site": pa.array([7] * n, pa.int32()),
    } | {name: pa.array(own) for name, own in values.items()}
    read = pq.ParquetFile(part_path(tmp_path, plate, key)).read()
    read.validate(full=True)
    assert read.schema == pa.schema({name: own.type for name, own in expected.items()})
    for name, own in expected.items():
        pd.testing.assert_series_equal(read[name].to_pandas(), own.to_pandas(), check_names=False)


def test_a_worker_writes_a_part_without_pandas(tmp_path: Path) -> None:
    code = (
        "import sys, numpy as np; from pathlib import Path; from hcs.plate.keys import FieldKey; "
        "from hcs.store.results.table import part_path, write_part; "
        "place, key = Path(sys.argv[1]), FieldKey.parse('B03/0'); "
        "part = write_part(place, 'p', key, {'a': np.arange(3), 'b': np.ones(3, bool)}); "
        "print(len(part.read(part_path(place, 'p', key))) == part.nbytes, 'pandas' in sys.modules)"
    )
    done = subprocess.run([sys.executable, "-c", code, tmp_path], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "True False"


def test_a_plate_name_with_a_slash_is_one_folder(tmp_path: Path) -> None:
    write_part(tmp_path, "a/b c", FieldKey.parse("A01/0"), columns(1))
    assert [p.name for p in (tmp_path / "nuclei").iterdir()] == ["plate=a%2Fb%20c"]
    assert list(parts_of(tmp_path / "nuclei").read()["Metadata_Plate"]) == ["a/b c"]


def test_ledger_round_trip_and_pending(tmp_path: Path) -> None:
    key, other = FieldKey.parse("B03/0"), FieldKey.parse("B04/0")
    part = write_part(tmp_path, "p", key, columns(3))
    entry = LedgerEntry(
        field="B03/0", status="ok", run=RUN, nuclei=3, part_bytes=part.nbytes, part_crc32=part.crc32,
        seconds={"read": 0.5}, background={"DNA": 2.0}, quality={"Quality_Focus_DNA": None},
    )  # fmt: skip
    write_entry(tmp_path, entry)
    assert read_ledger(tmp_path, [key, other], RUN) == (entry, LedgerEntry(field="B04/0", status="pending", run=RUN))
    frame = ledger_frame(read_ledger(tmp_path, [key, other], RUN))
    assert list(frame["Status"]) == ["ok", "pending"]
    assert frame["Background_DNA"].iloc[0] == 2.0
    assert finished_entry(tmp_path, "p", key, RUN) == entry
    assert finished_entry(tmp_path, "p", other, RUN) is None
    path = part_path(tmp_path, "p", key)
    path.write_bytes(path.read_bytes()[:-20])
    assert finished_entry(tmp_path, "p", key, RUN) is None
    path.unlink()
    assert finished_entry(tmp_path, "p", key, RUN) is None  # entered, but its part is missing


@pytest.mark.parametrize(
    ("text", "says"),
    [
        ("", "is empty"),
        ("{", "is no JSON"),
        ("{}", "has no checksum"),
        ("[1]", "has no checksum"),
        ("[" * 100_000, "is no JSON"),
        ("\x00\x01\xff", "is no JSON"),
        ("changed", "its checksum does not fit"),
        ("field", "is of field B04/0"),
        ("run", "is of another run"),
        ("status", "has the status 'great'"),
        ("key", "is not of this version of hcs"),
    ],
)
def test_a_damaged_ledger_entry_means_do_it_again(tmp_path: Path, text: str, says: str) -> None:
    key, entry = FieldKey.parse("B03/0"), LedgerEntry(field="B03/0", status="ok", run=RUN, nuclei=3)
    path = entry_path(tmp_path, key)
    write_entry(tmp_path, entry)
    sound = path.read_text()
    changed = {"field": {"field": "B04/0"}, "run": {"run": "x"}, "status": {"status": "great"}, "key": {"other": 1}}
    if text in changed:
        write_sealed(path, read_sealed(path) | changed[text])
    else:
        path.write_text(sound.replace('"nuclei": 3', '"nuclei": 4') if text == "changed" else text, "latin-1")
    read = read_entry(tmp_path, key, RUN)
    assert (read.status, read.damaged) == ("pending", True)
    assert says in read.reason
    assert "`hcs run` makes the field again" in read.reason


def test_a_record_with_a_checksum_comes_back_as_it_was(tmp_path: Path) -> None:
    data = {"text": "µ 漢 \u2028", "list": [1, 2.5, None, True], "deep": {"b": {}, "a": float("inf")}}
    write_sealed(tmp_path / "x.json", data)
    assert read_sealed(tmp_path / "x.json") == data
    with pytest.raises(Damaged, match="is missing"):
        read_sealed(tmp_path / "y.json")


def test_a_folder_that_cannot_be_written_gets_a_sentence(tmp_path: Path) -> None:
    (tmp_path / "nuclei").write_text("in the way")
    with pytest.raises(ResultsError, match=r"cannot write .*finished fields are kept"):
        write_part(tmp_path, "p", FieldKey.parse("A01/0"), columns(1))
