"""The shipped model on the validation images: score, errors, calibration of its confidence, speed.

    python benchmarks/segmentation.py ../shared/data/nuclei [--model fast] [--split val] [--figure docs/confidence.png]

Every image is segmented at the default settings, the size of its nuclei estimated. Prints Markdown: F1 per image
averaged over images and then over IoU 0.50-0.90 (Caicedo et al. 2019), with 95 % bootstrap intervals over images, by
image size; errors as `hcs evaluate` names them; the share of wrong nuclei by tenth of confidence, drawn into the
figure; and seconds per megapixel with the size given (as within a plate) and estimated (an image by itself).
"""

from __future__ import annotations

import argparse
import statistics
import time
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import torch
from matplotlib.figure import Figure
from numpy.typing import NDArray

from hcs.commands.segment import segment_image
from hcs.config import Config
from hcs.evaluate.matching import CAICEDO, Matching, match
from hcs.field.worker import load_segmenter
from hcs.run.diameter import image_diameter
from hcs.segment.predict import tune_cpu
from hcs.segment.segmenter import Segmenter
from hcs.store.files.images import read_image
from hcs.store.models import find_model

Labels = NDArray[np.int32]


def interval(scores: NDArray[np.float64]) -> str:
    """Mean over images of per-image scores, with a 95 % bootstrap interval."""
    rng = np.random.default_rng(0)
    means = scores[rng.integers(scores.size, size=(2000, scores.size))].mean(axis=1)
    low, high = np.percentile(means, (2.5, 97.5))
    return f"{scores.mean():.3f} ({low:.3f}-{high:.3f})"


def score_rows(matched: list[Matching], sizes: list[str]) -> list[str]:
    """Markdown rows of scores, all images first, then by image size."""
    f1 = np.array([[m.f1(t) for t in CAICEDO] for m in matched])
    rows = []
    for size in ["all", *sorted(set(sizes))]:
        chosen = np.array([size in ("all", own) for own in sizes])
        some = [m for m, c in zip(matched, chosen, strict=True) if c]
        true, found = sum(m.n_true for m in some), sum(m.n_predicted for m in some)
        own = f1[chosen]
        rows.append(
            f"| {size} | {chosen.sum()} | {interval(own.mean(axis=1))} | {interval(own[:, 0])} | "
            f"{interval(own[:, -1])} | {found} / {true} ({100 * (found / true - 1):+.1f} %) |"
        )
    return rows


def error_line(matched: list[Matching]) -> str:
    """Errors over all images, as `hcs evaluate` counts them: touching at IoU 0.1, wrong at IoU 0.7 and below."""
    true, found = sum(m.n_true for m in matched), sum(m.n_predicted for m in matched)
    merges = splits = missed = extra = 0
    for m in matched:
        touch = m.pair_iou > 0.1
        by_true = np.bincount(m.pair_true[touch], minlength=m.n_true)
        by_found = np.bincount(m.pair_predicted[touch], minlength=m.n_predicted)
        merges, splits = merges + int((by_found > 1).sum()), splits + int((by_true > 1).sum())
        missed, extra = missed + int((by_true == 0).sum()), extra + int((by_found == 0).sum())
    hits = sum(m.true_positives(0.7) for m in matched)
    return (
        f"merges {merges / true:.1%}, splits {splits / true:.1%}, missed {missed / true:.1%}, "
        f"extra {extra / found:.1%}, error rate at IoU 0.7 (true nuclei without a match) {1 - hits / true:.1%}"
    )


def confidences(image: NDArray[Any], segmenter: Segmenter, config: Config) -> tuple[Labels, NDArray[np.float64]]:
    """Labels of one image, and the mean confidence of each nucleus in the order of the labels."""
    field = segmenter.prepare(image)
    scale = image_diameter(field, segmenter, config).scale
    probabilities = segmenter.probabilities(field, config.tiles, scale)
    labels = segmenter.labels(probabilities, config.instances.for_field(None, scale))
    sure = segmenter.recipe.confidence(probabilities)
    areas = np.bincount(labels.ravel())[1:]
    return labels.astype(np.int32), np.bincount(labels.ravel(), weights=sure.ravel())[1:] / np.maximum(areas, 1)


def calibration(matched: list[Matching], sure: list[NDArray[np.float64]]) -> pd.DataFrame:
    """Per tenth of confidence: its mean, the number of nuclei, the share without a true nucleus at IoU 0.5 and 0.7."""
    best = []
    for m in matched:
        iou = np.zeros(m.n_predicted)
        np.maximum.at(iou, m.pair_predicted, m.pair_iou)
        best.append(iou)
    table = pd.DataFrame({"confidence": np.concatenate(sure), "iou": np.concatenate(best)})
    table["tenth"] = pd.qcut(table["confidence"].rank(method="first"), 10, labels=range(1, 11))
    return table.groupby("tenth", observed=True).agg(
        confidence=("confidence", "mean"),
        nuclei=("iou", "size"),
        wrong_at_50=("iou", lambda iou: float((iou <= 0.5).mean())),
        wrong_at_70=("iou", lambda iou: float((iou <= 0.7).mean())),
    )


