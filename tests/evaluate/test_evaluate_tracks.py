"""Scores of tracks: by hand, and beside traccuracy's on the same graphs."""

from __future__ import annotations

import networkx as nx
import numpy as np
import pytest
from helpers.movies import MovieSettings, graph_of, make_movie

from hcs.evaluate.tracks import TRACK_SCORES, TrackGraph, score_tracks


def graph(rows: list[tuple[int, int]], parent: dict[int, int] | None = None) -> TrackGraph:
    """Nuclei as (frame, track)."""
    table = np.array(rows, np.int64).reshape(-1, 2)
    return TrackGraph(table[:, 0], table[:, 1], parent or {})


DIVIDING = graph([(0, 1), (1, 1), (2, 2), (2, 3), (3, 2), (3, 3)], {2: 1, 3: 1})
"""One mother over two frames, two daughters over two more: 6 nuclei, 5 links."""
ALL = np.arange(6)


def test_the_truth_itself_has_perfect_scores() -> None:
    scores = score_tracks(DIVIDING, DIVIDING, ALL)
    assert (scores.det, scores.lnk, scores.tra, scores.division_f1, scores.complete_tracks) == (1, 1, 1, 1, 1)
    assert list(scores.row()) == [column.name for column in TRACK_SCORES]


def test_one_daughter_as_the_mother_and_the_other_as_a_stranger() -> None:
    """One link is missing (1.5) and one is of the wrong kind (1), of 5 × 1.5."""
    wrong = graph([(0, 1), (1, 1), (2, 1), (2, 3), (3, 1), (3, 3)])
    scores = score_tracks(DIVIDING, wrong, ALL)
    assert scores.lnk == pytest.approx(1 - 2.5 / 7.5)
    assert scores.tra == pytest.approx(1 - 2.5 / (60 + 7.5))
    assert (scores.det, scores.division_f1, scores.predicted_divisions) == (1, 0, 0)


def test_missed_extra_and_merged_nuclei() -> None:
    truth = graph([(0, 1), (0, 2), (1, 1), (1, 2)])
    predicted = graph([(0, 1), (0, 9), (1, 1)])
    scores = score_tracks(truth, predicted, np.array([0, -1, 2, 2]))
    assert (scores.missed_nuclei, scores.extra_nuclei, scores.merged_nuclei) == (1, 1, 1)
    assert scores.det == pytest.approx(1 - (10 + 1 + 5) / 40)
    assert (scores.missed_links, scores.wrong_links) == (2, 0)


def test_a_division_a_frame_late_is_right_within_the_tolerance_only() -> None:
    late = graph([(0, 1), (1, 1), (2, 1), (2, 4), (3, 2), (3, 3)], {2: 1, 3: 1})
    scores = score_tracks(DIVIDING, late, ALL, tolerance=1)
    assert (scores.division_f1, scores.division_f1_near) == (0, 1)
    assert score_tracks(DIVIDING, late, ALL, tolerance=0).division_f1_near == 0


def test_nothing_to_score_is_no_score() -> None:
    none = graph([])
    scores = score_tracks(none, none, np.zeros(0, np.int64))
    assert all(np.isnan(v) for v in (scores.det, scores.lnk, scores.tra, scores.division_f1, scores.complete_tracks))


def test_graphs_that_cannot_be_are_refused() -> None:
    with pytest.raises(ValueError, match="two nuclei in one frame"):
        graph([(0, 1), (0, 1)])
    with pytest.raises(ValueError, match="different frames"):
        score_tracks(graph([(0, 1)]), graph([(1, 1)]), np.array([0]))


def as_traccuracy(of: TrackGraph, places: np.ndarray) -> object:
    """The same graph, nuclei told by their places in the movie."""
    from traccuracy import TrackingGraph

    made = nx.DiGraph()
    for k, (frame, place) in enumerate(zip(of.frame.tolist(), places.tolist(), strict=True)):
        made.add_node(k, t=frame, y=place[0], x=place[1])
    made.add_edges_from(of.links())
    return TrackingGraph(made, location_keys=["y", "x"])


@pytest.mark.filterwarnings("ignore")
def test_scores_are_those_of_traccuracy() -> None:
    """On a movie with false, missing and wrong links, and divisions at the wrong frame."""
    traccuracy = pytest.importorskip("traccuracy")
    from traccuracy.matchers._base import Matcher
    from traccuracy.metrics import CTCMetrics, DivisionMetrics

    class Known(Matcher):
        """Which nucleus is which is known. traccuracy's own matcher by places pairs some that are far apart."""

        def _compute_mapping(self, *_: object) -> list[tuple[int, int]]:
            return list(enumerate(movie.true_rows.tolist()))

    movie = make_movie(MovieSettings(step=0.4, extra=0.03, frames=20, cells=40))
    found = movie.tracked()
    ours = movie.scored(found)
    places = np.stack([movie.columns[f"Nuclei_AreaShape_Center_{axis}"] for axis in "YX"], axis=1).astype(float)
    truth = as_traccuracy(movie.truth, places[movie.true_rows])
    predicted = as_traccuracy(graph_of(movie.columns, found), places)
    results, _ = traccuracy.run_metrics(truth, predicted, Known(), [CTCMetrics(), DivisionMetrics(max_frame_buffer=0)])
    theirs = results[0]["results"]
    assert ours.wrong_links > 10
    assert (ours.det, ours.lnk, ours.tra) == pytest.approx((theirs["DET"], theirs["LNK"], theirs["TRA"]))
    assert ours.right_divisions == results[1]["results"]["Frame Buffer 0"]["True Positive Divisions"] > 3
