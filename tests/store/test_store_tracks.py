"""Tracks written for other programs, and read again by theirs and by `hcs evaluate --tracks`."""

from __future__ import annotations

import json
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
import tifffile
from helpers.run import call_hcs

from hcs.errors import ConfigError, ResultsError
from hcs.plate.keys import FieldKey, WellId
from hcs.store.results.tracks import export_ctc, export_geff, export_napari
from hcs.tracks.challenge import challenge_tracks

TRACK = "Nuclei_TrackObjects_"


def nuclei() -> pd.DataFrame:
    """Track 1 divides into 2 and 3 after two frames; 3 is missed in frame 3. Numbers differ from tracks."""
    rows = [(0, 5, 1, 0, 0, -1), (1, 7, 1, 0, 5, 0), (2, 1, 2, 1, 7, 1), (2, 2, 3, 1, 7, 1), (3, 4, 2, 1, 1, 2)]
    rows += [(4, 1, 2, 1, 4, 3), (4, 2, 3, 1, 2, 2)]
    names = ("Metadata_Timepoint", "Metadata_ObjectNumber", f"{TRACK}Label", f"{TRACK}ParentLabel")
    table = pd.DataFrame(rows, columns=[*names, f"{TRACK}ParentObjectNumber", f"{TRACK}ParentTimepoint"])
    place = table["Metadata_ObjectNumber"].to_numpy(float)
    return table.assign(
        **{
            "Metadata_Site": 0,
            "Nuclei_AreaShape_Center_Y": 4 * place,
            "Nuclei_AreaShape_Center_X": 3.0,
            f"{TRACK}LinkScore": 0.9,
            f"{TRACK}Quality": 0.8,
        }
    )


@dataclass
class Stub:
    """As much of Results as exports of tracks read: one field, the nuclei of which are squares of 3 px."""

    table: pd.DataFrame
    folder: str = "results"
    frames_: int = 6

    @property
    def record(self) -> Stub:
        return self

    def frames(self, key: FieldKey) -> int:
        return self.frames_

    def stored_columns(self) -> tuple[str, ...]:
        return tuple(self.table.columns)

    def known_field(self, well: str, field: int, frame: int | None) -> FieldKey:
        return FieldKey(WellId.parse(well), field)

    def nuclei_by_well(self, columns: list[str], *, wells: object) -> Iterator[tuple[str, pd.DataFrame]]:
        yield "B03", self.table[columns].sample(frac=1, random_state=0)

    def labels(self, well: str, field: int, *, frame: int) -> np.ndarray:
        image = np.zeros((40, 10), np.uint32)
        for number in self.table.query("Metadata_Timepoint == @frame")["Metadata_ObjectNumber"]:
            image[4 * number : 4 * number + 3, 2:5] = number
        return image


def test_a_track_with_a_gap_is_two_in_the_challenge() -> None:
    table = nuclei()
    track, frame = (table[name].to_numpy(np.int64) for name in (f"{TRACK}Label", "Metadata_Timepoint"))
    named, listed = challenge_tracks(track, frame, {1: 0, 2: 1, 3: 1})
    assert listed.tolist() == [[1, 0, 1, 0], [2, 2, 4, 1], [3, 2, 2, 1], [4, 4, 4, 3]]
    assert named.tolist() == [1, 1, 2, 3, 2, 2, 4]


def test_challenge_folders_have_labels_by_track_of_every_frame(tmp_path: Path) -> None:
    results = Stub(nuclei())
    assert export_ctc(results, tmp_path / "ctc") == 1
    folder = tmp_path / "ctc" / "B03-0_RES"
    images = [tifffile.imread(path) for path in sorted(folder.glob("mask*.tif"))]
    assert [sorted(set(image.ravel().tolist()) - {0}) for image in images] == [[1], [1], [2, 3], [2], [2, 4], []]
    assert images[1][4 * 7, 3] == 1
    assert (folder / "res_track.txt").read_text().splitlines() == ["1 0 1 0", "2 2 4 1", "3 2 2 1", "4 4 4 3"]
    with pytest.raises(ConfigError, match="may hold other things"):
        export_ctc(results, tmp_path / "ctc")


def test_challenge_folders_are_scored_by_the_command_line(tmp_path: Path) -> None:
    """The truth itself has 1; a folder that calls a daughter by her mother's number has not."""
    export_ctc(Stub(nuclei()), tmp_path / "ctc")
    truth, wrong, out = tmp_path / "ctc" / "B03-0_RES", tmp_path / "wrong", tmp_path / "out"
    wrong.mkdir()
    for path in truth.glob("mask*.tif"):
        image = tifffile.imread(path)
        tifffile.imwrite(wrong / path.name, np.where(image == 2, 1, image))
    (wrong / "res_track.txt").write_text("1 0 4 0\n3 2 2 0\n4 4 4 3\n")
    call = call_hcs("evaluate", truth, truth, wrong, "--tracks", "--out", out)
    assert call.code == 0, call.err
    scores = pd.read_csv(out / "scores.csv").set_index("Prediction")
    assert scores.loc["B03-0_RES", ["DET", "LNK", "TRA", "Division_F1", "CompleteTracks"]].tolist() == [1.0] * 5
    assert scores.loc["wrong", "Division_F1"] == 0
    assert scores.loc["wrong", "LNK"] == pytest.approx(1 - 2.5 / (1.5 * 6))
    missing = call_hcs("evaluate", truth, tmp_path / "out", "--tracks", "--out", tmp_path / "other")
    assert missing.code == 2
    assert "man_track.txt" in missing.err


def test_geff_graphs_are_read_by_geff(tmp_path: Path) -> None:
    geff = pytest.importorskip("geff")
    assert export_geff(Stub(nuclei()), tmp_path / "geff") == 1
    graph, metadata = geff.read(tmp_path / "geff" / "B03-0.geff", backend="networkx")
    assert metadata.directed
    assert graph.number_of_nodes() == 7
    assert set(graph.edges) == {(0, 1), (1, 2), (1, 3), (2, 4), (4, 5), (3, 6)}
    assert graph.nodes[2]["track"] == 2
    assert graph.nodes[1]["y"] == 28.0


def test_tables_and_graphs_for_napari(tmp_path: Path) -> None:
    export_napari(Stub(nuclei()), tmp_path / "napari")
    table = pd.read_csv(tmp_path / "napari" / "B03-0.csv")
    assert list(table.columns) == ["track_id", "t", "y", "x"]
    assert table["track_id"].tolist() == [1, 1, 2, 2, 2, 3, 3]
    assert json.loads((tmp_path / "napari" / "B03-0.json").read_text()) == {"2": [1], "3": [1]}


def test_results_without_tracks_are_refused(tmp_path: Path) -> None:
    with pytest.raises(ResultsError, match="no tracks"):
        export_napari(Stub(nuclei()[["Metadata_Site"]]), tmp_path / "napari")
    assert not (tmp_path / "napari").exists()
