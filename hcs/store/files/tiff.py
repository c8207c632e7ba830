"""The grey planes of one TIFF file: which of its pages are images, what their values mean, whether all of it is there.

Only the pages of this very file count. Its metadata may describe a whole data set (multi-file OME-TIFF,
Micro-Manager), whose other files `tifffile.imread` would read, and a series may be one of several.
"""

from __future__ import annotations

import logging
import re
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from math import inf, prod
from pathlib import Path
from typing import Any

import numpy as np
import tifffile
from numpy.typing import NDArray

_REDUCED, _MASK = 1, 4
"""Bits of a page's NewSubfileType: a smaller version of another page, a transparency mask (TIFF 6.0, section 8)."""
_MIN_IS_WHITE, _MIN_IS_BLACK, _RGB, _PALETTE, _YCBCR = 0, 1, 2, 3, 6
_LOSSY = frozenset({6, 7, 33007, 34892, 33003, 33004, 33005, 34712, 22610, 34934, 50002})
"""Compressions that may lose detail: JPEG, JPEG 2000, JPEG XR, JPEG XL."""
_OME_SIZE = re.compile(r'\bSize([ZCT])="(\d+)"')
_OME_HEAD = 100_000
_OTHER_COLOURS = {
    4: "a transparency mask",
    5: "CMYK",
    8: "CIELAB",
    9: "ICC LAB",
    10: "ITU LAB",
    32803: "a Bayer mosaic",
}


class Refused(ValueError):
    """Why a file cannot be taken for one grey plane, to follow the file's name in a sentence, and what to do."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Page:
    """What one grey plane of a file is, as its header says."""

    shape: tuple[int, int]
    dtype: np.dtype[Any]
    bits: int
    """Bits a pixel, of which the values use no more."""
    samples: int
    """Values a pixel: 1 for grey, 2 with an alpha channel, 3 or 4 for RGB."""
    palette: NDArray[np.uint16] | None
    """Colours (3, n) of the values; None where they are intensities."""
    white_is_zero: bool
    fiji: bool
    """Whether ImageJ or Fiji wrote the file."""
    offset: int
    """What is to be taken off every value, by the file's own calibration (ImageJ's signed 16 bit)."""
    lossy: bool


@dataclass(frozen=True, slots=True)
class Pages:
    """The images of a file; ``kind`` is what they are along: ``z``, ``c``, ``t``, or empty where the file is silent."""

    images: tuple[Page, ...]
    smaller: int
    """Pages that are smaller versions of others (thumbnails, pyramid levels); they are passed over."""
    kind: str
    sizes: tuple[int, int, int] | None = None
    """Time points, z planes and channels, where pages are in ImageJ's order: channels within z within time."""
    interval_s: float | None = None
    """Seconds between time points, where ImageJ wrote them."""


def tiff_pages(path: Path) -> Pages:
    """The images in a TIFF file; no pixel is read.

    Raises Refused where a page is in no grey or RGB that can be read, or where part of the file is missing.
    """
    with _opened(path) as tif:
        full = _full(tif)
        hidden = _planes_beyond(tif, full)
        images = tuple(_page(tif, page) for page in full)
        for page in full:
            _check_complete(tif, page)
        sizes = _sizes(tif)
        ordered = (sizes["t"], sizes["z"], sizes["c"]) if tif.is_imagej else None
        if ordered is None or prod(ordered) != len(images) * hidden:
            ordered = None
        kind = "".join(axis for axis in "zct" if sizes[axis] > 1)
        return Pages(images * hidden, len(tif.pages) - len(full), kind, ordered, _interval_s(tif))


def read_tiff(path: Path, page: int) -> NDArray[Any]:
    """Stored values of the image ``page`` (0-based, of those that `tiff_pages` lists): (Y, X), or (Y, X, samples)."""
    with _opened(path) as tif:
        full = _full(tif)
        if page < len(full):
            found = full[page]
            array = np.asarray(found.asarray())
            return np.moveaxis(array, 0, -1) if found.axes.startswith("S") else array
        series = tif.series[0]
        height, width = series.shape[-2:]
        if series.dataoffset is None:  # in pieces
            return np.asarray(series.asarray().reshape(-1, height, width)[page])
        stored = series.dtype.newbyteorder(tif.byteorder)
        start = series.dataoffset + page * height * width * stored.itemsize
        plane = tif.filehandle.read_array(stored, count=height * width, offset=start)
        return np.asarray(plane.astype(series.dtype, copy=False).reshape(height, width))


@contextmanager
def _opened(path: Path) -> Iterator[Any]:
    """The file without the other files that its metadata names; Refused where its list of pages is broken off."""
    with _heard() as said, tifffile.TiffFile(path, _multifile=False, is_ome=False) as tif:
        try:
            count = len(tif.pages)
        except Exception as error:
            raise Refused(f"has a damaged list of pages ({error}); copy or write it again") from error
        if count == 0 or any("page offset" in text or "next page" in text for text in said):
            raise Refused("is damaged or cut short: its list of pages leads nowhere; copy or write it again")
        yield tif


class _Ear(logging.Handler):
    """Keeps what a logger says in the thread that made this, and lets nobody else hear it meanwhile."""

    ears = 0
    guard = threading.Lock()

    def __init__(self) -> None:
        super().__init__()
        self.said: list[str] = []
        self._thread = threading.get_ident()

    def emit(self, record: logging.LogRecord) -> None:
        if record.thread == self._thread:
            self.said.append(record.getMessage())


