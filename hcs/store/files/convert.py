"""Folders of TIFF and PNG files into OME-Zarr plates: what files make which field, and all of it shown before it is
written.

Long, because what is shown before anything is written must be what is written.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from hcs.errors import FieldError, PlateError, ResultsError
from hcs.machine import cores
from hcs.plate.keys import FieldKey, WellId
from hcs.store.files.arrange import Arranged, arrange, arrange_times
from hcs.store.files.channelnames import doubtful_names, name_channels, same_name, unstained
from hcs.store.files.images import read_plane, remarks_of
from hcs.store.folders import replacing_folder
from hcs.store.microscopes.folder import open_folder
from hcs.store.microscopes.layouts import read_table
from hcs.store.microscopes.table import PlaneTable, Source
from hcs.store.plate.movie_writer import MovieSpec, write_movie
from hcs.store.plate.nodes import Ngff
from hcs.store.plate.ome import ome_writer
from hcs.store.plate.writer import PlateSpec, write_field, write_groups

_MOST_NAMED = 12
_FULL_BITS = {2**bits - 1: bits for bits in (10, 11, 12, 13, 14, 15)}
"""Largest values of cameras of fewer than 16 bits."""
_FEWEST_FULL = 2
"""Pixels that must have such a value, lest the brightest pixel of a plate happens to."""

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


@dataclass(slots=True)
class _Seen:
    """What reading the pixels told: remarks by file, and by channel how often a camera's largest value occurs."""

    remarks: list[tuple[str, tuple[str, ...]]] = field(default_factory=list)
    lost_frames: list[str] = field(default_factory=list)
    """Frames that turned out damaged, each with the reason."""
    largest: dict[str, int] = field(default_factory=dict)
    full: Counter[str] = field(default_factory=Counter)

    def add(self, other: _Seen) -> None:
        """Enter what another field's pixels told."""
        self.remarks += other.remarks
        self.lost_frames += other.lost_frames
        for channel, largest in other.largest.items():
            if largest > self.largest.get(channel, -1):
                self.largest[channel], self.full[channel] = largest, 0
            if largest == self.largest[channel]:
                self.full[channel] += other.full[channel]


@dataclass(frozen=True, slots=True, kw_only=True)
class _Plan:
    """A conversion before anything is written."""

    source: Path
    spec: PlateSpec
    table: PlaneTable
    found: Arranged
    times: tuple[Arranged, ...] = ()
    """Of every time point, where all are kept; ``found`` then has an example of every field."""
    interval_min: float | None = None

    def origin_um(self, key: FieldKey) -> tuple[float, float] | None:
        """Where the first pixel of a field lies on the stage, (y, x); None where it is not known."""
        centre = self.table.centres_um.get((key.well, self.found.field_names[key.field]))
        first = next(iter(self.found.fields[key].values()))[0]
        if centre is None or self.spec.pixel_size_um is None:
            return None
        height, width = self.found.headers[first.name].shape
        size = self.spec.pixel_size_um
        return centre[0] - (height - 1) / 2 * size, centre[1] - (width - 1) / 2 * size


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
    ngff: Ngff = "0.5",
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
    running numbers. ``pixel_size_um`` and ``interval_min`` go before the folder's.

    All headers are read first. A field is written with those of its channels whose files are there and sound; what is
    missing is named in the summary. ``say`` is told what was understood before anything is written, ``progress`` fields
    written and fields in all.

    The plate appears when all of it is written. Raises ConfigError for a bad choice, PlateError for files that do not
    make a plate, ResultsError where ``plate_path`` exists or cannot be written.
    """
    target, images = Path(plate_path), Path(source)
    if target.exists():
        raise ResultsError(f"{target} exists already; remove it or give another name")
    table = read_table(open_folder(images), layout=layout, pattern=pattern, plate_format=plate_format)
    for line in _first_lines(table, images):
        say(line)
    by_default = "max" if pattern is None else None
    times: tuple[Arranged, ...] = ()
    if t == "all" or (t is None and pattern is None):
        t = "all"  # what a microscope recorded over time is kept as such
    if t == "all" and len({place.t for place in table.planes}) > 1:
        found, times = arrange_times(table, images, z=z, by_default=by_default)
    else:
        found = arrange(table, images, z=z, t=None if t == "all" else t, by_default=by_default)
    told_min = None if table.interval_s is None else table.interval_s / 60
    spec = PlateSpec(
        name=target.name.removesuffix(".zarr").removesuffix(".ome"),
        wells=tuple(sorted({key.well for key in found.fields})),
        fields_per_well=max(key.field for key in found.fields) + 1,
        channels=name_channels(_shown_names(found), _by_shown_name(found, channels or ())),
        ngff=ngff,
        pixel_size_um=pixel_size_um or table.pixel_size_um,
        z_step_um=table.z_step_um,
    )
    interval = told_min if interval_min is None else interval_min
    plan = _Plan(source=images, spec=spec, table=table, found=found, times=times, interval_min=interval)
    for line in _lines(plan):
        say(line)
    seen = _Seen()
    with replacing_folder(target, new=True) as folder:
        lost = _write(folder, plan, seen=seen, progress=progress)
    return ConvertSummary(
        str(target),
        len({key.well for key in found.fields if key not in lost}),
        len(found.fields) - len(lost),
        spec.channels,
        len(table.ignored),
        (*found.incomplete, *lost.values(), *seen.lost_frames),
        (*remarks_of(seen.remarks), *_depths(seen)),
    )


def _shown_names(found: Arranged) -> tuple[str, ...]:
    return tuple(channel.name for channel in found.channels.values())


def _by_shown_name(found: Arranged, wanted: tuple[str, ...]) -> tuple[str, ...]:
    """``FILE=NAME`` with the microscope's number of a channel made one with its name, where no channel bears that."""
    names = _shown_names(found)
    translated = []
    for entry in wanted:
        given, sign, name = entry.partition("=")
        hits = [c.name for key, c in found.channels.items() if same_name(key, given.strip())]
        by_number = bool(sign) and given.strip() not in names and len(hits) == 1
        translated.append(f"{hits[0]}={name}" if by_number else entry)
    return tuple(translated)


