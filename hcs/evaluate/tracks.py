"""Tracks scored against the truth: DET, LNK and TRA of the Cell Tracking Challenge, divisions, complete tracks."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, fields

import numpy as np
from numpy.typing import NDArray

from hcs.columns import Column

Ints = NDArray[np.int64]
_SPLIT, _MISSED, _EXTRA = 5.0, 10.0, 1.0  # weights of AOGM's operations on nuclei
_DELETE, _ADD, _CHANGE = 1.0, 1.5, 1.0  # and on links


@dataclass(frozen=True, slots=True)
class TrackGraph:
    """Nuclei (n,) by frame and track, and each track's mother."""

    frame: Ints
    track: Ints
    """(n,) track of each nucleus, above 0; a track has one nucleus a frame at most."""
    parent: Mapping[int, int]
    """Mother's track of each track that has one; 0 counts as none."""

    def __post_init__(self) -> None:
        keys = self.frame * (int(self.track.max(initial=0)) + 1) + self.track
        if len(np.unique(keys)) < len(keys):
            raise ValueError("a track has two nuclei in one frame")

    def places(self) -> dict[tuple[int, int], int]:
        """(track, frame) → nucleus."""
        return {key: k for k, key in enumerate(zip(self.track.tolist(), self.frame.tolist(), strict=True))}

    def ends(self) -> dict[int, tuple[int, int]]:
        """Track → its first and last nucleus."""
        order = np.lexsort((self.frame, self.track))
        tracks, start, count = np.unique(self.track[order], return_index=True, return_counts=True)
        first, last = order[start], order[start + count - 1]
        return dict(zip(tracks.tolist(), zip(first.tolist(), last.tolist(), strict=True), strict=True))

    def links(self) -> dict[tuple[int, int], bool]:
        """(nucleus, next nucleus) → whether it leads from a mother to a daughter.

        A mother without a nucleus of her own is left out.
        """
        order = np.lexsort((self.frame, self.track))
        same = self.track[order[1:]] == self.track[order[:-1]]
        found = dict.fromkeys(zip(order[:-1][same].tolist(), order[1:][same].tolist(), strict=True), False)
        ends = self.ends()
        for track, mother in self.parent.items():
            if mother in ends and track in ends:
                found[ends[mother][1], ends[track][0]] = True
        return found

    def divisions(self) -> list[tuple[int, tuple[int, ...]]]:
        """Mothers with two or more daughters, as tracks, by the mother."""
        ends = self.ends()
        daughters: dict[int, list[int]] = {}
        for track, mother in sorted(self.parent.items()):
            if mother in ends and track in ends:
                daughters.setdefault(mother, []).append(track)
        return [(mother, tuple(born)) for mother, born in sorted(daughters.items()) if len(born) > 1]


def _score(name: str, definition: str, source: str = "Matula et al., PLoS ONE 10, e0144959 (2015)") -> Column:
    return Column(name, "float64", "", definition, source)


TRACK_SCORES: tuple[Column, ...] = (
    _score("DET", "1 - cost of mending the nuclei over that of adding all; 1 best, 0 worst"),
    _score("LNK", "1 - cost of mending the links over that of adding all; 1 best, 0 worst"),
    _score("TRA", "1 - cost of mending nuclei and links over that of adding all; 1 best, 0 worst"),
    _score(
        "Division_F1", "2 TP / (true + predicted divisions): mother and both daughters right, at the same frame", ""
    ),
    _score("Division_F1_Near", "the same, a division up to tolerance frames early or late counting as right", ""),
    _score("CompleteTracks", "share of true tracks all of whose links, and its nuclei, one predicted track has", ""),
    _score("True_Nuclei", "nuclei of the truth", ""),
    _score("Missed_Nuclei", "of these, without a predicted one", ""),
    _score("Extra_Nuclei", "predicted nuclei without a true one", ""),
    _score("Merged_Nuclei", "true nuclei that share their predicted one with another", ""),
    _score("True_Links", "links of the truth, from mothers to daughters as well", ""),
    _score("Missed_Links", "of these, not predicted", ""),
    _score("Wrong_Links", "predicted links between true nuclei that the truth does not have", ""),
    _score("True_Divisions", "divisions of the truth", ""),
    _score("Predicted_Divisions", "divisions predicted", ""),
    _score("Right_Divisions", "of these, right at the same frame", ""),
)


@dataclass(frozen=True, slots=True)
class TrackScores:
    """Scores of one movie; NaN where there is nothing to score. See ``TRACK_SCORES``."""

    det: float
    lnk: float
    tra: float
    division_f1: float
    division_f1_near: float
    complete_tracks: float
    true_nuclei: int
    missed_nuclei: int
    extra_nuclei: int
    merged_nuclei: int
    true_links: int
    missed_links: int
    wrong_links: int
    true_divisions: int
    predicted_divisions: int
    right_divisions: int

    def row(self) -> dict[str, float]:
        """The scores by the names of ``TRACK_SCORES``."""
        values = (float(getattr(self, field.name)) for field in fields(self))
        return dict(zip((column.name for column in TRACK_SCORES), values, strict=True))


