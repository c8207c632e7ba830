"""Optimisers and learning rates by name, as the papers that hcs is compared with used them."""

from __future__ import annotations

import math

import torch

from hcs.segment.network import Network
from hcs.train.settings import TrainSettings


def optimiser_of(network: Network, settings: TrainSettings) -> torch.optim.Optimizer:
    """The optimiser of the settings over all parameters of ``network``."""
    kinds: dict[str, type[torch.optim.AdamW | torch.optim.Adam | torch.optim.RMSprop]] = {
        "adamw": torch.optim.AdamW,
        "adam": torch.optim.Adam,
        "rmsprop": torch.optim.RMSprop,
    }
    kind = kinds[settings.optimiser]
    return kind(network.parameters(), lr=settings.learning_rate, weight_decay=settings.weight_decay)


def learning_rate(settings: TrainSettings, step: int) -> float:
    """Linear warm-up; then the peak rate, or a cosine from it to zero at the last step."""
    if step < settings.warmup_steps:
        return settings.learning_rate * (step + 1) / settings.warmup_steps
    if settings.schedule == "constant":
        return settings.learning_rate
    done = (step - settings.warmup_steps) / (settings.steps - settings.warmup_steps)
    return settings.learning_rate * 0.5 * (1.0 + math.cos(math.pi * done))
