"""Outlines of cells by active contours that start from their nuclei, each within the territory that growing gave it."""

from __future__ import annotations

import cv2
import numpy as np
from numpy.typing import NDArray

from hcs.measure.intensity import Floats, Floats32
from hcs.measure.regions import Ints32, regions_of
from hcs.measure.shape import measure_shape

_ALPHA = 20.0
"""How steeply an edge stops a contour, for intensities as shares of the cell's own level."""
_STOP = 0.35
"""Where the inverse gradient is below this, nothing pushes a contour on."""
_SMOOTHING = 1
_MARGIN_PX = 4
_RIM = np.ones((7, 7), np.uint8)
"""A contour starts so far around its nucleus."""
_AROUND = np.ones((5, 5), np.uint8)
"""What lies around that, up to two pixels away, is what the nucleus is taken for."""
_OVER = 1.5
"""Brighter pixels, as shares of the cell's level, count as this: a bright neighbour is no stronger edge than a cell."""


def contoured(territory: Ints32, dense: Ints32, smooth: Floats32, level: Floats, background: float) -> Ints32:
    """The cells (Y, X) whose outlines are morphological geodesic active contours (scikit-image), seeded with the nuclei
    ``dense`` as in Van Valen et al., PLoS Comput. Biol. 12, e1005177 (2016), each within its ``territory``.

    ``level`` (n,) is how far each cell rises above the background, not above 0 for one that does not grow. A cell keeps
    its nucleus, is one piece, and leaves its territory nowhere, so that no two overlap; it depends on no pixel farther
    from its territory than four pixels.
    """
    from skimage.segmentation import inverse_gaussian_gradient, morphological_geodesic_active_contour  # noqa: PLC0415

    cells = dense.copy()
    found = regions_of(territory)
    boxes = measure_shape(found).box
    height, width = dense.shape
    for label, (y0, x0, y1, x1) in zip(found.label_values, boxes, strict=True):
        if level[label - 1] <= 0:
            continue
        window = (
            slice(max(y0 - _MARGIN_PX, 0), min(y1 + _MARGIN_PX, height)),
            slice(max(x0 - _MARGIN_PX, 0), min(x1 + _MARGIN_PX, width)),
        )
        mine, nucleus = territory[window] == label, dense[window] == label
        relative = np.clip((smooth[window].astype(np.float64) - background) / level[label - 1], 0.0, _OVER)
        seed = (cv2.dilate(nucleus.view(np.uint8), _RIM) > 0) & mine
        around = (cv2.dilate(seed.view(np.uint8), _AROUND) > 0) & mine & ~seed
        # Its own edge would hold the contour back, and so would a step to anything but what lies around it.
        relative[seed] = float(np.median(relative[around])) if around.any() else 1.0
        edges = inverse_gaussian_gradient(relative, alpha=_ALPHA, sigma=1.0)
        contour = morphological_geodesic_active_contour(
            edges, _steps(mine, nucleus), seed, smoothing=_SMOOTHING, threshold=_STOP, balloon=1
        )
        cells[window][_piece((contour > 0) & mine | nucleus, nucleus)] = label
    return cells


def _steps(mine: NDArray[np.bool_], nucleus: NDArray[np.bool_]) -> int:
    """Steps that bring a contour from the nucleus to the end of its territory, by a pixel each, and some to settle."""
    away = cv2.distanceTransform((~nucleus).view(np.uint8), cv2.DIST_L2, 5)
    return int(np.ceil(away[mine].max())) + 5


def _piece(mask: NDArray[np.bool_], nucleus: NDArray[np.bool_]) -> NDArray[np.bool_]:
    """What of a mask is one piece with the nucleus."""
    _, pieces = cv2.connectedComponents(mask.view(np.uint8), connectivity=8)
    kept = np.zeros(int(pieces.max()) + 1, np.bool_)
    kept[pieces[nucleus]] = True
    kept[0] = False
    return np.asarray(kept[pieces])
