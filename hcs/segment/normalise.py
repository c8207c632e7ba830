"""Raw intensities of a field → the network's input."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numba
import numpy as np
from numpy.typing import NDArray

_SAMPLE_PX = 250_000
_BLOCK_PX = 8
COMPRESSION = 4.0
_VALUES: dict[np.dtype[Any], int] = {np.dtype(np.uint8): 2**8, np.dtype(np.uint16): 2**16}
"""How many values pixels of a type can have, where these are few: then each is computed once."""

STATISTICS_UNIT_PX = _BLOCK_PX
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
class Statistics:
    """What a field, or part of one, tells of its intensities: a sample of pixels, (k,), and differences of neighbours
    in blocks, (m,)."""

    sample: NDArray[np.float32]
    differences: NDArray[np.float32]


def normalise(image: NDArray[np.generic]) -> NDArray[np.float32]:
    """Field (Y, X) of any real dtype → (Y, X) float32, background near 0, bright nuclei near 1.

    ``asinh(4 y) / asinh(4)`` of ``y = (image − low) / scale``, with ``low`` the 2nd percentile and ``scale`` the
    larger of (99.8th percentile − low) and ten times the noise, both of the whole field. The noise bound keeps a field
    without nuclei dark instead of stretching its noise to look like them; asinh brings dim nuclei beside bright ones
    into range. Invariant to gain and offset. A field of one value gives zeros.
    """
    return normalisation_of(image).apply(image)


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
) -> Statistics:
    """Statistics of a part (y, x) of a field that starts at ``origin``, multiples of `STATISTICS_UNIT_PX`.

    The statistics of parts that cover a field are, put together in any order, those of the field. Pixels of ``fill``
    (y, x) are in none of them.
    """
    pixels = np.asarray(image, dtype=np.float32)
    every = slice(-origin[0] % step, None, step), slice(-origin[1] % step, None, step)
    sample, differences = pixels[every].ravel(), _differences(pixels)
    if fill is not None:
        sample = sample[~fill[every].ravel()]
        differences = differences[_means_of_blocks(fill.astype(np.float32)) == 0]
    return Statistics(sample, differences)


def settled(parts: Sequence[Statistics]) -> Normalisation:
    """The normalisation of the field that ``parts`` cover."""
    sample = np.concatenate([part.sample for part in parts])
    low, high = (float(v) for v in np.percentile(sample, (2.0, 99.8)))
    noise = _noise(np.concatenate([part.differences for part in parts]))
    return Normalisation(low, max(high - low, 10.0 * noise))


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


def _differences(image: NDArray[np.float32]) -> NDArray[np.float32]:
    """Mean difference of neighbours in a row, for every whole block, (m,)."""
    whole = image[: _even(image.shape[0]), : _even(image.shape[1])]
    return _means_of_blocks_of(np.abs(whole[:, 1::2] - whole[:, ::2]))


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
    return float(np.percentile(differences, 25.0)) * float(np.sqrt(np.pi)) / 2.0


def _even(n: int) -> int:
    return n - n % 2
