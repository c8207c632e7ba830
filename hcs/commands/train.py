"""`hcs train`: images and settings in, a model file out."""

from __future__ import annotations

import platform
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

from hcs.machine import cores, processor_name
from hcs.report.figures import save_figure
from hcs.segment.predict import find_device
from hcs.train.config import read_train_settings
from hcs.train.data import load_split, preprocess_for
from hcs.train.export import export
from hcs.train.figure import history_figure
from hcs.train.loop import train
from hcs.train.settings import TrainSettings
from hcs.train.spec import recipe_for


def train_model(
    data: Path, config_path: Path | None, out: Path, *, name: str, device: str, say: Callable[[str], None]
) -> Path:
    """Train on ``data``'s train split, choose by its val split, export; the path of the model written."""
    settings = TrainSettings() if config_path is None else read_train_settings(config_path)
    return train_with(settings, data, out, name=name, device=device, say=say)


def train_with(
    settings: TrainSettings,
    data: Path,
    out: Path,
    *,
    name: str,
    device: str,
    say: Callable[[str], None],
    further: Mapping[str, Any] | None = None,
) -> Path:
    """As `train_model`, of settings in memory; the card gets ``further`` keys."""
    find_device(device)
    preprocess = preprocess_for(data, settings)
    training, validation = (load_split(data, split, preprocess, settings.kinds) for split in ("train", "val"))
    say(f"{len(training)} training and {len(validation)} validation images")
    trained = train(
        list(training.values()),
        list(validation.values()),
        settings,
        folder=out,
        device=device,
        recipe=recipe_for(settings, preprocess),
        say=say,
    )
    save_figure(history_figure(trained.curve, trained.history), out / "history.png")
    path = out / f"{name}.safetensors"
    export(trained, settings, data=data, path=path, device=device, machine=_machine(), further=further)
    return path


def _machine() -> dict[str, Any]:
    return {"system": platform.platform(), "processor": processor_name(), "cores": cores()}
