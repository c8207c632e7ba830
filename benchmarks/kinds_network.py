"""A network with an interior class for each kind of nuclei: its training data, and how often it is right.

    python benchmarks/kinds_network.py data lines runs/lines/data
    hcs train runs/lines/data --config configs/train/lines.yaml --out runs/lines --name lines
    python benchmarks/kinds_network.py score runs/lines/lines.safetensors runs/lines/data

    python benchmarks/kinds_network.py data kinds runs/kinds/data --real ../shared/data/nuclei
    hcs train runs/kinds/data --config configs/train/kinds.yaml --out runs/kinds --name kinds
    python benchmarks/kinds_network.py score hcs/segment/weights/kinds.safetensors runs/kinds/data

``lines`` are fields in which two simulated cell lines grow together; only the second has chromocentres, as mouse nuclei
have, from faint to clear, and its G1 nuclei are 21 px wide instead of 25. Mitotic and dead cells look alike in both
lines: nobody tells theirs. ``kinds`` are interphase, mitotic and
apoptotic nuclei of simulated plates, in many sizes, densities and brightnesses, with real nuclei beside them whose kind
nobody knows, or, of those in `kinds_real.csv`, was told by eye. Test images are of seeds, and real images, of their
own.
"""

from __future__ import annotations

import argparse
import csv
import os
from collections.abc import Iterator
from dataclasses import fields, replace
from itertools import pairwise
from pathlib import Path

import numpy as np
import pandas as pd
import tifffile
from matplotlib.figure import Figure
from numpy.typing import NDArray

from hcs.field.worker import load_segmenter
from hcs.plate.keys import FieldKey
from hcs.report.figures import save_figure
from hcs.segment.predict import tune_cpu
from hcs.segment.scale import diameters_px, working_scale
from hcs.segment.settings import InstanceSettings
from hcs.simulate.compounds import VEHICLE, condition
from hcs.simulate.field import photograph, relabel, simulate_field
from hcs.simulate.nuclei import Canvas, place_nuclei
from hcs.simulate.optics import blur
from hcs.simulate.plate import lay_out_plate
from hcs.simulate.population import Population, WellEffects, draw_population
from hcs.simulate.settings import SimulationSettings
from hcs.store.files.images import read_image, read_label_image
from hcs.store.models import find_model
from hcs.tiles.settings import TileSettings
from hcs.train.augment import Sample
from hcs.train.data import read_index
from hcs.train.kinds import KINDS, kind_plane, read_kinds
from hcs.train.score import kinds_found

PHASES = ("interphase", "mitotic", "apoptotic")
LINES = ("human-like", "mouse-like")
REAL = Path(__file__).with_name("kinds_real.csv")
"""Real nuclei of the training data `nuclei`, their kind told by eye: image, label, kind."""
SCORES = (0.0, 0.6, 0.7, 0.8, 0.9, 1.01)
SIZES, BRIGHT = (18.0, 24.0, 30.0), (None, (2.0, 10.0))
Row = tuple[str, NDArray[np.integer], NDArray[np.integer], list[str]]
"""Split, image (Y, X), labels (Y, X), and the kind of labels 1..n; empty where nobody could tell."""


def two_lines(seed: int, side_px: int = 512) -> Row:
    """A field of both lines."""
    rng = np.random.default_rng([seed, 22])
    settings = SimulationSettings(size_px=side_px, seed=seed, nucleus_diameter_px=24.0, psf_sigma_px=1.0)
    margin = 36
    side = side_px + 2 * margin
    effects = WellEffects.draw(rng)
    drawn = []
    for diameter in (25.0, 21.0):
        number = int(rng.poisson(rng.uniform(120, 260) * side**2 / 1e6))
        own = replace(settings, nucleus_diameter_px=diameter)
        drawn.append(
            draw_population(rng, number, condition=condition(VEHICLE, 0.0, seeding=1.0), effects=effects, settings=own)
        )
    order = rng.permutation(sum(map(len, drawn)))
    joint = {f.name: np.concatenate([getattr(p, f.name) for p in drawn])[order] for f in fields(Population)}
    population = Population(**joint)
    line = np.repeat([0, 1], [len(drawn[0]), len(drawn[1])])[order]
    canvas = place_nuclei(rng, population, side_px=side, diameter_px=24.0, clustering=0.25)
    for cell in np.flatnonzero((line == 1) & ~population.condensed):
        _add_chromocentres(rng, canvas, int(cell) + 1)
    crop = slice(margin, margin + side_px)
    image = photograph(rng, (blur(canvas.dna, settings.psf_sigma_px)[crop, crop],), settings)[0]
    labels, cells = relabel(canvas.labels[crop, crop])
    condensed = population.condensed[cells]
    return "", image, labels, ["" if out else LINES[k] for k, out in zip(line[cells], condensed, strict=True)]


