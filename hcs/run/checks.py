"""Everything that is settled before the first field: channels, wells, identity of the run, what is left to do."""

from __future__ import annotations

import dataclasses
import hashlib
import json
import platform
import sys
from collections.abc import Iterable, Sequence
from functools import partial
from importlib.metadata import PackageNotFoundError, version
from typing import Any

import pandas as pd

from hcs import __version__
from hcs.columns import KEY_COLUMNS, Column
from hcs.config import Config, differences
from hcs.errors import ConfigError, PlateError
from hcs.field.large import field_hash
from hcs.machine import cores, processor_name
from hcs.measure.columns import column_dictionary
from hcs.plate.channels import Channels
from hcs.plate.keys import FieldKey, WellId, select_wells
from hcs.plate.platemap import PlateMap
from hcs.readout.readouts import Extend, find_wells
from hcs.readout.settings import ReadoutSettings
from hcs.run.classes import empty_fractions
from hcs.run.in_place import IN_PLACE
from hcs.run.live import empty_extend
from hcs.store.atomic import is_litter
from hcs.store.location import Location, location, within_reach
from hcs.store.models import ModelFile, read_card, with_arithmetic
from hcs.store.paths import linked_images
from hcs.store.plate.reader import FieldEntry, Plate
from hcs.store.platemap import map_sha256
from hcs.store.results.ledger import read_ledger
from hcs.store.results.record import RUN_RECORD, RunRecord

CELLS_SHA256 = "cells_model_sha256"
"""Of a run's identity: the model of whole cells."""


def empty_nuclei(measured: Iterable[Column]) -> pd.DataFrame:
    """A nucleus table without rows: the keys, and the columns that are ``measured``."""
    types = {c.name: c.dtype for c in (*KEY_COLUMNS, *measured)}
    return pd.DataFrame({name: pd.Series(dtype=dtype) for name, dtype in types.items()})


def expected_fields(plate: Plate, wells: str | None) -> tuple[FieldEntry, ...]:
    """The fields to process, in plate order, of all wells or those ``wells`` names; PlateError without any.

    A well that the plate declares without having any field counts with a field 0, which then fails with the reason:
    every expected well is accounted for.
    """
    chosen = set(select_wells(declared_wells(plate), wells))
    present = {entry.key.well for entry in plate.fields}
    if not present & chosen:
        raise PlateError(f"{plate.path}: no field in the wells asked for; check that the conversion wrote images")
    entries = [entry for entry in (*plate.fields, *plate.missing) if entry.key.well in chosen]
    return tuple(sorted(entries, key=lambda entry: entry.key))


def controls_first(keys: tuple[FieldKey, ...], plate_map: PlateMap | None) -> tuple[FieldKey, ...]:
    """The fields with those in wells of controls ahead, so that a run that is still going on can tell Z′."""
    controls = control_wells(plate_map)
    return tuple(sorted(keys, key=lambda key: str(key.well) not in controls))


def control_wells(plate_map: PlateMap | None) -> frozenset[str]:
    """Names of the wells that hold positive or negative controls."""
    if plate_map is None:
        return frozenset()
    return frozenset(plate_map.frame.loc[plate_map.frame["role"].isin(["negative", "positive"]), "well"])


def check_readouts(
    keys: tuple[FieldKey, ...],
    channels: Channels,
    plate_map: PlateMap | None,
    settings: ReadoutSettings,
    *,
    timed: bool = False,
    micronuclei: bool = False,
    kinds: tuple[str, ...] = (),
) -> None:
    """ConfigError where a readout names no column that the well table will have; found with a plate without nuclei.
    ``timed`` says that columns read from tracks will be there, ``micronuclei`` that those are counted, for which a
    DNA channel is needed, and ``kinds`` which kinds of nuclei the model tells apart."""
    if micronuclei and channels.dna_name is None:
        raise ConfigError("micronuclei: true needs a DNA channel, and the plate has none; name it with --dna")
    measured = column_dictionary(
        channels.names, channels.dna_name, channels.sensor_name, channels.cells_name, micronuclei=micronuclei
    )
    nuclei = empty_nuclei(measured)
    fields = pd.DataFrame(
        {"well": [str(key.well) for key in keys], "field": 0, "status": "pending", "reason": "", "n_nuclei": 0}
    )
    frame = plate_map.frame if plate_map is not None else None
    extend: Extend | None = partial(empty_extend, settings) if timed else None
    if kinds:
        extend = empty_fractions(kinds, extend)
    find_wells(nuclei, fields, frame, settings, plate="", extend=extend)


