"""Plates and results by URL: against an S3 server and a web server of this machine."""

from __future__ import annotations

import contextlib
import subprocess
import sys
import threading
from collections.abc import Iterator
from functools import partial
from http.server import SimpleHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import numpy as np
import pandas as pd
import pyarrow.dataset as ds
import pytest

from hcs.errors import ConfigError, FieldError, PlateError, ResultsError
from hcs.plate.keys import FieldKey
from hcs.store.atomic import read_json, write_json
from hcs.store.folders import replacing_folder
from hcs.store.location import Url, location, missing_package
from hcs.store.mirror import local_copy
from hcs.store.plate.field import missing_chunks
from hcs.store.plate.labels import prepare_label_plate, read_labels, write_labels
from hcs.store.plate.reader import open_plate, read_field, read_info
from hcs.store.platemap import read_plate_map
from hcs.store.results.ledger import (
    LedgerEntry,
    finished_entry,
    read_entry,
    read_ledger,
    unfinished_fields,
    write_entry,
)
from hcs.store.results.parts import Part, Parts
from hcs.store.results.sealed import Damaged, Written
from hcs.store.results.table import part_path, read_frame, write_frame, write_part

A01 = FieldKey.parse("A01/0")
B03 = FieldKey.parse("B03/1")


@pytest.fixture
def bucket(s3: str, tmp_path: Path) -> Url:
    """A place of this test's own in the bucket."""
    place = location(f"{s3}/{tmp_path.parent.name}-{tmp_path.name}")
    assert isinstance(place, Url)
    return place


@pytest.fixture
def remote_plate(small_plate: object, bucket: Url) -> Url:
    """The small plate, uploaded."""
    folder = Path(small_plate.path)  # type: ignore[attr-defined]
    target = bucket / folder.name
    for path in folder.rglob("*"):
        if path.is_file():
            (target / path.relative_to(folder).as_posix()).write_bytes(path.read_bytes())
    return target


@pytest.fixture
def web(tmp_path: Path) -> Iterator[str]:
    """Address of a web server of the test's folder that lists nothing."""

    class Handler(SimpleHTTPRequestHandler):
        def log_message(self, *_: object) -> None:
            return

        def list_directory(self, _: object) -> None:
            self.send_error(403)

    with ThreadingHTTPServer(("127.0.0.1", 0), partial(Handler, directory=str(tmp_path))) as server:
        thread = threading.Thread(target=server.serve_forever)
        thread.start()
        yield f"http://127.0.0.1:{server.server_address[1]}"
        server.shutdown()
        thread.join()


def test_a_url_is_told_from_a_path() -> None:
    assert location("plates/p.zarr") == Path("plates/p.zarr")
    assert location("C:/plates") == Path("C:/plates")
    url = location("s3://bucket/plates/p.ome.zarr/")
    assert isinstance(url, Url)
    assert (url.protocol, url.name, url.suffix, str(url.parent)) == ("s3", "p.ome.zarr", ".zarr", "s3://bucket/plates")
    assert str(url / "B/03" / "0") == "s3://bucket/plates/p.ome.zarr/B/03/0"
    assert url.absolute() == url.resolve() == url


def test_importing_hcs_and_opening_local_plates_loads_no_client_of_a_store(small_plate: object) -> None:
    code = (
        "import sys, hcs, hcs.store.plate.reader, hcs.store.results.folder; "
        f"hcs.store.plate.reader.open_plate({small_plate.path!r}); "  # type: ignore[attr-defined]
        "sys.exit(', '.join({'s3fs', 'gcsfs', 'aiohttp', 'botocore'} & sys.modules.keys()) or 0)"
    )
    shown = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False)
    assert shown.returncode == 0, shown.stderr


def test_a_missing_package_is_named() -> None:
    assert "pip install 's3fs'" in str(missing_package("s3://b/p", ImportError("s3fs")))
    assert "pip install 'gcsfs'" in str(missing_package("gs://b/p", ImportError("gcsfs")))
    with pytest.raises(ConfigError, match="nonsense:// is not known"):
        Url("nonsense://x/y").exists()


