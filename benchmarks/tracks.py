"""How right and how fast tracks are, beside laptrack on the same detections.

    python benchmarks/tracks.py [--data ../shared/data/timelapse/laptrack-cellmigration] [--frames 1500] [--traccuracy]

Prints Markdown: scores on the migration movie (from its true detections) of hcs with default settings and of laptrack
over a grid of its settings, the best one named; scores on simulated movies at three densities; time by frames.
laptrack gets the same places, with the field's drift in and taken out. Times are those of the processor, one thread.
``--traccuracy`` scores both by traccuracy as well, whose import compiles for half a minute.
"""

from __future__ import annotations

import argparse
import sys
import time
import warnings
from collections.abc import Iterator
from itertools import product
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import tifffile
from scipy import ndimage

from hcs.evaluate.tracks import TrackGraph, TrackScores, score_tracks
from hcs.tracks.detections import make_detections
from hcs.tracks.drift import field_drift
from hcs.tracks.field import FieldTracks, track_field
from hcs.tracks.settings import TrackSettings

sys.path.insert(0, str(Path(__file__).parents[1] / "tests"))
from helpers.movies import MovieSettings, graph_of, make_movie

Columns = dict[str, Any]
_DENSITIES = (50, 100, 200)
_LINK_PX, _SPLIT_PX, _GAP = (12.0, 16.0, 20.0), (16.0, 20.0, 24.0), (1, 2)


def main() -> None:
    """Print all tables."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--data", type=Path, default=Path("../shared/data/timelapse/laptrack-cellmigration"))
    parser.add_argument("--frames", type=int, default=1500)
    parser.add_argument("--traccuracy", action="store_true")
    options = parser.parse_args()
    warnings.simplefilter("ignore")
    columns, truth, shape = migration(options.data)
    print(
        f"\n## The migration movie\n\n{len(truth.frame):,} nuclei, {len(truth.links()):,} links, "
        f"{len(truth.divisions())} divisions\n"
    )
    print("| who | LNK | division F1 | complete tracks | wrong / missed links | s |\n|---|---|---|---|---|---|")
    found, seconds = timed(columns, shape)
    ours = graph_of(columns, found)
    print(line("hcs, default settings", score_tracks(truth, ours, np.arange(len(truth.frame))), seconds))
    theirs = best_of_laptrack(columns, truth, shape)
    if options.traccuracy:
        for name, graph in (("hcs", ours), ("laptrack's best", theirs)):
            print(f"\n{name} by traccuracy: {by_traccuracy(truth, graph, columns)}")
    densities()
    speed(options.frames)


def migration(folder: Path) -> tuple[Columns, TrackGraph, tuple[int, int]]:
    """Detections and tracks of the truth, in Cell Tracking Challenge form."""
    rows = []
    for frame, path in enumerate(sorted((folder / "02_GT" / "TRA").glob("man_track*.tif"))):
        labels = tifffile.imread(path)
        names = np.unique(labels)[1:]
        centres = ndimage.center_of_mass(labels > 0, labels, names)
        areas = np.bincount(labels.ravel())[names]
        rows += [(frame, n, *centre, area) for n, centre, area in zip(names, centres, areas, strict=True)]
    table = np.array(rows, np.float64)
    parents = np.loadtxt(folder / "02_GT" / "TRA" / "man_track.txt", dtype=int)
    truth = TrackGraph(
        table[:, 0].astype(np.int64), table[:, 1].astype(np.int64), {int(t): int(p) for t, _, _, p in parents if p}
    )
    columns = {
        "Metadata_Timepoint": table[:, 0].astype(np.int32),
        "Metadata_ObjectNumber": table[:, 1].astype(np.int64),
        "Nuclei_AreaShape_Center_Y": table[:, 2],
        "Nuclei_AreaShape_Center_X": table[:, 3],
        "Nuclei_AreaShape_Area": table[:, 4],
    }
    return columns, truth, labels.shape


def timed(columns: Columns, shape: tuple[int, int]) -> tuple[FieldTracks, float]:
    """Tracks by hcs and the processor's seconds, without those of a first call."""
    few = {name: values[columns["Metadata_Timepoint"] < 3] for name, values in columns.items()}
    track_field(few, interval_min=None, shape_px=shape, settings=TrackSettings())
    started = time.process_time()
    found = track_field(columns, interval_min=None, shape_px=shape, settings=TrackSettings())
    return found, time.process_time() - started


