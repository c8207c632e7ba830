"""Tables of nuclei of one field over time, with the true tracks: cells that move, grow, divide, die, come and go."""

from __future__ import annotations

from dataclasses import dataclass, field

import numpy as np
import numpy.typing as npt

from hcs.evaluate.tracks import TrackGraph, TrackScores, score_tracks
from hcs.tracks.field import FieldTracks, track_field
from hcs.tracks.settings import TrackSettings

Floats = npt.NDArray[np.float64]
_LEAST_SEEN = 0.1
_AWAY = 3


@dataclass(frozen=True, slots=True, kw_only=True)
class MovieSettings:
    """What is filmed; lengths in nuclear diameters, times in frames."""

    frames: int = 30
    cells: int = 50
    size_px: int = 400
    diameter_px: float = 16.0
    step: float = 0.12
    """Standard deviation of a step along each axis."""
    cycle: tuple[float, float] = (50.0, 6.0)
    """Mean and standard deviation of the cycle's length."""
    drift_px: tuple[float, float] = (0.0, 0.0)
    """Movement of the stage in a frame, (y, x)."""
    shake_px: float = 0.0
    """Standard deviation of further movement of the stage."""
    missed: float = 0.0
    """Share of the nuclei not found in a frame."""
    extra: float = 0.0
    """False nuclei, as a share of the true ones."""
    noise: float = 0.05
    """Standard deviation of the logarithm of area and of DNA content."""
    dying: float = 0.0
    """Share of the cells that die in a frame."""
    cut: bool = False
    """Whether the field's border cuts nuclei, so that what comes in there is a sliver at first."""
    seed: int = 0


@dataclass
class Cell:
    """One cell while it is simulated."""

    place: Floats
    track: int
    born: int
    cycle: float
    size: float
    dead_since: int = -1
    seen: list[int] = field(default_factory=list)


@dataclass(frozen=True, slots=True)
class Movie:
    """Columns of the nucleus table, and the truth about the nuclei that were found."""

    columns: dict[str, npt.NDArray]
    truth: TrackGraph
    """Of the true nuclei, in the order of ``true_rows``."""
    true_rows: npt.NDArray[np.int64]
    """Row of each true nucleus in ``columns``."""
    died: dict[int, int]
    """Track → frame of death."""
    shape_px: tuple[int, int]

    def tracked(self, settings: TrackSettings | None = None, interval_min: float | None = 10.0) -> FieldTracks:
        """Tracks by hcs."""
        return track_field(
            self.columns, interval_min=interval_min, shape_px=self.shape_px, settings=settings or TrackSettings()
        )

    def scored(self, tracks: FieldTracks) -> TrackScores:
        """Scores of these tracks."""
        return score_tracks(self.truth, graph_of(self.columns, tracks), self.true_rows)

    def right_tracks(self, tracks: FieldTracks) -> npt.NDArray[np.bool_]:
        """Whether every link into each track's nuclei is true."""
        given, true = graph_of(self.columns, tracks), self.truth.links()
        back = {int(row): k for k, row in enumerate(self.true_rows)}
        right = np.ones(len(tracks.tracks["Track_Label"]), bool)
        for (a, b), kind in given.links().items():
            pair = (back.get(a, -1), back.get(b, -1))
            right[given.track[b] - 1] &= pair in true and true[pair] == kind
        return right


def graph_of(columns: dict[str, npt.NDArray], tracks: FieldTracks) -> TrackGraph:
    """The tracks of a field as a graph of all its nuclei."""
    parents = zip(tracks.tracks["Track_Label"].tolist(), tracks.tracks["Track_Parent"].tolist(), strict=True)
    label = tracks.nuclei["Nuclei_TrackObjects_Label"].astype(np.int64)
    return TrackGraph(columns["Metadata_Timepoint"].astype(np.int64), label, {a: b for a, b in parents if b})