def test_a_plate_in_a_store_is_the_plate_on_disk(small_plate: object, remote_plate: Url) -> None:
    here = open_plate(small_plate.path)  # type: ignore[attr-defined]
    there = open_plate(str(remote_plate))
    assert (there.name, there.ngff, there.wells, there.fields) == (here.name, here.ngff, here.wells, here.fields)
    assert read_info(there, B03) == read_info(here, B03)
    np.testing.assert_array_equal(read_field(there, B03, channels=(1, 0)), read_field(here, B03, channels=(1, 0)))
    assert missing_chunks(remote_plate, read_info(there, A01)) == (0, 2)


def test_lost_chunks_in_a_store_are_noticed(remote_plate: Url) -> None:
    plate = open_plate(str(remote_plate))
    info = read_info(plate, A01)
    array = remote_plate / info.level_path
    chunks = [name for name in array.files() if not name.rpartition("/")[2].startswith((".z", "zarr.json"))]
    (array / chunks[0]).unlink()
    assert missing_chunks(remote_plate, info) == (1, 2)
    (array / chunks[1]).unlink()
    with pytest.raises(FieldError, match="every chunk is missing"):
        read_field(plate, A01, channels=(0, 1))


def test_a_plate_on_a_web_server_is_read(small_plate: object, web: str) -> None:
    folder = Path(small_plate.path)  # type: ignore[attr-defined]
    here, there = open_plate(str(folder)), open_plate(f"{web}/{folder.name}")
    assert there.fields == here.fields
    np.testing.assert_array_equal(read_field(there, A01, channels=(0, 1)), read_field(here, A01, channels=(0, 1)))
    info = read_info(there, A01)
    assert missing_chunks(location(there.path), info) == (0, 2)
    next(p for p in (folder / info.level_path).rglob("*") if p.is_file() and p.name in ("0", "0.0.0")).unlink()
    assert missing_chunks(location(there.path), info)[0] == 1
    with pytest.raises(ResultsError, match="--labels out"):
        prepare_label_plate(there.path, there)


def test_what_is_not_there_is_said_in_a_sentence(bucket: Url, web: str) -> None:
    for address in (f"{bucket}/none.zarr", "s3://no-such-bucket/p.zarr", f"{web}/none.zarr"):
        with pytest.raises(PlateError, match=r"no plate at|cannot be read"):
            open_plate(address)
    with pytest.raises(PlateError, match=r"cannot be read .*check the address"):
        open_plate("http://127.0.0.1:9/p.zarr")


def test_objects_are_put_and_read_back(bucket: Url) -> None:
    write_json(bucket / "run.json", {"ü": 1})
    assert read_json(bucket / "run.json") == {"ü": 1}
    assert (bucket / "run.json").is_file()
    assert not bucket.is_file()
    assert bucket.is_dir()
    assert not (bucket / "no").is_dir()
    assert [p.name for p in bucket.iterdir()] == ["run.json"]
    assert bucket.files() == {"run.json": (bucket / "run.json").filesystem().size(str(bucket / "run.json"))}
    (bucket / "run.json").unlink()
    (bucket / "run.json").unlink(missing_ok=True)
    with pytest.raises(ResultsError, match="cannot be read"):
        read_json(bucket / "run.json")
    with pytest.raises(ResultsError, match=r"cannot write s3://no-such-bucket/x\.json"):
        write_json(Url("s3://no-such-bucket/x.json"), {})


def test_a_folder_in_a_store_is_replaced_as_a_whole(bucket: Url) -> None:
    with replacing_folder(bucket / "image") as folder:
        (folder / "c").mkdir()
        for name in ("zarr.json", "c/0", "c/1"):
            (folder / name).write_text(name)
    with contextlib.suppress(RuntimeError), replacing_folder(bucket / "image") as folder:
        (folder / "zarr.json").write_text("never")
        raise RuntimeError
    assert (bucket / "image" / "zarr.json").read_text() == "zarr.json"
    with replacing_folder(bucket / "image") as folder:
        (folder / "zarr.json").write_text("new")
    assert (bucket / "image").files() == {"zarr.json": 3}


