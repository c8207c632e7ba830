"""What may lower a Z': covariates of the control wells, as columns of numbers, for each possible cause."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import pandas as pd

from hcs.plate.keys import row_name
from hcs.readout.groups import Floats, values_of
from hcs.readout.screen.plate_effects import positions_of

CAUSES = ("edge", "row", "column", "gradient", "cell count", "focus", "saturation", "confidence")
_MEASURED = {
    "cell count": ("Count_Nuclei",),
    "focus": ("Quality_Focus_",),
    "saturation": ("Quality_Saturated_", "Mean_Nuclei_Flag_SaturatedPixels_"),
    "confidence": ("Mean_Nuclei_Confidence",),
}
"""Columns, or beginnings of columns (one a channel), that measure a cause; the first that is there is taken."""
_LEAST = {"Quality_Saturated_": 1e-4, "Mean_Nuclei_Flag_SaturatedPixels_": 0.05}
"""Share of a field's pixels, and pixels a nucleus, that must be saturated in some well for it to be a cause at all."""


@dataclass(frozen=True, slots=True)
class Covariate:
    """Numbers (n_wells, k) that a cause is told by; ``names`` (k,), empty where ``reason`` says why there are none."""

    cause: str
    names: tuple[str, ...]
    numbers: Floats
    reason: str = ""

    @property
    def is_factor(self) -> bool:
        """Whether the numbers are 0 and 1 for groups of wells, here rows or columns."""
        return self.cause in ("row", "column")


def covariates_of(wells: pd.DataFrame, quality: pd.DataFrame | None) -> list[Covariate]:
    """Covariates of wells (rows), in the order of ``CAUSES``; focus and saturation one a channel.

    ``quality`` is the field table with Metadata_Well and Quality_ columns, which are averaged over a well's fields that
    are done.
    """
    place = positions_of(wells["Metadata_Well"])
    rows, columns = place.rows.astype(np.float64), place.columns.astype(np.float64)
    found = [
        Covariate("edge", ("edge",), place.edge.astype(np.float64)[:, None]),
        _factor("row", place.rows, [row_name(int(i)) for i in np.unique(place.rows)]),
        _factor("column", place.columns, [f"{i + 1:02d}" for i in np.unique(place.columns)]),
        Covariate("gradient", ("row", "column"), np.column_stack([rows, columns])),
    ]
    measured = _with_quality(wells, quality)
    for cause, starts in _MEASURED.items():
        found += _measured(cause, starts, measured)
    return found


def _factor(cause: str, codes: np.ndarray[tuple[int], np.dtype[np.int64]], names: list[str]) -> Covariate:
    return Covariate(cause, tuple(names), (codes[:, None] == np.unique(codes)[None]).astype(np.float64))


def _with_quality(wells: pd.DataFrame, quality: pd.DataFrame | None) -> pd.DataFrame:
    if quality is None:
        return wells
    names = [c for c in quality.columns if str(c).startswith("Quality_") and c not in wells]
    used = quality[quality["Status"].isin(["ok", "empty"])] if "Status" in quality else quality
    means = used.groupby("Metadata_Well")[names].mean()
    return wells.join(means, on="Metadata_Well")


def _column(cause: str, start: str, name: str, values: Floats) -> Covariate:
    most = float(np.max(values, initial=0.0, where=np.isfinite(values)))
    reason = f"{name} is {most:.2g} at most: too little to matter" if most < _LEAST.get(start, -np.inf) else ""
    return Covariate(cause, (name,), values[:, None], reason)


def _measured(cause: str, starts: tuple[str, ...], wells: pd.DataFrame) -> list[Covariate]:
    for start in starts:
        names = [str(c) for c in wells.columns if str(c) == start or (start.endswith("_") and str(c).startswith(start))]
        if names:
            return [_column(cause, start, name, values_of(wells, name)) for name in names]
    return [Covariate(cause, (), np.empty((len(wells), 0)), f"the tables have no column {starts[0]}")]
