"""A run before its first field: everything checked, then its folder opened."""

from __future__ import annotations

from dataclasses import dataclass, replace
from functools import partial
from typing import TYPE_CHECKING
from uuid import uuid4

from hcs.config import Config
from hcs.plate.keys import FieldKey
from hcs.plate.platemap import PlateMap
from hcs.run.diameter import plain_diameter, read_diameter, settle_diameter
from hcs.run.illumination import Illumination, given_illumination, keep_illumination, settle_illumination
from hcs.run.job import Job
from hcs.run.plan import (
    check_plate_map,
    check_readouts,
    check_resumable,
    check_same_pixels,
    controls_first,
    expected_fields,
    identity,
    plain_model,
    provenance,
    settle_channels,
)
from hcs.store.labels import prepare_label_plate
from hcs.store.ledger import unfinished_fields
from hcs.store.location import Location, location
from hcs.store.models import find_model
from hcs.store.plate import open_plate
from hcs.store.platemap import read_plate_map, write_plate_map
from hcs.store.record import RecordedChannels, RunRecord

if TYPE_CHECKING:
    from distributed import Client


@dataclass(frozen=True, slots=True, kw_only=True)
class Prepared:
    """A run that is known to be possible; nothing has been written yet."""

    job: Job
    keys: tuple[FieldKey, ...]
    """All fields that the run expects, in plate order."""
    pending: tuple[FieldKey, ...]
    """Those still to do, wells of controls first."""
    record: RunRecord
    """``run.json`` as far as it is known."""
    plate_map: PlateMap | None
    notes: tuple[str, ...]
    given: Illumination | None = None
    """The illumination that the configuration gives a path of."""

    @property
    def out(self) -> Location:
        """The results folder."""
        return location(self.job.out)


def prepare(
    plate_path: str | Location,
    out: Location,
    config: Config,
    *,
    plate_map_path: Location | None,
    wells: str | None,
    device: str,
) -> Prepared:
    """Read plate, plate map and model, and compare with what ``out`` holds already.

    Everything that can be known to be wrong raises here: ConfigError, PlateError, ResultsError.
    """
    plate = open_plate(str(location(plate_path).absolute()))
    plate_map = read_plate_map(plate_map_path) if plate_map_path is not None else None
    notes = check_plate_map(plate_map, plate)
    keys = expected_fields(plate, wells)
    channels = settle_channels(plate, config.channels, keys)
    model = find_model(config.model, device)
    out = out.absolute()
    given = given_illumination(config, channels)
    wanted = identity(plate, keys, config, model, plate_map)
    if given is not None:
        wanted["illumination_sha256"] = given.sha256
    resumed = check_resumable(out, wanted)
    if resumed is not None:
        check_same_pixels(out, plate, resumed, config)
    run_id = uuid4().hex[:16] if resumed is None else resumed.run_id
    job = Job(
        plate=plate,
        out=str(out),
        config=config,
        channels=channels,
        model=model,
        device=device,
        labels=config.labels,
        run_id=run_id,
    )
    check_readouts(keys, channels, plate_map, config.readout)
    record = RunRecord(
        run_id=run_id,
        identity=wanted,
        plate_path=plate.path,
        labels_path=f"{out}/labels.zarr" if config.labels == "out" else None,
        channels=RecordedChannels(
            names=channels.names,
            dna=channels.names[channels.dna],
            sensor=None if channels.sensor is None else channels.names[channels.sensor],
            nuclei=channels.names[channels.nuclei],
        ),
        model=plain_model(model),
        keys=keys,
        nucleus_diameter=None if resumed is None else resumed.nucleus_diameter,
        illumination=None if resumed is None else resumed.illumination,
        **provenance(device),
    )
    unfinished = keys if resumed is None else unfinished_fields(out, plate.name, keys, run_id)
    return Prepared(
        job=job,
        keys=keys,
        pending=controls_first(unfinished, plate_map),
        record=record,
        plate_map=plate_map,
        notes=notes,
        given=given,
    )


def open_run(prepared: Prepared, client: Client) -> Prepared:
    """Settle what needs workers (the size of the nuclei) or many fields (their illumination), then write what must be
    there before the first field.

    The record comes first, because it is what tells a folder of this run from a stranger's; a run that goes on does all
    of it again, because it may have been stopped in between.
    """
    job, out, record = prepared.job, prepared.out, prepared.record
    light = settle_illumination(prepared.given, job, prepared.keys, known=record.illumination)
    known = record.nucleus_diameter
    diameter = partial(read_diameter, known) if known else settle_diameter(client, job, prepared.keys)
    if job.labels == "plate":
        prepare_label_plate(job.plate.path, job.plate)  # a read-only plate is better known now than after a field
    size = diameter()
    job = replace(job, scale=size.scale, illumination=light.sha256 if light else None)
    record = replace(
        record, nucleus_diameter=plain_diameter(size), illumination=light.plain() if light else record.illumination
    )
    record.write(out)
    keep_illumination(out, light)
    if prepared.plate_map is not None:
        write_plate_map(out / "platemap.csv", prepared.plate_map)
    if job.labels == "out":
        prepare_label_plate(str(out / "labels.zarr"), job.plate)
    return replace(
        prepared, job=job, record=record, notes=(size.note(), *prepared.notes, *(light.notes() if light else ()))
    )
