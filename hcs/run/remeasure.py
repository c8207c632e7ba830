"""Nuclei that somebody edited in a finished run: which fields, the job that measures them, and how that ended."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import ExitStack
from dataclasses import dataclass, replace
from fractions import Fraction
from typing import TYPE_CHECKING

from hcs.engine.cluster import Workers, connect, scheduler_kept
from hcs.engine.flow import process_fields
from hcs.errors import HcsError, PlateError, ResultsError
from hcs.field.job import Job
from hcs.field.link import link_field
from hcs.field.whole import process_fields_here
from hcs.plate.channels import Channels
from hcs.plate.keys import FieldKey
from hcs.run.cells import recorded_cells_model, recorded_cells_scale
from hcs.store.location import location, map_at
from hcs.store.models import ModelFile
from hcs.store.plate.edited_labels import EditedLabels
from hcs.store.plate.reader import Plate, open_plate
from hcs.store.plate.target import LabelTarget
from hcs.store.results.folder import Results
from hcs.store.results.ledger import LedgerEntry, read_ledger

if TYPE_CHECKING:
    from hcs.store.results.record import RunRecord

_FEW = 8
"""Up to so many fields, or frames, are measured in this process: workers would take longer to start."""


@dataclass(frozen=True, slots=True)
class Edited:
    """The fields of a run whose labels are not those that were measured."""

    job: Job
    keys: tuple[FieldKey, ...]
    """The fields, in plate order."""
    units: tuple[FieldKey, ...]
    """What is measured: the fields, or all their frames."""


def find_edited(results: Results) -> Edited:
    """The fields whose labels somebody edited since they were measured, and the job that measures them as the run did.

    ResultsError where the run kept no labels, or its plate cannot be read.
    """
    record = results.record
    target = LabelTarget.recorded(record.labels, results.folder, results.plate_path)
    if target is None:
        raise ResultsError(
            f"{results.folder} was made with `labels: none`: there are no labels of it that could be edited; run the "
            "plate again with --labels plate or --labels out"
        )
    try:
        plate = open_plate(str(results.plate_path))
    except PlateError as error:
        raise ResultsError(
            f"the plate of {results.folder} cannot be read ({error}); say where it is now with --plate"
        ) from error
    measured = {e.field: e for e in read_ledger(results.folder, record.keys, record.run_id) if e.done}
    keys = [key for key in record.keys if str(key) in measured]
    found = map_at(
        location(target.path),
        lambda key: target.edited(plate.entry(key), measured[str(key)].edited_crc32),
        keys,
    )
    known_by = tuple((key, crc32) for key, crc32 in zip(keys, found, strict=True) if crc32 is not None)
    chosen = tuple(key for key, _ in known_by)
    units = tuple(key.at(t) if n else key for key in chosen for n in [record.frames(key)] for t in range(n or 1))
    return Edited(_job(results, plate, EditedLabels(target, known_by)), chosen, units)


def measure_edited(edited: Edited, workers: Workers) -> tuple[LedgerEntry, ...]:
    """Measure the edited fields, and link those with time; their entries, or of a field that could not be measured a
    ``failed`` one, which is entered nowhere: what was measured before stays."""
    job = edited.job
    failed: dict[FieldKey, LedgerEntry] = {}
    for entry in _processed(edited, workers):
        key = FieldKey.parse(entry.field)
        if not entry.done or entry.edited_crc32 != _labels(job).crc32(key):
            failed.setdefault(key.of_field, replace(entry, field=str(key.of_field), status="failed"))
    entries = []
    for key in edited.keys:
        frames = [unit for unit in edited.units if unit.of_field == key and unit.is_frame]
        linked = link_field(job.for_field(key), key, len(frames)) if frames and key not in failed else None
        (now,) = read_ledger(location(job.out), [key], job.run_id)
        entries.append(failed.get(key, linked or now))
    return tuple(entries)


def _labels(job: Job) -> EditedLabels:
    assert isinstance(job.given, EditedLabels)
    return job.given


def _processed(edited: Edited, workers: Workers) -> Iterator[LedgerEntry]:
    """What became of every field or frame, by workers where there are many."""
    job = edited.job
    if len(edited.units) <= _FEW:
        for key in edited.units:
            (entry,) = process_fields_here(job.for_field(key), [key])
            assert isinstance(entry, LedgerEntry)
            yield entry
        return
    with ExitStack() as cluster:
        client = cluster.enter_context(connect(workers))
        cluster.enter_context(scheduler_kept())
        for outcome in process_fields(client, ((job, key) for key in edited.units)):
            if outcome.error is not None:
                raise outcome.error
            yield outcome.entry


def _job(results: Results, plate: Plate, given: EditedLabels) -> Job:
    """The run's job as its record has it, which writes no labels of nuclei; whole cells and micronuclei are made
    anew from them."""
    record = results.record
    background = record.background
    levels = None
    if background is not None and background["source"] != "field":
        levels = tuple(sorted((str(name), float(level)) for name, level in background["levels"].items()))
    job = Job(
        plate=plate,
        out=str(results.folder.absolute()),
        config=record.config,
        channels=_channels(record),
        model=ModelFile(str(record.model["name"]), "", str(record.model["sha256"]), kinds=record.kinds),
        cells_model=recorded_cells_model(record),
        device="cpu",
        given=given,
        labels=None,
        cell_labels=LabelTarget.recorded(record.cells, results.folder, str(results.plate_path)),
        micronucleus_labels=LabelTarget.recorded(record.micronuclei, results.folder, str(results.plate_path)),
        run_id=record.run_id,
        scale=Fraction(1),
        illumination=None if record.illumination is None else record.illumination["sha256"],
        backgrounds=levels,
        interval_min=record.interval_min,
        times_min=record.times_min,
    )
    return replace(job, cells_scale=recorded_cells_scale(record, job))


def _channels(record: RunRecord) -> Channels:
    names = record.channels.names
    dna, sensor, nuclei, cells = (
        None if name is None else names.index(name)
        for name in (record.channels.dna, record.channels.sensor, record.channels.nuclei, record.channels.cells)
    )
    if nuclei is None:
        raise HcsError("the run has no channel of nuclei")
    return Channels(names, dna, sensor, nuclei, cells)
