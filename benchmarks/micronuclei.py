"""Micronuclei beside annotators' masks: found, false, their cost; and the fit of the weights that decide.

    python benchmarks/micronuclei.py ../shared/data/nuclei [--fit hcs/measure/micronucleus_weights.py]
        [--labels FOLDER] [--figure docs/micronuclei.jpg]

Every second image with a mask in train/ignore is held out: the weights are fitted on the others (``--fit``), as they
are, smaller and larger, and scored on these. From which probability on an outline counts is chosen by cross-validation
among the images fitted on, so that there are two false ones per 100 nuclei. Each kind of cells is also scored by
weights fitted on the other kinds alone. Nuclei are those of the model ``fast``, kept as label images in ``--labels``
where a folder is given. A micronucleus is found where a found one has an IoU above 0.3 with it; every other found one
is false. Dots of the 360 x 360 images of BBBC038 are annotators' objects of less than a quarter of the image's median
diameter; those that were not annotated count as false here.
CPU seconds are the least of five, beside those of the network in the same run.
"""

from __future__ import annotations

import argparse
import csv
import time
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import cv2
import numpy as np
from numpy.typing import NDArray

from hcs.commands.segment import segment_image
from hcs.config import Config
from hcs.field.worker import load_segmenter
from hcs.measure.intensity import as_float32
from hcs.measure.micronuclei import FEATURES, LEAST_PROBABILITY, Candidates, candidates, find_micronuclei
from hcs.measure.regions import Regions, regions_of
from hcs.segment.predict import tune_cpu
from hcs.segment.segmenter import Segmenter
from hcs.store.files.images import read_image, write_labels_image
from hcs.store.models import find_model

LEAST_IOU = 0.3
FITTED_IOU = 0.4
"""What is fitted is whether an outline has an IoU above this: better outlines than are asked for."""
MOST_FALSE = 0.02
"""False micronuclei a nucleus."""
FOLDS = 5
SIZES = (0.75, 1.35)
"""Images are also fitted this many times as large: cells differ in magnification."""
REGULARISATION = 0.05
STEPS = 60

WEIGHTS = '''"""Weights of the logistic regression that tells micronuclei from other spots: our own.

Fitted by `python benchmarks/micronuclei.py ../shared/data/nuclei --fit hcs/measure/micronucleus_weights.py` on
{candidates} outlines, {true} of them those of micronuclei, of {images} images of DiPeso et al. 2024 (MIT) in
three sizes. A file of its own, because a program writes it. Features (`FEATURES` of `hcs.measure.micronuclei`) are cut
to LOWEST … HIGHEST, which become -1 … 1; PRODUCTS are those of each pair with itself and later ones, in the order of
numpy.triu_indices. From LEAST_PROBABILITY on there were two false ones per 100 nuclei in images left out of the fit.
"""

from __future__ import annotations

LEAST_PROBABILITY = {least}
LOWEST = {lowest}
HIGHEST = {highest}
INTERCEPT = {intercept}
LINEAR = {linear}
PRODUCTS = {products}
'''


@dataclass(frozen=True, slots=True)
class Scored:
    """One image: its nuclei, candidates with their best true micronucleus and its IoU, the number of true ones."""

    name: str
    source: str
    image: NDArray[Any]
    nuclei: Regions
    truth: NDArray[np.int32]
    found: Candidates
    iou: NDArray[np.float64]
    best: NDArray[np.int64]
    others: tuple[Scored, ...] = ()
    """The image in other sizes."""

    @property
    def n_true(self) -> int:
        return int(self.truth.max(initial=0))


def overlaps(found: Candidates, truth: NDArray[np.int32]) -> tuple[NDArray[Any], NDArray[Any]]:
    """For each candidate the highest IoU with one of ``truth`` (Y, X), and that one's number."""
    iou, best = np.zeros(len(found)), np.zeros(len(found), np.int64)
    areas, flat = np.bincount(truth.ravel()), truth.ravel()
    for i in range(len(found)):
        shared = np.bincount(flat[found.pixels_of(i)])
        shared[0] = 0
        if shared.any():
            values = shared / (found.area[i] + areas[: len(shared)] - shared)
            iou[i], best[i] = values.max(), values.argmax()
    return iou, best


def pieces(mask: NDArray[np.bool_]) -> NDArray[np.int32]:
    """Pieces of a mask (Y, X), connected along sides or corners, 1…n."""
    return np.asarray(cv2.connectedComponents(mask.astype(np.uint8), connectivity=8)[1], np.int32)


