"""Nuclei that cannot be seen in a frame, from the frames before and after in which they can: their masks are carried
along the picture's own movement, from both sides, and put together.

The movement from frame to frame is dense optical flow (DIS, Kroeger et al., ECCV 2016, OpenCV's) of pictures whose
contrast was made the same everywhere, so that what is left of cell and nucleus counts and brightness does not. Flows of
single steps are added up, and masks are moved once: neither picture nor mask is blurred from frame to frame.
"""

from __future__ import annotations

from collections.abc import Sequence
from fractions import Fraction
from itertools import pairwise
from typing import Any, Final

import cv2
import numpy as np
from numpy.typing import NDArray
from scipy import sparse
from scipy.sparse.csgraph import connected_components

Floats = NDArray[np.float32]
Labels = NDArray[np.uint32]
Flow = NDArray[np.float32]
"""(Y, X, 2): how far (x, y) from each pixel of a frame the same place lies in another frame."""

_LOCAL_PX: Final = 3.0
"""Standard deviation of what is local, at nuclei of 24 px."""
_CLEAREST: Final = 90.0
_CLEAR: Final = 0.5
_QUANTILE: Final = 98.0
_SMALL_PX: Final = 8.0
_WIDEST: Final = 1.25
_SAME: Final = 0.3
"""Overlap over the smaller of two nuclei from which both are of one family."""
_AGREED: Final = 0.85
_MOST_AGREE: Final = 0.6
_LEAST_PX: Final = 20
_LEAST_SIDE_PX: Final = 32


def clearness(image: NDArray[Any], diameter_px: float) -> float:
    """How much nuclei stand out of a field (Y, X), in units of its mean light above background.

    The 98th percentile of what is brighter than its surroundings and no wider than a nucleus and a quarter (top-hat),
    in the field reduced to nuclei of 8 px: cells are wider, and do not count.
    """
    pixels: Floats = np.asarray(cv2.GaussianBlur(np.asarray(image, np.float32), (0, 0), diameter_px / 10), np.float32)
    size = tuple(max(round(side * _SMALL_PX / diameter_px), 1) for side in pixels.shape[::-1])
    small: Floats = np.asarray(cv2.resize(pixels, (size[0], size[1]), interpolation=cv2.INTER_AREA), np.float32)
    disc = cv2.getStructuringElement(cv2.MORPH_ELLIPSE, (round(_WIDEST * _SMALL_PX) | 1,) * 2)
    narrow = small - np.asarray(cv2.morphologyEx(small, cv2.MORPH_OPEN, disc))
    light = float(small.mean()) - float(np.percentile(small, 2))
    return float(np.percentile(narrow, _QUANTILE)) / light if light > 0 else 0.0


def clear_frames(clear: Sequence[float]) -> NDArray[np.bool_]:
    """Which frames are clear: those in which nuclei stand out by at least half of what they do in the movie's
    clearest tenth. A movie that never loses its contrast is clear throughout."""
    values = np.asarray(clear, np.float64)
    return np.asarray(values >= _CLEAR * np.percentile(values, _CLEAREST))


def around(frame: int, clear: Sequence[bool] | NDArray[np.bool_]) -> tuple[int | None, int | None]:
    """The last clear frame before one, and the first after it; None where there is none."""
    numbers = np.flatnonzero(np.asarray(clear))
    before, after = numbers[numbers < frame], numbers[numbers > frame]
    return (int(before[-1]) if before.size else None, int(after[0]) if after.size else None)


def levelled(image: NDArray[Any], scale: Fraction = Fraction(1)) -> NDArray[np.uint8]:
    """A field (Y, X) at the network's ``scale``, its contrast made the same everywhere."""
    whole: Floats = np.asarray(image, np.float32)
    pixels = whole if scale == 1 else _at_scale(whole, scale)
    mean: Floats = np.asarray(cv2.GaussianBlur(pixels, (0, 0), _LOCAL_PX), np.float32)
    spread = np.sqrt(np.asarray(cv2.GaussianBlur((pixels - mean) ** 2, (0, 0), _LOCAL_PX)))
    # Where there is nothing but noise, noise stays small.
    least = max(0.2 * float(np.median(spread)), 1e-6)
    even = np.asarray((pixels - mean) / (spread + least), np.float32)
    return np.clip(128 + 40 * even, 0, 255).astype(np.uint8)


