"""Time measuring one 2160 × 2160 field of 1,500 nuclei and two channels on one core, by stage, beside
scikit-image.

Run: python benchmarks/measure.py
"""

from __future__ import annotations

import statistics
import time
from collections.abc import Callable

import numpy as np
from numpy.typing import NDArray
from skimage.measure import regionprops_table

from hcs.measure.intensity import as_pixels, field_background, local_background, region_statistics
from hcs.measure.measure import measure_nuclei
from hcs.measure.regions import regions_of
from hcs.measure.settings import MeasureSettings
from hcs.measure.shape import measure_shape
from hcs.measure.surroundings import find_surroundings

SIZE_PX, NUCLEI, REPEATS = 2160, 1500, 7
CHANNELS = ("DNA", "Sensor")
PROPERTIES = (
    *("label", "area", "centroid", "bbox", "perimeter", "eccentricity", "solidity"),
    *("axis_major_length", "axis_minor_length", "orientation"),
    *("intensity_mean", "intensity_std", "intensity_min", "intensity_max"),
)


def make_field(seed: int = 0) -> tuple[NDArray[np.uint32], NDArray[np.uint16]]:
    """Labels (Y, X) of 1,500 ellipses on a jittered grid, and a noisy image (2, Y, X)."""
    rng = np.random.default_rng(seed)
    side = int(np.ceil(np.sqrt(NUCLEI)))
    pitch = SIZE_PX / side
    labels = np.zeros((SIZE_PX, SIZE_PX), np.uint32)
    for i in range(NUCLEI):
        cy, cx = (np.array(divmod(i, side)) + 0.5) * pitch + rng.uniform(-12, 12, 2)
        a, b = rng.uniform(13, 21), rng.uniform(11, 16)
        angle = rng.uniform(0, np.pi)
        y0, x0 = max(int(cy) - 24, 0), max(int(cx) - 24, 0)
        y, x = np.mgrid[y0 : min(y0 + 49, SIZE_PX), x0 : min(x0 + 49, SIZE_PX)]
        u = (y - cy) * np.cos(angle) + (x - cx) * np.sin(angle)
        v = (x - cx) * np.cos(angle) - (y - cy) * np.sin(angle)
        labels[y0 : y0 + 49, x0 : x0 + 49][(u / a) ** 2 + (v / b) ** 2 <= 1] = i + 1
    image = rng.poisson(np.where(labels > 0, 900, 100), (2, SIZE_PX, SIZE_PX)).astype(np.uint16)
    return labels, image


def median_ms(function: Callable[[], object]) -> float:
    """Median wall time of seven calls, in milliseconds."""
    times = []
    for _ in range(REPEATS):
        start = time.perf_counter()
        function()
        times.append(time.perf_counter() - start)
    return 1e3 * statistics.median(times)


def main() -> None:
    """Make the field, warm up, time and print."""
    settings = MeasureSettings()
    labels, image = make_field()

    def whole() -> object:
        return measure_nuclei(labels, image, channels=CHANNELS, dna="DNA", sensor="Sensor", settings=settings)

    start = time.perf_counter()
    whole()
    print(f"{'first call (load or compile kernels)':40s} {1e3 * (time.perf_counter() - start):8.1f} ms")
    nuclei = regions_of(labels)
    box = measure_shape(nuclei).box
    around = find_surroundings(nuclei, box, settings)
    pixels = as_pixels(image[0])
    stages: dict[str, Callable[[], object]] = {
        "find nuclei": lambda: regions_of(labels),
        "shape": lambda: measure_shape(nuclei),
        "ring and annulus": lambda: find_surroundings(nuclei, box, settings),
        "pixels as whole numbers, per channel": lambda: as_pixels(image[0]),
        "field background, per channel": lambda: field_background(pixels, settings),
        "nucleus statistics, per channel": lambda: region_statistics(pixels, nuclei.pixels, ceiling=65535.0),
        "ring statistics, per channel": lambda: region_statistics(
            pixels, around.ring, ceiling=65535.0, middle_only=True
        ),
        "local background, per channel": lambda: local_background(pixels, around.background, fallback=0.0),
    }
    for name, stage in stages.items():
        print(f"  {name:38s} {median_ms(stage):8.1f} ms")
    print(f"{f'measure_nuclei, {len(nuclei)} nuclei, 2 channels':40s} {median_ms(whole):8.1f} ms")
    stacked = np.moveaxis(image, 0, -1)
    start = time.perf_counter()
    regionprops_table(labels.astype(np.int32), stacked, properties=PROPERTIES)
    print(f"{'regionprops_table, no ring, once':40s} {1e3 * (time.perf_counter() - start):8.1f} ms")


if __name__ == "__main__":
    main()
