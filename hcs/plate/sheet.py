"""A sheet of text cells, as CSV files and workbooks give it, made into one table: a row a well."""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field

from hcs.errors import PlateError
from hcs.plate.headers import is_header, meaning
from hcs.plate.keys import row_index, row_name

Row = tuple[int, tuple[str, ...]]
"""A row's number in the file, from 1, and its cells, without blanks around them."""

_ROW_LETTERS = re.compile(r"[A-Za-z]{1,2}")
_LEAST_ROWS, _LEAST_COLUMNS = 2, 3  # of a grid


@dataclass(frozen=True, slots=True, kw_only=True)
class Table:
    """One row a well: ``header`` names the cells of each of ``rows``; ``notes`` say what was passed over."""

    header: tuple[str, ...]
    rows: tuple[Row, ...]
    notes: tuple[str, ...] = field(default=())
    from_grids: bool = False


@dataclass(frozen=True, slots=True)
class _Grid:
    """A block of the plate's shape: what it gives, and a value for some wells."""

    name: str
    values: dict[str, str]
    rows: tuple[int, int]


def to_table(rows: Sequence[Sequence[str]], source: str) -> Table:
    """The table in a sheet whose first row is number 1.

    Empty rows and columns are dropped, rows before the header are titles. Where no row names columns, blocks of the
    plate's shape (letters downwards, numbers 1, 2, 3 … rightwards) are looked for, each with its name in the upper left
    corner or in the row above. PlateError where there is neither.
    """
    filled = [(i, tuple(cell.strip() for cell in row)) for i, row in enumerate(rows, start=1)]
    filled = [(i, row) for i, row in filled if any(row)]
    if not filled:
        raise PlateError(f"plate map {source} is empty; write a header with well and role, then one row a well")
    at = next((k for k, (_, cells) in enumerate(filled) if is_header(cells)), None)
    grids = list(_grids(filled, source)) if at is None else []
    if grids:
        return _joined(grids, source)
    return _listed(filled, at or 0)


def _listed(filled: list[Row], at: int) -> Table:
    """The table whose header is row ``at`` of those filled; its wholly empty columns are dropped."""
    titles, (_, header), body = filled[:at], filled[at], filled[at + 1 :]
    width = max(len(cells) for _, cells in filled[at:])
    padded = [(i, (*cells, *[""] * (width - len(cells)))) for i, cells in body]
    header = (*header, *[""] * (width - len(header)))
    kept = [k for k in range(width) if header[k] or any(cells[k] for _, cells in padded)]
    notes = []
    if titles:
        lines = (
            f"row {titles[0][0]} is a title" if len(titles) == 1 else f"{len(titles)} rows before the header are titles"
        )
        notes.append(f"{lines}, not read: {_short(' '.join(filter(None, titles[0][1])))!r}")
    nameless = [k for k in kept if not header[k]]
    if nameless:
        notes.append(f"{len(nameless)} column{'s' if len(nameless) > 1 else ''} without a name not read")
    kept = [k for k in kept if header[k]]
    return Table(
        header=tuple(header[k] for k in kept),
        rows=tuple((i, tuple(cells[k] for k in kept)) for i, cells in padded),
        notes=tuple(notes),
    )


def _short(text: str) -> str:
    return text if len(text) <= 40 else f"{text[:37]}…"


def _grids(filled: list[Row], source: str) -> Iterator[_Grid]:
    """Every block of the plate's shape: a row with the numbers 1, 2, 3 …, and below it rows named A, B, C …"""
    numbered = dict(filled)
    for i, cells in filled:
        for start, count in _number_runs(cells):
            values: dict[str, str] = {}
            last = i
            for letter in range(32):
                below = numbered.get(i + 1 + letter, ())
                name = below[start - 1] if 0 < start <= len(below) else ""
                if not _ROW_LETTERS.fullmatch(name) or row_index(name) != letter:
                    break
                last = i + 1 + letter
                for column in range(count):
                    at = start + column
                    values[f"{row_name(letter)}{column + 1:02d}"] = below[at] if at < len(below) else ""
            if last - i >= _LEAST_ROWS:
                yield _Grid(_grid_name(numbered, i, start - 1, source), values, (i, last))


def _number_runs(cells: tuple[str, ...]) -> Iterator[tuple[int, int]]:
    """Start and length of every run 1, 2, 3 … in a row."""
    for start in (k for k, cell in enumerate(cells) if cell in ("1", "01", "1.0")):
        count = 0
        while start + count < len(cells) and re.fullmatch(rf"0*{count + 1}(\.0)?", cells[start + count]):
            count += 1
        if start > 0 and count >= _LEAST_COLUMNS:
            yield start, count


def _grid_name(numbered: dict[int, tuple[str, ...]], i: int, corner: int, source: str) -> str:
    """The name of the block whose header is row ``i``: its corner, else the cell above, else the only one of the row
    above."""
    name = numbered[i][corner]
    above = numbered.get(i - 1, ())
    if not name and corner < len(above):
        name = above[corner]
    texts = [cell for cell in above if cell]
    if not name and len(texts) == 1:
        name = texts[0]
    if not name:
        raise PlateError(
            f"plate map {source}: the block at row {i} has no name; write role, compound, dose or unit into its upper "
            "left cell"
        )
    return name


def _joined(grids: list[_Grid], source: str) -> Table:
    """One row for each well that any of the blocks has a value for."""
    names = [grid.name for grid in grids]
    for name in names:
        if names.count(name) > 1:
            raise PlateError(f"plate map {source} has two blocks called {name!r}; rename or remove one")
        found = meaning(name)
        if found is not None and found.what in ("well", "row", "column"):
            raise PlateError(f"plate map {source} has a block called {name!r}; name it by what it gives, such as role")
    wells = sorted({well for grid in grids for well, value in grid.values.items() if value}, key=_by_place)
    first = grids[0].rows[0]
    rows = tuple((first, (well, *[grid.values.get(well, "") for grid in grids])) for well in wells)
    blocks = ", ".join(f"{grid.name} (rows {grid.rows[0]} to {grid.rows[1]})" for grid in grids)
    return Table(
        header=("well", *names), rows=rows, notes=(f"read as blocks of the plate's shape: {blocks}",), from_grids=True
    )


def _by_place(well: str) -> tuple[int, int]:
    letters = re.match(r"[A-Z]+", well)
    assert letters is not None
    return row_index(letters[0]), int(well[letters.end() :])
