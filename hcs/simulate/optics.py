"""From fluorescence to pixels: debris, blur, illumination, photons, camera."""

from __future__ import annotations

import cv2
import numpy as np
from numpy.typing import NDArray

from hcs.simulate.nuclei import Canvas, Image
from hcs.simulate.settings import SimulationSettings


def illumination(rng: np.random.Generator, side_px: int, strength: float) -> Image:
    """Relative illumination (Y, X): a paraboloid, 1 near the middle, 1 - strength in the farthest corner."""
    axis = (np.arange(side_px, dtype=np.float32) + 0.5) / side_px - 0.5
    y, x = rng.uniform(-0.15, 0.15, 2).astype(np.float32)
    farthest = (0.5 + abs(y)) ** 2 + (0.5 + abs(x)) ** 2
    squared = (axis[:, None] - y) ** 2 + (axis[None, :] - x) ** 2
    return np.asarray(1 - np.float32(strength) * squared / farthest, np.float32)


def draw_debris(rng: np.random.Generator, labels: NDArray[np.int32], settings: SimulationSettings) -> Image:
    """Small bright specks (Y, X) in counts, never on or next to a nucleus; in width far smaller than one."""
    side = labels.shape[0]
    specks = np.zeros(labels.shape, np.float32)
    for _ in range(rng.poisson(settings.debris * labels.size / 1e6)):
        y, x = (int(value) for value in rng.integers(8, side - 8, 2))
        sigma = rng.uniform(0.8, 1.7, 2)
        height = settings.dna_counts * rng.uniform(0.6, 3.0)
        if not labels[y - 8 : y + 9, x - 8 : x + 9].any():
            _add_speck(specks, y, x, sigma=sigma, height=height)
    return specks


def draw_death(
    rng: np.random.Generator, canvas: Canvas, brightness: NDArray[np.float64], settings: SimulationSettings
) -> Image:
    """Light (Y, X) that bright dead cells add around themselves, in counts: a wide halo, and fragments.

    ``brightness`` (n_cells,) is 1 for cells that do not shine. Halos lie over whatever is near, as out-of-focus light
    does; fragments never lie on or next to a nucleus.
    """
    shining = np.append(1.0, brightness)[canvas.labels] > 1
    if not shining.any():
        return np.zeros(canvas.labels.shape, np.float32)
    light = blur(np.where(shining, canvas.dna, np.float32(0)), 0.5 * settings.nucleus_diameter_px)
    light *= np.float32(settings.dead_halo)
    side = canvas.labels.shape[0]
    for cell in np.unique(canvas.labels[shining]):
        rows, columns = np.nonzero(canvas.labels == cell)
        for _ in range(rng.poisson(settings.dead_fragments)):
            angle, reach = rng.uniform(0, 2 * np.pi), settings.nucleus_diameter_px * rng.uniform(0.6, 1.6)
            y, x = round(rows.mean() + reach * np.sin(angle)), round(columns.mean() + reach * np.cos(angle))
            sigma = rng.uniform(0.8, 2.0, 2)
            height = settings.dna_counts * brightness[cell - 1] * rng.uniform(0.1, 0.5)
            inside = min(y, x) >= 8 and max(y, x) < side - 8
            if inside and not canvas.labels[y - 6 : y + 7, x - 6 : x + 7].any():
                _add_speck(light, y, x, sigma=sigma, height=height)
    return light


def _add_speck(image: Image, y: int, x: int, *, sigma: NDArray[np.float64], height: float) -> None:
    axis = np.arange(-4, 5)
    shape = np.exp(-(axis[:, None] ** 2) / (2 * sigma[0] ** 2) - axis[None, :] ** 2 / (2 * sigma[1] ** 2))
    image[y - 4 : y + 5, x - 4 : x + 5] += (height * shape).astype(np.float32)


def expose(
    rng: np.random.Generator, signal: Image, illumination: Image, settings: SimulationSettings
) -> NDArray[np.uint16]:
    """One channel (Y, X) as the camera gives it, from blurred signal in counts above background.

    Illumination acts on signal and background, not on the camera's offset. Shot noise is Gaussian with the
    photons' variance, the limit of Poisson noise that the electrons of the background alone come close to.
    """
    gain = np.float32(settings.electrons_per_count)
    electrons = (signal + np.float32(settings.background_counts)) * illumination * gain
    noise = rng.standard_normal(signal.shape, dtype=np.float32)
    noise *= np.sqrt(electrons + np.float32(settings.read_noise_electrons**2))
    counts = (electrons + noise) / gain + np.float32(settings.camera_offset_counts)
    return np.asarray(np.clip(np.rint(counts), 0, settings.full_scale), np.uint16)


def blur(signal: Image, sigma_px: float) -> Image:
    """The signal (Y, X) through a Gaussian point-spread function; unchanged at sigma 0."""
    return np.asarray(cv2.GaussianBlur(signal, (0, 0), sigma_px), np.float32) if sigma_px > 0 else signal
