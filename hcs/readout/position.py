"""Where wells lie on their plate: rows, columns, and the edge of the standard plate they belong to."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from hcs.plate.keys import WellId

_FORMATS = ((2, 3), (3, 4), (4, 6), (6, 8), (8, 12), (16, 24), (32, 48))  # SLAS plates of 6 to 1536 wells


@dataclass(frozen=True, slots=True)
class Positions:
    """0-based rows and columns (n_wells,) on a plate of ``shape`` (rows, columns)."""

    rows: npt.NDArray[np.int64]
    columns: npt.NDArray[np.int64]
    shape: tuple[int, int]

    @property
    def edge(self) -> npt.NDArray[np.bool_]:
        """Whether each well is one of the plate's outermost."""
        last_row, last_column = self.shape[0] - 1, self.shape[1] - 1
        return np.isin(self.rows, (0, last_row)) | np.isin(self.columns, (0, last_column))


def positions_of(wells: Iterable[str]) -> Positions:
    """Positions of wells (names such as ``B03``), on the smallest standard plate that holds all of them."""
    ids = [WellId.parse(str(well)) for well in wells]
    rows = np.array([well.row for well in ids], dtype=np.int64)
    columns = np.array([well.column for well in ids], dtype=np.int64)
    needed = int(rows.max(initial=0)) + 1, int(columns.max(initial=0)) + 1
    fitting = [shape for shape in _FORMATS if shape[0] >= needed[0] and shape[1] >= needed[1]]
    return Positions(rows, columns, fitting[0] if fitting else needed)
