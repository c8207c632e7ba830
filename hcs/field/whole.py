"""What a worker does with some fields: read, find nuclei, measure, write labels, part and ledger entry, overlapping."""

from __future__ import annotations

import time
from collections import deque
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass, replace
from functools import partial
from typing import Any

import numpy as np
from numpy.typing import NDArray

from hcs.clock import Stopwatch
from hcs.errors import FieldError, HcsError
from hcs.field.edited import check_same_pixels, compare, measured_before
from hcs.field.job import Job
from hcs.field.large import LargeField, is_large, look_at
from hcs.field.unrecorded import blank_remarks, find_unrecorded
from hcs.field.worker import cell_network_of, hands_of, lights_of, segmenter_of, tune_worker
from hcs.machine import process_name
from hcs.measure.fill import Fill, without_fill
from hcs.measure.quality import quality_values
from hcs.pipeline import FieldResult, FoundNuclei, find_nuclei, measure_found
from hcs.plate.keys import FieldKey
from hcs.segment.segmenter import Segmenter
from hcs.store.location import location
from hcs.store.plate.edited_labels import EditedLabels
from hcs.store.plate.field import missing_sentence
from hcs.store.plate.frame_labels import FrameLabels
from hcs.store.plate.reader import OpenField, open_field
from hcs.store.plate.target import LabelTarget
from hcs.store.results.ledger import LedgerEntry, finished_entry, pixel_hash, write_entry
from hcs.store.results.table import write_part

_TOO_LARGE_FOR_GIVEN = (
    "it has more pixels than tiles.max_field_px, and labels from elsewhere are measured in one piece; raise "
    "tiles.max_field_px where memory allows"
)
_TOO_LARGE_FOR_MICRONUCLEI = (
    "it has more pixels than tiles.max_field_px, and micronuclei are found in one piece; raise tiles.max_field_px "
    "where memory allows, or say micronuclei: false"
)
_WAITING_PER_THREAD = 2
"""Fields that were read ahead, or wait to be written, for every thread that does so: memory holds these, not all."""
_TOO_LARGE_A_FRAME = (
    "a frame of it has more pixels than tiles.max_field_px, and only fields of one time point are cut in blocks; raise "
    "tiles.max_field_px where memory allows, or write the fields before stitching as the plate's"
)


@dataclass(frozen=True, slots=True)
class Loaded:
    """A field as it was read."""

    field: OpenField
    image: NDArray[Any]
    crc32: str
    clock: Stopwatch
    fill: Fill | None
    given: NDArray[np.uint32] | None = None
    """Labels that another tool made."""
    remark: str = ""
    """What is to be said of them."""


@dataclass(frozen=True, slots=True)
class Seen:
    """A field whose nuclei were found."""

    field: OpenField
    crc32: str
    clock: Stopwatch
    found: FoundNuclei | FieldResult
    """Measured already where nothing else computes meanwhile; then its pixels are let go."""
    remarks: tuple[str, ...]
    fill: Fill | None


def process_fields_here(job: Job, keys: Sequence[FieldKey]) -> list[LedgerEntry | LargeField]:
    """Process some fields from the plate to their ledger entries; doing it twice gives the same files. A field too
    large for memory is only looked at: how it is to be cut comes back.

    While one field is computed, threads read the next and write the last; where a GPU finds the nuclei, several do, and
    measure them too. Whatever is wrong with a field itself (missing, corrupt, out of memory) ends as a ``failed`` entry
    with the reason; only results that cannot be written (ResultsError) or a run that cannot work at all (ConfigError)
    raise.
    """
    clock = Stopwatch()
    tune_worker()
    segmenter = segmenter_of(job.model, job.device, flips=job.config.flips) if job.given is None else None
    hands = hands_of(job.device)
    clock.lap("start")
    load = partial(_load, job, segmenter=segmenter, several=len(keys) > 1)
    with ThreadPoolExecutor(hands) as readers, ThreadPoolExecutor(hands) as writers:
        ahead: deque[Future[Loaded | LedgerEntry | LargeField]] = deque()
        written: list[Future[LedgerEntry | LargeField]] = []
        waiting = iter(keys)
        _read_on(readers, load, waiting, ahead, 1)
        for key in keys:
            began = time.time()
            loaded = _result(ahead.popleft(), key)
            _read_on(readers, load, waiting, ahead, 1 if hands == 1 else _WAITING_PER_THREAD * hands)
            if isinstance(loaded, Loaded):
                loaded.clock.add(clock)
                clock = Stopwatch()
            found = _see(job, key, loaded, segmenter, measure=hands == 1) if isinstance(loaded, Loaded) else loaded
            del loaded
            if len(written) >= _WAITING_PER_THREAD * hands:
                written[-_WAITING_PER_THREAD * hands].result()
            written.append(writers.submit(_finish, job, key, found, began))
        return [future.result() for future in written]


