"""The nucleus table and the ledger on disk."""

from __future__ import annotations

import subprocess
import sys
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
from hcs.store.ledger import LedgerEntry, is_finished, ledger_frame, read_entry, read_ledger, write_entry
from hcs.store.parts import read_parts
from hcs.store.table import part_is_valid, part_path, write_part


def columns(n: int, first: float = 0.0) -> dict[str, NDArray[Any]]:
    return {
        "Metadata_ObjectNumber": np.arange(1, n + 1, dtype=np.int32),
        "Nuclei_AreaShape_Area": np.arange(n, dtype=np.float32) + np.float32(first),
        "Nuclei_Flag_TouchesBorder": np.zeros(n, bool),
    }


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
    assert len(read_parts(table / "nuclei")) == 6
    assert list(read_parts(table / "nuclei", wells=["b3"], columns=["Metadata_Site"])["Metadata_Site"]) == [
        0,
        0,
        0,
        1,
        1,
    ]
    large = read_parts(table / "nuclei", where=ds.field("Nuclei_AreaShape_Area") >= 10)
    assert list(large["Nuclei_AreaShape_Area"]) == [10.0, 11.0]
    assert "well" not in read_parts(table / "nuclei").columns
    with pytest.raises(ResultsError, match="no column Nuclei_Aera"):
        read_parts(table / "nuclei", columns=["Nuclei_Aera"])
    with pytest.raises(ResultsError, match="finished `hcs run`"):
        read_parts(table / "elsewhere")


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
        "from hcs.store.table import part_is_valid, write_part; "
        "place, key = Path(sys.argv[1]), FieldKey.parse('B03/0'); "
        "write_part(place, 'p', key, {'a': np.arange(3), 'b': np.ones(3, bool)}); "
        "print(part_is_valid(place, 'p', key, 3), 'pandas' in sys.modules)"
    )
    done = subprocess.run([sys.executable, "-c", code, tmp_path], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "True False"


def test_a_part_cut_short_is_not_valid(table: Path) -> None:
    key = FieldKey.parse("B03/0")
    path = part_path(table, "007", key)
    assert part_is_valid(table, "007", key, 3)
    assert not part_is_valid(table, "007", key, 4)
    path.write_bytes(path.read_bytes()[:-20])
    assert not part_is_valid(table, "007", key, 3)
    assert not part_is_valid(table, "007", FieldKey.parse("H12/0"), 0)


def test_a_plate_name_with_a_slash_is_one_folder(tmp_path: Path) -> None:
    write_part(tmp_path, "a/b c", FieldKey.parse("A01/0"), columns(1))
    assert [p.name for p in (tmp_path / "nuclei").iterdir()] == ["plate=a%2Fb%20c"]
    assert list(read_parts(tmp_path / "nuclei")["Metadata_Plate"]) == ["a/b c"]


def test_ledger_round_trip_and_pending(tmp_path: Path) -> None:
    key, other = FieldKey.parse("B03/0"), FieldKey.parse("B04/0")
    entry = LedgerEntry(field="B03/0", status="ok", nuclei=3, seconds={"read": 0.5}, background={"DNA": 2.0})
    write_entry(tmp_path, entry)
    assert read_ledger(tmp_path, [key, other]) == (entry, LedgerEntry(field="B04/0", status="pending"))
    frame = ledger_frame(read_ledger(tmp_path, [key, other]))
    assert list(frame["Status"]) == ["ok", "pending"]
    assert frame["Background_DNA"].iloc[0] == 2.0
    assert not is_finished(tmp_path, "p", key)  # entered, but its part is missing
    write_part(tmp_path, "p", key, columns(3))
    assert is_finished(tmp_path, "p", key)
    assert not is_finished(tmp_path, "p", other)


def test_a_damaged_ledger_entry_means_do_it_again(tmp_path: Path) -> None:
    write_entry(tmp_path, LedgerEntry(field="B03/0", status="ok"))
    (tmp_path / "ledger" / "B03_0000.json").write_text("{")
    assert read_entry(tmp_path, FieldKey.parse("B03/0")).status == "pending"


def test_a_folder_that_cannot_be_written_gets_a_sentence(tmp_path: Path) -> None:
    (tmp_path / "nuclei").write_text("in the way")
    with pytest.raises(ResultsError, match=r"cannot write .*finished fields are kept"):
        write_part(tmp_path, "p", FieldKey.parse("A01/0"), columns(1))
