"""Rows of the nucleus table: which are measured, which are negative controls', which well each belongs to."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt
import pandas as pd

from hcs.columns import DEAD
from hcs.errors import ResultsError
from hcs.readout.settings import ReadoutSettings

DNA_CONTENT = "Nuclei_DNA_Content"
NO_DNA = "no DNA channel was measured"
"""The reason of everything that needs one."""
SENSOR_RATIO = "Nuclei_Sensor_Ratio"
TOUCHES_BORDER = "Nuclei_Flag_TouchesBorder"
AREA = "Nuclei_AreaShape_Area"
SOLIDITY = "Nuclei_AreaShape_Solidity"
MICRONUCLEI = "Nuclei_Micronuclei_Count"

Rows = npt.NDArray[np.bool_]
Codes = npt.NDArray[np.intp]


def measured_rows(nuclei: pd.DataFrame, settings: ReadoutSettings) -> Rows:
    """Whether statistics are made of each nucleus (n,): all, or those that do not touch the field's border and, where
    dead cells are flagged and left out, are alive."""
    keep = ~dead_rows(nuclei, settings)
    if settings.exclude_border and TOUCHES_BORDER in nuclei:
        keep &= ~nuclei[TOUCHES_BORDER].to_numpy(dtype=bool)
    return keep


def dead_rows(nuclei: pd.DataFrame, settings: ReadoutSettings) -> Rows:
    """Whether each nucleus (n,) is flagged as a dead cell and left out for that."""
    if not settings.dead.exclude or DEAD not in nuclei:
        return np.zeros(len(nuclei), bool)
    return nuclei[DEAD].to_numpy(dtype=bool, copy=True)


def source_rows(nuclei: pd.DataFrame, plate_map: pd.DataFrame | None, settings: ReadoutSettings) -> tuple[str, Rows]:
    """Which wells the 2N peak is taken from, in words, and whether each nucleus (n,) is a measured one of theirs.

    Those of the negative controls; all wells without a plate map, or where no negative control has nuclei.
    """
    measured = measured_rows(nuclei, settings)
    if plate_map is None:
        return "all wells (no plate map)", measured
    negatives = plate_map.loc[plate_map["role"] == "negative", "well"]
    here = measured & nuclei["Metadata_Well"].isin(negatives.tolist()).to_numpy(dtype=bool)
    if not here.any():
        return "all wells (no nuclei in negative controls)", measured
    wells = nuclei["Metadata_Well"][here].nunique()
    return f"{wells} negative-control well{'s' if wells > 1 else ''}", here


def well_codes(names: pd.Series, wells: list[str]) -> Codes:
    """Place (n,) of each nucleus' well among ``wells``; ResultsError for a well that is not among them."""
    codes = pd.Index(wells).get_indexer(pd.Index(names.astype(object)))
    if (codes < 0).any():
        stranger = names.iloc[int(np.argmax(codes < 0))]
        raise ResultsError(
            f"the nucleus table has nuclei of well {stranger}, which is not among the {len(wells)} expected "
            "wells; the folder holds parts of another run, remove them or choose another folder"
        )
    return codes


def rows_of_wells(codes: Codes, keep: Rows, n_wells: int) -> list[Codes]:
    """Places of the kept nuclei of each well, in the table's order."""
    kept = np.flatnonzero(keep)
    kept = kept[np.argsort(codes[kept], kind="stable")]
    return np.split(kept, np.cumsum(np.bincount(codes[kept], minlength=n_wells))[:-1])


def numbers(nuclei: pd.DataFrame, column: str) -> npt.NDArray[np.float64]:
    """A column as floats (n,), in the table's order; NaN where the table has no such column."""
    if column not in nuclei:
        return np.full(len(nuclei), np.nan)
    return nuclei[column].to_numpy(dtype=np.float64)


def saturated_rows(nuclei: pd.DataFrame, channel: str | None) -> Rows | None:
    """Whether each nucleus (n,) has saturated pixels in a channel; None where that was not recorded."""
    pixels = saturated_pixels(nuclei, channel)
    return None if pixels is None else pixels > 0


def saturated_pixels(nuclei: pd.DataFrame, channel: str | None) -> npt.NDArray[np.float64] | None:
    """Number (n,) of each nucleus' saturated pixels in a channel; None where that was not recorded."""
    if channel is None:
        return None
    column = f"Nuclei_Flag_SaturatedPixels_{''.join(c for c in channel if c.isalnum())}"
    return numbers(nuclei, column) if column in nuclei else None
