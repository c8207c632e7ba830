"""Plate maps that need a second source: the plate's name where a file has several plates, and compounds by their ids.

Alone in a file because a plain plate map, a row a well, needs neither.
"""

from __future__ import annotations

import re
from collections.abc import Sequence

from hcs.errors import PlateError
from hcs.plate.headers import is_header
from hcs.plate.roles import role_of
from hcs.plate.sheet import Table

_PLATES = (
    *("plate", "platename", "plateid", "platebarcode", "barcode", "assayplate", "assayplatename", "assayplatebarcode"),
    *("assayplateid", "destinationplate", "destinationplatename", "destinationplatebarcode", "platte", "plattenname"),
)
_ID, _NAME, _CONTROL = "broad_sample", "pert_iname", "control_type"

Rows = Sequence[tuple[str, ...]]


def of_plate(table: Table, plate: str | None, source: str) -> Table:
    """The rows of the plate called ``plate``, where a column of the table names several plates; else all rows.

    Names are compared without case, blanks and signs. PlateError where none of several plates has the name.
    """
    places = [k for k, name in enumerate(table.header) if _plain(name).removeprefix("metadata") in _PLATES]
    for at in places:
        names = list(dict.fromkeys(cells[at] for _, cells in table.rows if cells[at]))
        if len(names) < 2:
            continue
        if plate is None:
            raise PlateError(
                f"plate map {source} is of {len(names)} plates ({_some(names)}), and no plate is named that it is read "
                "for; keep one file a plate"
            )
        wanted = [name for name in names if _plain(name) == _plain(plate)]
        if not wanted:
            raise PlateError(
                f"plate map {source}: its column {table.header[at]!r} names {len(names)} plates ({_some(names)}), and "
                f"none is called {plate!r}, as the plate is; rename it in the map, or keep one file a plate"
            )
        rows = tuple(row for row in table.rows if row[1][at] in wanted)
        note = f"of {len(names)} plates, the rows of {wanted[0]!r} by column {table.header[at]!r}"
        return Table(header=table.header, rows=rows, notes=(*table.notes, note), from_grids=table.from_grids)
    return table


def _plain(text: str) -> str:
    return re.sub(r"[^a-z0-9äöüß]", "", text.casefold().removesuffix(".zarr").removesuffix(".ome"))


def _some(names: Sequence[str]) -> str:
    return ", ".join(names[:4]) + (", …" if len(names) > 4 else "")


def lacks_roles(rows: Rows) -> bool:
    """Whether the rows are those of a JUMP plate map, which has ids of compounds and says elsewhere what these are."""
    header = next((row for row in rows if is_header(row)), ())
    names = {cell.strip() for cell in header}
    return _ID in names and not names & {_CONTROL, "pert_type", "role"}


def with_compounds(rows: Rows, metadata: Rows) -> list[tuple[str, ...]]:
    """The rows of a JUMP plate map with role and name of what each id stands for, by the ``metadata`` of the ids.

    A well without an id is what the metadata has under NA, the solvent. The id stays the compound: one name may have
    several.
    """
    at = next(i for i, row in enumerate(rows) if is_header(row))
    about = [tuple(cell.strip() for cell in row) for row in metadata if any(row)]
    place = {name: k for k, name in enumerate(about[0])} if about else {}
    if _ID not in place or _CONTROL not in place:
        return list(rows)
    known: dict[str, tuple[str, str]] = {}
    for row in about[1:]:
        cells = {name: row[k] if k < len(row) else "" for name, k in place.items()}
        identity = "" if cells[_ID] == "NA" else cells[_ID]
        known[identity] = role_of(cells[_CONTROL]) or "sample", cells.get(_NAME) or cells.get("gene", "")
    column = [cell.strip() for cell in rows[at]].index(_ID)
    found = [*rows[:at], (*rows[at], "role", "name")]
    for row in rows[at + 1 :]:
        identity = row[column].strip() if column < len(row) else ""
        wide = (*row, *[""] * (len(rows[at]) - len(row)))
        found.append((*wide, *known.get(identity, ("sample", ""))) if any(row) else row)
    return found
