"""Intensity statistics of regions, and the backgrounds under them."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from hcs.measure.jit import kernel
from hcs.measure.ranks import select
from hcs.measure.regions import Ints32, Ints64, PixelLists
from hcs.measure.settings import MeasureSettings
from hcs.measure.whole import block_sums_of_whole, medians_of_whole, midmeans_of_whole, statistics_of_whole

Floats32 = NDArray[np.float32]
Floats = NDArray[np.float64]
Pixels = NDArray[Any]
"""Of `as_pixels`: whole numbers of 16 bits, or float32."""

_WIDEST = 4096
"""Grey levels from the lowest to the highest of a region whose values are counted, at most."""
_LARGEST = 2.0**24


@dataclass(frozen=True, slots=True)
class RegionIntensities:
    """Intensity of n regions in one channel, (n,) each; NaN for a region without pixels, but for sum and
    count."""

    mean: Floats
    median: Floats
    std: Floats
    """Population standard deviation (divided by the number of pixels)."""
    minimum: Floats
    maximum: Floats
    total: Floats
    saturated: Ints64
    """Number of pixels at or above the ceiling."""


def as_float32(image: NDArray[np.generic]) -> Floats32:
    """The pixels (Y, X) that are measured: contiguous float32, exact for 8- and 16-bit images.

    Raises ValueError where a pixel is not a finite number, or too large for float32.
    """
    with np.errstate(over="ignore"):
        pixels = np.ascontiguousarray(image, dtype=np.float32)
    if image.dtype.kind == "f" and not np.isfinite(pixels).all():
        bad = int(np.count_nonzero(~np.isfinite(pixels)))
        raise ValueError(f"{bad} pixels are not finite numbers; replace them before measuring")
    return pixels


def as_pixels(image: NDArray[np.generic]) -> Pixels:
    """The pixels (Y, X) that are measured: of 8- and 16-bit images whole numbers of 16 bits, which are measured sooner
    and to the same last bit, else `as_float32`."""
    if image.dtype.kind == "u" and image.dtype.itemsize <= 2:
        return np.ascontiguousarray(image, dtype=np.uint16)
    return as_float32(image)


def saturation_level(dtype: np.dtype[np.generic], settings: MeasureSettings) -> float:
    """Value from which a pixel counts as saturated; infinity for a float image without a level in the
    settings."""
    if settings.saturation_level is not None:
        return settings.saturation_level
    return float(np.iinfo(dtype.name).max) if dtype.kind in "iu" else float("inf")


def region_statistics(
    pixels: Pixels, regions: PixelLists, *, ceiling: float, middle_only: bool = False
) -> RegionIntensities:
    """Statistics of each region's pixels (Y, X); pixels from ``ceiling`` are saturated. With ``middle_only`` nothing
    but mean and median is wanted, and the rest may be NaN or 0.

    A sum is in one order: of float pixels in the list's, and of whole numbers it is exact in any.
    """
    if pixels.dtype == np.uint16 and middle_only:
        mean, median = medians_of_whole(pixels.ravel(), regions.offsets, regions.indices).T
        nothing = np.full(len(mean), np.nan)
        return RegionIntensities(mean, median, nothing, nothing, nothing, nothing, np.zeros(len(mean), np.int64))
    statistics = statistics_of_whole if pixels.dtype == np.uint16 else _statistics
    table, saturated = statistics(pixels.ravel(), regions.offsets, regions.indices, ceiling)
    mean, median, std, minimum, maximum, total = table.T
    return RegionIntensities(mean, median, std, minimum, maximum, total, saturated)


def region_means(pixels: Floats32, regions: PixelLists) -> Floats:
    """Mean of each region's pixels, (n,); every region must hold a pixel."""
    if len(regions.counts) == 0:
        return np.empty(0, np.float64)
    return _means(np.ascontiguousarray(pixels).ravel(), regions.offsets, regions.indices)


def field_background(pixels: Floats32, settings: MeasureSettings, fill: NDArray[np.bool_] | None = None) -> float:
    """Background of one channel of a field (Y, X): a low percentile of its block means.

    Holds in crowded fields as long as 1 % of the blocks (at the default percentile) see no cell. It finds the
    darkest part of a shaded field, and on a flat one with pixel noise σ it lies 2.3·σ/8 too low at the
    defaults (the 1st percentile of means of 64 pixels). Blocks start at the top left; a remainder narrower
    than a block is left out, but a field smaller than a block is one block. Blocks with a pixel of ``fill`` (Y, X) are
    left out; a field that has no other gives NaN.
    """
    return background_of(block_means(pixels, settings, fill), settings)


