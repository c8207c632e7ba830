"""Names of wells, fields and frames."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass
from fnmatch import fnmatchcase

from hcs.errors import ConfigError, PlateError

_WELL = re.compile(r"^\s*([A-Za-z]{1,2})\s*0*([1-9][0-9]?)\s*$")
_OF_FOUR_ROWS = re.compile(r"^\s*([A-H])([a-d])\s*0*([1-9][0-9]?)\s*$")
"""1536 wells as four rows for each of a 96-well plate's: Aa … Hd, columns 1 … 48."""
_OF_SIXTEEN = re.compile(r"^\s*([A-Ha-h])0*([1-9]|1[0-2])[._]?([a-d])([1-4])\s*$")
"""1536 wells as sixteen for each of a 96-well plate's: A01.a1 … H12.d4 (CellVoyager; fractal-tasks-core #715)."""
_NUMBER = re.compile(r"^\s*\d{1,2}\s*$")
_FORMATS = ((8, 12), (16, 24), (32, 48))
PLATE_FORMATS = {6: (2, 3), 12: (3, 4), 24: (4, 6), 48: (6, 8), 96: (8, 12), 384: (16, 24), 1536: (32, 48)}
"""Rows and columns of a plate by its number of wells."""
_MOST_ROWS, _MOST_COLUMNS = 52, 99


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
        """Read ``B3``, ``B03``, ``b03``, ``AF48``, and the other names of 1536 wells: ``Hd48``, ``H12.d4``.

        Anything else is a PlateError naming it.
        """
        name = str(text)
        if match := _OF_FOUR_ROWS.match(name):
            return cls(row=4 * row_index(match[1]) + ord(match[2]) - ord("a"), column=int(match[3]) - 1)
        if match := _OF_SIXTEEN.match(name):
            row = 4 * row_index(match[1]) + ord(match[3]) - ord("a")
            return cls(row=row, column=4 * (int(match[2]) - 1) + int(match[4]) - 1)
        match = _WELL.match(name)
        if match is None:
            raise PlateError(f"{text!r} is not a well name; write row letters and a column number, such as B03")
        return cls(row=row_index(match[1]), column=int(match[2]) - 1)

    @classmethod
    def of(cls, row: str, column: str) -> WellId:
        """The well of a row and a column as files name them: ``B`` and ``03``, or numbers from 1, ``02`` and ``03``.

        PlateError for anything else.
        """
        if not _NUMBER.match(row):
            return cls.parse(f"{row.strip()}{column.strip()}")
        if not _NUMBER.match(column) or not 1 <= int(row) <= _MOST_ROWS or not 1 <= int(column) <= _MOST_COLUMNS:
            raise PlateError(f"row {row!r} and column {column!r} are no well; rows and columns count from 1")
        return cls(row=int(row) - 1, column=int(column) - 1)

    @classmethod
    def numbered(cls, text: str, wells: int) -> WellId:
        """The well of a running number, counted from 1 along row A, then B, on a plate of so many ``wells``.

        PlateError for a number that the plate does not have, ConfigError for a plate that there is not.
        """
        if wells not in PLATE_FORMATS:
            raise ConfigError(f"there is no plate of {wells} wells; there are {', '.join(map(str, PLATE_FORMATS))}")
        if not text.isdecimal() or not 1 <= int(text) <= wells:
            raise PlateError(f"{text!r} is no well of a plate of {wells}; wells count from 1 to {wells}")
        row, column = divmod(int(text) - 1, PLATE_FORMATS[wells][1])
        return cls(row, column)

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


