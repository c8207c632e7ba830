"""F1 on the validation images against the number of training images (Caicedo et al. 2019, Fig. 5).

    python benchmarks/learning_curve.py ../shared/data/nuclei --steps 1000

Every network is trained for the same number of steps, on subsets of which each holds the smaller ones, and scored once,
at the end: nothing is chosen by the validation images. Prints a Markdown table, with 95 % bootstrap intervals over
images, and draws ``curve.png`` in ``--out``. A run that was stopped is continued.
"""

from __future__ import annotations

import numpy as np
from matplotlib.figure import Figure
from short_training import short_settings, training_parser, with_interval

from hcs.report.figures import save_figure
from hcs.train.data import load_split, preprocess_for
from hcs.train.loop import train
from hcs.train.score import bootstrap
from hcs.train.spec import recipe_for

Point = tuple[int, float, float, float]
"""Training images, mean F1 over IoU 0.50–0.90, and its interval's ends."""


def draw(points: list[Point], steps: int) -> Figure:
    """The points as a curve with intervals, the number of images on a logarithmic axis."""
    figure = Figure(figsize=(5, 3.6), layout="constrained")
    axes = figure.subplots()
    count, value, low, high = np.array(points).T
    axes.errorbar(count, value, yerr=(value - low, high - value), fmt="o-", color="tab:green", capsize=3)
    axes.set(xscale="log", xlabel="training images", ylabel="mean F1, IoU 0.50–0.90", ylim=(0, 1))
    axes.set_xticks(count, [f"{c:.0f}" for c in count])
    axes.minorticks_off()
    axes.set_title(f"{steps} steps each, 95 % interval over images", fontsize=9)
    axes.grid(alpha=0.3)
    return figure


def main() -> None:
    """Train on every subset, print the table, draw the curve."""
    parser = training_parser(__doc__, "runs/learning-curve")
    parser.add_argument("--counts", type=int, nargs="+", default=[2, 4, 8, 20, 60, 0], help="0: all")
    arguments = parser.parse_args()
    settings = short_settings(arguments)
    preprocess = preprocess_for(arguments.data, settings)
    training = list(load_split(arguments.data, "train", preprocess).values())
    validation = list(load_split(arguments.data, "val", preprocess).values())
    order = np.random.default_rng(settings.seed).permutation(len(training))
    print("| training images | mean F1, IoU 0.50-0.90 | F1 at 0.5 |\n|---|---|---|", flush=True)
    points: list[Point] = []
    for count in arguments.counts:
        chosen = [training[i] for i in order[: count or len(training)]]
        trained = train(
            chosen,
            validation,
            settings,
            folder=arguments.out / f"{len(chosen)}-images-{arguments.steps}-steps",
            device=arguments.device,
            recipe=recipe_for(settings, preprocess),
            say=lambda _: None,
        )
        print(f"| {len(chosen)} | " + " | ".join(map(with_interval, trained.scores.T)) + " |", flush=True)
        points.append((len(chosen), float(trained.scores[:, 0].mean()), *bootstrap(trained.scores[:, 0])))
    save_figure(draw(points, arguments.steps), arguments.out / "curve.png")


if __name__ == "__main__":
    main()
