"""Links, gaps, divisions and drift, on movies made by hand and on simulated ones with known tracks."""

from __future__ import annotations

from itertools import permutations
from pathlib import Path

import numpy as np
import numpy.typing as npt
import pytest
import tifffile
from helpers.movies import MovieSettings, graph_of, make_movie

from hcs.errors import ConfigError
from hcs.evaluate.tracks import TrackGraph, score_tracks
from hcs.tracks.columns import NUCLEUS_COLUMNS, TRACK_COLUMNS
from hcs.tracks.detections import NEEDED, make_detections
from hcs.tracks.drift import field_drift
from hcs.tracks.field import FieldTracks, track_field
from hcs.tracks.linking import assign, assign_parts
from hcs.tracks.settings import TrackSettings

LABEL = "Nuclei_TrackObjects_Label"
Rows = list[tuple[int, float, float, float, float]]


def columns_of(rows: Rows) -> dict[str, npt.NDArray]:
    """Columns from rows of (frame, y, x, area, DNA content); numbers count from 1 in every frame."""
    table = np.array(rows, np.float64).reshape(-1, 5)
    number = [sum(r[0] == rows[k][0] for r in rows[:k]) + 1 for k in range(len(rows))]
    return {
        "Metadata_Timepoint": table[:, 0].astype(np.int32),
        "Metadata_ObjectNumber": np.array(number, np.int64),
        "Nuclei_AreaShape_Center_Y": table[:, 1].astype(np.float32),
        "Nuclei_AreaShape_Center_X": table[:, 2].astype(np.float32),
        "Nuclei_AreaShape_Area": table[:, 3].astype(np.int32),
        "Nuclei_DNA_Content": table[:, 4],
    }


def tracked(rows: Rows, *, interval_min: float | None = 20.0, **settings: float) -> FieldTracks:
    return track_field(
        columns_of(rows), interval_min=interval_min, shape_px=(500, 500), settings=TrackSettings(**settings)
    )


def crowd(frames: range, *, count: int = 12, seed: int = 0) -> Rows:
    """Nuclei that stay where they are, give or take a pixel, around the middle of the field that tests leave free."""
    rng = np.random.default_rng(seed)
    angle = 2 * np.pi * np.arange(count) / count
    places = 250 + 180 * np.stack([np.sin(angle), np.cos(angle)], axis=1)
    sizes = rng.uniform(250, 350, count)
    return [
        (frame, *(place + rng.normal(0, 1, 2)), size * np.exp(rng.normal(0, 0.03)), 1000 * np.exp(rng.normal(0, 0.03)))
        for frame in frames
        for place, size in zip(places, sizes, strict=True)
    ]


def middle(found: FieldTracks, rows: Rows) -> list[int]:
    """Tracks of the nuclei within 100 px of the middle, in the order of rows."""
    near = [np.hypot(row[1] - 250, row[2] - 250) < 100 for row in rows]
    return found.nuclei[LABEL][near].tolist()


def row_of(found: FieldTracks, track: int) -> dict[str, object]:
    return {name: values[track - 1] for name, values in found.tracks.items()}


def test_a_nucleus_that_stays_is_one_track() -> None:
    rows = crowd(range(10))
    found = tracked(rows)
    assert len(found.tracks["Track_Label"]) == 12
    assert set(found.tracks["Track_Began"]) == {"start"}
    assert set(found.tracks["Track_Ended"]) == {"end"}
    assert (found.tracks["Track_Frames"] == 10).all()
    assert found.tracks["Track_LastMin"].tolist() == [180.0] * 12
    assert (found.nuclei["Nuclei_TrackObjects_Lifetime"] == np.repeat(np.arange(10) + 1, 12)).all()
    assert (found.tracks["Track_Quality"] > 0.95).all()


def test_the_tables_have_their_columns_and_types_with_and_without_nuclei() -> None:
    for rows in (crowd(range(3)), crowd(range(1)), []):
        found = tracked(rows)
        for table, columns, n in (
            (found.nuclei, NUCLEUS_COLUMNS, len(rows)),
            (found.tracks, TRACK_COLUMNS, 12 if rows else 0),
        ):
            assert list(table) == [column.name for column in columns]
            for column in columns:
                assert table[column.name].dtype == np.dtype("O" if column.dtype == "string" else column.dtype)
                assert table[column.name].shape == (n,)