def make_movie(settings: MovieSettings) -> Movie:
    """Simulate a field that is part of a larger dish, frame by frame."""
    rng = np.random.default_rng(settings.seed)
    rim = 4 * settings.diameter_px
    wide = settings.size_px + 2 * rim
    count = round(settings.cells * (wide / settings.size_px) ** 2)
    cells = [
        Cell(rng.uniform(-rim, settings.size_px + rim, 2), 0, 0, 0.0, float(np.exp(rng.normal(0, 0.15))))
        for _ in range(count)
    ]
    tracks = 0
    for cell in cells:
        tracks += 1
        cell.track, cell.cycle = tracks, max(rng.normal(*settings.cycle), 10.0)
        cell.born = -int(rng.integers(0, int(cell.cycle)))
    parent: dict[int, int] = {}
    died: dict[int, int] = {}
    stage = np.zeros(2)
    rows: list[tuple[float, ...]] = []
    for frame in range(settings.frames):
        if frame:
            stage = stage + settings.drift_px + rng.normal(0, settings.shake_px, 2)
        _spread(cells, settings.diameter_px)
        rows += [_seen(cell, frame, stage, settings, rng) for cell in cells]
        cells, tracks = _older(cells, frame, tracks, parent, died, settings, rng)
    return _movie(np.array(rows), parent, died, settings, rng)


def _seen(
    cell: Cell, frame: int, stage: Floats, settings: MovieSettings, rng: np.random.Generator
) -> tuple[float, ...]:
    """frame, track, y, x, area, content."""
    phase = np.clip((frame - cell.born) / cell.cycle, 0, 1)
    area = np.pi / 4 * settings.diameter_px**2 * cell.size * (0.75 + 0.75 * phase)
    content = 1000 * (1 + np.clip((phase - 0.4) / 0.4, 0, 1))
    if cell.born + cell.cycle - frame <= 1 or frame - cell.born < 1:
        area *= 0.6
    if cell.dead_since >= 0:
        area *= 0.3
    scatter = np.exp(rng.normal(0, settings.noise, 2))
    y, x = cell.place + stage + rng.normal(0, 0.02 * settings.diameter_px, 2)
    return (frame, cell.track, y, x, max(area * scatter[0], 4), content * scatter[1] * 0.995**frame)


def _spread(cells: list[Cell], diameter: float) -> None:
    """Push overlapping nuclei apart."""
    from scipy.spatial import cKDTree

    places = np.array([cell.place for cell in cells])
    for _ in range(3):
        pairs = cKDTree(places).query_pairs(0.95 * diameter, output_type="ndarray")
        if not len(pairs):
            break
        apart = places[pairs[:, 1]] - places[pairs[:, 0]]
        distance = np.maximum(np.hypot(*apart.T), 1e-3)
        push = apart / distance[:, None] * ((0.95 * diameter - distance) / 2)[:, None]
        np.add.at(places, pairs[:, 1], push)
        np.add.at(places, pairs[:, 0], -push)
    for cell, place in zip(cells, places, strict=True):
        cell.place = place


def _older(
    cells: list[Cell],
    frame: int,
    tracks: int,
    parent: dict[int, int],
    died: dict[int, int],
    settings: MovieSettings,
    rng: np.random.Generator,
) -> tuple[list[Cell], int]:
    """The cells of the next frame."""
    alive = []
    for cell in cells:
        step = rng.normal(0, settings.step * settings.diameter_px, 2)
        if cell.dead_since >= 0:
            cell.place = cell.place + 0.3 * step
            if frame - cell.dead_since < 8:
                alive.append(cell)
            continue
        if rng.random() < settings.dying:
            cell.dead_since = died[cell.track] = frame + 1
        if frame + 1 - cell.born >= cell.cycle and cell.dead_since < 0:
            angle = rng.uniform(0, np.pi)
            half = settings.diameter_px * rng.uniform(0.45, 0.65) * np.array([np.sin(angle), np.cos(angle)])
            for sign in (-1, 1):
                tracks += 1
                parent[tracks] = cell.track
                cycle = max(rng.normal(*settings.cycle), 10.0)
                alive.append(Cell(cell.place + sign * half + step / 2, tracks, frame + 1, cycle, cell.size))
        else:
            cell.place = cell.place + step
            alive.append(cell)
    return alive, tracks


