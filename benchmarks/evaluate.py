"""Time `hcs evaluate` on 100 images of 520 × 696 px with 120 nuclei each, from files to page, in a process of its own.

    python benchmarks/evaluate.py [--images 100] [--nuclei 120] [--predictions 1] [--values]

The prediction has what segmentations have: outlines a pixel off, merges, splits, missed and extra nuclei. ``--values``
also measures every nucleus in an image, to stratify by its mean intensity.
"""

from __future__ import annotations

import argparse
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import cv2
import numpy as np
from numpy.typing import NDArray

SHAPE = (520, 696)
Labels = NDArray[np.uint16]


def truth_field(nuclei: int, rng: np.random.Generator) -> Labels:
    """Labels (Y, X) of ellipses on a jittered grid; neighbours touch here and there."""
    columns = int(np.ceil(np.sqrt(nuclei * SHAPE[1] / SHAPE[0])))
    rows = -(-nuclei // columns)
    pitch_y, pitch_x = SHAPE[0] / rows, SHAPE[1] / columns
    labels = np.zeros(SHAPE, np.uint16)
    for i in range(nuclei):
        row, column = divmod(i, columns)
        cx, cy = int((column + 0.5) * pitch_x + rng.normal(0, 4)), int((row + 0.5) * pitch_y + rng.normal(0, 4))
        axes = (int(rng.integers(11, 19)), int(rng.integers(9, 15)))
        cv2.ellipse(labels, (cx, cy), axes, float(rng.uniform(0, 180)), 0, 360, i + 1, thickness=-1)
    return labels


def prediction_of(truth: Labels, rng: np.random.Generator) -> Labels:
    """The truth shifted by up to two pixels, with 3 % of nuclei missed, 3 % merged, 3 % split, and some extra."""
    found = np.roll(truth, rng.integers(-2, 3, 2), axis=(0, 1)).astype(np.int64)
    n = int(truth.max())
    renamed = np.arange(n + 1)
    renamed[rng.integers(1, n + 1, n // 33)] = 0
    merged = rng.integers(1, n, n // 33)
    renamed[merged] = renamed[merged + 1]
    found = renamed[found]
    for k, label in enumerate(rng.integers(1, n + 1, n // 33)):
        y, x = np.nonzero(found == label)
        right = x > np.median(x) if x.size else np.zeros(0, bool)
        found[y[right], x[right]] = n + 1 + k
    for k in range(3):
        y, x = rng.integers(0, SHAPE[0] - 10), rng.integers(0, SHAPE[1] - 10)
        found[y : y + 6, x : x + 6] = 2 * n + k
    return found.astype(np.uint16)


def main() -> None:
    """Write the images, time the command, print one line."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--images", type=int, default=100)
    parser.add_argument("--nuclei", type=int, default=120)
    parser.add_argument("--predictions", type=int, default=1)
    parser.add_argument("--values", action="store_true")
    arguments = parser.parse_args()
    rng = np.random.default_rng(0)
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        found = [folder / f"found-{k}" for k in range(arguments.predictions)]
        for path in (folder / "truth", folder / "images", *found):
            path.mkdir()
        for i in range(arguments.images):
            truth = truth_field(arguments.nuclei, rng)
            cv2.imwrite(str(folder / "truth" / f"{i:03d}.png"), truth)
            cv2.imwrite(str(folder / "images" / f"{i:03d}.png"), rng.poisson(100 + 400 * (truth > 0)).astype(np.uint16))
            for path in found:
                cv2.imwrite(str(path / f"{i:03d}.png"), prediction_of(truth, rng))
        command = [sys.executable, "-m", "hcs", "evaluate", str(folder / "truth"), *map(str, found)]
        command += ["--out", str(folder / "out"), *(["--images", str(folder / "images")] if arguments.values else [])]
        started = time.perf_counter()
        subprocess.run(command, check=True, capture_output=True)
        seconds = time.perf_counter() - started
    print(
        f"{arguments.images} images of {SHAPE[0]} × {SHAPE[1]} px, {arguments.nuclei} nuclei each, "
        f"{arguments.predictions} prediction(s), {'with' if arguments.values else 'without'} values: {seconds:.1f} s"
    )


if __name__ == "__main__":
    main()
