"""What an unseen laboratory costs: train without a source of images, test on that source.

    python benchmarks/sources.py ../shared/data/nuclei --out runs/sources
    python benchmarks/sources.py ../shared/data/nuclei --out runs/sources --by source    # sources alone, whatever sizes

A source is what the column ``source`` of ``index.csv`` says and, by default, the size of an image: a laboratory's
camera has one. Sizes of fewer than ``--least`` images of a source make one group of that source. Half of each group's
images, by the hash of their names and whatever the index's split, are never trained on. One network is trained on the
other half of all groups, and one a group on all groups but that; all alike, for as many steps, from random weights, by
the recipe of ``--config`` with half the shipped widths. Each pair of networks is scored on the group's half, at each
image's true median size. A network is unsure after a short training, so the thresholds of its probabilities are those
that suit some of its own training images best. The networks are small and their trainings short: the difference is what
to read. Prints Markdown with 95 % bootstrap intervals over images, leaves ``scores.csv`` in ``--out``. A command that
was stopped goes on.
"""

from __future__ import annotations

import hashlib
from dataclasses import replace
from pathlib import Path

import numpy as np
import pandas as pd
from short_training import short_settings, training_parser, with_interval

from hcs.errors import ConfigError
from hcs.segment.network import Network
from hcs.segment.recipe import Recipe
from hcs.segment.settings import InstanceSettings
from hcs.train.augment import Sample
from hcs.train.data import load_split, preprocess_for, read_index
from hcs.train.loop import train
from hcs.train.score import Floats, image_scores
from hcs.train.settings import TrainSettings
from hcs.train.spec import recipe_for

ALL = "all groups"
READINGS = [
    InstanceSettings(foreground=foreground, interior=interior, min_confidence=0.0, small_confidence=0.0)
    for foreground in (0.3, 0.4, 0.5)
    for interior in (0.1, 0.2)
]
"""What is tried on training images."""
_LOOKED_AT = 24
Groups = dict[str, dict[str, Sample]]


def held_out(name: str) -> bool:
    """Whether an image is for testing: a half of all, by the hash of its name."""
    return hashlib.sha256(name.encode()).digest()[0] % 2 == 0


def group_names(index: pd.DataFrame, shapes: dict[str, tuple[int, int]], *, by_size: bool, least: int) -> pd.Series:
    """The group of every image of the index: its source, or its source and size where ``least`` images share these."""
    if "source" not in index:
        raise ConfigError(
            "index.csv has no column source; add one that says which laboratory or data set an image is of"
        )
    source = index["source"].astype(str)
    if not by_size:
        return source
    sized = source + " " + index["name"].map(lambda name: "{} × {}".format(*shapes[name]))
    common = sized.map(sized.value_counts()) >= least
    alone = ~source.isin(source[common])
    return sized.where(common, source + np.where(alone, "", ", other sizes"))


def read_groups(data: Path, settings: TrainSettings, *, by_size: bool, least: int) -> Groups:
    """All labelled images, ready for the network, by group and name."""
    index, preprocess = read_index(data), preprocess_for(data, settings)
    samples = {k: v for split in index["split"].unique() for k, v in load_split(data, split, preprocess).items()}
    shapes = {name: (sample.image.shape[0], sample.image.shape[1]) for name, sample in samples.items()}
    group = dict(zip(index["name"], group_names(index, shapes, by_size=by_size, least=least), strict=True))
    if len(set(group.values())) < 2:
        raise ConfigError(f"{data}: all images are of one source, {next(iter(group.values()))}; two or more are needed")
    groups = {name: {k: s for k, s in samples.items() if group[k] == name} for name in sorted(set(group.values()))}
    for name, own in groups.items():
        if len({held_out(k) for k in own}) < 2:
            raise ConfigError(f"{data}: {len(own)} image(s) of {name} cannot be halved; leave them out of index.csv")
    return groups


