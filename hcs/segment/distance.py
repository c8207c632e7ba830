"""Exact Euclidean distances, the same on every call. Alone in a file: instances, targets and baselines share them."""

from __future__ import annotations

from typing import Any

import cv2
import numpy as np
from numpy.typing import NDArray


def distance_px(inside: NDArray[Any]) -> NDArray[np.float32]:
    """Distance, px, of every pixel where ``inside`` (Y, X) is not 0 to the nearest where it is: (Y, X) float32.

    OpenCV's precise distances differ in the last bit with the place of the image in memory; their squares are whole
    numbers, which undoes that.
    """
    pixels = np.ascontiguousarray(inside, dtype=np.uint8)
    rough = cv2.distanceTransform(pixels, cv2.DIST_L2, cv2.DIST_MASK_PRECISE)
    return np.sqrt(np.rint(np.square(rough, dtype=np.float64))).astype(np.float32)
