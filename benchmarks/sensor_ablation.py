"""What each part of the sensor model's training buys: short trainings from `fast`, all parts on, then each one off.

    python benchmarks/sensor_truth.py ../shared/data runs/sensor-data
    python benchmarks/sensor_ablation.py runs/sensor-data --out runs/sensor-ablation [--steps 300] [--seeds 32,33]

Parts are the weight of outlines and of gaps (`edge_weight`, `touch_weight`), the weight of nuclei of little contrast
(`faint_weight`), changed states of the sensor (`translocated`) and drawn holes (`gapped`). With all parts on, every
seed is trained: what differs between seeds is chance. Scores are those of the val wells, which choose nothing here,
at the shift of the background (`hcs.train.calibrate`) at which a variant's F1 is best; the wells held out are
not looked at. Holes: the share of holes drawn into the val images that are called nuclei. A stopped command goes on.
"""

from __future__ import annotations

import argparse
import json
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray
from scipy.stats import ks_2samp

from hcs.config import Config
from hcs.evaluate.by_ratio import NAMES, FieldByRatio, field_by_ratio, ranges_table
from hcs.evaluate.matching import CAICEDO, THRESHOLDS
from hcs.field.worker import load_segmenter
from hcs.segment.ours.instances import large_pieces
from hcs.segment.predict import tune_cpu
from hcs.segment.segmenter import Segmenter
from hcs.segment.settings import InstanceSettings
from hcs.store.files.images import read_image
from hcs.store.models import find_model
from hcs.train.augment import Sample
from hcs.train.calibrate import lowered
from hcs.train.config import read_train_settings
from hcs.train.data import SCALE_RULES, load_split, read_index, sample_scale
from hcs.train.export import export
from hcs.train.loop import train
from hcs.train.settings import TrainSettings
from hcs.train.translocate import gapped

OFF: dict[str, dict[str, Any]] = {
    "no weight on outlines and gaps": {"edge_weight": 1.0, "touch_weight": 1.0},
    "no weight on little contrast": {"faint_weight": 1.0},
    "no changed states": {"translocated": 0.0},
    "no drawn holes": {"gapped": 0.0},
}
CONFIG = Path(__file__).parents[1] / "configs/train/sensor.yaml"
SHIFTS = (0.0, 0.25, 0.5, 0.75)
_HOLE_PX, _OVER = 20, 0.5


def variants(settings: TrainSettings, seeds: list[int]) -> dict[str, TrainSettings]:
    """The trainings, by name."""
    on = {f"all, seed {seed}": replace(settings, seed=seed) for seed in seeds}
    off = {name: replace(settings, seed=seeds[0], **changed) for name, changed in OFF.items()}
    first = next(iter(on))
    return {first: on[first]} | off | on


def scored(folder: Path, model: Path) -> dict[str, float]:
    """What a model finds on the val wells."""
    segmenter = load_segmenter(find_model(str(model)), "cpu", flips=False)
    index = read_index(folder)
    rows = index[index["split"] == "val"].sort_values("name")
    samples = load_split(folder, "val")
    fields: dict[float, list[FieldByRatio]] = {shift: [] for shift in SHIFTS}
    holes: dict[float, list[bool]] = {shift: [] for shift in SHIFTS}
    for number, (name, path) in enumerate(rows[["name", "images"]].itertuples(index=False)):
        sample, image = samples[name], read_image(folder / path)
        scale = sample_scale(sample, segmenter.diameter_px or 0.0, SCALE_RULES["working"])
        settings = InstanceSettings().for_field(None, scale)
        seen = segmenter.probabilities(sample.image, Config().tiles, scale)
        drawn, where = with_holes(sample, number)
        seen_drawn = segmenter.probabilities(drawn, Config().tiles, scale)
        for shift, known in fields.items():
            labels = segmenter.labels(lowered(seen, shift), settings).astype(np.int64)
            known.append(field_by_ratio(sample.labels.astype(np.int64), labels, image, ignore=sample.ignore))
            holes[shift] += called(segmenter, lowered(seen_drawn, shift), settings, where)
    best = max(SHIFTS, key=lambda shift: f1(fields[shift], 0))
    every = fields[best]
    true, found = (np.concatenate([getattr(each, f"{side}_ratio") for each in every]) for side in ("true", "found"))
    table = pd.DataFrame(ranges_table(every))
    ranges = table[table["iou"] == THRESHOLDS[0]]
    return {
        "F1 at IoU 0.5": f1(every, 0),
        "mean F1": float(np.mean([f1(every, THRESHOLDS.index(iou)) for iou in CAICEDO])),
        **{f"recall, {name}": float(value) for name, value in zip(NAMES, ranges["recall"], strict=True)},
        **{f"precision, {name}": float(value) for name, value in zip(NAMES, ranges["precision"], strict=True)},
        "KS": float(ks_2samp(true[np.isfinite(true)], found[np.isfinite(found)]).statistic),
        "holes called nuclei": float(np.mean(holes[best])),
        "holes": float(len(holes[best])),
        "shift": best,
    }