def test_the_result_follows_the_rows_in_any_order() -> None:
    movie = make_movie(MovieSettings(frames=15, cells=30, missed=0.03))
    found = movie.tracked()
    order = np.random.default_rng(1).permutation(len(movie.true_rows))
    shuffled = track_field(
        {name: values[order] for name, values in movie.columns.items()},
        interval_min=10.0,
        shape_px=movie.shape_px,
        settings=TrackSettings(),
    )
    for name, values in found.nuclei.items():
        np.testing.assert_array_equal(values[order], shuffled.nuclei[name])
    for name, values in found.tracks.items():
        np.testing.assert_array_equal(values, shuffled.tracks[name])


@pytest.mark.parametrize("missed", [1, 2, 3])
def test_a_nucleus_that_is_missed_is_found_again_after_two_frames_and_not_after_three(missed: int) -> None:
    rows = crowd(range(12))
    rows += [(t, 250.0, 250.0 + t, 300.0, 1000.0) for t in range(12) if not 5 <= t < 5 + missed]
    rows.sort(key=lambda row: row[0])
    found = tracked(rows, max_gap=2)
    tracks = list(dict.fromkeys(middle(found, rows)))
    assert len(tracks) == (1 if missed <= 2 else 2)
    if missed <= 2:
        assert row_of(found, tracks[0])["Track_Gaps"] == missed
    else:
        assert row_of(found, tracks[0])["Track_Ended"] == "lost"
        assert row_of(found, tracks[1])["Track_Began"] == "appeared"


def test_a_frame_without_any_nucleus_is_linked_over() -> None:
    rows = [row for row in crowd(range(9)) if row[0] != 4]
    found = tracked(rows)
    assert len(found.tracks["Track_Label"]) == 12
    assert (found.tracks["Track_Gaps"] == 1).all()
    assert any("1 frame(s)" in note for note in found.notes)


def division(frames: range, at: int, *, halves: tuple[float, float] = (0.5, 0.5), lasting: int = 99) -> Rows:
    """A nucleus of 2000 DNA units in the middle that becomes two at frame ``at``, for ``lasting`` frames."""
    rows: Rows = []
    for t in frames:
        if t < at or t >= at + lasting:
            rows.append((t, 250.0, 250.0, 400.0, 2000.0))
        else:
            for sign, share in zip((-1, 1), halves, strict=True):
                rows.append((t, 250.0, 250.0 + sign * (10 + 0.5 * (t - at)), 400 * share, 2000 * share))
    return rows


def test_a_division_gives_two_tracks_with_their_mother() -> None:
    rows = sorted(crowd(range(12)) + division(range(12), 6), key=lambda row: row[0])
    found = tracked(rows)
    mother, first, second = dict.fromkeys(middle(found, rows))
    assert row_of(found, mother)["Track_Ended"] == "divided"
    for daughter in (first, second):
        assert row_of(found, daughter)["Track_Parent"] == mother
        assert row_of(found, daughter)["Track_Lineage"] == mother
        assert row_of(found, daughter)["Track_Began"] == "divided"
        assert row_of(found, daughter)["Track_FirstFrame"] == 6
    of_daughter = found.nuclei[LABEL] == first
    assert set(found.nuclei["Nuclei_TrackObjects_ParentLabel"][of_daughter]) == {mother}
    assert found.nuclei["Nuclei_TrackObjects_ParentTimepoint"][of_daughter].tolist()[:2] == [5, 6]
    number = columns_of(rows)["Metadata_ObjectNumber"]
    last = np.flatnonzero(found.nuclei[LABEL] == mother)[-1]
    assert found.nuclei["Nuclei_TrackObjects_ParentObjectNumber"][of_daughter][0] == number[last]


def test_without_divisions_a_daughter_is_a_nucleus_that_appeared() -> None:
    rows = sorted(crowd(range(12)) + division(range(12), 6), key=lambda row: row[0])
    found = tracked(rows, divisions=False)
    assert "divided" not in set(found.tracks["Track_Began"]) | set(found.tracks["Track_Ended"])
    assert (found.tracks["Track_Parent"] == 0).all()


