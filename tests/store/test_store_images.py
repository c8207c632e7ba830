"""Image files as microscopes and programs write them: one grey plane each, or a sentence that says what is wrong."""

from __future__ import annotations

import os
import struct
import zlib
from collections.abc import Callable
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import pytest
import tifffile
from PIL import Image

from hcs.errors import FieldError
from hcs.store.files.images import read_header, read_image, read_label_image, read_plane, remarks_of

GREY = np.random.default_rng(0).integers(100, 4000, (40, 50), dtype=np.uint16)
GREY8 = (GREY >> 4).astype(np.uint8)
XML = """<?xml version="1.0"?><OME xmlns="http://www.openmicroscopy.org/Schemas/OME/2016-06" UUID="urn:uuid:{own}">
{images}</OME>"""
OME_IMAGE = """<Image ID="Image:{i}"><Pixels ID="Pixels:{i}" DimensionOrder="XYCZT" Type="uint16" SizeX="50" SizeY="40"
SizeC="1" SizeZ="1" SizeT="1"><Channel ID="Channel:{i}:0" SamplesPerPixel="1"/><TiffData FirstC="0" FirstT="0"
FirstZ="0" IFD="0" PlaneCount="1"><UUID FileName="{name}">urn:uuid:{i}</UUID></TiffData></Pixels></Image>"""


def refused(path: Path, *words: str) -> None:
    """Both header and pixels are refused, naming the file and with these words."""
    for read in (read_header, read_image):
        if read is read_header and "header" in words:
            continue
        with pytest.raises(FieldError) as caught:
            read(path)
        assert path.name in caught.value.reason
        for word in words:
            assert word == "header" or word in caught.value.reason


@pytest.mark.parametrize("compression", ["lzw", "zlib", "zstd", "packbits", "lzma", "jpegxl", None])
@pytest.mark.parametrize("predictor", [False, True])
def test_every_lossless_codec_is_read(tmp_path: Path, compression: str | None, predictor: bool) -> None:
    predictor = predictor and compression in ("lzw", "zlib", "zstd")
    lossless: dict[str, Any] = {"compressionargs": {"lossless": True}} if compression == "jpegxl" else {}
    tifffile.imwrite(tmp_path / "a.tif", GREY, compression=compression, predictor=predictor, **lossless)
    np.testing.assert_array_equal(read_image(tmp_path / "a.tif"), GREY)
    tifffile.imwrite(tmp_path / "b.tif", GREY, compression=compression, tile=(16, 16), **lossless)
    np.testing.assert_array_equal(read_image(tmp_path / "b.tif"), GREY)


@pytest.mark.parametrize("compression", ["jpeg", "jpeg2000", "jpegxr"])
def test_lossy_codecs_are_read_and_said(tmp_path: Path, compression: str) -> None:
    smooth = np.tile(np.linspace(20, 200, 64), (64, 1)).astype(np.uint8)
    tifffile.imwrite(tmp_path / "a.tif", smooth, compression=compression)
    plane = read_plane(tmp_path / "a.tif")
    assert np.abs(plane.pixels.astype(int) - smooth).max() < 10
    assert any("compressed with loss" in remark for remark in plane.remarks)


@pytest.mark.parametrize("compression", [None, "zlib"])
def test_each_file_of_an_ome_set_has_its_own_pixels(tmp_path: Path, compression: str | None) -> None:
    names = [f"p_A0{i}.ome.tif" for i in range(1, 5)]
    images = "".join(OME_IMAGE.format(i=i, name=name) for i, name in enumerate(names))
    planes = [np.random.default_rng(i).integers(1, 4000, (40, 50), dtype=np.uint16) for i in range(4)]
    for i, (name, plane) in enumerate(zip(names, planes, strict=True)):
        xml = XML.format(own=i, images=images)
        tifffile.imwrite(tmp_path / name, plane, description=xml.encode(), metadata=None, compression=compression)
    for name, plane in zip(names, planes, strict=True):
        np.testing.assert_array_equal(read_image(tmp_path / name), plane)


