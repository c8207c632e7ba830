"""Micronuclei: small bright bodies at nuclei, found after the nuclei, which stay as they are.

Seeds are local maxima of what a white top-hat leaves of the DNA channel, outside nuclei and at their edges. Each grows
down to six shares of its height, as long as it meets nothing higher: six outlines at most, each within the next. A
logistic regression over sizes, contrasts and places, all relative to the nuclei, says how sure each outline is that of
a micronucleus (`hcs/measure/micronucleus_weights.py`, fitted by benchmarks/micronuclei.py). Of outlines that overlap
the surest stays. One file of more than 400 lines, because features and the kernels that sum them change together.
"""

from __future__ import annotations

from dataclasses import dataclass

import cv2
import numpy as np
from numpy.typing import NDArray

from hcs.measure.intensity import region_means
from hcs.measure.jit import kernel
from hcs.measure.micronucleus_weights import HIGHEST, INTERCEPT, LEAST_PROBABILITY, LINEAR, LOWEST, PRODUCTS
from hcs.measure.regions import Regions

Floats = NDArray[np.float64]
Floats32 = NDArray[np.float32]
Bools = NDArray[np.bool_]
Ints32 = NDArray[np.int32]
Ints64 = NDArray[np.int64]
Grown = tuple[Ints64, Ints64, Ints64, Floats]

REACH_DIAMETERS = 1.0
"""A micronucleus' peak lies at most this many median nucleus diameters from its nucleus."""
LEVELS = (0.7, 0.55, 0.42, 0.32, 0.24, 0.18)
"""Shares of a seed's height that it grows down to."""
_DEEPEST_DIAMETERS = 0.2
"""Peaks deeper in a nucleus are its texture."""
_LEAST_DIAMETER_PX = 12.0
"""In smaller nuclei, micronuclei are single pixels."""
_LEAST_HOST = 0.15
"""Smaller nuclei, in median areas, may be micronuclei themselves and have none."""
_HAT_DIAMETERS = 0.4
_LARGEST_HAT_PX = 41
_FARTHEST_DIAMETERS = 0.35
_BLUR_PX = 0.8
_LEAST_NOISE = 5.0
_LEAST_CONTRAST = 0.07
_SPARSE = 5
_STEPS = 65535

FEATURES = (
    "log area in squares of the median diameter",
    "log height over its nucleus' contrast",
    "log height over noise",
    "log spread over a disc's of the same area",
    "distance from its nucleus, diameters",
    "depth in its nucleus, diameters",
    "share of pixels in its nucleus",
    "share of its edge at its nucleus",
    "log of the floor over its nucleus' contrast",
    "mean height over peak",
    "mean height beside it over peak",
    "log of its brightest pixel over its nucleus' contrast",
    "brightest pixel beside it over its own",
    "darkest pixel beside it over its own",
    "log of its nucleus' area over the median",
    "share of its height that it grew down to",
    "least share of its height at which it meets nothing higher",
    "shorter over longer axis, squared",
    "mean brightness over its nucleus' contrast",
    "its middle from its peak, diameters",
)
"""What an outline is told by; heights are above the top-hat's floor, brightness and contrast above the field's."""


