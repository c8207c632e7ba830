"""Nuclei that merge into another one, or come out of one: the area of both is in one object. Alone in a file because
joining must know of merges before there are tracks, and how tracks began and ended is told by them afterwards."""

from __future__ import annotations

import numpy as np

from hcs.tracks.detections import Detections, Ints
from hcs.tracks.neighbours import near_pairs

_GROWS = 1.3  # an object that holds another one as well is larger by at least this
_AS_MUCH = 0.25  # and as large as the two, in the logarithm
_REACH = 1.5  # diameters


def holders(detections: Detections, nuclei: Ints, neighbour: Ints) -> Ints:
    """The object (k,) that holds each of ``nuclei`` (k,) in the frame next to it, -1 for none.

    ``neighbour`` (n,) is every nucleus' own object in that frame, after or before. One beside it (within 1.5 diameters)
    whose own object is as large as the two holds both.
    """
    held = np.full(len(nuclei), -1, np.int64)
    area, frame = detections.area, detections.frame
    order = np.argsort(frame[nuclei], kind="stable")
    for here in np.split(order, np.flatnonzero(np.diff(frame[nuclei[order]])) + 1) if len(order) else ():
        at = frame[nuclei[here[0]]]
        rows = detections.rows(int(np.searchsorted(detections.frames, at)))
        near = detections.still[nuclei[here]], detections.still[rows]
        i, j, _ = near_pairs(*near, _REACH * detections.diameter_px)
        own, other = nuclei[here[i]], j + rows.start
        whole = neighbour[other]
        known = (own != other) & (whole >= 0) & (np.abs(frame[whole] - at) == 1)
        both = area[own] + area[other]
        sums = (np.abs(np.log(area[whole] / both)) < _AS_MUCH) & (area[whole] > _GROWS * area[other])
        held[here[i[known & sums]]] = whole[known & sums]
    return held
