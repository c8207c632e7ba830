"""`hcs train`: images and settings in, a model file out."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

from hcs.segment.predict import find_device
from hcs.train.config import read_train_settings
from hcs.train.data import load_split
from hcs.train.export import export
from hcs.train.loop import train
from hcs.train.settings import TrainSettings


def train_model(
    data: Path, config_path: Path | None, out: Path, *, name: str, device: str, say: Callable[[str], None]
) -> Path:
    """Train on ``data``'s train split, choose by its val split, export; the path of the model written."""
    settings = TrainSettings() if config_path is None else read_train_settings(config_path)
    find_device(device)
    training, validation = load_split(data, "train"), load_split(data, "val")
    say(f"{len(training)} training and {len(validation)} validation images")
    network, history, seconds = train(
        list(training.values()), list(validation.values()), settings, folder=out, device=device, say=say
    )
    path = out / f"{name}.safetensors"
    export(network, history, settings, data=data, path=path, seconds=seconds)
    return path
