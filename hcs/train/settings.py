"""Settings of a training run."""

from __future__ import annotations

import hashlib
import json
from dataclasses import asdict, dataclass, replace
from typing import Any, Literal, get_args, get_type_hints

from hcs.errors import ConfigError
from hcs.segment.recipe import check_kinds


@dataclass(frozen=True, slots=True, kw_only=True)
class TrainSettings:
    """One training run; with the same settings, images and machine it gives the same weights."""

    network: Literal["add", "concat"] = "add"
    """U-Net whose skips are added (`hcs.segment.ours.unet`) or concatenated as published
    (`hcs.segment.baselines.concat`)."""
    widths: tuple[int, ...] = (16, 32, 64, 128, 256)
    """Channels of the U-Net at each resolution."""
    classes: Literal[2, 3] = 3
    """3: background, interior, boundary; 2: background, nucleus, parted by a distance watershed."""
    objects: Literal["nuclei", "cells"] = "nuclei"
    """What the labels are: a model of whole cells is for ``cells.model`` of a run, and refused as one of nuclei."""
    kinds: tuple[str, ...] = ()
    """Names of two kinds of nuclei or more, each of which gets an interior class of its own; ``kinds.csv`` beside the
    images says which nucleus is of which kind (`hcs.train.kinds`). Empty: one interior class for all."""
    kind_weight: float = 1.0
    """Loss weight of telling the kinds apart, beside finding nuclei."""
    kind_balance: float = 0.5
    """How far rare kinds are weighed up in that: a kind's pixels count by (pixels of the commonest kind / its own) to
    this power, thirtyfold at most; 0: not at all. Crops lie at nuclei of each kind equally often, besides."""
    batch_norm: bool = True
    """Batch norm of a ``concat`` network; ``add`` always has it."""
    dropout: float = 0.0
    """Fraction of activations dropped inside every block of a ``concat`` network."""
    padding: Literal["zeros", "replicate"] = "replicate"
    """What convolutions of a ``concat`` network see beyond the border; ``add`` sees the edge repeated."""
    upsampling: Literal["transposed", "nearest"] = "transposed"
    """How a ``concat`` network doubles the resolution."""
    normalise: Literal["tiles", "asinh", "median", "min-max"] = "tiles"
    """How intensities become the network's input; see `hcs.segment.preprocess`."""
    histogram_of: str = ""
    """Name of the training image to whose histogram every image's is matched; empty: to none."""
    median_px: int = 0
    """Side of a median filter on the normalised image: 3 or 5; 0: none."""
    steps: int = 3600
    """Optimiser steps."""
    batch: int = 8
    """Crops a step."""
    crop_px: int = 224
    """Side of a crop; a multiple of the network's stride."""
    optimiser: Literal["adamw", "adam", "rmsprop"] = "adamw"
    """AdamW decouples weight decay; Adam and RMSprop add it to the gradient."""
    learning_rate: float = 2e-3
    """Peak rate; linear warm-up, then the schedule."""
    schedule: Literal["cosine", "constant"] = "cosine"
    """After the warm-up: a cosine to zero at the last step, or the peak rate throughout."""
    warmup_steps: int = 200
    """Steps of the warm-up."""
    weight_decay: float = 1e-4
    """Weight decay."""
    averaging: float = 0.998
    """Decay of the running average of weights that is evaluated and shipped."""
    loss: Literal["cross_entropy", "bce", "dice", "cross_entropy+dice", "bce+dice"] = "cross_entropy"
    """What is minimised; see `hcs.train.losses`."""
    boundary: Literal["inner", "centred"] = "inner"
    """Whether the boundary class is a nucleus' own outermost pixels, or a band on both sides of its outline (Caicedo et
    al. 2019)."""
    boundary_px: int = 2
    """Width of the boundary class; odd where it is centred."""
    weights: Literal["edge", "distance", "none"] = "edge"
    """Loss weights: ``edge_weight`` and ``touch_weight``; Ronneberger's (MICCAI 2015), by the distances from the two
    nearest nuclei; or none."""
    edge_weight: float = 4.0
    """Loss weight of pixels within 3 px of an outline, on both sides."""
    touch_weight: float = 10.0
    """Loss weight of boundary pixels between nuclei that touch or nearly do (Caicedo et al. 2019)."""
    balance_px: int = 0
    """Nuclei of fewer pixels weigh more in the loss, by the square root of what they lack; 0: by their area alone. With
    ``weights: edge``."""
    diameter_px: float = 24.0
    """Size of nuclei at the network: every image is magnified to bring its median nucleus there; 0: as they are."""
    magnified: Literal["working", "nearest"] = "working"
    """``working``: as a plate of such nuclei will be, where those from half that size on stay as they are
    (`hcs.segment.scale`); ``nearest``: always as near to that size as magnifications go."""
    scale: tuple[float, float] = (0.7, 1.5)
    """Range of random magnification, on top."""
    wide_scale: tuple[float, float] = (0.4, 2.2)
    """Range of one crop in five, so that nuclei unlike the plate's typical one are found as well."""
    as_taken: float = 0.0
    """Fraction of crops that are only turned by quarter turns and mirrored: pixels as the network sees them of a plate,
    neither bent nor altered."""
    start_from: str = ""
    """Weights to start from: name of a shipped model or path of a .safetensors file, of a wider ``add`` network the
    strongest channels; empty: random weights."""
    kept: float = 0.0
    """Share of the weights at the start in those that are evaluated and shipped: between the two, a network keeps what
    it knew of usual images and still knows the new ones (Wortsman et al., CVPR 2022)."""
    empty_fraction: float = 0.03
    """Fraction of crops that are synthetic fields without nuclei (noise, haze, specks)."""
    seed: int = 0
    """Seed of weights, crops and augmentation."""
    gradient: float = 0.0
    """Fraction of crops under a linear gradient of illumination of up to ``gradient_ratio`` across."""
    gradient_ratio: float = 2.0
    """Brightest over darkest end of that gradient, at most."""
    camera: float = 0.0
    """Fraction of crops taken again by a simulated camera: Poisson and read noise, then 8, 12 or 16 bits."""
    contaminated: float = 0.0
    """Fraction of crops with pasted dead cells, halos and debris, many times as bright as the nuclei; see
    `hcs.train.contaminate`."""
    translocated: float = 0.0
    """Fraction of crops whose nuclei are made darker or brighter than the cytoplasm around them, as a translocating
    sensor is; see `hcs.train.translocate`."""
    gapped: float = 0.0
    """Fraction of crops with holes of a nucleus' size between cells, which are background."""
    faint_weight: float = 1.0
    """Loss weight, on top, of nuclei that are as bright as their surroundings and of what lies within 3 px of them; it
    falls to 1 where the two differ twofold."""
    stained: float = 0.0
    """Fraction of crops where the cytoplasm of some nuclei shows, dimmer than they are."""
    textured: float = 0.0
    """Fraction of crops whose nuclei are mottled."""
    dimmed: float = 0.0
    """Fraction of crops where some nuclei have a part of their light alone; see `hcs.train.crowd`."""
    crowded: float = 0.0
    """Fraction of crops with nuclei once more beside and on others."""
    rescaled: float = 0.0
    """Standard deviation of the logarithm of every crop's brightness before compression: a field's scale is an
    estimate; 0: as estimated."""
    evaluate_every: int = 600
    """Steps between evaluations of the averaged weights on the validation images."""
    patience: int = 0
    """Evaluations without a better F1 on the validation images after which training stops early; 0: never."""
    checkpoint_every: int = 100
    """Steps between checkpoints; a killed run goes on from the last."""
    threads: int = 2
    """CPU threads."""
    loaders: int = 1
    """Threads that prepare crops; a batch is the same whoever prepares it."""
    bfloat16: bool = False
    """Convolutions in bfloat16: on a CUDA device, and on a CPU with AMX, where a step takes a quarter to two thirds of
    the time; CPUs without may take longer."""
    compile: bool = False
    """Compile the network (torch.compile) on a CUDA device; it pays in long runs only."""

    def __post_init__(self) -> None:
        if not self.widths or min(self.widths) < 1:
            raise ConfigError(f"widths = {list(self.widths)}: give the channels of each resolution, each 1 or more")
        stride = 2 ** (len(self.widths) - 1)
        if self.crop_px % stride:
            raise ConfigError(f"crop_px = {self.crop_px}: it must be a multiple of the network's stride, {stride}")
        if self.steps <= self.warmup_steps:
            raise ConfigError(f"steps = {self.steps}: it must exceed warmup_steps, {self.warmup_steps}")
        self._check_ranges()
        if self.kept and not self.start_from:
            raise ConfigError(f"kept = {self.kept}: give start_from, for there are no weights to keep")
        if self.boundary == "centred" and self.boundary_px % 2 == 0:
            raise ConfigError(f"boundary_px = {self.boundary_px}: a centred boundary needs an odd width")
        if self.kinds:
            check_kinds(self.kinds, "kinds")
            self._check_kinds_fit()

    def _check_ranges(self) -> None:
        for name, hint in get_type_hints(type(self)).items():
            choices = get_args(hint)
            if choices and Ellipsis not in choices and float not in choices and getattr(self, name) not in choices:
                raise ConfigError(
                    f"{name} = {getattr(self, name)!r}: one of {', '.join(str(c) for c in choices)} is needed"
                )
        for name, least in _LEAST.items():
            if not getattr(self, name) >= least:
                raise ConfigError(f"{name} = {getattr(self, name)}: it must be at least {least}")
        for name in _FRACTIONS:
            if not 0.0 <= getattr(self, name) <= 1.0:
                raise ConfigError(f"{name} = {getattr(self, name)}: a fraction from 0 to 1 is needed")
        for name in _RANGES:
            low, high = getattr(self, name)
            if not 0.0 < low <= high:
                raise ConfigError(f"{name} = [{low}, {high}]: give two magnifications above 0, the smaller one first")
        if not 0.0 <= self.learning_rate < float("inf"):
            raise ConfigError(f"learning_rate = {self.learning_rate}: a finite number from 0 on is needed")
        if not 0.0 <= self.averaging < 1.0:
            raise ConfigError(f"averaging = {self.averaging}: a decay from 0 to below 1 is needed")

    def _check_kinds_fit(self) -> None:
        for name, needed in (("classes", 3), ("loss", "cross_entropy"), ("boundary", "inner")):
            if getattr(self, name) != needed:
                raise ConfigError(f"{name} = {getattr(self, name)!r}: kinds of nuclei need {name}: {needed}")

    def shortened(self, steps: int) -> TrainSettings:
        """These settings for fewer steps: warm-up and evaluations keep their share, nothing is stopped early."""
        share = steps / self.steps
        return replace(
            self,
            steps=steps,
            warmup_steps=min(round(self.warmup_steps * share), steps - 1),
            evaluate_every=max(round(self.evaluate_every * share), 1),
            patience=0,
        )

    def plain(self) -> dict[str, Any]:
        """All settings as a checkpoint and a model card hold them."""
        return {k: list(v) if isinstance(v, tuple) else v for k, v in asdict(self).items()}

    def digest(self) -> str:
        """SHA-256 of all settings: runs of the same digest, data and machine give the same weights."""
        return hashlib.sha256(json.dumps(self.plain(), sort_keys=True).encode()).hexdigest()


_LEAST = {
    **dict.fromkeys(("steps", "batch", "crop_px", "evaluate_every", "checkpoint_every", "threads", "loaders"), 1),
    **dict.fromkeys(("boundary_px", "gradient_ratio"), 1),
    **dict.fromkeys(("patience", "balance_px", "rescaled", "kind_weight", "warmup_steps"), 0),
    **dict.fromkeys(("weight_decay", "edge_weight", "touch_weight", "faint_weight", "diameter_px", "seed"), 0),
}
_RANGES = ("scale", "wide_scale")
_FRACTIONS = (
    "kind_balance",
    "dropout",
    "kept",
    "gradient",
    "camera",
    "contaminated",
    "textured",
    "translocated",
    "empty_fraction",
    "gapped",
    "stained",
    "dimmed",
    "crowded",
    "as_taken",
)
