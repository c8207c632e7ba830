"""Small pictures for the page: a field with its outlines, and single nuclei, as WebP of bounded size."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from functools import lru_cache
from io import BytesIO
from typing import Any, Protocol

import cv2
import numpy as np
import numpy.typing as npt
from PIL import Image

SIDE_PX = 320
"""Longest side of a field's picture."""
CROP_PX = 40
"""Side of the picture of one nucleus."""
WINDOW_PX = 640
"""Longest side of the part of a field that is shown; larger fields are shown in their middle."""

_MOST_OUTLINES = 400
_SAMPLED_PX = 1024
_LETTERS = np.frombuffer(b"0123456789abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ-_", np.uint8)
_REACH = 31
BEST = 45
_QUALITIES = (BEST, 25, 10)  # few, as encoding takes most of the time of a report

_EFFORT = 2  # of 6; twice as fast as the usual 4, with 5 % more bytes

Pixels = npt.NDArray[np.generic]


class PixelPlane(Protocol):
    """A channel or labels (Y, X), in memory or read as it is sliced."""

    @property
    def shape(self) -> tuple[int, ...]:
        """Height and width."""

    def __getitem__(self, window: tuple[slice, slice], /) -> npt.NDArray[Any]:
        """Some rows and columns."""


Bytes = npt.NDArray[np.uint8]
Points = npt.NDArray[np.integer]
"""Whole (x, y) points (n, 2)."""


@dataclass(frozen=True, slots=True)
class Contrast:
    """Grey levels of one channel that are shown as black and as white, the same for all pictures of a plate."""

    black: float
    white: float

    def grey(self, image: Pixels) -> Bytes:
        """The image with its dtype replaced by 8 bits; values beyond black and white are clipped."""
        if image.dtype in (np.uint8, np.uint16) and image.size:
            looked_up: Bytes = _greys(self.black, self.white, image.dtype)[image]
            return looked_up
        return self._calculated(image)

    def _calculated(self, image: Pixels) -> Bytes:
        span = max(self.white - self.black, 1e-9)
        pixels = image.astype(np.float32)
        if image.dtype.kind == "f":  # others are finite, and most fields are of whole numbers
            pixels = np.nan_to_num(pixels)
        scaled = (pixels - self.black) * np.float32(255 / span)
        grey: Bytes = np.clip(scaled, 0, 255).astype(np.uint8)
        return grey


@lru_cache(maxsize=8)
def _greys(black: float, white: float, dtype: np.dtype[Any]) -> Bytes:
    """The grey of every value that pixels of few bits can have: to look it up is faster than to calculate it."""
    return Contrast(black, white)._calculated(np.arange(2 ** (8 * dtype.itemsize)).astype(dtype))


