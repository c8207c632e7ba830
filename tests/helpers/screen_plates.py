"""Well tables made up for tests: plates of any layout, and that of BBBC013."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import numpy.typing as npt
import pandas as pd

Floats = npt.NDArray[np.float64]
READOUT = "Mean_Signal"
BBBC013 = Path(__file__).with_name("data") / "bbbc013-wells.csv"


def well_names(rows: int, columns: int) -> list[str]:
    return [f"{chr(ord('A') + r)}{c + 1:02d}" for r in range(rows) for c in range(columns)]


def well_table(
    wells: list[str],
    roles: list[str],
    values: npt.ArrayLike,
    *,
    compounds: list[str] | None = None,
    doses: npt.ArrayLike | None = None,
    **columns: object,
) -> pd.DataFrame:
    """One plate's wells with the readout ``Mean_Signal`` and further ``columns``."""
    frame = pd.DataFrame(
        {
            "Metadata_Plate": "P1",
            "Metadata_Well": wells,
            "Metadata_Role": roles,
            "Metadata_Compound": compounds if compounds is not None else [""] * len(wells),
            "Metadata_Dose": np.full(len(wells), np.nan) if doses is None else doses,
            "Metadata_Unit": "nM",
            "Count_Nuclei": 100,
            "Count_Nuclei_Measured": 100,
            READOUT: np.asarray(values, dtype=np.float64),
        }
    )
    return frame.assign(**columns)


def control_plate(values: dict[str, list[float]], **columns: object) -> pd.DataFrame:
    """Negatives in row C, positives in row D, from column 2 on: none at the edge of a 96-well plate."""
    wells, roles, numbers = [], [], []
    for row, role in (("C", "negative"), ("D", "positive")):
        for i, value in enumerate(values[role]):
            wells.append(f"{row}{i + 2:02d}")
            roles.append(role)
            numbers.append(value)
    return well_table(wells, roles, numbers, **columns)  # type: ignore[arg-type]


def bbbc013() -> pd.DataFrame:
    """Wells of BBBC013 (image set BBBC013v1 by Ilya Ravkin, CC BY 3.0) as `benchmarks/bbbc013.py` measured them."""
    table = pd.read_csv(BBBC013)
    texts = ["Metadata_Compound", "Metadata_Unit", "Metadata_Group", "Metadata_Role"]
    return table.assign(**{name: table[name].fillna("").astype(object) for name in texts})
