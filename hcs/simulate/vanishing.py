"""Nuclei that lose their contrast, as under LEXY light: estimates of a mask, and sequences made from a picture.

Bosboom 2024 trains and tests on such sequences. They are made here from any picture of a reporter and its labels: the
picture is turned, stretched and sheared a little more in every frame, and what the nuclei have more than the cytoplasm
around them is taken away and given back.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Final

import cv2
import numpy as np
from numpy.typing import NDArray
from scipy import ndimage

from hcs.errors import ConfigError
from hcs.simulate.cytoplasm import nearest_nucleus

Image = NDArray[np.float32]
Labels = NDArray[np.int32]
Mask = NDArray[np.bool_]

DICE_OF_ESTIMATE: Final = 0.80
"""How much of an estimate is right, Bosboom 2024."""
_RIM_PX: Final = 2
_RING_PX: Final = 8
_SOFT_PX: Final = 1.0
_LEAST_NOISE: Final = 0.02
_HALVINGS: Final = 12
_SPIN: Final = 0.8
_SHEAR: Final = 0.5
_STRETCH: Final = 0.5
_SHIFT: Final = 0.35


@dataclass(frozen=True, slots=True, kw_only=True)
class VanishingSettings:
    """How a sequence moves and fades; impossible values raise ConfigError."""

    frames: int = 30
    """Frames of a sequence."""
    spin_rad: float = 0.8
    """Most that the picture is turned by from the first frame to the last, either way."""
    stretch: float = 0.2
    """Most that it is stretched by, as a logarithm, one axis against the other."""
    shear: float = 0.2
    """Most that it is sheared by."""
    wander_px: float = 0.6
    """Standard deviation of the step from frame to frame."""
    depth: tuple[float, float] = (0.9, 1.05)
    """Share of the nuclei's excess over the cytoplasm that is gone in the darkest frame: from, to."""
    noise: float = 1.0
    """New noise of every frame, in multiples of the picture's own."""

    def __post_init__(self) -> None:
        low, high = self.depth
        rules = (
            ("frames", self.frames >= 3, "be 3 or more"),
            ("depth", 0 <= low <= high <= 2, "be two numbers from 0 to 2, the second no less than the first"),
            ("wander_px", self.wander_px >= 0, "be 0 or more"),
            ("noise", self.noise >= 0, "be 0 or more"),
        )
        for name, good, rule in rules:
            if not good:
                raise ConfigError(f"vanishing.{name} is {getattr(self, name)!r}; it must {rule}")


@dataclass(frozen=True, slots=True, eq=False)
class VanishingFrame:
    """One frame of a sequence."""

    image: Image
    """(Y, X)."""
    labels: Labels
    """(Y, X), each nucleus' number the same in all frames."""
    gone: float
    """Share of the nuclei's excess over the cytoplasm that is gone."""


def dice_of(a: Mask, b: Mask) -> float:
    """2 |a ∩ b| / (|a| + |b|); 1 where both are empty."""
    both = int(a.sum()) + int(b.sum())
    return 2.0 * int((a & b).sum()) / both if both else 1.0


def affine(*, spin_rad: float, stretch: float, shear: float, shift: tuple[float, float], side_px: int) -> Image:
    """(2, 3) matrix of OpenCV about the middle of a square picture: sheared, stretched, turned, then shifted (y, x)."""
    turn = np.array([[np.cos(spin_rad), -np.sin(spin_rad)], [np.sin(spin_rad), np.cos(spin_rad)]])
    both = turn @ np.diag([np.exp(stretch / 2), np.exp(-stretch / 2)]) @ np.array([[1.0, shear], [0.0, 1.0]])
    middle = np.full(2, (side_px - 1) / 2)
    offset = middle - both @ middle + np.array([shift[1], shift[0]])
    return np.concatenate([both, offset[:, None]], axis=1).astype(np.float32)


def moved_mask(mask: Mask, matrix: Image) -> Mask:
    """A mask (Y, X) under an affine map."""
    flat = cv2.warpAffine(mask.astype(np.uint8), matrix, mask.shape[::-1], flags=cv2.INTER_NEAREST)
    return np.asarray(flat) > 0


