"""Raw intensities of a field → the network's input."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numba
import numpy as np
from numpy.typing import NDArray

from hcs.measure.ranks import levels_of_rows, percentile, ranked

_SAMPLE_PX = 250_000
_BLOCK_PX = 8
_TILE_PX = 32
_TILE_STEP_PX = 4
"""At most every so many-th pixel of a tile in both directions is looked at: 64 a tile."""
_DARK, _BRIGHT = 0.05, 0.9
"""Quantiles of a tile's pixels. Specks and a nucleus' brightest spots cover less than a tenth of a tile."""
_HOLDS_SD = 10.0
"""Tiles of less contrast, in standard deviations of noise, hold nothing; so much noise is the least scale, too."""
_FULLY = 5.0
"""Contrast, in multiples of the least, from which a tile counts fully."""
_HEADROOM = 2.15
"""Of the tiles' middle, so many are the scale: on training images their median 99.8th percentile."""
COMPRESSION = 4.0
_VALUES: dict[np.dtype[Any], int] = {np.dtype(np.uint8): 2**8, np.dtype(np.uint16): 2**16}
"""How many values pixels of a type can have, where these are few: then each is computed once."""

STATISTICS_UNIT_PX = _TILE_PX
"""Parts of a field whose statistics are put together start at multiples of this."""


@dataclass(frozen=True, slots=True)
class Normalisation:
    """Grey levels that become 0 and, before compression, 1: ``low`` and ``low + scale``."""

    low: float
    scale: float
    """Not above 0 for a field of one value, which becomes zeros."""

    def apply(self, image: NDArray[np.generic]) -> NDArray[np.float32]:
        """Field, or part of one, (Y, X) of any real dtype → (Y, X) float32."""
        values = _VALUES.get(image.dtype)
        if values is None or image.size <= 2 * values:
            return self._computed(image)
        return _looked_up(self._computed(np.arange(values)), np.ascontiguousarray(image))

    def _computed(self, image: NDArray[np.generic]) -> NDArray[np.float32]:
        """What ``apply`` gives, of any shape."""
        pixels = np.asarray(image, dtype=np.float32)
        if not np.isfinite(self.scale) or self.scale <= 0.0:
            return np.zeros(pixels.shape, np.float32)
        pixels = np.subtract(pixels, np.float32(self.low), order="C")
        pixels *= np.float32(COMPRESSION / self.scale)
        _asinh(pixels)
        pixels *= np.float32(1.0 / np.arcsinh(COMPRESSION))
        return pixels


@dataclass(frozen=True, slots=True, eq=False)
class FieldStatistics:
    """What a field, or part of one, tells of its intensities."""

    sample: NDArray[np.float32]
    """Evenly spread pixels, (k,)."""
    differences: NDArray[np.float32]
    """Mean differences of neighbours in blocks, (m,)."""
    tiles: NDArray[np.float32]
    """Of every tile of 32 px a dark and a bright level and its area in whole tiles, (t, 3)."""


def normalise(image: NDArray[np.generic]) -> NDArray[np.float32]:
    """Field (Y, X) of any real dtype → (Y, X) float32, background near 0, nuclei between a half and 1.

    ``asinh(4 y) / asinh(4)`` of ``y = (image − low) / scale``, with ``low`` the field's 2nd percentile. ``scale`` comes
    from the many, not from the brightest: 2.15 times the median, over tiles of 32 px that hold anything, of the tile's
    90th percentile above ``low``; at least ten times the noise. A few saturated dead cells or specks change few tiles,
    so the living nuclei beside them look as they do without them. The noise bound keeps a field without nuclei dark
    instead of stretching its noise to look like them; asinh brings dim nuclei beside bright ones into range. Invariant
    to gain and offset. A field of one value gives zeros.
    """
    return normalisation_of(image).apply(image)


def normalise_by_brightest(image: NDArray[np.generic]) -> NDArray[np.float32]:
    """As `normalise`, but ``scale`` is the 99.8th percentile above ``low``: what training begins with."""
    parts = [statistics(image, step=sample_step(image.size))]
    low, bright, noise, _ = _levels(parts)
    return Normalisation(low, max(bright - low, _HOLDS_SD * noise)).apply(image)


def normalisation_of(image: NDArray[np.generic], fill: NDArray[np.bool_] | None = None) -> Normalisation:
    """The normalisation of a whole field (Y, X) of any real dtype, by its pixels off ``fill`` (Y, X)."""
    return settled([statistics(image, step=sample_step(image.size), fill=fill)])