@dataclass(frozen=True, slots=True)
class Candidates:
    """Outlines in one field that may be those of micronuclei, of which many overlap.

    Outline i has the flat ``pixels[start[i]:start[i] + area[i]]``, belongs to ``nucleus[i]``, from 0 in the order of
    the nuclei, and has ``features[i]`` as in `FEATURES`.
    """

    shape: tuple[int, int]
    pixels: Ints64
    start: Ints64
    area: Ints64
    nucleus: Ints64
    features: Floats

    def __len__(self) -> int:
        return len(self.nucleus)

    def pixels_of(self, i: int) -> Ints64:
        """Flat indices of the pixels of outline i."""
        return self.pixels[self.start[i] : self.start[i] + self.area[i]]

    def probabilities(self) -> Floats:
        """How sure each is a micronucleus' outline, (n,)."""
        lowest, highest = np.array(LOWEST), np.array(HIGHEST)
        z = 2 * (np.clip(self.features, lowest, highest) - lowest) / (highest - lowest) - 1
        score = _scores(z, INTERCEPT, np.array(LINEAR), np.array(PRODUCTS))
        return np.asarray(1 / (1 + np.exp(-score)))

    def chosen(self, probabilities: Floats, least: float) -> Ints64:
        """Those of at least this probability that share no pixel with a surer one of these, the surest first."""
        sure = np.flatnonzero(probabilities >= least)
        order = sure[np.argsort(-probabilities[sure], kind="stable")]
        return np.asarray(order[_apart(order, self.pixels, self.start, self.area, self.shape[0] * self.shape[1])])

    def painted(self, some: Ints64) -> Micronuclei:
        """Some of them, in this order, as the micronuclei of the field."""
        labels = np.zeros(self.shape[0] * self.shape[1], np.uint32)
        for number, i in enumerate(some, start=1):
            labels[self.pixels_of(i)] = number
        return Micronuclei(labels.reshape(self.shape), self.nucleus[some])


@dataclass(frozen=True, slots=True)
class Micronuclei:
    """The micronuclei of one field: ``labels`` (Y, X), 1…n in the order of their nuclei, and the ``nucleus`` of each,
    from 0."""

    labels: NDArray[np.uint32]
    nucleus: Ints64

    def columns(self, n: int) -> dict[str, Ints64]:
        """What they are to each of n nuclei, by column."""
        count = np.bincount(self.nucleus, minlength=n)
        area = np.bincount(np.append(0, self.nucleus + 1)[self.labels.ravel()], minlength=n + 1)[1:]
        return {
            "Nuclei_Micronuclei_Count": count,
            "Nuclei_Micronuclei_Area": area,
            "Metadata_FirstMicronucleus": np.where(count, np.cumsum(count) - count + 1, 0),
        }


def find_micronuclei(plane: Floats32, nuclei: Regions, fill: Bools | None = None) -> Micronuclei:
    """Micronuclei in a plane (Y, X) of the DNA channel; none have a pixel of ``fill``.

    A micronucleus may lie in the edge of a nucleus, or be one of ``nuclei`` that is small: nuclei stay as they are.
    """
    found = candidates(plane, nuclei, fill)
    kept = found.chosen(found.probabilities(), LEAST_PROBABILITY)
    first = np.array([found.pixels_of(i).min() for i in kept], np.int64)
    return found.painted(kept[np.lexsort((first, found.nucleus[kept]))])


