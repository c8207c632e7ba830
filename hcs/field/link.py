"""What a worker does once all frames of a field are done: link their nuclei to tracks, on tables, and enter the field.

Alone in a file because nothing here touches an image: it is the second, small unit of work of a field with time.
"""

from __future__ import annotations

import time
from dataclasses import replace

from hcs.clock import Stopwatch
from hcs.errors import FieldError, HcsError
from hcs.field.job import Job
from hcs.machine import process_name
from hcs.plate.keys import FieldKey
from hcs.store.location import location
from hcs.store.plate.frame_labels import FrameLabels
from hcs.store.plate.reader import read_info
from hcs.store.results.ledger import LedgerEntry, finished_entry, write_entry
from hcs.store.results.movie import Movie
from hcs.tracks.field import track_field

_NEEDED = (
    *("Metadata_Timepoint", "Metadata_Time_min", "Metadata_ObjectNumber"),
    *("Nuclei_AreaShape_Center_Y", "Nuclei_AreaShape_Center_X", "Nuclei_AreaShape_Area"),
    *("Nuclei_DNA_Content", "Nuclei_Flag_TouchesBorder"),
)
"""Columns that linking looks at."""
_MOST_NAMED = 5


def link_field(job: Job, key: FieldKey, frames: int) -> LedgerEntry | None:
    """Link the nuclei of a field of ``frames`` time points and enter the field; doing it twice gives the same files.

    None where frames are pending still: the field is linked when they are done. A frame that failed is a gap, and the
    field's entry says so. Only results that cannot be written raise (ResultsError).
    """
    out, plate = location(job.out), job.plate.name
    movie = Movie.read(out, key, frames, job.run_id)
    if not movie.complete:
        return None
    known = finished_entry(out, plate, key, job.run_id)
    if known is not None and known.others.get("frames") == movie.known_by:
        return known
    began = time.time()
    try:
        entry = _linked(job, movie) if movie.done else _all_failed(movie)
    except Exception as error:  # whatever one field does, the plate goes on
        if isinstance(error, HcsError) and not isinstance(error, FieldError):
            raise
        reason = error.reason if isinstance(error, FieldError) else f"{type(error).__name__}: {error}"
        entry = LedgerEntry(field=str(key), status="failed", reason=f"its frames cannot be linked: {reason}")
    entry = replace(entry, run=job.run_id, worker=process_name(), began=round(began, 4), ended=round(time.time(), 4))
    write_entry(out, entry)
    return entry


def _linked(job: Job, movie: Movie) -> LedgerEntry:
    """The entry of a field whose tracks, part and labels have been written."""
    out, plate, clock = location(job.out), job.plate.name, Stopwatch()
    info = read_info(job.plate, movie.key)
    shape = info.shape[1], info.shape[2]
    columns = movie.columns(out, plate, _NEEDED)
    clock.lap("read table")
    found = track_field(columns, interval_min=job.interval_min, shape_px=shape, settings=job.config.tracks)
    clock.lap("link")
    part, tracks = movie.write(out, plate, found.nuclei, found.tracks)
    clock.lap("write table", part.nbytes + tracks.nbytes)
    for target in job.targets:
        FrameLabels(
            target=target,
            entry=job.plate.entry(movie.key),
            frames=len(movie.entries),
            ngff=job.plate.ngff,
            pixel_size_um=info.pixel_size_um,
            interval_min=job.interval_min,
        ).publish(shape, movie.pixels_crc32)
        clock.lap("write labels")
    nuclei = sum(entry.nuclei for entry in movie.done)
    return LedgerEntry(
        field=str(movie.key),
        status="ok" if nuclei else "empty",
        reason="; ".join(filter(None, (_failed_frames(movie), *found.notes))),
        nuclei=nuclei,
        recorded=min(entry.recorded or 0.0 for entry in movie.done),
        part_bytes=part.nbytes,
        part_crc32=part.crc32,
        input_crc32=movie.pixels_crc32,
        seconds={stage: round(s, 4) for stage, s in clock.seconds.items()},
        bytes=clock.bytes,
        others={"tracks": (tracks.nbytes, tracks.crc32), "frames": movie.known_by, **movie.edited},
    )


def _all_failed(movie: Movie) -> LedgerEntry:
    reason = movie.entries[0].reason if movie.entries else "it has no frames"
    return LedgerEntry(
        field=str(movie.key), status="failed", reason=f"all its frames failed, the first because {reason}"
    )


def _failed_frames(movie: Movie) -> str:
    """A sentence on frames that could not be processed."""
    failed = [FieldKey.parse(entry.field).frame for entry in movie.failed]
    if not failed:
        return ""
    some = ", ".join(map(str, failed[:_MOST_NAMED])) + (", …" if len(failed) > _MOST_NAMED else "")
    return f"{len(failed)} of {len(movie.entries)} frames failed ({some}) and are gaps in its tracks"
