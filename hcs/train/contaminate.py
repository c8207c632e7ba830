"""Crops with what lies among living nuclei: dead cells many times as bright, their halos, specks, fibres, smears, and
cytoplasm that takes the stain.

Intensities are linear here: a normalised crop is taken back to grey levels, and forth again at the end, as a microscope
adds light before anything is compressed.
"""

from __future__ import annotations

from dataclasses import replace

import cv2
import numpy as np
from numpy.typing import NDArray
from scipy import ndimage

from hcs.segment.normalise import COMPRESSION
from hcs.segment.scale import diameters_px
from hcs.train.augment import Sample

Image = NDArray[np.float32]
_USUAL_LEVEL, _USUAL_PX = 0.5, 24.0
"""Brightness and size of nuclei where a crop shows none."""
_COARSE = 4
"""Halos are drawn at a quarter of the size: they are smooth."""
_DEAD_LEAST = 0.45
"""Diameter, in those of living nuclei, from which a dead cell is a nucleus to be found; smaller ones are debris."""


def contaminated(crop: Sample, rng: np.random.Generator) -> Sample:
    """A normalised crop (Y, X) with some dead cells, specks, fibres and smears over it, 3 to 60 times as bright as its
    nuclei, clipped where the camera saturates.

    Dead cells of a nucleus' size are nuclei with labels of their own; smaller pieces are background. A nucleus that is
    covered by more than half counts neither way.
    """
    light = linear(crop.image)
    inside = light[crop.labels > 0]
    level = max(float(np.median(inside)), 0.1) if inside.size else _USUAL_LEVEL
    sizes = diameters_px(crop.labels)
    diameter = float(np.clip(np.median(sizes), 8.0, 64.0)) if sizes.size else _USUAL_PX
    fold = float(np.exp(rng.uniform(np.log(3.0), np.log(60.0))))
    bodies, dead = _dead_cells(light.shape, rng, diameter)
    added = _blurred(bodies + _debris(light.shape, rng, diameter), float(rng.uniform(0.5, 2.0)))
    added = np.asarray(added + _halo(added, rng, diameter), np.float32) * np.float32(fold * level)
    full = level * max(fold * float(rng.uniform(0.3, 1.2)), 2.5)
    light = np.minimum(light + added, np.float32(full))
    return replace(_covered(crop, dead), image=compressed(light))


def stained(crop: Sample, rng: np.random.Generator) -> Sample:
    """A normalised crop (Y, X) where the cytoplasm of some nuclei shows, at 3 to 45 % of their brightness: background
    still, however sharp its outline is and however much it looks like a dim nucleus beside a bright one."""
    light = linear(crop.image)
    boxes = ndimage.find_objects(crop.labels)
    share, added = float(rng.uniform(0.1, 1.0)), np.zeros(light.shape, np.float32)
    fold = float(np.exp(rng.uniform(np.log(0.03), np.log(0.45))))
    for label, box in enumerate(boxes, start=1):
        if box is None or rng.random() > share:
            continue
        inside = crop.labels[box] == label
        bright = float(np.median(light[box][inside])) * fold * float(np.exp(rng.normal(0.0, 0.3)))
        size = float(np.sqrt(4.0 / np.pi * inside.sum()))
        centre = [0.5 * (side.start + side.stop) for side in box]
        np.maximum(added, np.float32(bright) * _cytoplasm(light.shape, rng, centre, size), out=added)
    mottle = np.exp(np.float32(0.25) * _spots(light.shape, rng, float(rng.uniform(1.5, 12.0))))
    added = _blurred(added * mottle, float(rng.uniform(0.5, 2.5)))
    above = np.float32(0.7) * _blurred((crop.labels > 0).astype(np.float32), 1.0)  # a nucleus takes most of its cell
    return replace(crop, image=compressed(light + (np.float32(1.0) - above) * added))


def rescaled(image: Image, rng: np.random.Generator, *, sd: float) -> Image:
    """A normalised crop whose scale was estimated wrong: brighter or darker before compression, by a log-normal
    factor."""
    return compressed(linear(image) * np.float32(np.exp(rng.normal(0.0, sd))))


