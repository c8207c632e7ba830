"""Optimisers and learning rates by name, as the papers that hcs is compared with used them."""

from __future__ import annotations

import math
from typing import Any

import torch

from hcs.segment.network import Network
from hcs.train.settings import TrainSettings

TIMES = "times"
"""Of a group of parameters: its learning rate over that of the settings."""
_LAST_OF_KINDS = 10.0
"""The last layer of a network that tells kinds of nuclei learns so much faster: kinds begin as copies of one interior,
and to tell them apart takes larger weights than a short training reaches otherwise."""


def optimiser_of(network: Network, settings: TrainSettings) -> torch.optim.Optimizer:
    """The optimiser of the settings over all parameters of ``network``."""
    kinds: dict[str, type[torch.optim.AdamW | torch.optim.Adam | torch.optim.RMSprop]] = {
        "adamw": torch.optim.AdamW,
        "adam": torch.optim.Adam,
        "rmsprop": torch.optim.RMSprop,
    }
    kind = kinds[settings.optimiser]
    groups: list[dict[str, Any]] = [{"params": list(network.parameters()), TIMES: 1.0}]
    if settings.kinds:
        last = {id(value) for name, value in network.named_parameters() if name.startswith("head.")}
        groups = [
            {"params": [value for value in network.parameters() if (id(value) in last) == chosen], TIMES: times}
            for chosen, times in ((False, 1.0), (True, _LAST_OF_KINDS))
        ]
    return kind(groups, lr=settings.learning_rate, weight_decay=settings.weight_decay)


def learning_rate(settings: TrainSettings, step: int) -> float:
    """Linear warm-up; then the peak rate, or a cosine from it to zero at the last step."""
    if step < settings.warmup_steps:
        return settings.learning_rate * (step + 1) / settings.warmup_steps
    if settings.schedule == "constant":
        return settings.learning_rate
    done = (step - settings.warmup_steps) / (settings.steps - settings.warmup_steps)
    return settings.learning_rate * 0.5 * (1.0 + math.cos(math.pi * done))
