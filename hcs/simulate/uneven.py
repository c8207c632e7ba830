"""Cells that are harder to tell apart than those of `hcs.simulate.cytoplasm`: they part anywhere, overlap, are unevenly
bright, and fade towards edges that their nuclei do not tell."""

from __future__ import annotations

from typing import Final

import cv2
import numpy as np
from numpy.typing import NDArray

from hcs.measure.cells import grown_through
from hcs.simulate.cytoplasm import nearest_nucleus
from hcs.simulate.nuclei import Canvas, Image, correlated_noise
from hcs.simulate.population import Population

_LEAST_REACH_PX: Final = 6.0
_FARTHEST: Final = 3.0
"""Longest way of a cell from its nucleus, in diameters of a nucleus."""
_TERRAIN: Final = 100.0


def draw_uneven_sensor(
    rng: np.random.Generator, canvas: Canvas, population: Population, *, diameter_px: float
) -> tuple[Image, NDArray[np.int32]]:
    """As `hcs.simulate.cytoplasm.draw_sensor`, of uneven cells.

    Where two cells meet is decided by a terrain that no image shows: a path costs more where the terrain is steep, and
    more for some cells than for others, so that borders run anywhere between the nuclei. A cell's light is a gradient
    times grains times its thickness, which falls towards its edge, in parts of the field towards its neighbours too,
    over a width of its own. Light of neighbours overlaps by as much as a field's own blur.
    """
    labels = canvas.labels
    if not labels.any():
        return np.zeros(labels.shape, np.float32), np.zeros(labels.shape, np.int32)
    side, n = labels.shape[0], len(population)
    distance, nearest = nearest_nucleus(labels)
    reach = np.append(0, diameter_px * 1.1 * np.exp(rng.normal(0, 0.4, n))).astype(np.float32)[nearest]
    reach *= np.exp(np.float32(0.45) * correlated_noise(rng, side, diameter_px * 0.5))
    terrain = np.float32(_TERRAIN) * np.exp(np.float32(0.5) * correlated_noise(rng, side, diameter_px * 0.5))
    steepness = np.append(0.0, 1.5 * np.exp(rng.normal(0, 0.9, n))).astype(np.float32)
    closed = (distance >= np.maximum(reach, np.float32(_LEAST_REACH_PX))) & (labels == 0)
    cells = grown_through(terrain, labels, steepness, closed, reach_px=round(_FARTHEST * diameter_px))
    thickness = _thickness(rng, cells, n, diameter_px)
    light = np.append(0, population.cytoplasm_counts).astype(np.float32)[cells] * thickness
    light *= np.exp(np.float32(0.25) * correlated_noise(rng, side, diameter_px * 1.2))
    light *= 1 + np.float32(rng.uniform(0.05, 0.2)) * correlated_noise(rng, side, max(0.6, diameter_px * 0.08))
    nucleus = np.append(0, population.nucleus_counts).astype(np.float32)[labels] * canvas.nucleoplasm
    over = rng.uniform(0.03, 0.12) * diameter_px
    # A nucleus has its own level; what blurs over it is a neighbour's, not its own cytoplasm's.
    light = cv2.GaussianBlur(np.maximum(light, np.float32(0.0)), (0, 0), max(0.5, over))
    return np.where(labels > 0, nucleus, light).astype(np.float32), cells


def _thickness(rng: np.random.Generator, cells: NDArray[np.int32], n: int, diameter_px: float) -> Image:
    """Thickness (Y, X) of cells (Y, X), 0 to 1: falling to their outer edges, and by a share that changes over the
    field to those between cells, too."""
    free = _depth(cells > 0)
    square = np.ones((3, 3), np.uint8)
    of = cells.astype(np.float32)
    each = _depth((cells > 0) & (cv2.erode(of, square) == cv2.dilate(of, square)))
    width = np.append(1, diameter_px * 0.35 * np.exp(rng.normal(0, 0.5, n))).astype(np.float32)[cells]
    shared = np.clip(0.5 + 0.5 * correlated_noise(rng, cells.shape[0], diameter_px * 3), 0, 1).astype(np.float32)
    slope_free = np.clip((free + 1) / width, 0, 1)
    slope_each = np.clip((each + 1) / width, 0, 1)
    return np.asarray(np.sqrt(np.minimum(slope_free, shared + (1 - shared) * slope_each)) * (cells > 0), np.float32)


def _depth(inside: NDArray[np.bool_]) -> Image:
    return np.asarray(cv2.distanceTransform(inside.view(np.uint8), cv2.DIST_L2, cv2.DIST_MASK_5), np.float32)
