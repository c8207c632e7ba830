"""Nuclei that vanish: the architectures, encoders and losses of Bosboom 2024, and designs that do not drift.

    python benchmarks/lexy.py ../shared/data --out lexy-runs --minutes-each 10

Trains each network for at most --minutes-each, then scores it on single pictures and along sequences of 30 frames made
from pictures that no training saw. Stopped, it goes on where it was; --only trains some. Results: OUT/scores.csv, one
row a network and kind of test.
"""

from __future__ import annotations

import argparse
import csv
import json
import time
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from functools import lru_cache, reduce
from itertools import pairwise
from pathlib import Path

import cv2
import numpy as np
import tifffile
import torch
from skimage.io import imread

import hcs
from hcs.commands.segment import segment_image
from hcs.config import Config
from hcs.evaluate.masks import SCORES, score_mask
from hcs.evaluate.matching import match
from hcs.field.worker import load_segmenter
from hcs.segment.baselines.tracknet import Encoder, MaskNet, MaskSpec, Shown
from hcs.segment.carry import Flow, Labels, added, around, clear_frames, clearness, levelled, step_flow
from hcs.segment.faint import Film, Gap
from hcs.segment.normalise import normalisation_of
from hcs.segment.paths import Objects
from hcs.segment.predict import tune_cpu
from hcs.segment.segmenter import Segmenter
from hcs.simulate.movie import SimulatedMovie
from hcs.simulate.plate import lay_out_plate
from hcs.simulate.settings import SimulationSettings
from hcs.simulate.vanishing import (
    Fading,
    Mask,
    VanishingFrame,
    estimated_mask,
    gone_over_time,
    vanishing_frames,
    with_cytoplasm,
)
from hcs.store.models import find_model
from hcs.train.vanishing import (
    Floats,
    VanishingTraining,
    compressed,
    draw_sample,
    follow,
    magnified,
    nucleus_probability,
    random_crop,
    train_vanishing,
)

DIAMETER_PX = 24.0
CROP_PX, SEEN_PX = 96, 64
SEQUENCES, FRAMES = 40, 30
MOST_IMAGES = 120
_LARGEST = {"vgg16": (8, 16, 16, 32, 32), "resnet34": (8, 8, 16, 32, 48), "plain": (8, 16, 32, 64)}
Row = dict[str, object]


@dataclass(frozen=True)
class Entry:
    """One training of the table."""

    name: str
    shown: Shown
    encoder: Encoder = "plain"
    loss: str = "bce"
    unroll: int = 0

    def settings(self, steps: int) -> VanishingTraining:
        spec = MaskSpec(shown=self.shown, encoder=self.encoder, widths=_LARGEST[self.encoder])
        batch = 8 if not self.unroll else 4
        return VanishingTraining(
            spec=spec, loss=self.loss, unroll=self.unroll, steps=steps, batch=batch, crop_px=SEEN_PX
        )


ENTRIES = (
    Entry("unet", "image"),
    Entry("both", "both"),
    Entry("tracknet", "previous"),
    Entry("siamnet", "reference"),
    Entry("tracknet-unrolled", "previous", unroll=4),
    Entry("siamnet-unrolled", "reference", unroll=4),
    *(
        Entry(f"{n}-{loss}", s, loss=loss)
        for loss in ("dice", "bce+dice")
        for n, s in (("unet", "image"), ("tracknet", "previous"), ("siamnet", "reference"))
    ),
    *(
        Entry(f"{n}-{e}", s, encoder=e)
        for e in ("resnet34", "vgg16")
        for n, s in (("unet", "image"), ("tracknet", "previous"), ("siamnet", "reference"))
    ),
)


def linear(image: np.ndarray) -> Floats:
    """Background 0, nuclei about a half."""
    known = normalisation_of(image)
    return ((np.asarray(image, np.float32) - known.low) / max(known.scale, 1e-6)).astype(np.float32)


def nuclei_images(data: Path, split: str, most: int) -> Iterable[Fading]:
    """Hand-labelled nuclei, given a cytoplasm."""
    with (data / "nuclei" / "index.csv").open() as file:
        rows = [row for row in csv.DictReader(file) if row["split"] == split]
    kept = 0
    for number, row in enumerate(rows):
        scale = DIAMETER_PX / (2 * np.sqrt(float(row["median_area_px"]) / np.pi))
        if not 0.2 < scale < 2.5 or kept == most:
            continue
        kept += 1
        image, labels = (imread(data / "nuclei" / split / kind / row["name"]) for kind in ("images", "labels"))
        picture, numbers = magnified(linear(image), labels, scale)
        rng = np.random.default_rng([7, number])
        level = float(rng.uniform(0.05, 0.3))
        yield Fading.of(with_cytoplasm(rng, picture, numbers, level=level, diameter_px=DIAMETER_PX), numbers)


