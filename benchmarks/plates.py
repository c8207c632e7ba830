"""Simulated plates for benchmarks: a few different fields, repeated as often as wanted by hard links."""

from __future__ import annotations

import os
import shutil
from pathlib import Path

from hcs.commands.simulate import write_simulation
from hcs.plate.keys import FieldKey
from hcs.simulate.plate import plate_wells
from hcs.simulate.settings import SimulationSettings
from hcs.store.plate.writer import PlateSpec, create_plate, field_path

MOST_WELLS = 384


def make_plate(path: Path, *, fields: int, size_px: int, density: float, different: int = 4, seed: int = 1) -> Path:
    """A plate of ``fields`` two-channel uint16 fields with ``density`` nuclei per megapixel; one that is there is kept.

    Only ``different`` of them differ in their pixels; all are files of their own to whoever reads them.
    """
    if path.exists():
        return path
    source = path.with_name(f"{path.stem}-source.zarr")
    shutil.rmtree(source, ignore_errors=True)
    settings = SimulationSettings(wells=1, fields=different, size_px=size_px, density=density, seed=seed)
    write_simulation(source, settings)
    wells = plate_wells(min(fields, MOST_WELLS))
    counts = {well: tuple(range(fields // len(wells) + (i < fields % len(wells)))) for i, well in enumerate(wells)}
    spec = PlateSpec(
        name=path.stem, wells=wells, fields_per_well=max(map(len, counts.values())), channels=("DNA", "CDK2")
    )
    create_plate(str(path), spec, fields=counts)
    for i, key in enumerate(FieldKey(well, field) for well, numbers in counts.items() for field in numbers):
        original = source / "A" / "01" / str(i % different)
        shutil.copytree(
            original, path / field_path(key), copy_function=os.link, ignore=shutil.ignore_patterns("labels")
        )
    return path
