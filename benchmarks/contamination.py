"""What bright dead cells and debris cost: real images with some drawn over them, the living nuclei found again.

    python benchmarks/contamination.py ../shared/data/nuclei [--model fast] [--images 24]

Every n-th validation image is magnified so that its median nucleus is about as large as asked, brought to 16 bits, and
segmented as it is and again under each kind of contamination, which covers up to 2 % of its pixels and is 3 to 50
times as bright as its nuclei, up to the camera's limit. Prints Markdown: by size and kind, F1 at IoU 0.5 against the
truth without what is drawn, and the share of nuclei found before that stay (IoU > 0.7), of those not covered. What is
drawn is made by other code than the training's, `hcs.train.contaminate`.
"""

from __future__ import annotations

import argparse
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import pandas as pd
from numpy.typing import NDArray

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
COVERED = 0.02
SIZES_PX = (15.0, 30.0, 60.0, 90.0)
LARGEST_PX = 1400
NUCLEUS_COUNTS, OFFSET_COUNTS, FULL_COUNTS = 1200.0, 200.0, 65535.0


@dataclass(frozen=True)
class Scene:
    """A field before anything is drawn: counts (Y, X), truth, size of its nuclei."""

    counts: Image
    truth: Labels
    diameter_px: float


def scene(image: NDArray[Any], truth: Labels, diameter_px: float) -> Scene | None:
    """A validation image at the wanted size of nuclei; None where that would be too large, or it has too few."""
    areas = np.bincount(truth.ravel())[1:]
    areas = areas[areas > 0]
    if areas.size < 5:
        return None
    zoom = diameter_px / (2.0 * float(np.sqrt(np.median(areas) / np.pi)))
    size = (round(image.shape[1] * zoom), round(image.shape[0] * zoom))
    if max(size) > LARGEST_PX or min(size) < 160:
        return None
    method = cv2.INTER_AREA if zoom < 1 else cv2.INTER_CUBIC
    grey = cv2.resize(image.astype(np.float32), size, interpolation=method)
    labels = cv2.resize(truth.astype(np.float32), size, interpolation=cv2.INTER_NEAREST_EXACT).astype(np.int32)
    low = float(np.percentile(grey, 2.0))
    level = float(np.median(grey[labels > 0])) - low
    if level <= 0.0:
        return None
    return Scene((grey - low) / level * NUCLEUS_COUNTS, labels, diameter_px)


def photographed(light: Image, rng: np.random.Generator) -> NDArray[np.uint16]:
    """Counts of a 16-bit camera, (Y, X), with shot and read noise."""
    noisy = light + OFFSET_COUNTS + rng.normal(0.0, 1.0, light.shape) * np.sqrt(np.clip(light, 0.0, None) + 60.0)
    return np.clip(np.round(noisy), 0.0, FULL_COUNTS).astype(np.uint16)


def bodies(rng: np.random.Generator, place: Scene, radius: Callable[[], float], *, most: int = 10_000) -> Image:
    """Round bodies, brightest in the middle as spheres are, over up to 2 % of the pixels, (Y, X) from 0 to about 1."""
    height, width = place.counts.shape
    drawn, left = np.zeros((height, width), np.float32), COVERED * height * width
    y, x = np.mgrid[:height, :width].astype(np.float32)
    for _ in range(most):
        r = radius()
        if np.pi * r * r > left:
            break
        left -= np.pi * r * r
        cy, cx, stretch = rng.uniform(0, height), rng.uniform(0, width), np.exp(rng.normal(0.0, 0.12))
        top, bottom, start, stop = (int(v) for v in (cy - 2 * r, cy + 2 * r + 2, cx - 2 * r, cx + 2 * r + 2))
        part = (slice(max(top, 0), max(bottom, 0)), slice(max(start, 0), max(stop, 0)))
        far = ((y[part] - cy) / (r * stretch)) ** 2 + ((x[part] - cx) / (r / stretch)) ** 2
        drawn[part] = np.maximum(drawn[part], np.sqrt(np.clip(1.0 - far, 0.0, None)) * np.exp(rng.normal(0.0, 0.4)))
    return drawn


def haloed(drawn: Image, diameter_px: float, share: float) -> Image:
    """Bodies with light around them that falls off over several nuclei, slower than any one Gaussian."""
    out = drawn.copy()
    for width, part in ((0.3, 0.5), (0.8, 0.3), (2.0, 0.15), (4.0, 0.05)):
        out += np.float32(share * part * 4) * cv2.GaussianBlur(drawn, (0, 0), width * diameter_px)
    return out


def dead(rng: np.random.Generator, place: Scene) -> Image:
    """Rounded cells of a third to all of a nucleus' width."""
    return bodies(rng, place, lambda: place.diameter_px * float(rng.uniform(0.18, 0.5)))


def specks(rng: np.random.Generator, place: Scene) -> Image:
    """Specks of 1 to 3 px, whatever the nuclei."""
    return bodies(rng, place, lambda: float(rng.uniform(0.8, 3.0)))


def fibres(rng: np.random.Generator, place: Scene) -> Image:
    """Threads of 2 px across the field, as bright all along."""
    height, width = place.counts.shape
    drawn = np.zeros((height, width), np.float32)
    while np.count_nonzero(drawn) < 0.75 * COVERED * drawn.size:
        path = np.cumsum(rng.normal(0.0, 12.0, (6, 2)), axis=0) + rng.uniform(0, (width, height))
        cv2.polylines(drawn, [path.astype(np.int32)], isClosed=False, color=float(rng.uniform(0.3, 1.0)), thickness=2)
    return drawn


