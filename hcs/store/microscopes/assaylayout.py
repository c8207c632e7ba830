"""Harmony's assay layout: what is in the wells, as its XML beside the images tells; becomes a plate map.

A file by itself because the layout is another file than the index, with other elements.
"""

from __future__ import annotations

from hcs.errors import PlateError
from hcs.plate.keys import WellId
from hcs.store.microscopes.folder import Folder
from hcs.store.microscopes.xml import children, parse_xml, text

Cells = tuple[tuple[str, ...], ...]
"""A sheet: rows of texts, the header first."""


def layouts(folder: Folder, index: str) -> tuple[str, ...]:
    """Files of an assay layout that belong to the index: in its folder's, or the folder's above."""
    above = index.rpartition("/")[0].rpartition("/")[0]
    return tuple(
        name
        for name in folder.ending(".xml")
        if name.startswith(above) and name != index and b"<AssayLayout" in folder.head(name)
    )


def read_layout(folder: Folder, name: str) -> tuple[Cells, str]:
    """The wells that a layout says something of, a column a layer; empty where it says nothing. And what is wrong with
    the file, if anything is."""
    try:
        return layout_cells(folder.read(name), name), ""
    except PlateError as error:
        return (), f"The assay layout is not read: {error}."


def layout_cells(content: bytes, name: str) -> Cells:
    """The wells of a layout as a sheet; empty where it says nothing. PlateError, naming the file, for broken XML."""
    root = parse_xml(content, name)
    values: dict[WellId, dict[str, str]] = {}
    names: list[str] = []
    for number, layer in enumerate(children(root, "Layer"), start=1):
        label, unit = text(layer, "Name") or f"Layer {number}", text(layer, "Unit") or text(layer, "ValueUnit")
        header = f"{label} [{unit}]" if unit else label
        header = header if header not in names else f"{header} ({number})"
        for well in children(layer, "Well"):
            if value := text(well, "Value"):
                values.setdefault(WellId.of(text(well, "Row"), text(well, "Col")), {})[header] = value
                names += [header] if header not in names else []
    rows = ((str(well), *(found.get(each, "") for each in names)) for well, found in sorted(values.items()))
    return (("well", *names), *rows) if values else ()
