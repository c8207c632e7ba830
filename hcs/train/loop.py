"""The training loop: checkpointed, resumable, the same result however often it was interrupted."""

from __future__ import annotations

import copy
import csv
import math
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from hcs.errors import ConfigError
from hcs.evaluate.matching import match, mean_f1
from hcs.segment.instances import instances
from hcs.segment.predict import predict, tune_cpu
from hcs.segment.scale import enlarged, restored
from hcs.segment.settings import InstanceSettings
from hcs.segment.unet import UNet, UNetSpec, channels_last, folded
from hcs.store.models import find_model, read_model
from hcs.tiles.settings import TileSettings
from hcs.train.augment import Sample
from hcs.train.data import at_training_scale, batch, sample_scale
from hcs.train.settings import TrainSettings

Say = Callable[[str], None]


@dataclass(slots=True)
class Run:
    """The whole state of a run between two steps."""

    network: UNet
    average: UNet
    optimiser: torch.optim.AdamW
    step: int = 0
    best_f1: float = -1.0
    seconds: float = 0.0
    losses: list[float] = field(default_factory=list)
    """Of the steps since the last evaluation."""
    history: list[dict[str, float]] = field(default_factory=list)


def train(
    training: list[Sample],
    validation: list[Sample],
    settings: TrainSettings,
    *,
    folder: Path,
    device: str = "cpu",
    say: Say = print,
) -> tuple[UNet, list[dict[str, float]], float]:
    """Train on ``training``; return the averaged network with the best F1 on ``validation``, the history, and seconds
    spent.

    ``folder`` keeps ``checkpoint.pt``, ``best.pt`` and ``history.csv``; a run whose folder holds a checkpoint of the
    same settings goes on from it, one of other settings is a ConfigError.
    """
    folder.mkdir(parents=True, exist_ok=True)
    tune_cpu(settings.threads)
    run = _resume(folder, settings, torch.device(device))
    training = [at_training_scale(sample, settings.diameter_px) for sample in training]
    last, first = time.monotonic(), run.step
    before = run.seconds
    for step, (images, classes, weights) in _batches(training, settings, run.step):
        loss = _step(run, settings, images.to(device), classes.to(device), weights.to(device))
        run.losses.append(loss)
        run.step = step + 1
        now = time.monotonic()
        run.seconds, last = run.seconds + now - last, now
        if run.step % settings.evaluate_every == 0 or run.step == settings.steps:
            f1, f1_half = evaluate(run.average, validation, diameter_px=settings.diameter_px)
            recent = sum(run.losses) / len(run.losses)
            run.losses.clear()
            run.history.append({"step": run.step, "loss": recent, "val_mean_f1": f1, "val_f1_at_0.5": f1_half})
            say(
                f"step {run.step}/{settings.steps}  loss {recent:.4f}  val mean F1 {f1:.4f}  F1@0.5 {f1_half:.4f}  "
                f"{(run.seconds - before) / (run.step - first):.2f} s/step"
            )
            if f1 > run.best_f1:
                run.best_f1 = f1
                _save({"average": run.average.state_dict()}, folder / "best.pt")
            _write_history(folder / "history.csv", run.history)
        if run.step % settings.checkpoint_every == 0 or run.step == settings.steps:
            _checkpoint(run, settings, folder)
    run.average.load_state_dict(torch.load(folder / "best.pt", weights_only=True)["average"])
    return run.average.cpu(), run.history, run.seconds


def evaluate(network: UNet, samples: list[Sample], *, diameter_px: float) -> tuple[float, float]:
    """(mean F1 over IoU 0.50–0.90, F1 at 0.5) of the default inference on ``samples``, nuclei at ``diameter_px``.

    Each image's scale is that of its true median nucleus: how well size is estimated is not the network's affair.
    """
    ready = folded(copy.deepcopy(network))
    matchings = []
    for sample in samples:
        scale = sample_scale(sample, diameter_px)
        probabilities = predict(ready, enlarged(sample.image, scale), TileSettings())
        labels = instances(restored(probabilities, scale, sample.image.shape), InstanceSettings())
        matchings.append(match(sample.labels, labels.astype("int32"), ignore=sample.ignore))
    return mean_f1(matchings), mean_f1(matchings, (0.5,))


def learning_rate(settings: TrainSettings, step: int) -> float:
    """Linear warm-up, then a cosine to zero at the last step."""
    if step < settings.warmup_steps:
        return settings.learning_rate * (step + 1) / settings.warmup_steps
    done = (step - settings.warmup_steps) / (settings.steps - settings.warmup_steps)
    return settings.learning_rate * 0.5 * (1.0 + math.cos(math.pi * done))


