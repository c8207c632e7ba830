"""Settings of a training run."""

from __future__ import annotations

from dataclasses import dataclass

from hcs.errors import ConfigError


@dataclass(frozen=True, slots=True, kw_only=True)
class TrainSettings:
    """One training run; with the same settings, images and machine it gives the same weights."""

    widths: tuple[int, ...] = (16, 32, 64, 128, 256)
    """Channels of the U-Net at each resolution."""
    steps: int = 3600
    """Optimiser steps."""
    batch: int = 8
    """Crops a step."""
    crop_px: int = 224
    """Side of a crop; a multiple of the network's stride."""
    learning_rate: float = 2e-3
    """Peak rate of AdamW; linear warm-up, then a cosine to zero."""
    warmup_steps: int = 200
    """Steps of the warm-up."""
    weight_decay: float = 1e-4
    """AdamW's decoupled weight decay."""
    averaging: float = 0.998
    """Decay of the running average of weights that is evaluated and shipped."""
    boundary_px: int = 2
    """Width of the boundary class: a nucleus' outermost pixels."""
    edge_weight: float = 4.0
    """Loss weight of pixels within 3 px of an outline, on both sides."""
    touch_weight: float = 10.0
    """Loss weight of boundary pixels between nuclei that touch or nearly do (Caicedo et al. 2019)."""
    diameter_px: float = 24.0
    """Size of nuclei at the network: every image is magnified to bring its median nucleus there; 0: as they are."""
    scale: tuple[float, float] = (0.7, 1.5)
    """Range of random magnification, on top."""
    wide_scale: tuple[float, float] = (0.4, 2.2)
    """Range of one crop in five, so that nuclei unlike the plate's typical one are found as well."""
    start_from: str = ""
    """Weights to start from: name of a shipped model or path of a .safetensors file; empty: random weights."""
    empty_fraction: float = 0.03
    """Fraction of crops that are synthetic fields without nuclei (noise, haze, specks)."""
    seed: int = 0
    """Seed of weights, crops and augmentation."""
    evaluate_every: int = 600
    """Steps between evaluations of the averaged weights on the validation images."""
    checkpoint_every: int = 100
    """Steps between checkpoints; a killed run goes on from the last."""
    threads: int = 2
    """CPU threads."""

    def __post_init__(self) -> None:
        stride = 2 ** (len(self.widths) - 1)
        if self.crop_px % stride:
            raise ConfigError(f"crop_px = {self.crop_px}: it must be a multiple of the network's stride, {stride}")
        if self.steps <= self.warmup_steps:
            raise ConfigError(f"steps = {self.steps}: it must exceed warmup_steps, {self.warmup_steps}")
