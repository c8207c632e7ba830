"""`hcs simulate`: a synthetic plate with its map and truth on disk, written field by field, or frame by frame."""

from __future__ import annotations

import shutil
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from hcs.errors import PlateError
from hcs.plate.keys import FieldKey
from hcs.run.progress import quarters
from hcs.simulate.field import simulate_field
from hcs.simulate.movie import SimulatedMovie
from hcs.simulate.plate import SimulatedPlate, lay_out_plate
from hcs.simulate.settings import SimulationSettings
from hcs.store.plate.labels import write_labels
from hcs.store.plate.movie_writer import MovieSpec, write_label_movie, write_movie
from hcs.store.plate.nodes import Ngff
from hcs.store.plate.writer import PlateSpec, create_plate, write_field
from hcs.store.results.table import write_frame


@dataclass(frozen=True, slots=True)
class SimulationFiles:
    """What a simulation wrote."""

    plate: Path
    plate_map: Path
    truth: Path
    lineage: Path
    """Of movies: one row a cell."""


def simulation_files(plate: Path) -> SimulationFiles:
    """Where the map and the truth of the simulated plate ``P.zarr`` are: ``P.platemap.csv``, ``P.truth.parquet``, of
    movies also ``P.lineage.parquet``."""
    stem = plate.name.removesuffix(".zarr").removesuffix(".ome")
    names = (f"{stem}.platemap.csv", f"{stem}.truth.parquet", f"{stem}.lineage.parquet")
    return SimulationFiles(plate, *map(plate.with_name, names))


def write_simulation(plate: Path, settings: SimulationSettings, *, ngff: Ngff = "0.5") -> SimulationFiles:
    """Write a simulated plate to ``plate``, its true labels as ``labels/truth`` (nuclei) and ``labels/truth_cells``,
    its map and its cells beside it.

    One field is in memory at a time, of a movie one frame and all labels. The plate appears under its name when it is
    complete; PlateError where there is something already, or a file of the name of its map or truth.
    """
    if plate.exists():
        raise PlateError(f"{plate} exists already; give another name or remove it")
    files = simulation_files(plate)
    for file in (files.plate_map, files.truth, *([files.lineage] if settings.frames > 1 else [])):
        if file.exists() or file.is_symlink():
            raise PlateError(f"{file} exists already; give the plate another name, or remove the file")
    planned = lay_out_plate(settings)
    spec = PlateSpec(
        name=plate.name.removesuffix(".zarr").removesuffix(".ome"),
        wells=planned.wells,
        fields_per_well=settings.fields,
        channels=planned.channels,
        ngff=ngff,
        pixel_size_um=settings.pixel_size_um,
    )
    growing = plate.with_name(f".{plate.name}.part")
    shutil.rmtree(growing, ignore_errors=True)
    create_plate(str(growing), spec)
    tables, lineages = [], []
    progress = quarters("simulated")
    for i, key in enumerate(planned.keys, start=1):
        if settings.frames > 1:
            cells, lineage = _write_movie(str(growing), spec, planned, key)
            lineages.append(lineage)
        else:
            cells = _write_still(str(growing), spec, planned, key)
        tables.append(cells)
        progress(i, len(planned.keys))
    growing.rename(plate)
    planned.plate_map.to_csv(files.plate_map, index=False)
    write_frame(files.truth, pd.concat(tables, ignore_index=True))
    if lineages:
        write_frame(files.lineage, pd.concat(lineages, ignore_index=True))
    return files


def _write_still(path: str, spec: PlateSpec, planned: SimulatedPlate, key: FieldKey) -> pd.DataFrame:
    """Write a field of one time point; the truth of its nuclei."""
    field = simulate_field(planned, key)
    write_field(path, spec, key, field.image)
    for name, labels in (("truth", field.labels), ("truth_cells", field.whole_cells)):
        write_labels(path, key, labels, ngff=spec.ngff, pixel_size_um=spec.pixel_size_um, name=name)
    return field.cells


def _write_movie(
    path: str, spec: PlateSpec, planned: SimulatedPlate, key: FieldKey
) -> tuple[pd.DataFrame, pd.DataFrame]:
    """Write the frames of a field and their true labels by track; the truth of all nuclei, and of all cells."""
    settings = planned.settings
    movie, simulated = (
        MovieSpec(frames=settings.frames, interval_min=settings.interval_min),
        SimulatedMovie(planned, key),
    )
    labels: list[NDArray[np.uint32]] = []
    whole: list[NDArray[np.uint32]] = []
    cells: list[pd.DataFrame] = []

    def images() -> Iterator[NDArray[np.uint16]]:
        for frame in simulated.frames():
            labels.append(frame.labels)
            whole.append(frame.whole_cells)
            cells.append(frame.cells)
            yield frame.image

    write_movie(path, spec, key, movie, images())
    write_label_movie(path, spec, key, movie, labels, name="truth")
    write_label_movie(path, spec, key, movie, whole, name="truth_cells")
    return pd.concat(cells, ignore_index=True), simulated.lineage()
