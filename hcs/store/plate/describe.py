"""What a label image's metadata say of single nuclei: colours and properties, by which viewers show them.

Alone in a file because it is written long after the labels: when the readouts know what a nucleus is.
"""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Any, Literal

from hcs.store.location import Location
from hcs.store.plate.labels import put_documents
from hcs.store.plate.mark import ATTRIBUTE, DESCRIBED, described_crc32, read_mark
from hcs.store.plate.nodes import read_node

Rgba = tuple[int, int, int, int]


def describe_nuclei(
    folder: Location, colours: Mapping[int, Rgba], properties: Sequence[Mapping[str, Any]]
) -> Literal["written", "same", "foreign"]:
    """Put colours, label value → RGBA, and ``properties``, each with its ``label-value``, into the metadata of the
    label image in ``folder``; of none they are taken out. All else there stays.

    Nothing is done to labels without hcs's mark, or with colours and properties that somebody else wrote. OSError where
    the metadata cannot be read or written.
    """
    node = read_node(folder)
    mark = None if node is None else read_mark(node)
    about = {} if node is None else node.ome.get("image-label", {})
    if node is None or mark is None or not isinstance(about, dict) or described_crc32(about) != mark.described_crc32:
        return "foreign"
    kept = {name: value for name, value in about.items() if name not in DESCRIBED}
    if colours:
        kept["colors"] = [{"label-value": int(value), "rgba": list(rgba)} for value, rgba in colours.items()]
    if properties:
        kept["properties"] = [dict(row) for row in properties]
    known_by = described_crc32(kept)
    if known_by == mark.described_crc32:
        return "same"
    v3 = (folder / "zarr.json").is_file()
    file = folder / ("zarr.json" if v3 else ".zattrs")
    document = json.loads(file.read_bytes())
    attributes = document["attributes"] if v3 else document
    (attributes["ome"] if v3 else attributes)["image-label"] = kept
    attributes[ATTRIBUTE] = {**attributes[ATTRIBUTE], **replace(mark, described_crc32=known_by).plain()}
    # On one line: Python's encoder indents by itself, ten times as slowly as it writes otherwise, and these are long.
    put_documents(folder, {file.name: json.dumps(document).encode()})
    return "written"
