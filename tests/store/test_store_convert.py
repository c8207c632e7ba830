"""Folders of images into plates, and the sentences for folders that do not make one."""

from __future__ import annotations

import errno
import os
from pathlib import Path

import cv2
import numpy as np
import pytest
import tifffile

from hcs.errors import ConfigError, HcsError, PlateError, ResultsError
from hcs.plate.keys import FieldKey, WellId
from hcs.store import convert as convert_module
from hcs.store.convert import convert_plate
from hcs.store.plate import open_plate, read_field, read_info

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


def damage(folder: Path) -> None:
    (folder / "b" / "B02_s2_w1.tif").write_bytes(b"II*\0no")


@pytest.mark.parametrize(
    ("change", "sentence"),
    [
        (add_duplicate, r"a/A1_s2_w1.tif and .*c/A01_s2_w1.tif are both well A01, field 2, channel 1"),
        (lose_channel, r"well B02, field 2 has no channel 2"),
        (other_shape, r"B02_s2_w2.png is \(21, 30\) uint16 but B02_s2_w1.tif of the same field is \(20, 30\)"),
        (other_type, r"is \(20, 30\) uint8 but"),
        (colour, r"B02_s2_w2.png has shape \(20, 30, 3\); a grey 2-D image is needed"),
        (damage, r"B02_s2_w1.tif cannot be read"),
    ],
)
def test_files_that_make_no_plate_get_a_sentence_and_leave_nothing(
    source: Path, tmp_path: Path, change: object, sentence: str
) -> None:
    change(source)  # type: ignore[operator]
    with pytest.raises(PlateError, match=sentence):
        convert_plate(source, tmp_path / "p.zarr", pattern=PATTERN)
    assert [p.name for p in tmp_path.iterdir()] == ["images"]


@pytest.mark.parametrize(
    ("options", "error", "sentence"),
    [
        ({}, ConfigError, "either --layout or --pattern"),
        ({"layout": "bbbc013", "pattern": PATTERN}, ConfigError, "either --layout or --pattern"),
        ({"layout": "bbbc000"}, ConfigError, "'bbbc000' is not known; known are bbbc013"),
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


def test_a_full_disk_leaves_nothing(source: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    written = convert_module.write_field

    def full(path: str, spec: object, key: FieldKey, pixels: object) -> None:
        if key.well.row == 1:
            raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))
        written(path, spec, key, pixels)  # type: ignore[arg-type]

    monkeypatch.setattr(convert_module, "write_field", full)
    with pytest.raises(ResultsError, match="No space left on device"):
        convert_plate(source, tmp_path / "p.zarr", pattern=PATTERN)
    assert [p.name for p in tmp_path.iterdir()] == ["images"]


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
