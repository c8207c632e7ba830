"""Score and speed of the shipped model on the validation images, beside Otsu + distance watershed, in one run.

    python benchmarks/segmentation.py ../shared/data/nuclei [--repeats 3]

Prints a Markdown table: F1 per image averaged over images and then over IoU 0.50-0.90 (Caicedo et al. 2019), F1 at 0.5,
with 95 % bootstrap intervals over images, and seconds per megapixel from pixels to labels (median of the repeats).
"""

from __future__ import annotations

import argparse
import statistics
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import torch
from numpy.typing import NDArray
from scipy import ndimage
from skimage.feature import peak_local_max
from skimage.filters import gaussian, threshold_otsu
from skimage.measure import label
from skimage.morphology import remove_small_objects
from skimage.segmentation import watershed

from hcs.evaluate.matching import CAICEDO, Matching, match
from hcs.segment.instances import instances
from hcs.segment.model import build_network
from hcs.segment.normalise import normalise
from hcs.segment.predict import find_device, predict, tune_cpu
from hcs.segment.settings import InstanceSettings
from hcs.store.images import read_image
from hcs.store.models import find_model, read_model
from hcs.tiles.settings import TileSettings

Method = Callable[[NDArray[Any]], NDArray[np.int32]]


def otsu_watershed(image: NDArray[Any]) -> NDArray[np.int32]:
    """Classical baseline: smooth, Otsu threshold, watershed of the distance transform from its maxima."""
    smooth = gaussian(image.astype(np.float32), 1.0, preserve_range=True)
    if smooth.max() == smooth.min():
        return np.zeros(image.shape, np.int32)
    foreground = remove_small_objects(ndimage.binary_fill_holes(smooth > threshold_otsu(smooth)), max_size=19)
    distance = gaussian(ndimage.distance_transform_edt(foreground), 1.0)
    seeds = np.zeros(image.shape, bool)
    seeds[tuple(peak_local_max(distance, min_distance=5, labels=label(foreground), exclude_border=False).T)] = True
    return np.asarray(watershed(-distance, label(seeds), mask=foreground), dtype=np.int32)


def network(name: str) -> Method:
    """A model of hcs at its default settings."""
    card, weights = read_model(find_model(name))
    net = build_network(card, weights, find_device("cpu"))

    def segment(image: NDArray[Any]) -> NDArray[np.int32]:
        return instances(predict(net, normalise(image), TileSettings()), InstanceSettings()).astype(np.int32)

    return segment


def interval(scores: NDArray[np.float64]) -> str:
    """Mean over images of per-image scores, with a 95 % bootstrap interval."""
    rng = np.random.default_rng(0)
    means = scores[rng.integers(scores.size, size=(2000, scores.size))].mean(axis=1)
    low, high = np.percentile(means, (2.5, 97.5))
    return f"{scores.mean():.3f} ({low:.3f}-{high:.3f})"


def main() -> None:
    """Run the comparison and print it."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("data", type=Path)
    parser.add_argument("--model", default="fast")
    parser.add_argument("--repeats", type=int, default=3)
    parser.add_argument("--threads", type=int, default=2)
    arguments = parser.parse_args()
    tune_cpu(arguments.threads)
    index = pd.read_csv(arguments.data / "index.csv")
    names = sorted(index.loc[index["split"] == "val", "name"])
    images = [read_image(arguments.data / "val" / "images" / name) for name in names]
    truths = [read_image(arguments.data / "val" / "labels" / name).astype(np.int32) for name in names]
    megapixels = sum(image.size for image in images) / 1e6
    print(f"{len(names)} images, {megapixels:.1f} MP, torch {torch.__version__}, {arguments.threads} threads\n")
    print("| method | mean F1, IoU 0.50-0.90 | F1 at 0.5 | F1 at 0.9 | nuclei found / true | s/MP |")
    print("|---|---|---|---|---|---|")
    methods: dict[str, Method] = {
        f"hcs {arguments.model}": network(arguments.model),
        "Otsu + watershed": otsu_watershed,
    }
    for name, method in methods.items():
        method(images[0])
        seconds = []
        for _ in range(arguments.repeats):
            started = time.perf_counter()
            found = [method(image) for image in images]
            seconds.append((time.perf_counter() - started) / megapixels)
        matched: list[Matching] = [match(t, f) for t, f in zip(truths, found, strict=True)]
        f1 = np.array([[m.f1(t) for t in CAICEDO] for m in matched])
        count = f"{sum(m.n_predicted for m in matched)} / {sum(m.n_true for m in matched)}"
        print(
            f"| {name} | {interval(f1.mean(axis=1))} | {interval(f1[:, 0])} | {interval(f1[:, -1])} | {count} | "
            f"{statistics.median(seconds):.2f} ({min(seconds):.2f}-{max(seconds):.2f}) |"
        )


if __name__ == "__main__":
    main()