def _movie(
    rows: Floats, parent: dict[int, int], died: dict[int, int], settings: MovieSettings, rng: np.random.Generator
) -> Movie:
    size = settings.size_px
    if settings.cut:
        rows = _cut(rows, size)
    rows = rows[((rows[:, 2:4] >= 0) & (rows[:, 2:4] <= size - 1)).all(axis=1)]
    frame, track = rows[:, 0].astype(np.int64), rows[:, 1].astype(np.int64)
    track, kept = _in_view(frame, track, parent)
    false = _false(rows, settings, rng)
    found = rng.random(len(rows)) >= settings.missed
    rows, frame, track = rows[found], frame[found], track[found]
    all_rows = np.concatenate([rows, false])
    order = rng.permutation(len(all_rows))
    place = np.argsort(order)[: len(rows)]
    all_rows = all_rows[order]
    number = np.zeros(len(all_rows), np.int64)
    for at in np.unique(all_rows[:, 0]):
        here = np.flatnonzero(all_rows[:, 0] == at)
        number[here] = rng.permutation(len(here)) + 1
    radius = np.sqrt(np.median(all_rows[:, 4]) / np.pi)
    nearest = np.minimum(all_rows[:, 2:4], size - 1 - all_rows[:, 2:4]).min(axis=1)
    columns = {
        "Metadata_Timepoint": all_rows[:, 0].astype(np.int32),
        "Metadata_ObjectNumber": number,
        "Nuclei_AreaShape_Center_Y": all_rows[:, 2].astype(np.float32),
        "Nuclei_AreaShape_Center_X": all_rows[:, 3].astype(np.float32),
        "Nuclei_AreaShape_Area": all_rows[:, 4].astype(np.int32),
        "Nuclei_DNA_Content": all_rows[:, 5],
        "Nuclei_Flag_TouchesBorder": (nearest <= radius) & settings.cut,
    }
    return Movie(columns, TrackGraph(frame, track, kept), place, died, (size, size))


def _cut(rows: Floats, size: int) -> Floats:
    """What the field shows of discs, each side by itself: those that the border cuts have less area and DNA, and their
    middle is that of the part that is seen. Less than a tenth is not seen."""
    rows = rows.copy()
    radius = np.sqrt(rows[:, 4] / np.pi)
    seen = np.ones(len(rows))
    for axis in (2, 3):
        for sign, border in ((1.0, 0.0), (-1.0, size - 1.0)):
            u = np.clip(sign * (rows[:, axis] - border) / radius, -1, 1)
            share = 1 - (np.arccos(u) - u * np.sqrt(1 - u**2)) / np.pi
            middle = 2 / 3 * (1 - u**2) ** 1.5 / (np.pi * np.maximum(share, 1e-9))
            rows[:, axis] += np.where(share < 1, sign * radius * middle, 0.0)
            seen *= share
    rows[:, 4:6] *= seen[:, None]
    kept: Floats = rows[seen > _LEAST_SEEN]
    kept[:, 2:4] = np.clip(kept[:, 2:4], 0, size - 1)
    return kept


def _in_view(
    frame: npt.NDArray[np.int64], track: npt.NDArray[np.int64], parent: dict[int, int]
) -> tuple[npt.NDArray[np.int64], dict[int, int]]:
    """Tracks as the field shows them: a cell that is away for more than two frames comes back as another one; a mother
    is known where she was seen last."""
    named = np.zeros(len(track), np.int64)
    ends: dict[int, tuple[int, int]] = {}
    kept: dict[int, int] = {}
    for k in np.lexsort((frame, track)).tolist():
        cell, at = int(track[k]), int(frame[k])
        name, last = ends.get(cell, (0, -9))
        if at - last > _AWAY:
            name = len(kept) + 1
            kept[name] = 0
            mother, seen = ends.get(parent.get(cell, 0), (0, -9))
            if last == -9 and seen == at - 1:
                kept[name] = mother
        ends[cell] = (name, at)
        named[k] = name
    return named, {name: mother for name, mother in kept.items() if mother}


def _false(rows: Floats, settings: MovieSettings, rng: np.random.Generator) -> Floats:
    count = rng.binomial(len(rows), settings.extra) if settings.extra else 0
    drawn = rows[rng.integers(0, len(rows), count)].copy()
    drawn[:, 2:4] = rng.uniform(0, settings.size_px - 1, (count, 2))
    return drawn
