"""Micronuclei: small bright bodies at nuclei, found after the nuclei, which stay as they are.

Candidates are local maxima of what a white top-hat leaves of the DNA channel, outside nuclei and at their edges. Each
grows down to half of its peak. A logistic regression over sizes, contrasts and places, all relative to the nuclei,
decides (`hcs/measure/micronucleus_weights.py`, fitted by benchmarks/micronuclei.py).
"""

from __future__ import annotations

from dataclasses import dataclass

import cv2
import numpy as np
from numpy.typing import NDArray

from hcs.measure.intensity import region_means
from hcs.measure.jit import kernel
from hcs.measure.micronucleus_weights import HIGHEST, INTERCEPT, LINEAR, LOWEST, PRODUCTS
from hcs.measure.regions import Regions

Floats = NDArray[np.float64]
Floats32 = NDArray[np.float32]
Bools = NDArray[np.bool_]
Ints32 = NDArray[np.int32]
Ints64 = NDArray[np.int64]

REACH_DIAMETERS = 1.0
"""A micronucleus' peak lies at most this many median nucleus diameters from its nucleus."""
LEAST_PROBABILITY = 0.7
"""From this probability on, a candidate is a micronucleus."""
_DEEPEST_DIAMETERS = 0.2
"""Peaks deeper in a nucleus are its texture."""
_LEAST_DIAMETER_PX = 12.0
"""In smaller nuclei, micronuclei are single pixels."""
_LEAST_HOST = 0.15
"""Smaller nuclei, in median areas, may be micronuclei themselves and have none."""
_HAT_DIAMETERS = 0.4
_LARGEST_HAT_PX = 41
_GROW = 0.5
_FARTHEST_DIAMETERS = 0.3
_BLUR_PX = 0.8
_LEAST_NOISE = 5.0
_LEAST_CONTRAST = 0.07
_SPARSE = 5

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
    "log of the height beside it over its own",
    "log of its nucleus' contrast over the median",
    "log of its brightness over its nucleus' contrast",
    "brightest pixel beside it over its own",
    "darkest pixel beside it over its own",
    "log of its nucleus' area over the median",
)
"""What a candidate is told by; heights are above the top-hat's floor, brightness and contrast above the field's."""


@dataclass(frozen=True, slots=True)
class Candidates:
    """What may be micronuclei of one field: ``labels`` (Y, X), 1…n, the ``nucleus`` of each, from 0 in the order of the
    nuclei, its ``area`` in px, and ``features`` (n, p) as in `FEATURES`."""

    labels: Ints32
    nucleus: Ints64
    area: Ints64
    features: Floats

    def __len__(self) -> int:
        return len(self.nucleus)

    def probabilities(self) -> Floats:
        """How sure each is a micronucleus, (n,)."""
        lowest, highest = np.array(LOWEST), np.array(HIGHEST)
        z = 2 * (np.clip(self.features, lowest, highest) - lowest) / (highest - lowest) - 1
        score = _scores(z, INTERCEPT, np.array(LINEAR), np.array(PRODUCTS))
        return np.asarray(1 / (1 + np.exp(-score)))


def count_micronuclei(plane: Floats32, nuclei: Regions, fill: Bools | None = None) -> dict[str, Ints64]:
    """Number and area of the micronuclei of each nucleus (n,), by column, in a plane (Y, X) of the DNA channel; none
    have a peak in pixels of ``fill``.

    A micronucleus may lie in the edge of a nucleus, or be one of ``nuclei`` that is small: nuclei stay as they are.
    """
    found, n = candidates(plane, nuclei, fill), len(nuclei)
    kept = found.probabilities() >= LEAST_PROBABILITY
    area = np.bincount(found.nucleus[kept], weights=found.area[kept], minlength=n)
    return {
        "Nuclei_Micronuclei_Count": np.bincount(found.nucleus[kept], minlength=n),
        "Nuclei_Micronuclei_Area": area.astype(np.int64),
    }


