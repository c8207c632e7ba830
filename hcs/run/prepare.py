"""A run before its first field: everything checked, then its folder opened."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from functools import partial
from typing import TYPE_CHECKING
from uuid import uuid4

from hcs.config import Config
from hcs.errors import ConfigError
from hcs.field.job import Job
from hcs.plate.channels import Channels
from hcs.plate.keys import FieldKey
from hcs.plate.platemap import PlateMap
from hcs.run.background import PlateBackground, ring_note, settle_background, stated_background
from hcs.run.cells import cells_model_lines, cells_scale, check_finds_nuclei, find_cells_model, same_cells_model
from hcs.run.checks import (
    arithmetic_words,
    check_plate_map,
    check_readouts,
    check_resumable,
    check_same_map,
    check_same_pixels,
    controls_first,
    declared_wells,
    expected_fields,
    identity,
    labels_identity,
    links_note,
    plain_model,
    plain_plate_map,
    provenance,
    same_arithmetic,
)
from hcs.run.choices import Choices, infos_by_field, settle_channels
from hcs.run.diameter import plain_diameter, read_diameter, settle_diameter, unasked_diameter
from hcs.run.illumination import (
    Illumination,
    chosen_illumination,
    given_illumination,
    keep_illumination,
    settle_illumination,
)
from hcs.run.in_place import Opened, opened
from hcs.run.registration import settle_registration
from hcs.run.selection import select_images
from hcs.run.times import settle_time, surveyed, time_lines
from hcs.segment.diameter import Diameter
from hcs.store.location import Location, location
from hcs.store.models import ModelFile, find_model
from hcs.store.paths import check_results
from hcs.store.plate.companions import PLATE_MAP, companion
from hcs.store.plate.frame_labels import FrameLabels
from hcs.store.plate.given_labels import GivenLabels, find_given_labels
from hcs.store.plate.reader import FieldEntry, Plate, open_plate
from hcs.store.plate.target import LabelTarget
from hcs.store.platemap import read_plate_map, write_plate_map
from hcs.store.results.ledger import unfinished_fields
from hcs.store.results.record import RunRecord

if TYPE_CHECKING:
    from hcs.engine.cluster import Client

Looked = tuple[PlateBackground, Mapping[str, Mapping[str, float]]]
"""The background of a plate, and its channels' offsets."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Prepared:
    """A run that is known to be possible; nothing has been written yet."""

    job: Job
    keys: tuple[FieldKey, ...]
    """All units of work that the run expects, in plate order: fields, or the frames of fields with time."""
    pending: tuple[FieldKey, ...]
    """Those still to do, wells of controls first."""
    record: RunRecord
    """``run.json`` as far as it is known."""
    plate_map: PlateMap | None
    choices: Choices
    notes: tuple[str, ...]
    given: Illumination | None = None
    """The illumination that the configuration gives a path of, or that the plate has of its microscope."""
    understood: tuple[str, ...] = ()
    """Of a folder that is read in place: what it was taken for."""

    @property
    def out(self) -> Location:
        """The results folder."""
        return location(self.job.out)

    def lines(self) -> tuple[str, ...]:
        """What a run says first: its wells, fields, channels, what was chosen and why, and what is odd."""
        job = self.job
        wells, fields = len({key.well for key in self.keys}), len(self.record.keys)
        frames = f" of {len(self.keys):,} frames in all" if self.record.time is not None else ""
        first = f"{job.plate.name}: {wells} wells, {fields:,} fields{frames}; channels {', '.join(job.channels.names)}"
        why = "for nuclei found in a sensor channel" if job.channels.by_sensor else f"on {job.device}"
        default = f" (the default {why})" if job.config.model == "auto" else ""
        names = " and ".join(target.name for target in job.targets)
        labels = "not written" if job.labels is None else f"{names}, into {job.labels.path}"
        return (
            *self.understood,
            first,
            *self.choices.lines(),
            *time_lines(self.record.time),
            f"  model            {f'{job.model.name}{default}' if job.given is None else 'none: labels are given'}",
            *((f"  arithmetic       {arithmetic_words(job.model)}",) if job.given is None else ()),
            *cells_model_lines(job),
            f"  labels           {labels}",
            *(f"  note             {note}" for note in self.notes),
        )


def prepare(
    plate_path: str | Location,
    out: Location,
    config: Config,
    *,
    plate_map_path: Location | None,
    wells: str | None,
    device: str,
    overwrite_labels: bool = False,
) -> Prepared:
    """Read plate, plate map and model, and compare with what ``out`` holds already, and whose labels the plate has.

    Labels that are not this run's are left as they are, which is an error, unless ``overwrite_labels`` says otherwise.

    Everything that can be known to be wrong raises here: ConfigError, PlateError, ResultsError.
    """
    with opened(location(plate_path), out.absolute(), config) as found:
        return _prepare(
            found,
            out.absolute(),
            plate_map_path=plate_map_path,
            wells=wells,
            device=device,
            overwrite_labels=overwrite_labels,
        )