def _add_chromocentres(rng: np.random.Generator, canvas: Canvas, number: int) -> None:
    """Six to fourteen bright spots inside a nucleus, whose stain as a whole stays as it is."""
    rows, columns = np.nonzero(canvas.labels == number)
    if not len(rows):
        return
    density = canvas.dna[rows, columns]
    bright = float(np.exp(rng.normal(0.0, 0.5)))
    more = np.zeros(len(rows))
    for place in rng.integers(0, len(rows), int(rng.integers(6, 15))):
        sigma = rng.uniform(1.0, 1.8)
        away = (rows - rows[place]) ** 2 + (columns - columns[place]) ** 2
        more += bright * rng.uniform(0.5, 1.5) * np.exp(-away / (2 * sigma**2))
    spotted = density * (1 + more)
    canvas.dna[rows, columns] = spotted * (density.sum() / spotted.sum())


def line_rows() -> Iterator[Row]:
    """Fields of both lines: 40 to train, 8 to choose, 24 to test."""
    for split, seeds in (("train", range(40)), ("val", range(100, 108)), ("test", range(200, 224))):
        for seed in seeds:
            yield (split, *two_lines(seed)[1:])


def phase_rows() -> Iterator[Row]:
    """Fields of plates of three sizes of nuclei, without and with shining dead cells; each split of its own seeds."""
    for split, first, wells in (("train", 0, 16), ("val", 1000, 6), ("test", 2000, 24)):
        for i, (size, bright) in enumerate((size, bright) for size in SIZES for bright in BRIGHT):
            settings = SimulationSettings(
                wells=wells,
                size_px=512,
                seed=first + i,
                nucleus_diameter_px=size,
                density=(250.0, 400.0, 320.0)[i % 3] * (24.0 / size) ** 2,
                psf_sigma_px=(0.7, 1.0, 1.6)[(i + 1) % 3],
                dead_brightness=bright,
            )
            planned = lay_out_plate(settings)
            for key in planned.keys:
                field = simulate_field(planned, FieldKey(key.well, key.field))
                cells = field.cells
                kinds = np.select([cells["dead"], cells["mitotic"]], ["apoptotic", "mitotic"], "interphase")
                if len(cells):
                    yield split, field.image[0], field.labels, kinds.tolist()


def write_data(what: str, folder: Path, real: Path | None) -> None:
    """Images, labels, ``index.csv`` and ``kinds.csv``."""
    index: list[dict[str, object]] = []
    kinds: list[tuple[str, int, str]] = []
    for i, (split, image, labels, names) in enumerate(line_rows() if what == "lines" else phase_rows()):
        name = f"{split}-{i:04d}.tif"
        for part, pixels in (("images", image), ("labels", labels.astype(np.uint16))):
            (folder / part).mkdir(parents=True, exist_ok=True)
            tifffile.imwrite(folder / part / name, pixels, compression="zlib")
        index.append({"split": split, "name": name, "images": f"images/{name}", "labels": f"labels/{name}"})
        times = 1 if real is None else 3
        index[-1] |= {"ignore": "", "nuclei": len(names), "source": "hcs simulate", "licence": "MIT", "times": times}
        kinds += [(name, label, kind) for label, kind in enumerate(names, start=1) if kind]
    if real is not None:
        told = pd.read_csv(REAL) if REAL.is_file() else pd.DataFrame(columns=["image", "label", "kind"])
        index += _real_rows(real, folder, set(told["image"]))
        kinds += list(told.itertuples(index=False, name=None))
    pd.DataFrame(index).to_csv(folder / "index.csv", index=False)
    with (folder / KINDS).open("w", newline="") as file:
        csv.writer(file).writerows([("image", "label", "kind"), *kinds])
    print(pd.DataFrame(kinds, columns=["image", "label", "kind"])["kind"].value_counts().to_string())


def _real_rows(real: Path, folder: Path, told: set[str]) -> Iterator[dict[str, object]]:
    """Real images by their paths: the training ones, those with nuclei of a known kind five times as often; of the
    validation ones those with such nuclei, to test, and every third of the rest, to choose."""
    away = os.path.relpath(real, folder)
    for i, row in enumerate(pd.read_csv(real / "index.csv").itertuples(index=False)):
        known = row.name in told
        if row.split == "val" and not known and i % 3:
            continue
        ignore = real / row.split / "ignore" / row.name
        yield {
            "split": "train" if row.split == "train" else "test" if known else "val",
            "name": row.name,
            "images": f"{away}/{row.split}/images/{row.name}",
            "labels": f"{away}/{row.split}/labels/{row.name}",
            "ignore": f"{away}/{row.split}/ignore/{row.name}" if ignore.is_file() else "",
            "nuclei": row.nuclei,
            "source": row.source,
            "licence": row.licence,
            "times": 5 if known and row.split == "train" else 1,
        }


