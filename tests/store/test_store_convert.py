"""Folders of images into plates, and the sentences for folders that do not make one."""

from __future__ import annotations

import errno
import os
import re
from pathlib import Path

import cv2
import numpy as np
import pytest
import tifffile

from hcs.errors import ConfigError, FieldError, HcsError, PlateError, ResultsError
from hcs.plate.keys import FieldKey, WellId
from hcs.store.files import convert as convert_module
from hcs.store.files.convert import ConvertSummary, convert_plate
from hcs.store.plate.nodes import read_node
from hcs.store.plate.reader import open_plate, read_field, read_info

PATTERN = r"(?P<well>[A-P]\d+)_s(?P<field>\d+)_w(?P<channel>\d)\.(tif|png)$"


def image(seed: int, shape: tuple[int, ...] = (20, 30), dtype: str = "uint16") -> np.ndarray:
    return np.random.default_rng(seed).integers(1, 200, shape).astype(dtype)


def save(folder: Path, name: str, pixels: np.ndarray) -> None:
    file = folder / name
    file.parent.mkdir(parents=True, exist_ok=True)
    if file.suffix == ".png":
        file.write_bytes(cv2.imencode(".png", pixels)[1].tobytes())
    else:
        tifffile.imwrite(file, pixels)


@pytest.fixture
def source(tmp_path: Path) -> Path:
    """Wells A1 (fields 2 and 10) and B02 (field 2), channels 1 and 2, TIFF and PNG, in two folders."""
    folder = tmp_path / "images"
    for seed, (well, field) in enumerate([("a/A1", 2), ("a/A1", 10), ("b/B02", 2)]):
        save(folder, f"{well}_s{field}_w1.tif", image(2 * seed))
        save(folder, f"{well}_s{field}_w2.png", image(2 * seed + 1))
    save(folder, "thumbnail.png", image(99))
    return folder


def test_a_pattern_makes_a_plate(source: Path, tmp_path: Path, ngff: str) -> None:
    target, told = tmp_path / "out" / "my.ome.zarr", []
    summary = convert_plate(
        source,
        target,
        pattern=PATTERN,
        channels=("DNA", "GFP"),
        pixel_size_um=0.5,
        ngff=ngff,
        progress=lambda done, of: told.append((done, of)),
    )
    assert (summary.wells, summary.fields, summary.channels, summary.ignored) == (2, 3, ("DNA", "GFP"), 1)
    assert told == [(1, 3), (2, 3), (3, 3)]
    plate = open_plate(str(target))
    assert (plate.name, plate.ngff) == ("my", ngff)
    keys = [FieldKey(WellId(0, 0), 0), FieldKey(WellId(0, 0), 1), FieldKey(WellId(1, 1), 0)]
    assert [entry.key for entry in plate.fields] == keys
    for seed, key in enumerate(keys):
        expected = np.stack([image(2 * seed), image(2 * seed + 1)])
        np.testing.assert_array_equal(read_field(plate, key, channels=(0, 1)), expected)
    assert read_info(plate, keys[0]).channels == ("DNA", "GFP")
    assert read_info(plate, keys[0]).pixel_size_um == pytest.approx(0.5)
    assert [p.name for p in target.parent.iterdir()] == ["my.ome.zarr"]


def test_row_and_column_without_field_or_channel(tmp_path: Path) -> None:
    save(tmp_path / "i", "r-C/c-7.tif", image(1))
    convert_plate(tmp_path / "i", tmp_path / "p.zarr", pattern=r"r-(?P<row>\w)/c-(?P<column>\d+)")
    plate = open_plate(str(tmp_path / "p.zarr"))
    assert [str(entry.key) for entry in plate.fields] == ["C07/0"]
    assert read_info(plate, plate.fields[0].key).channels == ("0",)


def add_duplicate(folder: Path) -> None:
    save(folder, "c/A01_s2_w1.tif", image(0))


def lose_channel(folder: Path) -> None:
    (folder / "b" / "B02_s2_w2.png").unlink()


def other_shape(folder: Path) -> None:
    save(folder, "b/B02_s2_w2.png", image(0, (21, 30)))


def other_type(folder: Path) -> None:
    save(folder, "b/B02_s2_w2.png", image(0, dtype="uint8"))


def colour(folder: Path) -> None:
    save(folder, "b/B02_s2_w2.png", image(0, (20, 30, 3), "uint8"))


def pages(folder: Path) -> None:
    for _ in range(2):
        tifffile.imwrite(folder / "b" / "B02_s2_w1.tif", image(0), append=True)


def damage(folder: Path) -> None:
    (folder / "b" / "B02_s2_w1.tif").write_bytes(b"II*\0no")


def test_two_files_for_one_place_are_refused(source: Path, tmp_path: Path) -> None:
    add_duplicate(source)
    with pytest.raises(PlateError, match=r"a/A1_s2_w1.tif and .*c/A01_s2_w1.tif are both well A01, field 2, channel 1"):
        convert_plate(source, tmp_path / "p.zarr", pattern=PATTERN)
    assert [p.name for p in tmp_path.iterdir()] == ["images"]