def _model_of_nuclei(config: Config, device: str, *, by_sensor: bool) -> ModelFile:
    """The model that finds the nuclei; where labels are given it finds none."""
    model = find_model(config.model, device, by_sensor=by_sensor, arithmetic=config.arithmetic)
    if config.labels_from is not None:
        return replace(model, kinds=())  # which it does not tell of nuclei that it has not found
    check_finds_nuclei(model)
    return model


def _prepare(
    found: Opened,
    out: Location,
    *,
    plate_map_path: Location | None,
    wells: str | None,
    device: str,
    overwrite_labels: bool,
) -> Prepared:
    """`prepare` of a plate that is there, or that a folder was made."""
    plate = open_plate(str(found.path))
    config, notes = chosen_illumination(found.config, plate.path)
    notes = (*found.notes, *notes)
    if plate_map_path is None and (plate_map_path := companion(plate.path, PLATE_MAP)) is not None:
        notes = (*notes, "The plate map is the microscope's own layout; --plate-map FILE gives another.")
    plate_map = read_plate_map(plate_map_path, plate=plate.name) if plate_map_path is not None else None
    notes += check_plate_map(plate_map, declared_wells(plate), plate.path)
    listed = expected_fields(plate, wells)
    infos = infos_by_field(plate, tuple(entry.key for entry in listed))
    by_field = {key: info.channels for key, info in infos.items()}
    selection = select_images(listed, config, by_field)
    keys = tuple(entry.key for entry in selection.fields)
    times, time_notes = settle_time({key: infos[key] for key in keys if key in infos}, config)
    notes += time_notes
    notes += links_note(plate, keys)
    choices = settle_channels(plate, config.channels, {key: by_field[key] for key in keys if key in by_field})
    channels = choices.channels
    model = _model_of_nuclei(config, device, by_sensor=channels.by_sensor)
    cells_model = find_cells_model(config, channels, device)
    given = given_illumination(config, channels, plate.path)
    wanted = identity(plate, keys, config, model, cells_model)
    if given is not None:
        wanted["illumination_sha256"] = given.sha256
    theirs, told = given_labels(config, plate, selection.fields)
    notes += told
    if theirs is not None:
        wanted["labels_from_sha256"] = theirs.digest(selection.fields)
    check_results(out)
    resumed = check_resumable(out, wanted)
    if resumed is not None:
        model = same_arithmetic(out, resumed, model, device)
        cells_model = same_cells_model(out, resumed, cells_model, device)
        check_same_map(out, resumed, plate_map)
        check_same_pixels(out, plate, resumed, config)
    run_id = uuid4().hex[:16] if resumed is None else resumed.run_id
    own = labels_identity(wanted, device, model.arithmetic)
    labels = LabelTarget.chosen(
        config.labels,
        config.labels_name,
        plate=plate.path,
        out=out,
        run=own if resumed is None or resumed.labels is None else resumed.labels["run"],
        overwrite=overwrite_labels,
    )
    cell_labels = cells_target(
        config, labels, channels, labels_identity(wanted, device, model.arithmetic, cells=True), resumed
    )
    micro_labels = micronuclei_target(
        config, labels, cell_labels, labels_identity(wanted, device, model.arithmetic, micronuclei=True), resumed
    )
    record = RunRecord(
        run_id=run_id,
        identity=wanted,
        plate_path=plate.path,
        labels=None if labels is None else labels.plain(),
        cells=None if cell_labels is None else cell_labels.plain(),
        micronuclei=None if micro_labels is None else micro_labels.plain(),
        channels=choices.recorded(),
        model=plain_model(model) if theirs is None else {"name": f"none: labels from {theirs.name}", "sha256": ""},
        cells_model=None if cells_model is None else plain_model(cells_model),
        plate_map=plain_plate_map(plate_map, plate_map_path) if resumed is None else resumed.plate_map,
        images_from=found.images_from,
        keys=keys,
        time=times,
        nucleus_diameter=None if resumed is None else resumed.nucleus_diameter,
        illumination=None if resumed is None else resumed.illumination,
        background=None if resumed is None else resumed.background,
        registration=None if resumed is None else resumed.registration,
        **provenance(device),
    )
    units = record.units
    unfinished = units if resumed is None else unfinished_fields(out, plate.name, units, run_id)
    for target in (labels, cell_labels, micro_labels):
        if target is not None:
            notes += target.survey(plate.only(*unfinished).fields)
    job = Job(
        plate=plate,
        out=str(out),
        config=config,
        channels=channels,
        model=model,
        cells_model=cells_model,
        device=device,
        given=theirs,
        labels=labels,
        cell_labels=cell_labels,
        micronucleus_labels=micro_labels,
        run_id=run_id,
        interval_min=record.interval_min,
        times_min=record.times_min,
    )
    stated_background(config, channels)
    check_readouts(
        keys,
        channels,
        plate_map,
        config.readout,
        timed=times is not None,
        micronuclei=config.micronuclei,
        kinds=model.kinds,
    )
    return Prepared(
        job=job,
        keys=units,
        pending=controls_first(unfinished, plate_map),
        record=record,
        plate_map=plate_map,
        choices=choices,
        notes=(*plate.notes, *selection.notes, *choices.notes, *notes),
        given=given,
        understood=found.lines,
    )


