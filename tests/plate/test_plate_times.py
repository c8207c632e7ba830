"""When frames were taken: even, uneven, with holes, and as a user states them in a file."""

from __future__ import annotations

import math
from pathlib import Path

import pytest

from hcs.errors import ConfigError
from hcs.plate.times import FrameTimes, check_times, places_by_name
from hcs.store.times import read_times


def test_frames_near_even_places_have_an_interval_and_others_their_own_times() -> None:
    assert FrameTimes.of([5, 24.5, 45.3, 65]) == FrameTimes(20.0)
    uneven = FrameTimes.of([5, 25, 65])
    assert uneven == FrameTimes(None, (0.0, 20.0, 60.0))
    assert [uneven.minutes(k) for k in range(3)] == [0.0, 20.0, 60.0]
    assert math.isnan(uneven.minutes(3))
    assert math.isnan(FrameTimes().minutes(1))
    assert (uneven.on_grid(20.0), uneven.on_grid(25.0)) == (True, False)
    # Slow at first and fast later: every step is within a tenth of the mean one, and no frame where it would be.
    assert FrameTimes.of([0, 11, 22, 33, 42, 51, 60]).interval_min is None


@pytest.mark.parametrize(
    ("names", "places"),
    [
        (["1", "2", "3"], (0, 1, 2)),
        (["000", "001", "003"], (0, 1, 3)),
        (["0", "15", "45"], (0, 1, 3)),
        (["a", "b"], None),
    ],
)
def test_a_number_that_is_missing_is_a_frame_that_is_missing(names: list[str], places: tuple[int, ...] | None) -> None:
    assert places_by_name(names) == places


def test_times_that_do_not_rise_are_refused() -> None:
    with pytest.raises(ConfigError, match="frame 2 is at 10 min and the one before at 10 min"):
        check_times([0, 10, 10], "x")
    with pytest.raises(ConfigError, match="gives 1 times"):
        check_times([0], "x")


def test_times_are_read_from_a_sheet(tmp_path: Path) -> None:
    file = tmp_path / "t.csv"
    file.write_text("frame;hours\n2;3,5\n")
    with pytest.raises(ConfigError, match="row 2 is"):
        read_times(file)
    file.write_text("frame,hours\n1,3.5\n0,1\n2,4\n")
    assert read_times(file) == (0.0, 150.0, 180.0)
    file.write_text("Minutes\n4\n6\n")
    assert read_times(file) == (0.0, 2.0)
    file.write_text("frame,minutes\n0,1\n2,4\n")
    with pytest.raises(ConfigError, match="every frame once"):
        read_times(file)
    file.write_text("frame,when\n0,1\n2,4\n")
    with pytest.raises(ConfigError, match="has the columns frame, when"):
        read_times(file)
    with pytest.raises(ConfigError, match="cannot be read"):
        read_times(tmp_path / "none.csv")