def best_reading(network: Network, shown: list[Sample], recipe: Recipe) -> InstanceSettings:
    """The thresholds that suit some of the images that a network was trained on."""
    some = shown[:: -(-len(shown) // _LOOKED_AT)]
    return max(READINGS, key=lambda read: float(image_scores(network, some, recipe, settings=read)[:, 1].mean()))


def score_folds(groups: Groups, settings: TrainSettings, out: Path, device: str) -> pd.DataFrame:
    """One row an image that is never trained on and a network: one that saw its group, and one that did not."""
    testing = {name: {k: s for k, s in own.items() if held_out(k)} for name, own in groups.items()}
    recipe, rows = recipe_for(settings), []
    for left_out in (ALL, *groups):
        shown = [s for name, own in groups.items() if name != left_out for k, s in own.items() if not held_out(k)]
        folder = out / ("all" if left_out == ALL else "without-" + "".join(c if c.isalnum() else "-" for c in left_out))
        asked = testing if left_out == ALL else {left_out: testing[left_out]}
        watched = list(next(iter(asked.values())).values())[:1]  # nothing is chosen by scores: they are taken below
        trained = train(shown, watched, settings, folder=folder, device=device, recipe=recipe, say=lambda _: None)
        read = best_reading(trained.network, shown, recipe)
        for name, own in asked.items():
            scores: Floats = image_scores(trained.network, list(own.values()), recipe, settings=read)
            rows += [
                {
                    "Group": name,
                    "Image": k,
                    "Seen": left_out == ALL,
                    "TrainedOn": len(shown),
                    "MeanF1": f1,
                    "F1At05": half,
                }
                for k, (f1, half) in zip(own, scores, strict=True)
            ]
        print(
            f"{'with' if left_out == ALL else 'without'} {left_out}: {trained.seconds / 60:.0f} min, "
            f"thresholds {read.foreground} and {read.interior}",
            flush=True,
        )
        pd.DataFrame(rows).to_csv(out / "scores.csv", index=False)
    return pd.DataFrame(rows)


def table(scores: pd.DataFrame) -> str:
    """Markdown: by group and over all, F1 with the group in training and without, and the paired difference."""
    lines = [
        "| left out | images tested | mean F1, seen | mean F1, unseen | cost | F1 at 0.5, seen | unseen | cost |",
        "|---|---|---|---|---|---|---|---|",
    ]
    for name in [*sorted(scores["Group"].unique()), "all, each by a network that did not see its group"]:
        own = scores[scores["Group"] == name] if name in set(scores["Group"]) else scores
        cells = []
        for metric in ("MeanF1", "F1At05"):
            both = own.pivot_table(index="Image", columns="Seen", values=metric)
            seen, unseen = both[True].to_numpy(), both[False].to_numpy()
            cells += [with_interval(seen), with_interval(unseen), with_interval(seen - unseen)]
        lines.append(f"| {name} | {own['Image'].nunique()} | " + " | ".join(cells) + " |")
    return "\n".join(lines)


def main() -> None:
    """Train with all and without each, score, print the table."""
    parser = training_parser(__doc__, "runs/sources")
    parser.set_defaults(config=Path("configs/train/fast.yaml"), steps=400, threads=1)
    parser.add_argument("--by", choices=("source", "source-and-size"), default="source-and-size")
    parser.add_argument("--least", type=int, default=50, help="images of a source and size that make a group")
    parser.add_argument("--widths", type=int, nargs="+", default=[8, 12, 24, 48, 96])
    parser.add_argument("--crop-px", type=int, default=160)
    arguments = parser.parse_args()
    settings = replace(
        short_settings(arguments), widths=tuple(arguments.widths), crop_px=arguments.crop_px, checkpoint_every=50
    )
    arguments.out.mkdir(parents=True, exist_ok=True)
    groups = read_groups(arguments.data, settings, by_size=arguments.by != "source", least=arguments.least)
    print(", ".join(f"{name}: {len(own)} images" for name, own in groups.items()), flush=True)
    scores = score_folds(groups, settings, arguments.out, arguments.device)
    print(f"\n{settings.steps} steps of {settings.batch} crops of {settings.crop_px} px, widths {settings.widths}\n")
    print(table(scores))


if __name__ == "__main__":
    main()
