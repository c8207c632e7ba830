"""Nuclei near each other in two frames. Alone in a file because drift, links, gaps, divisions and merges all look for
neighbours, each in its own way."""

from __future__ import annotations

import numpy as np
from scipy.spatial import cKDTree

from hcs.tracks.detections import Detections, Floats, Ints


def near_pairs(before: Floats, after: Floats, reach: float) -> tuple[Ints, Ints, Floats]:
    """Indices (k,) and (k,) of places (n, 2) and (m, 2) at most ``reach`` apart, and how far; by the first, then the
    second."""
    if not len(before) or not len(after):
        return np.zeros(0, np.int64), np.zeros(0, np.int64), np.zeros(0)
    found = cKDTree(before).sparse_distance_matrix(cKDTree(after), reach, output_type="ndarray")
    i, j = found["i"].astype(np.int64), found["j"].astype(np.int64)
    order = np.lexsort((j, i))
    return i[order], j[order], found["v"][order]


def mutual_pairs(before: Floats, after: Floats, reach: float) -> tuple[Ints, Ints]:
    """Indices (k,) and (k,) of nuclei that are each other's nearest, at most ``reach`` apart."""
    if not len(before) or not len(after):
        none = np.zeros(0, np.int64)
        return none, none
    there, j = cKDTree(after).query(before)
    _, back = cKDTree(before).query(after)
    i = np.flatnonzero((back[j] == np.arange(len(before))) & (there <= reach))
    return i.astype(np.int64), j[i].astype(np.int64)


def meetings(
    detections: Detections, before: Ints, after: Ints, frames: int, reach_px: float
) -> list[tuple[Ints, Ints, Floats]]:
    """Pairs of nuclei of ``before`` and ``after``, both ascending, ``frames`` frames apart and at most ``reach_px``
    from each other, with their distance; one entry a frame."""
    found = []
    there, here = detections.frame[before], detections.frame[after]  # ascending, as the nuclei are
    for frame in np.unique(here).tolist():
        a = before[np.searchsorted(there, frame - frames) : np.searchsorted(there, frame - frames, side="right")]
        b = after[np.searchsorted(here, frame) : np.searchsorted(here, frame, side="right")]
        i, j, distance = near_pairs(detections.still[a], detections.still[b], reach_px)
        if len(i):
            found.append((a[i], b[j], distance))
    return found
