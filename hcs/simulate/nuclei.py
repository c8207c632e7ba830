"""Nuclei on a canvas: irregular outlines, chromatin, nucleoli; they touch but do not overlap."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

import cv2
import numpy as np
from numpy.typing import NDArray

from hcs.simulate.population import Population

Image = NDArray[np.float32]

_ATTEMPTS: Final = 30
"""Places tried for one nucleus before it is left out; only crowded fields come near it."""
_SQUEEZE: Final = 0.06
"""Largest share of a nucleus that a neighbour may flatten away where they touch."""
_CHROMATIN: Final = 0.13
"""Standard deviation of the logarithm of chromatin density."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Outline:
    """One nucleus on its own small grid."""

    mask: NDArray[np.bool_]
    depth: Image
    """0 at the outline, 1 at the centre."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Canvas:
    """All nuclei of a field, before the optics."""

    labels: NDArray[np.int32]
    """0 outside, else 1 + the cell's place in the population."""
    dna: Image
    """Counts above background."""
    nucleoplasm: Image
    """Relative sensor density in nuclei, mean 1 over each nucleus; 0 outside."""

    @classmethod
    def blank(cls, side_px: int) -> Canvas:
        """A square canvas without nuclei."""
        shape = (side_px, side_px)
        return cls(
            labels=np.zeros(shape, np.int32),
            dna=np.zeros(shape, np.float32),
            nucleoplasm=np.zeros(shape, np.float32),
        )