def candidates(plane: Floats32, nuclei: Regions, fill: Bools | None = None) -> Candidates:
    """Candidates in a plane (Y, X) of the DNA channel; none without nuclei, or where these are too small themselves."""
    none = np.zeros(0, np.int64)
    nothing = Candidates(np.zeros(plane.shape, np.int32), none, none, np.zeros((0, len(FEATURES))))
    areas = nuclei.pixels.counts.astype(np.float64)
    if not len(areas):
        return nothing
    typical = float(np.median(areas))
    diameter = float(np.sqrt(typical * 4 / np.pi))
    if diameter < _LEAST_DIAMETER_PX:
        return nothing
    hosts = areas >= _LEAST_HOST * typical
    numbers = np.append(0, np.where(hosts, np.arange(1, len(areas) + 1), 0)).astype(np.int32)
    host = nuclei.dense if hosts.all() else np.take(numbers, nuclei.dense)
    smooth = np.asarray(cv2.GaussianBlur(plane, (0, 0), _BLUR_PX, borderType=cv2.BORDER_REFLECT), np.float32)
    floor = _opened(smooth, min(2 * max(round(_HAT_DIAMETERS * diameter / 2), 2) + 1, _LARGEST_HAT_PX))
    top = smooth - floor
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
    seeds = np.flatnonzero((top == cv2.dilate(top, np.ones((3, 3), np.uint8))) & (top > least))
    nucleus, far, deep = _places(host, seeds, REACH_DIAMETERS * diameter, _DEEPEST_DIAMETERS * diameter)
    near = np.flatnonzero(nucleus >= 0)
    near = near[top.ravel()[seeds[near]] > _LEAST_CONTRAST * contrast[nucleus[near]]]
    if not len(near):
        return nothing
    near = near[np.argsort(-top.ravel()[seeds[near]], kind="stable")]
    seeds, nucleus, far, deep = seeds[near], nucleus[near], far[near], deep[near]
    labels, sums = _grow(top, floor, host, seeds, max(_FARTHEST_DIAMETERS * diameter, 2.0))
    n_px, mean, spread, edge, at_nucleus, beside, ground, within, brightest, darkest = sums.T
    peak = top.ravel()[seeds].astype(np.float64)
    bright = np.maximum(smooth.ravel()[seeds].astype(np.float64) - field, noise)
    own = contrast[nucleus]
    edge = np.maximum(edge, 1)
    features = np.stack(
        [
            np.log(n_px / diameter**2),
            np.log(peak / own),
            np.log(peak / noise),
            np.log((spread + 1 / 6) / (n_px / (2 * np.pi) + 1 / 6)),
            far / diameter,
            deep / diameter,
            within / n_px,
            at_nucleus / edge,
            np.log(np.maximum(ground - field, noise) / own),
            mean / peak,
            np.log(np.maximum(beside / edge / peak, 0.02)),
            np.log(own / np.median(contrast)),
            np.log(bright / own),
            (brightest - field) / bright,
            (darkest - field) / bright,
            np.log(areas[nucleus] / typical),
        ],
        axis=1,
    )
    return Candidates(labels, nucleus, n_px.astype(np.int64), features)


def _opened(plane: Floats32, side_px: int) -> Floats32:
    """The plane (Y, X) without what is narrower than a disc of this many pixels."""
    disc = cv2.getStructuringElement(cv2.MORPH_ELLIPSE, (side_px, side_px))
    return np.asarray(cv2.morphologyEx(plane, cv2.MORPH_OPEN, disc), np.float32)


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
def _grow(top: Floats32, floor: Floats32, host: Ints32, seeds: Ints64, farthest_px: float) -> tuple[Ints32, Floats]:
    """Regions (Y, X) of ``seeds``, the highest first, connected along sides, down to half of the seed's height.

    For each (n, 10): pixels, mean height, spread of their places, edges, edges at a nucleus, sum of the heights
    beyond its edges, mean floor, pixels in a nucleus, brightest and darkest pixel beyond its edges. A seed in the
    region of a higher one has none: a single pixel of no height.
    """
    height, width = top.shape
    labels = np.zeros((height, width), np.int32)
    sums = np.zeros((len(seeds), 10))
    stack = np.empty(height * width, np.int64)
    for i in range(len(seeds)):
        y0, x0 = seeds[i] // width, seeds[i] % width
        least = _GROW * top[y0, x0]
        sums[i, 0] = 1.0
        if labels[y0, x0] != 0:
            continue
        sums[i, 8], sums[i, 9] = -np.inf, np.inf
        labels[y0, x0] = i + 1
        stack[0] = seeds[i]
        n, k = 1, 0
        sy = sx = squares = 0.0
        while k < n:
            y, x = stack[k] // width, stack[k] % width
            k += 1
            sums[i, 1] += top[y, x]
            sums[i, 6] += floor[y, x]
            sums[i, 7] += host[y, x] != 0
            dy, dx = float(y - y0), float(x - x0)
            sy += dy
            sx += dx
            squares += dy * dy + dx * dx
            for side in range(4):
                v = y + (1 if side == 0 else -1 if side == 1 else 0)
                u = x + (1 if side == 2 else -1 if side == 3 else 0)
                if v < 0 or u < 0 or v >= height or u >= width or labels[v, u] == i + 1:
                    continue
                here = (v - y0) ** 2 + (u - x0) ** 2 <= farthest_px * farthest_px
                if labels[v, u] == 0 and here and top[v, u] >= least:
                    labels[v, u] = i + 1
                    stack[n] = v * width + u
                    n += 1
                else:
                    sums[i, 3] += 1
                    sums[i, 4] += host[v, u] != 0
                    sums[i, 5] += top[v, u]
                    bright = float(top[v, u] + floor[v, u])
                    sums[i, 8] = max(sums[i, 8], bright)
                    sums[i, 9] = min(sums[i, 9], bright)
        if sums[i, 3] == 0:
            sums[i, 8] = sums[i, 9] = float(top[y0, x0] + floor[y0, x0])
        sums[i, 0] = n
        sums[i, 1] /= n
        sums[i, 6] /= n
        sums[i, 2] = squares / n - (sy / n) ** 2 - (sx / n) ** 2
    return labels, sums
