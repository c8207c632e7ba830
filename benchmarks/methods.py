"""The comparison table: every network of configs/train/, ensembles and classical methods on the validation images.

    python benchmarks/methods.py ../shared/data/nuclei                       # runs that are trained, and shipped models
    python benchmarks/methods.py ../shared/data/nuclei --steps 500           # trains the others for 500 steps each
    python benchmarks/methods.py ../shared/data/nuclei --minutes-each 30 --bfloat16   # ... or for as many as 30 minutes
                                                                             # hold, in bfloat16 (a GPU, a CPU with AMX)
    python benchmarks/methods.py ../shared/data/nuclei --only caicedo cdk2 --minutes-each 30    # these alone
    python benchmarks/methods.py ../shared/data/nuclei --ensemble fast,runs/fast-1/fast-1.safetensors

A trained run is ``runs/NAME/NAME.safetensors``, as `hcs train DATA --config configs/train/NAME.yaml --out runs/NAME
--name NAME` leaves it; what this command trains itself goes to ``--out``, and is continued there when it was stopped.
Networks run at the settings that a user gets by default, size estimate included. Prints a Markdown table with 95 %
bootstrap intervals over images, and how far each network was trained; label images are left in ``--out`` for `hcs
evaluate`. s/MP is from pixels in memory to labels, on what else the machine was doing.
"""

from __future__ import annotations

import argparse
import json
import tempfile
import time
from collections.abc import Callable
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import torch
from numpy.typing import NDArray

from hcs.commands.segment import segment_image
from hcs.commands.train import train_with
from hcs.config import Config
from hcs.evaluate.compare import Comparison, compare
from hcs.evaluate.evaluation import evaluate
from hcs.evaluate.settings import EvaluateSettings
from hcs.field.worker import load_segmenter
from hcs.segment.baselines.classical import METHODS, Method
from hcs.segment.baselines.forest import train_forest
from hcs.segment.predict import tune_cpu
from hcs.store.files.images import read_image, write_labels_image
from hcs.store.models import find_model, read_model, shipped_models
from hcs.train.config import read_train_settings
from hcs.train.data import load_split, preprocess_for, read_index
from hcs.train.loop import train
from hcs.train.settings import TrainSettings

_FOREST_IMAGES = 40
_PACE_STEPS = 6


@dataclass(frozen=True, slots=True)
class Labelled:
    """One validation image with its truth."""

    name: str
    image: NDArray[Any]
    truth: NDArray[np.int32]
    ignore: NDArray[np.bool_]


@dataclass(frozen=True, slots=True)
class Entry:
    """One row of the table."""

    title: str
    training: str
    build: Callable[[], Method]


def read_labelled(data: Path, split: str) -> list[Labelled]:
    """Images of a split, as they are on disk, sorted by name."""
    index = read_index(data)
    out = []
    for row in index[index["split"] == split].sort_values("name").to_dict("records"):
        image, truth = read_image(data / row["images"]), read_image(data / row["labels"]).astype(np.int32)
        ignored = data / row["ignore"]
        ignore = read_image(ignored) > 0 if ignored.is_file() else np.zeros(truth.shape, bool)
        out.append(Labelled(str(row["name"]), image, truth, ignore))
    return out


def classical(data: Path, threads: int) -> list[Entry]:
    """Methods without a network."""

    def forest() -> Method:
        training = read_labelled(data, "train")
        chosen = np.random.default_rng(0).permutation(len(training))[:_FOREST_IMAGES]
        return train_forest(((training[i].image, training[i].truth) for i in chosen), threads=threads)

    titles = {"otsu": "Otsu + distance watershed", "advanced": "background, median, Otsu, opening, watershed"}
    plain = [Entry(titles[name], "none", lambda m=method: m) for name, method in METHODS.items()]
    return [*plain, Entry("random forest on multi-scale features", f"{_FOREST_IMAGES} images", forest)]


def networks(names: list[str], device: str) -> list[Entry]:
    """Models by shipped name, path, or several with commas between."""
    return [Entry(_title(name), _training(name), lambda n=name: _network(n, device)) for name in names]


