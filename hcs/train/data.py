"""Labelled images on disk → samples in memory, and batches drawn from them."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from fractions import Fraction
from pathlib import Path

import cv2
import numpy as np
import pandas as pd
import torch
from numpy.typing import NDArray
from torch import Tensor

from hcs.errors import ConfigError
from hcs.segment.preprocess import Preprocess, quantiles
from hcs.segment.scale import diameters_px, enlarged, scale_for, working_scale
from hcs.store.files.images import read_image, read_label_image
from hcs.train.augment import Sample, empty_field, photometric, plain_crop, random_crop, retaken, shaded
from hcs.train.contaminate import contaminated, rescaled, stained, textured
from hcs.train.crowd import crowded, dimmed
from hcs.train.kinds import check_taught, kind_classes, kind_plane, read_kinds
from hcs.train.settings import TrainSettings
from hcs.train.targets import centred_class_map, class_map, distance_weights, nucleus_map, weight_map
from hcs.train.translocate import faint_factor, gapped, translocated

INDEX = "index.csv"
_WIDE = 0.2
"""Fraction of crops magnified within ``wide_scale``."""

ScaleRule = Callable[[float, float], Fraction]
"""A diameter there is and one that is wanted, px → a magnification."""
SCALE_RULES: dict[str, ScaleRule] = {"working": working_scale, "nearest": scale_for}
"""By their names in `TrainSettings.magnified`."""


def load_split(
    folder: Path, split: str, preprocess: Preprocess | None = None, kinds: Sequence[str] = ()
) -> dict[str, Sample]:
    """All samples of one split of the index, ready for a network that wants ``preprocess``, by name, sorted; with the
    nuclei's ``kinds``, where these are asked for."""
    prepare = preprocess or Preprocess()
    index = read_index(folder)
    rows = index[index["split"] == split].sort_values("name")
    if rows.empty:
        raise ConfigError(f"{folder / INDEX} lists no image of split {split!r}")
    columns = ["name", "images", "labels", "ignore", "times"]
    samples = {
        name: replace(_load(folder / image, folder / labels, folder / ignore, prepare), times=int(times))
        for name, image, labels, ignore, times in rows[columns].itertuples(index=False)
    }
    if not kinds:
        return samples
    known = {name: told for name, told in read_kinds(folder, list(index["name"]), kinds).items() if name in samples}
    check_taught(known, kinds, folder, split)
    return {name: _with_kinds(name, sample, known[name]) for name, sample in samples.items()}


def read_index(folder: Path) -> pd.DataFrame:
    """The index of a folder of labelled images: its own columns, and where each image's files are.

    ``index.csv`` has a column split, and either name (the files are ``SPLIT/images/NAME``, ``SPLIT/labels/NAME`` and,
    where it exists, ``SPLIT/ignore/NAME``) or images and labels, and optionally ignore, paths relative to the folder.
    An optional column times says how often an image is drawn, relative to the others.
    """
    path = folder / INDEX
    if not path.is_file():
        raise ConfigError(f"{path} does not exist; give the folder of index.csv with its train/ and val/ folders")
    index = pd.read_csv(path)
    by_path = {"images", "labels"} <= set(index.columns)
    if "split" not in index or not (by_path or "name" in index):
        raise ConfigError(
            f"{path} needs the column split, and name, or images and labels; it has {list(index.columns)}"
        )
    if not by_path:
        for kind in ("images", "labels", "ignore"):
            index[kind] = index["split"] + f"/{kind}/" + index["name"]
    if "name" not in index:
        index["name"] = index["images"]
    if "ignore" not in index:
        index["ignore"] = ""
    index["ignore"] = index["ignore"].fillna("")
    if "times" not in index:
        index["times"] = 1
    return index


def preprocess_for(folder: Path, settings: TrainSettings) -> Preprocess:
    """What ``settings`` do to an image; the histogram to match is read from the reference among the training images."""
    plain = Preprocess(normalise=settings.normalise, median_px=settings.median_px)
    if not settings.histogram_of:
        return plain
    index = read_index(folder)
    row = index[(index["name"] == settings.histogram_of) & (index["split"] == "train")]
    if row.empty:
        raise ConfigError(f"histogram_of = {settings.histogram_of!r} is no training image of {folder / INDEX}")
    reference = read_image(folder / row["images"].iloc[0])
    return replace(plain, histogram=quantiles(Preprocess(normalise=settings.normalise)(reference)))


def _load(image_path: Path, labels_path: Path, ignore_path: Path, preprocess: Preprocess) -> Sample:
    image = preprocess(read_image(image_path))
    labels = read_label_image(labels_path).astype(np.int32)
    if labels.shape != image.shape:
        raise ConfigError(f"{labels_path} is {labels.shape} px but its image is {image.shape} px")
    ignore = read_label_image(ignore_path) > 0 if ignore_path.is_file() else np.zeros(image.shape, np.bool_)
    return Sample(image, labels, ignore)


def _with_kinds(name: str, sample: Sample, known: Mapping[int, int]) -> Sample:
    return replace(sample, kinds=kind_plane(sample.labels, known, name)) if known else sample


