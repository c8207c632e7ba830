"""Single 2-D images: PNG and TIFF files in, label images out. Every command reads files by this module alone.

An image file is one grey plane, or it is refused with what it is and what to do. What is done to its values on the way
(an offset taken off, an inversion, an RGB taken for grey) comes back as remarks, for a command to show.
"""

from __future__ import annotations

import io
import math
from collections import Counter
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path
from typing import Any, TypeVar

import cv2
import numpy as np
import tifffile
from numpy.typing import NDArray

from hcs.errors import FieldError
from hcs.store.atomic import replacing
from hcs.store.files.containers import container_of, read_scene, scenes
from hcs.store.files.png import png_page, read_png
from hcs.store.files.tiff import Page, Pages, Refused, read_tiff, tiff_pages
from hcs.store.paths import is_ordinary

SUFFIXES = (".png", ".tif", ".tiff")

T = TypeVar("T")

_TIFF_STARTS = (b"II*\0", b"MM\0*", b"II+\0", b"MM\0+")
_PNG_START = b"\x89PNG"
_KNOWN_STARTS = {
    b"\xff\xd8\xff": "a JPEG",
    b"BM": "a BMP",
    b"GIF8": "a GIF",
    b"\x89HDF": "an HDF5 file",
    b"PK\x03\x04": "a zip archive",
    b"version https://git-lfs": "a Git LFS pointer, whose image was not fetched",
}
_SCANR_OFFSET = 32768
_KINDS = {"z": "z planes", "c": "channels", "t": "time points"}


@dataclass(frozen=True, slots=True)
class ImageHeader:
    """What a file holds, from its header: images of one shape and type, and what these are along."""

    shape: tuple[int, int]
    dtype: np.dtype[Any]
    images: int
    """How many grey planes: 1, or more in a TIFF with several pages."""
    kind: str
    """What several images are: ``z``, ``c``, ``t``, several letters, or empty where the file does not tell."""
    sizes: tuple[int, int, int] | None = None
    """Time points, z planes and channels, where pages are in the order of channels within z within time."""
    interval_s: float | None = None
    """Seconds between time points, where the file tells them."""


@dataclass(frozen=True, slots=True)
class Plane:
    """A grey plane (Y, X) of a file, and sentences' ends on what was done to its values (``was inverted: …``)."""

    pixels: NDArray[Any]
    remarks: tuple[str, ...]


def read_header(path: Path) -> ImageHeader:
    """What a PNG or TIFF file holds. Pixels are read only where the header leaves open whether they are grey.

    Raises FieldError, naming file, cause and remedy, where the file is missing, cut short, in colour, or where its
    images differ in shape or type.
    """
    inside = container_of(path)
    if inside is not None:
        return _naming(inside[0], lambda: _scene_header(*inside))
    return _naming(path, lambda: _header(path))


def read_plane(path: Path, page: int | None = None) -> Plane:
    """The one grey plane of a file, or the image ``page`` (0-based) of a file with several.

    Raises FieldError, naming file, cause and remedy, for all that `read_header` refuses, for a file of several images
    where ``page`` is None, for damaged pixels, and for pixels that are NaN or infinite.
    """
    inside = container_of(path)
    if inside is not None:
        return _naming(inside[0], lambda: _scene_plane(*inside, page))
    return _naming(path, lambda: _plane(path, page))


def read_image(path: Path) -> NDArray[Any]:
    """Pixels (Y, X) of the one grey plane of a file; FieldError as `read_plane` raises."""
    return read_plane(path).pixels


def read_label_image(path: Path) -> NDArray[Any]:
    """Labels (Y, X) of the one image of a file, 0 outside; of a file with a palette, the palette's indices.

    Raises FieldError as `read_image` does, and where values are negative, no whole numbers, or in colour.
    """
    return _naming(path, lambda: _labels(path))


def remarks_of(planes: Iterable[tuple[str, tuple[str, ...]]]) -> tuple[str, ...]:
    """One sentence for every kind of remark on files (name, remarks): how many files, one by name, and what."""
    counts: Counter[str] = Counter()
    first: dict[str, str] = {}
    for name, remarks in planes:
        for remark in remarks:
            counts[remark] += 1
            first.setdefault(remark, name)
    return tuple(
        f"{first[remark]} {remark}" if count == 1 else f"{count:,} files, such as {first[remark]}: each {remark}"
        for remark, count in counts.items()
    )


def _naming(path: Path, action: Callable[[], T]) -> T:
    """The result of ``action``; whatever goes wrong comes as a FieldError that names the file."""
    try:
        if not is_ordinary(path):
            raise Refused("is no file but a folder, pipe, socket or device; give an image file")
        return action()
    except Refused as error:
        raise FieldError(path.name, f"{path} {error}") from error
    except FileNotFoundError as error:
        raise FieldError(path.name, f"{path} cannot be read as an image (no such file); check the path") from error
    except MemoryError:
        raise
    except Exception as error:  # decoders of damaged files raise whatever they stumble over
        reason = (str(error).strip().splitlines() or [type(error).__name__])[0]
        raise FieldError(path.name, f"{path} cannot be read as an image ({reason}); copy or write it again") from error


