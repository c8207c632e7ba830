"""A model card and its weights → a network ready to run."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray

from hcs.errors import ConfigError
from hcs.segment.network import Network
from hcs.segment.networks import new_network, read_spec
from hcs.segment.unet import folded


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


def weights_of(network: Network) -> dict[str, NDArray[np.float32]]:
    """Parameters and batch-norm statistics of an unfolded network as arrays, by name."""
    return {name: tensor.detach().cpu().contiguous().numpy() for name, tensor in network.state_dict().items()}
