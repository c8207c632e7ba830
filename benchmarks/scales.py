"""Is it worth to magnify small nuclei? Mean F1 of training images of one range of sizes, seen at several scales.

    python benchmarks/scales.py ../shared/data/nuclei --from-px 12 --to-px 19.6 --scales 1 3/2

Training images, as nothing is chosen on the validation images; the size is the one that the network itself estimates.
Prints a line an image, the means, and the mean difference between the last scale and the first with its 95 % interval.
"""

from __future__ import annotations

import argparse
from fractions import Fraction
from pathlib import Path

import numpy as np
from methods import read_labelled

from hcs.config import Config
from hcs.evaluate.matching import CAICEDO, match
from hcs.field.worker import load_segmenter
from hcs.run.diameter import image_diameter
from hcs.segment.predict import tune_cpu
from hcs.store.models import find_model


def main() -> None:
    """Score every image of the range at every scale."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("data", type=Path)
    parser.add_argument("--from-px", type=float, default=12.0)
    parser.add_argument("--to-px", type=float, default=19.6)
    parser.add_argument("--scales", type=Fraction, nargs="+", default=[Fraction(1), Fraction(3, 2)])
    parser.add_argument("--images", type=int, help="only so many images, to try the command")
    arguments = parser.parse_args()
    tune_cpu(2)
    config = Config()
    segmenter = load_segmenter(find_model("fast"), "cpu", flips=False)
    scores = []
    for labelled in read_labelled(arguments.data, "train")[: arguments.images]:
        field = segmenter.prepare(labelled.image)
        px = image_diameter(field, segmenter, config).px
        if not arguments.from_px <= px < arguments.to_px:
            continue
        row = []
        for scale in arguments.scales:
            labels = segmenter.labels(
                segmenter.probabilities(field, config.tiles, scale), config.instances.for_field(None, scale)
            )
            found = match(labelled.truth, labels.astype(np.int32))
            row.append(float(np.mean([found.f1(t) for t in CAICEDO])))
        scores.append(row)
        print(labelled.name, f"{px:.1f} px", *(f"{f1:.4f}" for f1 in row), flush=True)
    if not scores:
        raise SystemExit("no image of that range")
    table = np.array(scores)
    gain = table[:, -1] - table[:, 0]
    means = ", ".join(f"{s}: {f1:.4f}" for s, f1 in zip(arguments.scales, table.mean(axis=0), strict=True))
    print(f"{len(table)} images; {means}; gain {gain.mean():.4f} ± {1.96 * gain.std() / len(gain) ** 0.5:.4f}")


if __name__ == "__main__":
    main()
