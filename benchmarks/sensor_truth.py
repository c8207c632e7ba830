"""The images that the model `sensor` learns from: truth from another channel, vetted, of three data sets; simulated
cells, and images of nuclear stains.

    python benchmarks/sensor_truth.py ../shared/data runs/sensor-data
    hcs train runs/sensor-data --config configs/train/sensor.yaml --out runs/sensor --name sensor

Rows D and H of BBBC013 become the split test, il1b-fibroblasts the split other: neither trains nor chooses.
"""

from __future__ import annotations

import argparse
from collections.abc import Callable, Iterable
from functools import partial
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import pandas as pd
import tifffile
from numpy.typing import NDArray

from hcs.config import Config
from hcs.field.worker import load_segmenter
from hcs.segment.predict import tune_cpu
from hcs.simulate.field import simulate_field
from hcs.simulate.plate import lay_out_plate
from hcs.simulate.settings import SimulationSettings
from hcs.store.files.images import read_image, read_label_image
from hcs.store.models import find_model
from hcs.train.data import INDEX, read_index
from hcs.train.truth import TruthSettings
from hcs.train.truth_folder import Field, Finder, write_truth

VAL_WELLS = frozenset({"A02", "B04", "C06", "E08", "F10", "G12", "C01", "E11"})
TEST_ROWS = frozenset("DH")
Pair = Callable[[], tuple[NDArray[Any], NDArray[Any]]]


def pair(given: Path, truth: Path) -> Pair:
    """Reads the first page of both files."""
    return partial(_read, given, truth)


def _read(given: Path, truth: Path) -> tuple[NDArray[Any], NDArray[Any]]:
    one, other = (
        np.asarray(tifffile.imread(path, key=0)) if path.suffix == ".tif" else read_image(path)
        for path in (given, truth)
    )
    return one, other


def bbbc013(source: Path) -> Iterable[Field]:
    """96 fields, one a well."""
    for path in sorted((source / "bbbc013/images").glob("Channel1-*.tif")):
        _, _, row, column = path.stem.split("-")
        well = row + column
        split = "test" if row in TEST_ROWS else "val" if well in VAL_WELLS else "train"
        other = path.with_name(path.name.replace("Channel1", "Channel2"))
        yield Field(
            name=f"bbbc013_{well}",
            well=well,
            split=split,
            read=pair(path, other),
            source="bbbc013",
            licence="CC BY 3.0",
        )


def frames(folder: Path, given: str, truth: str, *, split: str, times: int, source: str) -> Iterable[Field]:
    """Frames whose files differ by a word; all of one well."""
    for path in sorted(folder.glob(f"*{given}*")):
        other = path.with_name(path.name.replace(given, truth))
        yield Field(
            name=f"{source}_{path.stem}",
            well=source,
            split=split,
            read=pair(path, other),
            source=source,
            licence="MIT",
            times=times,
        )


def simulated(folder: Path, seed: int = 0) -> Iterable[dict[str, Any]]:
    """Three fields each of eight plates that differ in size, density, focus and exposure; rows of the index."""
    rng = np.random.default_rng(seed)
    for number in range(8):
        diameter = float(np.exp(rng.uniform(np.log(13), np.log(44))))
        plate = lay_out_plate(
            SimulationSettings(
                wells=24,
                seed=number,
                nucleus_diameter_px=diameter,
                density=min(float(rng.uniform(150, 500)) * (24 / diameter) ** 2, 0.2e6 / (0.785 * diameter**2)),
                psf_sigma_px=float(rng.uniform(0.5, 2.0)) * diameter / 24,
                sensor_counts=float(np.exp(rng.uniform(np.log(120), np.log(2000)))),
                debris=float(rng.uniform(0, 30)),
                clustering=float(rng.uniform(0.1, 0.5)),
            )
        )
        for i in rng.choice(24, 3, replace=False):
            field = simulate_field(plate, plate.keys[i])
            if field.labels.max() >= 5:
                name = f"sim_{number}_{field.key.well}"
                none = np.zeros(field.labels.shape, np.uint8)
                yield write(folder, name, field.image[1], field.labels, none, source="simulated", licence="MIT")


def stains(source: Path, folder: Path) -> Iterable[dict[str, Any]]:
    """Every 14th training image of nuclear stains, which looks like a sensor that is all in the nucleus."""
    index = read_index(source / "nuclei")
    chosen = index[index["split"] == "train"].sort_values("name").iloc[::14]
    for row in chosen.to_dict("records"):
        image, labels = (read_image(source / "nuclei" / row["images"]), source / "nuclei" / row["labels"])
        ignored = source / "nuclei" / row["ignore"]
        ignore = (
            (read_label_image(ignored) > 0).astype(np.uint8) if ignored.is_file() else np.zeros(image.shape, np.uint8)
        )
        name = f"stain_{Path(row['name']).stem}"
        yield write(folder, name, image, read_label_image(labels), ignore, source=row["source"], licence=row["licence"])


def write(
    folder: Path, name: str, image: NDArray[Any], labels: NDArray[Any], ignore: NDArray[np.uint8], **told: Any
) -> dict[str, Any]:
    """Write an image with its labels; its row of the index."""
    paths = {}
    for kind, pixels in (("images", image), ("labels", labels.astype(np.uint16)), ("ignore", ignore * 255)):
        paths[kind] = f"others/{kind}/{name}.png"
        (folder / paths[kind]).parent.mkdir(parents=True, exist_ok=True)
        cv2.imwrite(str(folder / paths[kind]), pixels)
    nuclei = int(np.count_nonzero(np.bincount(labels.ravel().astype(np.int64))[1:]))
    return {"split": "train", "name": f"{name}.png", "well": name, "nuclei": nuclei, "times": 1} | paths | told


def main() -> None:
    """Write truth by data set and one index over all."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("source", type=Path)
    parser.add_argument("out", type=Path)
    arguments = parser.parse_args()
    source, out = arguments.source, arguments.out
    tune_cpu(1)
    config = Config()
    segmenter = load_segmenter(find_model("fast"), "cpu", flips=False)
    finder = Finder(segmenter=segmenter, tiles=config.tiles, instances=config.instances)
    ktr, incucyte = source / "ktr-timelapse", source / "sensor/incucyte-hc01501/XX00001/B2/field_1"
    sets = {
        "bbbc013": list(bbbc013(source)),
        "dense": list(frames(ktr / "dense-epithelial", "YFP", "Far-red", split="train", times=4, source="dense")),
        "incucyte": list(frames(incucyte, "_G_", "_R_", split="train", times=1, source="incucyte"))[::2],
        "il1b": list(frames(ktr / "il1b-fibroblasts", "YFP", "DAPI", split="other", times=1, source="il1b")),
    }
    rows = []
    for name, fields in sets.items():
        write_truth(fields, out / name, finder, TruthSettings(), say=print)
        table = pd.read_csv(out / name / INDEX)
        for kind in ("images", "labels", "ignore"):
            table[kind] = f"{name}/" + table[kind]
        rows += table.to_dict("records")
    rows += [*simulated(out), *stains(source, out)]
    pd.DataFrame(rows).to_csv(out / INDEX, index=False)
    print(pd.DataFrame(rows).groupby(["split", "source"])[["nuclei"]].agg(["count", "sum"]))


if __name__ == "__main__":
    main()
