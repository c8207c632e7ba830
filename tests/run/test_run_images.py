"""`hcs segment`, `evaluate` and `convert` read files by one rule, and show what they took and left."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import tifffile
from helpers.run import Hcs
from scipy import ndimage


def nuclei(seed: int) -> np.ndarray:
    """Twelve round nuclei of 14 px on a grid, blurred, with noise: 160 × 160 px, uint16."""
    rng = np.random.default_rng(seed)
    y, x = np.mgrid[:160, :160]
    image = np.zeros((160, 160))
    for cy in (30, 80, 130):
        for cx in (25, 60, 95, 130):
            image += 1500 * ((y - cy - rng.uniform(-3, 3)) ** 2 + (x - cx - rng.uniform(-3, 3)) ** 2 < 49)
    return (ndimage.gaussian_filter(image, 1) + rng.normal(200, 10, image.shape)).astype(np.uint16)


def test_segment_shows_sizes_and_remarks_and_refuses_file_by_file(hcs: Hcs, tmp_path: Path) -> None:
    folder = tmp_path / "images"
    folder.mkdir()
    tifffile.imwrite(folder / "a-lzw.tif", nuclei(0), compression="lzw")
    tifffile.imwrite(folder / "b-rgb.tif", np.stack([nuclei(0)] * 3, -1), photometric="rgb")
    hole = nuclei(0).astype(np.float32)
    hole[:, 0] = np.nan
    tifffile.imwrite(folder / "c-nan.tif", hole)
    for _ in range(3):
        tifffile.imwrite(folder / "d-pages.tif", nuclei(0), append=True)
    (folder / "e-cut.tif").write_bytes((folder / "a-lzw.tif").read_bytes()[:5000])
    (folder / "._a-lzw.tif").write_bytes(b"x")
    shown = hcs("segment", folder, tmp_path / "labels")
    assert shown.code == 1
    lines = shown.out.splitlines()
    assert "1/5 a-lzw.tif: 12 nuclei, diameter 1" in lines[0]
    assert "px (estimated from" in lines[0]
    assert lines[1].endswith("; the file is RGB with three equal channels: one is taken")
    assert "NaN or infinite" in lines[2]
    assert "holds 3 images" in lines[3]
    assert "cut short" in lines[4]
    assert lines[5] == "24 nuclei in 2 images; 3 failed"
    assert sorted(path.name for path in (tmp_path / "labels").glob("*.tif")) == ["a-lzw.tif", "b-rgb.tif"]
    given = hcs("segment", folder, tmp_path / "labels", "--diameter-px", "14")
    assert "diameter 14 px (given)" in given.out


def test_evaluate_refuses_what_are_no_labels(hcs: Hcs, tmp_path: Path) -> None:
    for name in ("truth", "ours"):
        (tmp_path / name).mkdir()
        tifffile.imwrite(tmp_path / name / "a.tif", np.ones((8, 8), np.uint16))
    tifffile.imwrite(tmp_path / "ours" / "a.tif", np.full((8, 8), 0.5, np.float32))
    shown = hcs("evaluate", tmp_path / "truth", tmp_path / "ours", "--out", tmp_path / "scores")
    assert shown.code == 2
    assert "whole numbers" in shown.err


def test_convert_shows_what_is_what_and_ends_with_1_where_something_is_missing(hcs: Hcs, tmp_path: Path) -> None:
    folder = tmp_path / "images"
    folder.mkdir()
    for well in ("A01", "A02"):
        for channel in ("CY5", "DAPI"):
            tifffile.imwrite(folder / f"p_{well}_{channel}.tif", nuclei(1))
    pattern = r"_(?P<well>[A-P]\d\d)_(?P<channel>\w+)\.tif$"
    convert = ("convert", folder, tmp_path / "p.zarr", "--pattern", pattern)
    (folder / "p_A02_DAPI.tif").unlink()
    shown = hcs(*convert, "--channels", "DNA,ER")
    assert shown.code == 1
    assert "channels  CY5 → DNA, DAPI → ER" in shown.out
    assert "Channel CY5 is called DNA" in shown.out
    assert "1 missing or damaged:\n  well A02, field 0 has no channel DAPI" in shown.out


@pytest.mark.parametrize("command", [("segment", "labels"), ("convert", "p.zarr", "--pattern", "(?P<well>A1)")])
def test_a_plate_given_for_a_folder_of_images_is_named(hcs: Hcs, tmp_path: Path, command: tuple[str, ...]) -> None:
    (tmp_path / "plate.zarr").mkdir()
    (tmp_path / "plate.zarr" / ".zattrs").write_text("{}")
    shown = hcs(command[0], tmp_path / "plate.zarr", tmp_path / command[1], *command[2:])
    assert shown.code == 2
    assert "it is OME-Zarr, whose plates `hcs run` reads" in shown.err
