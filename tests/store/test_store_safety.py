"""Nothing outside the plate is read by its metadata or written through its links; what was lost is no black image."""

from __future__ import annotations

import json
import os
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import zarr

from hcs.errors import FieldError, PlateError, ResultsError
from hcs.machine import memory_bytes
from hcs.plate.keys import FieldKey, WellId
from hcs.store.atomic import write_json
from hcs.store.location import location
from hcs.store.paths import behind_link, check_results, inner_path, linked_images
from hcs.store.plate.field import missing_chunks, missing_sentence, open_image
from hcs.store.plate.labels import read_labels
from hcs.store.plate.nodes import read_node
from hcs.store.plate.pyramid import IMAGES, write_levels
from hcs.store.plate.reader import locate, open_plate, read_field, read_info
from hcs.store.plate.target import LabelTarget
from hcs.store.results.table import write_part

A01, B03 = FieldKey(WellId(0, 0), 0), FieldKey(WellId(1, 2), 0)
OUTSIDE = (
    "../victim",
    "B/../../victim",
    "/etc",
    "s3://bucket/x",
    "..\\victim",
    "",
    ".",
    "B//03",
    "B/\0",
    "\ud800",
    "C:/x",
)


def edit(group: Path, change: Callable[[dict[str, Any]], None]) -> None:
    file = group / ("zarr.json" if (group / "zarr.json").exists() else ".zattrs")
    document = json.loads(file.read_text())
    change(document["attributes"]["ome"] if file.name == "zarr.json" else document)
    file.write_text(json.dumps(document))


def chunks(level: Path) -> list[Path]:
    return sorted(p for p in level.rglob("*") if p.is_file() and p.name not in ("zarr.json", ".zarray", ".zattrs"))


@pytest.fixture
def level(small_plate: Any) -> Path:
    """The full-resolution array of A01/0, two chunks, one a channel."""
    return Path(small_plate.path) / "A" / "01" / "0" / "0"


@pytest.mark.parametrize("path", [*OUTSIDE, "n" * 300])
def test_paths_that_lead_elsewhere_are_no_paths(path: str) -> None:
    with pytest.raises(ValueError, match=r"is not a path|leads elsewhere|no name has|more than 255"):
        inner_path(path)


@pytest.mark.parametrize(("path", "kept"), [("B/03/", "B/03"), ("0", "0"), ("multi scale/s0", "multi scale/s0")])
def test_paths_within_are_kept(path: str, kept: str) -> None:
    assert inner_path(path) == kept


@pytest.mark.parametrize("path", OUTSIDE)
def test_a_well_elsewhere_is_refused(small_plate: Any, path: str) -> None:
    edit(Path(small_plate.path), lambda ome: ome["plate"]["wells"][0].update(path=path))
    with pytest.raises(PlateError, match=r"broken \(wells\.0\.path"):
        open_plate(small_plate.path)
    with pytest.raises(PlateError, match="broken"):
        locate(small_plate.path, B03)


@pytest.mark.parametrize("path", ["../../../victim", "/etc", "..\\victim", "0/../../../x"])
def test_a_field_or_level_elsewhere_fails_its_well_or_field(small_plate: Any, tmp_path: Path, path: str) -> None:
    root = Path(small_plate.path)
    shutil.copytree(root / "A" / "01" / "0", tmp_path / "victim")
    edit(root / "A" / "01", lambda ome: ome["well"]["images"][0].update(path=path))
    edit(root / "B" / "03" / "0", lambda ome: ome["multiscales"][0]["datasets"][0].update(path=path))
    plate = open_plate(small_plate.path)
    for key in (A01, B03):
        with pytest.raises(FieldError, match=r"broken \(.*path: "):
            read_field(plate, key, channels=(0,))
    assert read_info(plate, FieldKey(WellId(1, 2), 1)).shape == (2, 65, 80)