def _failed(key: FieldKey, error: Exception) -> LedgerEntry:
    """The entry of a field that something is wrong with; what concerns the whole run is raised again."""
    if isinstance(error, HcsError) and not isinstance(error, FieldError):
        raise error
    reason = error.reason if isinstance(error, FieldError) else f"{type(error).__name__}: {error}"
    return LedgerEntry(field=str(key), status="failed", reason=reason)


def _read_on(
    readers: ThreadPoolExecutor,
    load: Callable[[FieldKey], Loaded | LedgerEntry | LargeField],
    waiting: Iterator[FieldKey],
    ahead: deque[Future[Loaded | LedgerEntry | LargeField]],
    most: int,
) -> None:
    """Have as many fields read ahead as ``most``."""
    while len(ahead) < most and (key := next(waiting, None)) is not None:
        ahead.append(readers.submit(load, key))


def _load(job: Job, key: FieldKey, *, segmenter: Segmenter | None, several: bool) -> Loaded | LedgerEntry | LargeField:
    """Read a field; where it is one of several and finished already, its entry comes back."""
    if several and not isinstance(job.given, EditedLabels):
        entry = finished_entry(location(job.out), job.plate.name, key, job.run_id)
        if entry is not None:
            return entry
    clock = Stopwatch()
    field = open_field(job.plate, key)
    if field.info.channels != job.channels.names:
        raise FieldError(key, f"its channels {field.info.channels} are not those of the plate, {job.channels.names}")
    if is_large(field.info, job.config):
        if segmenter is None:
            raise FieldError(key, _TOO_LARGE_FOR_GIVEN)
        if key.is_frame:
            raise FieldError(key, _TOO_LARGE_A_FRAME)
        if job.config.micronuclei:
            raise FieldError(key, _TOO_LARGE_FOR_MICRONUCLEI)
        return look_at(field.info, job, key, segmenter, cell_network_of(job))
    clock.lap("read")
    waited_s = field.meter.seconds
    image = field.read(z=job.config.z)
    waited_s = field.meter.seconds - waited_s
    clock.lap("decode", image.nbytes)
    clock.book("decode", -waited_s)
    clock.book("read", waited_s, field.meter.bytes)
    if image.dtype.kind == "f" and not np.isfinite(image).all():
        raise FieldError(key, "it holds NaN or infinite pixels; write it again from the raw images")
    clock.lap("decode")
    fill = find_unrecorded(key, image, job.channels, job.config.measure)
    clock.lap("decode")
    if job.given is None:
        return Loaded(field, image, pixel_hash(image), clock, fill)
    labels, remark = job.given.read(job.plate.entry(key), key, image.shape[1:])
    if isinstance(job.given, EditedLabels) and fill is not None and fill.mask is not None:
        labels[fill.mask] = 0  # else they would be numbered anew
    clock.lap("decode", labels.nbytes)
    return Loaded(field, image, pixel_hash(image), clock, fill, labels, remark)


def _result(ahead: Future[Loaded | LedgerEntry | LargeField], key: FieldKey) -> Loaded | LedgerEntry | LargeField:
    """What reading came to."""
    try:
        return ahead.result()
    except Exception as error:  # whatever one field does, the plate goes on
        return _failed(key, error)


def _see(job: Job, key: FieldKey, loaded: Loaded, segmenter: Segmenter | None, *, measure: bool) -> Seen | LedgerEntry:
    """Find the nuclei, and ``measure`` them."""
    found: FoundNuclei | FieldResult
    carried = ""
    try:
        found = find_nuclei(
            loaded.image,
            segmenter,
            job.channels,
            job.config,
            scale=job.scale,
            pixel_size_um=loaded.field.info.pixel_size_um,
            lights=None if job.illumination is None else lights_of(job.out, job.illumination, job.channels.names),
            fill=loaded.fill,
            given=loaded.given,
            kinds=job.model.kinds,
            cells=cell_network_of(job),
        )
        if job.model.carries and segmenter is not None and key.is_frame:
            from hcs.field.carrying import Movie  # noqa: PLC0415  scipy's parts that other models do without

            began = Stopwatch()
            movie = Movie(job, key, loaded.field.info, segmenter)
            pixels = found.even[job.channels.nuclei]
            labels, carried = movie.nuclei(found.labels, pixels, filled=loaded.fill is not None)
            found = replace(found, labels=without_fill(labels, loaded.fill))
            began.lap("carry", labels.nbytes)
            loaded.clock.add(began)
        if measure:
            found = measure_found(found, job.channels, job.config, job.plate_backgrounds)
    except Exception as error:  # whatever one field does, the plate goes on
        return _failed(key, error)
    remarks = (
        *blank_remarks(() if loaded.fill is None else loaded.fill.blank, job.channels),
        *(() if segmenter is None else segmenter.pace.take_remarks()),
        *((loaded.remark,) if loaded.remark else ()),
        *((carried,) if carried else ()),
    )
    return Seen(loaded.field, loaded.crc32, loaded.clock, found, remarks, loaded.fill)


