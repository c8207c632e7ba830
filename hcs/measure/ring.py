"""Cytoplasm among a ring's pixels: the brighter of two components, where part of the ring lies on background."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from hcs.measure.intensity import Floats, Pixels
from hcs.measure.jit import kernel
from hcs.measure.regions import Ints32, Ints64, PixelLists

_BINS = 32
_ROUNDS = 30
_CONVERGED = 1e-3  # change of the brighter component's share, below which the rounds end
_DIM = 0.5  # a dimmer component at most so bright, above the field's background, as the brighter one is background
_SEPARATION = 2.0  # Ashman's D from which two components count as two; halves of one Gaussian stay below it


@dataclass(frozen=True, slots=True)
class Cytoplasm:
    """Cytoplasm of n rings in one channel, (n,) each; NaN for a ring without pixels."""

    mean: Floats
    """Mean of the brighter component, in grey levels; of the whole ring where that is one population."""
    share: Floats
    """Share of the ring's pixels in it; 1 where the ring is one population."""


def ring_cytoplasm(
    pixels: Pixels, rings: PixelLists, *, background: float, least_px: int, any_dim: bool = False
) -> Cytoplasm:
    """Cytoplasm of each ring in one channel (Y, X), whose field has ``background``.

    A ring's pixels are taken for a mixture of cytoplasm and background, two Gaussians found by expectation-maximisation
    on a histogram of 32 bins, started from Otsu's threshold; the brighter one is the cytoplasm (Van Valen et al.,
    PLoS Comput. Biol. 12, e1005177, 2016). They count as two where the dimmer one rises at most half as far above the
    background as the brighter one, they lie apart (Ashman's D of 2) and the brighter one holds ``least_px`` pixels;
    else the ring is one population, as it is in crowded cells. With ``any_dim`` the dimmer one may be anything, such as
    the thin rim of a whole cytoplasm, and only the brighter one's number of pixels counts.
    """
    told = (background, least_px, any_dim)
    table = _cytoplasm(pixels.ravel(), rings.offsets, rings.indices, told)
    return Cytoplasm(mean=table[:, 0], share=table[:, 1])


@kernel
def _cytoplasm(values: Pixels, offsets: Ints64, indices: Ints32, told: tuple[float, int, bool]) -> Floats:
    """(n, 2) of mean and share of each ring's cytoplasm; ``told`` are background, least pixels, and whether the dimmer
    component may be anything."""
    background, least_px, any_dim = told
    n = len(offsets) - 1
    table = np.full((n, 2), np.nan)
    counts, middles = np.empty(_BINS), np.empty(_BINS)
    for i in range(n):
        size = offsets[i + 1] - offsets[i]
        if size == 0:
            continue
        mean = _histogram(values, indices[offsets[i] : offsets[i + 1]], counts, middles)
        table[i, 0], table[i, 1] = mean, 1.0
        if size < 2 * least_px or middles[_BINS - 1] <= middles[0]:
            continue
        dim, dim_sd, bright, bright_sd, share = _split(counts, middles, _otsu(counts, middles))
        apart = 2.0 * (bright - dim) * (bright - dim) >= _SEPARATION**2 * (dim_sd * dim_sd + bright_sd * bright_sd)
        two = any_dim or (apart and dim - background <= _DIM * (bright - background))
        if two and share * size >= least_px:
            table[i, 0], table[i, 1] = bright, share
    return table


@kernel
def _histogram(values: Pixels, places: Ints32, counts: Floats, middles: Floats) -> float:
    """Fill ``counts`` and ``middles`` (the mean of a bin's values, its middle where it is empty); the mean of all."""
    low, high = np.inf, -np.inf
    for place in places:
        low, high = min(low, values[place]), max(high, values[place])
    width = (high - low) / _BINS
    scale = 1.0 / width if width > 0.0 else 0.0
    counts[:] = 0.0
    middles[:] = 0.0
    total = 0.0
    for place in places:
        value = float(values[place])
        k = min(int((value - low) * scale), _BINS - 1)
        counts[k] += 1.0
        middles[k] += value
        total += value
    for k in range(_BINS):
        middles[k] = middles[k] / counts[k] if counts[k] > 0.0 else low + (k + 0.5) * width
    return float(total / len(places))


@kernel
def _otsu(counts: Floats, middles: Floats) -> int:
    """The number of bins below the threshold that separates the means best (Otsu 1979)."""
    size, total = counts.sum(), (counts * middles).sum()
    best, chosen, below, below_total = -1.0, 1, 0.0, 0.0
    for k in range(_BINS - 1):
        below += counts[k]
        below_total += counts[k] * middles[k]
        # The first bin holds the lowest value and the last the highest, so neither side is empty.
        step = (total - below_total) / (size - below) - below_total / below
        between = below * (size - below) * step * step
        if between > best:
            best, chosen = between, k + 1
    return chosen


@kernel
def _split(counts: Floats, middles: Floats, start: int) -> tuple[float, float, float, float, float]:
    """Mean and standard deviation of the dimmer and of the brighter Gaussian, and the brighter one's share."""
    least = ((middles[_BINS - 1] - middles[0]) / (2.0 * _BINS)) ** 2
    member = np.zeros(_BINS)
    member[start:] = 1.0
    share = -1.0
    dim = dim_var = bright = bright_var = 0.0
    size = counts.sum()
    for _ in range(_ROUNDS):
        total, first, second, all_first, all_second = 0.0, 0.0, 0.0, 0.0, 0.0
        for k in range(_BINS):
            weight = counts[k] * member[k]
            total += weight
            first += weight * middles[k]
            second += weight * middles[k] * middles[k]
            all_first += counts[k] * middles[k]
            all_second += counts[k] * middles[k] * middles[k]
        before, share = share, total / size
        if total < 1.0 or size - total < 1.0:
            break
        bright = first / total
        dim = (all_first - first) / (size - total)
        bright_var = max(second / total - bright * bright, least)
        dim_var = max((all_second - second) / (size - total) - dim * dim, least)
        if abs(share - before) < _CONVERGED:
            break
        odds = np.log(share / (1.0 - share)) + 0.5 * np.log(dim_var / bright_var)
        for k in range(_BINS):
            if counts[k] == 0.0:  # nothing to be shared out
                continue
            far_dim, far_bright = middles[k] - dim, middles[k] - bright
            surplus = odds + 0.5 * (far_dim * far_dim / dim_var - far_bright * far_bright / bright_var)
            # Below the dimmer mean a wide brighter component would claim pixels again.
            member[k] = 0.0 if middles[k] <= dim else 1.0 / (1.0 + np.exp(-surplus))
    return dim, np.sqrt(dim_var), bright, np.sqrt(bright_var), share