@pytest.mark.parametrize(
    ("change", "sentence", "left"),
    [
        (lose_channel, r"^well B02, field 2 has no channel 2$", "1"),
        (other_shape, r"B02_s2_w2.png is \(21, 30\) uint16 but .*B02_s2_w1.tif of the same field is \(20, 30\)", "1"),
        (other_type, r"is \(20, 30\) uint8 but", "1"),
        (colour, r"^well B02, field 2, channel 2: .*B02_s2_w2.png has shape \(20, 30, 3\), in colour", "1"),
        (pages, r"B02_s2_w1.tif holds 3 images of 30 × 20 px.*`hcs convert --z max`", "2"),
        (damage, r"B02_s2_w1.tif cannot be read", "2"),
    ],
)
def test_a_channel_that_cannot_be_had_is_named_and_the_rest_is_written(
    source: Path, tmp_path: Path, change: object, sentence: str, left: str
) -> None:
    change(source)  # type: ignore[operator]
    summary = convert_plate(source, tmp_path / "p.zarr", pattern=PATTERN)
    assert len(summary.left_out) == 1
    assert re.search(sentence, summary.left_out[0])
    plate = open_plate(str(tmp_path / "p.zarr"))
    assert [read_info(plate, entry.key).channels for entry in plate.fields] == [("1", "2"), ("1", "2"), (left,)]
    assert sorted(p.name for p in tmp_path.iterdir()) == ["images", "p.zarr"]


def test_a_folder_without_one_complete_field_is_refused(source: Path, tmp_path: Path) -> None:
    for file in source.rglob("*_w2.png"):
        file.rename(file.with_name(file.name.replace("_s", "_s9")))
    with pytest.raises(PlateError, match=r"no field has all of its channels: well A01, field 2 has no.* 2; 5 more"):
        convert_plate(source, tmp_path / "p.zarr", pattern=PATTERN)
    assert [p.name for p in tmp_path.iterdir()] == ["images"]


@pytest.mark.parametrize(
    ("options", "error", "sentence"),
    [
        ({"layout": "bbbc013", "pattern": PATTERN}, ConfigError, "either --layout or --pattern"),
        ({"layout": "bbbc000"}, ConfigError, "'bbbc000' is not known; known are harmony"),
        ({"layout": "harmony"}, ConfigError, "shows nothing of layout harmony"),
        ({"pattern": "("}, ConfigError, "not a regular expression"),
        ({"pattern": "(?P<row>A)"}, ConfigError, "names no well"),
        ({"pattern": "(?P<well>A)(?P<plane>1)"}, ConfigError, "group 'plane'"),
        ({"pattern": "(?P<well>X9)"}, PlateError, r"none of the 7 images .* one is 'a/A1_s10_w1.tif'"),
        ({"pattern": r"(?P<well>\w+)_s(?P<field>\d+)_w(?P<channel>\d)\w*$"}, PlateError, "none of the 7"),
        ({"pattern": r"(?P<well>\w+)\.(tif|png)$"}, PlateError, r"'A1_s10_w1' is not a well name"),
        ({"pattern": PATTERN, "channels": ("DNA",)}, ConfigError, "gives 1 names; the files have 2: 1, 2"),
        ({"pattern": PATTERN, "channels": ("DNA", "DNA")}, ConfigError, "a name twice"),
    ],
)
def test_wrong_options_get_a_sentence_and_leave_nothing(
    source: Path, tmp_path: Path, options: dict[str, object], error: type[HcsError], sentence: str
) -> None:
    with pytest.raises(error, match=sentence):
        convert_plate(source, tmp_path / "p.zarr", **options)  # type: ignore[arg-type]
    assert [p.name for p in tmp_path.iterdir()] == ["images"]


def test_no_folder_and_no_image_get_a_sentence(tmp_path: Path) -> None:
    with pytest.raises(PlateError, match="no such folder"):
        convert_plate(tmp_path / "none", tmp_path / "p.zarr", pattern=PATTERN)
    (tmp_path / "empty").mkdir()
    with pytest.raises(PlateError, match="holds no TIFF or PNG"):
        convert_plate(tmp_path / "empty", tmp_path / "p.zarr", pattern=PATTERN)


def test_an_existing_target_is_refused(source: Path, tmp_path: Path) -> None:
    (tmp_path / "p.zarr").mkdir()
    with pytest.raises(ResultsError, match="exists already"):
        convert_plate(source, tmp_path / "p.zarr", pattern=PATTERN)


