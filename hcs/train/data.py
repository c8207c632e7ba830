"""Labelled images on disk → samples in memory, and batches drawn from them."""

from __future__ import annotations

from fractions import Fraction
from pathlib import Path

import cv2
import numpy as np
import pandas as pd
import torch
from torch import Tensor

from hcs.errors import ConfigError
from hcs.segment.normalise import normalise
from hcs.segment.scale import diameters_px, enlarged, scale_for
from hcs.store.images import read_image
from hcs.train.augment import Sample, empty_field, photometric, random_crop
from hcs.train.settings import TrainSettings
from hcs.train.targets import class_map, weight_map

_WIDE = 0.2
"""Fraction of crops magnified within ``wide_scale``."""


def load_split(folder: Path, split: str) -> dict[str, Sample]:
    """All samples of one split, normalised, by file name.

    ``folder`` holds ``index.csv`` (columns split, name) and, for each split, ``images/``, ``labels/`` and optionally
    ``ignore/`` with files of the same names.
    """
    index_path = folder / "index.csv"
    if not index_path.is_file():
        raise ConfigError(f"{index_path} does not exist; give the folder of index.csv with its train/ and val/ folders")
    index = pd.read_csv(index_path)
    names = sorted(index.loc[index["split"] == split, "name"])
    if not names:
        raise ConfigError(f"{index_path} lists no image of split {split!r}")
    return {name: _load(folder / split, name) for name in names}


def _load(folder: Path, name: str) -> Sample:
    image = normalise(read_image(folder / "images" / name))
    labels = read_image(folder / "labels" / name).astype(np.int32)
    if labels.shape != image.shape:
        raise ConfigError(f"{folder / 'labels' / name} is {labels.shape} px but its image is {image.shape} px")
    ignore_path = folder / "ignore" / name
    ignore = read_image(ignore_path) > 0 if ignore_path.is_file() else np.zeros(image.shape, np.bool_)
    return Sample(image, labels, ignore)


def batch(samples: list[Sample], settings: TrainSettings, step: int) -> tuple[Tensor, Tensor, Tensor]:
    """Batch of one step: images (B, 1, Y, X) float32, classes (B, Y, X) int64, weights (B, Y, X) float32.

    It depends on the seed and the step alone, so a resumed run sees what an uninterrupted one would have seen.
    """
    rng = np.random.default_rng((settings.seed, step))
    images, classes, weights = [], [], []
    for _ in range(settings.batch):
        crop = _crop(samples, settings, rng)
        target = class_map(crop.labels, boundary_px=settings.boundary_px)
        weight = weight_map(crop.labels, target, edge_weight=settings.edge_weight, touch_weight=settings.touch_weight)
        weight[crop.ignore] = 0.0
        images.append(photometric(crop.image, rng))
        classes.append(target.astype(np.int64))
        weights.append(weight)
    return (
        torch.from_numpy(np.stack(images)[:, None]).contiguous(memory_format=torch.channels_last),
        torch.from_numpy(np.stack(classes)),
        torch.from_numpy(np.stack(weights)),
    )


def _crop(samples: list[Sample], settings: TrainSettings, rng: np.random.Generator) -> Sample:
    if rng.random() < settings.empty_fraction:
        return empty_field(rng, crop_px=settings.crop_px)
    sample = samples[int(rng.integers(len(samples)))]
    scale = settings.wide_scale if rng.random() < _WIDE else settings.scale
    return random_crop(sample, rng, crop_px=settings.crop_px, scale=scale)


def at_training_scale(sample: Sample, diameter_px: float) -> Sample:
    """The sample as crops are drawn from it: shrunk where its nuclei are larger than ``diameter_px``.

    Where they are smaller, only its ``zoom`` is set: crops are then drawn from the original pixels at once.
    """
    scale = sample_scale(sample, diameter_px)
    if scale >= 1:
        return Sample(sample.image, sample.labels, sample.ignore, float(scale))
    image = enlarged(sample.image, scale)
    size = (image.shape[1], image.shape[0])
    nearest = cv2.INTER_NEAREST_EXACT
    labels = cv2.resize(sample.labels.astype(np.float32), size, interpolation=nearest).astype(np.int32)
    return Sample(image, labels, cv2.resize(sample.ignore.view(np.uint8), size, interpolation=nearest) > 0)


def sample_scale(sample: Sample, diameter_px: float) -> Fraction:
    """Magnification that brings the sample's median nucleus to ``diameter_px``; 1 without nuclei or for 0 px."""
    found = diameters_px(sample.labels)
    return scale_for(float(np.median(found)), diameter_px) if diameter_px and found.size else Fraction(1)
