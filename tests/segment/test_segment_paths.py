"""Nuclei followed through frames without them, on paths that are known."""

from __future__ import annotations

from collections.abc import Callable, Sequence

import numpy as np
import pytest

from hcs.segment.carry import Flow
from hcs.segment.faint import Film, Gap
from hcs.segment.paths import Objects, follow, overlap

SIDE, DIAMETER = 128, 22.0
Y, X = np.mgrid[:SIDE, :SIDE]
FRAMES = 15
EARLY, LATE = [0, 1, 2], [12, 13, 14]
MIDDLE = 7
Path = Callable[[int], tuple[float, float]]


def frame_of(paths: Sequence[Path], frame: int, radii: Sequence[float] = (11.0, 11.0)) -> np.ndarray:
    out = np.zeros((SIDE, SIDE), np.uint32)
    for number, (path, radius) in enumerate(zip(paths, radii, strict=False), start=1):
        y, x = path(frame)
        out[np.hypot(Y - y, X - x) < radius] = number
    return out


def turning(frame: int) -> tuple[float, float]:
    """To the right, then down: a quarter of a circle."""
    angle = np.pi / 2 * frame / (FRAMES - 1)
    return 90 - 34 * float(np.cos(angle)), 40 + 34 * float(np.sin(angle))


def objects(paths: Sequence[Path], frames: Sequence[int]) -> dict[int, Objects]:
    return {k: Objects.of(frame_of(paths, k)) for k in frames}


def middle_of(mask: np.ndarray) -> np.ndarray:
    return np.argwhere(mask).mean(axis=0)


def test_a_nucleus_goes_on_as_it_came_and_arrives_as_it_goes_on() -> None:
    """The straight line between both ends is 5 px off the path in the middle, the smooth one by less than 1."""
    found = follow(objects([turning], EARLY + LATE), EARLY, LATE, diameter_px=DIAMETER).at(MIDDLE)
    straight = (np.array(turning(EARLY[-1])) + turning(LATE[0])) / 2
    assert found.max() == 1
    assert np.hypot(*(middle_of(found > 0) - turning(MIDDLE))) < 1.0
    assert np.hypot(*(straight - turning(MIDDLE))) > 4.5
    assert (found > 0).sum() == pytest.approx(np.pi * 11**2, rel=0.05)


def test_nuclei_that_pass_each_other_are_told_apart_by_their_speed() -> None:
    """Each one's place behind the gap is nearer to the other one's before it."""
    paths: list[Path] = [lambda k: (52, 29 + 5.0 * k), lambda k: (76, 99 - 5.0 * k)]
    found = follow(objects(paths, EARLY + LATE), EARLY, LATE, diameter_px=30.0).at(4)
    assert found.max() == 2
    for path in paths:
        number = found[round(path(4)[0]), round(path(4)[1])]
        assert np.hypot(*(middle_of(found == number) - path(4))) < 1.5


def test_a_nucleus_missed_in_the_nearest_clear_frame_is_followed_and_a_speck_of_one_frame_is_not() -> None:
    found = objects([turning, lambda _: (100, 30)], EARLY + LATE)
    found[2] = Objects.of(frame_of([turning], 2))
    assert follow(found, EARLY, LATE, diameter_px=DIAMETER).at(MIDDLE).max() == 2
    speck = objects([turning], EARLY + LATE) | {1: Objects.of(frame_of([turning, lambda _: (100, 30)], 1))}
    assert follow(speck, EARLY, LATE, diameter_px=DIAMETER).at(4).max() == 1


def test_what_one_side_alone_has_is_taken_where_that_is_nearer() -> None:
    stays: Path = lambda _: (100, 30)  # noqa: E731
    found = objects([turning, stays], EARLY) | objects([turning], LATE)
    paths = follow(found, EARLY, LATE, diameter_px=DIAMETER)
    assert [int(paths.at(k).max()) for k in (3, 11)] == [2, 1]