def line(name: str, scores: TrackScores, seconds: float) -> str:
    """One row of the table."""
    return (
        f"| {name} | {scores.lnk:.4f} | {scores.division_f1:.3f} | {scores.complete_tracks:.3f} | "
        f"{scores.wrong_links} / {scores.missed_links} | {seconds:.1f} |"
    )


def best_of_laptrack(columns: Columns, truth: TrackGraph, shape: tuple[int, int]) -> TrackGraph:
    """laptrack over its grid: the rows with the best links and with the best divisions; the former's graph."""
    found: list[tuple[str, TrackScores, float, TrackGraph]] = []
    for name, places in (("drift in", None), ("drift out", field_drift(make_detections(columns, shape)))):
        for label, graph, seconds in laptrack_grid(columns, places):
            scores = score_tracks(truth, graph, np.arange(len(truth.frame)))
            found.append((f"laptrack, {name}, {label}", scores, seconds, graph))
            print(line(*found[-1][:3]), file=sys.stderr, flush=True)
    by_links = max(found, key=lambda row: (row[1].lnk, row[1].division_f1))
    by_divisions = max(found, key=lambda row: (row[1].division_f1, row[1].lnk))
    for name, scores, seconds, _ in (by_links,) if by_divisions is by_links else (by_links, by_divisions):
        print(line(f"{name} (best of {len(found)})", scores, seconds))
    return by_links[3]


def laptrack_grid(columns: Columns, drift: np.ndarray | None) -> Iterator[tuple[str, TrackGraph, float]]:
    """Graphs by laptrack for every setting."""
    for link, split, gap in product(_LINK_PX, _SPLIT_PX, _GAP):
        started = time.process_time()
        graph = by_laptrack(columns, drift, link=link, split=split, gap=gap)
        yield f"link {link:g} px, split {split:g} px, gap {gap}", graph, time.process_time() - started


def by_laptrack(columns: Columns, drift: np.ndarray | None, *, link: float, split: float, gap: int) -> TrackGraph:
    """Tracks by laptrack from places alone: squared distance, the usual cost."""
    from laptrack import LapTrack  # noqa: PLC0415

    frame = columns["Metadata_Timepoint"].astype(np.int64)
    places = np.stack([columns[f"Nuclei_AreaShape_Center_{axis}"] for axis in "YX"], axis=1).astype(float)
    if drift is not None:
        places = places - drift[np.searchsorted(np.unique(frame), frame)]
    table = pd.DataFrame({"frame": frame, "y": places[:, 0], "x": places[:, 1], "row": np.arange(len(frame))})
    tracker = LapTrack(
        cutoff=link**2, gap_closing_cutoff=link**2, gap_closing_max_frame_count=gap, splitting_cutoff=split**2
    )
    tracks, splits, _ = tracker.predict_dataframe(table, ["y", "x"], frame_col="frame", only_coordinate_cols=False)
    track = tracks.set_index("row")["track_id"].reindex(range(len(frame))).to_numpy(np.int64) + 1
    parents = {int(child) + 1: int(mother) + 1 for mother, child in splits.to_numpy().tolist()}
    return TrackGraph(frame, track, parents)


