"""Model files: weights as safetensors, a card as JSON beside them."""

from __future__ import annotations

import hashlib
import json
from dataclasses import dataclass
from importlib.resources import files
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from hcs.errors import ConfigError


@dataclass(frozen=True, slots=True)
class ModelFile:
    """A model on disk: travels to workers as a path and a hash, never as a network."""

    name: str
    path: str
    sha256: str


def shipped_models() -> tuple[str, ...]:
    """Names of the models in the package."""
    folder = Path(str(files("hcs.segment") / "weights"))
    return tuple(sorted(path.stem for path in folder.glob("*.safetensors")))


def find_model(name: str) -> ModelFile:
    """The shipped model called ``name``, or the .safetensors file at that path; ConfigError where there is none."""
    path = Path(name)
    if path.suffix != ".safetensors":
        path = Path(str(files("hcs.segment") / "weights" / f"{name}.safetensors"))
    if not path.is_file():
        raise ConfigError(
            f"model {name!r} does not exist; shipped models: {', '.join(shipped_models())}; or give a .safetensors file"
        )
    if not path.with_suffix(".json").is_file():
        raise ConfigError(f"{path} has no model card; put {path.with_suffix('.json').name} beside it")
    return ModelFile(path.stem, str(path), hashlib.sha256(path.read_bytes()).hexdigest())


def read_model(model: ModelFile) -> tuple[dict[str, Any], dict[str, NDArray[np.float32]]]:
    """(card, weights) of a model; ConfigError where the file is not the one its hash names, or is not safetensors."""
    from safetensors import SafetensorError  # noqa: PLC0415
    from safetensors.numpy import load  # noqa: PLC0415

    path = Path(model.path)
    try:
        data = path.read_bytes()
        card = json.loads(path.with_suffix(".json").read_text())
        weights = load(data)
    except (OSError, ValueError, SafetensorError) as error:
        raise ConfigError(f"model {model.path} cannot be read ({error}); give the file as it was exported") from error
    if hashlib.sha256(data).hexdigest() != model.sha256:
        raise ConfigError(f"model {model.path} changed since the run began (another sha256); start a new run")
    return card, weights


def write_model(path: Path, card: dict[str, Any], weights: dict[str, NDArray[np.float32]]) -> None:
    """Write ``path`` (.safetensors) and its card (.json), the card completed with the weights' sha256 and size."""
    from safetensors.numpy import save  # noqa: PLC0415

    data = save(weights)
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(data)
    card = card | {"sha256": hashlib.sha256(data).hexdigest(), "bytes": len(data)}
    path.with_suffix(".json").write_text(json.dumps(card, indent=2, ensure_ascii=False) + "\n")
