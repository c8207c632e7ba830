"""Crops whose cells have another state of a translocating sensor: nuclei darker than, as bright as, or brighter than
the cytoplasm around them; and holes, which look like dark nuclei and are none.

Alone in a file: one change of a crop, of sensors alone, as `hcs.train.contaminate` is of dead cells.
"""

from __future__ import annotations

from dataclasses import replace

import cv2
import numpy as np
from numpy.typing import NDArray

from hcs.segment.scale import diameters_px
from hcs.train.augment import Sample
from hcs.train.contaminate import compressed, linear

_LOG2_FOLD = (-1.6, 1.6)
"""Range of nucleus over surroundings, log₂, to which nuclei are brought."""
_LEAST = 0.02
"""Light, in the field's scale, below which nothing is known of a ratio."""
_CYTOPLASM = 0.12
"""Light of a ring from which there is cytoplasm that could have given sensor to the nucleus."""
_DARKEST = 0.12
"""Light of a hole, as a share of the cytoplasm's; nuclei of the highest ratio have three times as much."""


def translocated(crop: Sample, rng: np.random.Generator) -> Sample:
    """A normalised crop (Y, X) whose every second nucleus is brought to a random brightness relative to its ring.

    The light inside is scaled, with a soft outline, as if sensor had moved: texture and noise stay. Nuclei without
    light around them (nothing to compare with) stay as they are.
    """
    labels = crop.labels
    if not labels.any():
        return crop
    light = linear(crop.image)
    log2_inside, log2_around = contrast_parts(light, labels)
    wanted = rng.uniform(*_LOG2_FOLD, log2_inside.size)
    change = np.clip(wanted - (log2_inside - log2_around), -3.0, 3.0)
    bare = ~(log2_around > np.log2(_CYTOPLASM))
    change[~np.isfinite(change) | bare | (rng.random(change.size) < 0.5)] = 0.0
    change[0] = 0.0
    soft = cv2.GaussianBlur(change[labels].astype(np.float32), (0, 0), float(rng.uniform(0.7, 1.6)))
    return replace(crop, image=compressed(light * np.exp2(soft)))


def gapped(crop: Sample, rng: np.random.Generator) -> Sample:
    """A normalised crop (Y, X) with up to six holes of a nucleus' size between cells or in them, as dark as where no
    cell is: background, for no nucleus is that dark beside its own cytoplasm.

    Nuclei and what is ignored keep a margin of 2 px; a crop without cytoplasm stays as it is.
    """
    light = linear(crop.image)
    taken = cv2.dilate(((crop.labels > 0) | crop.ignore).view(np.uint8), np.ones((5, 5), np.uint8)) > 0
    places = np.flatnonzero((light > _CYTOPLASM) & ~taken)
    if not places.size:
        return crop
    sizes = diameters_px(crop.labels)
    diameter = float(np.clip(np.median(sizes), 8.0, 64.0)) if sizes.size else 24.0
    holes = np.zeros(light.shape, np.uint8)
    for place in rng.choice(places, int(rng.integers(1, 7))):
        y, x = divmod(int(place), light.shape[1])
        axes = [max(round(0.5 * diameter * float(rng.uniform(0.4, 1.4))), 1) for _ in range(2)]
        cv2.ellipse(holes, (x, y), axes, float(rng.uniform(0.0, 180.0)), 0.0, 360.0, 1, -1)
    soft = cv2.GaussianBlur(((holes > 0) & ~taken).astype(np.float32), (0, 0), float(rng.uniform(0.6, 2.0)))
    dark = float(rng.uniform(0.0, _DARKEST)) * light
    return replace(crop, image=compressed(light + soft * (dark - light)))


def contrast_parts(light: NDArray[np.float32], labels: NDArray[np.int32]) -> tuple[NDArray[np.float64], ...]:
    """log₂ of the mean ``light`` (Y, X) in every label and in its ring of 5 px off all nuclei, by label value; NaN
    where there is no light or no ring."""
    top = int(labels.max(initial=0)) + 1
    disc = cv2.getStructuringElement(cv2.MORPH_ELLIPSE, (13, 13))
    gap = cv2.dilate((labels > 0).view(np.uint8), np.ones((3, 3), np.uint8)) > 0
    rings = np.where(gap, 0, cv2.dilate(labels.astype(np.float32), disc).astype(np.int32))
    return _log2_mean(light, labels, top), _log2_mean(light, rings, top)


def _log2_mean(light: NDArray[np.float32], labels: NDArray[np.int32], top: int) -> NDArray[np.float64]:
    count = np.bincount(labels.ravel(), minlength=top)
    total = np.bincount(labels.ravel(), weights=light.ravel(), minlength=top)
    mean = np.divide(total, count, out=np.full(top, np.nan), where=count > 0)
    return np.asarray(np.log2(np.where(mean > _LEAST, mean, np.nan)))


def faint_factor(image: NDArray[np.float32], labels: NDArray[np.int32], weight: float) -> NDArray[np.float32]:
    """Factors (Y, X) of the loss: ``weight`` on and within 3 px of nuclei as bright as their rings in the normalised
    ``image`` (Y, X), falling linearly in |log₂| to 1 where one is twice as bright as the other; 1 elsewhere."""
    inside, around = contrast_parts(linear(image), labels)
    factor = 1.0 + (weight - 1.0) * np.clip(1.0 - np.abs(inside - around), 0.0, 1.0)
    factor[~np.isfinite(factor)] = 1.0
    factor[0] = 1.0
    disc = cv2.getStructuringElement(cv2.MORPH_ELLIPSE, (7, 7))
    return np.asarray(cv2.dilate(factor[labels].astype(np.float32), disc), dtype=np.float32)