def test_a_full_disk_keeps_what_is_complete_and_the_next_call_goes_on(
    source: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    written = convert_module.write_field

    def full(path: str, spec: object, key: FieldKey, pixels: object, **more: object) -> None:
        if key.well.row == 1:
            raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))
        written(path, spec, key, pixels, **more)  # type: ignore[arg-type]

    monkeypatch.setattr(convert_module, "write_field", full)
    with pytest.raises(ResultsError, match="No space left on device"):
        convert_plate(source, tmp_path / "p.zarr", pattern=PATTERN)
    assert not (tmp_path / "p.zarr").exists()
    monkeypatch.undo()
    chunk = next((tmp_path / ".p.zarr.part" / "A" / "01" / "1" / "0").rglob("c/0/*/0"))
    chunk.write_bytes(chunk.read_bytes()[:-9])  # what was complete is read again before it is kept
    again: list[FieldKey] = []

    def counted(path: str, spec: object, key: FieldKey, pixels: object, **more: object) -> None:
        again.append(key)
        written(path, spec, key, pixels, **more)  # type: ignore[arg-type]

    monkeypatch.setattr(convert_module, "write_field", counted)
    summary = convert_plate(source, tmp_path / "p.zarr", pattern=PATTERN)
    assert (sorted(map(str, again)), summary.kept, summary.fields) == (["A01/1", "B02/0"], 1, 3)
    monkeypatch.undo()
    convert_plate(source, tmp_path / "again" / "p.zarr", pattern=PATTERN)
    assert files_of(tmp_path / "p.zarr") == files_of(tmp_path / "again" / "p.zarr")


def files_of(plate: Path) -> dict[str, bytes]:
    """Every file below a plate."""
    return {path.relative_to(plate).as_posix(): path.read_bytes() for path in plate.rglob("*") if path.is_file()}


