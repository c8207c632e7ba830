"""How good a model is on wells that it never saw, found as `hcs run` finds nuclei: the size of nuclei estimated in the
input channel, one scale for all fields."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from hcs.evaluate.by_ratio import FieldByRatio, field_by_ratio, ranges_table
from hcs.evaluate.matching import CAICEDO, THRESHOLDS
from hcs.segment.diameter import nucleus_diameters, plate_diameter
from hcs.segment.segmenter import Segmenter
from hcs.segment.settings import InstanceSettings
from hcs.store.files.images import read_image, read_label_image
from hcs.tiles.settings import TileSettings
from hcs.train.data import read_index

_LOOKED_AT = 24


@dataclass(frozen=True, slots=True)
class HeldOut:
    """What a model found in one split of a folder of truth."""

    split: str
    wells: tuple[str, ...]
    fields: tuple[FieldByRatio, ...]
    diameter_px: float
    """Size of the nuclei as the model estimated it; NaN where it could not."""

    def f1(self, k: int = 0) -> float:
        """F1 at the k-th IoU of `THRESHOLDS` over all nuclei; NaN without any."""
        hits = sum(int(field.true_hit[:, k].sum()) for field in self.fields)
        total = sum(len(field.true_hit) + len(field.found_hit) for field in self.fields)
        return 2.0 * hits / total if total else float("nan")

    def card(self, wells: str) -> dict[str, Any]:
        """For the model card: scores, and recall and precision by ratio at IoU 0.5; ``wells`` says in words which these
        were. A range without nuclei is left out, and then so are all: half a table would be taken for a whole."""
        mean = float(np.mean([self.f1(THRESHOLDS.index(iou)) for iou in CAICEDO]))
        held_out = {
            "split": self.split,
            "wells": len(self.wells),
            "nuclei": sum(len(field.true_hit) for field in self.fields),
            "F1 at IoU 0.5": _number(self.f1()),
            "mean F1 over IoU 0.50-0.90": _number(mean),
            "diameter_px, estimated": _number(self.diameter_px),
        }
        ranges = [
            {"from": row["from"], **{key: _number(row[key]) for key in ("recall", "precision", "true", "found")}}
            for row in ranges_table(self.fields)
            if row["iou"] == THRESHOLDS[0]
        ]
        whole = all(row["recall"] and row["precision"] for row in ranges)
        return {"held_out": held_out} | ({"found_by_ratio": {"wells": wells, "ranges": ranges}} if whole else {})


def find_held_out(folder: Path, split: str, segmenter: Segmenter, tiles: TileSettings) -> HeldOut:
    """Nuclei of all fields of ``split`` in a folder of truth, found in their input, beside the truth."""
    index = read_index(folder)
    rows = index[index["split"] == split].sort_values("name")
    images = [read_image(folder / image) for image in rows["images"]]
    size = plate_diameter(
        [
            nucleus_diameters(segmenter.prepare(image), segmenter, tiles, InstanceSettings())
            for image in _spread(images)
        ],
        segmenter.diameter_px,
        fewest=1,
    )
    settings = InstanceSettings().for_field(None, size.scale)
    fields = []
    for image, labels, ignore in zip(images, rows["labels"], rows["ignore"], strict=True):
        found, _ = segmenter.nuclei(image, tiles, settings, scale=size.scale)
        truth = read_label_image(folder / labels).astype(np.int64)
        ignored = read_label_image(folder / ignore) > 0 if ignore else None
        fields.append(field_by_ratio(truth, found.astype(np.int64), image, ignore=ignored))
    wells = tuple(sorted(set(map(str, rows["well"])))) if "well" in rows else ()
    return HeldOut(split, wells, tuple(fields), size.px)


def _spread(images: Sequence[Any]) -> Sequence[Any]:
    step = max(len(images) // _LOOKED_AT, 1)
    return images[step // 2 :: step]


def _number(value: float) -> float | int | None:
    """As JSON holds it: rounded, None for NaN."""
    if isinstance(value, int):
        return value
    return None if np.isnan(value) else round(float(value), 4)
