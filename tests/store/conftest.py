"""A small plate of each NGFF version, and the results of a run."""

from __future__ import annotations

import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pytest
from numpy.typing import NDArray

from hcs.commands.simulate import write_simulation
from hcs.plate.keys import FieldKey, WellId
from hcs.simulate.settings import SimulationSettings
from hcs.store.plate.writer import PlateSpec, create_plate, write_field

WELLS = (WellId(1, 2), WellId(0, 0))


@dataclass(frozen=True)
class SmallPlate:
    """Wells A01 and B03, two fields each, channels DNA and GFP, 65 × 80 px of 0.65 µm, uint16."""

    path: str
    spec: PlateSpec
    keys: tuple[FieldKey, ...]

    def image(self, key: FieldKey) -> NDArray[np.uint16]:
        """The pixels written to a field; other ones in each."""
        seed = [key.well.row, key.well.column, key.field]
        return np.random.default_rng(seed).integers(100, 4000, (2, 65, 80), dtype=np.uint16)


@pytest.fixture(params=["0.4", "0.5"])
def ngff(request: pytest.FixtureRequest) -> str:
    """Each NGFF version."""
    return str(request.param)


@pytest.fixture
def small_plate(tmp_path: Path, ngff: str) -> SmallPlate:
    """A plate written by hcs."""
    spec = PlateSpec(
        name="small", wells=WELLS, fields_per_well=2, channels=("DNA", "GFP"), ngff=ngff, pixel_size_um=0.65
    )
    keys = tuple(FieldKey(well, field) for well in sorted(WELLS) for field in range(2))
    plate = SmallPlate(str(tmp_path / f"plate-{ngff}.ome.zarr"), spec, keys)
    create_plate(plate.path, spec)
    for key in keys:
        write_field(plate.path, spec, key, plate.image(key))
    return plate


@pytest.fixture(scope="session")
def screen(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with ``plate.zarr`` of 48 simulated wells and ``results`` of ``hcs run`` on it; not to be changed."""
    folder = tmp_path_factory.mktemp("screen")
    settings = SimulationSettings(wells=48, size_px=256, nucleus_diameter_px=16, density=1100, seed=1)
    files = write_simulation(folder / "plate.zarr", settings)
    config = folder / "settings.yaml"
    config.write_text("channels: {dna: DNA, sensor: CDK2}\nlabels: out\nreadout: {min_nuclei_peak: 100, draws: 200}\n")
    command = [
        *(sys.executable, "-m", "hcs", "run", files.plate, "--out", folder / "results"),
        *("--plate-map", files.plate_map, "--config", config, "--workers", "1"),
    ]
    done = subprocess.run([*map(str, command)], capture_output=True, text=True, timeout=900, check=False)
    assert done.returncode == 0, done.stderr
    return folder