def textured(crop: Sample, rng: np.random.Generator) -> Sample:
    """A normalised crop whose nuclei are mottled, as large ones at high magnification are: spots of a tenth to a third
    of a nucleus."""
    light = linear(crop.image)
    sizes = diameters_px(crop.labels)
    diameter = float(np.median(sizes)) if sizes.size else _USUAL_PX
    spots = _spots(light.shape, rng, diameter * float(rng.uniform(0.04, 0.15)))
    spots *= np.float32(rng.uniform(0.15, 0.5))
    factor = np.where(crop.labels > 0, np.clip(np.exp(spots), 0.25, 4.0), np.float32(1.0))
    return replace(crop, image=compressed(light * _blurred(factor.astype(np.float32), 0.7)))


def linear(image: Image) -> Image:
    """Normalised intensities before compression, in the field's scale."""
    return np.asarray(np.sinh(np.clip(image, -3.0, 6.0) * np.arcsinh(COMPRESSION)) / COMPRESSION, np.float32)


def compressed(light: Image) -> Image:
    """The inverse of `linear`."""
    return np.asarray(np.arcsinh(light * np.float32(COMPRESSION)) / np.arcsinh(COMPRESSION), np.float32)


def _blurred(image: Image, sd_px: float) -> Image:
    return np.asarray(cv2.GaussianBlur(image, (0, 0), sd_px), np.float32)


def _dead_cells(shape: tuple[int, ...], rng: np.random.Generator, diameter: float) -> tuple[Image, NDArray[np.int32]]:
    """Bodies of up to six dead cells (Y, X), 0 to about 1, and labels 1..n of those that are to be found."""
    bodies, labels = np.zeros(shape, np.float32), np.zeros(shape, np.int32)
    for label in range(1, int(rng.integers(0, 7)) + 1):
        size = float(rng.uniform(0.25, 1.2))
        y, x = (float(rng.uniform(-0.05, 1.05)) * length for length in shape)
        if rng.random() < 0.2:  # one that has fallen apart
            for _ in range(int(rng.integers(3, 9))):
                off_y, off_x = rng.normal(0.0, 0.35 * diameter, 2)
                piece = _disc(shape, rng, y + off_y, x + off_x, 0.5 * diameter * float(rng.uniform(0.1, 0.3)))
                bodies[piece] = np.float32(rng.uniform(0.3, 1.0))
            continue
        body = _disc(shape, rng, y, x, 0.5 * diameter * size)
        bodies[body] = np.float32(rng.uniform(0.4, 1.0))
        labels[body] = label if size >= _DEAD_LEAST else 0
    return bodies, labels


def _debris(shape: tuple[int, ...], rng: np.random.Generator, diameter: float) -> Image:
    """Specks, fibres and smears (Y, X), 0 to about 1."""
    debris = np.zeros(shape, np.float32)
    if rng.random() < 0.5:
        for _ in range(int(np.exp(rng.uniform(0.0, np.log(60.0))))):
            y, x = (float(rng.uniform(0.0, length)) for length in shape)
            debris[_disc(shape, rng, y, x, float(rng.uniform(0.5, 3.0)))] = np.float32(rng.uniform(0.1, 1.0))
    if rng.random() < 0.15:
        for _ in range(int(rng.integers(1, 4))):
            points = np.cumsum(rng.normal(0.0, 25.0, (8, 2)), axis=0) + rng.uniform(0.0, shape[0], 2)
            thick, bright = int(rng.integers(1, 4)), float(rng.uniform(0.05, 0.6))
            cv2.polylines(debris, [points.astype(np.int32)], isClosed=False, color=bright, thickness=thick)
    if rng.random() < 0.15:
        corners = rng.uniform(0.0, shape[0], 2) + rng.normal(0.0, 0.8 * diameter, (12, 2))
        smear = np.zeros(shape, np.float32)
        cv2.fillConvexPoly(smear, cv2.convexHull(corners.astype(np.int32)), float(rng.uniform(0.05, 0.5)))
        debris = np.maximum(debris, _blurred(smear, float(rng.uniform(0.5, 6.0))))
    return debris


