"""Model files: weights as safetensors, a card as JSON beside them."""

from __future__ import annotations

import hashlib
import json
from dataclasses import dataclass, replace
from importlib.resources import files
from pathlib import Path
from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray

from hcs.config import Arithmetic
from hcs.errors import ConfigError
from hcs.machine import is_x86
from hcs.store.atomic import replacing, write_json

_DEFAULTS = {"cpu": "fast", "cuda": "accurate"}
Numbers = Literal["float16", "float32", "int8"]
"""What a model can calculate in, on one device or another."""
INTEGERS = "integers"
"""Key of the card that says how a model calculates in whole numbers."""
OBJECTS = "objects"
"""Key of the card that says what a model finds: nuclei, or cells."""
SENSOR_MODEL = "sensor"
"""What finds nuclei in the channel of a translocating sensor."""


@dataclass(frozen=True, slots=True)
class ModelFile:
    """A model on disk: travels to workers as a path and a hash, never as a network."""

    name: str
    path: str
    """Of the weights; of the card where the model is an ensemble."""
    sha256: str
    """Of the weights; of an ensemble, of its members' hashes in order."""
    members: tuple[ModelFile, ...] = ()
    """Models whose probabilities are averaged; none where this is one network."""
    flips: bool = False
    """Whether the card asks for test-time flips."""
    carries: bool = False
    """Whether, in a movie, nuclei that cannot be seen are carried from frames in which they can, as the card says."""
    arithmetic: Numbers = "float32"
    """Numbers in which its networks calculate."""
    kinds: tuple[str, ...] = ()
    """Kinds of nuclei that it tells apart."""

    @property
    def networks(self) -> tuple[ModelFile, ...]:
        """The models that hold weights: the members, or this one."""
        return self.members or (self,)


def shipped_models() -> tuple[str, ...]:
    """Names of the models in the package."""
    return tuple(sorted(path.stem for path in _shipped("fast").parent.glob("*.json")))


def find_model(
    name: str, device: str = "cpu", *, by_sensor: bool = False, arithmetic: Arithmetic = "auto"
) -> ModelFile:
    """The model called ``name``: a shipped one, a .safetensors file with its card beside it, the card (.json) of an
    ensemble, several of these with commas between, to be averaged, or ``auto``: for nuclei that are found in the
    channel of a sensor, ``by_sensor``, the model for that, else the default of ``device``.

    ConfigError where there is none, or it cannot calculate in ``arithmetic`` there.
    """
    found = _find(name, device, by_sensor=by_sensor)
    return with_arithmetic(found, _settled(found, device, arithmetic))


def _settled(model: ModelFile, device: str, wanted: Arithmetic) -> Numbers:
    """The numbers for ``model`` on ``device``; ConfigError where ``wanted`` cannot be had."""
    if device == "cuda":
        if wanted == "int8":
            raise ConfigError("arithmetic: int8 is for CPUs; set auto or float32 for --device cuda")
        return "float16" if wanted == "auto" else wanted
    lacking = [network.name for network in model.networks if INTEGERS not in read_card(network)]
    if wanted == "int8" and lacking:
        raise ConfigError(
            f"arithmetic: int8, but the card of model {lacking[0]} has no {INTEGERS!r}; set auto or float32, or train "
            "it again with this version of hcs"
        )
    if wanted == "int8" or (wanted == "auto" and not lacking and is_x86()):
        return "int8"
    return "float32"


def with_arithmetic(model: ModelFile, arithmetic: Numbers) -> ModelFile:
    """The same model, it and its members calculating in ``arithmetic``."""
    members = tuple(with_arithmetic(member, arithmetic) for member in model.members)
    return replace(model, arithmetic=arithmetic, members=members)