def draw_calibration(table: pd.DataFrame, path: Path, title: str) -> None:
    """Bars of the share of wrong nuclei by tenth of confidence."""
    figure = Figure(figsize=(6.4, 3.6), layout="constrained")
    axes = figure.add_subplot()
    tenths = np.arange(1, 11)
    axes.bar(tenths - 0.2, 100 * table["wrong_at_50"], 0.4, label="no true nucleus at IoU > 0.5", color="#0072b2")
    axes.bar(tenths + 0.2, 100 * table["wrong_at_70"], 0.4, label="no true nucleus at IoU > 0.7", color="#e69f00")
    axes.set_xticks(tenths, [f"{c:.2f}" for c in table["confidence"]])
    axes.set_xlabel("mean confidence of each tenth of the nuclei found")
    axes.set_ylabel("wrong, %")
    axes.set_title(title, fontsize=10)
    axes.legend(frameon=False)
    figure.savefig(path, dpi=120)


def seconds_per_mp(images: list[NDArray[Any]], segmenter: Segmenter, config: Config, repeats: int) -> str:
    """Median (smallest-largest) over ``repeats`` passes, pixels to labels."""
    megapixels = sum(image.size for image in images) / 1e6
    times = []
    for _ in range(repeats):
        started = time.perf_counter()
        for image in images:
            segment_image(image, segmenter, config)
        times.append((time.perf_counter() - started) / megapixels)
    return f"{statistics.median(times):.2f} ({min(times):.2f}-{max(times):.2f})"


def main() -> None:
    """Score, draw, time, print."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("data", type=Path)
    parser.add_argument("--model", default="fast")
    parser.add_argument("--split", default="val")
    parser.add_argument("--images", type=int, help="only every n-th image, for about this many")
    parser.add_argument("--repeats", type=int, default=3)
    parser.add_argument("--threads", type=int, default=2)
    parser.add_argument("--figure", type=Path)
    arguments = parser.parse_args()
    tune_cpu(arguments.threads)
    config = Config()
    segmenter = load_segmenter(find_model(arguments.model), "cpu", flips=False)
    index = pd.read_csv(arguments.data / "index.csv")
    names = sorted(index.loc[index["split"] == arguments.split, "name"])
    if arguments.images:
        names = names[:: max(len(names) // arguments.images, 1)]
    folder = arguments.data / arguments.split
    images = [read_image(folder / "images" / name) for name in names]
    matched, sure = [], []
    for name, image in zip(names, images, strict=True):
        labels, confidence = confidences(image, segmenter, config)
        matched.append(match(read_image(folder / "labels" / name).astype(np.int32), labels))
        sure.append(confidence)
    megapixels = sum(image.size for image in images) / 1e6
    print(
        f"{arguments.model}: {len(names)} images of {arguments.split}, {megapixels:.1f} MP, torch {torch.__version__}\n"
    )
    print(
        "| images | n | mean F1, IoU 0.50-0.90 | F1 at 0.5 | F1 at 0.9 | nuclei found / true |\n"
        "|---|---|---|---|---|---|"
    )
    print("\n".join(score_rows(matched, [f"{image.shape[0]} x {image.shape[1]}" for image in images])))
    print(f"\n{error_line(matched)}\n")
    table = calibration(matched, sure)
    print(
        "| tenth of confidence | mean confidence | nuclei | wrong at IoU 0.5 | wrong at IoU 0.7 |\n"
        "|---|---|---|---|---|"
    )
    for tenth, row in table.iterrows():
        print(
            f"| {tenth} | {row['confidence']:.2f} | {int(row['nuclei'])} | {row['wrong_at_50']:.1%} | "
            f"{row['wrong_at_70']:.1%} |"
        )
    if arguments.figure:
        title = f"{arguments.model}, {int(table['nuclei'].sum()):,} nuclei of {len(names)} {arguments.split} images"
        draw_calibration(table, arguments.figure, title)
    if arguments.repeats:
        plates = [image for image in images if image.shape == (520, 696)] or images
        given = Config(diameter_px=27.0)
        print(
            f"\ns/MP, {arguments.threads} threads, {len(plates)} images of {plates[0].shape}: size given "
            f"{seconds_per_mp(plates, segmenter, given, arguments.repeats)}, estimated in each "
            f"{seconds_per_mp(plates, segmenter, config, arguments.repeats)}"
        )


if __name__ == "__main__":
    main()
