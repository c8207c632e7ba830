"""The state of a training run, in memory and on disk."""

from __future__ import annotations

import copy
import csv
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor

from hcs.errors import ConfigError
from hcs.segment.network import Network
from hcs.segment.networks import new_network, read_spec
from hcs.segment.ours.unet import UNet, UNetSpec, channels_last
from hcs.store.models import find_model, read_model
from hcs.train.narrow import narrowed, with_classes
from hcs.train.optimise import optimiser_of
from hcs.train.score import Counts, Floats
from hcs.train.settings import TrainSettings
from hcs.train.spec import network_spec

Row = dict[str, float]
RIGHT = "val_right_"
"""Of columns of the history: the share of a kind's nuclei that are taken for it."""


@dataclass(slots=True)
class Run:
    """The whole state of a run between two steps."""

    network: Network
    average: Network
    """Running mean of the network's weights."""
    start: Network
    """What training started from."""
    optimiser: torch.optim.Optimizer
    step: int = 0
    best_f1: float = -1.0
    seconds: float = 0.0
    losses: list[float] = field(default_factory=list)
    """Of the steps since the last evaluation."""
    since: list[float] = field(default_factory=list)
    """Of the steps since the last point of the curve."""
    curve: list[Row] = field(default_factory=list)
    """Mean loss between checkpoints."""
    history: list[Row] = field(default_factory=list)
    """Scores at every evaluation."""

    @torch.no_grad()
    def shipped(self, kept: float) -> Network:
        """What is evaluated and shipped: the running mean, and in it a share ``kept`` of the weights at the start."""
        if not kept:
            return self.average
        network = copy.deepcopy(self.average)
        for mean, first in zip(network.state_dict().values(), self.start.state_dict().values(), strict=True):
            if mean.dtype.is_floating_point:
                mean.lerp_(first, kept)
        return network


def start_or_resume(folder: Path, settings: TrainSettings, device: torch.device) -> Run:
    """The run as its last checkpoint in ``folder`` left it, or a new one.

    ConfigError where the checkpoint is of other settings, or ``start_from`` of another network.
    """
    torch.manual_seed(settings.seed)
    network = new_network(network_spec(settings))
    if settings.start_from:
        _load_weights(network, settings.start_from)
    network = channels_last(network.to(device))
    average = copy.deepcopy(network).requires_grad_(requires_grad=False)
    run = Run(network, average, copy.deepcopy(average), optimiser_of(network, settings))
    path = folder / "checkpoint.pt"
    if not path.exists():
        return run
    saved = torch.load(path, map_location=device, weights_only=True)
    if saved["settings"] != settings.plain():
        differing = sorted(k for k, v in settings.plain().items() if saved["settings"].get(k) != v)
        raise ConfigError(f"{path} is of a run with other {', '.join(differing)}; give another --out or delete it")
    network.load_state_dict(saved["network"])
    average.load_state_dict(saved["average"])
    run.optimiser.load_state_dict(saved["optimiser"])
    run.step, run.best_f1, run.seconds = saved["step"], saved["best_f1"], saved["seconds"]
    run.losses, run.curve, run.history = saved["losses"], saved["curve"], saved["history"]
    return run


def goodness(row: Row) -> float:
    """What the best evaluation has most of: mean F1, with kinds of nuclei times the mean share of each that is
    right."""
    right = [share for name, share in row.items() if name.startswith(RIGHT)]
    return row["val_mean_f1"] * (sum(right) / len(right) if right else 1.0)


def save_checkpoint(run: Run, settings: TrainSettings, folder: Path) -> None:
    """Write ``checkpoint.pt`` and ``losses.csv``, with a new point on the curve of losses."""
    if run.since:
        run.curve.append({"step": run.step, "loss": sum(run.since) / len(run.since)})
        run.since.clear()
    _save(
        {
            "settings": settings.plain(),
            "network": run.network.state_dict(),
            "average": run.average.state_dict(),
            "optimiser": run.optimiser.state_dict(),
            "step": run.step,
            "best_f1": run.best_f1,
            "seconds": run.seconds,
            "losses": run.losses,
            "curve": run.curve,
            "history": run.history,
        },
        folder / "checkpoint.pt",
    )
    write_rows(folder / "losses.csv", run.curve)


def save_best(network: Network, scores: Floats, taken: Counts, folder: Path) -> None:
    """Write ``best.pt``: the weights that would be shipped, every validation image's scores (n, 2), and for which kind
    the nuclei of each kind are ``taken`` (k, k)."""
    found = {"scores": torch.from_numpy(scores), "kinds": torch.from_numpy(taken)}
    _save({"average": network.state_dict(), **found}, folder / "best.pt")


def load_best(network: Network, folder: Path) -> tuple[Floats, Counts]:
    """Give ``network`` the best weights of the run in ``folder``; their scores (n, 2) of the validation images, and for
    which kind nuclei of each kind are taken (k, k)."""
    saved = torch.load(folder / "best.pt", weights_only=True)
    network.load_state_dict(saved["average"])
    return np.asarray(saved["scores"].cpu().numpy()), np.asarray(saved["kinds"].cpu().numpy())


def check_folder(folder: Path) -> None:
    """ConfigError where ``folder`` is not empty and no training has begun in it: what is in it is somebody else's."""
    if folder.is_dir() and not any((folder / name).exists() for name in ("checkpoint.pt", "best.pt")):
        strangers = sorted(path.name for path in folder.iterdir() if path.suffix != ".part" and path.name[0] != ".")
        if strangers:
            raise ConfigError(f"--out {folder} holds {strangers[0]} and no training of hcs; give a new folder")


def write_rows(path: Path, rows: Sequence[Mapping[str, float]]) -> None:
    """Write rows as CSV, the first row's keys as header; nothing where there are none."""
    if not rows:
        return
    with path.open("w", newline="") as file:
        writer = csv.DictWriter(file, fieldnames=list(rows[0]))
        writer.writeheader()
        writer.writerows(rows)


def _load_weights(network: Network, model: str) -> None:
    """Load the unfolded weights of a shipped or given model, of a wider U-Net its strongest channels; kinds of nuclei
    begin as the interior of one without."""
    card, weights = read_model(find_model(model))
    try:
        spec = read_spec(card["network"])
        if isinstance(network, UNet) and isinstance(spec, UNetSpec) and spec.widths != network.spec.widths:
            weights = narrowed(weights, network.spec.widths)
        weights = with_classes(weights, spec.classes, network.spec.classes)
        state: dict[str, Tensor] = {name: torch.from_numpy(array.copy()) for name, array in weights.items()}
        network.load_state_dict(state)
    except (RuntimeError, ValueError) as error:
        raise ConfigError(f"start_from = {model!r}: its weights do not fit this network ({error})") from error


def _save(state: dict[str, Any], path: Path) -> None:
    """Write under a temporary name, then rename: a kill leaves the old file or the new one."""
    temporary = path.with_suffix(".part")
    torch.save(state, temporary)
    temporary.replace(path)
