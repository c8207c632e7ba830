"""How good a network is on labelled images, by objects: what training watches, and weights are chosen by."""

from __future__ import annotations

import copy

import numpy as np
from numpy.typing import NDArray

from hcs.evaluate.matching import CAICEDO, match
from hcs.segment.network import Network
from hcs.segment.ours.unet import folded
from hcs.segment.predict import predict
from hcs.segment.recipe import Recipe
from hcs.segment.scale import enlarged, restored, working_scale
from hcs.segment.settings import InstanceSettings
from hcs.tiles.settings import TileSettings
from hcs.train.augment import Sample
from hcs.train.data import ScaleRule, sample_scale

Floats = NDArray[np.float64]


def image_scores(network: Network, samples: list[Sample], recipe: Recipe, rule: ScaleRule = working_scale) -> Floats:
    """(n, 2): of every sample its mean F1 over IoU 0.50–0.90 and its F1 at 0.5, at default inference settings.

    Each image's scale is that of its true median nucleus, by the ``rule`` in use or another one: how well size is
    estimated is not the network's affair.
    """
    ready = folded(copy.deepcopy(network))
    scores = np.empty((len(samples), 2))
    for row, sample in zip(scores, samples, strict=True):
        scale = sample_scale(sample, recipe.diameter_px or 0.0, rule)
        seen = predict(ready, enlarged(sample.image, scale), TileSettings())
        shape = (sample.image.shape[0], sample.image.shape[1])
        labels = recipe.labels(restored(seen, scale, shape), InstanceSettings().for_field(None, scale))
        matching = match(sample.labels, labels.astype(np.int32), ignore=sample.ignore)
        row[:] = np.mean([matching.f1(t) for t in CAICEDO]), matching.f1(CAICEDO[0])
    return scores


def bootstrap(scores: Floats, *, resamples: int = 2000, seed: int = 0) -> tuple[float, float]:
    """95 % percentile bootstrap interval of the mean over images of scores (n,); NaN for a single image."""
    if scores.size < 2:
        return float("nan"), float("nan")
    drawn = np.random.default_rng(seed).integers(scores.size, size=(resamples, scores.size))
    low, high = np.percentile(scores[drawn].mean(axis=1), (2.5, 97.5))
    return float(low), float(high)
