"""Folders of images into OME-Zarr plates: every field by a worker process, verified, and gone on with after a kill.

The plate grows in a hidden folder beside its place. Every field that is complete in it has an entry: of what files it
was made, and the checksum of its pixels, which were read back and compared when it was written.
"""

from __future__ import annotations

import contextlib
import hashlib
import json
import shutil
import zlib
from collections.abc import Callable, Iterator
from concurrent.futures import Executor, ProcessPoolExecutor, ThreadPoolExecutor
from concurrent.futures.process import BrokenProcessPool
from dataclasses import dataclass, replace
from functools import partial
from multiprocessing import get_context
from pathlib import Path
from typing import Any

import numpy as np
import zarr
from numpy.typing import NDArray

from hcs import __version__
from hcs.config import FolderSettings
from hcs.errors import FieldError, HcsError, PlateError, ResultsError
from hcs.machine import cores
from hcs.plate.keys import FieldKey, WellId
from hcs.store.atomic import cannot_write, write_text
from hcs.store.files.containers import container_of
from hcs.store.files.understood import Seen, Understood, understand
from hcs.store.plate.movie_writer import MovieSpec, write_movie
from hcs.store.plate.nodes import Ngff
from hcs.store.plate.ome import ome_writer
from hcs.store.plate.writer import field_path, write_field, write_groups
from hcs.store.threads import set_threads

_ENTRIES = ".conversion"
"""Folder of the growing plate with an entry for every complete field; it goes before the plate appears."""
_FEW_BYTES = 2**30
"""Pixels below which threads of this process convert: processes would take longer to start."""

Progress = Callable[[int, int], None]
Say = Callable[[str], None]


@dataclass(frozen=True, slots=True)
class ConvertSummary:
    """What a conversion wrote; ``ignored`` counts image files that show no plane of the plate."""

    path: str
    wells: int
    fields: int
    channels: tuple[str, ...]
    ignored: int
    left_out: tuple[str, ...] = ()
    """Channels of fields, and fields, that are not in the plate, each with the reason."""
    notes: tuple[str, ...] = ()
    """What was done to pixels, and what is worth knowing of them."""
    kept: int = 0
    """Fields that an earlier, interrupted conversion had written, and that were verified."""


@dataclass(frozen=True, slots=True)
class _Written:
    """What became of one field."""

    key: FieldKey
    seen: Seen
    fault: str = ""
    kept: bool = False