def weighted_loss(logits: Tensor, classes: Tensor, weights: Tensor) -> Tensor:
    """Cross-entropy of logits (B, 3, Y, X) against classes (B, Y, X), averaged with weights (B, Y, X)."""
    per_pixel = torch.nn.functional.cross_entropy(logits, classes, reduction="none")
    return (per_pixel * weights).sum() / weights.sum().clamp(min=1.0)


def _step(run: Run, settings: TrainSettings, images: Tensor, classes: Tensor, weights: Tensor) -> float:
    run.network.train()
    for group in run.optimiser.param_groups:
        group["lr"] = learning_rate(settings, run.step)
    loss = weighted_loss(run.network(images), classes, weights)
    run.optimiser.zero_grad(set_to_none=True)
    loss.backward()  # type: ignore[no-untyped-call]
    torch.nn.utils.clip_grad_norm_(run.network.parameters(), 1.0)
    run.optimiser.step()
    _average(run, settings)
    return float(loss.item())


@torch.no_grad()
def _average(run: Run, settings: TrainSettings) -> None:
    """Move the running average towards the network; it follows faster while young."""
    decay = min(settings.averaging, (1.0 + run.step) / (10.0 + run.step))
    for mean, new in zip(run.average.state_dict().values(), run.network.state_dict().values(), strict=True):
        if mean.dtype.is_floating_point:
            mean.lerp_(new, 1.0 - decay)
        else:
            mean.copy_(new)


def _batches(
    samples: list[Sample], settings: TrainSettings, start: int
) -> Iterator[tuple[int, tuple[Tensor, Tensor, Tensor]]]:
    """Batches from step ``start`` on, the next two prepared while the network works on this one."""
    with ThreadPoolExecutor(1) as pool:
        ahead = [pool.submit(batch, samples, settings, s) for s in range(start, min(start + 2, settings.steps))]
        for step in range(start, settings.steps):
            if step + 2 < settings.steps:
                ahead.append(pool.submit(batch, samples, settings, step + 2))
            yield step, ahead.pop(0).result()


def _resume(folder: Path, settings: TrainSettings, device: torch.device) -> Run:
    torch.manual_seed(settings.seed)
    network = UNet(UNetSpec(widths=settings.widths))
    if settings.start_from:
        network.load_state_dict(_weights(settings.start_from))
    network = channels_last(network.to(device))
    average = copy.deepcopy(network).requires_grad_(requires_grad=False)
    optimiser = torch.optim.AdamW(network.parameters(), lr=settings.learning_rate, weight_decay=settings.weight_decay)
    run = Run(network, average, optimiser)
    path = folder / "checkpoint.pt"
    if not path.exists():
        return run
    saved = torch.load(path, map_location=device, weights_only=True)
    if saved["settings"] != _plain(settings):
        differing = sorted(k for k, v in _plain(settings).items() if saved["settings"].get(k) != v)
        raise ConfigError(f"{path} is of a run with other {', '.join(differing)}; give another --out or delete it")
    network.load_state_dict(saved["network"])
    average.load_state_dict(saved["average"])
    optimiser.load_state_dict(saved["optimiser"])
    run.step, run.best_f1, run.history = saved["step"], saved["best_f1"], saved["history"]
    run.seconds, run.losses = saved["seconds"], saved["losses"]
    return run


def _weights(model: str) -> dict[str, Tensor]:
    """Unfolded weights of a shipped or given model, to start from."""
    _, weights = read_model(find_model(model))
    return {name: torch.from_numpy(array.copy()) for name, array in weights.items()}


def _checkpoint(run: Run, settings: TrainSettings, folder: Path) -> None:
    _save(
        {
            "settings": _plain(settings),
            "network": run.network.state_dict(),
            "average": run.average.state_dict(),
            "optimiser": run.optimiser.state_dict(),
            "step": run.step,
            "best_f1": run.best_f1,
            "seconds": run.seconds,
            "losses": run.losses,
            "history": run.history,
        },
        folder / "checkpoint.pt",
    )


def _plain(settings: TrainSettings) -> dict[str, Any]:
    return {k: list(v) if isinstance(v, tuple) else v for k, v in asdict(settings).items()}


def _save(state: dict[str, Any], path: Path) -> None:
    """Write under a temporary name, then rename: a kill leaves the old file or the new one."""
    temporary = path.with_suffix(".part")
    torch.save(state, temporary)
    temporary.replace(path)


def _write_history(path: Path, history: list[dict[str, float]]) -> None:
    with path.open("w", newline="") as file:
        writer = csv.DictWriter(file, fieldnames=list(history[0]))
        writer.writeheader()
        writer.writerows(history)