def _at_scale(pixels: Floats, scale: Fraction) -> Floats:
    size = (max(round(pixels.shape[1] * scale), 1), max(round(pixels.shape[0] * scale), 1))
    how = cv2.INTER_AREA if scale < 1 else cv2.INTER_LINEAR
    found: Floats = np.asarray(cv2.resize(pixels, size, interpolation=how), np.float32)
    return found


def step_flow(frame: NDArray[np.uint8], source: NDArray[np.uint8]) -> Flow:
    """Flow (Y, X, 2) from a levelled frame to the one that masks come from; none where a field is too small for it."""
    method = cv2.DISOpticalFlow.create(cv2.DISOPTICAL_FLOW_PRESET_MEDIUM)
    start = np.zeros((*frame.shape, 2), np.float32)
    if min(frame.shape) < _LEAST_SIDE_PX:
        return start
    return np.asarray(method.calc(frame, source, start), np.float32)


def added(first: Flow, second: Flow) -> Flow:
    """The flow of two steps: ``first`` from a frame to the next, ``second`` from there on."""
    return first + np.asarray(_moved(second, first, cv2.INTER_LINEAR), np.float32)


def carried(labels: Labels, flow: Flow) -> Labels:
    """Labels (Y, X) of the frame that ``flow`` leads to, as they lie in the frame that it leads from."""
    height, width = labels.shape
    if flow.shape[:2] != labels.shape:
        along_y, along_x = height / flow.shape[0], width / flow.shape[1]
        wide = np.asarray(cv2.resize(flow, (width, height)), np.float32)
        flow = np.stack([along_x * wide[..., 0], along_y * wide[..., 1]], axis=-1).astype(np.float32)
    moved: Labels = _moved(labels.astype(np.float32), flow, cv2.INTER_NEAREST).astype(np.uint32)
    return moved


def _moved(plane: Floats, flow: Flow, how: int) -> NDArray[Any]:
    y, x = np.mgrid[: flow.shape[0], : flow.shape[1]].astype(np.float32)
    return np.asarray(cv2.remap(plane, x + flow[..., 0], y + flow[..., 1], how, borderMode=cv2.BORDER_REPLICATE))


def carry(chain: Sequence[NDArray[np.uint8]], labels: Labels) -> Labels:
    """Labels (Y, X) of the first of a ``chain`` of levelled frames, as they lie in the last."""
    flow: Flow | None = None
    for source, frame in pairwise(chain):
        step = step_flow(frame, source)
        flow = step if flow is None else added(step, flow)
    return labels.copy() if flow is None else carried(labels, flow)


def together(before: Labels, after: Labels, nearness: float) -> Labels:
    """Labels carried from before and from after, made one (Y, X), 1..n in raster order.

    ``nearness`` is that of the frame before, 0 to 1: with it the place of a nucleus, and its outline by its distance
    map, are averaged over both. Where one nucleus meets several, it has divided, or was found amiss on one side: then
    the nearer side is right. A nucleus that one side alone has was there on that side; it is taken where it is nearer.
    """
    ours, theirs = _numbered(before), _numbered(after)
    family = _families(ours, theirs)
    n, most = int(ours.max(initial=0)), int(family.max(initial=-1)) + 1
    mine, others = family[:n], family[n:]
    single = (np.bincount(mine, minlength=most) == 1) & (np.bincount(others, minlength=most) == 1)
    out = np.zeros(before.shape, np.int32)
    nearer, own = (ours, mine) if nearness >= 0.5 else (theirs, others)
    out[np.isin(nearer, np.flatnonzero(~single[own]) + 1)] = -1
    out = np.where(out < 0, nearer, 0)
    number = int(out.max(initial=0))
    partner = dict(zip(others.tolist(), range(1, len(others) + 1), strict=True))
    for k in np.flatnonzero(single[mine]).tolist():
        number += 1
        a, b = ours == k + 1, theirs == partner[int(mine[k])]
        box = _box(a | b)
        out[box][_between(a[box], b[box], nearness) & (out[box] == 0)] = number
    large = np.bincount(out.ravel()) >= _LEAST_PX
    return _numbered(np.where(large[out], out, 0)).astype(np.uint32)


def agree(before: Labels, after: Labels) -> bool:
    """Whether labels carried from before and from after tell of the same nuclei: most of either have one of the other
    in their place. Where they do not, frames are too far apart, and nothing carried can be trusted."""
    family = _families(_numbered(before), _numbered(after))
    if not family.size:
        return True
    n = len(np.unique(before[before > 0]))
    both = np.isin(family, np.intersect1d(family[:n], family[n:]))
    return float(both.mean()) >= _MOST_AGREE


