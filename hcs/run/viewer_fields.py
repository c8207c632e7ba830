"""What viewers show of one field, written beside its labels: regions, features, colours and properties of nuclei.

Workers write it, which do without pandas.
"""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from functools import lru_cache
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq

from hcs.columns import DEAD, DNA_CONTENT_N
from hcs.plate.keys import FieldKey
from hcs.store.location import Location, location, map_at
from hcs.store.paths import behind_link
from hcs.store.plate.describe import Rgba, describe_nuclei
from hcs.store.plate.reader import Plate, read_info
from hcs.store.plate.tables import FOV, MASKS, ViewerTable, write_viewer_table
from hcs.store.plate.target import LabelTarget
from hcs.store.results.ledger import LedgerEntry
from hcs.store.results.table import constant_text, part_path, plain_array

PHASE_COLOURS: dict[str, Rgba] = {
    "G1": (86, 180, 233, 255),
    "S": (230, 159, 0, 255),
    "G2M": (204, 121, 167, 255),
    "SubG1": (187, 187, 187, 255),
    "Above4N": (240, 228, 66, 255),
}
"""Colour of a nucleus by its phase, as the report's pictures have it."""
CLASS_COLOURS: dict[str, Rgba] = {"high": (230, 159, 0, 255), "low": (86, 180, 233, 255)}
"""By the class of its sensor ratio, where no phase is known."""
NEITHER: Rgba = (119, 119, 119, 255)

NUMBER = "Metadata_ObjectNumber"
_BOX = "Nuclei_AreaShape_BoundingBox"
_BORDER = "Nuclei_Flag_TouchesBorder"
_GATED = ("border", "debris", "doublet", "dead")
_SHOWN = {
    "Nuclei_AreaShape_Area": "area_px",
    DNA_CONTENT_N: "dna_content_n",
    "Nuclei_Sensor_Ratio": "sensor_ratio",
}
"""Columns that properties have too, and their names there."""


@dataclass(frozen=True, slots=True)
class FieldWriter:
    """Writes beside the labels ``target`` of the run ``run`` in ``folder``."""

    folder: Location
    plate_name: str
    plate: Plate
    target: LabelTarget
    run: str

    def write(self, fields: Sequence[tuple[LedgerEntry, pa.Table | None]]) -> Counter[str]:
        """Write what each of ``fields`` gets, of which the table has what the readouts say of its nuclei, if anything;
        how many tables and descriptions became what, ``strangers`` for the fields whose labels are not the run's."""
        counts: Counter[str] = Counter()
        for became in map_at(location(self.target.path), lambda field: self._write(*field), fields):
            counts.update(became)
        return counts

    def _write(self, entry: LedgerEntry, told: pa.Table | None) -> list[str]:
        key = FieldKey.parse(entry.field)
        listed = self.plate.entry(key)
        if self.target.complaint(listed, entry.input_crc32, entry.edited_crc32) is not None:
            return ["strangers"]
        root, path = location(self.target.path), self.target.field(listed)
        if any(behind_link(root, f"{path}/{inside}") for inside in ("tables", f"labels/{self.target.name}")):
            return ["foreign"]  # nothing is written through a link that leaves the plate
        place = _place(self.plate, key)
        features = self._features(key, entry, told)
        name = self.target.name
        tables = [
            _region(place),
            ViewerTable(name=name, kind="feature_table", data=features, labels=name),
            ViewerTable(
                name=MASKS.format(labels=name), kind="masking_roi_table", data=_boxes(features, place), labels=name
            ),
        ]
        became = [str(write_viewer_table(root / path, each, run=self.run, ngff=self.plate.ngff)) for each in tables]
        return [*became, describe_nuclei(self.target.folder(listed), *description(features))]

    def _features(self, key: FieldKey, entry: LedgerEntry, told: pa.Table | None) -> pa.Table:
        """All columns of a field's nuclei, ``label`` first."""
        path = part_path(self.folder, self.plate_name, key)
        part = pq.ParquetFile(pa.BufferReader(entry.part.read(path))).read(use_threads=False)
        part = part.drop_columns(["Metadata_Plate", "Metadata_Well", "Metadata_Site"])
        columns = {"label" if name == NUMBER else name: part.column(name) for name in part.column_names}
        if told is not None and told.column(NUMBER).equals(part.column(NUMBER)):
            columns |= {name: told.column(name) for name in told.column_names if name != NUMBER}
        return pa.table({"label": columns.pop("label"), **columns})