def nuclei_of(path: Path, labels: Path | None, segmenter: Segmenter) -> NDArray[np.uint32]:
    """The model's nuclei of one image, from the folder of labels where they are there."""
    kept = None if labels is None else labels / path.name
    if kept is not None and kept.exists():
        return np.asarray(read_image(kept)).astype(np.uint32)
    found = segment_image(read_image(path), segmenter, Config())
    if kept is not None:
        kept.parent.mkdir(parents=True, exist_ok=True)
        write_labels_image(kept, found)
    return found


def scored(path: Path, truth: NDArray[np.int32], nuclei: NDArray[np.uint32], *, resized: bool = False) -> Scored:
    """An image's candidates beside its true micronuclei; also of the image ``resized``."""
    here = beside_truth(path, read_image(path), truth, nuclei)
    return replace(here, others=tuple(resize(path, here, nuclei, size) for size in SIZES)) if resized else here


def resize(path: Path, here: Scored, nuclei: NDArray[np.uint32], size: float) -> Scored:
    """The same of the image in another size."""
    height, width = (round(side * size) for side in here.image.shape)

    def nearest(labels: NDArray[Any]) -> NDArray[np.int32]:
        values = cv2.resize(labels.astype(np.float32), (width, height), interpolation=cv2.INTER_NEAREST)
        return np.asarray(values, np.int32)

    how = cv2.INTER_AREA if size < 1 else cv2.INTER_CUBIC
    image = np.asarray(cv2.resize(here.image.astype(np.float32), (width, height), interpolation=how))
    return beside_truth(path, image, nearest(here.truth), nearest(nuclei).astype(np.uint32))


def beside_truth(path: Path, image: NDArray[Any], truth: NDArray[np.int32], nuclei: NDArray[np.uint32]) -> Scored:
    """What is found in an image (Y, X), and what is there."""
    regions = regions_of(nuclei)
    found = candidates(as_float32(image), regions)
    iou, best = overlaps(found, truth)
    source = path.stem.split("_")[0] + " " + ("other cells" if "misc" in path.stem else path.stem.split("_")[-2])
    return Scored(path.name, source, image, regions, truth, found, iou, best)


def design(features: NDArray[Any], lowest: NDArray[Any], highest: NDArray[Any]) -> NDArray[Any]:
    """Columns of the regression: one, features from -1 to 1, products of every two."""
    z = 2 * (np.clip(features, lowest, highest) - lowest) / (highest - lowest) - 1
    first, second = np.triu_indices(z.shape[1])
    return np.concatenate([np.ones((len(z), 1)), z, z[:, first] * z[:, second]], axis=1)


@dataclass(frozen=True, slots=True)
class Weights:
    """What was fitted: limits of the features, and the weights of the columns of `design`."""

    lowest: NDArray[Any]
    highest: NDArray[Any]
    weights: NDArray[Any]

    def probabilities(self, features: NDArray[Any]) -> NDArray[Any]:
        return np.asarray(1 / (1 + np.exp(-design(features, self.lowest, self.highest) @ self.weights)))


def fitted(images: list[Scored]) -> Weights:
    """Weights by Newton's method, ridge on columns of unit spread."""
    images = [each for s in images for each in (s, *s.others)]
    features = np.concatenate([s.found.features for s in images])
    true = np.concatenate([s.iou > FITTED_IOU for s in images])
    low, high = np.percentile(features[true], (0.5, 99.5), axis=0)
    span = np.maximum(high - low, 1e-3)
    lowest, highest = np.round(low - 0.25 * span, 3), np.round(high + 0.25 * span, 3)
    x = design(features, lowest, highest)
    ridge = x.var(axis=0) / REGULARISATION
    ridge[0] = 1e-9
    weights = np.zeros(x.shape[1])
    for _ in range(STEPS):
        p = 1 / (1 + np.exp(-x @ weights))
        gradient = x.T @ (p - true) + ridge * weights
        step = np.linalg.solve(
            (x * (p * (1 - p))[:, None]).T @ x + np.diag(ridge) + 1e-9 * np.eye(len(ridge)), gradient
        )
        weights -= step
        if np.abs(step).max() < 1e-6:
            break
    return Weights(lowest, highest, weights)


def outcomes(s: Scored, sure: NDArray[Any], least: float) -> tuple[NDArray[Any], NDArray[Any]]:
    """The outlines that are chosen, the surest first, and whether each is the first to find a micronucleus."""
    chosen = s.found.chosen(sure, least)
    good = s.iou[chosen] > LEAST_IOU
    first = np.zeros(len(chosen), np.bool_)
    first[np.flatnonzero(good)[np.unique(s.best[chosen[good]], return_index=True)[1]]] = True
    return chosen, first


