"""Plate map: what is in each well."""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence
from dataclasses import dataclass

import numpy as np
import pandas as pd

from hcs.errors import PlateError
from hcs.plate.annotations import of_plate
from hcs.plate.doses import named, one_unit, pooled, read_doses, spellings
from hcs.plate.headers import NAMES, meaning, places
from hcs.plate.keys import WellId, row_name
from hcs.plate.roles import ROLES, role_of
from hcs.plate.sheet import Table, to_table

_COLUMNS = ("well", "role", "compound", "dose", "unit")
_INTEGER = re.compile(r"-?(0|[1-9]\d{0,14})")
_DECIMAL = re.compile(r"-?(0|[1-9]\d{0,14})(\.\d{1,14})?")


@dataclass(frozen=True, slots=True)
class PlateMap:
    """What is in each well: ``frame`` has one row a well, sorted by row, then column.

    Columns: ``well`` (``B03``), ``role`` (one of `ROLES`), ``compound`` (text, empty where there is none), ``dose``
    (float, NaN where there is none), ``unit`` (text), then all further columns as they were.
    """

    frame: pd.DataFrame
    understood: tuple[str, ...] = ()
    """What each column was taken for, and how many wells, compounds and doses there are."""
    notes: tuple[str, ...] = ()
    """What was not plain: passed over, brought to one unit, taken as one."""

    @classmethod
    def from_frame(cls, frame: pd.DataFrame, source: str, *, plate: str | None = None) -> PlateMap:
        """The plate map in a table with a row a well; see ``from_table``. Values are taken as the texts that they are
        written as, NaN as empty."""
        header = tuple(str(name).strip() for name in frame.columns)
        columns = [
            [str(value).strip() if pd.notna(value) else "" for value in frame.iloc[:, k]] for k in range(len(header))
        ]
        rows = [(i, tuple(column[i - 1] for column in columns)) for i in range(1, len(frame) + 1)]
        return cls.from_table(Table(header=header, rows=tuple(rows)), source, plate=plate)

    @classmethod
    def from_cells(
        cls, cells: Sequence[Sequence[str]], source: str, *, semicolons: bool = False, plate: str | None = None
    ) -> PlateMap:
        """The plate map in a sheet of text cells: a list of wells below a header, or blocks of the plate's shape; see
        `hcs.plate.sheet.to_table`. ``semicolons`` says that these separate the cells."""
        return cls.from_table(to_table(cells, source), source, semicolons=semicolons, plate=plate)

    @classmethod
    def from_table(cls, table: Table, source: str, *, semicolons: bool = False, plate: str | None = None) -> PlateMap:
        """Check and normalise texts with a well (or row and column), and optionally role, compound, dose and unit.

        Columns may have other usual names (`hcs.plate.headers.NAMES`), roles other words, wells any spelling; units are
        brought to one spelling, doses of one compound to one unit, and those that differ by less than 1 % to one. Each
        of that is said in ``understood`` and ``notes``. Of a table of several plates the rows of ``plate`` are read.
        Without a role column every well is a sample. Raises PlateError, naming ``source``, for no wells, a well that is
        none or given twice, an unknown role, a dose that is no number.
        """
        columns = _columns(table, source)
        table = of_plate(table, plate, source)
        if not table.rows:
            raise PlateError(f"plate map {source} lists no wells; write one row a well, with well and role")
        wells = _wells(table, columns, source)
        texts = {what: [row[columns[what][0]] for _, row in table.rows] for what in _COLUMNS if what in columns}
        roles, role_notes = _roles(texts.get("role"), table, wells, columns, source)
        compounds, compound_notes = spellings(texts.get("compound", [""] * len(wells)))
        doses = read_doses(
            texts.get("dose"), texts.get("unit"), columns.get("dose", (0, ""))[1], wells, source, semicolons=semicolons
        )
        doses = pooled(one_unit(doses, compounds), compounds)
        known: dict[str, object] = {"well": [str(well) for well in wells], "role": roles, "compound": compounds}
        known |= {"dose": np.array(doses.values, dtype=np.float64), "unit": list(doses.units)}
        used = {columns[what][0] for what in columns}
        further = {
            name: _typed([row[k] for _, row in table.rows]) for k, name in enumerate(table.header) if k not in used
        }
        frame = pd.DataFrame(known | _renamed(further))
        order = sorted(range(len(wells)), key=lambda i: wells[i])
        frame = frame.iloc[order].reset_index(drop=True)
        notes = (*table.notes, *_passed_over(table, columns), *role_notes, *compound_notes, *doses.notes)
        return cls(frame, _understood(frame, table, columns), notes)

    @property
    def wells(self) -> tuple[WellId, ...]:
        """The wells of the map, sorted."""
        return tuple(WellId.parse(well) for well in self.frame["well"])

    def unmatched(self, plate_wells: Iterable[WellId]) -> tuple[tuple[WellId, ...], tuple[WellId, ...]]:
        """Wells that are on the map but not on the plate, and wells on the plate but not on the map, each sorted."""
        on_map, on_plate = set(self.wells), set(plate_wells)
        return tuple(sorted(on_map - on_plate)), tuple(sorted(on_plate - on_map))


