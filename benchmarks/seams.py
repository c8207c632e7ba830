"""A field in blocks against the same field in one piece: the same nuclei? and what memory do workers need?

    python benchmarks/seams.py ../shared/data/nuclei [--side 6000] [--memory-side 8000] [--work DIR]

Fields are mosaics of the validation images, each stretched to the same range, mirrored at random, so that nuclei lie
across every seam. The first is processed in one piece and in blocks by the shipped model; nuclei are paired and
counted as different when one pixel of their box or area is. The second, larger one is processed in blocks only. Prints
Markdown: differences at seams and in the interior, most memory of a worker against what was projected, seconds.
"""

from __future__ import annotations

import argparse
import os
import shutil
import tempfile
import time
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from hcs.config import Config
from hcs.engine.cluster import Workers, connect
from hcs.field.large import is_large, look_at
from hcs.field.worker import segmenter_of
from hcs.machine import processor_name
from hcs.plate.keys import FieldKey, WellId
from hcs.run.prepare import prepare
from hcs.run.run import run_plate
from hcs.store.files.images import read_image
from hcs.store.plate.reader import read_info
from hcs.store.plate.writer import PlateSpec, create_plate, write_field
from hcs.store.results.folder import open_results
from hcs.tiles.blocks import Box
from hcs.tiles.seams import COLUMNS, compare, seams_of, summarise

WELL = WellId.parse("A01")
KEY = FieldKey(WELL, 0)


def stretched(image: NDArray[Any]) -> NDArray[np.uint16]:
    """The image with its 2nd percentile at 200 and its 99.8th at 4,200 grey levels."""
    low, high = np.percentile(image, (2.0, 99.8))
    pixels = 200.0 + 4000.0 * (image.astype(np.float32) - low) / max(high - low, 1.0)
    return np.clip(pixels, 0, 65535).astype(np.uint16)


def mosaic(folder: Path, side_px: int, *, seed: int = 0) -> NDArray[np.uint16]:
    """A field (side, side) of the folder's images, mirrored and turned at random, row by row; images are cut off where
    the row ends."""
    rng = np.random.default_rng(seed)
    images = [stretched(read_image(path)) for path in sorted((folder / "val" / "images").iterdir())]
    field = np.zeros((side_px, side_px), np.uint16)
    y = 0
    while y < side_px:
        height, x = int(rng.choice([256, 360, 520])), 0
        while x < side_px:
            image = images[rng.integers(len(images))]
            image = np.rot90(image, int(rng.integers(4)))[:: int(rng.choice([-1, 1]))]
            part = np.tile(image, (-(-height // image.shape[0]), 1))[: min(height, side_px - y), : side_px - x]
            field[y : y + part.shape[0], x : x + part.shape[1]] = part
            x += part.shape[1]
        y += height
    return field


def write_plate(path: Path, field: NDArray[np.uint16]) -> None:
    """A plate of one well with the field as its DNA channel."""
    spec = PlateSpec(name="mosaic", wells=(WELL,), fields_per_well=1, channels=("DNA",), pixel_size_um=0.65)
    create_plate(str(path), spec)
    write_field(str(path), spec, KEY, field[None])


def peak_bytes() -> int:
    """Most memory that this process had itself; what getrusage tells counts that of the process which started it."""
    lines = Path("/proc/self/status").read_text().splitlines()
    return next(1024 * int(line.split()[1]) for line in lines if line.startswith("VmHWM"))


def process(plate: Path, out: Path, config: Config, *, workers: int) -> tuple[float, int, int]:
    """Run the plate; seconds, and the most memory of a worker at the start and in all, bytes."""
    began = time.perf_counter()
    with connect(Workers(count=workers)) as client:
        idle = max(client.run(peak_bytes).values())
        summary = run_plate(plate, out, config, workers=Workers(scheduler=client.scheduler.address))
        assert not summary.failed, summary.failed
        return time.perf_counter() - began, idle, max(client.run(peak_bytes).values())


def projected(plate: Path, out: Path, config: Config) -> Any:
    """How the field is cut, with the memory that is projected."""
    prepared = prepare(str(plate), out, config, plate_map_path=None, wells=None, device="cpu")
    job = replace(prepared.job, plate=prepared.job.plate.only(KEY))
    info = read_info(job.plate, KEY)
    assert is_large(info, config)
    return look_at(info, job, KEY, segmenter_of(job.model, "cpu", flips=False))


def differences(whole: Path, blocks: Path, cut: Any) -> pd.DataFrame:
    """Nuclei of the field in one piece and in blocks, paired."""
    one, other = (open_results(out).nuclei(columns=list(COLUMNS)) for out in (whole, blocks))
    height, width = cut.shape
    return compare(one, other, Box(0, 0, height, width), seams_of(cut.cut, cut.shape))


def main() -> None:
    """Process both mosaics and print what was found."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("data", type=Path)
    parser.add_argument("--side", type=int, default=6000, help="side of the field that is compared, px; 0: none")
    parser.add_argument("--memory-side", type=int, default=8000, help="side of the larger field, px; 0: none")
    parser.add_argument("--workers", type=int, default=2)
    parser.add_argument("--work", type=Path, help="folder for plates and results, kept; default: a temporary one")
    options = parser.parse_args()
    work = options.work or Path(tempfile.mkdtemp(prefix="hcs-seams-"))
    work.mkdir(parents=True, exist_ok=True)
    limit = min((options.side or options.memory_side) ** 2 // 2, 4_000_000)
    config = Config.model_validate({"labels": "out", "tiles": {"max_field_px": limit}})
    in_one = config.model_copy(update={"tiles": replace(config.tiles, max_field_px=options.side**2 + 1)})
    print(f"{processor_name()}, {os.cpu_count()} cores, load {os.getloadavg()[0]:.1f}; {options.workers} workers\n")
    if options.side:
        plate = work / "mosaic.zarr"
        write_plate(plate, mosaic(options.data, options.side))
        cut = projected(plate, work / "blocks", config)
        s_blocks, _, _ = process(plate, work / "blocks", config, workers=options.workers)
        print(
            f"{options.side}² px in {len(cut.blocks)} blocks and {len(cut.cells)} cells: {s_blocks:.0f} s", flush=True
        )
        s_whole, _, most = process(plate, work / "whole", in_one, workers=1)
        print(f"{options.side}² px in one piece, one worker: {s_whole:.0f} s, {most / 1e9:.2f} GB\n", flush=True)
        print(summarise(differences(work / "whole", work / "blocks", cut)).T.to_string(header=False), flush=True)
    if options.memory_side:
        plate = work / "large.zarr"
        write_plate(plate, mosaic(options.data, options.memory_side, seed=1))
        cut = projected(plate, work / "large", config)
        seconds, idle, most = process(plate, work / "large", config, workers=options.workers)
        print(
            f"\n{options.memory_side}² px in {len(cut.blocks)} blocks of at most {config.tiles.block_px} px: ", end=""
        )
        print(
            f"{seconds:.0f} s; most memory of a worker {most / 1e9:.2f} GB, {idle / 1e9:.2f} GB before the first task, "
        )
        print(f"projected {cut.projected_bytes / 1e9:.2f} GB; the field has {2 * options.memory_side**2 / 1e9:.2f} GB")
    if options.work is None:
        shutil.rmtree(work)


if __name__ == "__main__":
    main()
