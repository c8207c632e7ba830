"""How good a network is on labelled images, by objects: what training watches, and weights are chosen by."""

from __future__ import annotations

import copy

import numpy as np
from numpy.typing import NDArray

from hcs.columns import CLASS, SCORE
from hcs.evaluate.matching import CAICEDO, match, match_numbered, scored_labels
from hcs.measure.kinds import kind_columns
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
Counts = NDArray[np.int64]


def image_scores(
    network: Network,
    samples: list[Sample],
    recipe: Recipe,
    rule: ScaleRule = working_scale,
    settings: InstanceSettings | None = None,
) -> Floats:
    """(n, 2): of every sample its mean F1 over IoU 0.50–0.90 and its F1 at 0.5, by ``settings`` or the default ones.

    Each image's scale is that of its true median nucleus, by the ``rule`` in use or another one: how well size is
    estimated is not the network's affair.
    """
    return scores_and_kinds(network, samples, recipe, rule, settings)[0]


def scores_and_kinds(
    network: Network,
    samples: list[Sample],
    recipe: Recipe,
    rule: ScaleRule = working_scale,
    settings: InstanceSettings | None = None,
) -> tuple[Floats, Counts]:
    """`image_scores`, and of the nuclei whose kind is told and that are found, IoU 0.5, how many of each kind (rows of
    k) are taken for which kind (k); (0, 0) without kinds."""
    ready, read = folded(copy.deepcopy(network)), settings or InstanceSettings()
    scores = np.empty((len(samples), 2))
    taken = np.zeros((len(recipe.kinds), len(recipe.kinds)), np.int64)
    for row, sample in zip(scores, samples, strict=True):
        scale = sample_scale(sample, recipe.diameter_px or 0.0, rule)
        seen = predict(ready, enlarged(sample.image, scale), TileSettings())
        shape = (sample.image.shape[0], sample.image.shape[1])
        probabilities = restored(seen, scale, shape)
        labels = recipe.labels(probabilities, read.for_field(None, scale))
        matching = match(sample.labels, labels.astype(np.int32), ignore=sample.ignore)
        row[:] = np.mean([matching.f1(t) for t in CAICEDO]), matching.f1(CAICEDO[0])
        if recipe.kinds and sample.kinds is not None:
            planes = recipe.kind_planes(probabilities)
            assert planes is not None
            true, found, _ = kinds_found(sample, labels, planes)
            np.add.at(taken, (true, found), 1)
    return scores, taken


def kinds_found(
    sample: Sample, labels: NDArray[np.uint32], planes: NDArray[np.float32]
) -> tuple[Counts, Counts, Floats]:
    """Of the nuclei of ``sample`` whose kind is told, and that ``labels`` (Y, X) have at an IoU of 0.5: their kind and
    the one they are taken for, numbered from 0, and its score, by the kinds' probabilities ``planes`` (k, Y, X)."""
    assert sample.kinds is not None
    truth, found = scored_labels(sample.labels, labels.astype(np.int32), ignore=sample.ignore)
    matching = match_numbered(truth, found)
    pairs = matching.pairs(CAICEDO[0])
    kind = np.zeros(matching.n_true + 1, np.int64)
    kind[truth.dense.ravel()] = sample.kinds.ravel()
    true = kind[matching.pair_true[pairs] + 1]
    totals = np.stack([np.bincount(found.dense.ravel(), plane.ravel(), matching.n_predicted + 1) for plane in planes])
    names = tuple(map(str, range(len(planes))))
    told = kind_columns(names, totals.T[matching.pair_predicted[pairs] + 1].astype(np.float64))
    known = (true > 0) & (told[CLASS] != "")
    return true[known] - 1, told[CLASS][known].astype(np.int64), told[SCORE][known].astype(np.float64)


def right_by_kind(taken: Counts) -> Floats:
    """Share (k,) of each kind's nuclei that are taken for it, of the counts of `scores_and_kinds`."""
    return np.asarray(np.diag(taken) / np.maximum(taken.sum(axis=1), 1), np.float64)


def bootstrap(scores: Floats, *, resamples: int = 2000, seed: int = 0) -> tuple[float, float]:
    """95 % percentile bootstrap interval of the mean over images of scores (n,); NaN for a single image."""
    if scores.size < 2:
        return float("nan"), float("nan")
    drawn = np.random.default_rng(seed).integers(scores.size, size=(resamples, scores.size))
    low, high = np.percentile(scores[drawn].mean(axis=1), (2.5, 97.5))
    return float(low), float(high)
