"""A folder of images as it was understood: which files make which field of which plate, and all of it said in lines.

Everything is known here before anything is written: `convert` writes it as a plate, `in_place` as a plate whose pixels
stay in the files. Long, because what is shown must be what is then done.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass, field
from itertools import pairwise
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from hcs.config import FolderSettings
from hcs.errors import ConfigError, FieldError
from hcs.plate.keys import FieldKey, WellId
from hcs.plate.times import FrameTimes, places_by_name
from hcs.store.files.arrange import Arranged, Headers, arrange, arrange_times, spread_times, time_names
from hcs.store.files.channelnames import doubtful_names, name_channels, same_name, unstained
from hcs.store.files.images import read_plane, remarks_of
from hcs.store.microscopes.folder import Folder, open_folder, root_of
from hcs.store.microscopes.layouts import read_table
from hcs.store.microscopes.table import PlaneTable, Source
from hcs.store.plate.companions import write_companions
from hcs.store.plate.nodes import Ngff
from hcs.store.plate.writer import PlateSpec

_MOST_NAMED = 12
_FULL_BITS = {2**bits - 1: bits for bits in (10, 11, 12, 13, 14, 15)}
"""Largest values of cameras of fewer than 16 bits."""
_NEAR = 0.01
"""An interval that is stated stands where the frames' own times differ from it by no more than this share."""
_FEWEST_FULL = 2
"""Pixels that must have such a value, lest the brightest pixel of a plate happens to."""


@dataclass(slots=True)
class Seen:
    """What reading the pixels told: remarks by file, and by channel how often a camera's largest value occurs."""

    remarks: list[tuple[str, tuple[str, ...]]] = field(default_factory=list)
    lost_frames: list[str] = field(default_factory=list)
    """Frames that turned out damaged, each with the reason."""
    largest: dict[str, int] = field(default_factory=dict)
    full: Counter[str] = field(default_factory=Counter)

    def add(self, other: Seen) -> None:
        """Enter what another field's pixels told."""
        self.remarks += other.remarks
        self.lost_frames += other.lost_frames
        for channel, largest in other.largest.items():
            if largest > self.largest.get(channel, -1):
                self.largest[channel], self.full[channel] = largest, 0
            if largest == self.largest[channel]:
                self.full[channel] += other.full[channel]

    def plain(self) -> dict[str, Any]:
        """As JSON has it."""
        remarks = [[name, [*told]] for name, told in self.remarks]
        full = dict(self.full)
        return {"remarks": remarks, "lost_frames": self.lost_frames, "largest": self.largest, "full": full}

    @classmethod
    def of(cls, data: dict[str, Any]) -> Seen:
        """Of what `plain` gave."""
        remarks = [(name, tuple(told)) for name, told in data["remarks"]]
        return cls(remarks, list(data["lost_frames"]), dict(data["largest"]), Counter(data["full"]))

    def notes(self) -> tuple[str, ...]:
        """A sentence for every kind of remark, and where channels end at a camera's largest value."""
        return (*remarks_of(self.remarks), *_depths(self))


