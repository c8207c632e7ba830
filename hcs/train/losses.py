"""What is minimised, with a weight for every pixel; pixels of weight 0 (ignored ones) never count."""

from __future__ import annotations

from collections.abc import Callable

import torch
import torch.nn.functional as F
from torch import Tensor

Loss = Callable[[Tensor, Tensor, Tensor], Tensor]
"""Logits (B, classes, Y, X), classes (B, Y, X), weights (B, Y, X) → a number."""


def loss_of(name: str, *, kinds: bool = False) -> Loss:
    """The loss that settings call ``name``; names joined by + are summed. With ``kinds`` of nuclei it is
    `kinds_loss`."""
    if kinds:
        return kinds_loss
    parts = [_LOSSES[part] for part in name.split("+")]
    if len(parts) == 1:
        return parts[0]
    return lambda logits, classes, weights: torch.stack([part(logits, classes, weights) for part in parts]).sum()


def weighted_loss(logits: Tensor, classes: Tensor, weights: Tensor) -> Tensor:
    """Cross-entropy of logits (B, classes, Y, X) against classes (B, Y, X), averaged with weights (B, Y, X)."""
    per_pixel = F.cross_entropy(logits, classes, reduction="none")
    return (per_pixel * weights).sum() / weights.sum().clamp(min=1.0)


def kinds_loss(logits: Tensor, classes: Tensor, weights: Tensor) -> Tensor:
    """As `weighted_loss`, where one class more stands for a nucleus of unknown kind: there the interiors of all kinds,
    the classes between the first and the last, count as one."""
    log_p = F.log_softmax(logits, dim=1)
    some_kind = torch.logsumexp(log_p[:, 1:-1], dim=1, keepdim=True)
    per_pixel = F.nll_loss(torch.cat((log_p, some_kind), dim=1), classes, reduction="none")
    return (per_pixel * weights).sum() / weights.sum().clamp(min=1.0)


def binary_cross_entropy(logits: Tensor, classes: Tensor, weights: Tensor) -> Tensor:
    """Binary cross-entropy of every class against all others, averaged over classes, and over pixels with weights.

    Probabilities are the softmax's, so for two classes this is the binary cross-entropy of the nucleus.
    """
    log_p = F.log_softmax(logits, dim=1)
    others = [
        torch.logsumexp(torch.cat((log_p[:, :c], log_p[:, c + 1 :]), dim=1), dim=1) for c in range(logits.shape[1])
    ]
    is_class = F.one_hot(classes, logits.shape[1]).movedim(-1, 1).to(log_p.dtype)
    per_pixel = -(is_class * log_p + (1.0 - is_class) * torch.stack(others, dim=1)).mean(dim=1)
    return (per_pixel * weights).sum() / weights.sum().clamp(min=1.0)


def soft_dice(logits: Tensor, classes: Tensor, weights: Tensor) -> Tensor:
    """1 − mean over nucleus classes of 2 Σ p y / (Σ p + Σ y), sums over the batch's pixels that have a weight.

    Milletari et al., 3DV 2016, with sums instead of squares. Weights count only as zero or not: Dice balances classes
    by itself. One is added above and below, so that a batch without nuclei has a gradient too.
    """
    counted = (weights > 0).unsqueeze(1)
    p = torch.softmax(logits, dim=1)[:, 1:] * counted
    y = F.one_hot(classes, logits.shape[1]).movedim(-1, 1)[:, 1:] * counted
    shared = (p * y).sum(dim=(0, 2, 3))
    both = (p + y).sum(dim=(0, 2, 3))
    return 1.0 - ((2.0 * shared + 1.0) / (both + 1.0)).mean()


_LOSSES: dict[str, Loss] = {"cross_entropy": weighted_loss, "bce": binary_cross_entropy, "dice": soft_dice}
