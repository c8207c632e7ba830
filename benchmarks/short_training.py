"""What the benchmarks that train on parts of the data share: options, settings of a short training, how F1 is shown."""

from __future__ import annotations

import argparse
from dataclasses import replace
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from hcs.train.config import read_train_settings
from hcs.train.score import bootstrap
from hcs.train.settings import TrainSettings


def training_parser(description: str | None, out: str) -> argparse.ArgumentParser:
    """Data, settings, steps and device, and where the runs go."""
    parser = argparse.ArgumentParser(description=description, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("data", type=Path)
    parser.add_argument("--config", type=Path, default=Path("configs/train/fast-base.yaml"))
    parser.add_argument("--steps", type=int, default=1000)
    parser.add_argument("--out", type=Path, default=Path(out))
    parser.add_argument("--device", choices=("cpu", "cuda"), default="cpu")
    parser.add_argument("--threads", type=int, default=2)
    parser.add_argument("--bfloat16", action="store_true", help="train in bfloat16: on a GPU, or a CPU with AMX")
    return parser


def short_settings(arguments: argparse.Namespace) -> TrainSettings:
    """The config's settings for ``--steps`` from random weights, scored once, at the end."""
    settings = replace(
        read_train_settings(arguments.config),
        threads=arguments.threads,
        start_from="",
        kept=0.0,
        bfloat16=arguments.bfloat16,
    )
    return replace(settings.shortened(arguments.steps), evaluate_every=arguments.steps)


def with_interval(scores: NDArray[np.float64]) -> str:
    """Mean over images and its 95 % bootstrap interval."""
    low, high = bootstrap(scores)
    return f"{scores.mean():.3f} ({low:.3f}-{high:.3f})"