def convert_plate(
    source: str | Path,
    plate_path: str | Path,
    *,
    layout: str | None = None,
    pattern: str | None = None,
    channels: tuple[str, ...] | None = None,
    z: str | None = None,
    t: str | None = None,
    plate_format: int | None = None,
    pixel_size_um: float | None = None,
    interval_min: float | None = None,
    times_min: tuple[float, ...] | None = None,
    well: str | None = None,
    ngff: Ngff = "0.5",
    workers: int | None = None,
    progress: Progress | None = None,
    say: Say = lambda _: None,
) -> ConvertSummary:
    """Write the images below ``source`` as the plate ``plate_path``, named after that folder.

    The folder is one that a microscope or its software wrote, recognised by its metadata and names (`layouts.LAYOUTS`);
    ``layout`` names one of these. Or ``pattern`` is a regular expression, searched in each file's path below ``source``
    (with ``/``), with the named groups ``well`` or ``row`` and ``column`` (letters, or numbers from 1), optionally
    ``field``, ``channel``, ``z`` and ``t``. Fields are numbered 0… in the sorted order of their names over the plate.

    ``channels`` renames the channels in their order, or, written ``DAPI=DNA``, one by one. ``z`` is ``max`` (maximum
    projection), ``keep`` (all planes), ``projection`` (the microscope's), or the plane to take; without it several
    planes of a recognised folder are projected, and those of ``pattern`` refused. ``t`` is the time point to take,
    or ``all``, which makes fields with time and is done for a recognised folder where nothing is said; a frame of a
    field that lacks a file is then a gap, which is named. ``plate_format`` is the number of wells where wells are
    running numbers. ``pixel_size_um``, ``interval_min`` and, of frames that are not evenly apart, ``times_min`` go
    before the folder's. ``well`` is that of all images, where names and metadata tell none.

    All headers are read first. A field is written with those of its channels whose files are there and sound; what is
    missing is named in the summary. ``say`` is told what was understood before anything is written, ``progress`` fields
    written and fields in all. ``workers`` is the number of processes, by default one for every core; a script that
    converts more than a gigabyte calls this below ``if __name__ == "__main__":``, as for any processes of Python.

    Every field is read back and compared with the pixels of its files. The plate appears when all of it is written; an
    interrupted conversion, begun again, goes on. Raises ConfigError for a bad choice, PlateError for files that do not
    make a plate, ResultsError where ``plate_path`` exists or cannot be written.
    """
    target = Path(plate_path)
    if target.exists():
        raise ResultsError(f"{target} exists already; remove it or give another name")
    name = target.name.removesuffix(".zarr").removesuffix(".ome")
    choices = FolderSettings(
        layout=layout,
        pattern=pattern,
        channels=channels or (),
        z=z,
        t=t,
        plate_format=plate_format,
        pixel_size_um=pixel_size_um,
        interval_min=interval_min,
        times_min=times_min,
        well=well,
    )
    plan = understand(Path(source), name, choices, ngff=ngff, say=say)
    seen, kept = Seen(), 0
    lost: dict[FieldKey, str] = {}
    with _growing(target, plan) as folder:
        for done, written in enumerate(_all_written(folder, plan, workers or cores()), start=1):
            seen.add(written.seen)
            kept += written.kept
            if written.fault:
                lost[written.key] = f"{plan.shown(written.key)}: {written.fault}"
            if progress is not None:
                progress(done, len(plan.found.fields))
        _complete(folder, plan, lost)
    return ConvertSummary(
        str(target),
        len({key.well for key in plan.found.fields if key not in lost}),
        len(plan.found.fields) - len(lost),
        plan.spec.channels,
        len(plan.table.ignored),
        (*plan.found.incomplete, *lost.values(), *seen.lost_frames),
        seen.notes(),
        kept,
    )


@contextlib.contextmanager
def _growing(target: Path, plan: Understood) -> Iterator[Path]:
    """The hidden folder in which the plate grows, with what an interrupted conversion of the same files left in it;
    renamed to ``target`` when the block ends well. Where not one field can be had it goes; a full disk or a kill leaves
    it to be gone on with."""
    part = target.with_name(f".{target.name}.part")
    mark, identity = part / _ENTRIES / "plan", _identity(plan)
    try:
        if part.exists() and not (mark.is_file() and mark.read_text(encoding="utf-8") == identity):
            shutil.rmtree(part)
        (part / _ENTRIES).mkdir(parents=True, exist_ok=True)
        with _alone(part / _ENTRIES / "lock", target):
            write_text(mark, identity)
            yield part
            shutil.rmtree(part / _ENTRIES)
            if target.exists() or target.is_symlink():
                raise ResultsError(f"{target} exists already; remove it or give another name")
            part.rename(target)
    except PlateError:
        shutil.rmtree(part, ignore_errors=True)
        raise
    except OSError as error:
        if isinstance(error, HcsError):
            raise
        raise cannot_write(target, error) from error


@contextlib.contextmanager
def _alone(lock: Path, target: Path) -> Iterator[None]:
    """Hold the lock of a conversion, which ends with its process; ResultsError where another process has it."""
    try:
        import fcntl  # noqa: PLC0415  Windows has none, and no second conversion is kept off there
    except ImportError:
        yield
        return
    with lock.open("w") as file:
        try:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError as error:
            raise ResultsError(f"{target} is being written by another conversion; wait for its end") from error
        yield


