"""Cytoplasm around nuclei: each pixel belongs to the nearest nucleus, out to where that cell ends."""

from __future__ import annotations

from typing import Final

import cv2
import numpy as np
from numpy.typing import NDArray

from hcs.simulate.nuclei import Canvas, Image, correlated_noise
from hcs.simulate.population import Population

_FLAT_PX: Final = 8.0
"""The cytoplasm has its full level this far from the nucleus, so that a 5 px ring lies in it."""
_LEAST_REACH_PX: Final = 14.0


def draw_sensor(
    rng: np.random.Generator, canvas: Canvas, population: Population, *, diameter_px: float
) -> tuple[Image, NDArray[np.int32]]:
    """Sensor signal (Y, X) of all cells, in counts above background, before the optics, and whose each pixel is: the
    whole cells (Y, X), labelled as their nuclei.

    Where cells crowd, the border runs half-way between the nuclei. Without nuclei, all zeros.
    """
    labels = canvas.labels
    if not labels.any():
        return np.zeros(labels.shape, np.float32), np.zeros(labels.shape, np.int32)
    distance, owner = nearest_nucleus(labels)
    side = labels.shape[0]
    reach_of = diameter_px * 0.9 * np.exp(rng.normal(0, 0.25, len(population)))
    shape_noise = correlated_noise(rng, side, diameter_px * 0.5)
    grain = correlated_noise(rng, side, max(0.6, diameter_px * 0.08))
    reach = np.append(0, reach_of).astype(np.float32)[owner] * np.exp(np.float32(0.3) * shape_noise)
    np.maximum(reach, np.float32(_LEAST_REACH_PX), out=reach)
    fade = np.clip((reach - distance) / (reach - np.float32(_FLAT_PX)), 0, 1)
    cytoplasm = np.append(0, population.cytoplasm_counts).astype(np.float32)[owner] * np.sqrt(fade)
    cytoplasm *= 1 + np.float32(0.07) * grain
    # neighbouring cells overlap a little, so their border is softer than the optics alone would make it
    cytoplasm = cv2.GaussianBlur(cytoplasm, (0, 0), max(0.5, diameter_px * 0.05))
    nucleus = np.append(0, population.nucleus_counts).astype(np.float32)[labels] * canvas.nucleoplasm
    cells = np.where((distance < reach) | (labels > 0), owner, 0).astype(np.int32)
    return np.where(labels > 0, nucleus, cytoplasm), cells


def nearest_nucleus(labels: NDArray[np.int32]) -> tuple[Image, NDArray[np.int32]]:
    """Distance in px to the nearest nucleus and its label, for every pixel of labels (Y, X).

    Distances are good to about 2 % (OpenCV's 5 x 5 mask). Labels must hold at least one nucleus.
    """
    outside = (labels == 0).view(np.uint8)
    distance, zone = cv2.distanceTransformWithLabels(
        outside, cv2.DIST_L2, cv2.DIST_MASK_5, labelType=cv2.DIST_LABEL_PIXEL
    )
    inside = labels > 0
    label_of_zone = np.zeros(int(zone.max()) + 1, np.int32)
    label_of_zone[zone[inside]] = labels[inside]
    return np.asarray(distance, np.float32), label_of_zone[zone]
