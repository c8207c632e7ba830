"""Training of networks that are shown other frames' masks, on nuclei that vanish; it goes on from its checkpoint.

Bosboom 2024 trains on single pictures with an estimate of the previous mask; ``unroll`` trains on what the network
itself said of the frames before, by which errors that add up are punished.
"""

from __future__ import annotations

import math
import time
from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from hcs.errors import ConfigError
from hcs.segment.baselines.tracknet import MaskNet, MaskSpec
from hcs.segment.normalise import COMPRESSION
from hcs.simulate.vanishing import (
    DICE_OF_ESTIMATE,
    Fading,
    Image,
    Mask,
    VanishingSettings,
    affine,
    estimated_mask,
    moved_frame,
    reference_map,
)
from hcs.train.losses import loss_of

Floats = NDArray[np.float32]
Numbers = NDArray[np.int32]
_MARGIN = 1.5
_NUCLEUS_WEIGHT = 2.0
_MISSING = 0.15
"""Share of the samples in which a carried mask is missing."""
_CARRIED_DICE = (0.75, 1.0)
_CHECKPOINT_S = 30.0


@dataclass(frozen=True, slots=True, kw_only=True)
class VanishingTraining:
    """One training; impossible values raise ConfigError."""

    spec: MaskSpec
    loss: str = "bce"
    """bce (nuclei count twice), dice, or bce+dice."""
    unroll: int = 0
    """Frames in a row that the network goes through on its own masks; 0: single pictures, as published."""
    steps: int = 1000
    batch: int = 16
    crop_px: int = 64
    diameter_px: float = 24.0
    learning_rate: float = 2e-3
    seed: int = 0

    def __post_init__(self) -> None:
        if self.loss not in ("bce", "dice", "bce+dice"):
            raise ConfigError(f"loss {self.loss!r} is none of bce, dice, bce+dice")
        if self.crop_px % self.spec.stride_px:
            raise ConfigError(f"crop_px = {self.crop_px} is no multiple of the network's stride, {self.spec.stride_px}")
        if self.unroll and self.spec.shown not in ("previous", "reference"):
            raise ConfigError(
                f"unroll = {self.unroll}: a network that is shown {self.spec.shown!r} has nothing to unroll"
            )

    def plain(self) -> dict[str, Any]:
        """As plain data, for the checkpoint."""
        return asdict(self)


def compressed(linear: NDArray[np.floating]) -> Floats:
    """Intensities with background 0 and nuclei about 0.5 → the network's input, as `hcs.segment.normalise` has it."""
    found: Floats = np.arcsinh(np.float32(COMPRESSION) * np.asarray(linear, np.float32)).astype(np.float32)
    return found / np.float32(np.arcsinh(COMPRESSION))


def train_vanishing(
    sources: Sequence[Fading],
    settings: VanishingTraining,
    *,
    folder: Path,
    seconds: float = float("inf"),
    say: Callable[[str], None] = print,
) -> tuple[MaskNet, int]:
    """The network, in evaluation mode, and the steps it had after at most ``seconds`` more of them in ``folder``.

    ``sources`` are pictures at ``diameter_px`` in linear units. ConfigError where the folder's checkpoint is of other
    settings. What a step sees depends on its number alone.
    """
    folder.mkdir(parents=True, exist_ok=True)
    torch.manual_seed(settings.seed)
    network = MaskNet(settings.spec)
    optimiser = torch.optim.AdamW(network.parameters(), lr=settings.learning_rate, weight_decay=1e-4)
    path, step = folder / "checkpoint.pt", 0
    if path.exists():
        saved = torch.load(path, weights_only=True)
        if saved["settings"] != settings.plain():
            raise ConfigError(f"{path} is of a training with other settings; give another folder or delete it")
        network.load_state_dict(saved["network"])
        optimiser.load_state_dict(saved["optimiser"])
        step = saved["step"]
    began = kept = time.monotonic()
    losses: list[float] = []
    network.train()
    while step < settings.steps and time.monotonic() - began < seconds:
        for group in optimiser.param_groups:
            done = step / settings.steps
            group["lr"] = settings.learning_rate * min(1.0, (step + 1) / 50) * 0.5 * (1 + math.cos(math.pi * done))
        loss = _loss(network, sources, settings, step)
        optimiser.zero_grad(set_to_none=True)
        loss.backward()  # type: ignore[no-untyped-call]
        torch.nn.utils.clip_grad_norm_(network.parameters(), 1.0)
        optimiser.step()
        losses.append(float(loss.item()))
        step += 1
        now = time.monotonic()
        if now - kept > _CHECKPOINT_S or step == settings.steps:
            _save(path, settings, network, optimiser, step)
            say(f"{folder.name}: step {step}/{settings.steps}, loss {np.mean(losses):.4f}, {now - began:.0f} s")
            kept = now
            losses.clear()
    _save(path, settings, network, optimiser, step)
    return network.eval(), step


