"""`hcs evaluate --tracks`: folders in the form of the Cell Tracking Challenge → scores of tracks."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from hcs.errors import ConfigError
from hcs.evaluate.tracks import TRACK_SCORES, TrackGraph, score_tracks
from hcs.store.files.images import read_label_image
from hcs.store.ownfiles import check_output, replacing_output
from hcs.store.results.table import write_frame

_LISTS = ("man_track.txt", "res_track.txt")
_INSIDE = ("", "TRA")
_HEAD = ("name", "unit", "definition", "source")


def evaluate_tracks(truth: Path, predictions: tuple[Path, ...], out: Path) -> pd.DataFrame:
    """Scores of predicted tracks, one row a folder; written to ``out`` as scores.csv and scores.parquet.

    A folder holds label images of all frames, whose numbers are tracks, and man_track.txt or res_track.txt, as the Cell
    Tracking Challenge and ``hcs export --ctc`` write them. A true nucleus is found where a predicted one covers more
    than half of it. ConfigError where files are missing, or frames differ in number or size.
    """
    for folder in (truth, *predictions):
        if folder.resolve() == out.resolve():
            raise ConfigError(f"--out {out} is one of the folders that are read; give another folder")
    check_output(out, what="evaluation")
    images, parents = _movie(truth)
    rows = []
    for folder in predictions:
        theirs, their_parents = _movie(folder)
        if len(theirs) != len(images):
            raise ConfigError(f"{folder} has {len(theirs)} frames, the truth {len(images)}; give the same movie")
        rows.append({"Prediction": folder.name, **_scores(images, parents, theirs, their_parents)})
    table = pd.DataFrame(rows)
    with replacing_output(out) as new:
        write_frame(new / "scores.parquet", table)
        table.to_csv(new / "scores.csv", index=False)
        columns = pd.DataFrame([(c.name, c.unit, c.definition, c.source) for c in TRACK_SCORES], columns=list(_HEAD))
        columns.to_csv(new / "columns.csv", index=False)
    return table


def _movie(folder: Path) -> tuple[list[Path], dict[int, int]]:
    """Label images of a folder in the order of frames, and each track's mother."""
    for place in (folder / inside for inside in _INSIDE):
        for name in _LISTS:
            if (place / name).is_file():
                images = sorted(path for path in place.iterdir() if path.suffix.lower() in {".tif", ".tiff"})
                return images, _parents(place / name)
    raise ConfigError(f"{folder} has no {' or '.join(_LISTS)}; --tracks reads Cell Tracking Challenge folders")


def _parents(path: Path) -> dict[int, int]:
    try:
        table = np.loadtxt(path, dtype=np.int64, ndmin=2)
    except ValueError as error:
        raise ConfigError(f"{path} is no list of tracks ({error}); a line is: track, first, last, parent") from error
    if table.size and table.shape[1] != 4:
        raise ConfigError(f"{path} has {table.shape[1]} numbers a line; a line is: track, first, last, parent")
    return {int(track): int(parent) for track, _, _, parent in table if parent}


def _scores(
    truth: list[Path], parents: dict[int, int], predicted: list[Path], their_parents: dict[int, int]
) -> dict[str, float]:
    """Scores of one movie, read frame by frame."""
    true: list[tuple[int, int]] = []
    given: list[tuple[int, int]] = []
    matched: list[int] = []
    for frame, (path, other) in enumerate(zip(truth, predicted, strict=True)):
        labels, theirs = read_label_image(path), read_label_image(other)
        if labels.shape != theirs.shape:
            raise ConfigError(f"{other} is {theirs.shape} px, the truth {path} {labels.shape} px; give the same movie")
        start = len(given)
        numbers, partners = _covered(labels, theirs)
        names = np.unique(theirs[theirs > 0]).tolist()
        place = {name: start + k for k, name in enumerate(names)}
        given += [(frame, name) for name in names]
        true += [(frame, number) for number in numbers.tolist()]
        matched += [place.get(partner, -1) for partner in partners.tolist()]
    scores = score_tracks(_graph(true, parents), _graph(given, their_parents), np.array(matched, np.int64))
    return scores.row()


def _graph(nuclei: list[tuple[int, int]], parents: dict[int, int]) -> TrackGraph:
    table = np.array(nuclei, np.int64).reshape(-1, 2)
    return TrackGraph(table[:, 0], table[:, 1], parents)


def _covered(labels: NDArray[np.integer], theirs: NDArray[np.integer]) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    """True numbers (n,) of a frame, and the predicted number that covers more than half of each; 0 for none."""
    inside = labels > 0
    pairs = np.stack([labels[inside], theirs[inside]]).astype(np.int64)
    (names, other), counts = np.unique(pairs, axis=1, return_counts=True)
    numbers, index = np.unique(names, return_inverse=True)
    area = np.bincount(index, weights=counts, minlength=len(numbers))
    most = (2 * counts > area[index]) & (other > 0)
    partners = np.zeros(len(numbers), np.int64)
    partners[index[most]] = other[most]
    return numbers, partners
