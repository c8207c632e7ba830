"""`hcs simulate`: a synthetic plate with its map and truth on disk, written field by field."""

from __future__ import annotations

import shutil
from dataclasses import dataclass
from pathlib import Path

import pandas as pd

from hcs.errors import PlateError
from hcs.run.progress import quarters
from hcs.simulate.field import simulate_field
from hcs.simulate.plate import lay_out_plate
from hcs.simulate.settings import SimulationSettings
from hcs.store.plate.labels import write_labels
from hcs.store.plate.nodes import Ngff
from hcs.store.plate.writer import PlateSpec, create_plate, write_field
from hcs.store.results.table import write_frame


@dataclass(frozen=True, slots=True)
class SimulationFiles:
    """What a simulation wrote."""

    plate: Path
    plate_map: Path
    truth: Path


def simulation_files(plate: Path) -> SimulationFiles:
    """Where the map and the truth of the simulated plate ``P.zarr`` are: ``P.platemap.csv``, ``P.truth.parquet``."""
    stem = plate.name.removesuffix(".zarr").removesuffix(".ome")
    return SimulationFiles(plate, plate.with_name(f"{stem}.platemap.csv"), plate.with_name(f"{stem}.truth.parquet"))


def write_simulation(plate: Path, settings: SimulationSettings, *, ngff: Ngff = "0.5") -> SimulationFiles:
    """Write a simulated plate to ``plate``, its true labels as ``labels/truth``, its map and its cells beside it.

    One field is in memory at a time. The plate appears under its name when it is complete; PlateError where there is
    something already, or a file of the name of its map or truth.
    """
    if plate.exists():
        raise PlateError(f"{plate} exists already; give another name or remove it")
    files = simulation_files(plate)
    for file in (files.plate_map, files.truth):
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
    tables = []
    progress = quarters("simulated")
    for i, key in enumerate(planned.keys, start=1):
        field = simulate_field(planned, key)
        write_field(str(growing), spec, key, field.image)
        write_labels(str(growing), key, field.labels, ngff=ngff, pixel_size_um=settings.pixel_size_um, name="truth")
        tables.append(field.cells)
        progress(i, len(planned.keys))
    growing.rename(plate)
    planned.plate_map.to_csv(files.plate_map, index=False)
    write_frame(files.truth, pd.concat(tables, ignore_index=True))
    return files