@dataclass(frozen=True, slots=True)
class Distortion:
    """A direction in which a mask is made wrong; ``at`` gives how far."""

    spin_rad: float
    stretch: float
    shear: float
    shift: tuple[float, float]
    """As a share of the nucleus' diameter, (y, x)."""

    @classmethod
    def draw(cls, rng: np.random.Generator) -> Distortion:
        """One at random."""
        spin, stretch, shear = rng.uniform(-1, 1, 3)
        angle = rng.uniform(0, 2 * np.pi)
        shift = (_SHIFT * float(np.sin(angle)), _SHIFT * float(np.cos(angle)))
        return cls(_SPIN * float(spin), _STRETCH * float(stretch), _SHEAR * float(shear), shift)

    def at(self, amount: float, *, diameter_px: float, side_px: int, further: float = 1.0) -> Image:
        """The map (2, 3) at an amount, 0 for none, shifted ``further`` than that alone would."""
        reach = amount * further * diameter_px
        return affine(
            spin_rad=amount * self.spin_rad,
            stretch=amount * self.stretch,
            shear=amount * self.shear,
            shift=(reach * self.shift[0], reach * self.shift[1]),
            side_px=side_px,
        )


def estimate_amount(mask: Mask, distortion: Distortion, *, diameter_px: float, dice: float) -> float:
    """How much of ``distortion`` leaves a mask (Y, X) with that Dice; found by halving, 1.5 at most."""
    low, high = 0.0, 1.5
    for _ in range(_HALVINGS):
        middle = (low + high) / 2
        moved = moved_mask(mask, distortion.at(middle, diameter_px=diameter_px, side_px=mask.shape[0]))
        low, high = (middle, high) if dice_of(mask, moved) > dice else (low, middle)
    return (low + high) / 2


def estimated_mask(rng: np.random.Generator, mask: Mask, *, diameter_px: float, dice: float = DICE_OF_ESTIMATE) -> Mask:
    """A mask (Y, X) sheared, stretched, turned and shifted until its Dice with the true one is ``dice``: what a
    previous frame's segmentation may look like. An empty mask stays empty."""
    if not mask.any():
        return mask.copy()
    distortion = Distortion.draw(rng)
    amount = estimate_amount(mask, distortion, diameter_px=diameter_px, dice=dice)
    return moved_mask(mask, distortion.at(amount, diameter_px=diameter_px, side_px=mask.shape[0]))


def reference_map(rng: np.random.Generator, mask: Mask, *, diameter_px: float, dice: float = DICE_OF_ESTIMATE) -> Image:
    """The map (2, 3) from a frame to its reference frame: an estimate's, shifted twice as far."""
    distortion = Distortion.draw(rng)
    amount = estimate_amount(mask, distortion, diameter_px=diameter_px, dice=dice) if mask.any() else 0.5
    return distortion.at(amount, diameter_px=diameter_px, side_px=mask.shape[0], further=2.0)


@dataclass(frozen=True, slots=True, eq=False)
class Fading:
    """A picture (Y, X) taken apart: what its nuclei have more than the cytoplasm around them (Y, X)."""

    image: Image
    excess: Image
    labels: Labels
    noise: float
    """Standard deviation of the picture's noise, at least 2 % of the nuclei's excess, as live cells are filmed with."""

    @classmethod
    def of(cls, image: NDArray[np.floating], labels: NDArray[np.integer]) -> Fading:
        """From a picture (Y, X) and its labels (Y, X). A nucleus whose ring is all nuclei has no excess."""
        pixels, numbers = np.asarray(image, np.float32), np.asarray(labels, np.int32)
        excess = excess_of(pixels, numbers)
        least = _LEAST_NOISE * float(np.median(excess[numbers > 0])) if (numbers > 0).any() else 0.0
        return cls(pixels, excess, numbers, max(noise_of(pixels), least))

    def at(self, gone: float) -> Image:
        """The picture (Y, X) when that share of the excess is gone; above 1 nuclei are darker than what is around."""
        return self.image - np.float32(gone) * self.excess


