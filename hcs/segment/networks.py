"""Every kind of network by the description in its model card."""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping
from typing import Any

from hcs.errors import ConfigError
from hcs.segment.concat import ConcatSpec, ConcatUNet
from hcs.segment.network import Network
from hcs.segment.unet import UNet, UNetSpec

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