def test_further_pages_are_refused_whoever_wrote_them(tmp_path: Path) -> None:
    for _ in range(3):
        tifffile.imwrite(tmp_path / "appended.tif", GREY, append=True)
    refused(tmp_path / "appended.tif", "header", "holds 3 images of 50 × 40 px", "one channel and plane a file")
    tifffile.imwrite(tmp_path / "fiji.tif", np.stack([GREY] * 3), imagej=True, metadata={"axes": "CYX"})
    refused(tmp_path / "fiji.tif", "header", "holds 3 images (channels)")
    tifffile.imwrite(tmp_path / "one.tif", np.stack([GREY] * 3), truncate=True, photometric="minisblack")
    with tifffile.TiffFile(tmp_path / "one.tif") as tif:
        assert len(tif.pages) == 1
    refused(tmp_path / "one.tif", "header", "holds 3 images")
    np.testing.assert_array_equal(read_plane(tmp_path / "appended.tif", 2).pixels, GREY)
    np.testing.assert_array_equal(read_plane(tmp_path / "one.tif", 1).pixels, GREY)
    assert read_header(tmp_path / "fiji.tif").kind == "c"


def test_a_thumbnail_is_passed_over_where_it_says_so_and_refused_where_not(tmp_path: Path) -> None:
    for name, subfile in (("said", 1), ("silent", 0)):
        with tifffile.TiffWriter(tmp_path / f"{name}.tif") as tif:
            tif.write(GREY[::4, ::4], subfiletype=subfile)
            tif.write(GREY)
    np.testing.assert_array_equal(read_image(tmp_path / "said.tif"), GREY)
    assert read_header(tmp_path / "said.tif").shape == GREY.shape
    refused(tmp_path / "silent.tif", "2 images of different sizes (13 × 10, 50 × 40)")
    with tifffile.TiffWriter(tmp_path / "pyramid.tif") as tif:
        tif.write(GREY, subifds=1)
        tif.write(GREY[::2, ::2], subfiletype=1)
    np.testing.assert_array_equal(read_image(tmp_path / "pyramid.tif"), GREY)


def test_photometric_meaning(tmp_path: Path) -> None:
    tifffile.imwrite(tmp_path / "white.tif", 65535 - GREY, photometric="miniswhite")
    plane = read_plane(tmp_path / "white.tif")
    np.testing.assert_array_equal(plane.pixels, GREY)
    assert "white as zero" in plane.remarks[0]
    tifffile.imwrite(tmp_path / "fiji.tif", GREY, photometric="miniswhite", description="ImageJ=1.54f\nunit=pixel")
    refused(tmp_path / "fiji.tif", "MinIsWhite", "Fiji")
    tifffile.imwrite(tmp_path / "float.tif", GREY.astype(np.float32), photometric="miniswhite")
    refused(tmp_path / "float.tif", "MinIsWhite")
    tifffile.imwrite(tmp_path / "cmyk.tif", np.stack([GREY8] * 4, -1), photometric="separated")
    refused(tmp_path / "cmyk.tif", "CMYK")
    tifffile.imwrite(tmp_path / "bayer.tif", GREY, photometric="cfa", extratags=[(33421, 3, 2, (2, 2), False)])
    refused(tmp_path / "bayer.tif", "Bayer")