@dataclass(frozen=True, slots=True)
class _Place:
    """A field of the plate whose labels are the run's."""

    key: FieldKey
    shape_um: tuple[float, float]
    pixel_um: float
    origin_um: tuple[float, float] | None


def _place(plate: Plate, key: FieldKey) -> _Place:
    info = read_info(plate, key)
    pixel = info.pixel_size_um or 1.0  # as ngio reads an image that states none
    return _Place(key, (info.shape[1] * pixel, info.shape[2] * pixel), pixel, info.origin_um)


def _region(place: _Place) -> ViewerTable:
    """The field as a region; where it lies on the stage is its original place."""
    height, width = place.shape_um
    y, x = place.origin_um or (0.0, 0.0)
    numbers = {
        "x_micrometer": 0.0,
        "y_micrometer": 0.0,
        "z_micrometer": 0.0,
        "len_x_micrometer": width,
        "len_y_micrometer": height,
        "len_z_micrometer": 1.0,
        "x_micrometer_original": x,
        "y_micrometer_original": y,
    }
    index = constant_text(f"{place.key.well}_{place.key.field}", 1)
    columns = {name: plain_array(np.array([value])) for name, value in numbers.items()}
    return ViewerTable(name=FOV, kind="roi_table", data=pa.table({"FieldIndex": index, **columns}))


def _boxes(features: pa.Table, place: _Place) -> pa.Table:
    """The nuclei's boxes as regions. By way of lists: a column's ``to_numpy`` imports pandas."""
    x0, y0, x1, y1 = (
        np.array(features.column(f"{_BOX}{name}").to_pylist(), np.float64) * place.pixel_um
        for name in ("Minimum_X", "Minimum_Y", "Maximum_X", "Maximum_Y")
    )
    none, one = np.zeros(len(x0)), np.ones(len(x0))
    numbers = {
        "x_micrometer": x0,
        "y_micrometer": y0,
        "z_micrometer": none,
        "len_x_micrometer": x1 - x0,
        "len_y_micrometer": y1 - y0,
        "len_z_micrometer": one,
    }
    return pa.table(
        {"label": features.column("label"), **{name: plain_array(values) for name, values in numbers.items()}}
    )


def description(features: pa.Table) -> tuple[dict[int, Rgba], list[dict[str, Any]]]:
    """Colours and properties of nuclei as the metadata of labels have them.

    A nucleus has the colour of its phase, else of the class of its sensor ratio; where no nucleus of the field has
    either, none has a colour, and viewers take their own.
    """

    def of(name: str | None) -> list[Any]:
        return features.column(name).to_pylist() if name in features.column_names else [None] * features.num_rows

    state = next((name for name in features.column_names if name.endswith("_State")), None)
    shown = [(short, of(name)) for name, short in _SHOWN.items() if name in features.column_names]
    flags = lru_cache(maxsize=None)(_flags)
    colours: dict[int, Rgba] = {}
    properties: list[dict[str, Any]] = []
    rows = zip(of("label"), of("Phase"), of(state), of("Gate"), of(DEAD), of(_BORDER), strict=True)
    for row, (label, phase, sensor, gate, dead, border) in enumerate(rows):
        colours[label] = PHASE_COLOURS.get(phase or "") or CLASS_COLOURS.get(sensor or "") or NEITHER
        about = {"label-value": label, "phase": phase or "", "sensor": sensor or "", "flags": flags(gate, dead, border)}
        for short, column in shown:
            value = column[row]
            if value is not None and math.isfinite(value):
                about[short] = float(f"{value:.6g}")
        properties.append(about)
    if all(colour == NEITHER for colour in colours.values()):
        colours = {}
    return colours, properties


def _flags(gate: str | None, dead: bool | None, border: bool | None) -> str:
    """What keeps a nucleus out of the readouts, in one text."""
    there = {"border": border, "dead": dead, gate: gate in _GATED}
    return ";".join(str(name) for name, flag in there.items() if flag)
