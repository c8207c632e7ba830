"""One simulated field over time: pictures of its cells frame by frame, and the truth behind them."""

from __future__ import annotations

import math
from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from hcs.plate.keys import FieldKey
from hcs.simulate.cytoplasm import draw_sensor
from hcs.simulate.field import DEBRIS_IN_SENSOR, photograph, relabel, renumber
from hcs.simulate.lineage import Cell, Culture, sensor_ratios
from hcs.simulate.nuclei import Canvas, correlated_noise, draw_at, outline
from hcs.simulate.optics import blur, draw_debris
from hcs.simulate.plate import SimulatedPlate
from hcs.simulate.population import Population, WellEffects
from hcs.simulate.streams import frame_rng, movie_rng, well_rng
from hcs.simulate.truth import cell_table

_SUB_G1, _G1, _S, _G2M = range(4)


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class SimulatedFrame:
    """Pixels of one frame of a field and the truth behind them."""

    frame: int
    image: NDArray[np.uint16]
    """(C, Y, X), channels as in `SimulatedPlate.channels`."""
    labels: NDArray[np.uint32]
    """(Y, X), 0 outside nuclei, else the track, as the Cell Tracking Challenge has it."""
    whole_cells: NDArray[np.uint32]
    """(Y, X) the nuclei with their cytoplasm, numbered likewise; cells whose nucleus lies outside are 0."""
    cells: pd.DataFrame
    """One row a nucleus; columns of `hcs.simulate.truth.cell_table`, its label that of the track, and: frame, time_min;
    track, a cell as long as it stays in the field; parent (track of the mother, 0 for none); cell (numbered within the
    field's canvas); class (inc, emerging, low); born_min."""