def _columns(table: Table, source: str) -> dict[str, tuple[int, str]]:
    """Places of the columns by meaning; PlateError where wells have none or a meaning has two columns of one name."""
    found = places(table.header)
    if "well" not in found and not {"row", "column"} <= found.keys():
        listed = ", ".join(filter(None, table.header)) or "none"
        missing = "no column well" + ("" if "role" in found else " and no column role")
        raise PlateError(
            f"plate map {source} has {missing}; its columns are {listed}: rename the one that names wells to well"
        )
    if "well" in found:
        found = {what: place for what, place in found.items() if what not in ("row", "column")}
    ranks: dict[tuple[str, int], str] = {}
    for name in table.header:
        what = meaning(name)
        if what is None or what.what not in found:
            continue
        if (what.what, what.rank) in ranks and what.rank == meaning(table.header[found[what.what][0]]).rank:  # type: ignore[union-attr]
            raise PlateError(f"plate map {source} has column {what.what!r} twice; rename or remove one")
        ranks[what.what, what.rank] = name
    return found


def _wells(table: Table, columns: dict[str, tuple[int, str]], source: str) -> list[WellId]:
    wells: list[WellId] = []
    seen: dict[WellId, int] = {}
    doubled: dict[WellId, list[int]] = {}
    for row, cells in table.rows:
        try:
            well = WellId.parse(_well_name(cells, columns))
        except PlateError as error:
            raise PlateError(f"plate map {source}, row {row}: {error}") from error
        if well in seen:
            doubled.setdefault(well, [seen[well]]).append(row)
        seen[well] = row
        wells.append(well)
    if doubled:
        names = ", ".join(f"{well}" for well in sorted(doubled)[:8]) + (" and others" if len(doubled) > 8 else "")
        first = min(doubled)
        where = " and ".join(map(str, doubled[first]))
        raise PlateError(
            f"plate map {source} gives well {names} more than once ({first} in rows {where}); keep one row a well, and "
            "one file a plate"
        )
    return wells


def _well_name(cells: tuple[str, ...], columns: dict[str, tuple[int, str]]) -> str:
    """The well of a row; a row given as a number is the row's, from 1."""
    if "well" in columns:
        return cells[columns["well"][0]].strip("\"'")
    row, column = (cells[columns[what][0]].strip("\"' ") for what in ("row", "column"))
    row, column = (re.sub(r"\.0$", "", text) for text in (row, column))
    if row.isascii() and row.isdigit():
        if int(row) == 0:
            raise PlateError("row 0: rows are counted from 1, or named A, B, C …")
        row = row_name(int(row) - 1)
    return row + column


