"""Plates with time: frames are units of work, fields are linked once their frames are done, stills are as they were."""

from __future__ import annotations

import json
import shutil
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
import zarr
from helpers.run import table_bytes
from helpers.timed import measure_here, run_here

import hcs
from hcs.commands.remeasure import remeasure
from hcs.commands.simulate import SimulationFiles, write_simulation
from hcs.commands.status import status_lines, unfinished
from hcs.config import Config
from hcs.engine.cluster import Workers
from hcs.errors import ConfigError, FieldError, ResultsError
from hcs.plate.keys import FieldKey, WellId
from hcs.run.time_tables import time_tables
from hcs.run.times import settle_time, surveyed, time_lines
from hcs.simulate.settings import SimulationSettings
from hcs.store.plate.field import FieldInfo
from hcs.store.plate.movie_writer import MovieSpec, write_movie
from hcs.store.plate.reader import open_field, open_plate, read_field, read_info
from hcs.store.plate.writer import PlateSpec, create_plate, write_field
from hcs.store.results.verify import verify

FRAMES = 4
SMALL = SimulationSettings(wells=2, size_px=112, frames=FRAMES, interval_min=30.0, seed=3)
A01 = FieldKey(WellId(0, 0), 0)
INFO = FieldInfo(
    shape=(2, 9, 9), z_size=1, t_size=5, dtype=np.dtype(np.uint16), axes="tcyx", channels=("DNA", "S"),
    pixel_size_um=None, level_path="A/01/0/0", chunks=(1, 1, 9, 9), shards=None, interval_min=10.0,
)  # fmt: skip


@pytest.fixture(scope="module")
def movie(tmp_path_factory: pytest.TempPathFactory) -> SimulationFiles:
    return write_simulation(tmp_path_factory.mktemp("movie") / "m.zarr", SMALL)