def candidates(plane: Floats32, nuclei: Regions, fill: Bools | None = None) -> Candidates:
    """Candidates in a plane (Y, X) of the DNA channel; none without nuclei, or where these are too small themselves."""
    none = np.zeros(0, np.int64)
    nothing = Candidates(plane.shape, none, none, none, none, np.zeros((0, len(FEATURES))))
    areas = nuclei.pixels.counts.astype(np.float64)
    if not len(areas):
        return nothing
    typical = float(np.median(areas))
    diameter = float(np.sqrt(typical * 4 / np.pi))
    if diameter < _LEAST_DIAMETER_PX:
        return nothing
    host = _without(nuclei, np.flatnonzero(areas < _LEAST_HOST * typical))
    smooth = np.asarray(cv2.GaussianBlur(plane, (0, 0), _BLUR_PX, borderType=cv2.BORDER_REFLECT), np.float32)
    planes = np.empty((2, *plane.shape), np.float32)
    top, planes[1] = (
        planes[0],
        _opened(smooth, min(2 * max(round(_HAT_DIAMETERS * diameter / 2), 2) + 1, _LARGEST_HAT_PX)),
    )
    np.subtract(smooth, planes[1], out=top)
    if fill is not None:
        top[fill] = 0
    some = (slice(None, None, _SPARSE),) * 2
    outside = host[some] == 0
    if not outside.any():
        return nothing
    field = float(np.median(smooth[some][outside]))
    contrast = region_means(smooth, nuclei.pixels) - field
    noise = max(float(np.median(top[some][outside])) / 0.6745, 0.002 * float(np.median(contrast)), 1e-6)
    contrast = np.maximum(contrast, noise)
    least = max(_LEAST_NOISE * noise, _LEAST_CONTRAST * float(np.percentile(contrast, 5)))
    seeds = _maxima(top, least)
    nucleus, far, deep = _places(host, seeds, REACH_DIAMETERS * diameter, _DEEPEST_DIAMETERS * diameter)
    near = np.flatnonzero(nucleus >= 0)
    near = near[top.ravel()[seeds[near]] > _LEAST_CONTRAST * contrast[nucleus[near]]]
    seeds, nucleus, far, deep = seeds[near], nucleus[near], far[near], deep[near]
    farthest = max(_FARTHEST_DIAMETERS * diameter, 2.0)
    pixels, start, area, sums = _grow(planes, host, seeds, np.array(LEVELS), farthest)
    seed, level = np.nonzero(area)
    if not len(seed):
        return nothing
    levels = np.array(LEVELS)
    edge, at_nucleus, beside, brightest, darkest, mean, ground, within, spread, round_, offset = sums[seed, level].T
    n_px, edge = area[seed, level], np.maximum(edge, 1)
    peak = top.ravel()[seeds[seed]].astype(np.float64)
    bright = np.maximum(smooth.ravel()[seeds[seed]].astype(np.float64) - field, noise)
    nucleus = nucleus[seed]
    own = contrast[nucleus]
    above = np.maximum(ground - field, noise)
    features = np.stack(
        [
            np.log(n_px / diameter**2),
            np.log(peak / own),
            np.log(peak / noise),
            np.log(spread / (n_px / (2 * np.pi))),
            far[seed] / diameter,
            deep[seed] / diameter,
            within,
            at_nucleus / edge,
            np.log(above / own),
            mean / peak,
            beside / edge / peak,
            np.log(bright / own),
            (brightest - field) / bright,
            (darkest - field) / bright,
            np.log(areas[nucleus] / typical),
            levels[level],
            levels[(area > 0).sum(axis=1) - 1][seed],
            round_,
            (mean + ground - field) / own,
            offset / diameter,
        ],
        axis=1,
    )
    return Candidates(plane.shape, pixels, start[seed], n_px, nucleus, features)


def _without(nuclei: Regions, some: Ints64) -> Ints32:
    """The image (Y, X) of the nuclei's numbers from 1 without some of them, from 0."""
    if not len(some):
        return nuclei.dense
    host = nuclei.dense.copy()
    offsets, indices = nuclei.pixels.offsets, nuclei.pixels.indices
    for i in some:
        host.ravel()[indices[offsets[i] : offsets[i + 1]]] = 0
    return host


def _opened(plane: Floats32, side_px: int) -> Floats32:
    """The plane (Y, X) without what is narrower than a disc of this many pixels.

    Calculated in 65,536 steps from its lowest to its highest value, no coarser than a camera's grey levels: it takes
    two thirds of the time.
    """
    disc = cv2.getStructuringElement(cv2.MORPH_ELLIPSE, (side_px, side_px))
    lowest, highest = cv2.minMaxLoc(plane)[:2]
    steps = cv2.normalize(plane, None, 0, _STEPS, cv2.NORM_MINMAX, cv2.CV_16U)  # type: ignore[call-overload]
    opened = cv2.morphologyEx(steps, cv2.MORPH_OPEN, disc)
    return np.asarray(cv2.addWeighted(opened, (highest - lowest) / _STEPS, opened, 0, lowest, dtype=cv2.CV_32F))