def block_means(pixels: Pixels, settings: MeasureSettings, fill: NDArray[np.bool_] | None = None) -> Floats:
    """Means of a channel's blocks without ``fill``, (n,), of a field, or of a part of one (Y, X) that starts at a
    multiple of the block.

    Those of parts that cover a field are, in any order, those of the field.
    """
    block_y = min(settings.background_block_px, pixels.shape[0])
    block_x = min(settings.background_block_px, pixels.shape[1])
    sums = block_sums_of_whole if pixels.dtype == np.uint16 else _block_sums
    means = np.asarray(sums(pixels, block_y, block_x) / (block_y * block_x))
    if fill is None:
        return means
    return np.asarray(means[_block_sums(fill.astype(np.float32), block_y, block_x) == 0])


def background_of(means: Floats, settings: MeasureSettings) -> float:
    """The background that a field's block means (n,) tell."""
    return float(np.percentile(means, settings.background_percentile)) if means.size else float("nan")


def local_background(pixels: Pixels, background: PixelLists, *, fallback: float) -> Floats:
    """Mean of the central half of each list's pixels (Tukey's midmean), (n,); ``fallback`` for an empty list.

    Debris or dark holes on up to a quarter of the pixels move it by at most 0.55 of the noise's σ; the noise
    itself does not bias it (for Poisson counts it lies 0.14 below the mean, whatever the mean); and, unlike a
    median, it resolves less than one grey level.
    """
    midmeans = midmeans_of_whole if pixels.dtype == np.uint16 else _midmeans
    return midmeans(pixels.ravel(), background.offsets, background.indices, fallback)


@kernel
def _means(values: Floats32, offsets: Ints64, indices: Ints32) -> Floats:
    """Mean of each list's values, (n,)."""
    means = np.empty(len(offsets) - 1)
    for i in range(len(means)):
        region = _gather(values, indices, offsets[i], offsets[i + 1])
        # In the order of numpy's add.reduceat: the first value, and the sum of the rest.
        means[i] = (region[0] + _sum_of(region[1:])) / len(region)
    return means


@kernel
def _sum_of(values: Floats32) -> float:
    """Sum in float64 in numpy's order: eight sums side by side, in halves where there are more than 128 values."""
    size = len(values)
    if size < 8:
        total = -0.0
        for value in values:
            total += value
        return total
    if size > 128:
        half = size // 2 // 8 * 8
        return _sum_of(values[:half]) + _sum_of(values[half:])
    sums = np.empty(8)
    for j in range(8):
        sums[j] = values[j]
    whole = size // 8 * 8
    for k in range(8, whole, 8):
        for j in range(8):
            sums[j] += values[k + j]
    total = ((sums[0] + sums[1]) + (sums[2] + sums[3])) + ((sums[4] + sums[5]) + (sums[6] + sums[7]))
    for k in range(whole, size):
        total += values[k]
    return float(total)


@kernel
def _statistics(values: Floats32, offsets: Ints64, indices: Ints32, ceiling: float) -> tuple[Floats, Ints64]:
    """(n, 6) of mean, median, standard deviation, minimum, maximum, sum; and (n,) counts of saturated pixels."""
    n = len(offsets) - 1
    table = np.empty((n, 6))
    saturated = np.zeros(n, np.int64)
    counts = np.empty(_WIDEST, np.int32)
    for i in range(n):
        region = _gather(values, indices, offsets[i], offsets[i + 1])
        size = len(region)
        total = 0.0
        lowest, highest, whole = np.inf, -np.inf, True
        for value in region:
            total += value
            lowest, highest = min(lowest, value), max(highest, value)
            whole &= np.floor(value) == value
            saturated[i] += value >= ceiling
        table[i, 5] = total
        if size == 0:
            for k in range(5):
                table[i, k] = np.nan
            continue
        mean = total / size
        squares = 0.0
        for value in region:
            squares += (value - mean) * (value - mean)
        table[i, 0], table[i, 2] = mean, np.sqrt(squares / size)
        table[i, 3], table[i, 4] = lowest, highest
        if _is_counted(size, lowest, highest, whole):
            _count(region, lowest, highest, counts)
            table[i, 1] = lowest + _middle(counts, size)
        else:
            table[i, 1] = _median(region)
    return table, saturated


