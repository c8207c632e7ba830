"""Links from frame to frame: the assignment of nuclei that is likeliest in all, and how sure each link is."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from scipy.sparse import coo_matrix
from scipy.sparse.csgraph import connected_components, min_weight_full_bipartite_matching

from hcs.tracks.detections import Detections, Floats, Ints
from hcs.tracks.motion import Motion
from hcs.tracks.neighbours import near_pairs

UNLINKED = 4.0
"""What a link must not fall below, in nats: an end and a beginning without a cause happen to one nucleus in fifty."""


@dataclass(frozen=True, slots=True)
class Links:
    """Which nucleus each one (n,) goes on from, and how sure that is."""

    previous: Ints
    """(n,) index of the same nucleus when it was last seen; -1 where a track begins."""
    score: Floats
    """(n,) probability of that link among its alternatives; NaN where a track begins."""

    @property
    def following(self) -> Ints:
        """(n,) index of the same nucleus when it is next seen; -1 where a track ends."""
        after = np.full(len(self.previous), -1, np.int64)
        linked = np.flatnonzero(self.previous >= 0)
        after[self.previous[linked]] = linked
        return after


def link_frames(detections: Detections, motion: Motion) -> Links:
    """Links between consecutive frames that have nuclei; of frames missed between them the same is asked as of one."""
    previous = np.full(len(detections.frame), -1, np.int64)
    score = np.full(len(detections.frame), np.nan)
    for position in range(1, len(detections.frames)):
        a, b = detections.rows(position - 1), detections.rows(position)
        frames = float(detections.frames[position] - detections.frames[position - 1])
        reach = motion.reach_px * np.sqrt(frames)
        i, j, distance = near_pairs(detections.still[a], detections.still[b], reach)
        gain = motion.gain(i + a.start, j + b.start, distance, frames) + UNLINKED
        sizes = (a.stop - a.start, b.stop - b.start)
        worth = gain > 0
        i, j, gain = i[worth], j[worth], gain[worth]
        chosen = assign(i, j, gain, sizes)
        previous[j[chosen] + b.start] = i[chosen] + a.start
        score[j[chosen] + b.start] = certainty(i, j, gain, chosen, sizes)
    return Links(previous, score)


def assign(i: Ints, j: Ints, gain: Floats, sizes: tuple[int, int]) -> Ints:
    """Which of the pairs ``i``, ``j`` (k,), each with a gain above 0, give the largest sum with every i and j in one at
    most.

    Exact, by the sparse assignment of Jonker and Volgenant (scipy): every i has beside its pairs a column of its own,
    which stands for none.
    """
    if not len(i):
        return np.zeros(0, np.int64)
    rows, columns = sizes
    most = float(gain.max()) + 1.0
    nobody = np.arange(rows)
    costs = coo_matrix(
        (
            np.concatenate([most - gain, np.full(rows, most)]),
            (np.concatenate([i, nobody]), np.concatenate([j, columns + nobody])),
        ),
        shape=(rows, columns + rows),
    ).tocsr()
    row, column = min_weight_full_bipartite_matching(costs)
    partner = np.full(rows, -1, np.int64)
    partner[row] = column
    return np.flatnonzero(partner[i] == j)


def assign_parts(i: Ints, j: Ints, gain: Floats, sizes: tuple[int, int]) -> Ints:
    """The same as ``assign``, for a sparse problem over a whole movie: part by part, each of the pairs that share an i
    or j with another, so that the time grows with the number of pairs alone."""
    nodes = sizes[0] + sizes[1]
    graph = coo_matrix((np.ones(len(i)), (i, j + sizes[0])), shape=(nodes, nodes))
    part = connected_components(graph, directed=False)[1][i]
    order = np.argsort(part, kind="stable")
    chosen = []
    for pairs in np.split(order, np.flatnonzero(np.diff(part[order])) + 1):
        if len(pairs) > 1:
            rows, row = np.unique(i[pairs], return_inverse=True)
            columns, column = np.unique(j[pairs], return_inverse=True)
            chosen.append(pairs[assign(row, column, gain[pairs], (len(rows), len(columns)))])
        else:
            chosen.append(pairs)
    return np.sort(np.concatenate(chosen)) if chosen else np.zeros(0, np.int64)


def certainty(i: Ints, j: Ints, gain: Floats, chosen: Ints, sizes: tuple[int, int]) -> Floats:
    """Probability (c,) of each chosen pair, against its likeliest alternatives: no link, and every swap with another.

    A swap gives i another j' and j the nucleus that j' had, where that is near enough, else none. Each alternative
    weighs exp of what it gains less.
    """
    own, other = np.full(sizes[0], -1, np.int64), np.full(sizes[1], -1, np.int64)
    own[i[chosen]], other[j[chosen]] = chosen, chosen
    lookup = dict(zip(zip(i.tolist(), j.tolist(), strict=True), gain.tolist(), strict=True))
    against = np.exp(-gain[chosen])
    place = np.full(len(i), -1, np.int64)
    place[chosen] = np.arange(len(chosen))
    for k in np.flatnonzero(place < 0):
        mine, theirs = own[i[k]], other[j[k]]
        now = (gain[mine] if mine >= 0 else 0.0) + (gain[theirs] if theirs >= 0 else 0.0)
        back = 0.0
        if mine >= 0 and theirs >= 0:
            back = max(lookup.get((int(i[theirs]), int(j[mine])), 0.0), 0.0)
        weight = np.exp(min(gain[k] + back - now, 0.0))
        for pair in (mine, theirs):
            if pair >= 0:
                against[place[pair]] += weight
    probability: Floats = 1.0 / (1.0 + against)
    return probability