def test_a_nucleus_cut_in_two_for_a_frame_is_no_division() -> None:
    rows = sorted(crowd(range(12)) + division(range(12), 6, lasting=1), key=lambda row: row[0])
    found = tracked(rows)
    assert "divided" not in set(found.tracks["Track_Ended"])
    assert (found.tracks["Track_FirstFrame"] == 0).sum() == 13
    assert (found.tracks["Track_Frames"][found.tracks["Track_FirstFrame"] == 6] == 1).all()


def test_a_neighbour_that_appears_whole_is_no_daughter() -> None:
    """The nucleus beside which it appears keeps its DNA, so it has not divided."""
    rows = crowd(range(12)) + [(t, 250.0, 250.0, 300.0, 1000.0) for t in range(12)]
    rows += [(t, 250.0, 270.0, 300.0, 1000.0) for t in range(6, 12)]
    found = tracked(sorted(rows, key=lambda row: row[0]))
    assert "divided" not in set(found.tracks["Track_Ended"])
    assert "appeared" in set(found.tracks["Track_Began"])


def test_two_nuclei_that_touch_for_some_frames_are_merged_and_no_division() -> None:
    rows = crowd(range(14))
    for t in range(14):
        if 5 <= t < 9:
            rows.append((t, 250.0, 250.0, 600.0, 2000.0))
        else:
            rows += [(t, 250.0, 250.0 + side, 300.0, 1000.0) for side in (-10, 10)]
    found = tracked(sorted(rows, key=lambda row: row[0]))
    assert "divided" not in set(found.tracks["Track_Ended"])
    assert "merged" in set(found.tracks["Track_Ended"])


def test_nuclei_that_the_border_cuts_are_no_divisions() -> None:
    """A sliver that came in was taken for a daughter in one division of 18."""
    scores = [
        movie.scored(movie.tracked()) for movie in (make_movie(MovieSettings(cut=True, seed=k)) for k in range(5))
    ]
    right, predicted = (sum(getattr(s, f"{name}_divisions") for s in scores) for name in ("right", "predicted"))
    assert right / predicted > 0.97
    assert right / sum(s.true_divisions for s in scores) > 0.95


def beside_the_border(daughter: float) -> FieldTracks:
    """A nucleus 20 px from the border, beside which a sliver comes in at frame 6; ``daughter`` is what it has from then
    on of its area and DNA, and how far it moves away."""
    rows = crowd(range(12))
    rows += [(t, 250.0, 480.0, 300.0, 1000.0) for t in range(6)]
    rows += [(t, 250.0, 480.0 - 24 * (1 - daughter), 300.0 * daughter, 1000.0 * daughter) for t in range(6, 12)]
    rows += [(t, 252.0, 497.0 - 3 * (1 - daughter), 40.0, 130.0) for t in range(6, 12)]
    rows.sort(key=lambda row: row[0])
    columns = columns_of(rows) | {"Nuclei_Flag_TouchesBorder": np.array([row[2] > 490 for row in rows])}
    return track_field(columns, interval_min=20.0, shape_px=(500, 500), settings=TrackSettings())


def test_a_sliver_that_comes_in_at_the_border_is_no_daughter() -> None:
    """The border cuts it, so that it looks like no nucleus; its neighbour stays what it was. Where that is halved, it
    has divided, for a daughter may be cut as well."""
    assert set(beside_the_border(1.0).tracks["Track_Ended"]) == {"end"}
    assert (beside_the_border(0.5).tracks["Track_Ended"] == "divided").sum() == 1