def _finish(job: Job, key: FieldKey, found: Seen | LedgerEntry | LargeField, began: float) -> LedgerEntry | LargeField:
    """Measure what is not measured yet, write what was found and enter it; what was entered as done before stays."""
    if isinstance(found, LargeField) or (isinstance(found, LedgerEntry) and found.done):
        return found
    if isinstance(found, Seen):
        try:
            result = found.found
            if isinstance(result, FoundNuclei):
                result = measure_found(result, job.channels, job.config, job.plate_backgrounds)
            found = _write(job, key, found, result)
        except Exception as error:  # whatever one field does, the plate goes on
            found = _failed(key, error)
    if isinstance(job.given, EditedLabels) and not found.done:
        return found  # what was measured before stays, and is told from the edited labels by their checksum
    entry = replace(found, run=job.run_id, worker=process_name(), began=round(began, 4), ended=round(time.time(), 4))
    write_entry(location(job.out), entry)
    return entry


def _write_labels(job: Job, key: FieldKey, target: LabelTarget, found: Seen, labels: NDArray[np.uint32]) -> int:
    """Write the labels of a field, or of a frame beside those of the others; the bytes of their files."""
    entry, info = job.plate.entry(key), found.field.info
    if key.is_frame:
        growing = FrameLabels(target=target, entry=entry, frames=info.t_size, ngff=job.plate.ngff)
        return growing.write(labels, key.frame)
    return target.write(entry, labels, ngff=job.plate.ngff, pixel_size_um=info.pixel_size_um, pixels_crc32=found.crc32)


def _write(job: Job, key: FieldKey, found: Seen, result: FieldResult) -> LedgerEntry:
    """Labels and part of a field; its entry, not written yet."""
    clock = Stopwatch()
    edits, others = _edits(job, key, found, result)
    for target, labels in (
        (job.labels, result.labels),
        (job.cell_labels, result.cells),
        (job.micronucleus_labels, result.micronuclei),
    ):
        if target is not None and labels is not None:
            clock.lap("write labels", _write_labels(job, key, target, found, labels))
    part = write_part(
        location(job.out), job.plate.name, key, result.nuclei.columns, time_min=job.time_min(key), texts=job.texts
    )
    clock.lap("write table", part.nbytes)
    for other in (result.clock, found.clock):
        clock.add(other)
    n = len(result.nuclei)
    gaps = missing_sentence(*found.field.missing_chunks())
    return LedgerEntry(
        field=str(key),
        status="ok" if n else "empty",
        reason="; ".join(filter(None, (gaps, *found.remarks, *edits))),
        nuclei=n,
        recorded=1.0 if found.fill is None else round(found.fill.recorded, 6),
        part_bytes=part.nbytes,
        part_crc32=part.crc32,
        input_crc32=found.crc32,
        seconds={stage: round(s, 4) for stage, s in clock.seconds.items()},
        bytes=clock.bytes,
        ground=result.nuclei.grounds,
        background={name: float(value) for name, value in result.nuclei.backgrounds.items()},
        quality={name: None if np.isnan(value) else value for name, value in quality_values(result.quality).items()},
        others=others,
    )


def _edits(
    job: Job, key: FieldKey, found: Seen, result: FieldResult
) -> tuple[tuple[str, ...], dict[str, tuple[int, str]]]:
    """Of nuclei that somebody edited: what changed since they were measured, and by what their labels are known."""
    if not isinstance(job.given, EditedLabels):
        return (), {}
    before, columns = measured_before(job, key)
    check_same_pixels(before, key, found.crc32)
    said = "nuclei edited by hand" if columns is None else compare(columns, result.nuclei.columns).sentence()
    return (said,), {"edited": (len(result.nuclei), job.given.crc32(key))}