def with_background(
    image: NDArray[np.generic], fill: NDArray[np.bool_], normalisation: Normalisation
) -> NDArray[np.generic]:
    """A field, or part of one, (Y, X) with the grey level that becomes 0 in the place of ``fill``."""
    low = np.rint(normalisation.low) if image.dtype.kind in "iu" else normalisation.low
    return np.where(fill, image.dtype.type(low), image)


def sample_step(size: int) -> int:
    """Every how many-th pixel in both directions, of a field of ``size``, gives about 250,000 in all: percentiles at a
    tenth of the cost."""
    return max(1, int(np.sqrt(size / _SAMPLE_PX)))


def statistics(
    image: NDArray[np.generic],
    *,
    step: int,
    origin: tuple[int, int] = (0, 0),
    fill: NDArray[np.bool_] | None = None,
) -> FieldStatistics:
    """Statistics of a part (y, x) of a field that starts at ``origin``, multiples of `STATISTICS_UNIT_PX`.

    The statistics of parts that cover a field are, put together in any order, those of the field. Pixels of ``fill``
    (y, x) are in none of them.
    """
    pixels = np.asarray(image, dtype=np.float32)
    every = slice(-origin[0] % step, None, step), slice(-origin[1] % step, None, step)
    sample, differences, tiles = pixels[every].ravel(), _differences(pixels), _tiles(pixels, step)
    if fill is not None:
        sample = sample[~fill[every].ravel()]
        missing = fill.astype(np.float32)
        differences = differences[_means_of_blocks(missing) == 0]
        tiles = tiles[_anywhere(missing, step) == 0]
    return FieldStatistics(sample, differences, tiles)


def settled(parts: Sequence[FieldStatistics]) -> Normalisation:
    """The normalisation of the field that ``parts`` cover."""
    low, bright, noise, quantum = _levels(parts)
    least = _HOLDS_SD * max(noise, quantum / float(np.sqrt(12.0)))
    middle = _middle(np.concatenate([part.tiles for part in parts]).astype(np.float64), low, least)
    return Normalisation(low, max(_HEADROOM * middle if middle > 0.0 else bright - low, least))


def _levels(parts: Sequence[FieldStatistics]) -> tuple[float, float, float, float]:
    """2nd and 99.8th percentile of a field, its noise, and the step between its grey levels: rounding to that hides
    noise that is smaller, so that a background of one value has no noise to tell a tile's contrast from; 0 for a field
    of one value."""
    sample = ranked(np.concatenate([part.sample for part in parts]))
    low, bright = sample.percentiles(2.0, 99.8)
    return low, bright, _noise(np.concatenate([part.differences for part in parts])), sample.least_step()