def _first_lines(table: PlaneTable, source: Path) -> tuple[str, ...]:
    """What kind of folder it is, and how much its names and metadata list."""
    wells, fields = {p.well for p in table.planes}, {(p.well, p.field) for p in table.planes}
    times = len({p.t for p in table.planes})
    lines = [
        f"{source}: {table.title}",
        f"  lists     {len(table.planes):,} planes: {len(wells):,} wells, {len(fields):,} fields"
        + (f", {times:,} time points" if times > 1 else "")
        + (f", every {table.interval_s:g} s" if times > 1 and table.interval_s else ""),
    ]
    return tuple(lines)


def _lines(plan: _Plan) -> tuple[str, ...]:
    """What was understood, to be shown before anything is written."""
    spec, found, table = plan.spec, plan.found, plan.table
    lines = [f"{spec.name}: {len(spec.wells)} wells, {len(found.fields):,} fields"]
    lines.append(f"  channels  {', '.join(_renamings(plan))}")
    lines.append(f"  fields    {_field_counts(found)}")
    if found.z_said:
        lines.append(f"  z planes  {found.z_said}")
    if plan.times:
        every = "interval unknown (--interval-min says it)"
        every = every if plan.interval_min is None else f"one every {plan.interval_min:g} min"
        lines.append(f"  time      {len(plan.times)} time points kept as frames, {every} (--t takes one of them)")
    lines.append(f"  pixels    {_shapes(found)}{_size_said(plan)}")
    notes = [*table.notes, *doubtful_names(_shown_names(found), spec.channels), *_uneven(found)]
    notes += unstained(spec.channels, tuple(found.channels.values()))
    if table.ignored:
        what = "1 image file shows" if len(table.ignored) == 1 else f"{len(table.ignored):,} image files show"
        notes.append(f"{what} no plane of this plate and will be left out, such as {table.ignored[0]}.")
    if found.incomplete:
        what = "1 thing is" if len(found.incomplete) == 1 else f"{len(found.incomplete):,} things are"
        notes.append(f"{what} missing or damaged, such as: {found.incomplete[0]}.")
    return (*lines, *(f"  note      {note}" for note in notes))


def _renamings(plan: _Plan) -> list[str]:
    """Every channel as the folder has it, its light, and what it becomes."""
    shown = []
    for (key, channel), name in zip(plan.found.channels.items(), plan.spec.channels, strict=True):
        label = channel.name if key in ("", channel.name) or not key.isdecimal() else f"{key} {channel.name}"
        shown.append(f"{label or '(all files)'}{f' ({channel.light})' if channel.light else ''} → {name}")
    return shown


def _size_said(plan: _Plan) -> str:
    """The pixel size and where it is from, and whether positions are there."""
    told, size = plan.table.pixel_size_um, plan.spec.pixel_size_um
    if size is None:
        return ", size unknown (--pixel-size-um says it)"
    other = f", against {told:.6g} µm in the metadata" if told is not None and abs(told - size) > 1e-3 * size else ""
    where = f"; {len(plan.table.centres_um):,} fields with positions" if plan.table.centres_um else ""
    return f", {size:.6g} µm a pixel{other}{where}"


