"""What many labs would write: nuclei by Otsu's threshold and a distance watershed, regionprops_table, Dask over images.

Reads the raw images of BBBC013, two processes by default, and prints Z′ over wells of the mean ring/nucleus ratio of
each compound. Settings are scikit-image's examples'; nothing was tuned on this plate.

Run: python benchmarks/peers/skimage_dask.py ../shared/data/bbbc013 [--workers N] [--out nuclei.parquet]
"""

from __future__ import annotations

import argparse
import re
from pathlib import Path

import dask
import numpy as np
import pandas as pd
from numpy.typing import NDArray
from scipy import ndimage
from skimage.feature import peak_local_max
from skimage.filters import gaussian, threshold_otsu
from skimage.io import imread
from skimage.measure import regionprops_table
from skimage.morphology import remove_small_objects
from skimage.segmentation import expand_labels, watershed

PROPERTIES = ("label", "area", "centroid", "perimeter", "eccentricity", "solidity", "mean_intensity", "max_intensity")
RING_PX, MIN_AREA_PX, APART_PX = 5, 20, 5


def find_nuclei(dna: NDArray[np.uint8]) -> NDArray[np.int32]:
    """Image (Y, X) → labels (Y, X)."""
    smooth = gaussian(dna, 1, preserve_range=True)
    foreground = ndimage.binary_fill_holes(smooth > threshold_otsu(smooth))
    foreground = remove_small_objects(foreground, max_size=MIN_AREA_PX - 1)
    distance = gaussian(ndimage.distance_transform_edt(foreground), 1)
    peaks = peak_local_max(distance, min_distance=APART_PX, labels=ndimage.label(foreground)[0])
    markers = np.zeros(dna.shape, np.int32)
    markers[tuple(peaks.T)] = np.arange(1, len(peaks) + 1)
    labels: NDArray[np.int32] = watershed(-distance, markers, mask=foreground)
    return labels


def process(dna_path: Path, sensor_path: Path, well: str) -> pd.DataFrame:
    """One row a nucleus, with the ring's mean of the sensor beside the nucleus'."""
    dna, sensor = imread(dna_path), imread(sensor_path)
    labels = find_nuclei(dna)
    ring = expand_labels(labels, RING_PX)
    ring[labels > 0] = 0
    image = np.dstack([dna, sensor])
    nuclei = pd.DataFrame(regionprops_table(labels, image, properties=PROPERTIES))
    rings = pd.DataFrame(regionprops_table(ring, image, properties=("label", "mean_intensity")))
    both = nuclei.merge(rings, on="label", suffixes=("", "_ring"))
    background = np.percentile(sensor, 1)
    above = both["mean_intensity-1"] - background
    ratio = (both["mean_intensity-1_ring"] - background) / above.where(above > 0)
    return both.assign(ratio=ratio, well=well)


def z_primes(nuclei: pd.DataFrame, plate_map: pd.DataFrame) -> dict[str, float]:
    """Group → Z′ over wells of the mean ratio, positive against negative wells of the group."""
    wells = nuclei.groupby("well")["ratio"].mean().rename("ratio").reset_index().merge(plate_map, on="well")
    found = {}
    for group, members in wells.groupby("group"):
        positive, negative = (members.loc[members["role"] == role, "ratio"] for role in ("positive", "negative"))
        found[str(group)] = 1 - 3 * (positive.std() + negative.std()) / abs(positive.mean() - negative.mean())
    return found


def main() -> None:
    """All wells, then the table and Z′."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("source", type=Path)
    parser.add_argument("--workers", type=int, default=2)
    parser.add_argument("--out", type=Path)
    options = parser.parse_args()
    tasks = []
    for dna_path in sorted((options.source / "images").glob("Channel2-*.tif*")):
        row, column = re.search(r"-([A-H])-(\d\d)\.tif", dna_path.name).groups()  # type: ignore[union-attr]
        sensor_path = dna_path.with_name(dna_path.name.replace("Channel2", "Channel1"))
        tasks.append(dask.delayed(process)(dna_path, sensor_path, f"{row}{column}"))
    frames = dask.compute(*tasks, scheduler="processes", num_workers=options.workers)
    nuclei = pd.concat(frames, ignore_index=True)
    if options.out is not None:
        nuclei.to_parquet(options.out)
    print(f"{len(nuclei):,} nuclei in {len(tasks)} images")
    for group, value in z_primes(nuclei, pd.read_csv(options.source / "platemap.csv")).items():
        print(f"Z' {group} {value:.3f}")


if __name__ == "__main__":
    main()