def _find(name: str, device: str, *, by_sensor: bool) -> ModelFile:
    """As `find_model`, whatever it calculates in."""
    if name == "auto":
        name = SENSOR_MODEL if by_sensor else _DEFAULTS[device]
    names = [part.strip() for part in name.split(",")]
    if len(names) > 1:
        return _ensemble(name, name, [_find(part, device, by_sensor=False) for part in names], flips=False)
    path = Path(name) if Path(name).suffix in {".safetensors", ".json"} else _shipped(name)
    card_path = path.with_suffix(".json")
    if not path.is_file() and not card_path.is_file():
        raise ConfigError(
            f"model {name!r} does not exist; shipped models: {', '.join(shipped_models())}; or give a .safetensors file"
        )
    if not card_path.is_file():
        raise ConfigError(f"{path} has no model card; put {card_path.name} beside it")
    try:
        card = json.loads(card_path.read_text())
    except (OSError, ValueError) as error:
        raise ConfigError(
            f"model card {card_path} cannot be read ({error}); give the card as it was written"
        ) from error
    flips = bool(card.get("flips", False))
    if "members" in card:
        members = [_member(card_path, str(m)) for m in card["members"]]
        return _ensemble(path.stem, str(card_path), members, flips=flips, carries=bool(card.get("carries", False)))
    weights = path.with_suffix(".safetensors")
    if not weights.is_file():
        raise ConfigError(f"{card_path} names no members and {weights.name} is not beside it; put the weights there")
    digest = hashlib.sha256(weights.read_bytes()).hexdigest()
    return ModelFile(path.stem, str(weights), digest, flips=flips, kinds=tuple(map(str, card.get("kinds", ()))))


def _shipped(name: str) -> Path:
    return Path(str(files("hcs.segment") / "weights" / f"{name}.safetensors"))


def _member(card: Path, name: str) -> ModelFile:
    """A member of an ensemble: the file of that name beside its card, or a shipped model."""
    beside = card.with_name(f"{name}.safetensors")
    return _find(str(beside) if beside.is_file() else name, "cpu", by_sensor=False)


def _ensemble(name: str, path: str, members: list[ModelFile], *, flips: bool, carries: bool = False) -> ModelFile:
    flat = tuple(network for member in members for network in member.networks)
    carries = carries or any(member.carries for member in members)
    hashes = [network.sha256 for network in flat] + (["carries"] if carries else [])
    digest = hashlib.sha256("\n".join(hashes).encode()).hexdigest()
    kinds = flat[0].kinds  # networks that tell other kinds are not averaged (`hcs.segment.segmenter`)
    return ModelFile(name, path, digest, flat, flips or any(member.flips for member in members), carries, kinds=kinds)


def read_model(model: ModelFile) -> tuple[dict[str, Any], dict[str, NDArray[np.float32]]]:
    """(card, weights) of a model of one network.

    ConfigError where the file is not the one its hash names, or is not safetensors.
    """
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


def read_card(model: ModelFile) -> dict[str, Any]:
    """The card of a model of one network."""
    card: dict[str, Any] = json.loads(Path(model.path).with_suffix(".json").read_text())
    return card


def wanted_diameter(model: ModelFile) -> float | None:
    """Size, px, at which the model wants nuclei, as its card says; None for one that takes images as they are."""
    card = read_card(model.networks[0])
    return None if card.get("diameter_px") is None else float(card["diameter_px"])


def write_model(path: Path, card: dict[str, Any], weights: dict[str, NDArray[np.float32]]) -> None:
    """Write ``path`` (.safetensors) and its card (.json), the card completed with the weights' sha256 and size."""
    from safetensors.numpy import save  # noqa: PLC0415

    # safetensors takes the bytes as they lie, also those of arrays in another order.
    data = save({name: np.ascontiguousarray(array) for name, array in weights.items()})
    with replacing(path) as temporary:
        temporary.write_bytes(data)
    card = card | {"sha256": hashlib.sha256(data).hexdigest(), "bytes": len(data)}
    write_json(path.with_suffix(".json"), card)