def _save(
    path: Path, settings: VanishingTraining, network: MaskNet, optimiser: torch.optim.Optimizer, step: int
) -> None:
    state = {"network": network.state_dict(), "optimiser": optimiser.state_dict(), "step": step}
    torch.save(state | {"settings": settings.plain()}, path.with_suffix(".part"))
    path.with_suffix(".part").replace(path)


def _loss(network: MaskNet, sources: Sequence[Fading], settings: VanishingTraining, step: int) -> Tensor:
    """The loss of one step, over the unrolled frames where there are any."""
    samples = [
        draw_sample(np.random.default_rng([settings.seed, step, i]), sources, settings) for i in range(settings.batch)
    ]
    planes, truth = (torch.from_numpy(np.stack(parts)) for parts in zip(*samples, strict=True))
    measure = loss_of(settings.loss)
    total = torch.zeros(())
    previous = planes[:, 0, 1:2] if planes.shape[2] > 1 else None
    for frame in range(planes.shape[1]):
        seen = planes[:, frame]
        if settings.unroll and previous is not None:
            seen = torch.cat((seen[:, :1], previous, seen[:, 2:]), dim=1)
        logits = network(seen)
        classes = truth[:, frame].long()
        total = total + measure(logits, classes, 1.0 + (_NUCLEUS_WEIGHT - 1.0) * classes.float())
        if settings.unroll:
            previous = torch.softmax(logits, dim=1)[:, 1:2]
    return total / planes.shape[1]


def draw_sample(
    rng: np.random.Generator, sources: Sequence[Fading], settings: VanishingTraining
) -> tuple[Floats, NDArray[np.uint8]]:
    """One sample: what is shown (frames, planes, y, x), and where nuclei are (frames, y, x)."""
    fading = random_crop(rng, sources, round(settings.crop_px * _MARGIN))
    frames, gain = max(settings.unroll, 1), float(np.exp(0.2 * rng.standard_normal()))
    gone, fade = float(rng.beta(0.7, 0.7)), float(rng.uniform(-0.1, 0.1))
    start = _random_map(rng, fading.image.shape[0])
    # From frame to frame a nucleus turns and is stretched by little.
    spin, stretch, shear = rng.uniform(-1, 1, 3) * (0.06, 0.02, 0.02)
    planes, truth, first = [], [], None
    for frame in range(frames):
        wander = 0.6 * rng.standard_normal(2)
        step = affine(
            spin_rad=frame * spin,
            stretch=frame * stretch,
            shear=frame * shear,
            shift=(float(wander[0]), float(wander[1])),
            side_px=fading.image.shape[0],
        )
        level = float(np.clip(gone + frame * fade, 0.0, 1.05))
        shown = moved_frame(rng, fading, _after(start, step), level)
        mask = shown.labels > 0
        first = mask if first is None else first
        stack = [compressed(gain * shown.image), *_others(rng, fading, start, mask, gain=gain, settings=settings)]
        planes.append(np.stack([_middle(plane, settings.crop_px) for plane in stack]))
        truth.append(_middle(mask, settings.crop_px).astype(np.uint8))
    return np.stack(planes), np.stack(truth)


def _others(
    rng: np.random.Generator,
    fading: Fading,
    start: Image,
    mask: Mask,
    *,
    gain: float,
    settings: VanishingTraining,
) -> list[Floats]:
    """The planes beside the picture."""
    shown, diameter = settings.spec.shown, settings.diameter_px
    if shown == "image":
        return []
    if shown == "both":
        return [_carried(rng, mask, diameter) for _ in range(2)]
    previous = estimated_mask(rng, mask, diameter_px=diameter, dice=DICE_OF_ESTIMATE)
    if shown == "previous":
        return [previous.astype(np.float32)]
    there = _after(start, reference_map(rng, mask, diameter_px=diameter))
    reference = moved_frame(rng, fading, there, 0.0)
    return [
        previous.astype(np.float32),
        compressed(gain * reference.image),
        (reference.labels > 0).astype(np.float32),
    ]


