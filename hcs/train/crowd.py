"""Crops whose nuclei are dimmer than their neighbours, out of focus, or touch and overlap each other.

Intensities are linear here, as in `hcs.train.contaminate`: light is taken from one place and added in another.
"""

from __future__ import annotations

from dataclasses import dataclass, replace

import cv2
import numpy as np
from numpy.typing import NDArray
from scipy import ndimage

from hcs.train.augment import Sample
from hcs.train.contaminate import compressed, linear

Image = NDArray[np.float32]
_MARGIN_PX = 9
"""Light around a nucleus that belongs to it."""
_LEAST_PX = 30
"""Smaller nuclei stay as they are."""
_LEAST_LIGHT, _NOISES = 0.04, 3.0
"""What is left of a nucleus' light is at least so much, and so many standard deviations of noise."""
_OVERLAP = 0.2
"""Share of a pasted nucleus that covers others, at most."""
_PLACES = 6
"""Pasted nuclei a crop, at most."""


_LEAST_BESIDE = 0.45
"""Of the light of a nucleus that touches another one, at least so much is left, and of one that is put there: a dimmer
piece beside a bright nucleus is its cytoplasm."""


@dataclass(frozen=True, slots=True)
class _Body:
    """A nucleus with its light above what surrounds it, in a box of the crop."""

    box: tuple[slice, slice]
    mask: NDArray[np.bool_]
    light: Image
    alone: bool
    """Whether it touches no other."""


def dimmed(crop: Sample, rng: np.random.Generator) -> Sample:
    """A normalised crop (Y, X) where up to half of the nuclei have 6 to 60 % of their light, some of them blurred.

    Those that touch another one keep 45 % at least, and nuclei that noise would hide stay as they are.
    """
    light, share = linear(crop.image), float(rng.uniform(0.05, 0.5))
    least = max(_LEAST_LIGHT, _NOISES * _noise_sd(light))
    for body in _bodies(crop.labels, light):
        if rng.random() > share:
            continue
        least_part = 0.06 if body.alone else _LEAST_BESIDE
        factor = np.float32(np.exp(rng.uniform(np.log(least_part), np.log(0.6))))
        if factor * np.median(body.light[body.mask]) < least:
            continue
        left = body.light * factor
        if rng.random() < 0.3:
            left = np.asarray(cv2.GaussianBlur(left, (0, 0), float(rng.uniform(1.0, 3.0))), np.float32)
        light[body.box] += left - body.light
    return replace(crop, image=compressed(light))


def crowded(crop: Sample, rng: np.random.Generator) -> Sample:
    """A normalised crop (Y, X) with up to six of its nuclei once more, turned, at 45 to 120 % of their light, each so
    near to another one that they touch or overlap a little."""
    light, labels = linear(crop.image), crop.labels.copy()
    bodies = [body for body in _bodies(labels, light) if body.alone]
    if not bodies:
        return crop
    for _ in range(int(rng.integers(1, _PLACES + 1))):
        body = _turned(bodies[int(rng.integers(len(bodies)))], rng)
        factor = np.float32(np.exp(rng.uniform(np.log(_LEAST_BESIDE), np.log(1.2))))
        beside = bodies[int(rng.integers(len(bodies)))]
        box = _place(body.mask, beside, labels, float(rng.uniform(0.0, _OVERLAP)), rng)
        if box is None:
            continue
        under, added = labels[box], body.light * factor
        if rng.random() < 0.5:  # on the others: their light adds, and either may be the one that is drawn
            seen = body.mask & ((under == 0) | (rng.random() < 0.5))
        else:  # beside them
            seen, added = body.mask & (under == 0), np.where(under > 0, np.float32(0.0), added)
        light[box] += added
        labels[box] = np.where(seen, labels.max() + 1, under)
    same = labels == crop.labels
    kinds = None if crop.kinds is None else np.where(same, crop.kinds, 0).astype(np.uint8)
    labels = _without_slivers(labels, crop.labels)
    return replace(crop, image=compressed(light), labels=labels, ignore=crop.ignore & same, kinds=kinds)


def _bodies(labels: NDArray[np.int32], light: Image) -> list[_Body]:
    """The nuclei that lie whole in a crop, with their light."""
    height, width = labels.shape
    found = []
    for label, box in enumerate(ndimage.find_objects(labels), start=1):
        if box is None:
            continue
        y, x = (slice(side.start - _MARGIN_PX, side.stop + _MARGIN_PX) for side in box)
        if y.start < 0 or x.start < 0 or y.stop > height or x.stop > width:
            continue
        own = labels[y, x]
        mask = own == label
        around = light[y, x][own == 0]
        if mask.sum() < _LEAST_PX or around.size < _LEAST_PX:
            continue
        alone = (own[cv2.dilate(mask.view(np.uint8), np.ones((3, 3), np.uint8)) > 0] != 0).sum() == mask.sum()
        away = cv2.distanceTransform((~mask).view(np.uint8), cv2.DIST_L2, 3)
        near = np.where((own > 0) & ~mask, np.float32(0.0), np.clip(1.5 - away / (_MARGIN_PX / 1.5), 0.0, 1.0))
        above = np.maximum(light[y, x] - np.float32(np.percentile(around, 10)), np.float32(0.0))
        found.append(_Body((y, x), mask, np.asarray(above * near, np.float32), bool(alone)))
    return found


def _turned(body: _Body, rng: np.random.Generator) -> _Body:
    """A body turned by quarter turns and mirrored."""
    turns, way = int(rng.integers(4)), slice(None, None, -1 if rng.random() < 0.5 else 1)
    return replace(body, mask=np.rot90(body.mask[:, way], turns), light=np.rot90(body.light[:, way], turns))


def _place(
    mask: NDArray[np.bool_], beside: _Body, labels: NDArray[np.int32], overlap: float, rng: np.random.Generator
) -> tuple[slice, slice] | None:
    """Where a body of ``mask`` lies if it is moved away from the middle of another one until no more than ``overlap``
    of it covers others; None where that is not in the crop."""
    angle, area = float(rng.uniform(0.0, 2.0 * np.pi)), int(mask.sum())
    middle = [0.5 * (side.start + side.stop) for side in beside.box]
    for away in range(2, 3 * max(mask.shape), 1):
        top = round(middle[0] + away * np.sin(angle) - 0.5 * mask.shape[0])
        left = round(middle[1] + away * np.cos(angle) - 0.5 * mask.shape[1])
        if top < 0 or left < 0 or top + mask.shape[0] > labels.shape[0] or left + mask.shape[1] > labels.shape[1]:
            return None
        box = slice(top, top + mask.shape[0]), slice(left, left + mask.shape[1])
        if np.count_nonzero(labels[box][mask]) <= overlap * area:
            return box
    return None


def _without_slivers(labels: NDArray[np.int32], before: NDArray[np.int32]) -> NDArray[np.int32]:
    """Labels (Y, X) in which each nucleus is its largest piece alone; what was ``before`` in one piece was cut."""
    out = labels.copy()
    for label in np.unique(before[(before > 0) & (labels != before)]):
        count, pieces, stats, _ = cv2.connectedComponentsWithStats((labels == label).view(np.uint8), connectivity=4)
        if count > 2:
            out[(pieces > 0) & (pieces != 1 + int(np.argmax(stats[1:, cv2.CC_STAT_AREA])))] = 0
    return out


def _noise_sd(light: Image) -> float:
    """Standard deviation of noise, from differences of neighbours in a row."""
    return float(np.median(np.abs(np.diff(light, axis=1)))) * 1.4826 / float(np.sqrt(2.0))