def excess_of(image: Image, labels: Labels) -> Image:
    """What nuclei and their blurred rims have more than the cytoplasm 3 to 8 px around them (Y, X).

    The finest grain is not part of it: where all the excess is gone, a nucleus is as bright as what is around it, with
    its own grain. A nucleus without cytoplasm of its own in that ring has no excess.
    """
    rim, ring_disc = (cv2.getStructuringElement(cv2.MORPH_ELLIPSE, (2 * px + 1,) * 2) for px in (_RIM_PX, _RING_PX))
    smooth = np.asarray(cv2.GaussianBlur(image, (0, 0), _SOFT_PX))
    excess, share = np.zeros(image.shape, np.float32), np.zeros(image.shape, np.float32)
    for number, box in enumerate(ndimage.find_objects(labels), start=1):
        if box is None:
            continue
        wide = tuple(slice(max(part.start - _RING_PX, 0), part.stop + _RING_PX) for part in box)
        own = labels[wide]
        inside = (own == number).astype(np.uint8)
        near = (np.asarray(cv2.dilate(inside, rim)) > 0) & ((own == 0) | (own == number))
        ring = (np.asarray(cv2.dilate(inside, ring_disc)) > 0) & (own == 0) & ~near
        if ring.any():
            level = float(smooth[wide][ring].mean())
            excess[wide][near] = np.maximum(smooth[wide][near] - level, excess[wide][near])
            share[wide][near] = 1.0
    return excess * np.asarray(cv2.GaussianBlur(share, (0, 0), _SOFT_PX))


def with_cytoplasm(
    rng: np.random.Generator, image: Image, labels: Labels, *, level: float, diameter_px: float
) -> Image:
    """A picture of stained nuclei (Y, X), with cytoplasm of that level around and under them, as a reporter shows."""
    if not (labels > 0).any():
        return image
    distance, owner = nearest_nucleus(labels)
    number = int(labels.max()) + 1
    reach = (diameter_px * 0.9 * np.exp(0.25 * rng.standard_normal(number))).astype(np.float32)[owner]
    levels = (level * np.exp(0.2 * rng.standard_normal(number))).astype(np.float32)[owner]
    rough = np.asarray(cv2.GaussianBlur(rng.standard_normal(image.shape).astype(np.float32), (0, 0), diameter_px / 8))
    cytoplasm = levels * np.sqrt(np.clip(1 - distance / reach, 0, 1)) * (1 + 0.12 * rough / rough.std())
    return image + np.asarray(cv2.GaussianBlur(cytoplasm, (0, 0), _SOFT_PX), dtype=np.float32)


def noise_of(image: Image) -> float:
    """Standard deviation of the noise of a picture (Y, X), from neighbours' differences (Immerkær 1996)."""
    kernel = np.array([[1, -2, 1], [-2, 4, -2], [1, -2, 1]], np.float32)
    return 1.4826 / 6.0 * float(np.median(np.abs(cv2.filter2D(image, cv2.CV_32F, kernel))))


def gone_over_time(frames: int, depth: float) -> NDArray[np.float64]:
    """Share (frames,) of the excess that is gone: none at first, ``depth`` in the middle, none at the end."""
    return np.asarray(depth * np.sin(np.pi * np.arange(frames) / (frames - 1)) ** 2)


def vanishing_frames(
    rng: np.random.Generator, fading: Fading, settings: VanishingSettings | None = None
) -> Iterator[VanishingFrame]:
    """The frames of one sequence of a square picture: it turns, stretches, shears and wanders, and its nuclei vanish
    and come back. What comes in at the border is the picture mirrored; it has labels too."""
    settings = settings or VanishingSettings()
    side = fading.image.shape[0]
    spin, stretch, shear = rng.uniform(-1, 1, 3) * (settings.spin_rad, settings.stretch, settings.shear)
    gone = gone_over_time(settings.frames, float(rng.uniform(*settings.depth)))
    place = np.zeros(2)
    for frame in range(settings.frames):
        done = frame / (settings.frames - 1)
        matrix = affine(
            spin_rad=done * float(spin),
            stretch=done * float(stretch),
            shear=done * float(shear),
            shift=(float(place[0]), float(place[1])),
            side_px=side,
        )
        place = place + settings.wander_px * rng.standard_normal(2)
        yield moved_frame(rng, fading, matrix, float(gone[frame]), noise=settings.noise)


def moved_frame(
    rng: np.random.Generator, fading: Fading, matrix: Image, gone: float, *, noise: float = 1.0
) -> VanishingFrame:
    """A picture under a map (2, 3), with that share of its nuclei's excess gone and new noise."""
    size = fading.image.shape[::-1]
    edge = cv2.BORDER_REFLECT_101
    image = cv2.warpAffine(fading.at(gone), matrix, size, flags=cv2.INTER_LINEAR, borderMode=edge)
    labels = cv2.warpAffine(
        fading.labels.astype(np.float32), matrix, size, flags=cv2.INTER_NEAREST, borderMode=edge
    ).astype(np.int32)
    speckle = noise * fading.noise * rng.standard_normal(image.shape)
    return VanishingFrame(np.asarray(image + speckle, np.float32), labels, gone)
