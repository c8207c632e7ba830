"""Outlines of nuclei, and how far matched outlines lie apart."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from hcs.evaluate.matching import Floats, Ints, Numbered
from hcs.measure.jit import kernel

_FAR = 2**62
"""A squared distance, px, above any in an image."""


def outline(labels: NDArray[np.integer]) -> NDArray[np.bool_]:
    """Pixels of an object beside (up, down, left, right) a pixel of another label or the image's edge, (Y, X)."""
    padded = np.pad(labels, 1)
    inner = (
        (padded[:-2, 1:-1] == labels)
        & (padded[2:, 1:-1] == labels)
        & (padded[1:-1, :-2] == labels)
        & (padded[1:-1, 2:] == labels)
    )
    return np.asarray((labels > 0) & ~inner)


def outline_distances(
    truth: Numbered, predicted: Numbered, pair_true: Ints, pair_predicted: Ints
) -> tuple[Floats, Floats]:
    """Hausdorff distance and its 95th percentile between the outlines of each of k pairs, px, (k,) and (k,).

    From every outline pixel of one object the distance to the nearest of the other: the Hausdorff distance is the
    largest in either direction, its 95th percentile the larger of the two directions' 95th percentiles (Huttenlocher
    et al. 1993; the percentile as in Maier-Hein et al. 2024, "Metrics reloaded"), interpolated as NumPy does.
    """
    found = _pair_distances(_outline_points(truth), _outline_points(predicted), (pair_true, pair_predicted))
    return found[:, 0], found[:, 1]


def _outline_points(field: Numbered) -> tuple[Ints, Ints]:
    """Offsets (n + 1,) and points (p, 2) of y, x: object i has the outline ``points[offsets[i]:offsets[i + 1]]``."""
    y, x = np.nonzero(outline(field.dense))
    owner = field.dense[y, x]
    order = np.argsort(owner, kind="stable")
    offsets = np.cumsum(np.bincount(owner, minlength=len(field.values) + 1))
    return offsets, np.column_stack((y, x))[order]


@kernel
def _pair_distances(true: tuple[Ints, Ints], predicted: tuple[Ints, Ints], pairs: tuple[Ints, Ints]) -> Floats:
    """(k, 2): Hausdorff distance and 95th percentile of each pair, every point of one against every of the other."""
    a_offsets, a_points = true
    b_offsets, b_points = predicted
    pair_a, pair_b = pairs
    result = np.empty((len(pair_a), 2))
    for k in range(len(pair_a)):
        a = a_points[a_offsets[pair_a[k]] : a_offsets[pair_a[k] + 1]]
        b = b_points[b_offsets[pair_b[k]] : b_offsets[pair_b[k] + 1]]
        there, back = np.full(len(a), _FAR), np.full(len(b), _FAR)
        for i in range(len(a)):
            for j in range(len(b)):
                squared = (a[i, 0] - b[j, 0]) ** 2 + (a[i, 1] - b[j, 1]) ** 2
                there[i], back[j] = min(there[i], squared), min(back[j], squared)
        there.sort()
        back.sort()
        result[k, 0] = np.sqrt(max(there[-1], back[-1]))
        result[k, 1] = max(_percentile95(there), _percentile95(back))
    return result


@kernel
def _percentile95(squared: Ints) -> float:
    """95th percentile of distances from their sorted squares, linear between neighbours."""
    place = 0.95 * (len(squared) - 1)
    below = int(place)
    low, high = np.sqrt(squared[below]), np.sqrt(squared[min(below + 1, len(squared) - 1)])
    return float(low + (place - below) * (high - low))