def _network(name: str, device: str) -> Method:
    segmenter = load_segmenter(find_model(name), device, flips=False)
    config = Config(model=name)
    return lambda image: segment_image(image, segmenter, config)


def _title(name: str) -> str:
    return " + ".join(Path(part).stem for part in name.split(",")) + (" (mean)" if "," in name else "")


def _training(name: str) -> str:
    """How far a model was trained, as its card says."""
    said = []
    for member in find_model(name).networks:
        card, _ = read_model(member)
        trained, settings = card["trained"], card["settings"]
        device = trained["machine"]["device"] if isinstance(trained["machine"], dict) else trained["machine"]
        said.append(
            f"{trained.get('steps', settings['steps'])} × {settings['batch']} crops, {trained['hours']} h, {device}"
        )
    return "; ".join(said)


def trained_models(arguments: argparse.Namespace) -> list[str]:
    """A model of every config: the run that is there, or one trained now within the budget; others are named."""
    models = []
    for path in sorted(arguments.configs.glob("*.yaml")):
        name = path.stem
        if arguments.only and name not in arguments.only:
            continue
        done = arguments.runs / name / f"{name}.safetensors"
        if done.is_file():
            models.append(str(done))
        elif arguments.steps or arguments.minutes_each:
            models.append(_train(path, arguments))
        else:
            print(f"{name}: not trained; give --steps or --minutes-each, or train it to {done}", flush=True)
    return models


def _train(path: Path, arguments: argparse.Namespace) -> str:
    """Train a config for the budget; the path of the model."""
    name, folder = path.stem, arguments.out / path.stem
    settings = replace(read_train_settings(path), threads=arguments.threads, loaders=arguments.loaders)
    if arguments.bfloat16:
        settings = replace(settings, bfloat16=True)
    start = settings.start_from
    if start.endswith(".safetensors") and not Path(start).is_file():
        print(f"{name}: {start} is not there, so it starts from random weights", flush=True)
        settings = replace(settings, start_from="")
    steps = arguments.steps or _steps_in(arguments.minutes_each, settings, folder, arguments)
    print(f"{name}: {steps} of {settings.steps} steps", flush=True)
    short = settings.shortened(min(steps, settings.steps))
    if arguments.minutes_each:  # scoring a large network on all validation images takes minutes: once, at the end
        short = replace(short, evaluate_every=short.steps)
    say = lambda line: print(f"  {name}: {line}", flush=True)  # noqa: E731
    return str(train_with(short, arguments.data, folder, name=name, device=arguments.device, say=say))


def _steps_in(minutes: float, settings: TrainSettings, folder: Path, arguments: argparse.Namespace) -> int:
    """Steps that ``minutes`` hold, measured once and kept beside the run, so that it can be continued."""
    kept = folder / "budget.json"
    if kept.is_file():
        return int(json.loads(kept.read_text())["steps"])
    samples = list(load_split(arguments.data, "train", preprocess_for(arguments.data, settings)).values())
    short = replace(settings.shortened(_PACE_STEPS), evaluate_every=_PACE_STEPS)
    with tempfile.TemporaryDirectory() as scratch:
        quiet = train(samples, samples[:1], short, folder=Path(scratch), device=arguments.device, say=lambda _: None)
    steps = min(max(int(minutes * 60.0 * _PACE_STEPS / quiet.seconds), 10), settings.steps)
    folder.mkdir(parents=True, exist_ok=True)
    kept.write_text(json.dumps({"minutes": minutes, "steps": steps}))
    return steps


def run(entry: Entry, images: list[Labelled], out: Path) -> tuple[dict[str, Comparison], float]:
    """Compare a method's labels of all images with the truth; (comparison by image, seconds per megapixel)."""
    method = entry.build()
    method(images[0].image)  # compiles and caches
    folder = out / "labels" / entry.title.replace(" ", "_")
    folder.mkdir(parents=True, exist_ok=True)
    seconds, compared = 0.0, {}
    for labelled in images:
        started = time.perf_counter()
        found = method(labelled.image)
        seconds += time.perf_counter() - started
        write_labels_image(folder / Path(labelled.name).name, found)
        compared[labelled.name] = compare(labelled.truth, found, settings=EvaluateSettings(), ignore=labelled.ignore)
    return compared, seconds / (sum(labelled.image.size for labelled in images) / 1e6)


