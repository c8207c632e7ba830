"""Nuclei by a random forest on multi-scale features of every pixel, the way ilastik does it.

Berg et al., Nat. Methods 16, 1226 (2019). Needs scikit-learn, which the ``dev`` extra brings.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

import cv2
import numpy as np
from numpy.typing import NDArray

from hcs.errors import ConfigError
from hcs.segment.baselines.classical import Method
from hcs.segment.baselines.published import watershed_instances
from hcs.segment.normalise import normalise
from hcs.segment.settings import InstanceSettings

Floats = NDArray[np.float32]
SCALES_PX = (0.7, 1.6, 3.5, 5.0, 10.0)
"""Standard deviations of the Gaussians, as ilastik offers them by default."""


def pixel_features(image: Floats) -> Floats:
    """Normalised field (Y, X) → features (Y, X, 1 + 6 per scale) float32.

    The intensity; and, at every scale, the smoothed intensity, gradient magnitude, Laplacian, difference from the
    finest scale, and the two eigenvalues of the Hessian matrix, of Gaussian-smoothed derivatives.
    """
    planes: list[NDArray[Any]] = [image]
    finest = cv2.GaussianBlur(image, (0, 0), SCALES_PX[0])
    for sigma in SCALES_PX:
        smooth = cv2.GaussianBlur(image, (0, 0), sigma)
        dx, dy = (cv2.Sobel(smooth, cv2.CV_32F, *order, scale=1 / 8) for order in ((1, 0), (0, 1)))
        dxx, dyy, dxy = (cv2.Sobel(smooth, cv2.CV_32F, *order, scale=1 / 4) for order in ((2, 0), (0, 2), (1, 1)))
        mean, spread = (dxx + dyy) / 2, np.sqrt(((dxx - dyy) / 2) ** 2 + dxy**2)
        planes += [smooth, np.hypot(dx, dy), dxx + dyy, finest - smooth, mean + spread, mean - spread]
    return np.stack(planes, axis=-1).astype(np.float32)


def train_forest(
    samples: Iterable[tuple[NDArray[Any], NDArray[np.integer]]],
    *,
    pixels_per_image: int = 1000,
    trees: int = 50,
    threads: int = 2,
    seed: int = 0,
) -> Method:
    """A method from images (Y, X) and their true labels (Y, X): nucleus probability by forest, then distance watershed.

    It learns from ``pixels_per_image`` random pixels. ConfigError without scikit-learn.
    """
    try:
        from sklearn.ensemble import RandomForestClassifier  # noqa: PLC0415
    except ImportError as error:
        raise ConfigError("the random forest needs scikit-learn; install it with: pip install scikit-learn") from error
    rng = np.random.default_rng(seed)
    features, classes = [], []
    for image, labels in samples:
        chosen = rng.choice(labels.size, min(pixels_per_image, labels.size), replace=False)
        seen = pixel_features(normalise(image))
        features.append(seen.reshape(-1, seen.shape[-1])[chosen])
        classes.append(labels.ravel()[chosen] > 0)
    forest = RandomForestClassifier(trees, min_samples_leaf=5, n_jobs=threads, random_state=seed)
    forest.fit(np.concatenate(features), np.concatenate(classes))

    def segment(image: NDArray[Any]) -> NDArray[np.uint32]:
        seen = pixel_features(normalise(image))
        found = forest.predict_proba(seen.reshape(-1, seen.shape[-1])).astype(np.float32)
        return watershed_instances(np.moveaxis(found.reshape(*image.shape, 2), -1, 0), InstanceSettings())

    return segment