def declared_wells(plate: Plate) -> tuple[WellId, ...]:
    """All wells that the plate's metadata names, those without a folder included, in plate order."""
    return tuple(sorted({*plate.wells, *plate.absent_wells}))


def links_note(plate: Plate, keys: tuple[FieldKey, ...]) -> tuple[str, ...]:
    """A sentence on fields that are read through symbolic links which lead out of the plate."""
    images = {str(entry.key): entry.path for entry in plate.only(*keys).fields}
    linked = linked_images(location(plate.path), images)
    if not linked:
        return ()
    some = ", ".join(f"{name} from {there}" for name, there in list(linked.items())[:3])
    more = ", …" if len(linked) > 3 else ""
    return (f"Read through symbolic links that leave the plate: {len(linked)} field(s) ({some}{more}).",)


def check_plate_map(plate_map: PlateMap | None, wells: Sequence[WellId], plate: str) -> tuple[str, ...]:
    """Sentences on what in the map was not plain, and on wells that only the map or only the plate has; PlateError
    where they have none in common. ``wells`` are the plate's, ``plate`` says which that is."""
    if plate_map is None:
        return ()
    only_map, only_plate = plate_map.unmatched(wells)
    if len(only_map) == len(plate_map.wells):
        raise PlateError(
            f"the plate map and {plate} have no well in common (map: {_some(only_map)}; plate: "
            f"{_some(only_plate)}); is it another plate's map?"
        )
    notes = [f"Plate map: {note}." for note in plate_map.notes]
    if only_map:
        notes.append(f"On the plate map but not on the plate: {_some(only_map)}.")
    if only_plate:
        notes.append(f"On the plate but not on the plate map: {_some(only_plate)}.")
    return tuple(notes)


def map_lines(plate_map: PlateMap | None, *, notes: bool = False) -> tuple[str, ...]:
    """What was understood of a plate map, in lines for the console, with ``notes`` also what was not plain."""
    if plate_map is None:
        return ()
    first, *more = plate_map.understood
    noted = [f"note: {note}" for note in plate_map.notes] if notes else []
    return (f"Plate map  {first}", *(f"           {line}" for line in (*more, *noted)))


def plain_plate_map(plate_map: PlateMap | None, path: Location | None) -> dict[str, Any] | None:
    """Which plate map results are made with, as plain data: where it was read, and its hash."""
    return None if plate_map is None else {"source": str(path), "sha256": map_sha256(plate_map)}


def check_same_map(out: Location, record: RunRecord, plate_map: PlateMap | None) -> None:
    """ConfigError where results are there already that were made with another plate map: they would change without a
    word, and need no image for it."""
    known = None if record.plate_map is None else record.plate_map["sha256"]
    wanted = None if plate_map is None else map_sha256(plate_map)
    if known != wanted:
        raise ConfigError(
            f"--out {out} was made {'with another plate map' if known else 'without a plate map'} (plate_map_sha256 "
            f"differs); to change it, `hcs readout {out} --plate-map FILE` makes the readouts again without touching "
            "images; to go on with the run, give the plate map that it has"
        )


def _some(wells: tuple[WellId, ...]) -> str:
    names = [str(well) for well in wells]
    return ", ".join(names) if len(names) <= 8 else f"{', '.join(names[:8])} and {len(names) - 8} more"


def identity(
    plate: Plate,
    keys: tuple[FieldKey, ...],
    config: Config,
    model: ModelFile,
    cells_model: ModelFile | None = None,
) -> dict[str, Any]:
    """What makes two runs the same run, as plain data: their results may share a folder only when this is equal.

    The plate counts by its fields, not by where it lies; their pixels are compared field by field (the ledger). The
    plate map is no part of it: what is in a well changes no pixel, and only the readouts need it.
    """
    fields = hashlib.sha256("\n".join(f"{entry.key} {entry.path}" for entry in plate.fields).encode()).hexdigest()
    data = {
        "plate": {"name": plate.name, "ngff": plate.ngff, "fields_sha256": fields},
        "wells": sorted({str(key.well) for key in keys}),
        "config": config.model_dump(exclude={"cluster"}),
        "model_sha256": model.sha256,
        **({} if cells_model is None else {CELLS_SHA256: cells_model.sha256}),
    }
    plain: dict[str, Any] = json.loads(json.dumps(data))
    return plain


def same_arithmetic(out: Location, record: RunRecord, model: ModelFile, device: str) -> ModelFile:
    """The model in the arithmetic of the run in ``out``, for a table is of one; ConfigError where ``device`` does not
    have it."""
    kept = record.model.get("arithmetic", model.arithmetic)
    if kept == model.arithmetic:
        return model
    if device == "cuda" or kept == "float16":
        raise ConfigError(
            f"--out {out} was begun with arithmetic {kept}, and --device {device} calculates in {model.arithmetic}; go "
            "on where the run was begun, or give a new folder"
        )
    return with_arithmetic(model, kept)