def by_traccuracy(truth: TrackGraph, predicted: TrackGraph, columns: Columns) -> str:
    """LNK, TRA and division F1 by traccuracy."""
    import networkx as nx  # noqa: PLC0415
    from traccuracy import TrackingGraph, run_metrics  # noqa: PLC0415
    from traccuracy.matchers._base import Matcher  # noqa: PLC0415
    from traccuracy.metrics import CTCMetrics, DivisionMetrics  # noqa: PLC0415

    class Same(Matcher):
        """Both graphs have the same nuclei. traccuracy's own matcher by places pairs some that are far apart."""

        def _compute_mapping(self, *_: object) -> list[tuple[int, int]]:
            return [(k, k) for k in range(len(truth.frame))]

    graphs = []
    for graph in (truth, predicted):
        made = nx.DiGraph()
        for k, frame in enumerate(graph.frame.tolist()):
            y, x = (float(columns[f"Nuclei_AreaShape_Center_{axis}"][k]) for axis in "YX")
            made.add_node(k, t=frame, y=y, x=x)
        made.add_edges_from(graph.links())
        graphs.append(TrackingGraph(made, location_keys=["y", "x"]))
    found, _ = run_metrics(*graphs, Same(), [CTCMetrics(), DivisionMetrics(max_frame_buffer=0)])
    links = found[0]["results"]
    division = found[1]["results"]["Frame Buffer 0"]["Division F1"]
    return f"LNK {links['LNK']:.4f}, TRA {links['TRA']:.4f}, division F1 {division:.3f}"


def densities() -> None:
    """Simulated movies: cells that move 0.15 diameters a frame, 1 % of them missed."""
    print("\n## Simulated movies\n\n400 × 400 px, nuclei of 16 px, 30 frames, 1 % missed, 1 % false, 5 seeds,")
    print("nuclei at the border cut by it\n")
    print(
        "| nuclei at the start | LNK | TRA | division F1 | complete tracks | right, of tracks of quality 0.5 and more |"
    )
    print("|---|---|---|---|---|---|")
    for cells in _DENSITIES:
        scores, right = [], []
        for seed in range(5):
            movie = make_movie(MovieSettings(cells=cells, step=0.15, missed=0.01, extra=0.01, cut=True, seed=seed))
            found = movie.tracked()
            scores.append(movie.scored(found).row())
            right += movie.right_tracks(found)[found.tracks["Track_Quality"] >= 0.5].tolist()
        mean = pd.DataFrame(scores).mean()
        print(
            f"| {cells} | {mean['LNK']:.4f} | {mean['TRA']:.4f} | {mean['Division_F1']:.3f} | "
            f"{mean['CompleteTracks']:.3f} | {np.mean(right):.3f} |"
        )


def speed(most: int) -> None:
    """Time by frames, of 500 nuclei."""
    print(
        "\n## Time\n\n500 nuclei a frame in 1,000 × 1,000 px\n\n| frames | nuclei | s | ms a frame |\n|---|---|---|---|"
    )
    rng = np.random.default_rng(0)
    places = rng.uniform(0, 1000, (500, 2))
    rows = []
    for frame in range(most):
        places = np.abs(places + rng.normal(0, 2, places.shape))
        places = np.where(places > 1000, 2000 - places, places)
        seen = np.flatnonzero(rng.random(500) > 0.01)
        rows.append(
            np.column_stack([np.full(len(seen), frame), seen + 1, places[seen], rng.normal(300, 10, len(seen))])
        )
    for frames in sorted({max(most // 15, 1), max(most // 5, 1), most}):
        table = np.concatenate(rows[:frames])
        names = (
            "Metadata_Timepoint",
            "Metadata_ObjectNumber",
            "Nuclei_AreaShape_Center_Y",
            "Nuclei_AreaShape_Center_X",
        )
        columns = dict(zip((*names, "Nuclei_AreaShape_Area"), table.T, strict=True))
        _, seconds = timed(columns, (1000, 1000))
        print(f"| {frames:,} | {len(table):,} | {seconds:.1f} | {1000 * seconds / frames:.1f} |")


if __name__ == "__main__":
    main()
