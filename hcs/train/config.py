"""YAML files of training settings. Alone in a file, as for a run: the settings themselves read no files."""

from __future__ import annotations

from dataclasses import fields
from difflib import get_close_matches
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
        raise ConfigError(f"{path}: " + "; ".join(explain(e, _known(e["loc"])) for e in errors)) from error


def _known(place: tuple[int | str, ...]) -> str:
    """The keys that there are, those most like the one at ``place`` alone where any is like it."""
    names = [field.name for field in fields(TrainSettings)]
    like = get_close_matches(str(place[0]), names) if place else []
    return f"did you mean {' or '.join(like)}?" if like else "there are " + ", ".join(names)


class _TrainFile(BaseModel):
    """Carries ``extra="forbid"``, which a dataclass takes over from the model around it."""

    model_config = ConfigDict(extra="forbid")

    train: TrainSettings