_NOT_OF_NUCLEI = ("readout", "labels", "labels_name", "cells", "micronuclei", "micronuclei_labels_name")
"""Settings that the labels of nuclei do not depend on."""


def arithmetic_words(model: ModelFile) -> str:
    """In what numbers the networks calculate, for a line."""
    return {
        "int8": "int8: whole numbers of 8 bits, the same bytes on every processor",
        "float32": "float32",
        "float16": "float16, the GPU's half precision",
    }[model.arithmetic]


def labels_identity(
    identity: dict[str, Any], device: str, arithmetic: str, *, cells: bool = False, micronuclei: bool = False
) -> str:
    """What a run's labels depend on, as 16 hexadecimal digits, which they carry: all that makes two runs the same but
    the readouts and where labels go, and besides the device, its arithmetic and the version of hcs. How ``cells`` are
    grown, and whether ``micronuclei`` are looked for, counts for their own labels alone."""
    config = {k: v for k, v in identity["config"].items() if k not in _NOT_OF_NUCLEI}
    config["channels"] = {k: v for k, v in config["channels"].items() if k != "cells"}
    if not cells:
        identity = {k: v for k, v in identity.items() if k != CELLS_SHA256}
    else:
        grown = {k: v for k, v in identity["config"]["cells"].items() if k != "labels_name"}
        config |= {"cells": grown | {"channel": identity["config"]["channels"]["cells"]}}
    if micronuclei:
        config |= {"micronuclei": True, "dna": identity["config"]["channels"]["dna"]}
    told = identity | {"config": config, "device": device, "arithmetic": arithmetic, "version": __version__}
    return hashlib.sha256(json.dumps(told, sort_keys=True).encode()).hexdigest()[:16]


def check_same_pixels(out: Location, plate: Plate, record: RunRecord, config: Config) -> None:
    """ConfigError where the first finished field's pixels are no longer those that its ledger entry was made from.

    Costs reading one field, and catches a plate that was converted anew, or replaced, under the same name.
    """
    entry = next((e for e in read_ledger(out, record.units, record.run_id) if e.done), None)
    if entry is None:
        return
    key = FieldKey.parse(entry.field)
    if field_hash(plate, key, config) != entry.input_crc32:
        raise ConfigError(
            f"--out {out} was made from other pixels: field {key} of {plate.path} has changed since; give a new folder"
        )


def check_resumable(out: Location, wanted: dict[str, Any]) -> RunRecord | None:
    """The record of ``out`` where it holds this very run already; ConfigError naming the differing keys where it holds
    another, ResultsError where the record is damaged."""
    with within_reach(out):
        there = (out / RUN_RECORD).is_file()
        strange = (
            not there
            and out.is_dir()
            and any(not is_litter(path.name) and path.name != IN_PLACE for path in out.iterdir())
        )
    if not there:
        if strange:
            raise ConfigError(f"--out {out} is not empty and holds no hcs run; give a new folder")
        return None
    record = RunRecord.read(out)
    differing = differences(record.identity, wanted)
    if differing:
        raise ConfigError(
            f"--out {out} holds another run: {', '.join(differing)} differ{'s' if len(differing) == 1 else ''}; give a "
            "new folder, or the same plate and settings to go on with that run"
        )
    return record


def provenance(device: str) -> dict[str, Any]:
    """Versions, machine and command of this process."""
    packages = ("numpy", "torch", "zarr", "dask", "scikit-image", "pandas", "pyarrow")
    versions = {"python": platform.python_version(), "hcs": __version__}
    return {
        "versions": versions | {name: _version(name) for name in packages},
        "machine": {"system": platform.platform(), "processor": processor_name(), "cores": cores(), "device": device},
        "command": " ".join(["hcs", *sys.argv[1:]]),
    }


def _version(package: str) -> str:
    try:
        return version(package)
    except PackageNotFoundError:
        return "unknown"


def plain_model(model: ModelFile) -> dict[str, Any]:
    """Name, path and hash of a model as plain data, and what its card says of nuclei by sensor ratio, if anything."""
    by_ratio = read_card(model.networks[0]).get("found_by_ratio")
    plain = dataclasses.asdict(model) | ({"found_by_ratio": by_ratio} if by_ratio else {})
    return {name: value for name, value in plain.items() if name not in ("carries", "kinds") or value}