def test_a_link_out_of_the_plate_is_known(small_plate: Any, tmp_path: Path) -> None:
    root = Path(small_plate.path)
    (root / "A" / "01").rename(tmp_path / "elsewhere")
    (root / "A" / "01").symlink_to(tmp_path / "elsewhere")
    assert behind_link(root, "A/01/0") == tmp_path / "elsewhere" / "0"
    assert behind_link(root, "B/03/0") is None
    assert read_info(open_plate(small_plate.path), A01).shape == (2, 65, 80)
    (root / "B" / "03" / "0" / "0").rename(tmp_path / "level")
    (root / "B" / "03" / "0" / "0").symlink_to(tmp_path / "level")
    linked = linked_images(root, {"A01/0": "A/01/0", "B03/0": "B/03/0", "B03/1": "B/03/1"})
    assert linked == {"A01/0": tmp_path / "elsewhere" / "0", "B03/0": tmp_path / "level"}
    target = LabelTarget(path=small_plate.path, in_plate=True, name="nuclei", run="a")
    entries = open_plate(small_plate.path).fields
    with pytest.raises(ResultsError, match=r"A01/0: a symbolic link leads out .*--labels out"):
        target.survey(entries)
    with pytest.raises(FieldError, match="a symbolic link leads out"):
        target.write(entries[0], np.ones((65, 80), np.uint32), ngff="0.5", pixel_size_um=None, pixels_crc32="")
    assert not (tmp_path / "elsewhere" / "0" / "labels").exists()


def test_links_out_of_the_results_are_not_written_through(tmp_path: Path) -> None:
    out, elsewhere = tmp_path / "results", tmp_path / "elsewhere"
    out.mkdir()
    elsewhere.mkdir()
    (out / "nuclei").symlink_to(elsewhere)
    with pytest.raises(ResultsError, match="a symbolic link leads out"):
        check_results(out)
    with pytest.raises(ResultsError, match="a symbolic link leads out"):
        write_part(out, "p", A01, {"a": np.zeros(2)})
    (out / ".run.json.part").symlink_to(elsewhere / "victim.json")
    write_json(out / "run.json", {})
    assert list(elsewhere.iterdir()) == []


def test_a_part_of_the_chunks_may_be_missing_and_is_counted(small_plate: Any, tmp_path: Path) -> None:
    image = np.arange(1, 1 + 2 * 64 * 64, dtype=np.uint16).reshape(2, 64, 64)
    group = zarr.open_group(tmp_path / "i.zarr", mode="w", zarr_format=3)
    group.create_array("0", data=image, chunks=(1, 32, 32))
    axes = [{"name": axis} for axis in "cyx"]
    group.attrs["ome"] = {"version": "0.5", "multiscales": [{"axes": axes, "datasets": [{"path": "0"}]}]}
    (tmp_path / "i.zarr" / "0" / "c" / "0" / "0" / "1").unlink()
    (tmp_path / "i.zarr" / "0" / "notes.txt").write_text("stray")  # stands for no chunk
    info, array = open_image(tmp_path / "i.zarr", "", "X")
    assert missing_chunks(tmp_path / "i.zarr", info, array) == (1, 8)
    assert missing_sentence(1, 8) == "1 of 8 chunks (12%) are missing and were read as the fill value"
    assert missing_sentence(0, 8) == ""


def test_one_channel_without_any_chunk_fails(small_plate: Any, level: Path) -> None:
    chunks(level)[1].unlink()
    plate = open_plate(small_plate.path)
    assert read_field(plate, A01, channels=(0,)).any()
    with pytest.raises(FieldError, match=r"channel GFP of array A/01/0/0 holds no data: every chunk is missing"):
        read_field(plate, A01, channels=(0, 1))


def test_strays_and_another_separator_are_no_data(small_plate: Any, level: Path) -> None:
    for number, chunk in enumerate(chunks(level)):
        chunk.rename(level / f"{number}.0.0")
    with pytest.raises(FieldError, match=r"under the names that its metadata give .*0\.0\.0.*separator wrong"):
        read_field(open_plate(small_plate.path), A01, channels=(0,))