def _identity(plan: Understood) -> str:
    """What two conversions must share for one to go on with the other: files, where they go, and the version of hcs."""
    told: list[object] = [
        __version__,
        str(plan.source.resolve()),
        plan.spec,
        plan.found.fields,
        plan.found.z,
        plan.when,
    ]
    told += [[one.fields for one in plan.times], plan.found.incomplete, sorted(plan.table.centres_um.items())]
    return hashlib.sha256(repr(told).encode("utf-8", "surrogatepass")).hexdigest()


def _all_written(folder: Path, plan: Understood, workers: int) -> Iterator[_Written]:
    """Write the fields over processes, or threads where there is little to do, and tell of each, in their order."""
    ome_writer()  # imported by one thread
    keys = tuple(plan.found.fields)
    with _executor(folder, plan, min(workers, len(keys))) as executor:
        write = partial(_write_one, folder, plan) if isinstance(executor, ThreadPoolExecutor) else _write_here
        waiting = [executor.submit(write, key) for key in keys]
        try:
            for task in waiting:
                yield task.result()
        except BrokenProcessPool as error:
            raise ResultsError(
                f"a process that wrote {folder} was ended from outside, as a system short of memory does; run the same "
                "command again, with --workers 1 if memory is short: finished fields are kept"
            ) from error
        finally:
            executor.shutdown(cancel_futures=True)


def _executor(folder: Path, plan: Understood, workers: int) -> Executor:
    frames = max(len(plan.times), 1)
    channels = sum(len(sources) for planes in plan.found.fields.values() for sources in planes.values())
    header = next(iter(plan.found.headers.values()))
    nbytes = channels * frames * header.shape[0] * header.shape[1] * header.dtype.itemsize
    if workers == 1 or nbytes < _FEW_BYTES:
        return ThreadPoolExecutor(workers)
    context = get_context("forkserver" if "forkserver" in _methods() else "spawn")
    if context.get_start_method() == "forkserver":
        context.set_forkserver_preload([__name__, "hcs.store.plate.ome"])
    return ProcessPoolExecutor(workers, mp_context=context, initializer=_begin, initargs=(folder, plan))


def _methods() -> list[str]:
    from multiprocessing import get_all_start_methods  # noqa: PLC0415

    return get_all_start_methods()


_WORK: list[tuple[Path, Understood]] = []
"""Of a worker process: where it writes, and what."""


def _begin(folder: Path, plan: Understood) -> None:
    set_threads(1)
    ome_writer()
    _WORK[:] = [(folder, plan)]


def _write_here(key: FieldKey) -> _Written:
    return _write_one(*_WORK[0], key)


def _write_one(folder: Path, plan: Understood, key: FieldKey) -> _Written:
    """Read and write one field with the channels that it has, and compare what was written with what was read; nothing
    where that was done already."""
    entry = folder / _ENTRIES / f"{str(key).replace('/', '-')}.json"
    files = _stamps(plan, key)
    before = _kept(folder, key, entry, files)
    if before is not None:
        return _Written(key, before, kept=True)
    seen = Seen()
    try:
        crc32 = _write_movie(folder, plan, key, seen) if plan.times else _write_image(folder, plan, key, seen)
    except FieldError as error:
        return _Written(key, Seen(), fault=error.reason)
    if _stored_crc32(folder, key) != crc32:
        raise ResultsError(
            f"{folder / field_path(key)} does not hold the pixels that were written: the disk or its connection is at "
            "fault; check it and run the same command again"
        )
    write_text(entry, json.dumps({"files": files, "crc32": crc32, "seen": seen.plain()}))
    return _Written(key, seen)


def _stamps(plan: Understood, key: FieldKey) -> dict[str, list[int]]:
    """Size and time of every file of a field."""
    planes = [found.fields.get(key, {}) for found in plan.times or (plan.found,)]
    found = {}
    for name in {source.name for each in planes for sources in each.values() for source in sources}:
        with contextlib.suppress(OSError):
            inside = container_of(plan.source / name)
            stat = (plan.source / name if inside is None else inside[0]).stat()
            found[name] = [stat.st_size, stat.st_mtime_ns]
    return dict(sorted(found.items()))


