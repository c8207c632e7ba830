"""Recall by the true nucleus' sensor ratio and precision by the found one's, as in Fig. 4 of the CDK2-sensor paper.

Nuclei found in the channel of a translocating sensor are missed most where they are as bright as their cytoplasm, so
one recall for all says little of a screen in which every compound has its own mix of ratios.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from hcs.evaluate.matching import THRESHOLDS, Floats, match_numbered, scored_labels
from hcs.evaluate.values import find_value

EDGES: tuple[float, ...] = (0.0, 0.5, 1.0)
"""Where the ranges low, medium and high begin."""
NAMES = ("low", "medium", "high")


@dataclass(frozen=True, slots=True)
class FieldByRatio:
    """The nuclei of one field: their ratios, NaN where there is none, and whether they have a partner at each IoU of
    `THRESHOLDS`."""

    true_ratio: Floats
    """(n,)"""
    found_ratio: Floats
    """(m,)"""
    true_hit: NDArray[np.bool_]
    """(n, thresholds)"""
    found_hit: NDArray[np.bool_]
    """(m, thresholds)"""


def field_by_ratio(
    truth: NDArray[np.integer],
    found: NDArray[np.integer],
    image: NDArray[Any],
    *,
    ignore: NDArray[np.bool_] | None = None,
) -> FieldByRatio:
    """The nuclei of ``truth`` and ``found`` (Y, X), matched, with their ratios in the sensor ``image`` (Y, X).

    ``ignore`` (Y, X) counts for neither side. Ratios are measured among all nuclei: no ring lies on an ignored one.
    """
    one, other = scored_labels(truth, found, ignore=ignore)
    matching = match_numbered(one, other)
    hits = np.array([matching.pairs(threshold) for threshold in THRESHOLDS]).T.reshape(-1, len(THRESHOLDS))
    true_hit = np.zeros((matching.n_true, len(THRESHOLDS)), bool)
    found_hit = np.zeros((matching.n_predicted, len(THRESHOLDS)), bool)
    np.logical_or.at(true_hit, matching.pair_true, hits)
    np.logical_or.at(found_hit, matching.pair_predicted, hits)
    return FieldByRatio(ratios_of(truth, one.values, image), ratios_of(found, other.values, image), true_hit, found_hit)


def ratios_of(labels: NDArray[np.integer], values: NDArray[np.int64], image: NDArray[Any]) -> Floats:
    """Sensor ratios (n,) of the labels ``values`` among all ``labels`` (Y, X), measured as `hcs run` does in a field by
    itself."""
    every = np.unique(labels)
    measured = find_value("ratio", with_images=True).measure(labels.astype(np.int64), image)
    return measured[np.searchsorted(every[every > 0], values)]


def ranges_table(fields: Iterable[FieldByRatio], *, edges: tuple[float, ...] = EDGES) -> list[dict[str, Any]]:
    """One row for each range of ratio and IoU: from, to, iou, true and found nuclei, recall and precision; NaN where a
    range has no nuclei. Nuclei without a ratio are in none."""
    every = list(fields)
    true_ratio = np.concatenate([np.empty(0), *(field.true_ratio for field in every)])
    found_ratio = np.concatenate([np.empty(0), *(field.found_ratio for field in every)])
    none = np.empty((0, len(THRESHOLDS)), bool)
    true_hit = np.concatenate([none, *(field.true_hit for field in every)])
    found_hit = np.concatenate([none, *(field.found_hit for field in every)])
    rows = []
    for start, stop in zip(edges, (*edges[1:], np.inf), strict=True):
        mine = (true_ratio >= start) & (true_ratio < stop)
        theirs = (found_ratio >= start) & (found_ratio < stop)
        for k, threshold in enumerate(THRESHOLDS):
            row = {"from": start, "to": stop, "iou": threshold, "true": int(mine.sum()), "found": int(theirs.sum())}
            row["recall"] = float(true_hit[mine, k].mean()) if mine.any() else float("nan")
            row["precision"] = float(found_hit[theirs, k].mean()) if theirs.any() else float("nan")
            rows.append(row)
    return rows