def f1(fields: list[FieldByRatio], k: int) -> float:
    """Over all nuclei, at the k-th IoU."""
    hits = sum(int(field.true_hit[:, k].sum()) for field in fields)
    return 2.0 * hits / sum(len(field.true_hit) + len(field.found_hit) for field in fields)


def with_holes(sample: Sample, seed: int) -> tuple[NDArray[np.float32], NDArray[np.int32]]:
    """A whole image with up to 24 holes as training draws them, and the holes as labels."""
    rng, drawn = np.random.default_rng((1, seed)), sample
    for _ in range(4):
        drawn = gapped(drawn, rng)
    return drawn.image, large_pieces(drawn.image < 0.5 * sample.image, _HOLE_PX)


def called(
    segmenter: Segmenter, seen: NDArray[np.float32], settings: InstanceSettings, holes: NDArray[np.int32]
) -> list[bool]:
    """Whether half of each hole lies on what is called a nucleus."""
    labels = segmenter.labels(seen, settings)
    return [bool((labels[holes == value] > 0).mean() >= _OVER) for value in np.unique(holes[holes > 0])]


def main() -> None:
    """Train what is not trained yet, score, print."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("data", type=Path)
    parser.add_argument("--out", type=Path, required=True)
    parser.add_argument("--steps", type=int, default=300)
    parser.add_argument("--batch", type=int, default=4)
    parser.add_argument("--crop-px", type=int, default=192)
    parser.add_argument("--seeds", default="32,33")
    arguments = parser.parse_args()
    tune_cpu(1)
    base = replace(
        read_train_settings(CONFIG).shortened(arguments.steps),
        batch=arguments.batch,
        crop_px=arguments.crop_px,
        warmup_steps=arguments.steps // 10,
        evaluate_every=arguments.steps,
        checkpoint_every=50,
        averaging=0.99,
    )
    table: dict[str, dict[str, float]] = {}
    samples = {split: list(load_split(arguments.data, split).values()) for split in ("train", "val")}
    for name, settings in variants(base, [int(seed) for seed in arguments.seeds.split(",")]).items():
        folder = arguments.out / f"{name.replace(', ', '-').replace(' ', '-')}-{settings.digest()[:8]}"
        scores = folder / "scores.json"
        if not scores.is_file():
            print(name, flush=True)
            trained = train(samples["train"], samples["val"], settings, folder=folder, say=print)
            model = folder / "model.safetensors"
            export(trained, settings, data=arguments.data, path=model, device="cpu", machine={})
            scores.write_text(json.dumps(scored(arguments.data, model)))
        table[name] = json.loads(scores.read_text())
    print(f"{arguments.steps} steps of {arguments.batch} crops of {arguments.crop_px} px from {base.start_from}")
    print("| | " + " | ".join(next(iter(table.values()))) + " |")
    print("|---" * (len(next(iter(table.values()))) + 1) + "|")
    for name, row in table.items():
        print(f"| {name} | " + " | ".join(f"{value:.3g}" for value in row.values()) + " |")


if __name__ == "__main__":
    main()