def parse_wells(names: Sequence[str]) -> tuple[tuple[WellId, ...], str]:
    """The wells that names of one plate mean, in their order, and a sentence on names of another style than ``B03``.

    ``Aa1`` is the first of row A's four rows of 1536 wells; on a plate that also has rows of one letter, ``Aa`` is AA,
    the row after Z. PlateError, naming it, where a name is no well's.
    """
    doubled = {name for name in names if _OF_FOUR_ROWS.match(name)}
    single = any(re.match(r"^\s*[A-Za-z]\s*\d+\s*$", name) for name in names)
    wells = tuple(WellId.parse(name.upper() if single and name in doubled else name) for name in names)
    styled = [
        f"{name} is {well}"
        for name, well in zip(names, wells, strict=True)
        if (name in doubled and not single) or _OF_SIXTEEN.match(name)
    ]
    return wells, f"Wells are called by row and column of the 1536: {styled[0]}, {styled[-1]}." if styled else ""


def plate_shape(wells: list[WellId]) -> tuple[int, int]:
    """Rows and columns of the smallest common plate format, 96 wells or more, that holds ``wells``."""
    rows = max((w.row for w in wells), default=0) + 1
    columns = max((w.column for w in wells), default=0) + 1
    for shape in _FORMATS:
        if rows <= shape[0] and columns <= shape[1]:
            return shape
    return rows, columns


NO_FRAME = -1
"""The frame of a field that has no time, or of all a field's frames together."""


@dataclass(frozen=True, slots=True, order=True)
class FieldKey:
    """One field of one well, or one frame of it: the unit of work.

    ``field`` is its 0-based position in the well's metadata, ``frame`` the 0-based time point. A key without a frame
    means the field: all of it, whether it was imaged once or many times. ``str()`` gives ``B03/0``, of a frame
    ``B03/0/12``.
    """

    well: WellId
    field: int
    frame: int = NO_FRAME

    @classmethod
    def parse(cls, text: str) -> FieldKey:
        """Read ``B03/0`` or ``B03/0/12``, as ``str()`` writes it."""
        well, *numbers = text.split("/")
        if len(numbers) not in (1, 2) or not all(number.isdigit() for number in numbers):
            raise PlateError(f"{text!r} is not a field name; write well/number, such as B03/0, or B03/0/12 for a frame")
        return cls(WellId.parse(well), *map(int, numbers))

    @property
    def is_frame(self) -> bool:
        """Whether the key means one frame of a field that has several."""
        return self.frame != NO_FRAME

    @property
    def of_field(self) -> FieldKey:
        """The key of the whole field."""
        return FieldKey(self.well, self.field) if self.is_frame else self

    def at(self, frame: int) -> FieldKey:
        """The key of one frame of the field."""
        return FieldKey(self.well, self.field, frame)

    @property
    def file_stem(self) -> str:
        """``B03_0000``, of a frame ``B03_0000_t0012``: names of files of one unit of work."""
        return f"{self.well}_{self.field:04d}" + (f"_t{self.frame:04d}" if self.is_frame else "")

    def __str__(self) -> str:
        return f"{self.well}/{self.field}" + (f"/{self.frame}" if self.is_frame else "")


def select_wells(wells: tuple[WellId, ...], patterns: str | None) -> tuple[WellId, ...]:
    """The wells that a comma-separated list of names and wildcards (``B03,C*,*12``) names, in plate order.

    ``None`` selects all. A pattern that names no well of the plate is a ConfigError.
    """
    if patterns is None:
        return wells
    chosen: set[WellId] = set()
    for pattern in (part.strip() for part in patterns.split(",")):
        exact = _exact(pattern)
        hits = [w for w in wells if (w == exact if exact else fnmatchcase(str(w), pattern.upper()))]
        if not hits:
            raise ConfigError(f"--wells {pattern!r} names no well of this plate; it has {_summary(wells)}")
        chosen.update(hits)
    return tuple(w for w in wells if w in chosen)


def _exact(pattern: str) -> WellId | None:
    try:
        return WellId.parse(pattern)
    except PlateError:
        return None


def _summary(wells: tuple[WellId, ...]) -> str:
    names = [str(w) for w in wells]
    return ", ".join(names) if len(names) <= 6 else f"{len(names)} wells, {names[0]} to {names[-1]}"
