"""YAML files of training settings. Alone in a file, as for a run: the settings themselves read no files."""

from __future__ import annotations

from pathlib import Path

from pydantic import BaseModel, ConfigDict, ValidationError

from hcs.config import explain
from hcs.errors import ConfigError
from hcs.store.config import read_yaml
from hcs.train.settings import TrainSettings


def read_train_settings(path: Path) -> TrainSettings:
    """Training settings in a YAML file; ConfigError naming file, key and cause."""
    try:
        return _TrainFile.model_validate({"train": read_yaml(path) or {}}).train
    except ValidationError as error:
        errors = [e | {"loc": e["loc"][1:]} for e in error.errors()]
        raise ConfigError(f"{path}: " + "; ".join(explain(e) for e in errors)) from error


class _TrainFile(BaseModel):
    """Carries ``extra="forbid"``, which a dataclass takes over from the model around it."""

    model_config = ConfigDict(extra="forbid")

    train: TrainSettings