def bbbc013_images(data: Path, *, odd: bool) -> Iterable[Fading]:
    """The translocating sensor of real cells, where it is in the nucleus; nuclei are those of the DNA channel."""
    for path in sorted((data / "bbbc013" / "images").glob("Channel1-*")):
        if int(path.stem.split("-")[-1]) % 2 != odd:
            continue
        labels = hcs.segment_image(imread(str(path).replace("Channel1", "Channel2"))).astype(np.int32)
        areas = np.bincount(labels.ravel())[1:]
        if not areas.size:
            continue
        scale = DIAMETER_PX / (2 * np.sqrt(float(np.median(areas)) / np.pi))
        fading = Fading.of(*magnified(linear(imread(path)), labels, scale))
        if float(np.median(fading.excess[fading.labels > 0])) > 0.08:
            yield fading


def sources(data: Path, out: Path, split: str) -> list[Fading]:
    """Pictures of a split, kept in OUT once they were made."""
    kept = out / f"sources-{split}.npz"
    if not kept.exists():
        odd = split == "val"
        found = [*nuclei_images(data, split, MOST_IMAGES if not odd else 40), *bbbc013_images(data, odd=odd)]
        arrays = {}
        for i, f in enumerate(found):
            arrays |= {f"i{i}": f.image, f"e{i}": f.excess, f"l{i}": f.labels, f"n{i}": np.float64(f.noise)}
        np.savez(kept.with_suffix(".part.npz"), **arrays)
        kept.with_suffix(".part.npz").replace(kept)
    with np.load(kept) as read:
        count = len(read.files) // 4
        parts = [(read[f"i{i}"], read[f"e{i}"], read[f"l{i}"], float(read[f"n{i}"])) for i in range(count)]
    return [Fading(image, excess, labels, noise) for image, excess, labels, noise in parts if (labels > 0).any()]


def sequences(pictures: Sequence[Fading]) -> list[list[VanishingFrame]]:
    """The test's sequences, the same in every call."""
    made = []
    for number in range(SEQUENCES):
        rng = np.random.default_rng([11, number])
        made.append(list(vanishing_frames(rng, random_crop(rng, pictures, CROP_PX))))
    return made


def scored(found: Sequence[Mask], true: Sequence[Mask]) -> Row:
    """Mean scores."""
    every = [score_mask(f, t) for f, t in zip(found, true, strict=True)]
    return {name: round(float(np.nanmean([getattr(s, name) for s in every])), 4) for name in SCORES}


def single_scores(network: MaskNet, settings: VanishingTraining, pictures: Sequence[Fading]) -> Row:
    """Scores of single pictures, shown as in training."""
    found, true = [], []
    once = VanishingTraining(spec=settings.spec, crop_px=settings.crop_px)
    for number in range(200):
        planes, truth = draw_sample(np.random.default_rng([13, number]), pictures, once)
        found.append(nucleus_probability(network, list(planes[0])) > 0.5)
        true.append(truth[0] > 0)
    return scored(found, true)


def sequence_scores(
    name: str, found: Sequence[Sequence[Mask]], movies: Sequence[Sequence[VanishingFrame]]
) -> list[Row]:
    """Scores along all frames, and in the frame of least contrast."""
    edge = (CROP_PX - SEEN_PX) // 2
    seen = (slice(edge, edge + SEEN_PX), slice(edge, edge + SEEN_PX))
    rows = []
    darkest = [int(np.argmax([frame.gone for frame in movie])) for movie in movies]
    for test in ("30 frames", "least contrast", "last frame"):
        a, b = [], []
        for masks, movie, dark in zip(found, movies, darkest, strict=True):
            chosen = {"30 frames": range(len(movie)), "least contrast": [dark], "last frame": [len(movie) - 1]}[test]
            a += [masks[k][seen] for k in chosen]
            b += [movie[k].labels[seen] > 0 for k in chosen]
        rows.append({"network": name, "test": test, **scored(a, b)})
    return rows