@pytest.mark.parametrize("planar", ["contig", "separate"])
def test_rgb_is_grey_or_refused(tmp_path: Path, planar: str) -> None:
    def write(name: str, image: np.ndarray) -> None:
        stored = image if planar == "contig" else np.moveaxis(image, -1, 0)
        tifffile.imwrite(tmp_path / name, stored, photometric="rgb", planarconfig=planar)

    write("equal.tif", np.stack([GREY] * 3, -1))
    plane = read_plane(tmp_path / "equal.tif")
    np.testing.assert_array_equal(plane.pixels, GREY)
    assert plane.remarks == ("is RGB with three equal channels: one is taken",)
    write("opaque.tif", np.stack([GREY] * 3 + [np.full_like(GREY, 65535)], -1))
    np.testing.assert_array_equal(read_image(tmp_path / "opaque.tif"), GREY)
    write("colour.tif", np.stack([GREY, GREY, GREY.T[: GREY.shape[0]].repeat(2, 1)[:, :50]], -1))
    refused(tmp_path / "colour.tif", "in colour")
    write("blue.tif", np.stack([GREY * 0, GREY * 0, GREY], -1))
    refused(tmp_path / "blue.tif", "split the channels")
    write("hidden.tif", np.stack([GREY] * 3 + [GREY], -1))
    refused(tmp_path / "hidden.tif", "alpha")


def test_palettes(tmp_path: Path) -> None:
    grey = np.tile(np.arange(256, dtype=np.uint16) * 257, (3, 1))
    green = grey * np.array([[0], [1], [0]], np.uint16)
    for name, colours in (("grey", grey), ("green", green)):
        tifffile.imwrite(tmp_path / f"{name}.tif", GREY8, photometric="palette", colormap=colours)
        np.testing.assert_array_equal(read_image(tmp_path / f"{name}.tif"), GREY8)
    assert read_plane(tmp_path / "grey.tif").remarks == ()
    assert "stored values are taken" in read_plane(tmp_path / "green.tif").remarks[0]
    tifffile.imwrite(tmp_path / "mixed.tif", GREY8, photometric="palette", colormap=grey[:, ::-1])
    refused(tmp_path / "mixed.tif", "palette")
    image = Image.fromarray(GREY8).convert("P")
    image.putpalette(bytes(np.random.default_rng(1).integers(0, 256, 768, dtype=np.uint8)))
    image.save(tmp_path / "mixed.png")
    refused(tmp_path / "mixed.png", "palette")
    np.testing.assert_array_equal(read_label_image(tmp_path / "mixed.png"), np.asarray(image))


def test_offsets_of_signed_cameras_are_taken_off_and_said(tmp_path: Path) -> None:
    tifffile.imwrite(tmp_path / "scanr.tif", GREY + 32768)
    plane = read_plane(tmp_path / "scanr.tif")
    np.testing.assert_array_equal(plane.pixels, GREY)
    assert "32768" in plane.remarks[0]
    signed = GREY.astype(np.int16) - 1000
    described = "ImageJ=1.54f\ncf=0\nc0=-32768.0\nc1=1.0\nvunit=Gray Value"
    tifffile.imwrite(tmp_path / "fiji.tif", (signed.astype(np.int32) + 32768).astype(np.uint16), description=described)
    np.testing.assert_array_equal(read_image(tmp_path / "fiji.tif"), signed)
    tifffile.imwrite(tmp_path / "signed.tif", signed)
    np.testing.assert_array_equal(read_image(tmp_path / "signed.tif"), signed)
    assert read_image(tmp_path / "signed.tif").dtype == np.int16


@pytest.mark.parametrize("bad", [np.nan, np.inf])
def test_pixels_that_are_no_numbers_are_refused(tmp_path: Path, bad: float) -> None:
    image = GREY.astype(np.float32)
    tifffile.imwrite(tmp_path / "good.tif", image)
    np.testing.assert_array_equal(read_image(tmp_path / "good.tif"), image)
    image[3, 4] = bad
    tifffile.imwrite(tmp_path / "bad.tif", image)
    refused(tmp_path / "bad.tif", "header", "NaN or infinite")
    tifffile.imwrite(tmp_path / "complex.tif", image.astype(np.complex64))
    refused(tmp_path / "complex.tif", "complex64")


