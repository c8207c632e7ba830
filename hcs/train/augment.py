"""Random crops that look like other microscopes, stains and days."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import cv2
import numpy as np
from numpy.typing import NDArray


@dataclass(frozen=True, slots=True)
class Sample:
    """Pixels to learn from: ``image`` normalised (Y, X) float32, ``labels`` (Y, X) int32, ``ignore`` (Y, X) bool."""

    image: NDArray[np.float32]
    labels: NDArray[np.int32]
    ignore: NDArray[np.bool_]
    zoom: float = 1.0
    """Magnification from these pixels to the scale of training; jitter comes on top."""
    times: int = 1
    """How often it is drawn, relative to others."""
    kinds: NDArray[np.uint8] | None = None
    """(Y, X) kind of the nucleus at each pixel, 1..k; 0 of nuclei whose kind nobody told, and outside. None: nobody
    told any."""


def random_crop(sample: Sample, rng: np.random.Generator, *, crop_px: int, scale: tuple[float, float]) -> Sample:
    """A crop (crop_px, crop_px) of ``sample``, randomly turned, mirrored, magnified, sheared and bent.

    Where the image is smaller than the crop it is continued by reflection, nuclei with it.
    """
    maps = _warp(
        _centre(sample, rng, spread_px=30.0 / sample.zoom),
        rng,
        crop_px=crop_px,
        scale=(scale[0] * sample.zoom, scale[1] * sample.zoom),
    )
    return _drawn(sample, *maps)


def plain_crop(sample: Sample, rng: np.random.Generator, *, crop_px: int) -> Sample:
    """A crop (crop_px, crop_px), an even number, of ``sample`` at its zoom, turned by quarter turns and mirrored.

    Its pixels are those that `hcs.segment.scale.enlarged` gives of the whole image: at zoom 1, the image's own.
    """
    centre = _centre(sample, rng, spread_px=30.0 / sample.zoom)
    y, x = (np.float32(round((c + 0.5) * sample.zoom) / sample.zoom - 0.5) for c in centre)
    grid = (np.arange(crop_px, dtype=np.float32) - np.float32((crop_px - 1) / 2.0)) / np.float32(sample.zoom)
    v, u = np.meshgrid(grid * rng.choice((-1.0, 1.0)), grid * rng.choice((-1.0, 1.0)), indexing="ij")
    if rng.random() < 0.5:
        v, u = u, v
    return _drawn(sample, (v + y).astype(np.float32), (u + x).astype(np.float32))


def _drawn(sample: Sample, y_map: NDArray[np.float32], x_map: NDArray[np.float32]) -> Sample:
    """What ``sample`` has at the coordinates of every pixel of a crop, continued by reflection."""
    border = cv2.BORDER_REFLECT_101
    image = cv2.remap(sample.image, x_map, y_map, cv2.INTER_LINEAR, borderMode=border)
    # float32 holds label numbers exactly up to 2**24; cv2 has no nearest-neighbour remap for int32.
    labels = cv2.remap(sample.labels.astype(np.float32), x_map, y_map, cv2.INTER_NEAREST, borderMode=border)
    ignore = cv2.remap(sample.ignore.view(np.uint8), x_map, y_map, cv2.INTER_NEAREST, borderMode=border)
    kinds = sample.kinds
    if kinds is not None:
        kinds = np.asarray(cv2.remap(kinds, x_map, y_map, cv2.INTER_NEAREST, borderMode=border), np.uint8)
    return Sample(image.astype(np.float32), _split_mirrored(labels.astype(np.int32)), ignore > 0, kinds=kinds)


def _centre(sample: Sample, rng: np.random.Generator, *, spread_px: float) -> tuple[float, float]:
    """Centre (y, x) of a crop: about ``spread_px`` from a nucleus' pixel two times of three, else anywhere.

    Where kinds of nuclei are told, that nucleus is of each of the image's kinds equally often.
    """
    height, width = sample.labels.shape
    inside = np.empty(0, np.int64)
    if rng.random() < 2.0 / 3.0:
        there = np.empty(0, np.intp) if sample.kinds is None else np.flatnonzero(np.bincount(sample.kinds.ravel())[1:])
        if there.size and sample.kinds is not None:
            inside = np.flatnonzero(sample.kinds == 1 + there[rng.integers(there.size)])
        else:
            inside = np.flatnonzero(sample.labels)
    if inside.size == 0:
        return float(rng.uniform(0, height)), float(rng.uniform(0, width))
    y, x = divmod(int(inside[rng.integers(inside.size)]), width)
    return y + float(rng.normal(0.0, spread_px)), x + float(rng.normal(0.0, spread_px))


def _warp(
    centre: tuple[float, float], rng: np.random.Generator, *, crop_px: int, scale: tuple[float, float]
) -> tuple[NDArray[np.float32], NDArray[np.float32]]:
    """Source coordinates (y, x) of every pixel of the crop: rotation, magnification, aspect, flips, elastic."""
    zoom = float(np.exp(rng.uniform(np.log(scale[0]), np.log(scale[1]))))
    aspect = float(np.exp(rng.normal(0.0, 0.08)))
    angle = rng.uniform(0.0, 2.0 * np.pi) if rng.random() < 0.5 else rng.integers(4) * np.pi / 2.0
    flip = 1.0 if rng.random() < 0.5 else -1.0
    grid = (np.arange(crop_px, dtype=np.float32) - (crop_px - 1) / 2.0) / np.float32(zoom)
    v, u = np.meshgrid(grid * np.float32(aspect), grid * np.float32(flip / aspect), indexing="ij")
    if rng.random() < 0.4:
        bend = rng.normal(0.0, rng.uniform(0.5, 3.0), (2, 7, 7)).astype(np.float32)
        v = v + cv2.resize(bend[0], (crop_px, crop_px), interpolation=cv2.INTER_CUBIC)
        u = u + cv2.resize(bend[1], (crop_px, crop_px), interpolation=cv2.INTER_CUBIC)
    cos, sin = np.float32(np.cos(angle)), np.float32(np.sin(angle))
    return (
        (cos * v - sin * u + np.float32(centre[0])).astype(np.float32),
        (sin * v + cos * u + np.float32(centre[1])).astype(np.float32),
    )


def _split_mirrored(labels: NDArray[np.int32]) -> NDArray[np.int32]:
    """Give every connected piece a label of its own: a nucleus and its mirror image are two nuclei."""
    out = np.zeros_like(labels)
    count = 0
    for label in np.unique(labels[labels > 0]):
        n, pieces = cv2.connectedComponents((labels == label).view(np.uint8), connectivity=8)
        out += np.where(pieces > 0, pieces + count, 0).astype(np.int32)
        count += n - 1
    return out


def photometric(image: NDArray[np.float32], rng: np.random.Generator) -> NDArray[np.float32]:
    """Change a normalised crop (Y, X) as another microscope would: blur, shading, haze, noise …"""
    out: NDArray[Any] = image
    if rng.random() < 0.25:
        out = cv2.GaussianBlur(out, (0, 0), float(rng.uniform(0.4, 1.6)))
    elif rng.random() < 0.15:
        out = out + float(rng.uniform(0.3, 1.0)) * (out - cv2.GaussianBlur(out, (0, 0), 1.5))
    if rng.random() < 0.4:
        out = out * _smooth_field(out.shape, rng, low=0.6, high=1.4)
    if rng.random() < 0.25:
        out = out + _smooth_field(out.shape, rng, low=0.0, high=float(rng.uniform(0.05, 0.3)))
    if rng.random() < 0.3:
        # Light of the cell around the nucleus: cytoplasm, and what is out of focus.
        out = out + float(rng.uniform(0.1, 0.6)) * cv2.GaussianBlur(out, (0, 0), float(rng.uniform(4.0, 16.0)))
    if rng.random() < 0.5:
        out = np.sign(out) * np.abs(out) ** np.float32(np.exp(rng.normal(0.0, 0.25)))
    out = out * np.float32(np.exp(rng.normal(0.0, 0.22))) + np.float32(rng.normal(0.0, 0.03))
    if rng.random() < 0.5:
        noise = np.float32(10.0 ** rng.uniform(-2.5, -1.0))
        shot = np.sqrt(np.clip(out, 0.02, None)) if rng.random() < 0.5 else np.float32(0.5)
        out = out + noise * shot * rng.standard_normal(out.shape, dtype=np.float32)
    if rng.random() < 0.1:
        levels = np.float32(rng.integers(12, 60))
        out = np.round(out * levels) / levels
    return np.ascontiguousarray(out, dtype=np.float32)


def shaded(image: NDArray[np.float32], rng: np.random.Generator, *, ratio: float) -> NDArray[np.float32]:
    """A crop (Y, X) under illumination that falls off linearly in a random direction, by up to ``ratio`` from end to
    end, its mean unchanged."""
    height, width = image.shape
    angle = rng.uniform(0.0, 2.0 * np.pi)
    y, x = np.mgrid[-1.0 : 1.0 : height * 1j, -1.0 : 1.0 : width * 1j]
    along = y * np.sin(angle) + x * np.cos(angle)
    fall = float(rng.uniform(1.0, ratio))
    slope = (fall - 1.0) / (fall + 1.0) / float(np.abs(along).max())
    return np.asarray(image * (1.0 + slope * along), dtype=np.float32)


def retaken(image: NDArray[np.float32], rng: np.random.Generator) -> NDArray[np.float32]:
    """A normalised crop (Y, X) as a camera would take it again: Poisson noise of its photons, read noise, 8, 12 or 16
    bits of which it fills a part.

    Intensity 1 is 20 to 2,000 photons; the offset keeps noise below the background from being cut.
    """
    offset = 0.2
    full = float(10.0 ** rng.uniform(np.log10(20.0), np.log10(2000.0)))
    photons = rng.poisson(np.clip(image + np.float32(offset), 0.0, None) * full)
    electrons = photons + float(rng.uniform(0.0, 4.0)) * rng.standard_normal(image.shape)
    levels = 2.0 ** float(rng.choice((8.0, 12.0, 16.0))) * float(rng.uniform(0.1, 1.0))
    counts = np.clip(np.round(electrons / full * levels / (1.0 + offset)), 0.0, None)
    return np.asarray(counts / levels * (1.0 + offset) - offset, dtype=np.float32)


def empty_field(rng: np.random.Generator, *, crop_px: int) -> Sample:
    """A crop without nuclei: noise as the normalisation leaves it, haze, and now and then specks of debris."""
    shape = (crop_px, crop_px)
    image: NDArray[Any] = rng.normal(0.2, 1.0, shape).astype(np.float32) * np.float32(rng.uniform(0.05, 0.25))
    if rng.random() < 0.4:
        image = cv2.GaussianBlur(image, (0, 0), float(rng.uniform(0.3, 1.5)))
    image = image + _smooth_field(shape, rng, low=0.0, high=float(rng.uniform(0.0, 0.8)))
    if rng.random() < 0.5:
        specks = np.zeros(shape, np.float32)
        n = int(rng.integers(1, 25))
        specks[rng.integers(crop_px, size=n), rng.integers(crop_px, size=n)] = rng.uniform(2.0, 12.0, n)
        image = image + cv2.GaussianBlur(specks, (0, 0), float(rng.uniform(0.6, 1.1)))
    return Sample(image, np.zeros(shape, np.int32), np.zeros(shape, np.bool_))


def _smooth_field(shape: tuple[int, ...], rng: np.random.Generator, *, low: float, high: float) -> NDArray[np.float32]:
    """A field (Y, X) that varies smoothly between about ``low`` and ``high``."""
    n = int(rng.integers(2, 5))
    coarse = rng.uniform(low, high, (n, n)).astype(np.float32)
    return np.asarray(cv2.resize(coarse, (shape[1], shape[0]), interpolation=cv2.INTER_LINEAR), dtype=np.float32)
