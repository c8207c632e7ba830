"""Losses against values worked out by hand."""

from __future__ import annotations

import math

import pytest
import torch
from torch import Tensor

from hcs.train.losses import loss_of, soft_dice, weighted_loss


def logits_of(*pixels: tuple[float, ...]) -> Tensor:
    """Probabilities of each pixel → logits (1, classes, 1, pixels)."""
    return torch.log(torch.tensor(pixels)).T[None, :, None, :]


CLASSES = torch.tensor([[[1, 0]]])
WEIGHTS = torch.tensor([[[3.0, 1.0]]])
TWO = ((0.2, 0.8), (0.7, 0.3))
THREE = ((0.1, 0.6, 0.3), (0.5, 0.3, 0.2))


def test_cross_entropy_is_averaged_with_weights() -> None:
    expected = -(3 * math.log(0.8) + math.log(0.7)) / 4
    assert float(weighted_loss(logits_of(*TWO), CLASSES, WEIGHTS)) == pytest.approx(expected, rel=1e-5)


def test_binary_cross_entropy_of_two_classes_is_that_of_the_nucleus() -> None:
    expected = -(3 * math.log(0.8) + math.log(1 - 0.3)) / 4
    assert float(loss_of("bce")(logits_of(*TWO), CLASSES, WEIGHTS)) == pytest.approx(expected, rel=1e-5)


def test_binary_cross_entropy_of_three_classes_is_each_against_the_rest() -> None:
    first = -(math.log(1 - 0.1) + math.log(0.6) + math.log(1 - 0.3)) / 3
    second = -(math.log(0.5) + math.log(1 - 0.3) + math.log(1 - 0.2)) / 3
    found = float(loss_of("bce")(logits_of(*THREE), CLASSES, WEIGHTS))
    assert found == pytest.approx((3 * first + second) / 4, rel=1e-5)


def test_dice_sums_over_pixels_that_have_a_weight() -> None:
    # The nucleus class: Σ p y = 0.8, Σ p + Σ y = 0.8 + 0.3 + 1; without the second pixel 0.8 + 1.
    assert float(soft_dice(logits_of(*TWO), CLASSES, WEIGHTS)) == pytest.approx(1 - 2.6 / 3.1, rel=1e-5)
    only_first = torch.tensor([[[3.0, 0.0]]])
    assert float(soft_dice(logits_of(*TWO), CLASSES, only_first)) == pytest.approx(1 - 2.6 / 2.8, rel=1e-5)


def test_dice_of_three_classes_is_the_mean_of_the_nucleus_classes() -> None:
    interior, boundary = 1 - (2 * 0.6 + 1) / (0.9 + 1 + 1), 1 - 1 / (0.5 + 1)
    assert float(soft_dice(logits_of(*THREE), CLASSES, WEIGHTS)) == pytest.approx((interior + boundary) / 2, rel=1e-5)


def test_a_combined_loss_is_the_sum_of_its_parts() -> None:
    parts = [float(loss_of(name)(logits_of(*THREE), CLASSES, WEIGHTS)) for name in ("cross_entropy", "dice")]
    both = loss_of("cross_entropy+dice")(logits_of(*THREE), CLASSES, WEIGHTS)
    assert float(both) == pytest.approx(sum(parts), rel=1e-5)


@pytest.mark.parametrize("name", ["cross_entropy", "bce", "dice", "cross_entropy+dice", "bce+dice"])
def test_an_ignored_pixel_has_no_gradient_and_extreme_logits_are_finite(name: str) -> None:
    logits = torch.tensor([[[[60.0, -3.0]], [[-60.0, 2.0]], [[0.0, 1.0]]]], requires_grad=True)
    loss = loss_of(name)(logits, torch.tensor([[[1, 2]]]), torch.tensor([[[1.0, 0.0]]]))
    loss.backward()  # type: ignore[no-untyped-call]
    assert math.isfinite(loss.item())
    assert logits.grad is not None
    assert torch.isfinite(logits.grad).all()
    assert (logits.grad[..., 1] == 0).all()
