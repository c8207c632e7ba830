"""The training loop: checkpointed, resumable, the same result however often it was interrupted."""

from __future__ import annotations

import copy
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from hcs.segment.network import Network
from hcs.segment.ours.integers import Steps
from hcs.segment.ours.unet import UNet, folded
from hcs.segment.predict import tune_cpu
from hcs.segment.recipe import Recipe
from hcs.segment.scale import enlarged
from hcs.train.augment import Sample
from hcs.train.checkpoint import (
    RIGHT,
    Row,
    Run,
    check_folder,
    goodness,
    load_best,
    save_best,
    save_checkpoint,
    start_or_resume,
    write_rows,
)
from hcs.train.data import SCALE_RULES, at_training_scale, batch, sample_scale
from hcs.train.kinds import counted, kind_factors
from hcs.train.losses import Loss, kinds_loss, loss_of
from hcs.train.optimise import TIMES, learning_rate
from hcs.train.score import Counts, Floats, right_by_kind, scores_and_kinds
from hcs.train.settings import TrainSettings
from hcs.train.spec import recipe_for
from hcs.train.steps import MOST_IMAGES, steps_of

Say = Callable[[str], None]
Batch = tuple[Tensor, Tensor, Tensor]


@dataclass(frozen=True, slots=True)
class Trained:
    """What a finished run gives."""

    network: Network
    """The averaged weights with the best mean F1 on the validation images, on the CPU, unfolded."""
    recipe: Recipe
    history: list[Row]
    """Scores at every evaluation."""
    curve: list[Row]
    """Mean loss between checkpoints."""
    scores: Floats
    """(n, 2): mean F1 and F1 at IoU 0.5 of every validation image, by the weights above."""
    seconds: float
    taken: Counts
    """(k, k): how many nuclei of each kind of the validation images these weights take for which; (0, 0) without."""
    steps: Steps | None = None
    """Of the same network in integers; None for networks that only calculate in float32."""


