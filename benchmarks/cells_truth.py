"""Labelled images of simulated cells, to train a network for whole cells on.

Run: python benchmarks/cells_truth.py FOLDER [--fields 96] [--size 512] [--seed 9000]
then hcs train FOLDER --config configs/train/cells-first.yaml --out runs/cells-first --name cells
and  hcs train FOLDER --config configs/train/cells.yaml --out runs/cells --name cells

Five fields of six have uneven cells (`hcs simulate --cells uneven`), which part anywhere, one has even ones. Fields
are cut out of larger ones: at the border of a simulated field there is cytoplasm whose nucleus lies outside, and which
its truth leaves out. Seeds of `benchmarks/cells.py` are others.
"""

from __future__ import annotations

import argparse
from pathlib import Path

import numpy as np
import pandas as pd
import tifffile

from hcs.plate.keys import FieldKey
from hcs.simulate.field import simulate_field
from hcs.simulate.plate import lay_out_plate
from hcs.simulate.settings import SimulationSettings

DENSITIES = (0.07, 0.14, 0.2, 0.26)
"""Share of the field in nuclei."""
DIAMETERS_PX = (18.0, 24.0, 32.0)
BORDER_DIAMETERS = 3
"""As far as a cell reaches from its nucleus."""


def main() -> None:
    """Parse, simulate, write."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("folder", type=Path)
    parser.add_argument("--fields", type=int, default=96)
    parser.add_argument("--size", type=int, default=512)
    parser.add_argument("--seed", type=int, default=9000)
    options = parser.parse_args()
    rows = []
    for i in range(options.fields):
        split = "val" if i % 6 == 3 else "train"
        name, rng = f"cells-{i:03d}.tif", np.random.default_rng((options.seed, i))
        diameter = DIAMETERS_PX[i % 3]
        border = round(BORDER_DIAMETERS * diameter)
        settings = SimulationSettings(
            wells=12,
            size_px=options.size + 2 * border,
            seed=options.seed + i,
            nucleus_diameter_px=diameter,
            density=DENSITIES[i // 3 % 4] / (np.pi / 4 * diameter**2) * 1e6,
            crowding=1.0,
            cells="even" if i % 6 == 5 else "uneven",
            sensor_counts=float(np.exp(rng.uniform(np.log(100), np.log(2000)))),
            psf_sigma_px=float(rng.uniform(0.8, 2.0)),
            shading=float(rng.uniform(0.0, 0.4)),
        )
        planned = lay_out_plate(settings)
        field = simulate_field(planned, FieldKey(planned.wells[int(rng.integers(len(planned.wells)))], 0))
        core = (slice(border, -border), slice(border, -border))
        for kind, pixels in (("images", field.image[1]), ("labels", field.whole_cells.astype(np.uint16))):
            (options.folder / split / kind).mkdir(parents=True, exist_ok=True)
            tifffile.imwrite(options.folder / split / kind / name, pixels[core], compression="zlib")
        rows.append((split, name))
    pd.DataFrame(rows, columns=["split", "name"]).to_csv(options.folder / "index.csv", index=False)


if __name__ == "__main__":
    main()
