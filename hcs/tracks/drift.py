"""Drift of a field: how far all its nuclei together moved from frame to frame, as a stage does."""

from __future__ import annotations

import numpy as np
from scipy.ndimage import uniform_filter

from hcs.tracks.detections import Detections, Floats
from hcs.tracks.neighbours import mutual_pairs, near_pairs

_LEAST_PAIRS = 8  # nuclei whose median movement is called the field's
_REACH = 6.0  # diameters of a nucleus within which a jump of the stage is looked for
_ROUNDS = 4


def field_drift(detections: Detections) -> Floats:
    """Place (f, 2) of each frame of ``detections`` relative to the first, (y, x) in px.

    From one frame to the next: the shift at which most nuclei have a partner, of no shift and the commonest difference
    of any two nuclei of the two frames, refined by the median movement of mutual nearest neighbours. 0 where fewer than
    8 nuclei have one.
    """
    diameter = detections.diameter_px
    steps = np.zeros((len(detections.frames), 2))
    for position in range(1, len(detections.frames)):
        before, after = (detections.place[detections.rows(position + k)] for k in (-1, 0))
        steps[position] = _step(before, after, diameter)
    drift: Floats = np.cumsum(steps, axis=0)
    return drift


def _step(before: Floats, after: Floats, diameter: float) -> Floats:
    """Shift (2,) that takes the nuclei ``before`` (n, 2) to those ``after`` (m, 2)."""
    if min(len(before), len(after)) < _LEAST_PAIRS:
        return np.zeros(2)
    best: Floats = np.zeros(2, np.float64)
    most = -1
    for shift in (np.zeros(2), _commonest(before, after, diameter)):
        near = len(mutual_pairs(before + shift, after, 0.5 * diameter)[0])
        if near > 1.2 * most + 3 or most < 0:  # a jump must explain clearly more than none does
            best, most = shift.copy(), near
    for _ in range(_ROUNDS):
        i, j = mutual_pairs(before + best, after, diameter)
        if len(i) < _LEAST_PAIRS:
            return np.zeros(2)
        change: Floats = np.median(after[j] - before[i] - best, axis=0).astype(np.float64)
        best = (best + change).astype(np.float64)
        if np.abs(change).max() < 0.01:
            break
    return best


def _commonest(before: Floats, after: Floats, diameter: float) -> Floats:
    """The difference (2,) between nuclei of two frames that the most pairs share."""
    reach, width = _REACH * diameter, max(diameter / 4, 1.0)
    i, j, _ = near_pairs(before, after, reach)
    if not len(i):
        return np.zeros(2)
    apart = after[j] - before[i]
    bins = int(np.ceil(reach / width))
    cell = np.clip(np.floor(apart / width).astype(np.int64) + bins, 0, 2 * bins - 1)
    counts = np.bincount(cell @ np.array([2 * bins, 1]), minlength=4 * bins * bins).reshape(2 * bins, 2 * bins)
    at = np.array(np.unravel_index(int(np.argmax(uniform_filter(counts * 9.0, 3, mode="constant"))), counts.shape))
    middle: Floats = (at.astype(np.float64) + 0.5 - bins) * width
    return middle