def correlated_noise(rng: np.random.Generator, side_px: int, sigma_px: float) -> Image:
    """Gaussian noise (Y, X) of mean 0 and standard deviation 1, correlated over `sigma_px`.

    Long correlations are drawn on a coarser grid and interpolated, which costs a fraction of the time.
    """
    step = max(1, int(sigma_px / 2.5))
    coarse = -(-side_px // step) + 1
    sigma = sigma_px / step
    white = rng.standard_normal((coarse, coarse), dtype=np.float32)
    # white noise of variance 1 has variance 1 / (4 pi sigma^2) after a Gaussian
    noise = cv2.GaussianBlur(white, (0, 0), sigma) * np.float32(2 * np.sqrt(np.pi) * sigma)
    if step == 1:
        return np.asarray(noise[:side_px, :side_px], np.float32)
    fine = cv2.resize(noise, (coarse * step, coarse * step), interpolation=cv2.INTER_CUBIC)
    return np.asarray(fine[:side_px, :side_px], np.float32)


def draw_outline(rng: np.random.Generator, *, area_px: float, aspect: float) -> Outline:
    """An ellipse at a random angle whose radius is modulated by harmonics 2 to 5 of falling amplitude."""
    offset_px = rng.uniform(-0.5, 0.5, 2).astype(np.float32)
    angle = rng.uniform(0, np.pi)
    return outline(area_px=area_px, aspect=aspect, offset_px=offset_px, angle=angle, waves=draw_waves(rng))


def draw_waves(rng: np.random.Generator) -> NDArray[np.complex64]:
    """Harmonics 2 to 5 (4,) of an outline, of falling amplitude."""
    order = np.arange(2, 6)
    waves = rng.normal(0, 0.055, 4) / (order - 1) * np.exp(2j * np.pi * rng.random(4))
    return np.asarray(waves, np.complex64)


def outline(
    *,
    area_px: float,
    aspect: float,
    offset_px: NDArray[np.float32],
    angle: float,
    waves: NDArray[np.complex64],
) -> Outline:
    """An ellipse turned by ``angle`` whose radius is modulated by the harmonics ``waves``, its centre ``offset_px``
    (y, x) from that of its grid."""
    long_px, short_px = np.sqrt(area_px * aspect / np.pi), np.sqrt(area_px / aspect / np.pi)
    half = int(np.ceil(long_px * 1.18)) + 1
    axis = np.arange(-half, half + 1, dtype=np.float32)
    dy, dx = offset_px
    plane = (axis[None, :] - dx) + 1j * (axis[:, None] - dy)
    plane = plane * np.exp(-1j * angle).astype(np.complex64)
    z = plane.real / np.float32(long_px) + 1j * (plane.imag / np.float32(short_px))
    radius = np.abs(z)
    unit = z / np.maximum(radius, np.float32(1e-6))
    power, wobble = unit, np.ones(radius.shape, np.float32)
    for wave in waves:
        power = power * unit
        wobble += (wave * power).real
    scaled = radius / np.clip(wobble, 0.85, 1.16)
    return Outline(mask=scaled <= 1, depth=np.sqrt(np.clip(1 - scaled**2, 0, 1)))


def place_nuclei(
    rng: np.random.Generator, population: Population, *, side_px: int, diameter_px: float, clustering: float
) -> Canvas:
    """Put nuclei on a square canvas; one that finds no room is left out, so its label is missing.

    A share `clustering` of them settles against one already there: the two touch, and the later one is
    flattened where they would overlap, so that no pixel belongs to two.
    """
    canvas = Canvas.blank(side_px)
    chromatin = correlated_noise(rng, side_px, max(0.6, diameter_px * 0.055))
    placed: list[tuple[int, int, float]] = []
    for cell in range(len(population)):
        area = float(population.area_px[cell])
        outline = draw_outline(rng, area_px=area, aspect=float(population.aspect[cell]))
        clustered = bool(placed) and rng.random() < clustering
        spot = _find_spot(rng, canvas.labels, outline.mask, placed if clustered else [], np.sqrt(area / np.pi))
        if spot is None:
            continue
        y, x, free = spot
        placed.append((y, x, float(np.sqrt(area / np.pi))))
        window = _window(y, x, free.shape[0])
        dna, sensor = _texture(rng, chromatin[window], outline, condensed=bool(population.condensed[cell]))
        canvas.labels[window][free] = cell + 1
        canvas.dna[window][free] = dna[free] * np.float32(population.dna_total[cell] / dna[free].sum())
        canvas.nucleoplasm[window][free] = sensor[free] / sensor[free].mean()
    return canvas


def _find_spot(
    rng: np.random.Generator,
    labels: NDArray[np.int32],
    mask: NDArray[np.bool_],
    neighbours: list[tuple[int, int, float]],
    radius_px: float,
) -> tuple[int, int, NDArray[np.bool_]] | None:
    """Centre and free part of a nucleus: against one of `neighbours` if any, else anywhere it fits."""
    half = mask.shape[0] // 2
    low, high = half, labels.shape[0] - half - 1
    if high < low:
        return None
    squeeze = _SQUEEZE * mask.sum()
    for _ in range(_ATTEMPTS):
        if neighbours:
            y0, x0, other_px = neighbours[rng.integers(len(neighbours))]
            angle, reach = rng.uniform(0, 2 * np.pi), (radius_px + other_px) * rng.uniform(0.92, 1.1)
            y, x = round(y0 + reach * np.sin(angle)), round(x0 + reach * np.cos(angle))
            if not (low <= y <= high and low <= x <= high):
                continue
        else:
            y, x = (int(value) for value in rng.integers(low, high + 1, 2))
        taken = mask & (labels[_window(y, x, mask.shape[0])] > 0)
        overlap = int(taken.sum())
        if overlap == 0:
            return y, x, mask
        if overlap <= squeeze:
            free = mask & ~taken
            if _whole(free):
                return y, x, free
    return None


def draw_at(
    rng: np.random.Generator,
    canvas: Canvas,
    chromatin: Image,
    shape: Outline,
    *,
    at_px: tuple[int, int],
    number: int,
    dna_total: float,
    condensed: bool,
) -> None:
    """Draw one nucleus with its grid's centre ``at_px`` (y, x), as far as others leave it room; nothing where that is
    less than half of it, or beyond the canvas."""
    half, side = shape.mask.shape[0] // 2, canvas.labels.shape[0]
    if not all(half <= place < side - half for place in at_px):
        return
    window = _window(*at_px, shape.mask.shape[0])
    free = _largest(shape.mask & (canvas.labels[window] == 0))
    if 2 * int(free.sum()) < int(shape.mask.sum()):
        return
    dna, sensor = _texture(rng, chromatin[window], shape, condensed=condensed)
    canvas.labels[window][free] = number
    canvas.dna[window][free] = dna[free] * np.float32(dna_total / dna[free].sum())
    canvas.nucleoplasm[window][free] = sensor[free] / sensor[free].mean()


def _largest(mask: NDArray[np.bool_]) -> NDArray[np.bool_]:
    """The largest 4-connected piece of a mask."""
    count, labels, statistics, _ = cv2.connectedComponentsWithStats(mask.view(np.uint8), connectivity=4)
    if count <= 2:
        return mask
    return np.asarray(labels == 1 + int(np.argmax(statistics[1:, cv2.CC_STAT_AREA])))


def _window(y: int, x: int, side: int) -> tuple[slice, slice]:
    half = side // 2
    return slice(y - half, y - half + side), slice(x - half, x - half + side)


def _whole(mask: NDArray[np.bool_]) -> bool:
    """Whether a mask is one 4-connected piece."""
    return int(cv2.connectedComponents(mask.view(np.uint8), connectivity=4)[0]) == 2


def _texture(rng: np.random.Generator, chromatin: Image, outline: Outline, *, condensed: bool) -> tuple[Image, Image]:
    """Relative density of DNA and of nuclear sensor on the outline's grid; nucleoli hold little of either."""
    thickness = 0.72 + 0.28 * outline.depth
    amplitude = _CHROMATIN * rng.uniform(0.6, 1.4) * (0.5 if condensed else 1.0)
    dna = thickness * np.exp(np.float32(amplitude) * chromatin)
    sensor = 1 + np.float32(0.04) * chromatin
    if not condensed:
        holes = _nucleoli(rng, outline)
        dna, sensor = dna * (1 - holes), sensor * (1 - np.float32(0.5) * holes)
    return dna, sensor


def _nucleoli(rng: np.random.Generator, outline: Outline) -> Image:
    """One to three soft dark spots inside the nucleus, as the share of density missing, between 0 and 0.5."""
    half = outline.mask.shape[0] // 2
    axis = np.arange(-half, half + 1, dtype=np.float32)
    spots = int(rng.integers(1, 4))
    reach, depth = rng.uniform(0, 0.5, spots) * half, rng.uniform(0.15, 0.45, spots)
    angle, size = rng.uniform(0, 2 * np.pi, spots), rng.uniform(0.08, 0.15, spots) * half
    missing = np.zeros(outline.mask.shape, np.float32)
    for d, a, s, r in zip(depth, angle, size, reach, strict=True):
        rows = np.exp(-((axis - np.float32(r * np.sin(a))) ** 2) / np.float32(2 * s * s))
        columns = np.exp(-((axis - np.float32(r * np.cos(a))) ** 2) / np.float32(2 * s * s))
        np.maximum(missing, np.float32(d) * rows[:, None] * columns[None, :], out=missing)
    return missing