@pytest.mark.parametrize("what", ["folder", "file above", "pipe", "dangling", "device", "large"])
def test_what_is_no_chunk_in_a_chunks_place_fails(small_plate: Any, level: Path, what: str) -> None:
    chunk = chunks(level)[0]
    chunk.unlink()
    if what == "folder":
        chunk.mkdir()
    elif what == "file above":
        shutil.rmtree(chunk.parent)
        chunk.parent.write_text("x")
    elif what == "pipe":
        os.mkfifo(chunk)
    elif what == "large":
        with chunk.open("wb") as file:
            file.truncate(2**33)
    else:
        chunk.symlink_to("nowhere" if what == "dangling" else "/dev/zero")
    with pytest.raises(FieldError, match=r"cannot be decoded \(.*(in the place|no file but|to nothing|more than)"):
        read_field(open_plate(small_plate.path), A01, channels=(0,))


def test_metadata_that_never_end_are_refused(small_plate: Any, level: Path) -> None:
    for name in ("zarr.json", ".zattrs"):
        (level.parent / name).unlink(missing_ok=True)
    os.mkfifo(level.parent / "zarr.json")
    with pytest.raises(FieldError, match="it is no file"):
        read_info(open_plate(small_plate.path), A01)
    (level.parent / "zarr.json").unlink()
    (level.parent / "zarr.json").symlink_to("/dev/zero")
    with pytest.raises(ValueError, match="it is no file"):
        read_node(level.parent)


@pytest.mark.parametrize(
    ("axes", "shape", "chunk", "sentence"),
    [
        ("cyx", [10**6, 64, 64], [1, 64, 64], "1,000,000 channels"),
        ("yx", [10**9, 10**9], [10**6, 10**6], "1,000,000,000 × 1,000,000,000 px"),
        ("yx", [10**5, 10**5], [1, 1], "10,000,000,000 chunks"),
        ("yx", [64, 64], [10**9, 10**9], "one of its chunks takes"),
    ],
)
def test_what_no_machine_can_hold_is_refused(
    tmp_path: Path, axes: str, shape: list[int], chunk: list[int], sentence: str
) -> None:
    group = zarr.open_group(tmp_path / "i.zarr", mode="w", zarr_format=3)
    group.create_array("0", shape=shape, chunks=chunk, dtype="uint16")
    names = [{"name": axis} for axis in axes]
    group.attrs["ome"] = {"version": "0.5", "multiscales": [{"axes": names, "datasets": [{"path": "0"}]}]}
    with pytest.raises(FieldError, match=sentence):
        open_image(tmp_path / "i.zarr", "", "X")


