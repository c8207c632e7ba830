"""What true outlines that lie further out, or further in, on one image than on another like it cost the model's F1.

    python benchmarks/outlines.py ../shared/data/nuclei [--model fast] [--split val]

Every image is segmented at the default settings. Prints how far the area found differs from the true one, by image;
F1 as it is (Caicedo et al. 2019); and F1 with all outlines of an image moved in or out by the one whole number of
pixels that suits that image's truth best. The last is no result, as it knows the truth: it says how much of what is
missing is where annotators draw the line, and how much is nuclei.
"""

from __future__ import annotations

import argparse
from pathlib import Path

import numpy as np
import pandas as pd
from numpy.typing import NDArray
from scipy.ndimage import distance_transform_edt
from segmentation import interval
from skimage.segmentation import expand_labels, find_boundaries

from hcs.commands.segment import segment_image
from hcs.config import Config
from hcs.evaluate.matching import CAICEDO, match
from hcs.field.worker import load_segmenter
from hcs.segment.predict import tune_cpu
from hcs.segment.scale import diameters_px
from hcs.store.files.images import read_image
from hcs.store.models import find_model

MOVES_PX = (-3, -2, -1, 0, 1, 2, 3)
LIKE_PX = (17.0, 23.0)
"""Median diameter of the nuclei of the kind of image (256 x 256) whose outlines differ most."""

Labels = NDArray[np.integer]


def moved(labels: Labels, px: int) -> Labels:
    """Labels (Y, X) with every outline ``px`` further out, or in where that is negative."""
    if px >= 0:
        return expand_labels(labels, px)
    outside = (labels == 0) | find_boundaries(labels, mode="inner")
    return np.where(distance_transform_edt(~outside) > -px - 1, labels, 0)


def f1_scores(truth: Labels, found: Labels) -> NDArray[np.float64]:
    """F1 at IoU 0.50, 0.55, … 0.90."""
    matched = match(truth.astype(np.int32), found.astype(np.int32))
    return np.array([matched.f1(threshold) for threshold in CAICEDO])


def main() -> None:
    """Segment, move, score, print."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("data", type=Path)
    parser.add_argument("--model", default="fast")
    parser.add_argument("--split", default="val")
    parser.add_argument("--threads", type=int, default=2)
    options = parser.parse_args()
    tune_cpu(options.threads)
    config, segmenter = Config(), load_segmenter(find_model(options.model), "cpu", flips=False)
    index = pd.read_csv(options.data / "index.csv")
    rows, scores = [], []
    for name in index.loc[index["split"] == options.split, "name"]:
        folder = options.data / options.split
        image, truth = read_image(folder / "images" / name), read_image(folder / "labels" / name)
        found = segment_image(image, segmenter, config)
        sizes = diameters_px(truth)
        like = image.shape == (256, 256) and LIKE_PX[0] <= float(np.median(sizes)) <= LIKE_PX[1]
        rows.append((np.count_nonzero(found) / max(np.count_nonzero(truth), 1), like))
        scores.append([f1_scores(truth, moved(found, px)) for px in MOVES_PX])
    ratio, like = np.array([row[0] for row in rows]), np.array([row[1] for row in rows])
    f1 = np.array(scores)
    best = f1.mean(axis=2).argmax(axis=1)
    as_it_is, suited = f1[:, MOVES_PX.index(0)], f1[np.arange(len(f1)), best]
    print("| images | n | area found / true, 10 % to 90 % of images | mean F1, IoU 0.50-0.90 | F1 at 0.5 | "
          "mean F1, outlines moved to suit each image |\n|---|---|---|---|---|---|")  # fmt: skip
    for title, chosen in (("all", like | ~like), ("256 x 256, nuclei of 17 to 23 px", like), ("the others", ~like)):
        low, high = np.percentile(ratio[chosen], (10, 90))
        count = np.count_nonzero(chosen)
        print(f"| {title} | {count} | {low:.2f} to {high:.2f} | {interval(as_it_is[chosen].mean(axis=1))} | "
              f"{interval(as_it_is[chosen, 0])} | {interval(suited[chosen].mean(axis=1))} |")  # fmt: skip
    counts = {px: int((best == i).sum()) for i, px in enumerate(MOVES_PX)}
    print("moved by, px: " + ", ".join(f"{px:+d} in {count}" for px, count in counts.items()))


if __name__ == "__main__":
    main()