def run_entry(entry: Entry, data: argparse.Namespace, train: Sequence[Fading], val: Sequence[Fading]) -> None:
    """Train, score, keep."""
    folder = data.out / entry.name
    if (folder / "scores.json").exists():
        return
    settings = entry.settings(data.steps)
    began = time.monotonic()
    network, steps = train_vanishing(train, settings, folder=folder, seconds=60 * data.minutes_each)
    movies = sequences(val)
    found = []
    for number, movie in enumerate(movies):
        first = estimated_mask(
            np.random.default_rng([17, number]), movie[0].labels > 0, diameter_px=DIAMETER_PX, dice=0.95
        )
        probabilities = follow(network, [compressed(f.image) for f in movie], first) if entry.shown != "both" else None
        if probabilities is not None:
            found.append([p > 0.5 for p in probabilities])
    about = {"network": entry.name, "test": "single"}
    rows: list[Row] = [about | single_scores(network, settings, val)]
    if found:
        rows += sequence_scores(entry.name, found, movies)
    extra = {"loss": entry.loss, "encoder": entry.encoder, "steps": steps, "of": settings.steps}
    (folder / "scores.json").write_text(json.dumps([row | extra for row in rows]))
    print(f"{entry.name}: {time.monotonic() - began:.0f} s; {rows}", flush=True)


def carried_through(images: Sequence[np.ndarray], own: Sequence[Labels]) -> list[Labels]:
    """Labels of every frame as ``hcs run --model lexy`` makes them from what a network gives frame by frame."""
    clear = clear_frames([clearness(image, DIAMETER_PX) for image in images])
    flat = [levelled(image) for image in images]
    objects = [Objects.of(labels) for labels in own]

    def flow(source: int, frame: int) -> Flow | None:
        between = range(source, frame + (1 if frame > source else -1), 1 if frame > source else -1)
        steps = [step_flow(flat[b], flat[a]) for a, b in pairwise(between)]
        return reduce(lambda known, step: added(step, known), steps) if steps else None

    film = Film(clear, own.__getitem__, objects.__getitem__, flow, DIAMETER_PX)
    gaps: dict[tuple[int | None, int | None], Gap] = {}
    out = []
    for frame, labels in enumerate(own):
        if clear[frame]:
            out.append(labels)
            continue
        ends = around(frame, clear)
        if ends not in gaps:
            gaps[ends] = Gap.around(frame, film)
        out.append(gaps[ends].nuclei(frame, labels, film)[0])
    return out


def numbered(mask: Mask) -> Labels:
    """Pieces of a mask."""
    return cv2.connectedComponents(mask.astype(np.uint8), connectivity=4)[1].astype(np.uint32)


@lru_cache(maxsize=1)
def sensors_model() -> Segmenter:
    """The model of the sensor's channel, loaded once."""
    return load_segmenter(find_model("sensor", "cpu"), "cpu", flips=False)


def shipped(image: np.ndarray) -> Labels:
    """What the model of the sensor's channel finds."""
    return segment_image(image, sensors_model(), Config(model="sensor", diameter_px=DIAMETER_PX))


def on_sequences(out: Path, movies: Sequence[Sequence[VanishingFrame]]) -> list[Row]:
    """Designs along the synthetic sequences: the plain U-Net of this run, and the shipped model, alone and carried."""
    rows: list[Row] = []
    checkpoint = out / "unet" / "checkpoint.pt"
    segmenters = {"sensor, shipped": lambda movie: [shipped(f.image) for f in movie]}
    if checkpoint.exists():
        unet = MaskNet(ENTRIES[0].settings(1).spec)
        unet.load_state_dict(torch.load(checkpoint, weights_only=True)["network"])
        unet.eval()
        none = np.zeros((CROP_PX, CROP_PX), bool)
        segmenters["unet"] = lambda movie: [
            numbered(p > 0.5) for p in follow(unet, [compressed(f.image) for f in movie], none)
        ]
    for name, segment in segmenters.items():
        own = [segment(movie) for movie in movies]
        carried = [carried_through([f.image for f in m], o) for m, o in zip(movies, own, strict=True)]
        if name != "unet":
            rows += sequence_scores(name, [[labels > 0 for labels in o] for o in own], movies)
        rows += sequence_scores(f"{name}, carried", [[labels > 0 for labels in c] for c in carried], movies)
    return rows