@kernel
def _scores(z: Floats, intercept: float, linear: Floats, products: Floats) -> Floats:
    """Score (n,) of each row of z (n, p): its sum with weights, and that of its products of every two."""
    scores = np.full(len(z), intercept)
    for i in range(len(z)):
        k = 0
        for first in range(z.shape[1]):
            scores[i] += linear[first] * z[i, first]
            for second in range(first, z.shape[1]):
                scores[i] += products[k] * z[i, first] * z[i, second]
                k += 1
    return scores


@kernel
def _maxima(top: Floats32, least: float) -> Ints64:
    """Flat indices of pixels (Y, X) above ``least`` of which no neighbour, at a side or corner, is higher."""
    height, width = top.shape
    found = np.empty(top.size, np.int64)
    n = 0
    for y in range(height):
        for x in range(width):
            here = top[y, x]
            if here <= least:
                continue
            highest = True
            for v in range(max(y - 1, 0), min(y + 2, height)):
                for u in range(max(x - 1, 0), min(x + 2, width)):
                    highest &= top[v, u] <= here
            if highest:
                found[n] = y * width + x
                n += 1
    return found[:n].copy()


@kernel
def _apart(order: Ints64, pixels: Ints64, start: Ints64, area: Ints64, n_px: int) -> Bools:
    """Of outlines in this order, in a field of n_px, whether each has no pixel of an earlier one that is kept, (n,)."""
    kept = np.zeros(len(order), np.bool_)
    taken = np.zeros(n_px, np.bool_)
    for i in range(len(order)):
        first = start[order[i]]
        last = first + area[order[i]]
        free = True
        for k in range(first, last):
            if taken[pixels[k]]:
                free = False
                break
        if free:
            kept[i] = True
            for k in range(first, last):
                taken[pixels[k]] = True
    return kept


@kernel
def _places(host: Ints32, seeds: Ints64, reach_px: float, deepest_px: float) -> tuple[Ints64, Floats, Floats]:
    """For each seed its nearest nucleus from 0, or -1 where none of ``host`` (Y, X) is within reach or the seed lies
    deeper in one; the distance from it, and the depth in it, px. Squares around the seed are looked through,
    the smallest first; of equally near nuclei the first one met counts."""
    height, width = host.shape
    nucleus = np.full(len(seeds), -1, np.int64)
    far, deep = np.zeros(len(seeds)), np.zeros(len(seeds))
    for i in range(len(seeds)):
        y, x = seeds[i] // width, seeds[i] % width
        inside = host[y, x] != 0
        limit = deepest_px if inside else reach_px
        best = limit * limit
        found = -1
        for ring in range(1, int(limit) + 1):
            if ring * ring > best:
                break
            for v in range(max(y - ring, 0), min(y + ring + 1, height)):
                step = 1 if abs(v - y) == ring else 2 * ring
                for u in range(x - ring, x + ring + 1, step):
                    if u >= 0 and u < width and (host[v, u] != 0) != inside:
                        squared = float((v - y) ** 2 + (u - x) ** 2)
                        if squared < best or (squared == best and found < 0):
                            best = squared
                            found = host[y, x] - 1 if inside else host[v, u] - 1
        nucleus[i] = found
        if found >= 0:
            if inside:
                deep[i] = np.sqrt(best)
            else:
                far[i] = np.sqrt(best)
    return nucleus, far, deep