def cells_target(
    config: Config, labels: LabelTarget | None, channels: Channels, run: str, resumed: RunRecord | None
) -> LabelTarget | None:
    """Where the labels of whole cells go: beside the nuclei's; ConfigError where both, or those given, have one
    name."""
    if channels.cells is None or labels is None:
        return None
    name = config.cells.labels_name
    if name in (config.labels_name, config.labels_from if labels.in_plate else None):
        raise ConfigError(
            f"cells.labels_name = {name}: the labels of the nuclei have this name; give the cells' another"
        )
    known = None if resumed is None else resumed.cells
    return replace(labels, name=name, run=run if known is None else str(known["run"]))


def micronuclei_target(
    config: Config, labels: LabelTarget | None, cells: LabelTarget | None, run: str, resumed: RunRecord | None
) -> LabelTarget | None:
    """Where the labels of micronuclei go: beside the nuclei's; ConfigError where others of the run, or those given,
    have their name."""
    if not config.micronuclei or labels is None:
        return None
    name = config.micronuclei_labels_name
    if name in (labels.name, None if cells is None else cells.name, config.labels_from if labels.in_plate else None):
        raise ConfigError(
            f"micronuclei_labels_name = {name}: the labels of the nuclei or cells have this name; give the "
            "micronuclei's another"
        )
    known = None if resumed is None else resumed.micronuclei
    return replace(labels, name=name, run=run if known is None else str(known["run"]))


def given_labels(
    config: Config, plate: Plate, fields: tuple[FieldEntry, ...]
) -> tuple[GivenLabels | None, tuple[str, ...]]:
    """The labels of ``labels_from`` and sentences on them; ConfigError where they would be overwritten."""
    if config.labels_from is None:
        return None, ()
    found, notes = find_given_labels(config.labels_from, plate, fields)
    if not found.files and config.labels == "plate" and config.labels_name == found.name:
        raise ConfigError(
            f"--labels-from {found.name}: labels of the run would be written under the same name; say --labels-name "
            "NAME, --labels out or --labels none"
        )
    return found, notes


def look_ahead(prepared: Prepared) -> Looked:
    """The background and the registration of the plate, or those of the record of a run that goes on: what a run can
    find out while its workers start."""
    job, keys, record = prepared.job, surveyed(prepared.keys), prepared.record
    return (
        settle_background(job, keys, known=record.background),
        settle_registration(job, keys, known=record.registration),
    )


def open_run(prepared: Prepared, client: Client, looked: Callable[[], Looked] | None = None) -> Prepared:
    """Settle what needs workers (the size of the nuclei) or many fields (their illumination), then write what must be
    there before the first field. ``looked`` gives what `look_ahead` found, if that was begun before.

    The record comes first, because it is what tells a folder of this run from a stranger's; a run that goes on does all
    of it again, because it may have been stopped in between.
    """
    job, out, record = prepared.job, prepared.out, prepared.record
    keys = surveyed(prepared.keys)
    known = record.nucleus_diameter
    diameter: Callable[[], Diameter]
    if known:
        diameter = partial(read_diameter, known)
    elif job.given is not None:
        diameter = unasked_diameter
    else:
        diameter = settle_diameter(client, job, keys)
    if job.labels is not None and job.labels.in_plate:
        job.labels.prepare(job.plate)  # a read-only plate is better known now than after a field
    light = settle_illumination(prepared.given, job, keys, known=record.illumination)
    background, registration = look_ahead(prepared) if looked is None else looked()
    size = diameter()
    seen_at = cells_scale(job, size)
    job = replace(job, scale=size.scale, cells_scale=seen_at.scale, illumination=light.sha256 if light else None)
    if background.source != "field":
        job = replace(job, backgrounds=tuple(sorted(background.levels.items())))
    ring = ring_note(job, keys)
    record = replace(
        record,
        nucleus_diameter=plain_diameter(size),
        illumination=light.plain() if light else record.illumination,
        background=background.plain(),
        registration=registration,
        ring={"width": ring},
    )
    record.write(out)
    keep_illumination(out, light)
    if prepared.plate_map is not None:
        write_plate_map(out / "platemap.csv", prepared.plate_map)
    if job.labels is not None and not job.labels.in_plate:
        job.labels.prepare(job.plate)
    for target in job.targets:
        _reopen_labels(target, prepared)
    return replace(
        prepared,
        job=job,
        record=record,
        notes=(
            *((size.note(),) if job.given is None else ()),
            *seen_at.notes,
            ring,
            *background.notes(job.channels.sensor_name),
            *prepared.notes,
            *(light.notes() if light else ()),
        ),
    )


def _reopen_labels(target: LabelTarget, prepared: Prepared) -> None:
    """Take back the labels of fields of which some frames are to be done again."""
    plate = prepared.job.plate
    for key in sorted({key.of_field for key in prepared.pending if key.is_frame}):
        frames = prepared.record.frames(key)
        FrameLabels(target=target, entry=plate.entry(key), frames=frames, ngff=plate.ngff).reopen()