def test_labels_go_into_a_plate_in_a_store(small_plate: object, remote_plate: Url, bucket: Url) -> None:
    plate = open_plate(str(remote_plate))
    prepare_label_plate(plate.path, plate)
    labels = np.zeros((65, 80), np.uint32)
    labels[3:9, 4:20] = 7
    own = str(bucket / "labels.zarr")
    prepare_label_plate(own, plate)
    prepare_label_plate(own, plate)
    for target in (plate.path, own):
        for value in (labels, labels * 2):
            write_labels(target, B03, value, ngff=plate.ngff, pixel_size_um=0.65)
            np.testing.assert_array_equal(read_labels(target, B03), value)
        with pytest.raises(FieldError, match="no labels"):
            read_labels(target, A01)
    assert open_plate(own).fields == plate.fields


def test_ledger_and_table_in_a_store(bucket: Url) -> None:
    columns = {"Metadata_ObjectNumber": np.arange(1, 4), "Nuclei_AreaShape_Area": np.array([3.0, 4.0, 5.0])}
    written: dict[FieldKey, Written] = {}
    for out in (bucket, location(f"{bucket}-2")):
        for key in (B03, A01):
            written[key] = write_part(out, "p 1/2", key, columns)
    kept = {"part_bytes": written[A01].nbytes, "part_crc32": written[A01].crc32}
    write_entry(bucket, LedgerEntry(field="A01/0", status="ok", run="r", nuclei=3, **kept))
    assert finished_entry(bucket, "p 1/2", A01, "r") is not None
    assert finished_entry(bucket, "p 1/2", A01, "another") is None
    assert unfinished_fields(bucket, "p 1/2", [B03, A01], "r") == (B03,)
    assert [entry.status for entry in read_ledger(bucket, [A01, B03], "r")] == ["ok", "pending"]
    (bucket / "ledger" / "B03_0001.json").write_bytes(b"{")
    assert "is no JSON" in read_entry(bucket, B03, "r").reason
    listed = [Part(part_path(bucket, "p 1/2", key), str(key.well), written[key]) for key in (A01, B03)]
    parts = Parts(bucket / "nuclei", tuple(listed), "make it again")
    table = parts.read()
    assert list(table["Metadata_Well"]) == ["A01"] * 3 + ["B03"] * 3
    assert list(parts.of(["B03"]).read(["Nuclei_AreaShape_Area"]).iloc[:, 0]) == [3.0, 4.0, 5.0]
    assert parts.dataset().to_table(filter=ds.field("well") == "B03").num_rows == 3
    written[A01].glance(listed[0].path)
    listed[0].path.write_bytes(b"cut")
    with pytest.raises(Damaged, match="has 3 bytes"):
        written[A01].glance(listed[0].path)
    with pytest.raises(ResultsError, match="has 3 bytes"):
        parts.read()
    write_frame(bucket / "wells.parquet", table)
    pd.testing.assert_frame_equal(read_frame(bucket / "wells.parquet"), table)


def test_a_plate_map_in_a_store(bucket: Url) -> None:
    (bucket / "map.csv").write_bytes("\ufeffwell;role\nA01;negative\n".encode())
    assert list(read_plate_map(str(bucket / "map.csv")).frame["role"]) == ["negative"]
    with pytest.raises(PlateError, match="no such plate map"):
        read_plate_map(str(bucket / "none.csv"))


def test_work_on_a_copy_changes_what_it_changed(bucket: Url) -> None:
    for name in ("keep", "change", "drop", "labels.zarr/huge"):
        (bucket / name).write_bytes(name.encode())
    with local_copy(bucket) as folder:
        assert sorted(p.name for p in folder.iterdir()) == ["change", "drop", "keep"]
        (folder / "change").write_text("changed")
        (folder / "drop").unlink()
        (folder / "figures").mkdir()
        (folder / "figures" / "new").write_text("new")
    assert bucket.files().keys() == {"keep", "change", "labels.zarr/huge", "figures/new"}
    assert (bucket / "change").read_text() == "changed"


def test_a_copy_of_a_local_folder_is_the_folder(tmp_path: Path) -> None:
    with local_copy(tmp_path) as folder:
        assert folder == tmp_path