def train(
    training: list[Sample],
    validation: list[Sample],
    settings: TrainSettings,
    *,
    folder: Path,
    device: str = "cpu",
    recipe: Recipe | None = None,
    say: Say = print,
) -> Trained:
    """Train on ``training``, evaluate on ``validation``; ``recipe`` is by default the one of the settings.

    ``folder`` keeps ``checkpoint.pt``, ``best.pt``, ``history.csv`` and ``losses.csv``; a run whose folder holds a
    checkpoint of the same settings goes on from it, one of other settings is a ConfigError.
    """
    check_folder(folder)
    folder.mkdir(parents=True, exist_ok=True)
    tune_cpu(settings.threads)
    run = start_or_resume(folder, settings, torch.device(device))
    use = recipe or recipe_for(settings)
    shown = training[:: -(-len(training) // MOST_IMAGES)]
    training = [at_training_scale(sample, settings.diameter_px, SCALE_RULES[settings.magnified]) for sample in training]
    loss = loss_of(settings.loss)
    if settings.kinds:
        factors = kind_factors(counted(training, len(settings.kinds)), settings.kind_balance)
        loss = kinds_loss(factors, settings.kind_weight)
    training = [sample for sample in training for _ in range(sample.times)]
    forward = torch.compile(run.network) if settings.compile and device == "cuda" else run.network
    last, first, before = time.monotonic(), run.step, run.seconds
    for prepared in _batches(training, settings, run.step) if not _stops(run, settings) else ():
        _step(run, forward, loss, settings, prepared)
        now = time.monotonic()
        run.seconds, last = run.seconds + now - last, now
        if run.step % settings.evaluate_every == 0 or run.step == settings.steps:
            pace = (run.seconds - before) / (run.step - first)
            say(f"{_evaluate(run, settings, validation, use, folder)}  {pace:.2f} s/step")
        stops = _stops(run, settings)
        if run.step % settings.checkpoint_every == 0 or run.step == settings.steps or stops:
            save_checkpoint(run, settings, folder)
        if stops:
            say(f"no better F1 in {settings.patience} evaluations: stopped")
            break
    scores, taken = load_best(run.average, folder)
    network = run.average.cpu()
    ready = folded(copy.deepcopy(network))
    steps = steps_of(ready, _seen(shown, settings)) if isinstance(ready, UNet) else None
    return Trained(network, use, run.history, run.curve, scores, run.seconds, taken, steps)


def _seen(samples: list[Sample], settings: TrainSettings) -> Iterator[NDArray[np.float32]]:
    """Images as the network sees them when it is used."""
    for sample in samples:
        yield enlarged(sample.image, sample_scale(sample, settings.diameter_px, SCALE_RULES[settings.magnified]))


def _step(
    run: Run, forward: Callable[[Tensor], Tensor], minimised: Loss, settings: TrainSettings, prepared: Batch
) -> None:
    """One step of the optimiser and of the running average."""
    device = next(run.network.parameters()).device
    images, classes, weights = (tensor.to(device, non_blocking=True) for tensor in prepared)
    run.network.train()
    for group in run.optimiser.param_groups:
        group["lr"] = learning_rate(settings, run.step) * group.get(TIMES, 1.0)  # none in older checkpoints
    if settings.dropout:
        # What a step drops must depend on the step alone, or a resumed run would drop something else.
        torch.manual_seed((settings.seed << 32) + run.step)
    with torch.autocast(device.type, torch.bfloat16, enabled=settings.bfloat16):
        logits = forward(images)
    loss = minimised(logits.float(), classes, weights)
    run.optimiser.zero_grad(set_to_none=True)
    loss.backward()  # type: ignore[no-untyped-call]
    torch.nn.utils.clip_grad_norm_(run.network.parameters(), 1.0)
    run.optimiser.step()
    _average(run, settings)
    value = float(loss.item())
    run.losses.append(value)
    run.since.append(value)
    run.step += 1


def _evaluate(run: Run, settings: TrainSettings, validation: list[Sample], recipe: Recipe, folder: Path) -> str:
    """Score what would be shipped, keep it where it is the best so far; what came out as a line.

    With kinds of nuclei the best has the highest mean F1 times the mean share of each kind that is taken for it.
    """
    shipped = run.shipped(settings.kept)
    scores, taken = scores_and_kinds(shipped, validation, recipe, SCALE_RULES[settings.magnified])
    f1, f1_half = (float(v) for v in scores.mean(axis=0))
    loss = sum(run.losses) / len(run.losses)
    run.losses.clear()
    run.history.append({"step": run.step, "loss": loss, "val_mean_f1": f1, "val_f1_at_0.5": f1_half})
    said = f"step {run.step}/{settings.steps}  loss {loss:.4f}  val mean F1 {f1:.4f}  F1@0.5 {f1_half:.4f}"
    if settings.kinds:
        right = right_by_kind(taken)
        run.history[-1] |= {f"{RIGHT}{name}": share for name, share in zip(settings.kinds, right.tolist(), strict=True)}
        said += "".join(f"  {name} {share:.3f}" for name, share in zip(settings.kinds, right, strict=True))
    if (good := goodness(run.history[-1])) > run.best_f1:
        run.best_f1 = good
        save_best(shipped, scores, taken, folder)
    write_rows(folder / "history.csv", run.history)
    return said


def _stops(run: Run, settings: TrainSettings) -> bool:
    """Whether the last ``patience`` evaluations brought nothing better than those before them."""
    f1 = [row["val_mean_f1"] for row in run.history]
    return 0 < settings.patience < len(f1) and max(f1[-settings.patience :]) <= max(f1[: -settings.patience])


@torch.no_grad()
def _average(run: Run, settings: TrainSettings) -> None:
    """Move the running average towards the network; it follows faster while young."""
    decay = min(settings.averaging, (1.0 + run.step) / (10.0 + run.step))
    for mean, new in zip(run.average.state_dict().values(), run.network.state_dict().values(), strict=True):
        if mean.dtype.is_floating_point:
            mean.lerp_(new, 1.0 - decay)
        else:
            mean.copy_(new)


def _batches(samples: list[Sample], settings: TrainSettings, start: int) -> Iterator[Batch]:
    """Batches from step ``start`` on, the next ones prepared while the network works on this one."""
    depth = settings.loaders + 1
    pool = ThreadPoolExecutor(settings.loaders)
    try:
        ahead = [pool.submit(batch, samples, settings, s) for s in range(start, min(start + depth, settings.steps))]
        for step in range(start, settings.steps):
            if step + depth < settings.steps:
                ahead.append(pool.submit(batch, samples, settings, step + depth))
            yield ahead.pop(0).result()
    finally:
        pool.shutdown(cancel_futures=True)