def _pages(path: Path) -> Pages:
    """The images of a file, by what it is, not by what it is called."""
    stat = path.stat()
    return _pages_of(path, stat.st_mtime_ns, stat.st_size)


@lru_cache(maxsize=8)
def _pages_of(path: Path, _: int, __: int) -> Pages:
    """The same, known of a few files: of a movie in one file every frame asks again."""
    with path.open("rb") as file:
        start = file.read(32)
    if start.startswith(_TIFF_STARTS):
        return tiff_pages(path)
    if start.startswith(_PNG_START):
        return Pages((png_page(path),), 0, "")
    what = next((what for begin, what in _KNOWN_STARTS.items() if start.startswith(begin)), "")
    if not start:
        raise Refused("is empty; copy it again")
    raise Refused(f"is {what or 'neither TIFF nor PNG'}, whatever its name says; save it as TIFF or PNG")


def _scene_header(path: Path, number: int) -> ImageHeader:
    scene = scenes(path)[number]
    return ImageHeader(scene.shape, scene.dtype, math.prod(scene.sizes), "")


def _scene_plane(path: Path, number: int, page: int | None) -> Plane:
    pixels = read_scene(path, number, page or 0)
    if pixels.dtype.kind == "f" and not np.isfinite(pixels).all():
        raise Refused("holds NaN or infinite pixels; write it again from the raw images")
    return Plane(pixels, ())


def _header(path: Path) -> ImageHeader:
    found = _pages(path)
    first = found.images[0]
    if any((page.shape, page.dtype) != (first.shape, first.dtype) for page in found.images):
        raise _several(found)
    unclear = first.samples > 1 or first.palette is not None or first.white_is_zero or first.bits == 1
    dtype = _plane(path, 0).pixels.dtype if unclear else first.dtype
    return ImageHeader(first.shape, dtype, len(found.images), found.kind, found.sizes, found.interval_s)


def _several(found: Pages) -> Refused:
    """The refusal of a file with more than one image."""
    shapes = [f"{page.shape[1]} × {page.shape[0]}" for page in found.images]
    kinds = [_KINDS[letter] for letter in found.kind]
    what = f"holds {len(shapes)} images" + (f" ({' and '.join(kinds)})" if kinds else "")
    if len(set(shapes)) > 1:
        sizes = ", ".join(shapes[:6]) + (", …" if len(shapes) > 6 else "")
        return Refused(
            f"{what} of different sizes ({sizes}), and which one is meant cannot be told; save one channel and plane a "
            "file, without thumbnails"
        )
    planes = "" if found.kind not in ("", "z") else "; `hcs convert --z max` takes the pages of each file as z planes"
    planes += ", --t all as time points" if found.kind == "" else ""
    return Refused(
        f"{what} of {shapes[0]} px, shape {(len(shapes), *found.images[0].shape)}; a grey 2-D image is needed: save "
        f"one channel and plane a file{planes}"
    )


def _plane(path: Path, page: int | None) -> Plane:
    found = _pages(path)
    if page is None and len(found.images) > 1:
        raise _several(found)
    if page is not None and page >= len(found.images):
        raise Refused(f"has {len(found.images)} image(s), no number {page + 1}")
    chosen = found.images[page or 0]
    if chosen.bits == 1:
        raise Refused("is black and white, a mask; an image of intensities is needed")
    remarks: list[str] = []
    pixels = _one_sample(_stored(path, page or 0), chosen, remarks)
    if chosen.palette is not None:
        _check_palette(pixels, chosen, remarks)
    pixels = _as_intensity(pixels, chosen, remarks)
    if pixels.dtype.kind == "f" and not np.isfinite(pixels).all():
        raise Refused("holds NaN or infinite pixels; write it again from the raw images")
    if chosen.lossy:
        remarks.append("is compressed with loss (JPEG or the like): intensities are not those of the camera")
    return Plane(pixels, tuple(remarks))


def _stored(path: Path, page: int) -> NDArray[Any]:
    with path.open("rb") as file:
        png = file.read(4) == _PNG_START
    array = read_png(path) if png else read_tiff(path, page)
    native: NDArray[Any] = array.astype(array.dtype.newbyteorder("="), copy=False)
    return native