@dataclass(frozen=True, slots=True, kw_only=True)
class Understood:
    """A folder and the plate that it becomes, before anything is written."""

    source: Path
    """The folder that the files' names are relative to."""
    called: Path
    """The folder, or the one file, that the user gave."""
    spec: PlateSpec
    table: PlaneTable
    found: Arranged
    times: tuple[Arranged, ...]
    """Of every time point, where all are kept; ``found`` then has an example of every field."""
    when: FrameTimes
    """When the time points were taken."""

    @property
    def keeps_z(self) -> bool:
        """Whether fields have their z planes; else each is projected, or has one."""
        return self.found.z == "keep" and bool(self.found.z_said)

    def names(self) -> dict[str, str]:
        """Name in the plate of each channel of the microscope."""
        return dict(zip(self.found.channels, self.spec.channels, strict=True))

    def origin_um(self, key: FieldKey) -> tuple[float, float] | None:
        """Where the first pixel of a field lies on the stage, (y, x); None where it is not known."""
        centre = self.table.centres_um.get((key.well, self.found.field_names[key.field]))
        first = next(iter(self.found.fields[key].values()))[0]
        if centre is None or self.spec.pixel_size_um is None:
            return None
        height, width = self.found.headers[first.name].shape
        size = self.spec.pixel_size_um
        return centre[0] - (height - 1) / 2 * size, centre[1] - (width - 1) / 2 * size

    def shown(self, key: FieldKey) -> str:
        """A field as the microscope calls it, for a sentence."""
        return f"well {key.well}, field {self.found.field_names[key.field] or '0'}"

    def lights_nm(self, key: FieldKey) -> tuple[tuple[float | None, float | None], ...]:
        """Excitation and emission of the channels that a field has."""
        lights = (self.found.channels[channel] for channel in self.found.fields[key])
        return tuple((light.excitation_nm, light.emission_nm) for light in lights)

    def image(self, planes: dict[str, tuple[Source, ...]], seen: Seen) -> NDArray[Any]:
        """The image of a field of these planes by channel, (C, Y, X), or (C, Z, Y, X) where planes are kept; FieldError
        where a file is damaged."""
        names = self.names()
        return _image(self, {names[channel]: sources for channel, sources in planes.items()}, seen)

    def acquisitions(self) -> dict[FieldKey, int]:
        """The acquisition of each field that belongs to one."""
        return {
            FieldKey(well, self.found.field_names.index(name)): number
            for (well, name), number in self.table.acquisitions.items()
            if name in self.found.field_names
        }

    def write_companions(self, folder: Path) -> None:
        """Write what the microscope knows beside the images into the plate."""
        lights = {name: self.table.lights.get(channel) for channel, name in self.names().items()}
        write_companions(folder, lights, self.table.plate_map)

    def record(self, lost: dict[FieldKey, str]) -> dict[str, Any]:
        """Where the plate is from, for its metadata."""
        return {
            "source": self.called.resolve().name,
            "layout": self.table.title,
            "z": self.found.z_said,
            "missing": [*self.found.incomplete, *lost.values()],
        }

    def lines(self) -> tuple[str, ...]:
        """What was understood, to be shown before anything is written."""
        return _lines(self)


def understand(
    source: Path,
    name: str,
    choices: FolderSettings,
    *,
    ngff: Ngff = "0.5",
    folder: Folder | None = None,
    say: Callable[[str], None] = lambda _: None,
) -> Understood:
    """Recognise a folder, read the headers of all its images, and find what plate, called ``name``, they make. ``say``
    is told of what kind the folder is before its images are looked at, then what they were taken for. ``folder`` is the
    source, if it is listed already.

    Raises ConfigError for a bad choice, PlateError, naming the folder, for files that do not make a plate.
    """
    by_default = "max" if choices.pattern is None else None
    table = read_table(
        folder or open_folder(source),
        layout=choices.layout,
        pattern=choices.pattern,
        plate_format=choices.plate_format,
        well=choices.well,
    )
    headers = Headers(root_of(source))
    table = spread_times(table, headers, t=choices.t, z=choices.z)
    for line in _first_lines(table, source):
        say(line)
    times: tuple[Arranged, ...] = ()
    called, source = source, root_of(source)
    t, z = choices.t, choices.z
    if t == "all" or (t is None and choices.pattern is None):
        t = "all"  # what a microscope recorded over time is kept as such
    if t == "all" and len({place.t for place in table.planes}) > 1:
        found, times = arrange_times(table, headers, z=z, by_default=by_default)
    else:
        found = arrange(table, headers, z=z, t=None if t == "all" else t, by_default=by_default)
    spec = PlateSpec(
        name=name,
        wells=tuple(sorted({key.well for key in found.fields})),
        fields_per_well=max(key.field for key in found.fields) + 1,
        channels=name_channels(_shown_names(found), _by_shown_name(found, choices.channels)),
        ngff=ngff,
        pixel_size_um=choices.pixel_size_um or table.pixel_size_um,
        z_step_um=table.z_step_um,
    )
    when = _when(table, choices) if times else FrameTimes()
    understood = Understood(source=source, called=called, spec=spec, table=table, found=found, times=times, when=when)
    for line in understood.lines():
        say(line)
    return understood


