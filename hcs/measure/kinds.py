"""The kind of each nucleus, as a network with an interior class for each kind sees it.

After Van Valen et al. 2016: a kind's probability, summed over the nucleus' pixels, over that of all kinds. Alone in a
file because training scores kinds by the same rule.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from hcs.columns import CLASS, SCORE
from hcs.measure.intensity import Floats, region_means
from hcs.measure.regions import PixelLists


@dataclass(frozen=True, slots=True, eq=False)
class Kinds:
    """Names of k kinds, and the probability of each kind's interior at every pixel of a field (k, Y, X); None where
    nobody knows."""

    names: tuple[str, ...]
    planes: NDArray[np.float32] | None = None

    def columns(self, regions: PixelLists) -> dict[str, NDArray[np.generic]]:
        """Kind and score of each region."""
        return kind_columns(self.names, kind_means(self.planes, regions, len(self.names)))


def kind_means(planes: NDArray[np.float32] | None, regions: PixelLists, count: int) -> Floats:
    """Mean probability (n, k) of each of ``count`` kinds over each region's pixels; NaN without ``planes``."""
    if planes is None:
        return np.full((len(regions.counts), count), np.nan)
    return np.stack([region_means(np.ascontiguousarray(plane), regions) for plane in planes], axis=1)


def kind_columns(names: tuple[str, ...], means: Floats) -> dict[str, NDArray[np.generic]]:
    """Kind and score of n nuclei by the mean probability (n, k) of each kind; no name and NaN where these are all 0, or
    not known."""
    total = means.sum(axis=1)
    known = total > 0
    share = np.divide(means, total[:, None], out=np.zeros(means.shape), where=known[:, None])
    named = np.where(known, np.array(names, np.str_)[share.argmax(axis=1)], "")
    return {CLASS: named, SCORE: np.where(known, share.max(axis=1), np.nan)}