def _tiles(pixels: NDArray[np.float32], step: int) -> NDArray[np.float32]:
    """`Statistics.tiles` of a field or part (Y, X) whose sample takes every ``step``-th pixel."""
    levels = np.concatenate([_tile_levels(tiles) for tiles in _cut(pixels, step)])
    levels[:, 2] /= (_TILE_PX // _every(step)) ** 2
    return levels


def _anywhere(marked: NDArray[np.float32], step: int) -> NDArray[np.float32]:
    """Most of ``marked`` (Y, X) in every tile, (t,)."""
    return np.concatenate([tiles.max(axis=1) for tiles in _cut(marked, step)])


def _spans(length: int, side: int) -> list[tuple[slice, int]]:
    """Where whole tiles lie along an axis and where the rest does, if any, with a tile's length there."""
    whole = length // side * side
    return [
        span
        for span in ((slice(0, whole), side), (slice(whole, length), length - whole))
        if span[0].stop > span[0].start
    ]


def _every(step: int) -> int:
    """Every how many-th pixel of a tile is looked at."""
    return next(s for s in (_TILE_STEP_PX, 2, 1) if s <= max(step, 1))


def _cut(pixels: NDArray[np.float32], step: int) -> list[NDArray[np.float32]]:
    """The pixels looked at of every tile of (Y, X), by size of tile: (t, size)."""
    every = _every(step)
    seen, found = pixels[::every, ::every], []
    rows, columns = (_spans(length, _TILE_PX // every) for length in seen.shape)
    for y, height in rows:
        for x, width in columns:
            part = seen[y, x]
            tiles = part.reshape(part.shape[0] // height, height, part.shape[1] // width, width)
            found.append(tiles.swapaxes(1, 2).reshape(-1, height * width))
    return found


def _tile_levels(tiles: NDArray[np.float32]) -> NDArray[np.float32]:
    """Dark level, bright level and number of pixels of every tile (t, size), (t, 3)."""
    size = tiles.shape[1]
    dark, bright = (int(quantile * (size - 1)) for quantile in (_DARK, _BRIGHT))
    return np.column_stack((*levels_of_rows(tiles, dark, bright), np.full(len(tiles), size, np.float32)))


def _middle(tiles: NDArray[np.float64], low: float, least: float) -> float:
    """Median of the tiles' bright levels above ``low``; tiles count by area and by the logarithm of their contrast from
    ``least`` up to some times that. 0 where no tile holds anything."""
    if least <= 0.0:
        return 0.0
    dark, bright, area = tiles.T
    weight = area * np.clip(np.log(np.maximum(bright - dark, least) / least) / np.log(_FULLY), 0.0, 1.0)
    if not weight.any():
        return 0.0
    # Sorted by weight, too, the sums do not depend on the order of parts.
    order = np.lexsort((weight, bright))
    below = np.cumsum(weight[order])
    return float(bright[order][np.searchsorted(below, below[-1] / 2.0)]) - low


def noise_sd(image: NDArray[np.float32]) -> float:
    """Standard deviation of pixel noise, grey levels, from differences of neighbours in the field's quietest blocks.

    For Gaussian noise E|x₁ − x₀| = 2σ/√π. The lower quartile over blocks of 4 × 8 px leaves out outlines and texture,
    so a field full of nuclei gives its background's noise, and an 8-bit field with a background of one grey level
    gives 0.
    """
    return _noise(_differences(image))


@numba.njit(cache=True, nogil=True)
def _looked_up(table: NDArray[np.float32], image: NDArray[Any]) -> NDArray[np.float32]:
    """``table[image]`` (Y, X), without numpy's indices of eight bytes a pixel."""
    found = np.empty(image.shape, np.float32)
    for y in range(image.shape[0]):
        for x in range(image.shape[1]):
            found[y, x] = table[image[y, x]]
    return found


def _asinh(values: NDArray[np.float32]) -> None:
    """Take the inverse hyperbolic sine in place, to within 3e-7 of numpy's, which takes four times as long."""
    size = np.minimum(np.abs(values), np.float32(1e18))  # whose square is finite
    logarithm = size * size
    logarithm += 1.0
    np.sqrt(logarithm, out=logarithm)
    logarithm += size
    np.log(logarithm, out=logarithm)
    np.copysign(logarithm, values, out=values)


@numba.njit(cache=True, nogil=True)
def _block_differences(image: NDArray[np.float32], rows: int, columns: int) -> NDArray[np.float32]:
    """`_differences` of so many ``rows`` and ``columns`` of blocks: rows are added first, and then neighbours."""
    half = _BLOCK_PX // 2
    found = np.empty(rows * columns, np.float32)
    added = np.empty(columns * half, np.float32)
    for r in range(rows):
        for y in range(r * half, (r + 1) * half):
            row = image[y]
            for x in range(len(added)):
                step = np.float32(abs(np.float32(row[2 * x + 1] - row[2 * x])))
                added[x] = step if y == r * half else np.float32(added[x] + step)
        for c in range(columns):
            total = added[c * half]
            for x in range(c * half + 1, (c + 1) * half):
                total = np.float32(total + added[x])
            found[r * columns + c] = np.float32(total / np.float32(half * half))
    return found


def _differences(image: NDArray[np.float32]) -> NDArray[np.float32]:
    """Mean difference of neighbours in a row, for every whole block, (m,)."""
    return _block_differences(image, image.shape[0] // (_BLOCK_PX // 2), image.shape[1] // _BLOCK_PX)


def _means_of_blocks(image: NDArray[np.float32]) -> NDArray[np.float32]:
    """Mean of every whole block, (m,)."""
    whole = image[: _even(image.shape[0]), : _even(image.shape[1])]
    return _means_of_blocks_of(whole[:, 1::2] + whole[:, ::2])


def _means_of_blocks_of(rows: NDArray[np.float32]) -> NDArray[np.float32]:
    """Mean over every whole block of what neighbours in a row, (Y, X // 2), come to, (m,)."""
    half = _BLOCK_PX // 2
    height, width = (n // half * half for n in rows.shape)
    if height == 0 or width == 0:
        return np.empty(0, np.float32)
    # Rows are added first, which is quick as they lie one behind the other.
    columns = rows[:height, :width].reshape(height // half, half, width).sum(axis=1)
    blocks = columns.reshape(-1, width // half, half).sum(axis=2)
    return np.asarray(blocks.ravel() / np.float32(half * half), dtype=np.float32)


def _noise(differences: NDArray[np.float32]) -> float:
    if differences.size == 0:
        return 0.0
    return percentile(differences, 25.0) * float(np.sqrt(np.pi)) / 2.0


def _even(n: int) -> int:
    return n - n % 2