def cut(data: bytes) -> bytes:
    return data[: len(data) // 2]


def test_twelve_bits_in_a_row_and_black_and_white(tmp_path: Path) -> None:
    tifffile.imwrite(tmp_path / "mask.tif", GREY > 2000)
    refused(tmp_path / "mask.tif", "black and white")
    packed = tmp_path / "packed.tif"
    rows = GREY.astype(np.uint32)
    pairs = (rows[:, ::2] << 12) | rows[:, 1::2]
    data = np.stack([pairs >> 16, (pairs >> 8) & 255, pairs & 255], -1).astype(np.uint8).tobytes()
    _write_packed(packed, data)
    np.testing.assert_array_equal(read_image(packed), GREY)


def _write_packed(path: Path, data: bytes) -> None:
    """A TIFF of 12 bits a pixel, 50 × 40, by hand."""
    tags = [(256, 50), (257, 40), (258, 12), (259, 1), (262, 1), (273, 8), (277, 1), (278, 40), (279, len(data))]
    ifd = struct.pack("<H", len(tags)) + b"".join(struct.pack("<HHII", tag, 4, 1, value) for tag, value in tags)
    path.write_bytes(b"II*\0" + struct.pack("<I", 8 + len(data)) + data + ifd + struct.pack("<I", 0))


@pytest.mark.parametrize("compression", [None, "lzw", "zlib"])
def test_files_cut_short_are_refused_by_their_headers(tmp_path: Path, compression: str | None) -> None:
    big = np.random.default_rng(2).integers(0, 4000, (200, 300), dtype=np.uint16)
    path = tmp_path / "a.tif"
    tifffile.imwrite(path, big, compression=compression)
    path.write_bytes(cut(path.read_bytes()))
    refused(path, "cut short")


@pytest.mark.parametrize("damage", [cut, lambda d: d[:-12], lambda d: d[:60]])
def test_a_png_cut_short_is_refused(tmp_path: Path, damage: Callable[[bytes], bytes]) -> None:
    path = tmp_path / "a.png"
    path.write_bytes(damage(cv2.imencode(".png", GREY)[1].tobytes()))
    refused(path, "cut short")


def test_a_png_with_a_flipped_bit_is_refused(tmp_path: Path) -> None:
    data = bytearray(cv2.imencode(".png", GREY)[1].tobytes())
    data[len(data) // 2] ^= 4
    (tmp_path / "a.png").write_bytes(data)
    refused(tmp_path / "a.png", "header", "checksum")


@pytest.mark.parametrize(
    ("data", "word"),
    [
        (b"", "is empty"),
        (b"\xff\xd8\xff\xe0" + bytes(50), "a JPEG"),
        (b"version https://git-lfs.github.com/spec/v1\noid sha256:00\nsize 5\n", "Git LFS"),
        (b"<html>not found</html>", "neither TIFF nor PNG"),
        (b"II*\0\x08\0\0\0", ""),
        (b"II*\0\xff\xff\xff\x7f", ""),
        (b"II*\0\x08\0\0\0\xff\xff" + bytes(100), ""),
        (b"\x89PNG\r\n\x1a\n", "cut short"),
    ],
)
def test_what_is_no_image_is_named(tmp_path: Path, data: bytes, word: str) -> None:
    (tmp_path / "a.tif").write_bytes(data)
    refused(tmp_path / "a.tif", word)


def test_a_missing_next_page_is_noticed(tmp_path: Path) -> None:
    path = tmp_path / "a.tif"
    tifffile.imwrite(path, np.stack([GREY] * 3), photometric="minisblack")
    with tifffile.TiffFile(path) as tif:
        second = tif.pages[1].offset
    path.write_bytes(path.read_bytes()[:second])
    refused(path, "its list of pages leads nowhere")


def test_files_are_known_by_content_not_by_ending(tmp_path: Path) -> None:
    (tmp_path / "really-png.tif").write_bytes(cv2.imencode(".png", GREY)[1].tobytes())
    np.testing.assert_array_equal(read_image(tmp_path / "really-png.tif"), GREY)


@pytest.mark.parametrize("dtype", ["uint8", "uint16"])
def test_png_with_alpha_and_animations(tmp_path: Path, dtype: str) -> None:
    grey = GREY.astype(dtype)
    full = np.full_like(grey, np.iinfo(dtype).max)
    (tmp_path / "a.png").write_bytes(cv2.imencode(".png", np.stack([grey, grey, grey, full], -1))[1].tobytes())
    np.testing.assert_array_equal(read_image(tmp_path / "a.png"), grey)
    full[0, 0] = 0
    (tmp_path / "b.png").write_bytes(cv2.imencode(".png", np.stack([grey, grey, grey, full], -1))[1].tobytes())
    refused(tmp_path / "b.png", "alpha")
    data = cv2.imencode(".png", grey)[1].tobytes()
    control = b"acTL" + struct.pack(">II", 2, 0)
    chunk = struct.pack(">I", 8) + control + struct.pack(">I", zlib.crc32(control))
    (tmp_path / "c.png").write_bytes(data[:33] + chunk + data[33:])
    refused(tmp_path / "c.png", "animation")


def test_labels_are_whole_numbers(tmp_path: Path) -> None:
    labels = (GREY % 7).astype(np.int32)
    for dtype in (np.uint8, np.uint16, np.int32, np.float32):
        tifffile.imwrite(tmp_path / "l.tif", labels.astype(dtype))
        np.testing.assert_array_equal(read_label_image(tmp_path / "l.tif"), labels)
    for bad, word in ((labels - 1, "negative"), (labels + 0.5, "whole numbers"), (np.stack([labels] * 2), "2 images")):
        tifffile.imwrite(tmp_path / "l.tif", bad.astype(np.float32 if bad.dtype.kind == "f" else bad.dtype))
        with pytest.raises(FieldError, match=word):
            read_label_image(tmp_path / "l.tif")
    tifffile.imwrite(tmp_path / "l.tif", labels.astype(np.uint8), photometric="miniswhite")
    with pytest.raises(FieldError, match="MinIsWhite"):
        read_label_image(tmp_path / "l.tif")
    tifffile.imwrite(tmp_path / "l.tif", labels > 3)
    np.testing.assert_array_equal(read_label_image(tmp_path / "l.tif") > 0, labels > 3)


def test_remarks_of_many_files_are_one_sentence() -> None:
    said = remarks_of([("a.tif", ("is RGB",)), ("b.tif", ()), ("c.tif", ("is RGB", "was inverted"))])
    assert said == ("2 files, such as a.tif: each is RGB", "c.tif was inverted")


def test_real_files_of_every_microscope_are_read_or_named(shared_data: Path) -> None:
    read, refusals = 0, []
    for folder in ("microscopes", "vendor-layouts", "sensor"):
        for path in sorted((shared_data / folder).rglob("*")):
            if path.suffix.lower() not in (".tif", ".tiff") or ("CV8000" in path.name and "Z01" not in path.name):
                continue
            try:
                plane = read_plane(path)
            except FieldError as error:
                refusals.append(error.reason)
            else:
                read += 1
                assert plane.pixels.ndim == 2
                assert ("--W0000" in path.name) == any("32768" in remark for remark in plane.remarks)
    assert read > 100
    assert len(refusals) == 7
    assert all(" images" in reason for reason in refusals)


@pytest.mark.parametrize("ending", ["tif", "png"])
@pytest.mark.parametrize("what", ["pipe", "device", "folder"])
def test_what_may_never_end_is_no_image(tmp_path: Path, ending: str, what: str) -> None:
    path = tmp_path / f"a.{ending}"
    if what == "pipe":
        os.mkfifo(path)
    elif what == "device":
        path.symlink_to("/dev/zero")
    else:
        path.mkdir()
    for read in (read_header, read_image, read_label_image):
        with pytest.raises(FieldError, match="is no file but a folder, pipe, socket or device"):
            read(path)