def score_tracks(truth: TrackGraph, predicted: TrackGraph, matched: Ints, *, tolerance: int = 1) -> TrackScores:
    """Scores of ``predicted`` against ``truth``.

    ``matched`` (n_true,) is each true nucleus' predicted one, -1 for none; in the Cell Tracking Challenge the one that
    covers more than half of it. Several true nuclei may share one. Raises ValueError where frames do not agree.

    DET, LNK and TRA are 1 - min(cost, cost₀) / cost₀ with the weights of Matula et al. 2015: nucleus split 5, added 10,
    deleted 1; link deleted 1, added 1.5, changed in kind 1. Links of nuclei that are extra, or shared, cost nothing
    beside these.
    """
    here = np.flatnonzero(matched >= 0)
    if (truth.frame[here] != predicted.frame[matched[here]]).any():
        raise ValueError("true and predicted nuclei of different frames are matched")
    partners, counts = np.unique(matched[here], return_counts=True)
    shared = int((counts - 1).sum())
    missed, extra = len(matched) - len(here), len(predicted.frame) - len(partners)
    alone = set(partners[counts == 1].tolist())
    back = {int(matched[k]): int(k) for k in here if int(matched[k]) in alone}
    real, given = truth.links(), predicted.links()
    kinds = {(back[a], back[b]): kind for (a, b), kind in given.items() if a in back and b in back}
    absent = sum(link not in kinds for link in real)
    wrong = sum(link not in real for link in kinds)
    changed = sum(real[link] != kind for link, kind in kinds.items() if link in real)
    of_nuclei = _SPLIT * shared + _MISSED * missed + _EXTRA * extra
    of_links = _DELETE * wrong + _ADD * absent + _CHANGE * changed
    nuclei, links = _MISSED * len(matched), _ADD * len(real)
    exact, near = (_right_divisions(truth, predicted, matched, frames) for frames in (0, tolerance))
    n_true, n_predicted = len(truth.divisions()), len(predicted.divisions())
    divided = n_true + n_predicted
    return TrackScores(
        det=_measure(of_nuclei, nuclei),
        lnk=_measure(of_links, links),
        tra=_measure(of_nuclei + of_links, nuclei + links),
        division_f1=2 * exact / divided if divided else np.nan,
        division_f1_near=2 * near / divided if divided else np.nan,
        complete_tracks=_complete(truth, predicted, matched, kinds),
        true_nuclei=len(matched),
        missed_nuclei=missed,
        extra_nuclei=extra,
        merged_nuclei=shared,
        true_links=len(real),
        missed_links=absent,
        wrong_links=wrong,
        true_divisions=n_true,
        predicted_divisions=n_predicted,
        right_divisions=exact,
    )


def _measure(cost: float, most: float) -> float:
    return 1 - min(cost, most) / most if most else float("nan")


def _right_divisions(truth: TrackGraph, predicted: TrackGraph, matched: Ints, tolerance: int) -> int:
    """True divisions that are predicted, each daughter at most ``tolerance`` frames early or late: one that takes her
    mother's last nucleus is early.

    When both divisions are over, the two predicted daughters are the true ones' nuclei, and before both the predicted
    mother is the true one's. Each predicted division counts once.
    """
    real, given = truth.places(), predicted.places()
    ends_true, ends_given = truth.ends(), predicted.ends()
    by_daughter: dict[int, list[int]] = {}
    divisions = predicted.divisions()
    for number, (_, born) in enumerate(divisions):
        for track in born:
            by_daughter.setdefault(track, []).append(number)
    used: set[int] = set()
    for mother, born in truth.divisions():
        starts = [int(truth.frame[ends_true[track][0]]) for track in born]
        frames = range(min(starts), max(starts) + tolerance + 1)
        for number in _near(by_daughter, predicted, matched=matched, places=real, born=born, frames=frames):
            other, theirs = divisions[number]
            begin = [int(predicted.frame[ends_given[track][0]]) for track in theirs]
            late = max(abs(max(begin) - max(starts)), abs(min(begin) - min(starts)))  # of either daughter
            if number in used or late > tolerance:
                continue
            after, before = max(*starts, *begin), min(*starts, *begin) - 1
            daughters = {_partner(matched, real.get((track, after))) for track in born}
            same = daughters == {given.get((track, after), -2) for track in theirs}
            if same and _partner(matched, real.get((mother, before))) == given.get((other, before), -2):
                used.add(number)
                break
    return len(used)


def _near(
    by_daughter: dict[int, list[int]],
    predicted: TrackGraph,
    *,
    matched: Ints,
    places: dict[tuple[int, int], int],
    born: tuple[int, ...],
    frames: range,
) -> list[int]:
    """Predicted divisions one of whose daughters is a true daughter's nucleus in one of ``frames``."""
    found: set[int] = set()
    for track in born:
        for frame in frames:
            partner = _partner(matched, places.get((track, frame)))
            if partner >= 0:
                found.update(by_daughter.get(int(predicted.track[partner]), []))
    return sorted(found)


def _partner(matched: Ints, nucleus: int | None) -> int:
    return -1 if nucleus is None else int(matched[nucleus])


def _complete(truth: TrackGraph, predicted: TrackGraph, matched: Ints, kinds: Mapping[tuple[int, int], bool]) -> float:
    """Share of the true tracks that one predicted track follows from the first to the last nucleus."""
    order = np.lexsort((truth.frame, truth.track))
    tracks = np.split(order, np.flatnonzero(np.diff(truth.track[order])) + 1) if len(order) else []
    whole = 0
    for nuclei in tracks:
        mine = matched[nuclei]
        same = (mine >= 0).all() and len(np.unique(predicted.track[mine])) == 1
        links = zip(nuclei[:-1].tolist(), nuclei[1:].tolist(), strict=True)
        whole += bool(same and all(link in kinds for link in links))
    return whole / len(tracks) if tracks else float("nan")