def _kept(folder: Path, key: FieldKey, entry: Path, files: dict[str, list[int]]) -> Seen | None:
    """What an earlier conversion saw of a field that it wrote from the same files, and that still reads the same; None
    where it is to be written."""
    try:
        told = json.loads(entry.read_text(encoding="utf-8"))
        if told["files"] == files and told["crc32"] == _stored_crc32(folder, key):
            return Seen.of(told["seen"])
    except Exception:  # no entry, a damaged one, a damaged chunk: the field is written anew
        return None
    return None


def _stored_crc32(folder: Path, key: FieldKey) -> int:
    """Checksum of the pixels of a field as a reader gets them."""
    array = zarr.open_array(folder / field_path(key) / "0", mode="r")
    crc32 = 0
    for i in range(array.shape[0]):  # of channels, or of frames: the bytes are the same
        crc32 = _crc32(np.asarray(array[i]), crc32)
    return crc32


def _crc32(pixels: NDArray[Any], so_far: int = 0) -> int:
    return zlib.crc32(np.ascontiguousarray(pixels, pixels.dtype.newbyteorder("<")).data, so_far)


def _write_image(folder: Path, plan: Understood, key: FieldKey, seen: Seen) -> int:
    """Read and write a field of one time point; the checksum of its pixels."""
    planes, names = plan.found.fields[key], plan.names()
    image = plan.image(planes, seen)
    spec = replace(plan.spec, channels=tuple(names[channel] for channel in planes))
    write_field(str(folder), spec, key, image, origin_um=plan.origin_um(key), lights_nm=plan.lights_nm(key))
    return _crc32(image)


def _write_movie(folder: Path, plan: Understood, key: FieldKey, seen: Seen) -> int:
    """Read and write all frames of one field; one that lacks a channel or is damaged is left out, and said. The
    checksum of all, a frame that is left out as zeros."""
    names, channels = plan.names(), tuple(plan.found.fields[key])
    like: list[NDArray[Any]] = []
    crc32 = [0, 0]

    def enter(image: NDArray[Any] | None) -> NDArray[Any] | None:
        """Count a frame into the checksum; those left out before the first that is not wait for its shape."""
        if image is None and not like:
            crc32[1] += 1
            return None
        if image is not None and not like:
            like.append(np.zeros_like(image))
            for _ in range(crc32[1]):
                crc32[0] = _crc32(like[0], crc32[0])
        crc32[0] = _crc32(like[0] if image is None else image, crc32[0])
        return image

    def images() -> Iterator[NDArray[Any] | None]:
        for frame, found in enumerate(plan.times):
            planes = found.fields.get(key, {})
            if not planes.keys() >= {*channels}:
                yield enter(None)  # which is among what is incomplete
                continue
            try:
                yield enter(plan.image({channel: planes[channel] for channel in channels}, seen))
            except FieldError as error:
                seen.lost_frames.append(f"{plan.shown(key)}, frame {frame}: {error.reason}")
                yield enter(None)

    write_movie(
        str(folder),
        replace(plan.spec, channels=tuple(names[channel] for channel in channels)),
        key,
        MovieSpec(frames=len(plan.times), interval_min=plan.when.interval_min, times_min=plan.when.times_min),
        images(),
        origin_um=plan.origin_um(key),
        lights_nm=plan.lights_nm(key),
    )
    return crc32[0]


def _complete(folder: Path, plan: Understood, lost: dict[FieldKey, str]) -> None:
    """Write the plate's groups around its fields; PlateError where not one field could be written."""
    if len(lost) == len(plan.found.fields):
        raise PlateError(f"{plan.source}: not one field can be written: {next(iter(lost.values()))}")
    numbers: dict[WellId, tuple[int, ...]] = {}
    for key in plan.found.fields:
        if key not in lost:
            numbers[key.well] = (*numbers.get(key.well, ()), key.field)
    plan.write_companions(folder)
    write_groups(
        folder,
        replace(plan.spec, wells=tuple(sorted(numbers))),
        fields={well: tuple(sorted(each)) for well, each in numbers.items()},
        acquisitions=plan.acquisitions(),
        origin=plan.record(lost),
    )
