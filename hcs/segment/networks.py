"""Every kind of network by the description in its model card."""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray

from hcs.errors import ConfigError
from hcs.segment.baselines.concat import ConcatSpec, ConcatUNet
from hcs.segment.network import Network
from hcs.segment.ours.integers import Integers
from hcs.segment.ours.unet import UNet, UNetSpec, folded

AnySpec = UNetSpec | ConcatSpec
_KINDS: dict[str, type[AnySpec]] = {"add": UNetSpec, "concat": ConcatSpec}


def new_network(spec: AnySpec) -> Network:
    """A network of random weights, trainable."""
    return UNet(spec) if isinstance(spec, UNetSpec) else ConcatUNet(spec)


def describe(spec: AnySpec) -> dict[str, Any]:
    """The spec as plain data for a model card, its kind first."""
    kind = next(name for name, known in _KINDS.items() if isinstance(spec, known))
    return {"kind": kind} | {k: list(v) if isinstance(v, tuple) else v for k, v in dataclasses.asdict(spec).items()}


def read_spec(description: Mapping[str, Any]) -> AnySpec:
    """The spec that `describe` wrote; a description without ``kind`` is of the network whose skips are added.

    ConfigError for a kind or a key that this version does not know.
    """
    kind = description.get("kind", "add")
    if kind not in _KINDS:
        raise ConfigError(f"network kind {kind!r} in the model card is not known; known: {', '.join(_KINDS)}")
    given: dict[str, Any] = {k: tuple(v) if isinstance(v, list) else v for k, v in description.items() if k != "kind"}
    unknown = sorted(set(given) - {field.name for field in dataclasses.fields(_KINDS[kind])})
    if unknown:
        raise ConfigError(f"the model card's network has keys this version does not know: {', '.join(unknown)}")
    return _KINDS[kind](**given)


def build_network(card: Mapping[str, Any], weights: Mapping[str, NDArray[np.float32]], device: torch.device) -> Network:
    """The network that ``card['network']`` describes, with ``weights``, folded for inference, on ``device``.

    ConfigError where the weights do not fit the description.
    """
    network = new_network(read_spec(card["network"]))
    state = {name: torch.from_numpy(np.array(array)) for name, array in weights.items()}
    try:
        network.load_state_dict(state, strict=True)
    except RuntimeError as error:
        raise ConfigError(
            f"model {card.get('name')!r}: weights do not fit the network of its card ({error})"
        ) from error
    return folded(network).to(device)


def build_integers(
    card: Mapping[str, Any], weights: Mapping[str, NDArray[np.float32]], device: torch.device
) -> Network:
    """As `build_network`, in 8-bit integers by the steps of the card; ConfigError where they do not fit the network, or
    this machine cannot."""
    network = build_network(card, weights, device)
    if not isinstance(network, UNet) or "integers" not in card:
        raise ConfigError(
            f"model {card.get('name')!r} does not calculate in integers (its card has no 'integers'); set arithmetic: "
            "float32"
        )
    return Integers(network, {name: (int(step), int(zero)) for name, (step, zero) in card["integers"].items()})


def weights_of(network: Network) -> dict[str, NDArray[np.float32]]:
    """Parameters and batch-norm statistics of an unfolded network as arrays, by name."""
    return {name: tensor.detach().cpu().contiguous().numpy() for name, tensor in network.state_dict().items()}
