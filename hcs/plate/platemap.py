"""Plate map: what is in each well."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

import numpy as np
import pandas as pd

from hcs.errors import PlateError
from hcs.plate.keys import WellId

ROLES = ("negative", "positive", "sample", "empty")
"""What a well can be on a plate map."""

_REQUIRED = ("well", "role")
_COLUMNS = ("well", "role", "compound", "dose", "unit")


@dataclass(frozen=True, slots=True)
class PlateMap:
    """What is in each well: ``frame`` has one row a well, sorted by row, then column.

    Columns: ``well`` (``B03``), ``role`` (one of `ROLES`), ``compound`` (text, empty where there is none), ``dose``
    (float, NaN where there is none), ``unit`` (text), then all further columns as they were.
    """

    frame: pd.DataFrame

    @classmethod
    def from_frame(cls, frame: pd.DataFrame, source: str) -> PlateMap:
        """Check and normalise a table with ``well`` and ``role``, and optionally ``compound``, ``dose``, ``unit``.

        Column names and roles may be in any case, wells written ``B3``, ``B03`` or ``b03``. Raises PlateError, naming
        ``source``, for missing columns, no rows, a well that is none or given twice, an unknown role, a dose that is
        no number.
        """
        table = _with_known_names(frame, source)
        if table.empty:
            raise PlateError(f"plate map {source} lists no wells; write one row a well, with well and role")
        wells = _wells(table["well"], source)
        known = {
            "well": [str(well) for well in wells],
            "role": _roles(table["role"], wells, source),
            "compound": _texts(table, "compound"),
            "dose": _doses(table, wells, source),
            "unit": _texts(table, "unit"),
        }
        further = table.drop(columns=list(_COLUMNS), errors="ignore").reset_index(drop=True)
        order = sorted(range(len(wells)), key=lambda i: wells[i])
        result = pd.concat([pd.DataFrame(known), further], axis=1).iloc[order].reset_index(drop=True)
        return cls(result)

    @property
    def wells(self) -> tuple[WellId, ...]:
        """The wells of the map, sorted."""
        return tuple(WellId.parse(well) for well in self.frame["well"])

    def unmatched(self, plate_wells: Iterable[WellId]) -> tuple[tuple[WellId, ...], tuple[WellId, ...]]:
        """Wells that are on the map but not on the plate, and wells on the plate but not on the map, each sorted."""
        on_map, on_plate = set(self.wells), set(plate_wells)
        return tuple(sorted(on_map - on_plate)), tuple(sorted(on_plate - on_map))


def _with_known_names(frame: pd.DataFrame, source: str) -> pd.DataFrame:
    """The table with the known columns in lower case; PlateError where a required one is missing or one is doubled."""
    names = [str(name).strip() for name in frame.columns]
    names = [name.lower() if name.lower() in _COLUMNS else name for name in names]
    missing = [name for name in _REQUIRED if name not in names]
    if missing:
        found = ", ".join(names) or "none"
        raise PlateError(f"plate map {source} has no column {' and no column '.join(missing)}; its columns are {found}")
    doubled = sorted({name for name in names if names.count(name) > 1})
    if doubled:
        raise PlateError(f"plate map {source} has column {doubled[0]!r} twice; rename or remove one")
    return frame.set_axis(names, axis="columns")


def _wells(column: pd.Series, source: str) -> list[WellId]:
    wells: list[WellId] = []
    for row, name in enumerate(column, start=1):
        try:
            wells.append(WellId.parse(name))
        except PlateError as error:
            raise PlateError(f"plate map {source}, row {row}: {error}") from error
    doubled = sorted({well for well in wells if wells.count(well) > 1})
    if doubled:
        names = ", ".join(map(str, doubled))
        raise PlateError(f"plate map {source} gives well {names} more than once; keep one row a well")
    return wells


def _roles(column: pd.Series, wells: list[WellId], source: str) -> list[str]:
    roles = [str(role).strip().lower() if pd.notna(role) else "" for role in column]
    for well, role in zip(wells, roles, strict=True):
        if role not in ROLES:
            raise PlateError(f"plate map {source}: well {well} has role {role!r}; a role is one of {', '.join(ROLES)}")
    return roles


def _texts(table: pd.DataFrame, name: str) -> list[str]:
    """A column as text, empty where a cell or the whole column is missing."""
    if name not in table:
        return [""] * len(table)
    return [str(value).strip() if pd.notna(value) else "" for value in table[name]]


def _doses(table: pd.DataFrame, wells: list[WellId], source: str) -> np.ndarray[tuple[int], np.dtype[np.float64]]:
    """Doses as float64; an empty cell is NaN."""
    doses = np.full(len(table), np.nan)
    for i, text in enumerate(_texts(table, "dose")):
        if not text:
            continue
        try:
            doses[i] = float(text)
        except ValueError as error:
            raise PlateError(
                f"plate map {source}: well {wells[i]} has dose {text!r}, which is no number; "
                "write the number alone and its unit in the column unit"
            ) from error
        if not 0 <= doses[i] < np.inf:
            raise PlateError(f"plate map {source}: well {wells[i]} has dose {text}; a dose is 0 or more")
    return doses
