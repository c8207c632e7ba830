"""What cannot be trusted where nuclei were found in the sensor's own channel: those that are about as bright as their
cytoplasm are missed most, and the readouts lean away from them.

The model's card says how many of the true nuclei it found, and how many of its nuclei were true, by sensor ratio, on
wells that it was not trained on. A plate's nuclei of each range, times precision over recall, are about what there is;
the difference that makes to the mean ratio is the bias. It is an estimate: recall on another plate may be another, and
a nucleus is taken to be of the range that its ratio was measured in.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt
import pandas as pd

from hcs.plate.channels import NUCLEI_CHANNEL
from hcs.readout.columns import text_column
from hcs.readout.settings import ReadoutSettings
from hcs.readout.wells.nuclei import SENSOR_RATIO, measured_rows, numbers, rows_of_wells, well_codes

Floats = npt.NDArray[np.float64]

MEDIUM, BIAS = "Fraction_SensorMedium", "Bias_Nuclei_Sensor_Ratio"
MEDIUM_RATIO = (0.5, 1.0)
"""Ratios of nuclei that are about as bright as their cytoplasm, and found worst (the CDK2 sensor's U-Net, too)."""

DARK_RATIO = 5.0
"""Ratio above which a nucleus is likelier a hole between cells: it is nearly as dark as the background."""
CHANNEL_COLUMN = text_column(
    NUCLEI_CHANNEL, "channel in which nuclei were found, where that is the sensor's; else the column is absent", "hcs"
)


@dataclass(frozen=True, slots=True)
class FoundByRatio:
    """How a model found nuclei of some ranges of sensor ratio on held-out wells; arrays (k,)."""

    edges: Floats
    """(k + 1,) from 0 to infinity."""
    recall: Floats
    precision: Floats
    wells: str
    """Which wells these were."""

    @property
    def weights(self) -> Floats:
        """What a found nucleus of each range stands for; NaN where it is not known."""
        with np.errstate(divide="ignore", invalid="ignore"):
            return np.where(self.recall > 0, self.precision / self.recall, np.nan)

    def weights_of(self, ratio: Floats) -> Floats:
        """The weight (n,) of each nucleus by its ratio (n,); NaN without a ratio."""
        place = np.clip(np.searchsorted(self.edges, ratio, side="right") - 1, 0, len(self.recall) - 1)
        return np.where(np.isfinite(ratio), self.weights[place], np.nan)


def read_found_by_ratio(plain: Mapping[str, Any] | None) -> FoundByRatio | None:
    """The model card's ``found_by_ratio`` (keys wells, ranges: from, recall, precision); None where it has none."""
    if not plain or not plain.get("ranges"):
        return None
    ranges: Sequence[Mapping[str, Any]] = plain["ranges"]
    recall, precision = (np.array([float(each[key]) for each in ranges]) for key in ("recall", "precision"))
    starts = [float(each["from"]) for each in ranges]
    return FoundByRatio(np.array([*starts, np.inf]), recall, precision, str(plain.get("wells", "held-out wells")))


def bias_of_mean(ratio: Floats, found: FoundByRatio) -> float:
    """By how much the mean of ``ratio`` (n,) exceeds the mean with every nucleus weighted; NaN without a ratio."""
    known = ratio[np.isfinite(ratio)]
    weights = found.weights_of(known)
    if not known.size or not np.isfinite(weights).all() or weights.sum() <= 0:
        return float("nan")
    return float(known.mean() - np.average(known, weights=weights))


def add_by_sensor(
    wells: pd.DataFrame, nuclei: pd.DataFrame, settings: ReadoutSettings, *, channel: str, found: FoundByRatio | None
) -> pd.DataFrame:
    """The well table with the columns that it has only then; nuclei were found in the sensor's ``channel``."""
    names = list(map(str, wells["Metadata_Well"]))
    ratio = numbers(nuclei, SENSOR_RATIO)
    rows = rows_of_wells(well_codes(nuclei["Metadata_Well"], names), measured_rows(nuclei, settings), len(names))
    medium, bias = np.full(len(names), np.nan), np.full(len(names), np.nan)
    for i, chosen in enumerate(rows):
        medium[i] = _medium(ratio[chosen])
        bias[i] = np.nan if found is None else bias_of_mean(ratio[chosen], found)
    table = wells.copy()
    table[NUCLEI_CHANNEL], table[MEDIUM], table[BIAS] = channel, medium, bias
    return table


def by_sensor_notes(
    wells: pd.DataFrame,
    nuclei: pd.DataFrame,
    settings: ReadoutSettings,
    *,
    channel: str,
    model: str,
    found: FoundByRatio | None,
) -> tuple[str, ...]:
    """Sentences: nuclei come from the sensor, how many are of the kind that is found worst, and the bias that follows,
    over the plate and of its controls."""
    first = f"Nuclei were found in the sensor channel {channel} itself, by the model {model}, not in a nuclear stain."
    ratio = numbers(nuclei, SENSOR_RATIO)[measured_rows(nuclei, settings)]
    share = _medium(ratio)
    if not np.isfinite(share):
        return (f"{first} None has a sensor ratio, so nothing can be said of what was missed.",)
    worst = (
        f"{share:.0%} of them have a sensor ratio of {MEDIUM_RATIO[0]:g} to {MEDIUM_RATIO[1]:g}: about as bright as "
        "their cytoplasm, they are missed most often"
    )
    dark = float((~(ratio <= DARK_RATIO)).mean())
    holes = (
        f"{dark:.1%} of them have a ratio above {DARK_RATIO:g}, or none (as dark as the background, or no room for a "
        "ring): round holes between cells, which the network takes for nuclei, are among these."
    )
    if found is None:
        return (first, holes, f"{worst}; how often, the model's card does not say, so the bias is not known.")
    place = int(np.searchsorted(found.edges, MEDIUM_RATIO[0], side="right")) - 1
    told = f"({found.wells}: recall {found.recall[place]:.2f}, all ranges {_listed(found)})"
    return first, f"{worst} {told}.", holes, _bias_sentence(wells, ratio, settings, found)


def _bias_sentence(wells: pd.DataFrame, ratio: Floats, settings: ReadoutSettings, found: FoundByRatio) -> str:
    known = ratio[np.isfinite(ratio)]
    high = (known > settings.sensor_threshold).astype(np.float64)
    above = 100.0 * (high.mean() - np.average(high, weights=found.weights_of(known)))
    roles = [
        f"{value:+.3f} in {role} controls"
        for role in ("negative", "positive")
        if np.isfinite(value := float(wells.loc[wells["Metadata_Role"] == role, BIAS].mean()))
    ]
    off = ", ".join([f"{bias_of_mean(ratio, found):+.3f} over all nuclei", *roles])
    return (
        f"If the model finds nuclei of this plate as it did those, the mean sensor ratio is off by about {off}; "
        f"the share above {settings.sensor_threshold:g} by {above:+.1f} points. {BIAS} in wells has it by well."
    )


def _medium(ratio: Floats) -> float:
    known = ratio[np.isfinite(ratio)]
    low, high = MEDIUM_RATIO
    return float(((known >= low) & (known < high)).mean()) if known.size else float("nan")


def _listed(found: FoundByRatio) -> str:
    return ", ".join(
        f"from {start:g} {recall:.2f}" for start, recall in zip(found.edges[:-1], found.recall, strict=True)
    )
