"""Dim nuclei beside bright ones, and nuclei that touch: which are found?

    python benchmarks/dim.py ../shared/data/nuclei [--model fast …] [--images 30]

Every n-th validation image is magnified so that its median nucleus is 30 px across and brought to 16 bits. Dim: a
third of its whole nuclei have a part of their own light alone, what lies between them stays; prints the share of these
that is found at IoU > 0.5, by that part, and of the others. Touching: a third of its nuclei are pushed towards their
nearest neighbour, straight, until both touch; prints the share of these pairs that is found as two, and of these
nuclei before they were pushed. Models see the same pictures. What is drawn is made by other code than the training's,
`hcs.train.crowd`.
"""

from __future__ import annotations

import argparse
import sys
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import cv2
import numpy as np
import pandas as pd
from numpy.typing import NDArray
from scipy import ndimage

sys.path.insert(0, str(Path(__file__).parent))
from contamination import Scene, photographed, scene

from hcs.commands.segment import segment_image
from hcs.config import Config
from hcs.evaluate.matching import match
from hcs.field.worker import load_segmenter
from hcs.segment.predict import tune_cpu
from hcs.segment.segmenter import Segmenter
from hcs.store.files.images import read_image
from hcs.store.models import find_model

Image = NDArray[np.float32]
Labels = NDArray[np.int32]
SIZE_PX = 30.0
SHARE = 1 / 3
PARTS = (1.0, 0.5, 0.25, 0.12, 0.06, 0.03)
_ZONE_PX = 8
_VISIBLE_COUNTS = 25.0
"""A dimmed nucleus is left with at least so much; the camera's noise there is some 10 counts."""


@dataclass(frozen=True, slots=True)
class Changed:
    """A scene with some of its nuclei changed."""

    counts: Image
    truth: Labels
    chosen: NDArray[np.int32]
    """Labels of the nuclei that were changed."""


def own_light(place: Scene) -> tuple[Image, Image, Labels]:
    """What lies between the nuclei, smoothed in under them; the rest; and whose that rest is, within 8 px."""
    free = cv2.dilate((place.truth > 0).view(np.uint8), np.ones((7, 7), np.uint8)) == 0
    wide = [
        cv2.GaussianBlur(plane.astype(np.float32), (0, 0), SIZE_PX / 2)
        for plane in (np.where(free, place.counts, 0.0), free)
    ]
    between = np.where(wide[1] > 1e-3, wide[0] / np.maximum(wide[1], 1e-3), float(np.percentile(place.counts, 5)))
    between = np.minimum(between, place.counts).astype(np.float32)
    away, nearest = ndimage.distance_transform_edt(place.truth == 0, return_indices=True)
    zone = np.where(away <= _ZONE_PX, place.truth[tuple(nearest)], 0)
    return between, place.counts - between, zone.astype(np.int32)


def dimmed(place: Scene, part: float, rng: np.random.Generator) -> Changed:
    """A third of the nuclei with ``part`` of their own light; those that this would hide stay."""
    between, own, zone = own_light(place)
    labels = np.unique(place.truth[place.truth > 0])
    level = ndimage.median(own, place.truth, labels)
    chosen = labels[(rng.random(labels.size) < SHARE) & (level * part >= _VISIBLE_COUNTS)]
    dim = np.isin(zone, chosen)
    away = ndimage.distance_transform_edt(dim)
    factor = np.where(dim, 1.0 + (part - 1.0) * np.clip(away / 2.0, 0.0, 1.0), 1.0)
    return Changed(np.asarray(between + own * factor, np.float32), place.truth, chosen.astype(np.int32))