def test_two_divisions_of_a_line_within_the_shortest_cycle_are_not_both_believed() -> None:
    rows = crowd(range(16)) + division(range(16), 5)
    rows = [row for row in rows if not (row[0] >= 9 and 240 < row[1] < 260 and 200 < row[2] < 250)]
    for t in range(9, 16):
        rows += [(t, 250.0 + side, 238.0 - 0.5 * (t - 5), 100.0, 500.0) for side in (-9, 9)]
    rows.sort(key=lambda row: row[0])
    often = tracked(rows, interval_min=20.0)
    seldom = tracked(rows, interval_min=120.0)
    columns = columns_of(rows) | {"Metadata_Time_min": np.array([20.0 * row[0] + 300 * (row[0] >= 7) for row in rows])}
    paused = track_field(columns, interval_min=None, shape_px=(500, 500), settings=TrackSettings())
    assert (paused.tracks["Track_Ended"] == "divided").sum() == 2  # frames that are not evenly apart have their times
    assert (often.tracks["Track_Ended"] == "divided").sum() == 1
    assert (seldom.tracks["Track_Ended"] == "divided").sum() == 2


def test_a_nucleus_that_shrinks_and_condenses_has_died() -> None:
    rows = crowd(range(14))
    rows += [(t, 250.0, 250.0, 300.0 if t < 7 else 90.0, 1000.0) for t in range(14)]
    rows.sort(key=lambda row: row[0])
    found = tracked(rows)
    (track,) = dict.fromkeys(middle(found, rows))
    assert row_of(found, track)["Track_Ended"] == "died"
    assert row_of(found, track)["Track_DeathFrame"] == 7
    assert row_of(found, track)["Track_AreaJumps"] == 1


def test_a_nucleus_that_dies_early_is_told_by_its_frames_before() -> None:
    """Dead for two thirds of its track, so that its own median is a dead one's; DNA unchanged in half of the area. A
    nucleus that loses half of its area and its DNA with it is one that was cut."""
    rows = crowd(range(14))
    rows += [(t, 250.0, 250.0, 300.0 if t < 4 else 150.0, 1000.0) for t in range(14)]
    rows += [(t, 150.0, 300.0, 300.0 if t < 4 else 150.0, 1000.0 if t < 4 else 500.0) for t in range(14)]
    rows.sort(key=lambda row: row[0])
    found = tracked(rows)
    assert found.tracks["Track_DeathFrame"].tolist().count(4) == 1
    (track,) = dict.fromkeys(middle(found, rows))
    assert row_of(found, track)["Track_Ended"] == "died"


def test_nuclei_that_cross_the_border_entered_and_left() -> None:
    rows = crowd(range(12))
    rows += [(t, 250.0, 495.0 - 6.0 * (t - 4), 300.0, 1000.0) for t in range(4, 12)]
    rows += [(t, 100.0, 5.0 + 6.0 * (7 - t), 300.0, 1000.0) for t in range(8)]
    found = tracked(sorted(rows, key=lambda row: row[0]))
    assert found.tracks["Track_Began"].tolist().count("entered") == 1
    assert found.tracks["Track_Ended"].tolist().count("left") == 1


def test_the_stage_may_jump_by_two_nuclei() -> None:
    rows = crowd(range(8))
    jumped = [(t, y + 37.0 * (t >= 4), x - 25.0 * (t >= 4), area, dna) for t, y, x, area, dna in rows]
    found = tracked(jumped)
    assert len(found.tracks["Track_Label"]) == 12
    assert (found.tracks["Track_Path"] < 20).all()
    assert any("moved by up to" in note for note in found.notes)
    drift = field_drift(make_detections(columns_of(jumped), (500, 500)))
    np.testing.assert_allclose(drift[-1], [37, -25], atol=2)


def test_nuclei_too_far_from_frame_to_frame_are_said_to_be() -> None:
    movie = make_movie(MovieSettings(frames=10, cells=60, step=1.0))
    assert any("film more often" in note for note in movie.tracked().notes)


def test_the_assignment_is_the_best_of_all() -> None:
    rng = np.random.default_rng(3)
    columns = np.array(list(permutations(range(9), 4)))
    for _ in range(40):
        table = np.where(rng.random((4, 5)) < 0.5, rng.uniform(0.1, 5, (4, 5)), -1.0)
        i, j = np.nonzero(table > 0)
        padded = np.concatenate([np.maximum(table, 0), np.zeros((4, 4))], axis=1)
        best = padded[np.arange(4), columns].sum(axis=1).max()
        for solve in (assign, assign_parts):
            chosen = solve(i, j, table[i, j], (4, 5))
            assert len(set(i[chosen])) == len(set(j[chosen])) == len(chosen)
            assert table[i[chosen], j[chosen]].sum() == pytest.approx(best)