def _one_sample(array: NDArray[Any], page: Page, remarks: list[str]) -> NDArray[Any]:
    """Grey (Y, X) of stored values; Refused for colour and for an alpha channel that hides something."""
    if array.ndim == 2:
        return array
    colours = array[..., : 1 if array.shape[2] <= 2 else 3]
    if array.shape[2] in (2, 4):
        alpha = array[..., -1]
        if (alpha != (np.iinfo(alpha.dtype).max if alpha.dtype.kind == "u" else 1)).any():
            raise Refused("has an alpha channel that hides some pixels; save it as a grey image without transparency")
        remarks.append("has an alpha channel, all opaque: it is left out")
    elif array.shape[2] != 3:
        raise Refused(f"has {array.shape[2]} values a pixel; a grey 2-D image is needed, one channel a file")
    if colours.shape[2] == 1:
        return np.ascontiguousarray(colours[..., 0])
    if not (colours[..., :1] == colours).all():
        single = sum(bool(colours[..., i].any()) for i in range(3)) == 1
        only = " (one channel alone is used: split the channels and save that one)" if single else ""
        raise Refused(f"has shape {array.shape}, in colour{only}; a grey 2-D image is needed, one channel a file")
    remarks.append("is RGB with three equal channels: one is taken")
    return np.ascontiguousarray(colours[..., 0])


def _check_palette(pixels: NDArray[Any], page: Page, remarks: list[str]) -> None:
    """Refused where a palette's colours do not rise with the stored values: these are then no intensities."""
    assert page.palette is not None
    used = np.unique(pixels)
    if used.size and int(used[-1]) >= page.palette.shape[1]:
        raise Refused("is damaged: it uses colours that its palette lacks; write it again")
    colours = page.palette[:, used].astype(np.float64)
    brightness = np.array([0.299, 0.587, 0.114]) @ colours
    if (np.diff(brightness) < 0).any() and not page.fiji:
        raise Refused(
            "has a palette whose colours do not grow brighter with the stored values: these are no intensities; save "
            "it as a grey image"
        )
    ramp = bool((colours == colours[:1]).all()) and bool(np.allclose(colours[0], used * 257.0, atol=257.0))
    if not ramp:
        remarks.append("has a palette of (false) colours: the stored values are taken as intensities")


def _as_intensity(pixels: NDArray[Any], page: Page, remarks: list[str]) -> NDArray[Any]:
    """Values that grow with the light; offsets of signed cameras taken off."""
    if page.white_is_zero:
        if page.fiji or pixels.dtype.kind != "u":
            raise Refused(
                "is stored with white as zero (MinIsWhite, in Fiji an inverting LUT), which leaves open which pixels "
                "are bright; in Fiji choose Image › Lookup Tables › Invert LUT (and Edit › Invert where nuclei are "
                "then dark) and save it again"
            )
        remarks.append("is stored with white as zero (MinIsWhite): its values were inverted")
        pixels = (np.array(2**page.bits - 1, pixels.dtype) - pixels).astype(pixels.dtype)
    if page.offset:
        remarks.append("holds signed values that Fiji stored with an offset of 32768: it was taken off")
        return (pixels.astype(np.int32) - page.offset).astype(np.int16)
    if pixels.dtype == np.uint16 and pixels.size and int(pixels.min()) >= _SCANR_OFFSET:
        remarks.append(
            "has no value below 32768, the offset of ScanR and other signed 16-bit cameras: it was taken off"
        )
        return (pixels - np.uint16(_SCANR_OFFSET)).astype(np.uint16)
    return pixels


def _labels(path: Path) -> NDArray[Any]:
    found = _pages(path)
    if len(found.images) > 1:
        raise _several(found)
    if found.images[0].white_is_zero and found.images[0].bits > 1:  # masks are written so, with 1 inside
        raise Refused(
            "is stored with white as zero (MinIsWhite), which labels must not be; save it with 0 as background"
        )
    labels = _one_sample(_stored(path, 0), found.images[0], [])
    if labels.dtype.kind == "b":
        labels = labels.astype(np.uint8)
    if labels.dtype.kind == "f":
        if not np.isfinite(labels).all() or (labels != np.floor(labels)).any():
            raise Refused("has values that are no whole numbers; labels are 0 for background and 1, 2, … for nuclei")
        labels = labels.astype(np.int64)
    if labels.dtype.kind == "i" and labels.size and labels.min() < 0:
        raise Refused("has negative values; labels are 0 for background and 1, 2, … for nuclei")
    return labels


def labels_image(name: str, labels: NDArray[np.uint32]) -> bytes:
    """Labels (Y, X) as the file ``name``: uint16, or uint32 where more than 65,535 nuclei need it (TIFF only; PNG
    cannot)."""
    wide = int(labels.max(initial=0)) > np.iinfo(np.uint16).max
    array = labels if wide else labels.astype(np.uint16)
    if not name.lower().endswith(".png"):
        buffer = io.BytesIO()
        tifffile.imwrite(buffer, array, compression="zlib")
        return buffer.getvalue()
    if wide:
        raise FieldError(name, f"{labels.max()} nuclei do not fit a 16-bit PNG; give the image as TIFF")
    return bytes(cv2.imencode(".png", array)[1].tobytes())


def write_labels_image(path: Path, labels: NDArray[np.uint32]) -> None:
    """Write `labels_image` to ``path``; what is there is replaced."""
    with replacing(path) as temporary:
        temporary.write_bytes(labels_image(path.name, labels))