def _carried(rng: np.random.Generator, mask: Mask, diameter_px: float) -> Floats:
    """A mask as it may be carried from another frame: more or less wrong, or missing."""
    if rng.random() < _MISSING:
        return np.zeros(mask.shape, np.float32)
    dice = float(rng.uniform(*_CARRIED_DICE))
    return estimated_mask(rng, mask, diameter_px=diameter_px, dice=dice).astype(np.float32)


def random_crop(rng: np.random.Generator, sources: Sequence[Fading], side_px: int) -> Fading:
    """A square part of a picture around one of its nuclei; the picture is mirrored beyond its border."""
    source = sources[int(rng.integers(len(sources)))]
    rows, columns = np.nonzero(source.labels)
    pick = int(rng.integers(len(rows)))
    place = (int(rows[pick]), int(columns[pick]))
    return cut(source, place, side_px)


def cut(source: Fading, place: tuple[int, int], side_px: int) -> Fading:
    """A square part of a picture around ``place`` (y, x); the picture is mirrored beyond its border."""
    half = side_px // 2
    window = tuple(
        np.pad(np.arange(size), half, mode="reflect")[at : at + side_px]
        for size, at in zip(source.image.shape, place, strict=True)
    )
    grid = np.ix_(*window)
    return Fading(source.image[grid], source.excess[grid], source.labels[grid], source.noise)


def _random_map(rng: np.random.Generator, side_px: int) -> Image:
    """Any turn, a little stretch and shear, a mirror or none, for variety."""
    spin = float(rng.uniform(0, 2 * np.pi))
    stretch, shear = (float(v) for v in 0.15 * rng.standard_normal(2))
    found = affine(spin_rad=spin, stretch=stretch, shear=shear, shift=(0.0, 0.0), side_px=side_px)
    if rng.random() < 0.5:
        mirror = np.array([[-1, 0, side_px - 1], [0, 1, 0]], np.float32)
        found = _after(found, mirror)
    return found


def _after(first: Image, second: Image) -> Image:
    """The map (2, 3) that does ``first``, then ``second``."""
    whole = np.vstack([second, [0, 0, 1]]) @ np.vstack([first, [0, 0, 1]])
    return np.asarray(whole[:2], np.float32)


def _middle(plane: NDArray[Any], side_px: int) -> NDArray[Any]:
    start = (plane.shape[0] - side_px) // 2
    return plane[start : start + side_px, start : start + side_px]


def follow(network: MaskNet, frames: Sequence[Floats], first: Mask) -> list[Floats]:
    """Probabilities of nuclei (Y, X) of frames (Y, X) in turn, each shown the one before; ``first`` is the first
    frame's mask, and with the first frame the reference. A network that is shown the image alone needs neither."""
    found: list[Floats] = []
    previous, shown = first.astype(np.float32), network.spec.shown
    for image in frames:
        others = {
            "image": (),
            "previous": (previous,),
            "reference": (previous, frames[0], first.astype(np.float32)),
        }[shown]
        probability = nucleus_probability(network, (image, *others))
        found.append(probability)
        previous = (probability > 0.5).astype(np.float32)
    return found


@torch.no_grad()
def nucleus_probability(network: MaskNet, planes: Sequence[Floats]) -> Floats:
    """Probability of the nucleus class (Y, X) from planes (Y, X) of any size."""
    stride = network.spec.stride_px
    height, width = planes[0].shape
    pad = (-height % stride, -width % stride)
    stack = np.pad(np.stack(planes), ((0, 0), (0, pad[0]), (0, pad[1])), mode="edge")
    logits = network(torch.from_numpy(stack[None].astype(np.float32)))
    found: Floats = torch.softmax(logits, dim=1)[0, 1:].sum(dim=0).numpy()[:height, :width]
    return found


def magnified(image: NDArray[Any], labels: NDArray[np.integer], scale: float) -> tuple[Image, NDArray[np.int32]]:
    """A picture and its labels at another scale."""
    size = (max(round(image.shape[1] * scale), 1), max(round(image.shape[0] * scale), 1))
    how = cv2.INTER_AREA if scale < 1 else cv2.INTER_LINEAR
    picture = cv2.resize(np.asarray(image, np.float32), size, interpolation=how)
    numbers = cv2.resize(labels.astype(np.float32), size, interpolation=cv2.INTER_NEAREST)
    return np.asarray(picture, np.float32), numbers.astype(np.int32)


__all__ = ["VanishingSettings", "VanishingTraining", "follow", "train_vanishing"]