@pytest.mark.parametrize(
    ("changes", "links", "divisions", "complete"),
    [
        ({}, 0.995, 0.95, 0.98),
        ({"cells": 120, "step": 0.15, "frames": 12}, 0.995, 0.95, 0.97),
        ({"drift_px": (5.0, -2.0), "shake_px": 4.0}, 0.998, 0.95, 0.95),
        ({"missed": 0.03, "extra": 0.02}, 0.99, 0.85, 0.95),
        ({"dying": 0.004}, 0.995, 0.95, 0.97),
    ],
)
def test_simulated_movies_are_tracked(
    changes: dict[str, object], links: float, divisions: float, complete: float
) -> None:
    movie = make_movie(MovieSettings(**changes))
    scores = movie.scored(movie.tracked())
    assert scores.lnk >= links
    assert scores.division_f1 >= divisions
    assert scores.complete_tracks >= complete


def test_a_track_is_right_as_often_as_its_quality_says() -> None:
    """In movies that are hard: 0.4 diameters a step, or 8 % of the nuclei missed."""
    quality, right = [], []
    for seed, changes in enumerate(({"step": 0.4}, {"step": 0.3, "cells": 90}, {"missed": 0.08, "extra": 0.05})):
        movie = make_movie(MovieSettings(seed=seed, frames=25, **changes))
        found = movie.tracked()
        quality += found.tracks["Track_Quality"].tolist()
        right += movie.right_tracks(found).tolist()
    score, truth = np.array(quality), np.array(right)
    for low, high in ((0.0, 0.5), (0.5, 0.8), (0.8, 1.01)):
        here = (score >= low) & (score < high)
        assert here.sum() > 20
        assert -0.1 < truth[here].mean() - score[here].mean() < 0.2


def test_settings_that_cannot_be_are_refused() -> None:
    for name, value in (("max_step_px", 0.0), ("max_gap", -1), ("min_daughter_frames", 0), ("dead_bright", 1.4)):
        with pytest.raises(ConfigError, match=rf"tracks\.{name}"):
            TrackSettings(**{name: value})


def test_a_missing_column_is_named() -> None:
    columns = columns_of(crowd(range(2)))
    del columns["Nuclei_AreaShape_Area"]
    with pytest.raises(ValueError, match="Nuclei_AreaShape_Area"):
        track_field(columns, interval_min=None, shape_px=(500, 500), settings=TrackSettings())


def test_the_migration_movie_is_linked_from_its_true_nuclei(shared_data: Path) -> None:
    """86 frames, 25,719 links, 101 divisions: links of 0.99 and divisions of 0.80 are asked for."""
    folder = shared_data / "timelapse" / "laptrack-cellmigration" / "02_GT" / "TRA"
    if not folder.is_dir():
        pytest.skip(f"{folder} is missing")
    rows: list[tuple[float, ...]] = []
    for frame, path in enumerate(sorted(folder.glob("man_track*.tif"))):
        labels = tifffile.imread(path)
        place = np.nonzero(labels)
        all_areas = np.bincount(labels[place])
        names = np.flatnonzero(all_areas)
        area = all_areas[names]
        y, x = (np.bincount(labels[place], weights=axis)[names] / area for axis in place)
        rows += zip(np.full(len(names), frame), names, y, x, area, strict=True)
    table = np.array(rows, np.float64)
    parents = np.loadtxt(folder / "man_track.txt", dtype=np.int64)
    frames, numbers = table[:, 0].astype(np.int64), table[:, 1].astype(np.int64)
    truth = TrackGraph(frames, numbers, {int(track): int(mother) for track, _, _, mother in parents if mother})
    columns = dict(zip(NEEDED, table[:, (0, 1, 3, 2, 4)].T, strict=True))
    found = track_field(columns, interval_min=None, shape_px=labels.shape, settings=TrackSettings())
    scores = score_tracks(truth, graph_of(columns, found), np.arange(len(table)))
    assert scores.lnk >= 0.999
    assert scores.division_f1 >= 0.93
    assert scores.complete_tracks >= 0.99