def _roles(
    texts: list[str] | None,
    table: Table,
    wells: list[WellId],
    columns: dict[str, tuple[int, str]],
    source: str,
) -> tuple[list[str], list[str]]:
    """Roles, and what is to be said of them."""
    if texts is None:
        _look_for_roles(table, columns, source)
        return ["sample"] * len(wells), [
            f"no column role: every well counts as a sample, and nothing can be compared; add a column role "
            f"({', '.join(ROLES)}), `hcs readout --plate-map` then takes the new map without touching images"
        ]
    roles: list[str] = []
    words: dict[str, str] = {}
    for text, well in zip(texts, wells, strict=True):
        role = role_of(text)
        if role is None:
            raise PlateError(
                f"plate map {source}: well {well} has role {text!r}; a role is one of {', '.join(ROLES)}: write "
                "negative for the wells that others are compared with, empty for those that are not used"
            )
        if text.casefold() != role:
            words[text] = role
        roles.append(role)
    read = ", ".join(f"{text!r} as {role}" for text, role in words.items())
    return roles, [f"role {read}"] if words else []


def _look_for_roles(table: Table, columns: dict[str, tuple[int, str]], source: str) -> None:
    """PlateError where a column that is not understood holds nothing but roles."""
    used = {place for place, _ in columns.values()}
    for k, name in enumerate(table.header):
        cells = {row[k] for _, row in table.rows if row[k]}
        if k not in used and len(cells) > 1 and all(role_of(cell) for cell in cells):
            raise PlateError(f"plate map {source} has no column role, but {name!r} holds roles; rename it to role")


def _typed(texts: list[str]) -> object:
    """A further column: numbers where every cell is a plain one (``007`` and ``1E2`` are none), else texts."""
    if texts and all(_INTEGER.fullmatch(text) for text in texts):
        return np.array([int(text) for text in texts], dtype=np.int64)
    if any(texts) and all(_DECIMAL.fullmatch(text) for text in texts):
        return np.array([float(text) for text in texts])
    return [text or np.nan for text in texts]


def _renamed(further: dict[str, object]) -> dict[str, object]:
    """Further columns whose name is one of the known ones' (a second name of a compound called ``unit``), out of their
    way."""
    return {f"{name}_as_given" if name in _COLUMNS else name: values for name, values in further.items()}


def _passed_over(table: Table, columns: dict[str, tuple[int, str]]) -> list[str]:
    """Columns that mean what another, better named one is taken for."""
    notes = []
    for k, name in enumerate(table.header):
        found = meaning(name)
        if found is None or found.what not in columns or k == columns[found.what][0]:
            continue
        if found.what in NAMES:
            notes.append(f"{name!r} is carried as it is: {found.what} is {table.header[columns[found.what][0]]!r}")
    return notes


def _understood(frame: pd.DataFrame, table: Table, columns: dict[str, tuple[int, str]]) -> tuple[str, ...]:
    taken = [
        f"{what} from {table.header[at]!r}{f' in {unit}' if unit else ''}" if table.header[at] != what else what
        for what, (at, unit) in sorted(columns.items(), key=lambda item: list(NAMES).index(item[0]))
    ]
    used = {at for at, _ in columns.values()}
    carried = [name for k, name in enumerate(table.header) if k not in used]
    counts = frame["role"].value_counts()
    wells = ", ".join(f"{counts[role]} {role}" for role in ROLES if role in counts)
    lines = [
        f"columns: {', '.join(taken)}{f'; carried as they are: {named(carried)}' if carried else ''}",
        f"{len(frame)} well{'s' if len(frame) > 1 else ''}: {wells}",
    ]
    compounds = [name for name in dict.fromkeys(frame["compound"]) if name]
    if compounds:
        lines.append(f"{len(compounds)} compound{'s' if len(compounds) > 1 else ''}: {named(compounds)}")
    return (*lines, *_doses_line(frame))


def _doses_line(frame: pd.DataFrame) -> list[str]:
    dosed = frame[frame["dose"] > 0]
    parts = []
    for unit, rows in dosed.groupby("unit", sort=False):
        low, high = rows["dose"].min(), rows["dose"].max()
        span = f"{low:g}" if low == high else f"{low:g} to {high:g}"
        parts.append(
            f"{rows['dose'].nunique()} doses, {span} {unit}".strip()
            if low != high
            else f"one dose, {span} {unit}".strip()
        )
    return ["; ".join(parts)] if parts else []
