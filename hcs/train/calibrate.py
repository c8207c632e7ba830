"""How ready a network is to call a pixel nucleus, set on the validation wells so that readouts do not lean.

A network that is unsure draws nuclei small and leaves the faint ones out, and the sensor ratio of what is left is too
far from 1; one that is too ready draws them into the cytoplasm. Its background class is made less likely by a constant,
which changes no network but one number of it: the one for which nuclei are as large as the true ones they lie on, among
those at which nuclei are found about as well as they can be. Sizes tell this better than the distribution of the ratio:
its distance from the true one differs less between neighbouring constants than between two draws of wells.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from scipy.stats import ks_2samp

from hcs.evaluate.by_ratio import FieldByRatio, field_by_ratio
from hcs.evaluate.matching import THRESHOLDS, match_numbered, scored_labels
from hcs.segment.scale import diameters_px, working_scale
from hcs.segment.segmenter import Segmenter
from hcs.segment.settings import InstanceSettings
from hcs.store.files.images import read_image, read_label_image
from hcs.tiles.settings import TileSettings
from hcs.train.data import read_index

SHIFTS: tuple[float, ...] = tuple(eighths / 8 for eighths in range(-4, 11))
"""By which the background's logit is lowered."""
_ENOUGH_F1 = 0.01
"""How much F1 at IoU 0.5 may be below the best."""
HEAD = "head.bias"


@dataclass(frozen=True, slots=True)
class Calibration:
    """One shift and what it gives on the validation fields."""

    shift: float
    f1: float
    """At IoU 0.5, over all nuclei."""
    area: float
    """Of nuclei found at IoU 0.5, over that of the true ones: the median; NaN without any."""
    distance: float
    """Kolmogorov-Smirnov distance of the ratios of true and found nuclei; NaN where too few have one."""


def calibrations(folder: Path, split: str, segmenter: Segmenter, tiles: TileSettings) -> list[Calibration]:
    """What each of `SHIFTS` gives on the fields of ``split`` in a folder of truth, all seen at the scale of their true
    median nucleus."""
    index = read_index(folder)
    rows = index[index["split"] == split]
    images = [read_image(folder / path) for path in rows["images"]]
    truths = [read_label_image(folder / path).astype(np.int64) for path in rows["labels"]]
    ignored = [read_label_image(folder / path) > 0 if path else None for path in rows["ignore"]]
    sizes = np.concatenate([np.empty(0), *map(diameters_px, truths)])
    wanted = segmenter.diameter_px
    scale = working_scale(float(np.median(sizes)), wanted) if sizes.size and wanted else working_scale(1.0, 1.0)
    settings = InstanceSettings().for_field(None, scale)
    fields: dict[float, list[FieldByRatio]] = {shift: [] for shift in SHIFTS}
    areas: dict[float, list[NDArray[np.float64]]] = {shift: [] for shift in SHIFTS}
    for image, truth, ignore in zip(images, truths, ignored, strict=True):
        seen = segmenter.probabilities(segmenter.prepare(image), tiles, scale)
        for shift, found in fields.items():
            labels = segmenter.labels(lowered(seen, shift), settings).astype(np.int64)
            found.append(field_by_ratio(truth, labels, image, ignore=ignore))
            areas[shift].append(area_ratios(truth, labels, ignore=ignore))
    return [_judged(shift, fields[shift], np.concatenate([np.empty(0), *areas[shift]])) for shift in SHIFTS]


def chosen(found: list[Calibration]) -> Calibration:
    """The area closest to the true one among shifts of an F1 close to the best; without areas, the best F1."""
    best = max(each.f1 for each in found)
    good = [each for each in found if each.f1 >= best - _ENOUGH_F1]
    told = [each for each in good if each.area > 0]
    return min(told, key=lambda each: abs(np.log(each.area))) if told else max(good, key=lambda each: each.f1)


def area_ratios(
    truth: NDArray[np.integer], found: NDArray[np.integer], *, ignore: NDArray[np.bool_] | None
) -> NDArray[np.float64]:
    """Area of each nucleus of ``found`` (Y, X) over that of the nucleus of ``truth`` (Y, X) with which it shares an IoU
    of 0.5."""
    matching = match_numbered(*scored_labels(truth, found, ignore=ignore))
    pairs = matching.pairs(THRESHOLDS[0])
    found_area = matching.predicted_area[matching.pair_predicted[pairs]]
    return np.asarray(found_area / matching.true_area[matching.pair_true[pairs]], np.float64)


def lowered(probabilities: NDArray[np.float32], shift: float) -> NDArray[np.float32]:
    """Probabilities (classes, Y, X) with the background's logit lower by ``shift``."""
    weighted = probabilities.copy()
    weighted[0] *= np.float32(np.exp(-shift))
    return np.asarray(weighted / weighted.sum(axis=0), dtype=np.float32)


def with_lowered(weights: Mapping[str, NDArray[np.float32]], shift: float) -> dict[str, NDArray[np.float32]]:
    """Weights of the network that gives `lowered` probabilities."""
    changed = dict(weights)
    changed[HEAD] = changed[HEAD].copy()
    changed[HEAD][0] -= np.float32(shift)
    return changed


def _judged(shift: float, fields: list[FieldByRatio], areas: NDArray[np.float64]) -> Calibration:
    hits = sum(int(field.true_hit[:, 0].sum()) for field in fields)
    total = sum(len(field.true_hit) + len(field.found_hit) for field in fields)
    true, found = (np.concatenate([getattr(field, name) for field in fields]) for name in ("true_ratio", "found_ratio"))
    true, found = true[np.isfinite(true)], found[np.isfinite(found)]
    distance = float(ks_2samp(true, found).statistic) if min(true.size, found.size) >= 20 else float("nan")
    area = float(np.median(areas)) if areas.size else float("nan")
    return Calibration(shift, 2.0 * hits / total if total else float("nan"), area, distance)