def pushed(place: Scene, rng: np.random.Generator, *, really: bool) -> Changed:
    """A third of the nuclei moved to their nearest neighbour until both touch; not ``really``: the same nuclei, where
    they were."""
    _, own, _ = own_light(place)
    counts, truth = place.counts.copy(), place.truth.copy()
    boxes, height, width = ndimage.find_objects(truth), *truth.shape
    labels = np.unique(truth[truth > 0])
    middles = np.array(ndimage.center_of_mass(truth > 0, truth, labels))
    pairs: list[int] = []
    for k, label in enumerate(labels):
        if rng.random() > SHARE or label in pairs or labels.size < 2:
            continue
        away = np.hypot(*(middles - middles[k]).T)
        away[k] = np.inf
        other = int(np.argmin(away))
        if labels[other] in pairs or away[other] > 5 * SIZE_PX:
            continue
        y, x = (slice(side.start - 6, side.stop + 6) for side in boxes[label - 1])
        if y.start < 0 or x.start < 0 or y.stop > height or x.stop > width:
            continue
        mask, light = place.truth[y, x] == label, own[y, x].copy()
        light[cv2.dilate(mask.view(np.uint8), np.ones((7, 7), np.uint8)) == 0] = 0.0
        if ((place.truth[y, x] > 0) & ~mask & (light > 0)).any():
            continue  # touches another one already
        step = (middles[other] - middles[k]) / away[other]
        left = truth.copy()
        left[y, x][mask] = 0
        place_at = _until_it_touches(mask, (y, x), step, left, int(labels[other]))
        if place_at is None:
            continue
        pairs += [int(label), int(labels[other])]
        if really:
            counts[y, x] -= light
            counts[place_at] += light
            truth = left
            truth[place_at][mask] = label
    return Changed(counts, truth, np.array(pairs, np.int32))


def _until_it_touches(
    mask: NDArray[np.bool_], box: tuple[slice, slice], step: NDArray[np.float64], left: Labels, other: int
) -> tuple[slice, slice] | None:
    """The last place on the way to ``other`` where a nucleus covers nothing; None where there is none, or another
    nucleus is in the way."""
    found = None
    for n in range(int(6 * SIZE_PX)):
        dy, dx = (round(float(n * s)) for s in step)
        y, x = slice(box[0].start + dy, box[0].stop + dy), slice(box[1].start + dx, box[1].stop + dx)
        if y.start < 0 or x.start < 0 or y.stop > left.shape[0] or x.stop > left.shape[1]:
            return None
        under = left[y, x][mask]
        if (under > 0).any():
            return found if set(np.unique(under[under > 0])) == {other} else None
        found = (y, x)
    return None


def found_of(changed: Changed, segmenter: Segmenter, seed: int) -> tuple[int, int, int, int]:
    """Changed nuclei found and all of them, and the same of the others."""
    image = photographed(changed.counts, np.random.default_rng(seed))
    matching = match(changed.truth, segment_image(image, segmenter, Config()).astype(np.int32))
    labels = np.unique(changed.truth[changed.truth > 0])
    hit, own = matching.iou > 0.5, np.isin(labels, changed.chosen)
    return int(hit[own].sum()), int(own.sum()), int(hit[~own].sum()), int((~own).sum())


def main() -> None:
    """Draw, segment, compare, print."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("data", type=Path)
    parser.add_argument("--model", nargs="+", default=["fast"])
    parser.add_argument("--images", type=int, default=30)
    parser.add_argument("--threads", type=int, default=1)
    arguments = parser.parse_args()
    tune_cpu(arguments.threads)
    index = pd.read_csv(arguments.data / "index.csv")
    folder, scenes = arguments.data / "val", []
    for name in sorted(index.loc[index["split"] == "val", "name"]):
        truth = read_image(folder / "labels" / name).astype(np.int32)
        if (made := scene(read_image(folder / "images" / name), truth, SIZE_PX)) is not None:
            scenes.append(made)
    scenes = scenes[:: max(len(scenes) // arguments.images, 1)][: arguments.images]
    rows: dict[str, Callable[[Scene, np.random.Generator], Changed]] = {
        f"{part:.0%} of their light": lambda place, rng, part=part: dimmed(place, part, rng) for part in PARTS
    }
    rows["pairs, apart"] = lambda place, rng: pushed(place, rng, really=False)
    rows["pairs, touching"] = lambda place, rng: pushed(place, rng, really=True)
    print("| nuclei | model | changed ones | found | others | found |\n|---|---|---|---|---|---|")
    for name, change in rows.items():
        changed = [change(place, np.random.default_rng((seed, 7))) for seed, place in enumerate(scenes)]
        for model in arguments.model:
            segmenter = load_segmenter(find_model(model), "cpu", flips=False)
            counts = np.sum([found_of(one, segmenter, seed) for seed, one in enumerate(changed)], axis=0)
            shares = [f"{n} | {hit / max(n, 1):.1%}" for hit, n in (counts[:2], counts[2:])]
            print(f"| {name} | {model} | {shares[0]} | {shares[1]} |", flush=True)


if __name__ == "__main__":
    main()