def score(options: argparse.Namespace) -> None:
    """What nuclei of each kind are taken for, by source and score, each image at the size of its true nuclei; without
    nuclei at the border, as the fractions of wells are."""
    tune_cpu(1)
    folder: Path = options.folder
    segmenter = load_segmenter(
        find_model(str(options.model), arithmetic=options.arithmetic), "cpu", flips=options.flips
    )
    kinds, wanted = segmenter.recipe.kinds, segmenter.diameter_px or 24.0
    index = read_index(folder)
    known = read_kinds(folder, list(index["name"]), kinds)
    found = []
    for row in index[index["split"] == options.split].itertuples(index=False):
        if not known[row.name]:
            continue
        image, labels = read_image(folder / row.images), read_label_image(folder / row.labels).astype(np.int32)
        scale = working_scale(float(np.median(diameters_px(labels))), wanted)
        seen = segmenter.probabilities(segmenter.prepare(image), TileSettings(), scale)
        planes = segmenter.recipe.kind_planes(seen)
        assert planes is not None
        truth = kind_plane(labels, known[row.name], row.name)
        truth[np.isin(labels, np.concatenate([labels[0], labels[-1], labels[:, 0], labels[:, -1]]))] = 0
        told = len(np.unique(labels[truth > 0]))
        sample = Sample(np.empty((0, 0), np.float32), labels, np.zeros(labels.shape, np.bool_), kinds=truth)
        nuclei = segmenter.labels(seen, InstanceSettings().for_field(None, scale))
        true, taken, sure = kinds_found(sample, nuclei, planes)
        frame = pd.DataFrame({"true": np.array(kinds)[true], "taken": np.array(kinds)[taken], "score": sure})
        found.append(frame.assign(source=row.source, told=told, image=row.name))
    table = pd.concat(found, ignore_index=True)
    if options.figure is not None:
        save_figure(score_figure(table, kinds), options.figure)
    for source, own in table.groupby("source"):
        right = own["true"] == own["taken"]
        told = int(own.drop_duplicates("image")["told"].sum())
        print(f"\n{source}: {told} nuclei of known kind, {len(own)} found, {right.mean():.1%} of these right")
        print(pd.crosstab(own["true"], own["taken"]).to_string())
        binned = pd.cut(own["score"], SCORES, right=False)
        shares = pd.DataFrame({"nuclei": 1, "wrong": ~right}).groupby(binned.to_numpy(), observed=True).sum()
        print(shares.assign(share_wrong=shares["wrong"] / shares["nuclei"]).to_string(float_format="%.3f"))


def score_figure(table: pd.DataFrame, kinds: tuple[str, ...]) -> Figure:
    """Nuclei taken rightly and wrongly, by score, as Figure 5c of Van Valen et al. 2016."""
    drawn = Figure(figsize=(8, 3.2), layout="constrained")
    counts, share = drawn.subplots(1, 2)
    edges = np.linspace(1.0 / len(kinds), 1.0, 21)
    right = (table["true"] == table["taken"]).to_numpy()
    scores = table["score"].to_numpy()
    counts.hist([scores[right], scores[~right]], edges, stacked=True, color=["tab:blue", "tab:red"], log=True)
    counts.set(xlabel="Nuclei_Class_Score", ylabel="nuclei")
    counts.legend(["right", "wrong"])
    middles, wrong = [], []
    for low, high in pairwise(edges):
        inside = (scores >= low) & (scores <= high)
        if inside.sum() >= 5:
            middles.append((low + high) / 2)
            wrong.append(100.0 * float(1.0 - right[inside].mean()))
    share.plot(middles, wrong, "o-", color="tab:red")
    share.set(xlabel="Nuclei_Class_Score", ylabel="wrong, %", ylim=(0, None), xlim=(edges[0], 1.0))
    return drawn


def main() -> None:
    """Write data, or score a model."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    commands = parser.add_subparsers(dest="command", required=True)
    data = commands.add_parser("data")
    data.add_argument("what", choices=("lines", "kinds"))
    data.add_argument("folder", type=Path)
    data.add_argument("--real", type=Path, help="real nuclei to be found beside the simulated ones")
    scored = commands.add_parser("score")
    scored.add_argument("model", type=Path)
    scored.add_argument("folder", type=Path)
    scored.add_argument("--split", default="test")
    scored.add_argument("--flips", action="store_true", help="average over the four mirror images")
    scored.add_argument("--figure", type=Path, help="picture of right and wrong nuclei by score")
    scored.add_argument("--arithmetic", choices=("auto", "float32", "int8"), default="auto")
    options = parser.parse_args()
    if options.command == "data":
        write_data(options.what, options.folder, options.real)
    else:
        score(options)


if __name__ == "__main__":
    main()
