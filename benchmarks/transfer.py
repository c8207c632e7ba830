"""From one source of images to another: train on one, test on both (Caicedo et al. 2019, Fig. 6).

    python benchmarks/transfer.py ../shared/data/nuclei --steps 1000

Every source keeps a third of its images, chosen by the hash of their names whatever the index's split, for testing. A
network is trained on the rest of each source, and one on the rest of both, for the same number of steps; it is scored
once, at the end. Prints a Markdown table with 95 % bootstrap intervals over images. A run that was stopped goes on.
"""

from __future__ import annotations

import hashlib
from pathlib import Path

from short_training import short_settings, training_parser, with_interval

from hcs.train.augment import Sample
from hcs.train.data import load_split, preprocess_for, read_index
from hcs.train.loop import train
from hcs.train.score import image_scores
from hcs.train.spec import recipe_for


def held_out(name: str) -> bool:
    """Whether an image is for testing: a third of all, by the hash of its name."""
    return hashlib.sha256(name.encode()).digest()[0] % 3 == 0


def by_source(data: Path, samples: dict[str, Sample]) -> dict[str, dict[str, Sample]]:
    """Samples by source, then by name."""
    index = read_index(data)
    source = dict(zip(index["name"], index["source"], strict=True))
    groups: dict[str, dict[str, Sample]] = {name: {} for name in sorted(set(source.values()))}
    for name, sample in samples.items():
        groups[source[name]][name] = sample
    return groups


def main() -> None:
    """Train on every source and on all, print the table."""
    arguments = training_parser(__doc__, "runs/transfer").parse_args()
    settings = short_settings(arguments)
    preprocess = preprocess_for(arguments.data, settings)
    recipe = recipe_for(settings, preprocess)
    splits = read_index(arguments.data)["split"].unique()
    samples = {k: v for split in splits for k, v in load_split(arguments.data, split, preprocess).items()}
    groups = by_source(arguments.data, samples)
    testing = {source: [s for n, s in own.items() if held_out(n)] for source, own in groups.items()}
    rest = {source: [s for n, s in own.items() if not held_out(n)] for source, own in groups.items()}
    trainings = rest | {" + ".join(rest): [sample for own in rest.values() for sample in own]}
    print("| trained on | " + " | ".join(f"{name}, {len(own)} images" for name, own in testing.items()) + " |")
    print("|---|" + "---|" * len(testing), flush=True)
    for source, chosen in trainings.items():
        folder = arguments.out / f"{source.replace(' ', '')}-{arguments.steps}-steps"
        own_test = testing.get(source) or [s for test in testing.values() for s in test]
        trained = train(
            chosen, own_test, settings, folder=folder, device=arguments.device, recipe=recipe, say=lambda _: None
        )
        cells = [with_interval(image_scores(trained.network, test, recipe)[:, 0]) for test in testing.values()]
        print(f"| {source}, {len(chosen)} images | " + " | ".join(cells) + " |", flush=True)


if __name__ == "__main__":
    main()