def _field_counts(found: Arranged) -> str:
    """Every field's name in the files, its number in the plate, and in how many wells it is."""
    wells = Counter(key.field for key in found.fields)
    shown = [
        f"{name or '(all files)'} → {number} ({wells[number]} {'well' if wells[number] == 1 else 'wells'})"
        for number, name in enumerate(found.field_names[:_MOST_NAMED])
    ]
    rest = len(found.field_names) - _MOST_NAMED
    return ", ".join(shown) + (f", and {rest} more" if rest > 0 else "")


def _uneven(found: Arranged) -> tuple[str, ...]:
    """A sentence where wells do not have the same fields."""
    fields: dict[WellId, frozenset[int]] = {}
    for key in found.fields:
        fields[key.well] = fields.get(key.well, frozenset()) | {key.field}
    usual, count = Counter(fields.values()).most_common(1)[0]
    odd = [well for well, numbers in fields.items() if numbers != usual]
    if not odd:
        return ()
    names = ", ".join(found.field_names[number] or "0" for number in sorted(fields[odd[0]]))
    usually = ", ".join(found.field_names[number] or "0" for number in sorted(usual))
    return (
        f"Wells do not have the same fields: {count} have {usually}; {odd[0]} has {names}"
        + (f", and {len(odd) - 1} more differ" if len(odd) > 1 else "")
        + ". `hcs run` counts the fields of every well from 0, in this order.",
    )


def _shapes(found: Arranged) -> str:
    """Size and type of the images; how many fields have another."""
    by_field = {key: found.headers[next(iter(planes.values()))[0].name] for key, planes in found.fields.items()}
    kinds = Counter((header.shape, header.dtype) for header in by_field.values())
    (shape, dtype), _ = kinds.most_common(1)[0]
    text = f"{shape[1]} × {shape[0]} {dtype}"
    odd = [key for key, header in by_field.items() if (header.shape, header.dtype) != (shape, dtype)]
    if odd:
        other = by_field[odd[0]]
        text += (
            f"; {len(odd)} fields differ, such as {odd[0]} with {other.shape[1]} × {other.shape[0]} {other.dtype}: are "
            "they images of this plate?"
        )
    return text


def _write(folder: Path, plan: _Plan, *, seen: _Seen, progress: Progress | None) -> dict[FieldKey, str]:
    """Write fields, then groups; the reason for each field whose pixels are damaged. PlateError where all are."""
    lost: dict[FieldKey, str] = {}
    for done, (key, told, fault) in enumerate(_written(folder, plan), start=1):
        seen.add(told)
        if fault:
            lost[key] = f"well {key.well}, field {plan.found.field_names[key.field] or '0'}: {fault}"
        if progress is not None:
            progress(done, len(plan.found.fields))
    if len(lost) == len(plan.found.fields):
        raise PlateError(f"not one field can be written: {next(iter(lost.values()))}")
    numbers: dict[WellId, tuple[int, ...]] = {}
    for key in plan.found.fields:
        if key not in lost:
            numbers[key.well] = (*numbers.get(key.well, ()), key.field)
    kept = replace(plan.spec, wells=tuple(sorted(numbers)))
    write_groups(
        folder,
        kept,
        fields={well: tuple(sorted(each)) for well, each in numbers.items()},
        acquisitions={
            FieldKey(well, plan.found.field_names.index(name)): number
            for (well, name), number in plan.table.acquisitions.items()
            if name in plan.found.field_names
        },
        origin=_record(plan, lost),
    )
    return lost


def _written(folder: Path, plan: _Plan) -> Iterator[tuple[FieldKey, _Seen, str]]:
    """Write the fields in as many threads as there are cores, and tell of each, in their order, what its pixels told or
    why it cannot be written. Decoding and compressing leave Python to other threads."""
    ome_writer()  # imported by one thread
    with ThreadPoolExecutor(cores()) as threads:
        waiting = {key: threads.submit(_write_one, folder, plan, key) for key in plan.found.fields}
        try:
            for key, task in waiting.items():
                try:
                    yield key, task.result(), ""
                except FieldError as error:
                    yield key, _Seen(), error.reason
        finally:
            threads.shutdown(cancel_futures=True)


