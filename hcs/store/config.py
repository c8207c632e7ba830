"""YAML files of settings. Alone in a file, for `hcs.config` is pure and reads none."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import yaml

from hcs.config import Config, parse_config
from hcs.errors import ConfigError


def read_config(path: Path) -> Config:
    """The configuration in a YAML file; ConfigError naming file, key and cause."""
    return parse_config(read_yaml(path), source=str(path))


def read_yaml(path: Path) -> Any:
    """Plain data of a YAML file; ConfigError naming the file and, where it is not YAML, the line."""
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
