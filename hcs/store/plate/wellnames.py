"""How the wells of an OME-Zarr plate are called: by their paths, their rows and columns, or their indices.

NGFF lets rows and columns have any alphanumeric name and gives a well's place twice, by its path and by its indices.
hcs calls wells by row letters and column number; where a plate does not, or contradicts itself, a sentence says what
was done.
"""

from __future__ import annotations

from collections.abc import Sequence

from hcs.errors import PlateError
from hcs.plate.keys import WellId, parse_wells
from hcs.store.paths import shown
from hcs.store.plate.metadata import PlateMetadata, WellReference

_MOST_ROWS, _MOST_COLUMNS = 52, 99


def name_wells(metadata: PlateMetadata) -> tuple[dict[WellId, str], tuple[str, ...]]:
    """The path of every well that a plate lists, in the order listed, and sentences on names that were not plain.

    A path that is row letters and a column number names the well. Where the indices name another, the path counts: it
    is what folders and files are called. Otherwise the names of row and column at the indices count, then numbers of
    rows and columns, then the indices themselves. Raises ValueError where a path or a well is listed twice, two rows or
    columns have one name, or a well has no name at all.
    """
    rows, columns = ([item.name for item in items] for items in (metadata.rows, metadata.columns))
    for what, names in (("row", rows), ("column", columns)):
        again = _doubled(names)
        if again is not None:
            raise ValueError(f"two {what}s are called {_text(again)}; give every {what} one name")
    paths = [well.path.strip("/") for well in metadata.wells]
    again = _doubled(paths)
    if again is not None:
        named = _parsed([again.replace("/", "")])
        what = f"well {named[0][0]}" if named else "a well"
        raise ValueError(f"{what} is listed twice, both times with path {_text(again)}; list every well once")
    wells, notes = _named(metadata.wells, paths, rows, columns)
    found: dict[WellId, str] = {}
    for well, path in zip(wells, paths, strict=True):
        if well in found:
            raise ValueError(f"well {well} is listed twice, as {_text(found[well])} and {_text(path)}")
        found[well] = path
    return found, notes


def _text(text: str) -> str:
    """A text from outside, short and printable."""
    return shown(text)[1:-1]


def _doubled(names: list[str]) -> str | None:
    """The first name that occurs more than once."""
    seen: set[str] = set()
    return next((name for name in names if name in seen or seen.add(name)), None)  # type: ignore[func-returns-value]


def _named(
    references: Sequence[WellReference], paths: list[str], rows: list[str], columns: list[str]
) -> tuple[tuple[WellId, ...], tuple[str, ...]]:
    from_zero = "0" in {*rows, *columns} or any("0" in path.split("/") for path in paths)
    pointed = _pointed(references, rows, columns)
    if not from_zero and (named := _parsed([path.replace("/", "") for path in paths])):
        wells, note = named
        other = None if pointed is None else [None if name is None else _parsed([name]) for name in pointed]
        return wells, tuple(filter(None, (note, _contradictions(references, paths, wells, other))))
    if pointed is not None and None not in pointed and (named := _parsed([name or "" for name in pointed])):
        return named[0], (_said("by the names of their rows and columns", paths, named[0]),)
    indexed = _by_index(references)
    numbered = _by_number(paths, from_zero=from_zero)
    if numbered is not None:
        agree = indexed == numbered or indexed is None
        how = f"rows and columns are numbers, from {0 if from_zero else 1}"
        if agree or not _shifted(indexed, numbered):
            return numbered, (_said(f"by number: {how}", paths, numbered),)
    if indexed is not None:
        return indexed, (_said("by their indices: their names are no row letters and column number", paths, indexed),)
    raise ValueError(
        f"{shown(paths[0].replace('/', ''))} is not a well name and well {_text(paths[0])} has no rowIndex and "
        "columnIndex; name "
        "wells by row letters and column number, such as B/03"
    )


def _parsed(names: list[str]) -> tuple[tuple[WellId, ...], str] | None:
    try:
        return parse_wells(names)
    except PlateError:
        return None


def _pointed(references: Sequence[WellReference], rows: list[str], columns: list[str]) -> list[str | None] | None:
    """Row name and column name at each well's indices, None where they point at nothing; None without indices."""
    if not rows or not columns or any(well.row is None or well.column is None for well in references):
        return None
    places = [(int(well.row or 0), int(well.column or 0)) for well in references]
    return [
        rows[row] + columns[column] if 0 <= row < len(rows) and 0 <= column < len(columns) else None
        for row, column in places
    ]


def _contradictions(
    references: Sequence[WellReference],
    paths: list[str],
    wells: tuple[WellId, ...],
    pointed: list[tuple[tuple[WellId, ...], str] | None] | None,
) -> str:
    """A sentence on wells whose indices name another well than their paths."""
    if pointed is None:
        return ""
    wrong = [
        (path, well, reference, found)
        for path, well, reference, found in zip(paths, wells, references, pointed, strict=True)
        if found is None or found[0][0] != well
    ]
    if not wrong:
        return ""
    path, well, reference, found = wrong[0]
    where = f"are those of {found[0][0]}" if found else "point at no row and column of the plate"
    return (
        f"The indices of {len(wrong)} of {len(wells)} wells contradict their paths (those of {_text(path)}, row "
        f"{reference.row} and column {reference.column}, {where}); the paths count: {_text(path)} is {well}."
    )


def _by_number(paths: list[str], *, from_zero: bool) -> tuple[WellId, ...] | None:
    """Wells of paths such as ``4/11``; None where one is no such path."""
    parts = [path.split("/") for path in paths]
    if not all(len(part) == 2 and part[0].isdecimal() and part[1].isdecimal() for part in parts):
        return None
    first = 0 if from_zero else 1
    return _within([(int(row) - first, int(column) - first) for row, column in parts])


def _by_index(references: Sequence[WellReference]) -> tuple[WellId, ...] | None:
    if any(well.row is None or well.column is None for well in references):
        return None
    return _within([(int(well.row or 0), int(well.column or 0)) for well in references])


def _within(places: list[tuple[int, int]]) -> tuple[WellId, ...] | None:
    inside = all(0 <= row < _MOST_ROWS and 0 <= column < _MOST_COLUMNS for row, column in places)
    return tuple(WellId(row, column) for row, column in places) if inside else None


def _shifted(indexed: tuple[WellId, ...] | None, numbered: tuple[WellId, ...]) -> bool:
    """Whether indices and numbers differ by the same steps in all wells: numbers then start elsewhere than thought.

    A plate that lists a few rows only has indices that count these; its numbers are then what it calls them.
    """
    if indexed is None:
        return False
    steps = {(a.row - b.row, a.column - b.column) for a, b in zip(indexed, numbered, strict=True)}
    return len(steps) == 1 and steps <= {(1, 1), (0, 1), (1, 0)}


def _said(how: str, paths: list[str], wells: tuple[WellId, ...]) -> str:
    last = f", {_text(paths[-1])} is {wells[-1]}" if len(paths) > 1 else ""
    return f"Wells are called {how}: {_text(paths[0])} is {wells[0]}{last}."