def test_processes_write_what_threads_write(source: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    convert_plate(source, tmp_path / "p.zarr", pattern=PATTERN)
    monkeypatch.setattr(convert_module, "_FEW_BYTES", 0)
    convert_plate(source, tmp_path / "again" / "p.zarr", pattern=PATTERN, workers=2)
    assert files_of(tmp_path / "p.zarr") == files_of(tmp_path / "again" / "p.zarr")


def test_pixels_that_do_not_arrive_are_noticed(source: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    written = convert_module.write_field

    def faulty(path: str, spec: object, key: FieldKey, pixels: np.ndarray, **more: object) -> None:
        written(path, spec, key, pixels + (key.field == 1), **more)  # type: ignore[arg-type]

    monkeypatch.setattr(convert_module, "write_field", faulty)
    with pytest.raises(ResultsError, match="does not hold the pixels that were written"):
        convert_plate(source, tmp_path / "p.zarr", pattern=PATTERN)


def test_two_conversions_into_one_plate_are_kept_apart(source: Path, tmp_path: Path) -> None:
    told: list[str] = []

    def meanwhile(done: int, of: int) -> None:
        with pytest.raises(ResultsError, match="being written by another conversion"):
            convert_plate(source, tmp_path / "p.zarr", pattern=PATTERN)
        told.append(f"{done}/{of}")

    convert_plate(source, tmp_path / "p.zarr", pattern=PATTERN, progress=meanwhile)
    assert told == ["1/3", "2/3", "3/3"]


def test_bbbc013_row_a(shared_data: Path, tmp_path: Path) -> None:
    images = shared_data / "bbbc013" / "images"
    row = tmp_path / "bbbc013" / "images"
    row.mkdir(parents=True)
    for file in images.glob("*-A-*.tif"):
        (row / file.name).symlink_to(file)
    summary = convert_plate(tmp_path / "bbbc013", tmp_path / "p.zarr", layout="bbbc013")
    assert (summary.wells, summary.fields, summary.channels) == (12, 12, ("GFP", "DNA"))
    plate = open_plate(str(tmp_path / "p.zarr"))
    pixels = read_field(plate, FieldKey(WellId(0, 2), 0), channels=(0, 1))
    for plane, channel in zip(pixels, (1, 2), strict=True):
        np.testing.assert_array_equal(plane, tifffile.imread(images / f"Channel{channel}-03-A-03.tif"))


def write_files(folder: Path, names: list[str], **options: object) -> None:
    """One image for each name, other pixels in each."""
    folder.mkdir(parents=True, exist_ok=True)
    for seed, name in enumerate(names):
        tifffile.imwrite(folder / name, image(seed), **options)


def shown(folder: Path, target: Path, pattern: str, **options: object) -> tuple[ConvertSummary, str]:
    lines: list[str] = []
    summary = convert_plate(folder, target, pattern=pattern, say=lines.append, **options)  # type: ignore[arg-type]
    return summary, "\n".join(lines)


def test_numeric_rows_are_operettas(tmp_path: Path) -> None:
    write_files(tmp_path / "i", ["r03c03f01p01-ch1sk1fk1fl1.tiff", "r16c24f01p01-ch1sk1fk1fl1.tiff"], compression="lzw")
    pattern = r"r(?P<row>\d\d)c(?P<column>\d\d)f(?P<field>\d\d)p\d\d-ch(?P<channel>\d)sk1fk1fl1\.tiff$"
    _, text = shown(tmp_path / "i", tmp_path / "p.zarr", pattern, channels=("DNA",))
    assert [str(well) for well in open_plate(str(tmp_path / "p.zarr")).wells] == ["C03", "P24"]
    assert "Rows are numbers from 1: row 16 and column 24 are well P24." in text


def test_running_numbers_need_the_size_of_the_plate(tmp_path: Path) -> None:
    write_files(tmp_path / "i", ["w001.tif", "w013.tif"])
    with pytest.raises(PlateError, match=r"'001' is a running number.*--plate-format"):
        convert_plate(tmp_path / "i", tmp_path / "p.zarr", pattern=r"w(?P<well>\d+)")
    with pytest.raises(PlateError, match=r"'013' is no well of a plate of 12"):
        convert_plate(tmp_path / "i", tmp_path / "p.zarr", pattern=r"w(?P<well>\d+)", plate_format=12)
    with pytest.raises(ConfigError, match="no plate of 100 wells"):
        convert_plate(tmp_path / "i", tmp_path / "p.zarr", pattern=r"w(?P<well>\d+)", plate_format=100)
    _, text = shown(tmp_path / "i", tmp_path / "p.zarr", r"w(?P<well>\d+)", plate_format=96)
    assert [str(well) for well in open_plate(str(tmp_path / "p.zarr")).wells] == ["A01", "B01"]
    assert "013 is B01" in text


def test_wells_of_1536_in_three_styles(tmp_path: Path) -> None:
    for i, names in enumerate((["AA01", "AF48"], ["Aa01", "Hd48"], ["A01.a1", "H12.d4"])):
        write_files(tmp_path / str(i), [f"p_{name}_.tif" for name in names])
        convert_plate(tmp_path / str(i), tmp_path / f"{i}.zarr", pattern=r"p_(?P<well>[^_]+)_")
        wells = [str(well) for well in open_plate(str(tmp_path / f"{i}.zarr")).wells]
        assert wells == (["AA01", "AF48"] if i == 0 else ["A01", "AF48"])


def test_channels_are_shown_and_named_one_by_one(tmp_path: Path) -> None:
    write_files(tmp_path / "i", [f"A1_1_{c}.tif" for c in ("DAPI", "GFP", "CY5")])
    pattern = r"(?P<well>[A-H]\d+)_1_(?P<channel>[A-Z0-9]+)\.tif$"
    _, text = shown(tmp_path / "i", tmp_path / "p.zarr", pattern, channels=("DNA", "CDK2", "ER"))
    assert "channels  CY5 → DNA, DAPI → CDK2, GFP → ER" in text
    assert "Channel CY5 is called DNA: the one is a far-red dye, the other a DNA stain" in text
    wanted = ("DAPI=DNA", "GFP=CDK2")
    summary, text = shown(tmp_path / "i", tmp_path / "again" / "p.zarr", pattern, channels=wanted)
    assert summary.channels == ("CY5", "DNA", "CDK2")
    assert "note" not in text
    key = FieldKey(WellId(0, 0), 0)
    stored = read_field(open_plate(str(tmp_path / "again" / "p.zarr")), key, channels=(1,))
    np.testing.assert_array_equal(stored[0], image(0))
    _, text = shown(tmp_path / "i", tmp_path / "r.zarr", pattern, channels=("GFP", "DAPI", "CY5"))
    assert "Channel CY5 is called GFP, which the files call another channel" in text


@pytest.mark.parametrize(
    ("channels", "sentence"),
    [
        (("DAPI=DNA", "GFP"), "mixes names and FILE=NAME"),
        (("Hoechst=DNA",), "the files have no channel 'Hoechst'; they have CY5, DAPI, GFP"),
        (("DAPI=DNA", "GFP=DNA"), "a name twice"),
        (("DAPI=DNA", "DAPI=GFP"), "names channel DAPI twice"),
        (("DAPI=",), "an empty name"),
    ],
)
def test_channel_names_that_do_not_fit_get_a_sentence(tmp_path: Path, channels: tuple[str, ...], sentence: str) -> None:
    write_files(tmp_path / "i", [f"A1_{c}.tif" for c in ("DAPI", "GFP", "CY5")])
    with pytest.raises(ConfigError, match=sentence):
        convert_plate(
            tmp_path / "i", tmp_path / "p.zarr", pattern=r"(?P<well>A1)_(?P<channel>\w+)\.tif", channels=channels
        )


def test_fields_are_shown_and_wells_that_differ(tmp_path: Path) -> None:
    write_files(tmp_path / "i", ["p_E07_s1.tif", "p_E07_s2.tif", "p_E08_s117654C10.tif", "p_E08_s2.tif"])
    _, text = shown(tmp_path / "i", tmp_path / "p.zarr", r"_(?P<well>[A-Z]\d\d)_s(?P<field>\d+)")
    assert "fields    1 → 0 (1 well), 2 → 1 (2 wells), 117654 → 2 (1 well)" in text
    assert "Wells do not have the same fields" in text


Z_NAMES = [f"A01_f{f}_z{z}_c{c}.tif" for f in (1, 2) for z in ("01", "02", "10") for c in (1, 2)]
Z_PATTERN = r"(?P<well>A01)_f(?P<field>\d)_z(?P<z>\d\d)_c(?P<channel>\d)"


def test_z_planes_are_projected_kept_or_chosen(tmp_path: Path) -> None:
    write_files(tmp_path / "i", Z_NAMES)
    with pytest.raises(ConfigError, match=r"3 z planes \(01, 02, 10\); say --z max .* such as --z 02"):
        convert_plate(tmp_path / "i", tmp_path / "p.zarr", pattern=Z_PATTERN)
    key = FieldKey(WellId(0, 0), 1)
    planes = [image(Z_NAMES.index(f"A01_f2_z{z}_c2.tif")) for z in ("01", "02", "10")]
    for z, expected in (("max", np.max(planes, 0)), ("10", planes[2]), ("2", planes[1]), ("keep", np.max(planes, 0))):
        _, text = shown(tmp_path / "i", tmp_path / f"{z}.zarr", Z_PATTERN, z=z)
        plate = open_plate(str(tmp_path / f"{z}.zarr"))
        assert read_info(plate, key).z_size == (3 if z == "keep" else 1)
        np.testing.assert_array_equal(read_field(plate, key, channels=(1,), z="max")[0], expected)
        assert "z planes  3 (01, 02, 10): " in text
    with pytest.raises(ConfigError, match=r"--z 7 is no plane of these files.*01, 02, 10"):
        convert_plate(tmp_path / "i", tmp_path / "p.zarr", pattern=Z_PATTERN, z="7")


def test_a_field_without_one_of_its_planes_is_incomplete(tmp_path: Path) -> None:
    write_files(tmp_path / "i", [name for name in Z_NAMES if name != "A01_f2_z10_c2.tif"])
    summary = convert_plate(tmp_path / "i", tmp_path / "p.zarr", pattern=Z_PATTERN, z="max")
    assert summary.left_out == ("well A01, field 2 has no channel 2, plane 10",)
    assert read_info(open_plate(str(tmp_path / "p.zarr")), FieldKey(WellId(0, 0), 1)).channels == ("1",)


def test_pages_of_a_file_are_planes_when_asked_for(tmp_path: Path) -> None:
    (tmp_path / "i").mkdir()
    stacks = [np.stack([image(10 * w + z) for z in range(4)]) for w in range(3)]
    for well, stack in zip(("A01", "A02", "A03"), stacks, strict=True):
        tifffile.imwrite(tmp_path / "i" / f"{well}.tif", stack, photometric="minisblack")
    pattern = r"(?P<well>A\d\d)\.tif"
    convert_plate(tmp_path / "i", tmp_path / "max.zarr", pattern=pattern, z="max")
    convert_plate(tmp_path / "i", tmp_path / "2.zarr", pattern=pattern, z="2")
    key = FieldKey(WellId(0, 1), 0)
    for name, expected in (("max", stacks[1].max(0)), ("2", stacks[1][1])):
        stored = read_field(open_plate(str(tmp_path / f"{name}.zarr")), key, channels=(0,))
        np.testing.assert_array_equal(stored[0], expected)
    tifffile.imwrite(tmp_path / "i" / "A03.tif", stacks[2][:3], photometric="minisblack")
    left = convert_plate(tmp_path / "i", tmp_path / "3.zarr", pattern=pattern, z="max").left_out
    assert "A03.tif has 3 planes where most files of its channel have 4" in left[0]
    tifffile.imwrite(tmp_path / "i" / "A03.tif", stacks[2], imagej=True, metadata={"axes": "CYX"})
    left = convert_plate(tmp_path / "i", tmp_path / "c.zarr", pattern=pattern, z="max").left_out
    assert "A03.tif holds 4 images (channels)" in left[0]


def test_a_field_without_any_channel_is_named_once_and_left_out(source: Path, tmp_path: Path) -> None:
    lose_channel(source)
    damage(source)
    summary = convert_plate(source, tmp_path / "p.zarr", pattern=PATTERN)
    assert (summary.wells, summary.fields) == (1, 2)
    assert len(summary.left_out) == 1
    assert re.match(r"well B02, field 2, channel 1: .*nor can any other of its 2 channels be had", summary.left_out[0])
    assert [entry.path for entry in open_plate(str(tmp_path / "p.zarr")).fields] == ["A/01/0", "A/01/1"]


def test_a_file_that_turns_out_damaged_stops_nothing_else(tmp_path: Path) -> None:
    pixels = {well: np.random.default_rng(9).integers(0, 4000, (64, 64), np.uint16) for well in ("A01", "A02", "A03")}
    (tmp_path / "i").mkdir()
    for well, plane in pixels.items():
        tifffile.imwrite(tmp_path / "i" / f"{well}.tif", plane, compression="zlib")
    file = tmp_path / "i" / "A02.tif"
    data = bytearray(file.read_bytes())
    data[1000:1400] = bytes(400)
    file.write_bytes(data)
    nan = np.full((64, 64), np.nan, np.float32)
    tifffile.imwrite(tmp_path / "i" / "A04.tif", nan)
    summary = convert_plate(tmp_path / "i", tmp_path / "p.zarr", pattern=r"(?P<well>A\d\d)")
    assert (summary.wells, summary.fields) == (2, 2)
    assert len(summary.left_out) == 2
    assert "A02.tif cannot be read" in summary.left_out[0]
    assert "NaN" in summary.left_out[1]
    plate = open_plate(str(tmp_path / "p.zarr"))
    assert [str(well) for well in plate.wells] == ["A01", "A03"]
    assert plate.missing == ()


def test_what_was_done_to_pixels_is_said(tmp_path: Path) -> None:
    (tmp_path / "i").mkdir()
    grey = np.minimum(np.random.default_rng(0).integers(0, 5000, (20, 30)), 4095).astype(np.uint16)
    tifffile.imwrite(tmp_path / "i" / "A01.tif", np.stack([grey] * 3, -1), photometric="rgb")
    tifffile.imwrite(tmp_path / "i" / "A02.tif", grey + 32768)
    summary = convert_plate(tmp_path / "i", tmp_path / "p.zarr", pattern=r"(?P<well>A\d\d)")
    text = "\n".join(summary.notes)
    assert "A01.tif is RGB with three equal channels" in text
    assert "A02.tif has no value below 32768" in text
    assert "saturation_level: 4095" in text
    for well in (0, 1):
        stored = read_field(open_plate(str(tmp_path / "p.zarr")), FieldKey(WellId(0, well), 0), channels=(0,))
        np.testing.assert_array_equal(stored[0], grey)


def test_other_sizes_are_noticed(tmp_path: Path) -> None:
    write_files(tmp_path / "i", ["A01.tif", "A02.tif"])
    tifffile.imwrite(tmp_path / "i" / "A03.tif", image(3, (5, 6)))
    _, text = shown(tmp_path / "i", tmp_path / "p.zarr", r"(?P<well>A\d\d)")
    assert "pixels    30 × 20 uint16; 1 fields differ, such as A03/0 with 6 × 5" in text


def test_hidden_files_of_other_systems_are_passed_over(source: Path, tmp_path: Path) -> None:
    (source / "a" / "._A1_s2_w1.tif").write_bytes(b"\0\5\x16\7")
    (source / "__MACOSX").mkdir()
    (source / "__MACOSX" / "A1_s2_w1.tif").write_bytes(b"x")
    assert convert_plate(source, tmp_path / "p.zarr", pattern=PATTERN).fields == 3


def test_other_kinds_of_files_are_named(tmp_path: Path) -> None:
    (tmp_path / "i").mkdir()
    (tmp_path / "i" / "001001000.flex").write_bytes(b"x")
    with pytest.raises(PlateError, match=r"no TIFF or PNG file, but .flex files, which are not read"):
        convert_plate(tmp_path / "i", tmp_path / "p.zarr", pattern=PATTERN)


def test_time_points_are_told_to_be_chosen(tmp_path: Path) -> None:
    write_files(tmp_path / "i", [f"A1_t{t}.tif" for t in ("01", "02")])
    pattern = r"(?P<well>A1)_t(?P<t>\d+)"
    with pytest.raises(ConfigError, match=r"2 time points \(01, 02\); say --t 01"):
        convert_plate(tmp_path / "i", tmp_path / "p.zarr", pattern=pattern)
    with pytest.raises(ConfigError, match=r"--t 3 is no time point of .*; it has 01, 02"):
        convert_plate(tmp_path / "i", tmp_path / "p.zarr", pattern=pattern, t="3")
    convert_plate(tmp_path / "i", tmp_path / "p.zarr", pattern=pattern, t="2")
    stored = read_field(open_plate(str(tmp_path / "p.zarr")), FieldKey(WellId(0, 0), 0), channels=(0,))
    np.testing.assert_array_equal(stored[0], image(1))


def test_all_time_points_make_fields_with_time(tmp_path: Path) -> None:
    names = [f"{well}_s{s}_t{t}_w{w}.tif" for well in ("A1", "A2") for s in (1, 2) for t in (1, 2, 10) for w in (1, 2)]
    write_files(tmp_path / "i", names)
    (tmp_path / "i" / "A1_s2_t2_w2.tif").unlink()
    said: list[str] = []
    summary = convert_plate(
        tmp_path / "i",
        tmp_path / "p.zarr",
        pattern=r"(?P<well>A\d)_s(?P<field>\d)_t(?P<time>\d+)_w(?P<channel>\d)",
        t="all",
        interval_min=15.0,
        say=said.append,
    )
    assert any("3 time points kept as frames, unevenly apart, 15 to 120 min, 135 min in all" in line for line in said)
    assert summary.left_out == ("time point 2: well A01, field 2 has no channel 2",)
    plate = open_plate(str(tmp_path / "p.zarr"))
    info = read_info(plate, FieldKey(WellId(0, 1), 1))
    # Numbers 3 to 9 are missing: these frames are 15 and 135 min after the first, and not one interval apart.
    assert (info.axes, info.t_size, info.interval_min, info.times_min) == ("tcyx", 3, None, (0.0, 15.0, 135.0))
    for frame, t in enumerate((1, 2, 10)):
        stored = read_field(plate, FieldKey(WellId(0, 1), 1, frame), channels=(0, 1))
        for c, w in enumerate((1, 2)):
            np.testing.assert_array_equal(stored[c], image(names.index(f"A2_s2_t{t}_w{w}.tif")))
    with pytest.raises(FieldError, match="holds no data"):
        read_field(plate, FieldKey(WellId(0, 0), 1, 1), channels=(0,))


def test_pages_that_are_time_points_are_frames_of_the_one_well_that_the_user_names(tmp_path: Path) -> None:
    """ImageJ's file of channels within time, and a file that does not say what its pages are."""
    movie = np.stack([np.stack([image(2 * t + c) for c in (0, 1)]) for t in range(3)])
    (tmp_path / "j").mkdir()
    tifffile.imwrite(tmp_path / "j" / "m.tif", movie, imagej=True, metadata={"axes": "TCYX", "finterval": 600.0})
    with pytest.raises(ConfigError, match=r"of no known microscope.* with --well where these tell no well"):
        convert_plate(tmp_path / "j", tmp_path / "p.zarr")
    convert_plate(tmp_path / "j", tmp_path / "p.zarr", well="B2", channels=("DNA", "CDK2"))
    plate, key = open_plate(str(tmp_path / "p.zarr")), FieldKey(WellId(1, 1), 0)
    info = read_info(plate, key)
    assert (info.axes, info.t_size, info.channels, info.interval_min) == ("tcyx", 3, ("DNA", "CDK2"), 10.0)
    for t in range(3):
        np.testing.assert_array_equal(read_field(plate, key.at(t), channels=(0, 1)), movie[t])
    (tmp_path / "plain").mkdir()
    tifffile.imwrite(tmp_path / "plain" / "m.tif", movie[:, 0], photometric="minisblack")
    with pytest.raises(PlateError, match=r"holds 3 images.*--t all as time points"):
        convert_plate(tmp_path / "plain", tmp_path / "q.zarr", well="A01")
    convert_plate(tmp_path / "plain", tmp_path / "q.zarr", well="A01", t="all", times_min=(0, 5, 60))
    plate, key = open_plate(str(tmp_path / "q.zarr")), FieldKey(WellId(0, 0), 0)
    assert (read_info(plate, key).times_min, read_info(plate, key).interval_min) == ((0.0, 5.0, 60.0), None)
    np.testing.assert_array_equal(read_field(plate, key.at(2), channels=(0,))[0], movie[2, 0])


def test_names_without_a_well_need_one_and_a_pattern(tmp_path: Path) -> None:
    write_files(tmp_path / "i", ["t1.tif", "t2.tif"])
    with pytest.raises(ConfigError, match=r"names no well; .* such as --well A01"):
        convert_plate(tmp_path / "i", tmp_path / "p.zarr", pattern=r"t(?P<t>\d)")
    with pytest.raises(ConfigError, match=r"holds 2 images of well A01, such as 't1.tif'; say by --pattern"):
        convert_plate(tmp_path / "i", tmp_path / "p.zarr", well="A01")
    with pytest.raises(ConfigError, match="names a well, and --well gives one"):
        convert_plate(tmp_path / "i", tmp_path / "p.zarr", well="A01", pattern=r"(?P<well>t)(?P<t>\d)")
    with pytest.raises(ConfigError, match="--times gives 3 times, and the folder has 2 time points"):
        convert_plate(
            tmp_path / "i", tmp_path / "p.zarr", well="A01", pattern=r"t(?P<t>\d)", t="all", times_min=(0, 1, 5)
        )
    summary = convert_plate(tmp_path / "i", tmp_path / "p.zarr", well="A01", pattern=r"t(?P<t>\d)", t="all")
    assert (summary.wells, summary.fields) == (1, 1)


INDEX = """<EvaluationInputData xmlns="urn:HarmonyV6"><Maps><Map><Entry ChannelID="1"><ChannelName>DAPI</ChannelName>
<ImageResolutionX Unit="m">5E-07</ImageResolutionX><ImageResolutionY Unit="m">5E-07</ImageResolutionY>
<MainExcitationWavelength Unit="nm">405</MainExcitationWavelength></Entry>
<Entry ChannelID="2"><ChannelName>GFP</ChannelName></Entry></Map></Maps>
<Images>{images}</Images></EvaluationInputData>"""


@pytest.fixture
def harmony(tmp_path: Path) -> Path:
    """A Harmony export: well C04, fields 1 and 2 with planes 1 and 2 and channels DAPI and GFP, 30 × 20 px."""
    images = []
    for seed, (field, plane, channel) in enumerate((f, p, c) for f in (1, 2) for p in (1, 2) for c in (1, 2)):
        name = f"r03c04f0{field}p0{plane}-ch{channel}sk1fk1fl1.tiff"
        save(tmp_path / "plate" / "Images", name, image(seed))
        images.append(
            f"<Image><URL>{name}</URL><Row>3</Row><Col>4</Col><FieldID>{field}</FieldID><PlaneID>{plane}</PlaneID>"
            f"<TimepointID>0</TimepointID><ChannelID>{channel}</ChannelID><PositionX>{field}E-05</PositionX><PositionY>"
            f"-2E-05</PositionY><PositionZ>{plane}E-06</PositionZ></Image>"
        )
    (tmp_path / "plate" / "Images" / "Index.xml").write_text(INDEX.format(images="".join(images)), encoding="utf-8")
    return tmp_path / "plate"


def test_a_microscopes_folder_needs_no_option(harmony: Path, tmp_path: Path, ngff: str) -> None:
    lines: list[str] = []
    summary = convert_plate(harmony, tmp_path / "p.zarr", ngff=ngff, say=lines.append)
    assert (summary.wells, summary.fields, summary.channels, summary.left_out) == (1, 2, ("DAPI", "GFP"), ())
    text = "\n".join(lines)
    assert "plate: Opera Phenix or Operetta, Harmony 6\n  lists     8 planes: 1 wells, 2 fields" in text
    assert "channels  1 DAPI (excited at 405 nm) → DAPI, 2 GFP → GFP" in text
    assert "z planes  2 (1, 2): their maximum (--z max, keep or one plane says otherwise)" in text
    assert "pixels    30 × 20 uint16, 0.5 µm a pixel; 2 fields with positions" in text
    plate = open_plate(str(tmp_path / "p.zarr"))
    for field, seeds in ((0, (0, 2)), (1, (4, 6))):
        key = FieldKey(WellId(2, 3), field)
        info = read_info(plate, key)
        assert info.pixel_size_um == pytest.approx(0.5)
        assert info.origin_um == pytest.approx((20 - 9.5 * 0.5, 10 * (field + 1) - 14.5 * 0.5))
        expected = np.maximum(image(seeds[0]), image(seeds[1]))
        np.testing.assert_array_equal(read_field(plate, key, channels=(0,))[0], expected)
    node = read_node(tmp_path / "p.zarr" / "C" / "04" / "0")
    assert node is not None
    assert node.ome["omero"]["channels"][0]["excitation_nm"] == 405
    root = read_node(tmp_path / "p.zarr")
    assert root is not None
    assert root.others["hcs"]["layout"] == "Opera Phenix or Operetta, Harmony 6"


def test_kept_planes_have_their_distance_and_channels_their_number(harmony: Path, tmp_path: Path) -> None:
    convert_plate(harmony, tmp_path / "p.zarr", z="keep", channels=("2=CDK2",), pixel_size_um=0.4)
    info = read_info(open_plate(str(tmp_path / "p.zarr")), FieldKey(WellId(2, 3), 0))
    assert (info.z_size, info.channels, info.pixel_size_um) == (2, ("DAPI", "CDK2"), pytest.approx(0.4))
    node = read_node(tmp_path / "p.zarr" / "C" / "04" / "0")
    assert node is not None
    (first,) = node.ome["multiscales"][0]["datasets"]
    assert first["coordinateTransformations"][0]["scale"] == [1.0, 1.0, 0.4, 0.4]


def test_images_that_the_metadata_list_and_nobody_copied(harmony: Path, tmp_path: Path) -> None:
    for file in harmony.rglob("*f02p01-ch2*"):
        file.unlink()
    summary = convert_plate(harmony, tmp_path / "p.zarr")
    assert len(summary.left_out) == 1
    assert re.match(r"well C04, field 2, channel GFP, plane 1: .*no such file", summary.left_out[0])
    for file in harmony.rglob("*.tiff"):
        file.unlink()
    with pytest.raises(PlateError, match=r"none of the 8 images that the metadata list is in .*plate, such as"):
        convert_plate(harmony, tmp_path / "again" / "p.zarr")


def test_fields_of_two_acquisitions_are_told_apart(tmp_path: Path) -> None:
    (tmp_path / "i").mkdir()
    for name in ("a", "b"):
        save(tmp_path / "i", f"{name}.ome.tif", image(ord(name)))
    samples = "".join(f'<WellSample ID="s{i}" Index="{i}"><ImageRef ID="Image:{i}"/></WellSample>' for i in (0, 1))
    taken = "".join(f'<PlateAcquisition><WellSampleRef ID="s{i}"/></PlateAcquisition>' for i in (0, 1))
    images = "".join(
        f'<Image ID="Image:{i}"><Pixels><Channel Name="DAPI"/><TiffData><UUID FileName="{name}.ome.tif"/></TiffData>'
        "</Pixels></Image>"
        for i, name in enumerate("ab")
    )
    xml = f'<OME><Plate><Well Row="0" Column="0">{samples}</Well>{taken}</Plate>{images}</OME>'
    (tmp_path / "i" / "x.companion.ome").write_text(xml, encoding="utf-8")
    convert_plate(tmp_path / "i", tmp_path / "p.zarr")
    assert [entry.acquisition for entry in open_plate(str(tmp_path / "p.zarr")).fields] == [0, 1]


def test_real_folders_without_an_option(shared_data: Path, tmp_path: Path) -> None:
    microscopes = shared_data / "microscopes"
    convert_plate(microscopes / "operetta-compose", tmp_path / "o.zarr")
    plate = open_plate(str(tmp_path / "o.zarr"))
    infos = [read_info(plate, entry.key) for entry in plate.fields]
    assert [str(entry.key) for entry in plate.fields] == ["C03/0", "C03/1"]
    assert infos[1].origin_um[1] - infos[0].origin_um[1] == pytest.approx(2 * 645.814)  # type: ignore[index]
    file = microscopes / "operetta-compose" / "operetta_plate" / "Images" / "r03c03f02p01-ch1sk1fk1fl1.tiff"
    np.testing.assert_array_equal(read_field(plate, plate.fields[1].key, channels=(0,))[0], tifffile.imread(file))
    summary = convert_plate(microscopes / "plateviewer-scanr", tmp_path / "s.zarr")
    assert any("32768" in note for note in summary.notes)
    assert any("saturation_level: 4095" in note for note in summary.notes)
    summary = convert_plate(microscopes / "bbbc022-crop", tmp_path / "b.zarr")
    assert summary.channels == ("1", "2", "3")  # pages that the file calls channels
