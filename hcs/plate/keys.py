"""Names of wells and fields."""

from __future__ import annotations

import re
from dataclasses import dataclass
from fnmatch import fnmatchcase

from hcs.errors import ConfigError, PlateError

_WELL = re.compile(r"^\s*([A-Za-z]{1,2})\s*0*([1-9][0-9]?)\s*$")
_FORMATS = ((8, 12), (16, 24), (32, 48))


def row_index(letters: str) -> int:
    """0-based index of a row named A…Z, AA…AF (1536-well plates have 32 rows)."""
    index = 0
    for letter in letters.upper():
        index = index * 26 + ord(letter) - ord("A") + 1
    return index - 1


def row_name(index: int) -> str:
    """Row letters of a 0-based row index: 0 → A, 25 → Z, 26 → AA."""
    if index < 26:
        return chr(ord("A") + index)
    return chr(ord("A") + index // 26 - 1) + chr(ord("A") + index % 26)


@dataclass(frozen=True, slots=True, order=True)
class WellId:
    """One well; ``row`` and ``column`` are 0-based, ``str()`` gives ``B03``. Sorts by row, then column."""

    row: int
    column: int

    @classmethod
    def parse(cls, text: str) -> WellId:
        """Read ``B3``, ``B03``, ``b03``, ``AF48``; anything else is a PlateError naming it."""
        match = _WELL.match(str(text))
        if match is None:
            raise PlateError(f"{text!r} is not a well name; write row letters and a column number, such as B03")
        return cls(row=row_index(match[1]), column=int(match[2]) - 1)

    @property
    def row_name(self) -> str:
        """Row letters, such as ``B``."""
        return row_name(self.row)

    @property
    def column_name(self) -> str:
        """Column number of at least two digits, such as ``03``."""
        return f"{self.column + 1:02d}"

    def __str__(self) -> str:
        return self.row_name + self.column_name


def plate_shape(wells: list[WellId]) -> tuple[int, int]:
    """Rows and columns of the smallest common plate format, 96 wells or more, that holds ``wells``."""
    rows = max((w.row for w in wells), default=0) + 1
    columns = max((w.column for w in wells), default=0) + 1
    for shape in _FORMATS:
        if rows <= shape[0] and columns <= shape[1]:
            return shape
    return rows, columns


@dataclass(frozen=True, slots=True, order=True)
class FieldKey:
    """One field of one well: the unit of work. ``field`` is its 0-based position in the well's metadata."""

    well: WellId
    field: int

    @classmethod
    def parse(cls, text: str) -> FieldKey:
        """Read ``B03/0``, as ``str()`` writes it."""
        well, _, field = text.partition("/")
        if not field.isdigit():
            raise PlateError(f"{text!r} is not a field name; write well/number, such as B03/0")
        return cls(WellId.parse(well), int(field))

    def __str__(self) -> str:
        return f"{self.well}/{self.field}"


def select_wells(wells: tuple[WellId, ...], patterns: str | None) -> tuple[WellId, ...]:
    """The wells that a comma-separated list of names and wildcards (``B03,C*,*12``) names, in plate order.

    ``None`` selects all. A pattern that names no well of the plate is a ConfigError.
    """
    if patterns is None:
        return wells
    chosen: set[WellId] = set()
    for pattern in (part.strip() for part in patterns.split(",")):
        exact = WellId.parse(pattern) if _WELL.match(pattern) else None
        hits = [w for w in wells if (w == exact if exact else fnmatchcase(str(w), pattern.upper()))]
        if not hits:
            raise ConfigError(f"--wells {pattern!r} names no well of this plate; it has {_summary(wells)}")
        chosen.update(hits)
    return tuple(w for w in wells if w in chosen)


def _summary(wells: tuple[WellId, ...]) -> str:
    names = [str(w) for w in wells]
    return ", ".join(names) if len(names) <= 6 else f"{len(names)} wells, {names[0]} to {names[-1]}"