def batch(samples: list[Sample], settings: TrainSettings, step: int) -> tuple[Tensor, Tensor, Tensor]:
    """Batch of one step: images (B, 1, Y, X) float32, classes (B, Y, X) int64, weights (B, Y, X) float32.

    It depends on the seed and the step alone, so a resumed run sees what an uninterrupted one would have seen. With
    kinds of nuclei, classes are those of `hcs.train.kinds.kind_classes`.
    """
    rng = np.random.default_rng((settings.seed, step))
    images, classes, weights = [], [], []
    for _ in range(settings.batch):
        crop = _crop(samples, settings, rng)
        target = _target(crop.labels, settings)
        weight = _weight(crop.labels, target, settings)
        if settings.kinds:
            target = kind_classes(target, crop.kinds, len(settings.kinds))
        if settings.faint_weight != 1.0:
            weight *= faint_factor(crop.image, crop.labels, settings.faint_weight)
        weight[crop.ignore] = 0.0
        images.append(crop.image)
        classes.append(target.astype(np.int64))
        weights.append(weight)
    return (
        torch.from_numpy(np.stack(images)[:, None]).contiguous(memory_format=torch.channels_last),
        torch.from_numpy(np.stack(classes)),
        torch.from_numpy(np.stack(weights)),
    )


def _target(labels: NDArray[np.int32], settings: TrainSettings) -> NDArray[np.uint8]:
    if settings.classes == 2:
        return nucleus_map(labels)
    draw = class_map if settings.boundary == "inner" else centred_class_map
    return draw(labels, boundary_px=settings.boundary_px)


def _weight(labels: NDArray[np.int32], target: NDArray[np.uint8], settings: TrainSettings) -> NDArray[np.float32]:
    if settings.weights == "edge":
        return weight_map(
            labels,
            target,
            edge_weight=settings.edge_weight,
            touch_weight=settings.touch_weight,
            balance_px=settings.balance_px,
        )
    return distance_weights(labels) if settings.weights == "distance" else np.ones(labels.shape, np.float32)


def _photographed(crop: Sample, settings: TrainSettings, rng: np.random.Generator) -> Sample:
    """The crop as another microscope gives it, with what may lie in the well. An effect that is off draws nothing: the
    others stay the same."""
    if settings.translocated and rng.random() < settings.translocated:
        crop = translocated(crop, rng)
    if settings.gapped and rng.random() < settings.gapped:
        crop = gapped(crop, rng)
    if settings.dimmed and rng.random() < settings.dimmed:
        crop = dimmed(crop, rng)
    if settings.crowded and rng.random() < settings.crowded:
        crop = crowded(crop, rng)
    if settings.textured and rng.random() < settings.textured:
        crop = textured(crop, rng)
    if settings.stained and rng.random() < settings.stained:
        crop = stained(crop, rng)
    if settings.contaminated and rng.random() < settings.contaminated:
        crop = contaminated(crop, rng)
    image = rescaled(crop.image, rng, sd=settings.rescaled) if settings.rescaled else crop.image
    image = photometric(image, rng)
    if settings.gradient and rng.random() < settings.gradient:
        image = shaded(image, rng, ratio=settings.gradient_ratio)
    if settings.camera and rng.random() < settings.camera:
        image = retaken(image, rng)
    return replace(crop, image=image)


def _crop(samples: list[Sample], settings: TrainSettings, rng: np.random.Generator) -> Sample:
    if rng.random() < settings.empty_fraction:
        return _photographed(empty_field(rng, crop_px=settings.crop_px), settings, rng)
    sample = samples[int(rng.integers(len(samples)))]
    if settings.as_taken and rng.random() < settings.as_taken:
        return plain_crop(sample, rng, crop_px=settings.crop_px)
    scale = settings.wide_scale if rng.random() < _WIDE else settings.scale
    return _photographed(random_crop(sample, rng, crop_px=settings.crop_px, scale=scale), settings, rng)


def at_training_scale(sample: Sample, diameter_px: float, rule: ScaleRule = working_scale) -> Sample:
    """The sample as crops are drawn from it: shrunk where its nuclei are larger than ``diameter_px``.

    Where they are smaller, only its ``zoom`` is set: crops are then drawn from the original pixels at once.
    """
    scale = sample_scale(sample, diameter_px, rule)
    if scale >= 1:
        return replace(sample, zoom=float(scale))
    image = enlarged(sample.image, scale)
    size = (image.shape[1], image.shape[0])
    nearest = cv2.INTER_NEAREST_EXACT
    labels = cv2.resize(sample.labels.astype(np.float32), size, interpolation=nearest).astype(np.int32)
    ignore = cv2.resize(sample.ignore.view(np.uint8), size, interpolation=nearest) > 0
    kinds = sample.kinds
    if kinds is not None:
        kinds = np.asarray(cv2.resize(kinds, size, interpolation=nearest), np.uint8)
    return Sample(image, labels, ignore, times=sample.times, kinds=kinds)


def sample_scale(sample: Sample, diameter_px: float, rule: ScaleRule = working_scale) -> Fraction:
    """Magnification at which a plate of the sample's median nucleus is processed by a network that wants
    ``diameter_px``, or that another rule gives; 1 without nuclei or for 0 px."""
    found = diameters_px(sample.labels)
    return rule(float(np.median(found)), diameter_px) if diameter_px and found.size else Fraction(1)