def test_what_is_found_on_the_way_corrects_the_path_where_it_has_the_shape() -> None:
    """A nucleus that leaves its path for 6 px and comes back; a small object beside the path is none."""
    strays: Path = lambda k: (64 + 6 * float(np.sin(np.pi * max(min(k - 2, 10), 0) / 10)), 30.0 + 3 * k)  # noqa: E731
    ends = objects([strays], EARLY + LATE)
    off = {}
    for name, radius in (("none", 0.0), ("itself", 11.0), ("small", 7.0)):
        seen = {k: Objects.of(frame_of([strays], k, [radius])) for k in (6, 8)} if radius else {}
        found = follow(ends | seen, EARLY, LATE, diameter_px=DIAMETER).at(MIDDLE)
        off[name] = float(np.hypot(*(middle_of(found > 0) - strays(MIDDLE))))
    assert off["itself"] < 1.0
    assert off["none"] == off["small"] > 5.0


def film(labels: Sequence[np.ndarray], flow: Callable[[int, int], Flow | None]) -> Film:
    clear = np.isin(np.arange(len(labels)), EARLY + LATE)
    seen = [frame if shown else frame * 0 for frame, shown in zip(labels, clear, strict=True)]
    return Film(clear, labels.__getitem__, lambda k: Objects.of(seen[k]), flow, DIAMETER)


def still(_source: int, _frame: int) -> Flow | None:
    return None


def straying(source: int, frame: int) -> Flow:
    """The movement of a nucleus that turns back half-way, as a picture may show it."""
    there = 12 * (1 - abs(frame - MIDDLE) / 5) if 2 < frame < 12 else 0.0
    assert source in (2, 12)
    return np.stack([np.zeros((SIDE, SIDE)), np.full((SIDE, SIDE), -there)], axis=-1).astype(np.float32)


def test_nuclei_are_carried_along_the_picture_where_both_sides_agree_better_on_that() -> None:
    labels = [frame_of([lambda k: (64, 40 + 2.5 * k)], k) for k in range(FRAMES)]
    gap = Gap.around(MIDDLE, film(labels, still))
    assert gap.paths is not None  # left where they were, both sides share little
    found, remark = gap.nuclei(MIDDLE, labels[0] * 0, film(labels, still))
    assert overlap(found, labels[MIDDLE]) > 0.95
    assert "frame 2 and 12" in remark
    there: Path = lambda k: (64 + 12 * (1 - abs(k - MIDDLE) / 5) if 2 < k < 12 else 64, 60.0 + k)  # noqa: E731
    turns = [frame_of([lambda k: (there(k)[0], 60.0)], k) for k in range(FRAMES)]
    turns[1] = turns[13] = frame_of([lambda _: (70, 60)], 0)  # speeds that lead away from each other
    turns[0] = frame_of([lambda _: (76, 60)], 0)
    shown = Gap.around(MIDDLE, film(turns, straying))
    assert shown.paths is None
    assert overlap(shown.nuclei(MIDDLE, turns[0] * 0, film(turns, straying))[0], turns[MIDDLE]) > 0.95


def test_a_gap_whose_sides_tell_of_other_nuclei_keeps_what_its_frames_show() -> None:
    labels = [frame_of([lambda _: (30, 30)] if k < MIDDLE else [lambda _: (90, 90)], k) for k in range(FRAMES)]
    own = frame_of([lambda _: (60, 60)], 0)
    found, remark = Gap.around(MIDDLE, film(labels, still)).nuclei(MIDDLE, own, film(labels, still))
    assert (found == own).all()
    assert "film more often" in remark


def test_a_movie_that_ends_faint_is_carried_from_its_clear_frames() -> None:
    labels = [frame_of([lambda _: (40, 40)], k) for k in range(3)]
    dark = Film(np.array([True, False, False]), labels.__getitem__, lambda _: None, still, DIAMETER)
    found, remark = Gap.around(2, dark).nuclei(2, labels[2] * 0, dark)
    assert ((found > 0) == (labels[0] > 0)).all()
    assert remark.endswith("from frame 0")
    none = Film(np.zeros(3, np.bool_), labels.__getitem__, lambda _: None, still, DIAMETER)
    assert Gap.around(1, none).nuclei(1, labels[1], none) == (labels[1], "")