@contextmanager
def _heard() -> Iterator[list[str]]:
    """What tifffile logs meanwhile: odd tags, which are nobody's business, and pages that are not there, which are."""
    logger, ear = logging.getLogger("tifffile"), _Ear()
    with _Ear.guard:
        _Ear.ears += 1
        logger.propagate = False
        logger.addHandler(ear)
    try:
        yield ear.said
    finally:
        with _Ear.guard:
            _Ear.ears -= 1
            logger.removeHandler(ear)
            logger.propagate = _Ear.ears == 0


def _full(tif: Any) -> list[Any]:
    """Pages at full resolution; all of them, where every page calls itself a smaller version."""
    pages = list(tif.pages)
    full = [page for page in pages if not int(page.subfiletype) & (_REDUCED | _MASK)]
    return full or pages


def _planes_beyond(tif: Any, full: list[Any]) -> int:
    """Planes of a file with one page: ImageJ, MetaMorph and tifffile can put further planes behind the first."""
    if len(tif.pages) > 1 or tif.is_mmstack or tif.is_ndtiff:
        return 1
    try:
        size = sum(int(series.size) for series in tif.series)
    except Exception:  # a description that contradicts the file: the page itself is what there is
        return 1
    return max(size // max(int(full[0].size), 1), 1)


def _page(tif: Any, page: Any) -> Page:
    """One page's header; Refused for what is neither grey nor RGB."""
    photometric = int(page.photometric)
    if page.dtype is None or page.dtype.kind not in "uifb":
        what = "of an unknown type" if page.dtype is None else f"of type {page.dtype}"
        raise Refused(f"has pixels {what}; integers or real numbers are needed")
    if photometric in _OTHER_COLOURS or photometric not in (
        _MIN_IS_WHITE,
        _MIN_IS_BLACK,
        _RGB,
        _PALETTE,
        _YCBCR,
        34892,  # linear raw: what a camera's sensor gave
    ):
        what = _OTHER_COLOURS.get(photometric, f"photometric interpretation {photometric}")
        raise Refused(f"holds {what}, not intensities; save it as a grey image, one channel a file")
    if page.axes not in ("YX", "YXS", "SYX"):
        raise Refused(
            f"has a page of shape {page.shape} ({page.axes}); a grey 2-D image is needed, one channel and plane a file"
        )
    fiji = bool(tif.is_imagej)
    return Page(
        shape=(int(page.imagelength), int(page.imagewidth)),
        dtype=page.dtype.newbyteorder("="),
        bits=int(page.bitspersample),
        samples=int(page.samplesperpixel),
        palette=None if page.colormap is None or photometric != _PALETTE else np.asarray(page.colormap, np.uint16),
        white_is_zero=photometric == _MIN_IS_WHITE,
        fiji=fiji,
        offset=_signed_offset(tif) if fiji and page.dtype == np.uint16 else 0,
        lossy=int(page.compression) in _LOSSY,
    )


def _signed_offset(tif: Any) -> int:
    """32768 where ImageJ stored signed 16-bit values: unsigned, with a straight calibration from −32768."""
    found = tif.imagej_metadata or {}
    straight = str(found.get("cf", "")) == "0" and float(found.get("c1", 0)) == 1.0
    return 32768 if straight and float(found.get("c0", 0)) == -32768.0 else 0


def _check_complete(tif: Any, page: Any) -> None:
    """Refused where the page's strips or tiles do not all lie in the file."""
    offsets, counts = page.dataoffsets, page.databytecounts
    wanted = int(np.prod(page.chunked)) if page.is_tiled or page.rowsperstrip else len(offsets)
    if len(offsets) < wanted or len(counts) < len(offsets) or any(count == 0 for count in counts):
        raise Refused("is incomplete: some of its strips or tiles are missing; copy or write it again")
    end, size = max(offset + count for offset, count in zip(offsets, counts, strict=False)), tif.filehandle.size
    if end > size:
        raise Refused(f"is cut short: its pixels end at byte {end:,}, the file at {size:,}; copy or write it again")


def _sizes(tif: Any) -> dict[str, int]:
    """How many z planes, channels and time points the file has, as far as ImageJ's or the OME description says so."""
    if tif.is_imagej:
        found = tif.imagej_metadata or {}
        return {axis: int(found.get(name, 1)) for axis, name in (("z", "slices"), ("c", "channels"), ("t", "frames"))}
    text = str(tif.pages[0].description or "")
    told = _OME_SIZE.findall(text[:_OME_HEAD]) if "<Pixels" in text else []
    return {"z": 1, "c": 1, "t": 1} | {axis.lower(): int(n) for axis, n in told}


_UNITS_S = {"s": 1.0, "sec": 1.0, "second": 1.0, "seconds": 1.0, "ms": 1e-3, "msec": 1e-3, "min": 60.0, "h": 3600.0}


def _interval_s(tif: Any) -> float | None:
    """Seconds between time points in ImageJ's description; 0 there is no interval."""
    found = (tif.imagej_metadata or {}) if tif.is_imagej else {}
    unit = _UNITS_S.get(str(found.get("tunit", "sec")).strip().lower())
    try:
        wait = float(found.get("finterval", 0)) * (unit or 0)
    except (TypeError, ValueError):
        return None
    return wait if 0 < wait < inf else None
