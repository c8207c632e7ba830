"""What is minimised, with a weight for every pixel; pixels of weight 0 (ignored ones) never count."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import torch
import torch.nn.functional as F
from numpy.typing import NDArray
from torch import Tensor

Loss = Callable[[Tensor, Tensor, Tensor], Tensor]
"""Logits (B, classes, Y, X), classes (B, Y, X), weights (B, Y, X) → a number."""


def loss_of(name: str) -> Loss:
    """The loss that settings call ``name``; names joined by + are summed."""
    parts = [_LOSSES[part] for part in name.split("+")]
    if len(parts) == 1:
        return parts[0]
    return lambda logits, classes, weights: torch.stack([part(logits, classes, weights) for part in parts]).sum()


def weighted_loss(logits: Tensor, classes: Tensor, weights: Tensor) -> Tensor:
    """Cross-entropy of logits (B, classes, Y, X) against classes (B, Y, X), averaged with weights (B, Y, X)."""
    per_pixel = F.cross_entropy(logits, classes, reduction="none")
    return (per_pixel * weights).sum() / weights.sum().clamp(min=1.0)


def kinds_loss(factors: NDArray[np.float32], weight: float) -> Loss:
    """Of a network with an interior class for each of k kinds of nuclei: `weighted_loss` of background, interior of any
    kind and boundary, and ``weight`` times the cross-entropy of the kind among interiors, averaged over the interiors
    of known kind with ``factors`` (k,). Classes are those of `hcs.train.kinds.kind_classes`."""
    count = len(factors)
    by_class = np.concatenate([[0.0], factors, [0.0, 0.0]]).astype(np.float32)

    def loss(logits: Tensor, classes: Tensor, weights: Tensor) -> Tensor:
        log_p = F.log_softmax(logits, dim=1)
        interior = torch.logsumexp(log_p[:, 1:-1], dim=1)
        three = torch.stack([log_p[:, 0], interior, log_p[:, -1]], dim=1)
        inside, boundary = (classes > 0) & (classes != count + 1), classes == count + 1
        per_pixel = F.nll_loss(three, inside.long() + 2 * boundary.long(), reduction="none")
        found = (per_pixel * weights).sum() / weights.sum().clamp(min=1.0)
        counted = torch.from_numpy(by_class).to(logits.device)[classes] * (weights > 0)
        own = log_p.gather(1, classes.clamp(max=count + 1).unsqueeze(1)).squeeze(1)
        told = ((interior - own) * counted).sum() / counted.sum().clamp(min=1.0)
        return found + weight * told

    return loss


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
