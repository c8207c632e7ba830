"""What viewers show of a finished run, written beside its labels: regions, features, colours and properties."""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq

from hcs.errors import HcsError
from hcs.plate.keys import FieldKey
from hcs.store.location import location, map_at
from hcs.store.paths import behind_link
from hcs.store.plate.describe import Rgba, describe_nuclei
from hcs.store.plate.reader import Plate, open_plate, read_info
from hcs.store.plate.tables import FOV, MASKS, ViewerTable, write_viewer_table
from hcs.store.plate.target import LabelTarget
from hcs.store.results.folder import DEAD, DNA_CONTENT_N, Results
from hcs.store.results.ledger import LedgerEntry
from hcs.store.results.table import part_path

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

_NUMBER = "Metadata_ObjectNumber"
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
class _Place:
    """A field of the plate whose labels are the run's."""

    key: FieldKey
    entry: LedgerEntry
    shape_um: tuple[float, float]
    pixel_um: float
    origin_um: tuple[float, float] | None


def write_for_viewers(results: Results) -> tuple[str, ...]:
    """Write tables of regions and features beside the labels of all fields, and what the readouts say of single nuclei
    into the labels' metadata; sentences on what was left out.

    What is there of others stays. Of a plate with time nothing is written: the numbers of nuclei begin anew in every
    frame, and no table of the specification has frames. A plate that cannot be written any more is a sentence, and no
    error.
    """
    target = LabelTarget.recorded(results.record.labels, results.folder, results.plate_path)
    if target is None or results.record.time is not None or not results.record.config.viewer_tables:
        return ()
    counts: Counter[str] = Counter()
    try:
        plate = open_plate(results.plate_path)
        told = _Told.of(results)

        def write(entry: LedgerEntry) -> list[str]:
            listed = plate.entry(FieldKey.parse(entry.field))
            if target.complaint(listed, entry.input_crc32, entry.edited_crc32) is not None:
                return ["strangers"]
            return _write_field(results, plate, target, _place(plate, entry), told)

        done = [entry for entry in results.entries(results.record.keys) if entry.done]
        for became in map_at(location(target.path), write, done):
            counts.update(became)
    except (HcsError, OSError) as error:
        return (f"Tables for viewers were not written beside the labels: {error}.",)
    notes = []
    if counts["strangers"]:
        notes.append(
            f"Labels of {counts['strangers']} fields were changed since this run wrote or measured them: nothing for "
            f"viewers was written beside them (`hcs remeasure {results.folder}` measures edited nuclei)."
        )
    if counts["foreign"]:
        notes.append(
            f"{counts['foreign']} tables or colours beside labels in {target.path} were not written by hcs, or changed "
            "since, and stay as they are."
        )
    return tuple(notes)


def _place(plate: Plate, entry: LedgerEntry) -> _Place:
    key = FieldKey.parse(entry.field)
    info = read_info(plate, key)
    pixel = info.pixel_size_um or 1.0  # as ngio reads an image that states none
    return _Place(key, entry, (info.shape[1] * pixel, info.shape[2] * pixel), pixel, info.origin_um)


@dataclass(frozen=True, slots=True)
class _Told:
    """What the readouts say of single nuclei: columns by field, in the order of the nuclei's numbers."""

    by_field: Mapping[tuple[str, int], pa.Table]

    @classmethod
    def of(cls, results: Results) -> _Told:
        """Of all nuclei: the columns that are known when all fields are measured, and those of the phase table."""
        found: dict[tuple[str, int], pa.Table] = {}
        if not results.has_nuclei:
            return cls(found)
        computed = [DNA_CONTENT_N, DEAD] if results.record.channels.dna is not None else []
        keys = ["Metadata_Well", "Metadata_Site", _NUMBER]
        later = results.nuclei(columns=[*keys, *computed])
        if results.phase_columns():
            later = later.merge(results.phases().drop(columns=["Metadata_Plate"]), on=keys, how="left")
        for (well, site), rows in later.groupby(keys[:2], sort=False, observed=True):
            own = rows.sort_values(_NUMBER).drop(columns=keys[:2])
            texts = own.select_dtypes("category").columns
            table = pa.Table.from_pandas(own.astype(dict.fromkeys(texts, "object")), preserve_index=False)
            found[str(well), int(str(site))] = table.replace_schema_metadata(None)
        return cls(found)

    def with_features(self, results: Results, place: _Place) -> pa.Table:
        """All columns of a field's nuclei, ``label`` first."""
        path = part_path(results.folder, results.record.plate, place.key)
        part = pq.ParquetFile(pa.BufferReader(place.entry.part.read(path))).read(use_threads=False)
        part = part.drop_columns(["Metadata_Plate", "Metadata_Well", "Metadata_Site"])
        later = self.by_field.get((str(place.key.well), place.key.field))
        columns = {"label" if name == _NUMBER else name: part.column(name) for name in part.column_names}
        if later is not None and later.column(_NUMBER).equals(part.column(_NUMBER)):
            columns |= {name: later.column(name) for name in later.column_names if name != _NUMBER}
        return pa.table({"label": columns.pop("label"), **columns})