def _disc(shape: tuple[int, ...], rng: np.random.Generator, y: float, x: float, radius: float) -> NDArray[np.bool_]:
    """Pixels (Y, X) of a nearly round body."""
    drawn = np.zeros(shape, np.uint8)
    axes = [round(16 * radius * float(np.exp(rng.normal(0.0, 0.1)))) for _ in range(2)]
    angle = float(rng.uniform(0.0, 180.0))
    cv2.ellipse(drawn, (round(16 * x), round(16 * y)), axes, angle, 0.0, 360.0, 1, -1, shift=4)
    return drawn > 0


def _halo(bodies: Image, rng: np.random.Generator, diameter: float) -> Image:
    """Light around bright bodies (Y, X), from half a nucleus' width to several."""
    small = cv2.resize(bodies, None, fx=1 / _COARSE, fy=1 / _COARSE, interpolation=cv2.INTER_AREA)
    coarse = np.asarray(small, np.float32)
    halo = np.zeros(coarse.shape, np.float32)
    for width in (0.4, 1.2, 3.0):
        if rng.random() < 0.6:
            share = np.float32(np.exp(rng.uniform(np.log(0.01), np.log(0.2))))
            spread = diameter * width * float(rng.uniform(0.7, 1.4)) / _COARSE
            halo += share * _blurred(coarse, spread)
    size = (bodies.shape[1], bodies.shape[0])
    return np.asarray(cv2.resize(halo, size, interpolation=cv2.INTER_LINEAR), np.float32)


def _cytoplasm(
    shape: tuple[int, ...], rng: np.random.Generator, centre: list[float], size: float
) -> NDArray[np.float32]:
    """1 in a body of ten corners (Y, X) that begins at a nucleus of ``size`` and leans to one side, 0 elsewhere."""
    angle, lean = float(rng.uniform(0.0, 2 * np.pi)), float(rng.uniform(0.0, 0.9)) * size
    long, wide = float(rng.uniform(0.7, 2.2)) * size, float(rng.uniform(0.35, 1.0)) * size
    turn = np.sort(rng.uniform(0.0, 2 * np.pi, 10))
    along = lean + long * np.cos(turn) * rng.uniform(0.7, 1.1, 10)
    across = wide * np.sin(turn) * rng.uniform(0.7, 1.1, 10)
    y = centre[0] + along * np.sin(angle) + across * np.cos(angle)
    x = centre[1] + along * np.cos(angle) - across * np.sin(angle)
    body = np.zeros(shape, np.uint8)
    cv2.fillPoly(body, [np.stack([x, y], axis=1).round().astype(np.int32)], 1)
    return body.astype(np.float32)


def _spots(shape: tuple[int, ...], rng: np.random.Generator, sd_px: float) -> Image:
    """Smooth noise (Y, X) with a standard deviation of 1."""
    spots = _blurred(rng.standard_normal(shape, dtype=np.float32), sd_px)
    return spots / np.float32(max(float(spots.std()), 1e-6))


def _covered(crop: Sample, dead: NDArray[np.int32]) -> Sample:
    """The crop's truth with ``dead`` (Y, X) among its labels; what little is left of a covered nucleus is ignored."""
    count = int(crop.labels.max(initial=0)) + 1
    before = np.bincount(crop.labels.ravel(), minlength=count)
    after = np.bincount(crop.labels[dead == 0], minlength=count)
    lost = after < 0.5 * before
    lost[0] = False
    ignore = (crop.ignore | lost[crop.labels]) & (dead == 0)
    labels = np.where(lost[crop.labels], 0, crop.labels)
    labels = np.where(dead > 0, dead + count, labels).astype(np.int32)
    kinds = None if crop.kinds is None else np.where((dead > 0) | lost[crop.labels], 0, crop.kinds).astype(np.uint8)
    return Sample(crop.image, labels, ignore, crop.zoom, kinds=kinds)