def clump(rng: np.random.Generator, place: Scene) -> Image:
    """One heap of dead cells."""
    height, width = place.counts.shape
    drawn = np.zeros((height, width), np.float32)
    middle, r = rng.uniform(0.2, 0.8, 2) * (height, width), 0.25 * place.diameter_px
    for _ in range(max(int(COVERED * drawn.size / (np.pi * r * r) * 0.8), 1)):
        y, x = (middle + rng.normal(0.0, 0.6 * np.sqrt(COVERED * drawn.size), 2)).astype(int)
        cv2.circle(drawn, (int(x), int(y)), max(round(r), 1), float(rng.uniform(0.5, 1.0)), -1)
    return drawn


KINDS: dict[str, Callable[[np.random.Generator, Scene, float], Image]] = {
    "dead, 5 x": lambda rng, place, _: 5.0 * dead(rng, place),
    "dead, 50 x, halo": lambda rng, place, px: 50.0 * haloed(dead(rng, place), px, 0.01),
    "dead, 20 x, strong halo": lambda rng, place, px: 20.0 * haloed(dead(rng, place), px, 0.05),
    "clump, 15 x, halo": lambda rng, place, px: 15.0 * haloed(clump(rng, place), px, 0.02),
    "specks, 20 x": lambda rng, place, _: 20.0 * specks(rng, place),
    "fibres, 5 x": lambda rng, place, _: 5.0 * fibres(rng, place),
    "specks and dead, 3-50 x": lambda rng, place, px: (
        float(np.exp(rng.uniform(np.log(3.0), np.log(50.0))))
        * (haloed(dead(rng, place) * 0.7, px, 0.02) + specks(rng, place) * 0.3)
    ),
}


def seen_clean(scenes: list[Scene], segmenter: Segmenter) -> list[Labels]:
    """Labels of the scenes as they are."""
    images = (photographed(place.counts, np.random.default_rng(seed)) for seed, place in enumerate(scenes))
    return [segment_image(image, segmenter, Config()).astype(np.int32) for image in images]


def looked_at(scenes: list[Scene], clean: list[Labels], segmenter: Segmenter, kind: str) -> tuple[float, float, float]:
    """Mean F1 at IoU 0.5 as it is and contaminated, and the share of nuclei that stay."""
    stay = could = 0
    before, after = [], []
    for seed, (place, known) in enumerate(zip(scenes, clean, strict=True)):
        drawn = KINDS[kind](np.random.default_rng((seed, *kind.encode())), place, place.diameter_px)
        over = cv2.GaussianBlur(drawn, (0, 0), 1.0)
        light = place.counts + np.float32(NUCLEUS_COUNTS) * over
        image = photographed(light, np.random.default_rng(seed))
        found = segment_image(image, segmenter, Config()).astype(np.int32)
        body = over > 0.5
        matching = match(uncovered(known, body), found)
        could, stay = could + matching.n_true, stay + int((matching.iou > 0.7).sum())
        truth = uncovered(place.truth, body)
        before.append(match(place.truth, known).f1(0.5))
        after.append(match(truth, living(found, body, truth)).f1(0.5))
    return float(np.mean(before)), float(np.mean(after)), stay / max(could, 1)


def uncovered(labels: Labels, body: NDArray[np.bool_]) -> Labels:
    """Labels (Y, X) without those of which a twentieth or more is covered."""
    area = np.bincount(labels.ravel())
    hidden = np.bincount(labels[body], minlength=area.size) >= 0.05 * np.maximum(area, 1)
    return np.where(hidden[labels], 0, labels).astype(np.int32)


def living(found: Labels, body: NDArray[np.bool_], truth: Labels) -> Labels:
    """Labels found (Y, X), without those that lie on what was drawn, or on what it covers, and on no living one."""
    area = np.bincount(found.ravel())
    on_body = np.bincount(found[cv2.dilate(body.view(np.uint8), np.ones((7, 7), np.uint8)) > 0], minlength=area.size)
    on_truth = np.bincount(found[truth > 0], minlength=area.size)
    drop = (on_body > 0) & (on_truth < 0.5 * area)
    return np.where(drop[found], 0, found).astype(np.int32)


def main() -> None:
    """Draw, segment, compare, print."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("data", type=Path)
    parser.add_argument("--model", default="fast")
    parser.add_argument("--images", type=int, default=24, help="validation images a size")
    parser.add_argument("--threads", type=int, default=2)
    arguments = parser.parse_args()
    tune_cpu(arguments.threads)
    segmenter = load_segmenter(find_model(arguments.model), "cpu", flips=False)
    index = pd.read_csv(arguments.data / "index.csv")
    names = sorted(index.loc[index["split"] == "val", "name"])
    folder = arguments.data / "val"
    print("| nuclei | images | contamination | F1 at 0.5 as it is | F1 at 0.5 contaminated | nuclei that stay |")
    print("|---|---|---|---|---|---|")
    for size_px in SIZES_PX:
        found = []
        for name in names:
            truth = read_image(folder / "labels" / name).astype(np.int32)
            if (made := scene(read_image(folder / "images" / name), truth, size_px)) is not None:
                found.append(made)
        chosen = found[:: max(len(found) // arguments.images, 1)][: arguments.images]
        clean = seen_clean(chosen, segmenter)
        for kind in KINDS:
            before, after, stay = looked_at(chosen, clean, segmenter, kind)
            row = f"| {size_px:.0f} px | {len(chosen)} | {kind} | {before:.3f} | {after:.3f} | {stay:.1%} |"
            print(row, flush=True)


if __name__ == "__main__":
    main()