@kernel
def _is_counted(size: int, lowest: float, highest: float, whole: bool) -> bool:
    """Whether values of a region are ranked sooner by how often each occurs than by selection: whole numbers, and close
    together. Sums of whole numbers are exact in any order, so that the result is the same."""
    exact = lowest > -_LARGEST and highest < _LARGEST
    return whole and exact and highest - lowest < min(_WIDEST, 4 * size)


@kernel
def _count(region: Floats32, lowest: float, highest: float, counts: Ints32) -> None:
    """How often each whole number from ``lowest`` to ``highest`` occurs, at the start of ``counts``."""
    base = int(lowest)
    counts[: int(highest) - base + 1] = 0
    for value in region:
        counts[int(value) - base] += 1


@kernel
def _middle(counts: Ints32, size: int) -> float:
    """Median of ``size`` whole numbers from 0 of these counts."""
    below, k = 0, 0
    while below + counts[k] <= (size - 1) // 2:
        below += counts[k]
        k += 1
    lower = k
    while below + counts[k] <= size // 2:
        below += counts[k]
        k += 1
    return 0.5 * (lower + k)


@kernel
def _sum_between(counts: Ints32, start: int, stop: int) -> int:
    """Sum of those whole numbers from 0 of these counts that have ranks from ``start`` to before ``stop``."""
    total, below, k = 0, 0, 0
    while below < stop:
        above = below + counts[k]
        total += k * max(0, min(above, stop) - max(below, start))
        below = above
        k += 1
    return total


@kernel
def _gather(values: Floats32, indices: Ints32, start: int, stop: int) -> Floats32:
    """``values[indices[start:stop]]``; as a loop it compiles in a fraction of the time."""
    region = np.empty(stop - start, np.float32)
    for k in range(start, stop):
        region[k - start] = values[indices[k]]
    return region


@kernel
def _median(region: Floats32) -> float:
    """Median of at least one value, the mean of the middle two of an even number; reorders ``region``."""
    half = len(region) // 2
    upper = select(region, 0, half)
    if len(region) % 2:
        return upper
    lower = region[0]
    for k in range(1, half):
        lower = max(lower, region[k])
    # Halved first: numba adds two float32 in float32, and rounds.
    return float(0.5 * lower + 0.5 * upper)


@kernel
def _midmeans(values: Floats32, offsets: Ints64, indices: Ints32, fallback: float) -> Floats:
    """Mean of each list without its lowest and highest ⌊size/4⌋ values, (n,)."""
    n = len(offsets) - 1
    means = np.empty(n)
    counts = np.empty(_WIDEST, np.int32)
    for i in range(n):
        region = _gather(values, indices, offsets[i], offsets[i + 1])
        size = len(region)
        if size == 0:
            means[i] = fallback
            continue
        cut = size // 4
        lowest, highest, whole = np.inf, -np.inf, True
        for value in region:
            lowest, highest = min(lowest, value), max(highest, value)
            whole &= np.floor(value) == value
        if _is_counted(size, lowest, highest, whole):
            _count(region, lowest, highest, counts)
            kept = size - 2 * cut
            means[i] = (lowest * kept + _sum_between(counts, cut, size - cut)) / kept
            continue
        select(region, 0, cut)
        select(region, cut, size - 1 - cut)
        total = 0.0
        for k in range(cut, size - cut):
            total += region[k]
        means[i] = total / (size - 2 * cut)
    return means


@kernel
def _block_sums(pixels: Floats32, block_y: int, block_x: int) -> Floats:
    """Sums of the whole blocks of ``block_y`` × ``block_x`` pixels, flat."""
    rows, columns = pixels.shape[0] // block_y, pixels.shape[1] // block_x
    sums = np.zeros(rows * columns)
    for y in range(rows * block_y):
        for column in range(columns):
            total = 0.0
            for x in range(column * block_x, (column + 1) * block_x):
                total += pixels[y, x]
            sums[y // block_y * columns + column] += total
    return sums