def _when(table: PlaneTable, choices: FolderSettings) -> FrameTimes:
    """When the time points were taken: as the user states, else as the folder tells one by one, else by the interval,
    on whose grid a time point whose number is missing leaves a hole."""
    names = time_names(table)
    if choices.times_min is not None:
        if len(choices.times_min) != len(names):
            raise ConfigError(
                f"--times gives {len(choices.times_min)} times, and the folder has {len(names)} time points; give one "
                "for each"
            )
        return FrameTimes.of(choices.times_min)
    told = [table.times_s[name] / 60 for name in names if name in table.times_s]
    rising = len(told) == len(names) and all(before < after for before, after in pairwise(told))
    stated = None if table.interval_s is None else table.interval_s / 60
    if choices.interval_min is None and rising:
        found = FrameTimes.of(told)
        even = found.interval_min
        return FrameTimes(stated) if even and stated and abs(even - stated) < _NEAR * stated else found
    interval = stated if choices.interval_min is None else choices.interval_min
    if interval is None:
        return FrameTimes()
    places = places_by_name(names)
    if places is None or places[-1] == len(names) - 1:
        return FrameTimes(interval)
    return FrameTimes.of([place * interval for place in places])


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


def _lines(plan: Understood) -> tuple[str, ...]:
    """What was understood, to be shown before anything is written."""
    spec, found, table = plan.spec, plan.found, plan.table
    lines = [f"{spec.name}: {len(spec.wells)} wells, {len(found.fields):,} fields"]
    lines.append(f"  channels  {', '.join(_renamings(plan))}")
    lines.append(f"  fields    {_field_counts(found)}")
    if found.z_said:
        lines.append(f"  z planes  {found.z_said}")
    if plan.times:
        known = plan.when != FrameTimes()
        every = plan.when.said if known else "interval unknown (--interval-min or --times says it)"
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


def _renamings(plan: Understood) -> list[str]:
    """Every channel as the folder has it, its light, and what it becomes."""
    shown = []
    for (key, channel), name in zip(plan.found.channels.items(), plan.spec.channels, strict=True):
        label = channel.name if key in ("", channel.name) or not key.isdecimal() else f"{key} {channel.name}"
        shown.append(f"{label or '(all files)'}{f' ({channel.light})' if channel.light else ''} → {name}")
    return shown


def _size_said(plan: Understood) -> str:
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


def _image(plan: Understood, planes: dict[str, tuple[Source, ...]], seen: Seen) -> NDArray[Any]:
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
        stacks[channel] = stack if plan.keeps_z else stack.max(axis=0)
    first, example = next(iter(stacks.values())), next(iter(planes.values()))[0].name
    for channel, stack in stacks.items():
        if (stack.shape, stack.dtype) != (first.shape, first.dtype):
            raise FieldError(
                planes[channel][0].name,
                f"{planes[channel][0].name} is {stack.shape} {stack.dtype} but {example} of the same field is "
                f"{first.shape} {first.dtype}; channels of a field must agree",
            )
    return np.stack([*stacks.values()])


def _look_at_depth(stack: NDArray[Any], channel: str, seen: Seen) -> None:
    """Keep the largest value of a channel of 16 bits, and how many pixels have it."""
    if stack.dtype != np.uint16 or not stack.size:
        return
    largest = int(stack.max())
    if largest > seen.largest.get(channel, -1):
        seen.largest[channel], seen.full[channel] = largest, 0
    if largest == seen.largest[channel] and largest in _FULL_BITS:
        seen.full[channel] += int((stack == largest).sum())


def _depths(seen: Seen) -> tuple[str, ...]:
    """A sentence where channels end at the largest value of a camera of fewer than 16 bits."""
    ends = {c: n for c, n in seen.largest.items() if n in _FULL_BITS and seen.full[c] >= _FEWEST_FULL}
    if not ends:
        return ()
    level = max(ends.values())
    return (
        f"Channels {', '.join(ends)} end at {level}, the largest value of {_FULL_BITS[level]} bits: pixels there are "
        f"saturated, which 16-bit files do not tell; set `measure: {{saturation_level: {level}}}` for `hcs run`.",
    )
