"""From class probabilities to nuclei: growing the cores against a seeded watershed, on the same probabilities.

    python benchmarks/instances.py ../shared/data/nuclei

The shipped network's probabilities of training images (nothing is chosen on the validation images), the same cores and
the same foreground; only how the rest of the foreground is shared out between the cores differs. Prints F1 with 95 %
bootstrap intervals over images and seconds per megapixel of that step alone, median of the repeats.
"""

from __future__ import annotations

import argparse
import time
from collections.abc import Callable
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from skimage.segmentation import watershed

from hcs.config import Config
from hcs.evaluate.matching import CAICEDO, match
from hcs.field.worker import load_segmenter
from hcs.run.diameter import image_diameter
from hcs.segment.ours.cores import find_cores
from hcs.segment.ours.instances import grow, instances
from hcs.segment.ours.runs import runs_of
from hcs.segment.predict import tune_cpu
from hcs.segment.settings import InstanceSettings
from hcs.store.files.images import read_image
from hcs.store.models import find_model
from hcs.train.data import read_index

Share = Callable[[NDArray[np.int32], NDArray[np.bool_], NDArray[np.float32]], NDArray[np.int32]]
"""Cores (Y, X), foreground (Y, X), probabilities (3, Y, X) → labels (Y, X)."""


def grown(cores: NDArray[np.int32], foreground: NDArray[np.bool_], _: NDArray[np.float32]) -> NDArray[np.int32]:
    """Every pixel to the core that reaches it in the fewest steps, as `hcs.segment.ours.instances` does."""
    labels, listed = np.zeros(cores.shape, np.int32), cores[foreground]
    grow(listed, runs_of(foreground))
    labels[foreground] = listed
    return labels


def flooded(cores: NDArray[np.int32], foreground: NDArray[np.bool_], said: NDArray[np.float32]) -> NDArray[np.int32]:
    """Watershed of the boundary's probability, flooded from the cores."""
    return np.asarray(watershed(said[2] - said[1], cores, mask=foreground), np.int32)


def parts(said: NDArray[np.float32], settings: InstanceSettings) -> tuple[NDArray[np.int32], NDArray[np.bool_]]:
    """Cores and foreground, without its holes filled."""
    foreground = said[0] < 1.0 - settings.foreground
    cores = np.zeros(foreground.shape, np.int32)
    cores[foreground] = find_cores(said[1], runs_of(foreground), settings)
    return cores, foreground


def main() -> None:
    """Predict once, share out both ways, print the table."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("data", type=Path)
    parser.add_argument("--model", default="fast")
    parser.add_argument("--images", type=int, default=60)
    parser.add_argument("--repeats", type=int, default=5)
    arguments = parser.parse_args()
    tune_cpu(2)
    config, segmenter = Config(), load_segmenter(find_model(arguments.model), "cpu", flips=False)
    index = read_index(arguments.data)
    chosen = index[index["split"] == "train"].sample(arguments.images, random_state=0)
    ways: dict[str, Share] = {"grown": grown, "watershed": flooded}
    scores: dict[str, list[float]] = {name: [] for name in ways}
    seconds: dict[str, list[float]] = {name: [0.0] * arguments.repeats for name in ways}
    pixels, complete = 0, []
    for row in chosen.to_dict("records"):
        image, truth = read_image(arguments.data / row["images"]), read_image(arguments.data / row["labels"])
        field = segmenter.prepare(image)
        scale = image_diameter(field, segmenter, config).scale
        said = segmenter.probabilities(field, config.tiles, scale)
        cores, foreground = parts(said, config.instances.for_field(None, scale))
        pixels += truth.size
        found = match(truth.astype(np.int32), instances(said, config.instances.for_field(None, scale)).astype(np.int32))
        complete.append(float(np.mean([found.f1(t) for t in CAICEDO])))
        for name, share in ways.items():
            share(cores, foreground, said)
            for repeat in range(arguments.repeats):
                started = time.perf_counter()
                labels = share(cores, foreground, said)
                seconds[name][repeat] += time.perf_counter() - started
            found = match(truth.astype(np.int32), labels)
            scores[name].append(float(np.mean([found.f1(t) for t in CAICEDO])))
    print(f"{len(complete)} training images, {pixels / 1e6:.1f} MP; complete post-processing {np.mean(complete):.4f}")
    print("| foreground shared out by | mean F1, IoU 0.50-0.90 | s/MP |\n|---|---|---|")
    draws = np.random.default_rng(0).integers(0, len(complete), (2000, len(complete)))
    for name in ways:
        means = np.asarray(scores[name])[draws].mean(axis=1)
        low, high = np.percentile(means, [2.5, 97.5])
        pace = float(np.median(seconds[name])) / (pixels / 1e6)
        print(f"| {name} | {np.mean(scores[name]):.4f} ({low:.4f}-{high:.4f}) | {pace:.3f} |")
    difference = np.subtract(scores["grown"], scores["watershed"])
    low, high = np.percentile(difference[draws].mean(axis=1), [2.5, 97.5])
    print(f"grown less watershed, paired: {difference.mean():+.4f} ({low:+.4f} to {high:+.4f})")


if __name__ == "__main__":
    main()
