"""One simulated field: pixels and truth."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from hcs.plate.keys import FieldKey
from hcs.simulate.cytoplasm import draw_sensor
from hcs.simulate.nuclei import Canvas, Image, place_nuclei
from hcs.simulate.optics import blur, draw_death, draw_debris, expose, illumination
from hcs.simulate.plate import SimulatedPlate
from hcs.simulate.population import Population, WellEffects, brighten, draw_population
from hcs.simulate.settings import SimulationSettings
from hcs.simulate.streams import cytoplasm_rng, death_rng, field_rng, plate_rng, well_rng
from hcs.simulate.truth import cell_table
from hcs.simulate.uneven import draw_uneven_sensor

DEBRIS_IN_SENSOR = 0.25
"""Debris glows in the sensor channel too, at this share of its height."""


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class SimulatedField:
    """Pixels of one field and the truth behind them."""

    key: FieldKey
    image: NDArray[np.uint16]
    """(C, Y, X), channels as in `SimulatedPlate.channels`."""
    labels: NDArray[np.uint32]
    """(Y, X), 0 outside nuclei, else 1..n without gaps. Dead cells are nuclei, debris is not."""
    whole_cells: NDArray[np.uint32]
    """(Y, X) the nuclei with their cytoplasm, numbered as in ``labels``; cells whose nucleus lies outside are 0."""
    cells: pd.DataFrame
    """One row a label, in order; the columns are those of `hcs.simulate.truth.cell_table`."""


def simulate_field(plate: SimulatedPlate, key: FieldKey) -> SimulatedField:
    """Simulate one field of a planned plate; the result depends on the plate's settings and the key alone.

    Cells are drawn on a canvas wider than the field and cropped, so that nuclei and cytoplasm run over its
    edges. PlateError if the plate has no such well.
    """
    settings = plate.settings
    rng = field_rng(settings.seed, key)
    margin = int(np.ceil(1.5 * settings.nucleus_diameter_px))
    death = death_rng(settings.seed, key)
    population, canvas = _populate(rng, death, plate, key, side_px=settings.size_px + 2 * margin)
    diameter_px = settings.nucleus_diameter_px
    sensor, cells = draw_sensor(rng, canvas, population, diameter_px=diameter_px)
    if settings.cells == "uneven":
        sensor, cells = draw_uneven_sensor(
            cytoplasm_rng(settings.seed, key), canvas, population, diameter_px=diameter_px
        )
    crop = slice(margin, margin + settings.size_px)
    debris = draw_debris(rng, canvas.labels[crop, crop], settings)
    glow = draw_death(death, canvas, population.brightness, settings)
    dna_image = blur(canvas.dna + glow, settings.psf_sigma_px)[crop, crop] + debris
    sensor_image = blur(sensor, settings.psf_sigma_px)[crop, crop] + np.float32(DEBRIS_IN_SENSOR) * debris
    labels, drawn = relabel(canvas.labels[crop, crop])
    return SimulatedField(
        key=key,
        image=photograph(rng, (dna_image, sensor_image), settings),
        labels=labels,
        whole_cells=renumber(cells[crop, crop], drawn),
        cells=cell_table(labels, canvas.dna[crop, crop], population, drawn, key=key),
    )


def _populate(
    rng: np.random.Generator, death: np.random.Generator, plate: SimulatedPlate, key: FieldKey, *, side_px: int
) -> tuple[Population, Canvas]:
    """The field's cells and their nuclei on a canvas."""
    settings = plate.settings
    condition = plate.treatment(key.well).condition
    effects = WellEffects.draw(well_rng(settings.seed, key.well))
    expected = settings.density * condition.density * effects.seeding * side_px**2 / 1e6
    population = draw_population(
        rng, int(rng.poisson(expected)), condition=condition, effects=effects, settings=settings
    )
    population = brighten(death, population, condition=condition, settings=settings)
    canvas = place_nuclei(
        rng,
        population,
        side_px=side_px,
        diameter_px=settings.nucleus_diameter_px,
        clustering=settings.clustering,
    )
    return population, canvas


def photograph(
    rng: np.random.Generator, signals: tuple[Image, ...], settings: SimulationSettings
) -> NDArray[np.uint16]:
    """All channels (C, Y, X); each has its own illumination, the same over the whole plate."""
    light = plate_rng(settings.seed)
    return np.stack(
        [expose(rng, signal, illumination(light, settings.size_px, settings.shading), settings) for signal in signals]
    )


def relabel(labels: NDArray[np.int32]) -> tuple[NDArray[np.uint32], NDArray[np.int64]]:
    """Labels renumbered 1..n without gaps, in the same order, and the 0-based place of each one's cell."""
    present = np.bincount(labels.ravel()) > 0
    present[0] = False
    numbers = np.cumsum(present, dtype=np.uint32) * present
    return numbers.astype(np.uint32)[labels], np.flatnonzero(present) - 1


def renumber(labels: NDArray[np.int32], drawn: NDArray[np.int64]) -> NDArray[np.uint32]:
    """Labels (Y, X), 1 + the cell's place in the population, as `relabel` numbered the cells at places ``drawn``; 0 for
    all others."""
    numbers = np.zeros(max(int(labels.max(initial=0)), int(drawn.max(initial=0)) + 1) + 1, np.uint32)
    numbers[drawn + 1] = np.arange(1, len(drawn) + 1, dtype=np.uint32)
    return np.asarray(numbers[labels])