def on_movies(data: Path) -> list[Row]:
    """The shipped model alone and carried: simulated LEXY movies, and a real movie whose nuclei are made to vanish."""
    rows: list[Row] = []
    for seed in (5, 6, 71, 72):
        settings = SimulationSettings(
            wells=1, size_px=320, frames=30, interval_min=5, sensor="LEXY", stimulus_min=30, light_ratio=1.0, seed=seed
        )
        plate = lay_out_plate(settings)
        frames = list(SimulatedMovie(plate, plate.keys[0]).frames())
        ratio = [abs(float(f.cells["ratio"].median()) - 1) for f in frames]
        rows += movie_rows(f"simulated, seed {seed}", [f.image[1] for f in frames], [f.labels for f in frames], ratio)
    pictures = [
        tifffile.imread(path, key=0)
        for path in sorted((data / "sensor" / "incucyte-hc01501").rglob("*.tif*"))
        if "_R_" in path.name
    ]
    if pictures:
        planes = [picture[300:700, 400:800] for picture in pictures]
        true = [hcs.segment_image(plane) for plane in planes]
        diameter = 2 * np.sqrt(np.median(np.concatenate([np.bincount(t.ravel())[1:] for t in true])) / np.pi)
        pairs = [magnified(p, t, DIAMETER_PX / diameter) for p, t in zip(planes, true, strict=True)]
        gone = gone_over_time(len(pairs), 1.0)
        rng = np.random.default_rng(3)
        faded = []
        for (picture, labels), share in zip(pairs, gone, strict=True):
            cytoplasm = 0.25 * float(np.median(picture[labels > 0]) - np.percentile(picture, 2))
            whole = with_cytoplasm(np.random.default_rng(3), picture, labels, level=cytoplasm, diameter_px=DIAMETER_PX)
            fading = Fading.of(whole, labels)
            faded.append(fading.at(share) + fading.noise * rng.standard_normal(picture.shape))
        rows += movie_rows("Incucyte, made to vanish", faded, [labels for _, labels in pairs], list(1 - gone))
    return rows


def movie_rows(name: str, images: Sequence[np.ndarray], true: Sequence[Labels], contrast: Sequence[float]) -> list[Row]:
    """Scores of a movie's masks, and F1 of its nuclei, over all frames and in that of least contrast."""
    own = [shipped(image) for image in images]
    found = {"sensor": own, "lexy": carried_through(images, own)}
    dark = int(np.argmin(contrast))
    rows = []
    for model, labels in found.items():
        for test, chosen in ((f"{len(images)} frames", range(len(images))), ("least contrast", [dark])):
            scores = scored([labels[k] > 0 for k in chosen], [true[k] > 0 for k in chosen])
            f1 = float(np.mean([match(true[k], labels[k]).f1(0.5) for k in chosen]))
            rows.append({"network": f"{model} on {name}", "test": test, **scores, "f1": round(f1, 4)})
    return rows


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("data", type=Path)
    parser.add_argument("--out", type=Path, default=Path("lexy-runs"))
    parser.add_argument("--minutes-each", type=float, default=10.0)
    parser.add_argument("--steps", type=int, default=500)
    parser.add_argument("--only", default="")
    arguments = parser.parse_args()
    tune_cpu(1)
    arguments.out.mkdir(parents=True, exist_ok=True)
    train, val = (sources(arguments.data, arguments.out, split) for split in ("train", "val"))
    print(f"{len(train)} pictures to train on, {len(val)} to test on", flush=True)
    chosen = [e for e in ENTRIES if not arguments.only or e.name in arguments.only.split(",")]
    for entry in chosen:
        run_entry(entry, arguments, train, val)
    rows = [
        row
        for e in ENTRIES
        for path in [arguments.out / e.name / "scores.json"]
        if path.exists()
        for row in json.loads(path.read_text())
    ]
    if not arguments.only or "designs" in arguments.only.split(","):
        rows += on_sequences(arguments.out, sequences(val))
        rows += on_movies(arguments.data)
    with (arguments.out / "scores.csv").open("w", newline="") as file:
        writer = csv.DictWriter(file, fieldnames=["network", "encoder", "loss", "test", *SCORES, "f1", "steps", "of"])
        writer.writeheader()
        writer.writerows(rows)


if __name__ == "__main__":
    main()