class SimulatedMovie:
    """The frames of one field of a planned plate, and, once they were drawn, the lives of its cells.

    The result depends on the plate's settings and the key alone.
    """

    def __init__(self, plate: SimulatedPlate, key: FieldKey) -> None:
        self._plate, self._key = plate, key
        settings = plate.settings
        margin = math.ceil(2 * settings.nucleus_diameter_px + 3 * settings.drift_px * math.sqrt(settings.frames))
        self._margin = margin
        self._culture = Culture(
            settings=settings,
            treatment=plate.treatment(key.well),
            effects=WellEffects.draw(well_rng(settings.seed, key.well)),
            rng=movie_rng(settings.seed, key),
            side_px=settings.size_px + 2 * margin,
        )
        self._tracks = _Tracks()

    def frames(self) -> Iterator[SimulatedFrame]:
        """Each frame in turn; one at a time is in memory."""
        settings = self._plate.settings
        walk = frame_rng(settings.seed, self._key, settings.frames)
        drift = np.zeros(2)
        most = self._margin - settings.nucleus_diameter_px
        for frame, cells in self._culture.frames():
            if frame:
                drift = np.clip(drift + settings.drift_px * walk.standard_normal(2), -most, most)
            yield self._draw(frame, cells, drift)

    def lineage(self) -> pd.DataFrame:
        """One row a cell that was seen: well, field; cell; parent (cell, 0 for none); class; born_min, divided_min,
        died_min (NaN where that did not happen in the movie); rise_min (from birth, infinite for low); cycle_min (from
        birth to division, NaN unless both are in the movie); first_frame, last_frame."""
        culture, settings = self._culture, self._plate.settings
        end_min = (settings.frames - 1) * settings.interval_min
        ends = {ended.cell.number: ended for ended in culture.ended}
        every = sorted([e.cell for e in culture.ended] + culture.cells, key=lambda cell: cell.number)
        rows = []
        for cell in every:
            if cell.number not in self._tracks.seen:
                continue
            ended = ends.get(cell.number)
            divided = ended.divided_min if ended else math.nan
            born = cell.born_min if cell.parent else math.nan
            first, last = self._tracks.seen[cell.number]
            rows.append(
                {
                    "well": str(self._key.well),
                    "field": self._key.field,
                    "cell": cell.number,
                    "parent": cell.parent,
                    "class": cell.cycling,
                    "born_min": born,
                    "divided_min": divided,
                    "died_min": cell.dies_min if cell.is_dead(end_min) and math.isnan(divided) else math.nan,
                    "rise_min": cell.rise_min,
                    "cycle_min": divided - born,
                    "first_frame": first,
                    "last_frame": last,
                }
            )
        return pd.DataFrame(rows, columns=_LINEAGE)

    def _draw(self, frame: int, cells: list[Cell], drift: NDArray[np.float64]) -> SimulatedFrame:
        settings, key = self._plate.settings, self._key
        now_min = frame * settings.interval_min
        rng = frame_rng(settings.seed, key, frame)
        population = self._population(cells, now_min, light=(1 - settings.bleaching) ** frame)
        canvas = self._canvas(rng, cells, population, drift, now_min)
        sensor, whole = draw_sensor(rng, canvas, population, diameter_px=settings.nucleus_diameter_px)
        crop = slice(self._margin, self._margin + settings.size_px)
        shown = canvas.labels[crop, crop]
        debris = draw_debris(frame_rng(settings.seed, key, settings.frames + 1), shown, settings)
        dna_image = blur(canvas.dna, settings.psf_sigma_px)[crop, crop] + debris
        sensor_image = blur(sensor, settings.psf_sigma_px)[crop, crop] + np.float32(DEBRIS_IN_SENSOR) * debris
        labels, drawn = relabel(shown)
        table = cell_table(labels, canvas.dna[crop, crop], population, drawn, key=key)
        seen = [cells[place] for place in drawn]
        tracks = self._tracks.follow(frame, seen)
        table["label"] = np.array([track for track, _ in tracks], np.uint32)
        table["frame"], table["time_min"] = np.int64(frame), now_min
        table["track"] = np.array([track for track, _ in tracks], np.int64)
        table["parent"] = np.array([parent for _, parent in tracks], np.int64)
        table["cell"] = np.array([cell.number for cell in seen], np.int64)
        table["class"] = pd.Series([cell.cycling for cell in seen], dtype="str")
        table["born_min"] = np.array([cell.born_min for cell in seen], np.float64)
        of_track = np.append(np.uint32(0), table["label"].to_numpy(np.uint32))
        return SimulatedFrame(
            frame=frame,
            image=photograph(rng, (dna_image, sensor_image), settings),
            labels=of_track[labels],
            whole_cells=of_track[renumber(whole[crop, crop], drawn)],
            cells=table,
        )

    def _population(self, cells: list[Cell], now_min: float, *, light: float) -> Population:
        """What the cells are like now, ``light`` being what is left of the fluorophores."""
        culture, settings = self._culture, self._plate.settings
        dead = np.array([cell.is_dead(now_min) for cell in cells], np.bool_)
        mitotic = np.array([cell.is_mitotic(now_min) for cell in cells], np.bool_)
        dna = np.array([culture.dna_n(cell, now_min) for cell in cells], np.float64)
        stain = np.array([cell.stain for cell in cells], np.float64) * culture.effects.staining * light
        phase = np.select([dead, dna <= 2.0, dna < 4.0], [_SUB_G1, _G1, _S], _G2M).astype(np.int64)
        return Population(
            phase=phase,
            dna_n=dna,
            dna_total=settings.dna_counts * settings.nucleus_area_px * dna / 2 * stain,
            area_px=np.array([culture.area_px(cell, now_min) for cell in cells], np.float64),
            aspect=np.select([dead, mitotic], [1.1, 1.8], 1.25),
            ratio=sensor_ratios(culture, cells, now_min),
            expression=np.array([cell.level for cell in cells], np.float64) * light,
            dead=dead,
            mitotic=mitotic,
            brightness=np.ones(len(cells)),
        )

    def _canvas(
        self,
        rng: np.random.Generator,
        cells: list[Cell],
        population: Population,
        drift: NDArray[np.float64],
        now_min: float,
    ) -> Canvas:
        """The nuclei on a canvas, which the drift of the stage has moved."""
        settings, side = self._plate.settings, self._culture.side_px
        canvas = Canvas.blank(side)
        chromatin = correlated_noise(rng, side, max(0.6, settings.nucleus_diameter_px * 0.055))
        for i, cell in enumerate(cells):
            place = np.mod(cell.place + drift, side)
            whole = np.rint(place)
            shape = outline(
                area_px=float(population.area_px[i]),
                aspect=float(population.aspect[i]),
                offset_px=(place - whole).astype(np.float32),
                angle=cell.angle,
                waves=cell.waves if not cell.is_mitotic(now_min) else 0.5 * cell.waves,
            )
            draw_at(
                rng,
                canvas,
                chromatin,
                shape,
                at_px=(int(whole[0]), int(whole[1])),
                number=i + 1,
                dna_total=float(population.dna_total[i]),
                condensed=bool(population.condensed[i]),
            )
        return canvas


_LINEAGE = (
    *("well", "field", "cell", "parent", "class", "born_min", "divided_min", "died_min"),
    *("rise_min", "cycle_min", "first_frame", "last_frame"),
)


class _Tracks:
    """Numbers cells as long as they stay in the field: one that left and came back is another track."""

    def __init__(self) -> None:
        self.seen: dict[int, tuple[int, int]] = {}
        """Cell → first and last frame in which it was seen."""
        self._track: dict[int, tuple[int, int, int]] = {}
        self._count = 0

    def follow(self, frame: int, cells: list[Cell]) -> list[tuple[int, int]]:
        """Track and parent of each cell that is seen in a frame."""
        found = []
        for cell in cells:
            track, parent, last = self._track.get(cell.number, (0, 0, -1))
            if not track or last < frame - 1:
                mother = self._track.get(cell.parent) if not track else None
                self._count += 1
                track, parent = self._count, mother[0] if mother is not None and mother[2] == frame - 1 else 0
            self._track[cell.number] = (track, parent, frame)
            first = self.seen.get(cell.number, (frame, frame))[0]
            self.seen[cell.number] = (first, frame)
            found.append((track, parent))
        return found