def _write_one(folder: Path, plan: _Plan, key: FieldKey) -> _Seen:
    """Read and write one field with the channels that it has."""
    seen, planes = _Seen(), plan.found.fields[key]
    if plan.times:
        _write_movie(folder, plan, key, seen)
        return seen
    names = dict(zip(plan.found.channels, plan.spec.channels, strict=True))
    lights = tuple(plan.found.channels[channel] for channel in planes)
    image = _image(plan, {names[channel]: sources for channel, sources in planes.items()}, seen)
    spec = replace(plan.spec, channels=tuple(names[channel] for channel in planes))
    write_field(
        str(folder),
        spec,
        key,
        image,
        origin_um=plan.origin_um(key),
        lights_nm=tuple((light.excitation_nm, light.emission_nm) for light in lights),
    )
    return seen


def _write_movie(folder: Path, plan: _Plan, key: FieldKey, seen: _Seen) -> None:
    """Read and write all frames of one field; one that lacks a channel or is damaged is left out, and said."""
    names = dict(zip(plan.found.channels, plan.spec.channels, strict=True))
    channels = tuple(plan.found.fields[key])
    lights = tuple(plan.found.channels[channel] for channel in channels)

    def images() -> Iterator[NDArray[Any] | None]:
        for frame, found in enumerate(plan.times):
            planes = found.fields.get(key, {})
            if not planes.keys() >= {*channels}:
                yield None  # which is among what is incomplete
                continue
            try:
                yield _image(plan, {names[channel]: planes[channel] for channel in channels}, seen)
            except FieldError as error:
                field_name = plan.found.field_names[key.field] or "0"
                seen.lost_frames.append(f"well {key.well}, field {field_name}, frame {frame}: {error.reason}")
                yield None

    write_movie(
        str(folder),
        replace(plan.spec, channels=tuple(names[channel] for channel in channels)),
        key,
        MovieSpec(frames=len(plan.times), interval_min=plan.interval_min),
        images(),
        origin_um=plan.origin_um(key),
        lights_nm=tuple((light.excitation_nm, light.emission_nm) for light in lights),
    )


def _record(plan: _Plan, lost: dict[FieldKey, str]) -> dict[str, Any]:
    """Where the plate is from, for its metadata."""
    return {
        "source": plan.source.resolve().name,
        "layout": plan.table.title,
        "z": plan.found.z_said,
        "missing": [*plan.found.incomplete, *lost.values()],
    }


def _image(plan: _Plan, planes: dict[str, tuple[Source, ...]], seen: _Seen) -> NDArray[Any]:
    """The image of a field, (C, Y, X), or (C, Z, Y, X) where planes are kept; FieldError where a file is damaged."""
    stacks = {}
    for channel, sources in planes.items():
        pixels = []
        for source in sources:
            plane = read_plane(plan.source / source.name, source.page)
            if plane.remarks:
                seen.remarks.append((source.name.rpartition("/")[2], plane.remarks))
            pixels.append(plane.pixels)
        stack = np.stack(pixels)
        _look_at_depth(stack, channel, seen)
        stacks[channel] = stack if plan.found.z == "keep" and plan.found.z_said else stack.max(axis=0)
    first, example = next(iter(stacks.values())), next(iter(planes.values()))[0].name
    for channel, stack in stacks.items():
        if (stack.shape, stack.dtype) != (first.shape, first.dtype):
            raise FieldError(
                planes[channel][0].name,
                f"{planes[channel][0].name} is {stack.shape} {stack.dtype} but {example} of the same field is "
                f"{first.shape} {first.dtype}; channels of a field must agree",
            )
    return np.stack([*stacks.values()])


def _look_at_depth(stack: NDArray[Any], channel: str, seen: _Seen) -> None:
    """Keep the largest value of a channel of 16 bits, and how many pixels have it."""
    if stack.dtype != np.uint16 or not stack.size:
        return
    largest = int(stack.max())
    if largest > seen.largest.get(channel, -1):
        seen.largest[channel], seen.full[channel] = largest, 0
    if largest == seen.largest[channel] and largest in _FULL_BITS:
        seen.full[channel] += int((stack == largest).sum())


def _depths(seen: _Seen) -> tuple[str, ...]:
    """A sentence where channels end at the largest value of a camera of fewer than 16 bits."""
    ends = {c: n for c, n in seen.largest.items() if n in _FULL_BITS and seen.full[c] >= _FEWEST_FULL}
    if not ends:
        return ()
    level = max(ends.values())
    return (
        f"Channels {', '.join(ends)} end at {level}, the largest value of {_FULL_BITS[level]} bits: pixels there are "
        f"saturated, which 16-bit files do not tell; set `measure: {{saturation_level: {level}}}` for `hcs run`.",
    )