def test_pixels_beyond_the_machines_memory_are_refused(small_plate: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    plate = open_plate(small_plate.path)
    monkeypatch.setattr("hcs.store.plate.field.memory_bytes", lambda: 2 * 65 * 80 * 2 - 1)
    with pytest.raises(FieldError, match="2 channels and 1 z planes of 5,200 px take"):
        read_field(plate, A01, channels=(0, 1))
    assert read_field(plate, A01, channels=(0,)).shape == (1, 65, 80)
    assert memory_bytes() > 2**28


def test_a_flipped_bit_is_no_pixel(tmp_path: Path) -> None:
    data = np.random.default_rng(0).integers(0, 4000, (2, 64, 64), dtype=np.uint16)
    write_levels(tmp_path / "i", data, axes="cyx", ngff="0.5", pixels=IMAGES)
    np.testing.assert_array_equal(zarr.open_array(tmp_path / "i" / "0", mode="r")[...], data)
    chunk = chunks(tmp_path / "i" / "0")[0]
    whole = chunk.read_bytes()
    for place in range(16, len(whole), 97):
        flipped = bytearray(whole)
        flipped[place] ^= 1
        chunk.write_bytes(bytes(flipped))
        with pytest.raises(ValueError, match="checksum"):
            zarr.open_array(tmp_path / "i" / "0", mode="r")[0]


@pytest.mark.parametrize(
    ("name", "sentence"),
    [("a\0b", r"'a\\x00b'"), ("x" * 300, "of up to 200 characters"), ("\ud800", "broken|no folder of results")],
)
def test_names_that_no_folder_has_get_a_sentence(small_plate: Any, name: str, sentence: str) -> None:
    edit(Path(small_plate.path), lambda ome: ome["plate"].update(name=name))
    with pytest.raises(PlateError, match=sentence):
        open_plate(small_plate.path)


def test_channels_that_no_column_has_get_a_sentence(small_plate: Any) -> None:
    edit(Path(small_plate.path) / "A" / "01" / "0", lambda ome: ome["omero"]["channels"][0].update(label="a\0b"))
    with pytest.raises(FieldError, match=r"its channel 'a\\x00b'"):
        read_info(open_plate(small_plate.path), A01)


def test_json_nested_without_end_gets_a_sentence(small_plate: Any, level: Path) -> None:
    deep = "[" * 100_000
    name = "zarr.json" if (level / "zarr.json").exists() else ".zarray"
    (level / name).write_text(deep)
    with pytest.raises(FieldError, match="its metadata is broken"):
        read_info(open_plate(small_plate.path), A01)
    (level.parent / ("zarr.json" if name == "zarr.json" else ".zattrs")).write_text(deep)
    with pytest.raises(FieldError, match="nested too deep"):
        read_info(open_plate(small_plate.path), A01)
    Path(small_plate.path, "zarr.json" if name == "zarr.json" else ".zattrs").write_text(deep)
    with pytest.raises(PlateError, match="nested too deep"):
        open_plate(small_plate.path)


def test_lone_surrogates_do_not_stop_a_ledger_entry(tmp_path: Path) -> None:
    write_json(tmp_path / "entry.json", {"reason": "file \udcff is damaged"})
    assert json.loads((tmp_path / "entry.json").read_text())["reason"] == "file \udcff is damaged"


# whose labels


def target(path: str, run: str = "a", **options: Any) -> LabelTarget:
    return LabelTarget(path=path, in_plate=True, name="nuclei", run=run, **options)


def write(to: LabelTarget, plate: Any, value: int, crc32: str = "0") -> None:
    entry = open_plate(plate.path).entry(A01)
    labels = np.full((65, 80), value, np.uint32)
    to.write(entry, labels, ngff=plate.spec.ngff, pixel_size_um=0.65, pixels_crc32=crc32)


def test_a_run_writes_over_its_own_labels_only(small_plate: Any) -> None:
    write(target(small_plate.path), small_plate, 1)
    write(target(small_plate.path), small_plate, 2)
    entry = locate(small_plate.path, A01)
    assert target(small_plate.path).complaint(entry, "0") is None
    assert "other pixels" in str(target(small_plate.path).complaint(entry, "1"))
    other = target(small_plate.path, run="b")
    with pytest.raises(FieldError, match="written by a run of hcs with other settings"):
        write(other, small_plate, 3)
    with pytest.raises(
        ResultsError, match=r"A01/0.*other settings.*--labels out.*--labels-name NAME.*--overwrite-labels"
    ):
        other.survey(open_plate(small_plate.path).fields)
    assert (read_labels(small_plate.path, A01) == 2).all()
    asked = target(small_plate.path, run="b", overwrite=True)
    assert "A01/0" in asked.survey(open_plate(small_plate.path).fields)[0]
    write(asked, small_plate, 3)
    assert "other settings" in str(target(small_plate.path).complaint(entry, "0"))


def touch_up(folder: Path, how: str, v3: bool) -> None:
    """What people do to labels that hcs wrote."""
    if how == "pixels":
        zarr.open_array(folder / "0", mode="r+")[0, 0] = 7
    elif how == "attribute":
        zarr.open_group(folder, mode="r+").attrs["hand_corrected_by"] = "Anna"
    elif how == "colours":
        edit(folder, lambda ome: ome["image-label"].update(colors=[]))
    elif how == "file":
        (folder / "notes.txt").write_text("three weeks of work")
    elif how == "mark":
        file = folder / ("zarr.json" if v3 else ".zattrs")
        document = json.loads(file.read_text())
        (document["attributes"] if v3 else document).pop("hcs")
        file.write_text(json.dumps(document))


@pytest.mark.parametrize("how", ["pixels", "attribute", "colours", "file", "mark"])
def test_labels_corrected_by_hand_are_others_work(small_plate: Any, ngff: str, how: str) -> None:
    write(target(small_plate.path), small_plate, 1)
    folder = Path(small_plate.path) / "A" / "01" / "0" / "labels" / "nuclei"
    touch_up(folder, how, ngff == "0.5")
    before = {path: path.read_bytes() for path in folder.rglob("*") if path.is_file()}
    with pytest.raises(ResultsError, match=r"changed since|not written by hcs"):
        target(small_plate.path).survey(open_plate(small_plate.path).fields)
    with pytest.raises(FieldError, match=r"changed since|not written by hcs"):
        write(target(small_plate.path), small_plate, 2)
    assert {path: path.read_bytes() for path in folder.rglob("*") if path.is_file()} == before
    assert target(small_plate.path).complaint(locate(small_plate.path, A01), "0") is not None


@pytest.mark.parametrize("kind", ["folder", "file", "broken"])
def test_whatever_is_in_the_labels_place_stays(small_plate: Any, kind: str) -> None:
    labels = Path(small_plate.path) / "A" / "01" / "0" / "labels"
    labels.mkdir()
    if kind == "file":
        (labels / "nuclei").write_text("mine")
    else:
        (labels / "nuclei").mkdir()
        (labels / "nuclei" / ("zarr.json" if kind == "broken" else "mine.txt")).write_text("{")
    with pytest.raises(FieldError, match="not written by hcs"):
        write(target(small_plate.path), small_plate, 1)


def test_other_labels_stay_in_the_list_with_all_that_is_said_of_them(small_plate: Any, ngff: str) -> None:
    labels = Path(small_plate.path) / "A" / "01" / "0" / "labels"
    group = zarr.open_group(labels, mode="w", zarr_format=3 if ngff == "0.5" else 2)
    listed = {"labels": ["cells"], "note": "Anna"}
    group.attrs.update({"ome": {"version": "0.5", **listed}, "more": 1} if ngff == "0.5" else {**listed, "more": 1})
    write(target(small_plate.path), small_plate, 1)
    after = dict(zarr.open_group(labels, mode="r").attrs)
    ome = after["ome"] if ngff == "0.5" else after
    assert ome["labels"] == ["cells", "nuclei"]
    assert (ome["note"], after["more"]) == ("Anna", 1)


def test_results_of_a_run_know_where_their_labels_are(small_plate: Any, tmp_path: Path) -> None:
    chosen = LabelTarget.chosen("out", "nuclei", plate="p", out=tmp_path, run="a", overwrite=False)
    assert chosen is not None
    assert chosen.path == str(location(tmp_path) / "labels.zarr")
    assert LabelTarget.recorded(chosen.plain(), tmp_path / "moved", "p") == chosen
    (tmp_path / "moved" / "labels.zarr").mkdir(parents=True)
    moved = LabelTarget.recorded(chosen.plain(), tmp_path / "moved", "p")
    assert moved is not None
    assert moved.path == str(tmp_path / "moved" / "labels.zarr")
    assert LabelTarget.chosen("none", "nuclei", plate="p", out=tmp_path, run="a", overwrite=False) is None
    assert LabelTarget.recorded(None, tmp_path, "p") is None
