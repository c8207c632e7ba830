"""Values along the track of each nucleus. Alone in a file because divisions need them before tracks are made, and the
quality of tracks afterwards."""

from __future__ import annotations

import numpy as np

from hcs.tracks.detections import Floats, Ints


def median_along(values: Floats, start: Ints, neighbour: Ints, length: int) -> Floats:
    """Median (n,) of the finite ``values`` (n,) of up to ``length`` nuclei, from ``start`` (n,) on by ``neighbour``.

    Both are indices of nuclei, -1 for none; NaN without a finite value.
    """
    table = np.full((length, len(values)), np.nan)
    at = start
    for row in table:
        row[at >= 0] = values[at[at >= 0]]
        at = np.where(at >= 0, neighbour[at], -1)
    table.sort(axis=0)  # NaN last
    count = np.isfinite(table).sum(axis=0)
    column = np.arange(len(values))
    middle: Floats = (table[np.maximum(count - 1, 0) // 2, column] + table[count // 2, column]) / 2
    return middle
