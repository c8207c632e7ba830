"""YAML files of settings."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import yaml
from pydantic import BaseModel, ConfigDict, ValidationError

from hcs.config import Config, explain, parse_config
from hcs.errors import ConfigError
from hcs.train.settings import TrainSettings


def read_config(path: Path) -> Config:
    """The configuration in a YAML file; ConfigError naming file, key and cause."""
    return parse_config(_read_yaml(path), source=str(path))


def read_train_settings(path: Path) -> TrainSettings:
    """Training settings in a YAML file; ConfigError naming file, key and cause."""
    try:
        return _TrainFile.model_validate({"train": _read_yaml(path) or {}}).train
    except ValidationError as error:
        errors = [e | {"loc": e["loc"][1:]} for e in error.errors()]
        raise ConfigError(f"{path}: " + "; ".join(explain(e) for e in errors)) from error


class _TrainFile(BaseModel):
    """Carries ``extra="forbid"``, which a dataclass takes over from the model around it."""

    model_config = ConfigDict(extra="forbid")

    train: TrainSettings


def _read_yaml(path: Path) -> Any:
    try:
        return yaml.safe_load(path.read_text(encoding="utf-8"))
    except (OSError, UnicodeDecodeError) as error:
        raise ConfigError(f"{path} cannot be read ({error}); give a YAML file of settings") from error
    except yaml.YAMLError as error:
        where = getattr(error, "problem_mark", None)
        line = f" at line {where.line + 1}" if where is not None else ""
        raise ConfigError(
            f"{path} is not YAML{line} ({getattr(error, 'problem', error)}); mend or remove it"
        ) from error