def least_probability(images: list[Scored]) -> float:
    """From which probability on there are as many false ones as allowed, in images left out of the fit in turn."""
    order = np.random.default_rng(0).permutation(len(images))
    false: list[float] = []
    for fold in range(FOLDS):
        apart = set(order[fold::FOLDS].tolist())
        weights = fitted([s for i, s in enumerate(images) if i not in apart])
        for i in apart:
            sure = weights.probabilities(images[i].found.features)
            chosen, first = outcomes(images[i], sure, 0.05)
            false += sure[chosen[~first]].tolist()
    allowed = int(MOST_FALSE * sum(len(s.nuclei) for s in images))
    return sorted(false, reverse=True)[allowed]


def write_weights(images: list[Scored], path: Path) -> None:
    """Fit the weights and write them as the program reads them."""
    found, n = fitted(images), len(FEATURES)
    least = least_probability(images)

    def written(values: NDArray[Any]) -> str:
        return "(" + ", ".join(f"{value:.3f}" for value in values) + ")"

    path.write_text(
        WEIGHTS.format(
            candidates=sum(len(each.found) for s in images for each in (s, *s.others)),
            true=sum(int((each.iou > FITTED_IOU).sum()) for s in images for each in (s, *s.others)),
            images=len(images),
            least=f"{least:.2f}",
            lowest=written(found.lowest),
            highest=written(found.highest),
            intercept=f"{found.weights[0]:.3f}",
            linear=written(found.weights[1 : n + 1]),
            products=written(found.weights[n + 1 :]),
        )
    )


def row(name: str, images: list[Scored], least: float, weights: Weights | None = None) -> str:
    """A Markdown row: what is found at this probability and above, by the program's weights or others."""
    hits = false = off = true = nuclei = own = said = 0
    for s in images:
        sure = s.found.probabilities() if weights is None else weights.probabilities(s.found.features)
        chosen, first = outcomes(s, sure, least)
        hits, true, nuclei = hits + int(first.sum()), true + s.n_true, nuclei + len(s.nuclei)
        false += int((~first).sum())
        off += int((s.iou[chosen] == 0).sum())
        said += len(np.unique(s.found.nucleus[chosen]))
    own = hits + false
    precision, recall = hits / max(own, 1), hits / max(true, 1)
    f1 = 2 * hits / max(own + true, 1)
    return (
        f"| {name} | {len(images)} | {nuclei} | {true} | {f1:.3f} | {precision:.3f} | {recall:.3f} | "
        f"{100 * false / max(nuclei, 1):.1f} | {100 * off / max(nuclei, 1):.1f} | {100 * said / max(nuclei, 1):.1f} % |"
    )


HEAD = (
    "| images | n | nuclei | micronuclei | F1 at IoU 0.3 | precision | recall | false per 100 nuclei | of these "
    "touching no micronucleus | nuclei said to have one |\n|---|---|---|---|---|---|---|---|---|---|"
)


def by_place(images: list[Scored]) -> list[str]:
    """Markdown rows: share of true micronuclei found, by where the model's nuclei have them."""
    places = {"free of nuclei": [0, 0], "partly in a nucleus": [0, 0], "more than half in a nucleus": [0, 0]}
    for s in images:
        chosen, first = outcomes(s, s.found.probabilities(), LEAST_PROBABILITY)
        found = set(s.best[chosen[first]].tolist())
        inside = np.bincount(s.truth.ravel(), weights=(s.nuclei.dense > 0).ravel()) / np.bincount(s.truth.ravel())
        for i in range(1, s.n_true + 1):
            place = list(places)[0 if inside[i] == 0 else 1 if inside[i] <= 0.5 else 2]
            places[place][0] += 1
            places[place][1] += i in found
    return [f"| {name} | {n} | {hit / max(n, 1):.0%} |" for name, (n, hit) in places.items()]


def overlay(images: list[Scored], path: Path, *, window: int = 160) -> None:
    """Draw the part of each image with most marks of annotators: these red, found micronuclei green, nuclei grey."""
    rows = []
    for s in images:
        marked = cv2.boxFilter((s.truth > 0).astype(np.float32), -1, (window, window), anchor=(0, 0))
        marked = marked[: s.image.shape[0] - window, : s.image.shape[1] - window]
        y, x = np.unravel_index(int(marked.argmax()), marked.shape)
        part = (slice(y, y + window), slice(x, x + window))
        found = find_micronuclei(as_float32(s.image), s.nuclei).labels[part]
        low, high = np.percentile(s.image, (1, 99))
        grey = (255 * np.sqrt(np.clip((s.image[part] - low) / max(high - low, 1), 0, 1))).astype(np.uint8)
        large = cv2.resize(np.stack([grey] * 3, axis=-1), None, fx=3, fy=3, interpolation=cv2.INTER_NEAREST)
        plain = large.copy()
        for labels, colour in (
            (s.nuclei.dense[part], (110, 110, 110)),
            (s.truth[part], (60, 60, 255)),
            (found, (0, 230, 0)),
        ):
            for i in np.unique(labels[labels > 0]):
                mask = cv2.resize((labels == i).astype(np.uint8), None, fx=3, fy=3, interpolation=cv2.INTER_NEAREST)
                cv2.drawContours(large, cv2.findContours(mask, cv2.RETR_EXTERNAL, cv2.CHAIN_APPROX_NONE)[0], -1, colour)
        rows.append(np.concatenate([plain, large], axis=1))
    cv2.imwrite(str(path), np.concatenate(rows), [cv2.IMWRITE_JPEG_QUALITY, 80])