def contrast(images: Sequence[PixelPlane]) -> Contrast:
    """Black at the 2nd percentile of the images' pixels, white at the 99.7th: of a channel, over several fields."""
    if not images:
        return Contrast(0.0, 1.0)
    steps = [slice(None, None, max(4, max(image.shape) // _SAMPLED_PX)) for image in images]
    sampled = [image[step, step].astype(np.float32) for image, step in zip(images, steps, strict=True)]
    pixels = np.concatenate([np.nan_to_num(sample).ravel() for sample in sampled])
    low, high = np.percentile(pixels, [2, 99.7])
    return Contrast(float(low), float(high))


@dataclass(frozen=True, slots=True)
class FieldPicture:
    """A field (or its middle) as pictures of each channel and outlines in the pictures' pixels.

    ``outlines`` are texts (see ``outline_texts``) and ``objects`` the labels they belong to.
    """

    width: int
    height: int
    shown_px: tuple[int, int]
    field_px: tuple[int, int]
    images: tuple[bytes, ...]
    quality: int
    """The lowest WebP quality of the pictures."""
    objects: list[int] = field(default_factory=list)
    outlines: list[str] = field(default_factory=list)


def field_picture(
    channels: Sequence[PixelPlane],
    labels: PixelPlane | None,
    contrasts: Sequence[Contrast],
    *,
    most_bytes: int,
    quality: int = BEST,
) -> FieldPicture:
    """Pictures of the channels (Y, X) of one field, together at most ``most_bytes``, and its nuclei's outlines.

    A field larger than 640 px is shown in its middle. At most 400 nuclei are outlined; nuclei whose outline is smaller
    than a pixel of the picture are left out. ``quality`` is the best that is tried: of a plate's pictures most need the
    same.
    """
    height, width = channels[0].shape
    rows, columns = _middle(height), _middle(width)
    shown = (rows.stop - rows.start, columns.stop - columns.start)
    scale = min(1.0, SIDE_PX / max(shown))
    size = (max(1, round(shown[1] * scale)), max(1, round(shown[0] * scale)))
    share = most_bytes // len(channels)
    images = []
    for image, c in zip(channels, contrasts, strict=True):
        content, quality = webp(_resized(c.grey(image[rows, columns]), size), most_bytes=share, quality=quality)
        images.append(content)
    picture = FieldPicture(size[0], size[1], shown, (height, width), tuple(images), quality)
    if labels is not None:
        for label, text in _outlines(labels[rows, columns], scale):
            picture.objects.append(label)
            picture.outlines.append(text)
    return picture


def crop(image: PixelPlane, contrast: Contrast, *, y: float, x: float, side_px: int) -> Bytes:
    """The square of ``side_px`` around (y, x) as 40 × 40 grey pixels; black beyond the field's border."""
    top, left = round(y) - side_px // 2, round(x) - side_px // 2
    height, width = image.shape
    square = np.zeros((side_px, side_px), np.uint8)
    inside = image[max(top, 0) : min(top + side_px, height), max(left, 0) : min(left + side_px, width)]
    if inside.size:
        start_y, start_x = max(-top, 0), max(-left, 0)
        square[start_y : start_y + inside.shape[0], start_x : start_x + inside.shape[1]] = contrast.grey(inside)
    return _resized(square, (CROP_PX, CROP_PX))


def sheet(crops: Sequence[Bytes], *, columns: int, quality: int = 60) -> bytes:
    """Crops row by row on one WebP picture; empty for no crops."""
    if len(crops) == 0:
        return b""
    rows = -(-len(crops) // columns)
    page = np.zeros((rows * CROP_PX, columns * CROP_PX), np.uint8)
    for i, picture in enumerate(crops):
        top, left = i // columns * CROP_PX, i % columns * CROP_PX
        page[top : top + CROP_PX, left : left + CROP_PX] = picture
    return _encode(page, quality)


def webp(grey: Bytes, *, most_bytes: int, quality: int = BEST) -> tuple[bytes, int]:
    """The picture (Y, X) as WebP of the best quality, from ``quality`` down, that stays within ``most_bytes``; smaller
    where none does; and its quality."""
    for tried in (q for q in _QUALITIES if q <= quality):
        content = _encode(grey, tried)
        if len(content) <= most_bytes or max(grey.shape) <= 16:
            return content, tried
    half = _resized(grey, (max(1, grey.shape[1] // 2), max(1, grey.shape[0] // 2)))
    return webp(half, most_bytes=most_bytes, quality=quality)


def _resized(grey: Bytes, size: tuple[int, int]) -> Bytes:
    """The picture at another size (width, height), by means over pixels where it shrinks."""
    method = cv2.INTER_AREA if size[0] < grey.shape[1] else cv2.INTER_LINEAR
    return np.asarray(cv2.resize(grey, size, interpolation=method), dtype=np.uint8)


def _encode(grey: Bytes, quality: int) -> bytes:
    content = BytesIO()
    Image.fromarray(grey).save(content, "WEBP", quality=quality, method=_EFFORT)
    return content.getvalue()


def _middle(length: int) -> slice:
    shown = min(length, WINDOW_PX)
    start = (length - shown) // 2
    return slice(start, start + shown)


def _outlines(labels: npt.NDArray[np.integer], scale: float) -> list[tuple[int, str]]:
    """(label, outline) of the largest part of each nucleus, by label."""
    found: dict[int, Points] = {}
    for label, box in _boxes(labels):
        inside = (labels[box] == label).view(np.uint8)
        corner = (box[1].start, box[0].start)
        contours, _ = cv2.findContours(inside, cv2.RETR_EXTERNAL, cv2.CHAIN_APPROX_NONE, offset=corner)
        smooth = cv2.approxPolyDP(max(contours, key=len), 0.6 / scale, True)
        if len(smooth) >= 3:
            found[label] = smooth[:, 0]
        if len(found) == _MOST_OUTLINES:
            break
    if not found:
        return []
    points = np.rint((np.concatenate(list(found.values())) + 0.5) * scale).astype(np.int64)
    return list(zip(found, outline_texts(points, [len(own) for own in found.values()]), strict=True))


def _boxes(labels: npt.NDArray[np.integer]) -> Iterator[tuple[int, tuple[slice, slice]]]:
    """(label, rows and columns that it lies in) of each nucleus, by label. scipy's `find_objects` is as fast, but a
    worker would import scipy.ndimage for it alone."""
    flat, width = labels.ravel(), labels.shape[1]
    begins = np.ones(flat.size, bool)
    np.not_equal(flat[1:], flat[:-1], out=begins[1:])
    begins[::width] = True
    starts = np.flatnonzero(begins)
    lengths = np.diff(starts, append=flat.size)
    runs = np.flatnonzero(flat[starts])
    runs = runs[np.argsort(flat[starts[runs]], kind="stable")]
    if not runs.size:
        return
    values, first = np.unique(flat[starts[runs]], return_index=True)
    rows, columns = np.divmod(starts[runs], width)
    tops, bottoms = (of.reduceat(rows, first).tolist() for of in (np.minimum, np.maximum))
    lefts = np.minimum.reduceat(columns, first).tolist()
    rights = np.maximum.reduceat(columns + lengths[runs], first).tolist()
    for label, top, bottom, left, right in zip(values.tolist(), tops, bottoms, lefts, rights, strict=True):
        yield label, (slice(top, bottom + 1), slice(left, right))


def outline_texts(points: Points, lengths: Sequence[int]) -> list[str]:
    """Closed polygons of whole (x, y) points from 0 to 4,095, one after the other in ``points`` (n, 2), as texts of 64
    letters.

    Two letters each for the first x and y, then a letter each for the steps in x and y, 32 standing for none; a step
    of more than 31 is made in several, one of 0 in none.
    """
    first = np.concatenate([[0], np.cumsum(lengths)[:-1]])
    steps = np.diff(points, axis=0, prepend=points[:1])
    steps[first] = 0
    parts = -(-np.abs(steps).max(axis=1) // _REACH)
    done = _REACH * (np.arange(parts.sum()) - np.repeat(np.cumsum(parts) - parts, parts))[:, None]
    whole = np.repeat(steps, parts, axis=0)
    made = np.sign(whole) * np.clip(np.abs(whole) - done, 0, _REACH)
    starts = np.stack([points[first] >> 6, points[first] & 63], axis=-1).reshape(-1, 4)
    heads, tails = (_LETTERS[codes].tobytes().decode("ascii") for codes in (starts, made + 32))
    ends = 2 * np.cumsum(np.add.reduceat(parts, first))
    return [
        heads[4 * i : 4 * i + 4] + tails[start:end]
        for i, (start, end) in enumerate(zip([0, *ends[:-1].tolist()], ends.tolist(), strict=True))
    ]
