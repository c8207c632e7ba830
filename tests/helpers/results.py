"""A results folder small enough to know every number in it, made without a network."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from hcs.config import Config
from hcs.plate.keys import FieldKey
from hcs.store.plate.labels import prepare_label_plate, write_labels
from hcs.store.plate.mark import Mark
from hcs.store.plate.reader import open_plate
from hcs.store.plate.writer import PlateSpec, create_plate, write_field
from hcs.store.results.ledger import LedgerEntry, write_entry
from hcs.store.results.readout_record import ReadoutRecord
from hcs.store.results.record import RecordedChannels, RunRecord
from hcs.store.results.sealed import Written
from hcs.store.results.table import write_frame, write_part

KEYS = tuple(map(FieldKey.parse, ("A01/0", "A01/1", "B03/0", "C05/0")))
RUN = "0123456789abcdef"
DONE = KEYS[:3]
CENTERS = {1: (20, 30), 2: (2, 75)}
"""Object number → centre (y, x) of the nuclei of every field; the second reaches the upper edge."""

RUN = "0123456789abcdef"
"""Identity of the run that the results are of."""


def labels_of(key: FieldKey) -> NDArray[Any]:
    labels = np.zeros((64, 80), np.uint32)
    for number, (y, x) in CENTERS.items():
        labels[max(y - 3, 0) : y + 4, x - 3 : x + 4] = number
    return labels


def image_of(key: FieldKey) -> NDArray[Any]:
    seed = [key.well.row, key.well.column, key.field]
    return np.random.default_rng(seed).integers(100, 4000, (2, 64, 80), dtype=np.uint16)


def make_results(folder: Path, *, labels: str = "plate") -> Path:
    """``folder/results`` of two nuclei in each of three fields, the fourth failed; the plate is beside it."""
    plate, out = folder / "plate.zarr", folder / "results"
    wells = tuple(dict.fromkeys(key.well for key in KEYS))
    fields = {well: tuple(k.field for k in KEYS if k.well == well) for well in wells}
    spec = PlateSpec(
        name="007", wells=wells, fields_per_well=2, channels=("DNA", "GFP"), ngff="0.5", pixel_size_um=0.65
    )
    create_plate(str(plate), spec, fields=fields)
    target = str(plate if labels == "plate" else out / "labels.zarr")
    for key in KEYS:
        write_field(str(plate), spec, key, image_of(key))
    if labels == "out":
        prepare_label_plate(target, open_plate(str(plate)))
    for n, key in enumerate(DONE):
        centers = np.array(list(CENTERS.values()), np.float64)
        columns = {
            "Metadata_ObjectNumber": np.array([1, 2]),
            "Nuclei_AreaShape_Center_Y": centers[:, 0],
            "Nuclei_AreaShape_Center_X": centers[:, 1],
            "Nuclei_AreaShape_Area": np.array([49.0, 42.0]),
            "Nuclei_DNA_Content": np.array([1000.0, 2000.0]) + n,
        }
        part = write_part(out, "007", key, columns)
        entry = LedgerEntry(field=str(key), status="ok", run=RUN, nuclei=2)
        write_entry(out, replace(entry, part_bytes=part.nbytes, part_crc32=part.crc32))
        if labels != "none":
            write_labels(target, key, labels_of(key), ngff="0.5", pixel_size_um=0.65, mark=Mark(run=RUN))
    write_entry(out, LedgerEntry(field=str(KEYS[3]), status="failed", run=RUN, reason="its chunk is damaged"))
    config = Config().model_dump(mode="json")
    RunRecord(
        run_id=RUN,
        identity={"plate": {"name": "007"}, "config": config},
        plate_path=str(plate),
        labels=None
        if labels == "none"
        else {"path": target, "in_plate": labels == "plate", "name": "nuclei", "run": RUN},
        channels=RecordedChannels(names=("DNA", "GFP"), dna="DNA", sensor=None, nuclei="DNA"),
        model={"name": "none", "sha256": "0" * 64},
        keys=KEYS,
        versions={},
        machine={},
        command="hcs run",
    ).write(out)
    return out


def give_tables(out: Path, **frames: pd.DataFrame) -> None:
    """Write readout tables into a results folder, and the record of them."""
    before = ReadoutRecord.read(out, RUN) if (out / "readout.json").exists() else None
    files = {f"{name}.parquet": write_frame(out / f"{name}.parquet", frame) for name, frame in frames.items()}
    if (out / "columns.csv").exists():
        files["columns.csv"] = Written.of((out / "columns.csv").read_bytes())
    files = (dict(before.files) if before else {}) | files
    ReadoutRecord(run=RUN, settings={}, notes=(), done=tuple(map(str, DONE)), files=files).write(out)
