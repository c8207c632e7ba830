"""Pieces of tracks joined: over frames in which a nucleus was missed, and from a mother to her two daughters."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from hcs.tracks.detections import Detections, Flags, Floats, Ints
from hcs.tracks.divisions import Candidates, Sizes, paired_divisions, sister_divisions
from hcs.tracks.lineage import make_lineage
from hcs.tracks.linking import UNLINKED, Links, assign_parts, certainty
from hcs.tracks.merges import holders
from hcs.tracks.neighbours import meetings
from hcs.tracks.scene import Scene

_MISSED = 2.0  # nats a frame that a nucleus was missed in
_ROUNDS = 4
_BY_BORDER = 2.0  # nats: beside the border a track may well begin or end


@dataclass(frozen=True, slots=True)
class Joined:
    """Links, over gaps as well, and divisions."""

    links: Links
    mother: Ints
    """(n,) last nucleus of the mother's track where a daughter's begins; -1 for all others."""
    division: Floats
    """(n,) probability of the division there; NaN for all others."""


def join(scene: Scene, links: Links) -> Joined:
    """Join the pieces that ``links`` leave, by the assignment of beginnings that is likeliest in all.

    A beginning goes on from the end of another piece, up to ``max_gap`` missed frames before, or is the second daughter
    of a nucleus that has a continuation beside it. A nucleus that ended and two beginnings beside it are a division
    too; these are taken first, best first. Divisions that what follows, or went before, speaks against are forbidden
    and all is joined anew: a daughter that does not last, two divisions of a line in less than the shortest cycle
    (the less likely one), and two nuclei that merged and part again.
    """
    forbidden = np.zeros(len(links.previous), bool)
    for _ in range(_ROUNDS):
        joined = _joined(scene, links, forbidden)
        against = _impossible(scene, joined)
        if not against.any():
            break
        forbidden = forbidden | against
    return joined


def _joined(scene: Scene, links: Links, forbidden: Flags) -> Joined:
    """One round of joining; nuclei that are ``forbidden`` (n,) are no mothers."""
    previous, score = links.previous.copy(), links.score.copy()
    mother = np.full(len(previous), -1, np.int64)
    division = np.full(len(previous), np.nan)
    ends, begins = _open(scene.detections, links)
    gaps = _gaps(scene, ends, begins)
    sisters = Candidates.none()
    if scene.settings.divisions:
        sizes = Sizes.of(links, scene.motion)
        paired = paired_divisions(scene, sizes, ends, begins)
        for m, q, s, probability in _best_first(paired.where(~forbidden[paired.mother]), gaps):
            mother[[q, s]], division[[q, s]] = m, probability
        taken = mother >= 0
        gaps = gaps.without(taken, np.isin(np.arange(len(previous)), mother[taken]))
        sisters = sister_divisions(scene, sizes, begins[~taken[begins]])
        sisters = sisters.where(~forbidden[sisters.mother])
    both = gaps.and_(sisters)
    rows, row = np.unique(np.where(both.sister < 0, both.mother, both.mother + len(previous)), return_inverse=True)
    columns, column = np.unique(both.daughter, return_inverse=True)
    shape = (len(rows), len(columns))
    chosen = assign_parts(row, column, both.gain, shape)
    sure = certainty(row, column, both.gain, chosen, shape)
    for k, probability in zip(chosen.tolist(), sure.tolist(), strict=True):
        m, q, s = int(both.mother[k]), int(both.daughter[k]), int(both.sister[k])
        if s < 0:
            previous[q], score[q] = m, probability
        else:
            mother[[q, s]], division[[q, s]] = m, probability
            previous[s], score[s] = -1, np.nan
    return Joined(Links(previous, score), mother, division)


def _open(detections: Detections, links: Links) -> tuple[Ints, Ints]:
    """Nuclei at which a piece ends before the movie does, and those at which one begins after its start."""
    frame = detections.frame
    ends = np.flatnonzero((links.following < 0) & (frame < detections.frames[-1]))
    begins = np.flatnonzero((links.previous < 0) & (frame > detections.frames[0]))
    return ends, begins


def _gaps(scene: Scene, ends: Ints, begins: Ints) -> Candidates:
    """Every beginning that may go on from an end, with a gain above 0; the sister is -1."""
    motion, by_border = scene.motion, scene.by_border
    found = [Candidates.none()]
    for frames in range(2, scene.settings.max_gap + 2):
        for m, q, distance in meetings(scene.detections, ends, begins, frames, motion.reach_px * np.sqrt(frames)):
            gain = motion.gain(m, q, distance, frames) + UNLINKED - _MISSED * (frames - 1)
            gain = gain - _BY_BORDER * (by_border[m].astype(np.float64) + by_border[q])
            found.append(Candidates(m, q, np.full(len(m), -1, np.int64), gain))
    return Candidates.joined(found).gainful()


def _best_first(paired: Candidates, gaps: Candidates) -> list[tuple[int, int, int, float]]:
    """Divisions of nuclei that ended as mother, daughters and probability: best first, each nucleus in one, and each
    likelier than that mother and daughters are parts of gaps."""
    rival: dict[int, float] = {}
    for m, q, gain in zip(gaps.mother.tolist(), gaps.daughter.tolist(), gaps.gain.tolist(), strict=True):
        rival[q], rival[-1 - m] = max(rival.get(q, 0.0), gain), max(rival.get(-1 - m, 0.0), gain)
    used: set[int] = set()
    chosen = []
    for k in np.argsort(-paired.gain, kind="stable").tolist():
        m, q, s = int(paired.mother[k]), int(paired.daughter[k]), int(paired.sister[k])
        against = max(rival.get(q, 0.0) + rival.get(s, 0.0), rival.get(-1 - m, 0.0))
        surplus = float(paired.gain[k]) - against
        if not used.intersection((m, q, s)) and surplus > 0:
            used.update((m, q, s))
            chosen.append((m, q, s, float(1 / (1 + np.exp(-surplus)))))
    return chosen


def _impossible(scene: Scene, joined: Joined) -> Flags:
    """Mothers (n,) of divisions that cannot be: of daughters too brief, too soon after the last, or of two nuclei that
    had merged before."""
    detections, by_border = scene.detections, scene.by_border
    previous, mother, frame = joined.links.previous, joined.mother, detections.frame
    lineage = make_lineage(previous, mother)
    against = np.zeros(len(mother), bool)
    daughters = lineage.first[lineage.parent >= 0]
    last = lineage.last[lineage.track[daughters]]
    seen = np.bincount(lineage.track)[lineage.track[daughters]]
    divides = np.isin(lineage.track[daughters], lineage.parent)
    gone = (frame[last] < detections.frames[-1]) & ~by_border[last] & ~divides
    against[mother[daughters[gone & (seen < scene.settings.min_daughter_frames)]]] = True
    born = lineage.first[lineage.track[mother[daughters]]]
    since = scene.time[daughters] - scene.time[born]  # NaN, and so not too short, where no times are known
    soon = (mother[born] >= 0) & (since < scene.settings.min_cycle_min)
    for daughter, birth in zip(daughters[soon].tolist(), born[soon].tolist(), strict=True):
        later = joined.division[daughter] <= joined.division[birth]
        against[mother[daughter if later else birth]] = True
    ends = lineage.last[~np.isin(np.arange(lineage.count), lineage.parent)]
    held = holders(detections, ends[~by_border[ends]], joined.links.following)
    holding = set(lineage.track[held[held >= 0]].tolist())
    parting = [m for m in mother[daughters].tolist() if int(lineage.track[m]) in holding]
    against[parting] = True
    return against