def corrected(carried_over: Labels, own: Labels) -> Labels:
    """Carried labels (Y, X), each nucleus with the outline that the frame itself gives where both agree.

    Both agree where their nuclei share more than 0.85 of what they cover together. What the frame gives elsewhere is
    doubted: there its contrast was too low.
    """
    theirs, ours = _numbered(carried_over), _numbered(own)
    both = (theirs > 0) & (ours > 0)
    pairs, pixels = np.unique(np.stack([theirs[both], ours[both]]), axis=1, return_counts=True)
    sizes = np.bincount(theirs.ravel())[pairs[0]], np.bincount(ours.ravel())[pairs[1]]
    sure = pixels > _AGREED * (sizes[0] + sizes[1] - pixels)
    number = np.zeros(int(ours.max(initial=0)) + 1, np.int32)
    number[pairs[1][sure]] = pairs[0][sure]
    known = np.isin(theirs, pairs[0][sure])
    shown = number[ours]
    out = np.where(shown > 0, shown, np.where(known, 0, theirs))
    return _numbered(out).astype(np.uint32)


def _between(a: NDArray[np.bool_], b: NDArray[np.bool_], share: float) -> NDArray[np.bool_]:
    """The outline between two (Y, X), and in a place between theirs, ``share`` of the first."""
    places = [np.argwhere(mask).mean(axis=0) for mask in (a, b)]
    middle = share * places[0] + (1 - share) * places[1]
    depths = [_shifted(_depth(mask), middle - place) for mask, place in zip((a, b), places, strict=True)]
    return share * depths[0] + (1 - share) * depths[1] > 0


def _shifted(plane: Floats, by: NDArray[np.float64]) -> Floats:
    """A plane (Y, X) moved by (y, x)."""
    move = np.array([[1, 0, by[1]], [0, 1, by[0]]], np.float32)
    size = plane.shape[::-1]
    return np.asarray(cv2.warpAffine(plane, move, size, flags=cv2.INTER_LINEAR, borderMode=cv2.BORDER_REPLICATE))


def _depth(mask: NDArray[np.bool_]) -> Floats:
    """Distance from the outline (Y, X): above 0 inside, below outside."""
    inside = cv2.distanceTransform(mask.astype(np.uint8), cv2.DIST_L2, cv2.DIST_MASK_PRECISE)
    outside = cv2.distanceTransform((~mask).astype(np.uint8), cv2.DIST_L2, cv2.DIST_MASK_PRECISE)
    return np.where(mask, inside - 0.5, 0.5 - outside).astype(np.float32)


def _box(mask: NDArray[np.bool_]) -> tuple[slice, slice]:
    """The part of a field that holds a mask, with a pixel around."""
    rows, columns = np.flatnonzero(mask.any(axis=1)), np.flatnonzero(mask.any(axis=0))
    return slice(max(int(rows[0]) - 1, 0), int(rows[-1]) + 2), slice(max(int(columns[0]) - 1, 0), int(columns[-1]) + 2)


def _numbered(labels: NDArray[np.integer]) -> NDArray[np.int32]:
    """Labels (Y, X) numbered 1..n in the order in which they are met row by row."""
    values, first, inverse = np.unique(labels.ravel(), return_index=True, return_inverse=True)
    rank = np.zeros(len(values), np.int32)
    nuclei = np.flatnonzero(values > 0)
    rank[nuclei[np.argsort(first[nuclei])]] = np.arange(1, len(nuclei) + 1)
    return rank[inverse].reshape(labels.shape)


def _families(a: NDArray[np.int32], b: NDArray[np.int32]) -> NDArray[np.int64]:
    """Families (n + m,) of the nuclei 1..n of ``a`` and 1..m of ``b``: those that overlap are of one."""
    n, m = int(a.max(initial=0)), int(b.max(initial=0))
    both = (a > 0) & (b > 0)
    pairs, pixels = np.unique(np.stack([a[both], b[both]]), axis=1, return_counts=True)
    sizes = np.bincount(a.ravel(), minlength=n + 1), np.bincount(b.ravel(), minlength=m + 1)
    same = pixels > _SAME * np.minimum(sizes[0][pairs[0]], sizes[1][pairs[1]])
    i, j = pairs[0][same] - 1, pairs[1][same] - 1 + n
    graph = sparse.coo_matrix((np.ones(len(i)), (i, j)), shape=(n + m, n + m))
    return np.asarray(connected_components(graph, directed=False)[1], np.int64)