@pytest.fixture(scope="module")
def whole(movie: SimulationFiles, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Results of the movie, run in one go."""
    out = tmp_path_factory.mktemp("whole") / "out"
    assert not run_here(movie.plate, out, plate_map=movie.plate_map).failed
    return out


def files_of(out: Path, *rooms: str) -> dict[str, bytes]:
    """Every file below the rooms of a results folder, byte by byte, metadata that name the run left out."""
    return {
        str(path.relative_to(out)): path.read_bytes()
        for room in rooms
        for path in sorted((out / room).rglob("*"))
        if path.is_file() and path.name != "zarr.json"
    }


def test_one_table_has_all_frames_with_their_time_and_tracks(movie: SimulationFiles, whole: Path) -> None:
    results = hcs.open_results(whole)
    nuclei = results.nuclei()
    assert sorted(nuclei["Metadata_Timepoint"].unique()) == list(range(FRAMES))
    assert (nuclei["Metadata_Time_min"] == 30.0 * nuclei["Metadata_Timepoint"]).all()
    keys = ["Metadata_Well", "Metadata_Site", "Metadata_Timepoint"]
    assert not nuclei.duplicated([*keys, "Metadata_ObjectNumber"]).any()
    assert not nuclei.duplicated([*keys, "Nuclei_TrackObjects_Label"]).any()  # no track is twice in a frame
    truth = pd.read_parquet(movie.truth)
    inside = truth[~truth["touches_border"]].groupby("frame").size().sum()
    assert len(nuclei[~nuclei["Nuclei_Flag_TouchesBorder"]]) == pytest.approx(inside, rel=0.1)
    last = results.tracks().groupby(["Metadata_Well", "Metadata_Site"])["Track_LastFrame"].max()
    assert (last == FRAMES - 1).all()
    assert len(results.timepoints()) == 2 * FRAMES
    assert set(results.timepoints()["Status"]) <= {"ok", "empty"}
    assert set(results.columns()["table"]) >= {"nuclei", "tracks", "timepoints"}


def test_tables_of_wells_are_of_one_frame(movie: SimulationFiles, whole: Path) -> None:
    results = hcs.open_results(whole)
    nuclei = results.nuclei()
    last = nuclei[nuclei["Metadata_Timepoint"] == FRAMES - 1].groupby("Metadata_Well").size()
    wells = results.wells().set_index("Metadata_Well")["Count_Nuclei"]
    assert wells.loc[last.index].tolist() == last.tolist()
    readouts = results.readouts()
    assert readouts is not None
    assert any(f"of frame {FRAMES - 1} of {FRAMES}, 90 min" in note for note in readouts.notes)
    assert len(results.at_timepoint("first").nuclei()) == (nuclei["Metadata_Timepoint"] == 0).sum()
    with pytest.raises(ResultsError, match="no frame 4"):
        results.at(FRAMES)


def test_labels_and_images_are_read_frame_by_frame(movie: SimulationFiles, whole: Path) -> None:
    results = hcs.open_results(whole)
    nuclei = results.nuclei(wells="A01")
    for frame in range(FRAMES):
        numbers = np.unique(results.labels("A01", frame=frame))
        here = nuclei.loc[nuclei["Metadata_Timepoint"] == frame, "Metadata_ObjectNumber"]
        assert numbers[numbers > 0].tolist() == sorted(here)
    plate = open_plate(str(movie.plate))
    np.testing.assert_array_equal(
        results.image("A01", channel="CDK2", frame=2), read_field(plate, A01.at(2), channels=(1,))[0]
    )
    crop = results.crop(nuclei[nuclei["Metadata_Timepoint"] == 1].iloc[0], size_px=32)
    assert crop.frame == 1
    assert crop.mask.any()
    assert len(results.crops(nuclei.iloc[[0, -1]], size_px=16)) == 2
    with pytest.raises(ResultsError, match="frames 0 to 3; say which one"):
        results.labels("A01")
    with pytest.raises(FieldError, match="4 time points; say which one"):
        read_field(plate, A01, channels=(0,))
    with pytest.raises(FieldError, match="no frame 4"):
        read_field(plate, A01.at(4), channels=(0,))


def test_a_frame_is_read_alone(movie: SimulationFiles) -> None:
    """What a frame costs does not grow with their number: its own chunks are read, and no other."""
    field = open_field(open_plate(str(movie.plate)), A01.at(2))
    field.read(z="refuse")
    array = movie.plate / "A" / "01" / "0" / "0"
    read = [array / "zarr.json", *(path for path in (array / "c" / "2").rglob("*") if path.is_file())]
    assert field.meter.bytes == sum(path.stat().st_size for path in read)
    assert field.missing_chunks() == (0, 2)


def test_a_run_in_pieces_gives_the_same_bytes(movie: SimulationFiles, whole: Path, tmp_path: Path) -> None:
    out = tmp_path / "out"
    _, linked = measure_here(movie.plate, out, plate_map=movie.plate_map, choose=lambda keys: list(keys)[:5][::-1])
    assert sorted(entry.status for entry in linked) == ["ok", "pending"]
    results = hcs.open_results(out)
    lines = list(status_lines(results))
    assert "8 frames: 5 done, 0 failed, 3 pending" in lines
    assert any("pending" in line and "1/4 frames" in line for line in lines)
    assert len([entry for entry in unfinished(results) if "/" in entry.field[4:]]) == 3
    assert not run_here(movie.plate, out, plate_map=movie.plate_map).failed
    rooms = ("nuclei", "frames", "tracks", "labels.zarr")
    assert files_of(out, *rooms) == files_of(whole, *rooms)
    for name in ("wells", "tracks", "frames"):
        pd.testing.assert_frame_equal(results.table(name), hcs.open_results(whole).table(name))
    assert not verify(results).faults


def test_a_frame_that_fails_is_a_gap_until_it_is_mended(movie: SimulationFiles, whole: Path, tmp_path: Path) -> None:
    plate, out = tmp_path / "m.zarr", tmp_path / "out"
    shutil.copytree(movie.plate, plate)
    lost = plate / "A" / "01" / "0" / "0" / "c" / "1"
    lost.rename(tmp_path / "kept")
    _, linked = measure_here(plate, out, plate_map=movie.plate_map)
    assert linked[0].reason.startswith("1 of 4 frames failed (1) and are gaps in its tracks")
    results = hcs.open_results(out)
    assert set(results.nuclei(wells="A01")["Metadata_Timepoint"]) == {0, 2, 3}
    (failed,) = unfinished(results)
    assert (failed.field, failed.status) == ("A01/0/1", "failed")
    assert "holds no data" in failed.reason
    (tmp_path / "kept").rename(lost)
    measure_here(plate, out, plate_map=movie.plate_map)
    assert not unfinished(results)
    rooms = ("nuclei", "frames", "tracks", "labels.zarr")
    assert files_of(out, *rooms) == files_of(whole, *rooms)


def test_a_part_that_was_damaged_is_found_and_its_frame_made_again(
    movie: SimulationFiles, whole: Path, tmp_path: Path
) -> None:
    out = tmp_path / "out"
    shutil.copytree(whole, out)
    part = next((out / "frames").rglob("*t0002.parquet"))
    part.write_bytes(part.read_bytes()[:-1])
    tracks = next((out / "tracks").rglob("*.parquet"))
    tracks.unlink()
    faults = verify(hcs.open_results(out)).faults
    assert {fault.path for fault in faults} >= {part, tracks}
    measure_here(movie.plate, out, plate_map=movie.plate_map)
    assert files_of(out, "nuclei", "frames", "tracks") == files_of(whole, "nuclei", "frames", "tracks")


@pytest.mark.parametrize("ngff", ["0.4", "0.5"])
def test_a_time_axis_of_one_frame_changes_nothing(movie: SimulationFiles, tmp_path: Path, ngff: Any) -> None:
    image = read_field(open_plate(str(movie.plate)), A01.at(0), channels=(0, 1))
    spec = PlateSpec(name="p", wells=(A01.well,), fields_per_well=1, channels=("DNA", "CDK2"), ngff=ngff)
    spec = replace(spec, pixel_size_um=0.65)
    for name in ("still", "timed"):
        create_plate(str(tmp_path / f"{name}.zarr"), spec)
    write_field(str(tmp_path / "still.zarr"), spec, A01, image)
    write_movie(str(tmp_path / "timed.zarr"), spec, A01, MovieSpec(frames=1, interval_min=5.0), [image])
    assert read_info(open_plate(str(tmp_path / "timed.zarr")), A01).axes == "tcyx"
    for name in ("still", "timed"):
        measure_here(tmp_path / f"{name}.zarr", tmp_path / name)
    assert table_bytes(tmp_path / "timed") == table_bytes(tmp_path / "still")
    assert not (tmp_path / "timed" / "frames").exists()
    assert "Metadata_Timepoint" not in hcs.open_results(tmp_path / "timed").nuclei()


@pytest.mark.parametrize("ngff", ["0.4", "0.5"])
@pytest.mark.parametrize(
    ("unit", "scale", "minutes"),
    [("minute", 7.5, 7.5), ("second", 90.0, 1.5), ("hour", 0.5, 30.0), ("ms", 60000, 1.0), (None, 1.0, None),
     ("frame", 1.0, None), ("second", 0.0, None)],
)  # fmt: skip
def test_the_interval_is_that_of_the_axis(
    tmp_path: Path, ngff: Any, unit: str | None, scale: float, minutes: float | None
) -> None:
    plate = tmp_path / "p.zarr"
    spec = PlateSpec(name="p", wells=(A01.well,), fields_per_well=1, channels=("DNA",), ngff=ngff)
    create_plate(str(plate), spec)
    frames = [np.full((1, 40, 40), i + 1, np.uint16) for i in range(3)]
    write_movie(str(plate), spec, A01, MovieSpec(frames=3, interval_min=1.0), frames)
    file = plate / "A" / "01" / "0" / ("zarr.json" if ngff == "0.5" else ".zattrs")
    document = json.loads(file.read_text())
    multiscale = (document["attributes"]["ome"] if ngff == "0.5" else document)["multiscales"][0]
    multiscale["axes"][0].pop("unit")
    multiscale["axes"][0] |= {"unit": unit} if unit else {}
    multiscale["datasets"][0]["coordinateTransformations"][0]["scale"][0] = scale
    file.write_text(json.dumps(document))
    info = read_info(open_plate(str(plate)), A01)
    assert info.t_size == 3
    assert info.interval_min == (None if minutes is None else pytest.approx(minutes))
    assert read_field(open_plate(str(plate)), A01.at(2), channels=(0,)).mean() == 3


def test_an_interval_that_nobody_states_is_not_made_up() -> None:
    config = Config()
    time, notes = settle_time({A01: replace(INFO, interval_min=None)}, config)
    assert time is not None
    assert time["interval_min"] is None
    assert "does not state the interval" in notes[0]
    given, notes = settle_time({A01: INFO}, config.override(interval_min=12.0))
    assert given is not None
    assert given["interval_min"] == 12.0
    assert "the plate says 10 min" in notes[0]
    other = A01.well, 1
    with pytest.raises(ConfigError, match=r"10 min \(A01/0\), 15 min \(A01/1\); say --interval-min"):
        settle_time({A01: INFO, FieldKey(*other): replace(INFO, interval_min=15.0)}, config)
    still, notes = settle_time({A01: replace(INFO, t_size=1)}, config.override(interval_min=12.0))
    assert still is None
    assert "of no use" in notes[0]


def test_frames_that_are_not_evenly_apart_have_their_own_times() -> None:
    """Of the plate, or as the user states; an interval contradicts them, unless they are its frames with some
    missing."""
    uneven = (0.0, 10.0, 20.0, 50.0, 60.0)
    info, config = replace(INFO, interval_min=None, times_min=uneven), Config()
    time, notes = settle_time({A01: info}, config)
    assert time is not None
    assert (time["interval_min"], time["times_min"], notes) == (None, [*uneven], ())
    assert time_lines(time) == (
        "  time             5 frames, unevenly apart, 10 to 30 min, 60 min in all (as the plate states)",
    )
    holes, notes = settle_time({A01: info}, config.override(interval_min=10.0))
    assert holes is not None
    assert (holes["times_min"], notes) == ([*uneven], ())
    even, notes = settle_time({A01: info}, config.override(interval_min=12.0))
    assert even is not None
    assert (even["interval_min"], "unevenly apart" in notes[0]) == (12.0, True)
    given, _ = settle_time({A01: INFO}, config.override(times_min=(5, 6, 8, 9, 10)))
    assert given is not None
    assert (given["times_min"], given["source"]) == ([0.0, 1.0, 3.0, 4.0, 5.0], "--times")
    with pytest.raises(ConfigError, match="gives 2 times, and the plate has 5 frames"):
        settle_time({A01: INFO}, config.override(times_min=(0, 1)))


def test_uneven_times_are_in_every_table(movie: SimulationFiles, tmp_path: Path) -> None:
    minutes = (0.0, 10.0, 100.0, 130.0)
    measure_here(movie.plate, tmp_path / "out", times_min=minutes, labels="none")
    results = hcs.open_results(tmp_path / "out")
    nuclei = results.nuclei()
    assert nuclei.groupby("Metadata_Timepoint")["Metadata_Time_min"].unique().explode().tolist() == [*minutes]
    tables = time_tables(results)
    tracks = tables["tracks"]
    assert tracks["Track_LastMin"].tolist() == [minutes[k] for k in tracks["Track_LastFrame"]]
    assert tables["timepoints"]["Metadata_Time_min"].tolist() == [*minutes, *minutes]
    assert results.record.frame_times.minutes(2) == 100.0


def test_frames_that_are_all_too_large_are_refused_before_the_run() -> None:
    config = Config.model_validate({"tiles": {"max_field_px": 80}})
    with pytest.raises(ConfigError, match=r"have 9 × 9 px, more than tiles.max_field_px = 80, .*max_field_px: 81 in"):
        settle_time({A01: INFO}, config)
    assert settle_time({A01: INFO, replace(A01, field=1): replace(INFO, shape=(2, 8, 9))}, config)[0] is not None


def test_fields_of_other_lengths_are_said() -> None:
    time, notes = settle_time({A01: INFO, replace(A01, field=1): replace(INFO, t_size=3)}, Config())
    assert time is not None
    assert time["frames"] == {"A01/0": 5, "A01/1": 3}
    assert "have not 5 time points" in notes[0] or "have not 3 time points" in notes[0]


def test_what_is_settled_for_the_plate_looks_at_all_times() -> None:
    stills = tuple(FieldKey(WellId(0, c), 0) for c in range(5))
    assert surveyed(stills) == stills
    frames = tuple(FieldKey(WellId(0, c), f).at(t) for c in range(12) for f in range(2) for t in range(60))
    chosen = surveyed(frames)
    assert {key.of_field for key in chosen} == {key.of_field for key in frames}
    thirds = np.histogram([key.frame for key in chosen], [0, 20, 40, 60])[0]
    assert thirds.min() > 0.8 * thirds.max()


def test_labels_of_a_frame_that_were_edited_are_measured_and_linked_again(
    movie: SimulationFiles, whole: Path, tmp_path: Path
) -> None:
    out = tmp_path / "out"
    shutil.copytree(whole, out)
    before = hcs.open_results(out, plate=movie.plate)
    old, parts = before.nuclei(), files_of(out, "frames")
    array = zarr.open_array(out / "labels.zarr" / "A" / "01" / "0" / "labels" / "nuclei" / "0", mode="r+")
    labels = np.asarray(array[1])
    gone = int(labels.max())
    array[1] = np.where(labels == gone, 0, labels)
    remeasure(before, workers=Workers(), say=lambda _: None)
    results = hcs.open_results(out, plate=movie.plate)
    nuclei = results.nuclei()
    assert len(nuclei) == len(old) - 1
    assert gone not in set(results.nuclei(wells="A01").query("Metadata_Timepoint == 1")["Metadata_ObjectNumber"])
    now = files_of(out, "frames")
    assert [name for name in now if now[name] != parts[name]] == ["frames/plate=m/well=A01/field-0000-t0001.parquet"]
    assert results.ledger()["Labels_Edited"].tolist() == [True, False]
    assert results.labels("A01", frame=1).max() < gone
    assert not verify(results).faults