def _write_field(results: Results, plate: Plate, target: LabelTarget, place: _Place, told: _Told) -> list[str]:
    """Write what one field gets; what became of each."""
    entry = plate.entry(place.key)
    root, path = location(target.path), target.field(entry)
    if any(behind_link(root, f"{path}/{inside}") for inside in ("tables", f"labels/{target.name}")):
        return ["foreign"]  # nothing is written through a link that leaves the plate
    field = root / path
    features = told.with_features(results, place)
    boxes, masks = _boxes(features, place), MASKS.format(labels=target.name)
    tables = [
        _region(place),
        ViewerTable(name=target.name, kind="feature_table", data=features, labels=target.name),
        ViewerTable(name=masks, kind="masking_roi_table", data=boxes, labels=target.name),
    ]
    became = [str(write_viewer_table(field, each, run=results.record.run_id, ngff=plate.ngff)) for each in tables]
    return [*became, describe_nuclei(target.folder(entry), *description(features))]


def _region(place: _Place) -> ViewerTable:
    """The field as a region; where it lies on the stage is its original place."""
    height, width = place.shape_um
    y, x = place.origin_um or (0.0, 0.0)
    row = {
        "FieldIndex": f"{place.key.well}_{place.key.field}",
        "x_micrometer": 0.0,
        "y_micrometer": 0.0,
        "z_micrometer": 0.0,
        "len_x_micrometer": width,
        "len_y_micrometer": height,
        "len_z_micrometer": 1.0,
        "x_micrometer_original": x,
        "y_micrometer_original": y,
    }
    return ViewerTable(name=FOV, kind="roi_table", data=pa.table({name: [value] for name, value in row.items()}))


def _boxes(features: pa.Table, place: _Place) -> pa.Table:
    """The nuclei's boxes as regions."""
    x0, y0, x1, y1 = (
        features.column(f"{_BOX}{name}").to_numpy().astype(np.float64) * place.pixel_um
        for name in ("Minimum_X", "Minimum_Y", "Maximum_X", "Maximum_Y")
    )
    none, one = np.zeros(len(x0)), np.ones(len(x0))
    columns = {
        "label": features.column("label"),
        "x_micrometer": x0,
        "y_micrometer": y0,
        "z_micrometer": none,
        "len_x_micrometer": x1 - x0,
        "len_y_micrometer": y1 - y0,
        "len_z_micrometer": one,
    }
    return pa.table(columns)


def description(features: pa.Table) -> tuple[dict[int, Rgba], list[dict[str, Any]]]:
    """Colours and properties of nuclei as the metadata of labels have them.

    A nucleus has the colour of its phase, else of the class of its sensor ratio; where no nucleus of the field has
    either, none has a colour, and viewers take their own.
    """

    def of(name: str | None) -> list[Any]:
        return features.column(name).to_pylist() if name in features.column_names else [None] * features.num_rows

    state = next((name for name in features.column_names if name.endswith("_State")), None)
    numbers = {short: of(name) for name, short in _SHOWN.items() if name in features.column_names}
    colours: dict[int, Rgba] = {}
    properties: list[dict[str, Any]] = []
    rows = zip(of("label"), of("Phase"), of(state), of("Gate"), of(DEAD), of(_BORDER), strict=True)
    for row, (label, phase, sensor, gate, dead, border) in enumerate(rows):
        colours[label] = PHASE_COLOURS.get(phase or "") or CLASS_COLOURS.get(sensor or "") or NEITHER
        flags = {"border": border, "dead": dead, gate: gate in _GATED}
        about = {"label-value": label, "phase": phase or "", "sensor": sensor or ""}
        about["flags"] = ";".join(name for name, there in flags.items() if there)
        values = {short: column[row] for short, column in numbers.items()}
        about |= {short: float(f"{v:.6g}") for short, v in values.items() if v is not None and math.isfinite(v)}
        properties.append(about)
    if all(colour == NEITHER for colour in colours.values()):
        colours = {}
    return colours, properties