def cost(images: list[Scored], segmenter: Segmenter) -> str:
    """CPU seconds a megapixel of finding micronuclei, and as a share of finding nuclei in the same images."""
    shares, seconds = [], []
    for s in images:
        took = []
        for _ in range(5):
            began = time.process_time()
            find_micronuclei(as_float32(s.image), s.nuclei)
            took.append(time.process_time() - began)
        began = time.process_time()
        segment_image(s.image, segmenter, Config(diameter_px=25.0))
        shares.append(min(took) / (time.process_time() - began))
        seconds.append(min(took) / s.image.size * 1e6)
    share = f"of the time of finding nuclei {np.median(shares):.1%}"
    return f"CPU s/MP {np.median(seconds):.4f}; {share}, {len(images)} images"


def dots_of(labels: NDArray[Any]) -> tuple[NDArray[np.int32], int]:
    """The annotators' objects below a quarter of the median diameter, 1…n, and the number of the others."""
    regions = regions_of(labels)
    areas = regions.pixels.counts
    small = areas < np.median(areas) / 16
    numbers = np.zeros(len(areas) + 1, np.int32)
    numbers[1:][small] = np.arange(1, small.sum() + 1)
    return numbers[regions.dense], int((~small).sum())


def main() -> None:
    """Print tables in Markdown."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("data", type=Path)
    parser.add_argument("--fit", type=Path)
    parser.add_argument("--labels", type=Path)
    parser.add_argument("--figure", type=Path)
    given = parser.parse_args()
    tune_cpu(1)
    segmenter = load_segmenter(find_model("fast", "cpu"), "cpu", flips=False)
    images, drawn = [], []
    for ignore in sorted((given.data / "train" / "ignore").glob("*.png")):
        path = given.data / "train" / "images" / ignore.name
        truth = pieces(np.asarray(read_image(ignore)) > 0)
        images.append(scored(path, truth, nuclei_of(path, given.labels, segmenter), resized=True))
        drawn.append(scored(path, truth, np.asarray(read_image(given.data / "train" / "labels" / ignore.name))))
    if given.fit is not None:
        write_weights(images[::2], given.fit)
        print(f"fitted on {len(images[::2])} images; run again without --fit to see how they do")
        return
    held_out = images[1::2]
    print(f"{len(FEATURES)} features, probability {LEAST_PROBABILITY} and above\n\n{HEAD}")
    print(row("fitted on", images[::2], LEAST_PROBABILITY))
    print(row("held out", held_out, LEAST_PROBABILITY))
    for source in sorted({s.source for s in held_out}):
        print(row(f"held out, {source}", [s for s in held_out if s.source == source], LEAST_PROBABILITY))
    print(row("held out, at nuclei drawn by annotators", drawn[1::2], LEAST_PROBABILITY))
    for source in sorted({s.source for s in images}):
        apart = [s for s in images if s.source == source]
        others = fitted([s for s in images if s.source != source])
        print(row(f"all of {source}, fitted on the other cells alone", apart, LEAST_PROBABILITY, others))
    for least in (0.35, 0.5, 0.6, 0.8, 0.85, 0.9):
        print(row(f"held out, from {least}", held_out, least))
    dotted = []
    with (given.data / "index.csv").open() as file:
        for entry in csv.DictReader(file):
            if (entry["height"], entry["width"]) == ("360", "360"):
                path = given.data / entry["split"] / "images" / entry["name"]
                truth, _ = dots_of(np.asarray(read_image(given.data / entry["split"] / "labels" / entry["name"])))
                dotted.append(scored(path, truth, nuclei_of(path, given.labels, segmenter)))
    print(row("BBBC038, 360 x 360", dotted, LEAST_PROBABILITY))
    print(row("of these with dots", [s for s in dotted if s.n_true], LEAST_PROBABILITY))
    print(row("of these without", [s for s in dotted if not s.n_true], LEAST_PROBABILITY))
    print("\n| true micronuclei, held out | n | found |\n|---|---|---|")
    print("\n".join(by_place(held_out)))
    print("\n" + cost([s for s in held_out if s.image.size < 1e6][:6], segmenter))
    if given.figure is not None:
        overlay([held_out[i] for i in (0, 8)], given.figure)


if __name__ == "__main__":
    main()