@kernel
def _grow(planes: Floats32, host: Ints32, seeds: Ints64, levels: Floats, farthest_px: float) -> Grown:
    """Outlines of each of n seeds, connected along sides, down to k shares of its height, the first the highest.

    ``planes`` (2, Y, X) are heights and floor. A seed stops before it meets a higher pixel, one as high with a lower
    index, or one farther from it than this. Returns pixels, where each seed's start (n,), how many an outline has
    (n, k), 0 where there is none, and for each (n, k, 11): edges, edges at a nucleus, sum of the heights beyond its
    edges, brightest and darkest pixel there, mean height and floor, share in a nucleus, spread of its places, shorter
    over longer axis squared, and how far its middle lies from the seed.
    """
    owner = np.zeros(host.shape, np.int32)
    area = np.zeros((len(seeds), len(levels)), np.int64)
    sums = np.zeros((len(seeds), len(levels), 11))
    start = np.zeros(len(seeds), np.int64)
    most = (2 * int(farthest_px) + 1) ** 2
    pixels = np.empty(64 * len(seeds) + most, np.int64)
    end = 0
    for i in range(len(seeds)):
        if end + most > len(pixels):
            longer = np.empty(2 * len(pixels), np.int64)
            longer[:end] = pixels[:end]
            pixels = longer
        start[i] = end
        own = pixels[end : end + most]
        own[0] = seeds[i]
        owner[seeds[i] // host.shape[1], seeds[i] % host.shape[1]] = i + 1
        n = 1
        for level in range(len(levels)):
            n, beyond = _widened(planes, host, (owner, i + 1), (own, n), (levels[level], farthest_px))
            if n == 0:
                break
            sums[i, level, :5] = beyond
            _describe(planes, host, own[:n], sums[i, level])
            area[i, level] = n
            end = start[i] + n
    return pixels[:end], start, area, sums


@kernel
def _widened(
    planes: Floats32, host: Ints32, owners: tuple[Ints32, int], grown: tuple[Ints64, int], limits: tuple[float, float]
) -> tuple[int, Floats]:
    """Grow the first n pixels of ``grown``, of which the first is the seed, down to a share of its height; their number
    then, or 0 where the seed is not alone, and the first five of `_grow`, which lie beyond the edges."""
    (owner, number), (own, n), (share, farthest_px) = owners, grown, limits
    height, width = host.shape
    y0, x0 = own[0] // width, own[0] % width
    peak = planes[0, y0, x0]
    row = np.zeros(5)
    row[3], row[4] = -np.inf, np.inf
    k = 0
    while k < n:
        y, x = own[k] // width, own[k] % width
        k += 1
        for side in range(4):
            v = y + (1 if side == 0 else -1 if side == 1 else 0)
            u = x + (1 if side == 2 else -1 if side == 3 else 0)
            if v < 0 or u < 0 or v >= height or u >= width or owner[v, u] == number:
                continue
            here = planes[0, v, u]
            if here >= share * peak:
                higher = here > peak or (here == peak and v * width + u < own[0])
                if higher or (v - y0) ** 2 + (u - x0) ** 2 > farthest_px * farthest_px:
                    return 0, row
                owner[v, u] = number
                own[n] = v * width + u
                n += 1
            else:
                row[0] += 1
                row[1] += host[v, u] != 0
                row[2] += here
                bright = float(here + planes[1, v, u])
                row[3], row[4] = max(row[3], bright), min(row[4], bright)
    if row[0] == 0:
        row[3] = row[4] = float(peak + planes[1, y0, x0])
    return n, row


@kernel
def _describe(planes: Floats32, host: Ints32, own: Ints64, row: Floats) -> None:
    """Write what the pixels of an outline are, of which the first is the seed, behind the first five of its row."""
    n, width = len(own), host.shape[1]
    y0, x0 = own[0] // width, own[0] % width
    sy = sx = syy = sxx = sxy = 0.0
    for k in range(n):
        y, x = own[k] // width, own[k] % width
        row[5] += planes[0, y, x] / n
        row[6] += planes[1, y, x] / n
        row[7] += (host[y, x] != 0) / n
        dy, dx = float(y - y0), float(x - x0)
        sy, sx = sy + dy, sx + dx
        syy, sxx, sxy = syy + dy * dy, sxx + dx * dx, sxy + dx * dy
    my, mx = sy / n, sx / n
    yy, xx = syy / n - my * my + 1 / 12, sxx / n - mx * mx + 1 / 12
    half, product = (yy + xx) / 2, yy * xx - (sxy / n - my * mx) ** 2
    apart = np.sqrt(max(half * half - product, 0.0))
    row[8], row[9], row[10] = 2 * half, (half - apart) / (half + apart), np.sqrt(my * my + mx * mx)