_COLUMNS = (
    ("mean F1, IoU 0.50-0.90", "MeanF1", "per image", None),
    ("F1 at 0.5", "F1", "per image", 0.5),
    ("F1 at 0.9", "F1", "per image", 0.9),
    ("error rate at 0.7", "ErrorRate", "pooled", None),
    ("merges", "MergeRate", "pooled", None),
    ("splits", "SplitRate", "pooled", None),
    ("count bias", "CountBias", "pooled", None),
)


def table(scores: pd.DataFrame, entries: list[Entry], pace: dict[str, float]) -> str:
    """The scores as Markdown, one row a method."""
    heads = ["method", "trained", *(head for head, *_ in _COLUMNS), "s/MP"]
    lines = ["| " + " | ".join(heads) + " |", "|" + "---|" * len(heads)]
    for entry in entries:
        own = scores[scores["Prediction"] == entry.title]
        cells = [_cell(own, *column[1:]) for column in _COLUMNS]
        lines.append(f"| {entry.title} | {entry.training} | " + " | ".join(cells) + f" | {pace[entry.title]:.2f} |")
    return "\n".join(lines)


def _cell(own: pd.DataFrame, metric: str, average: str, threshold: float | None) -> str:
    chosen = own[(own["Metric"] == metric) & (own["Average"] == average)]
    if threshold is not None:
        chosen = chosen[np.isclose(chosen["Threshold"], threshold)]
    value, low, high = (float(chosen[key].iloc[0]) for key in ("Value", "Low", "High"))
    if average == "pooled":
        return f"{100 * value:.1f} % ({100 * low:.1f} to {100 * high:.1f})"
    return f"{value:.3f} ({low:.3f}-{high:.3f})"


def main() -> None:
    """Train what is to be trained, score everything, print the table."""
    arguments = _parse()
    tune_cpu(arguments.threads)
    images = read_labelled(arguments.data, "val")[: arguments.images]
    whole = not (arguments.only or arguments.only_models)
    models = [name for name in shipped_models() if name != "cells"] if whole else []
    models += [] if arguments.only_models else trained_models(arguments)
    models += arguments.model + arguments.ensemble
    entries = (classical(arguments.data, arguments.threads) if whole else []) + networks(models, arguments.device)
    compared, pace = {}, {}
    for entry in entries:
        compared[entry.title], pace[entry.title] = run(entry, images, arguments.out)
        print(f"{entry.title}: done", flush=True)
    megapixels = sum(labelled.image.size for labelled in images) / 1e6
    print(f"\n{len(images)} images, {megapixels:.1f} MP, torch {torch.__version__}, {arguments.threads} threads\n")
    print(table(evaluate(compared, EvaluateSettings()).scores, entries, pace))


def _parse() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("data", type=Path)
    parser.add_argument("--configs", type=Path, default=Path("configs/train"))
    parser.add_argument("--runs", type=Path, default=Path("runs"))
    parser.add_argument("--out", type=Path, default=Path("runs/methods"))
    parser.add_argument("--only", nargs="+", metavar="NAME", help="of the configs only these")
    budget = parser.add_mutually_exclusive_group()
    budget.add_argument("--steps", type=int, help="steps that every untrained network is trained for")
    budget.add_argument(
        "--minutes-each", type=float, help="minutes that every untrained network is trained for, scored once"
    )
    parser.add_argument("--model", action="append", default=[], help="another model, by path; may be repeated")
    parser.add_argument("--ensemble", action="append", default=[], help="models with commas between; may be repeated")
    parser.add_argument("--only-models", action="store_true", help="only what --model and --ensemble name")
    parser.add_argument("--images", type=int, help="only so many validation images, to try the command")
    parser.add_argument("--device", choices=("cpu", "cuda"), default="cpu")
    parser.add_argument("--threads", type=int, default=2)
    parser.add_argument("--bfloat16", action="store_true", help="train in bfloat16: on a GPU, or a CPU with AMX")
    parser.add_argument("--loaders", type=int, default=1, help="threads that prepare crops")
    return parser.parse_args()


if __name__ == "__main__":
    main()
