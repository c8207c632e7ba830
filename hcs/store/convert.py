"""Folders of TIFF and PNG files into OME-Zarr plates: what files make which field, and all of it shown before it is
written."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray

from hcs.errors import ConfigError, FieldError, PlateError, ResultsError
from hcs.plate.keys import FieldKey, WellId
from hcs.store.channelnames import doubtful_names, name_channels
from hcs.store.filenames import Listing, Place, compile_pattern, list_images, natural
from hcs.store.folders import replacing_folder
from hcs.store.images import ImageHeader, read_header, read_plane, remarks_of
from hcs.store.nodes import Ngff
from hcs.store.write import PlateSpec, write_field, write_groups


@dataclass(frozen=True, slots=True)
class _Layout:
    """How a known data set names its files, and what its channels are, in the sorted order of their names."""

    pattern: str
    channels: tuple[str, ...]


_LAYOUTS = {
    # BBBC013: Channel1 is the FKHR-EGFP sensor, Channel2 the DNA stain.
    "bbbc013": _Layout(r"Channel(?P<channel>[12])-\d+-(?P<row>[A-H])-(?P<column>\d\d)\.tiff?$", ("GFP", "DNA"))
}
_MOST_NAMED = 12
_FULL_BITS = {2**bits - 1: bits for bits in (10, 11, 12, 13, 14, 15)}
"""Largest values of cameras of fewer than 16 bits."""
_FEWEST_FULL = 2
"""Pixels that must have such a value, lest the brightest pixel of a plate happens to."""

Progress = Callable[[int, int], None]
Say = Callable[[str], None]


@dataclass(frozen=True, slots=True)
class ConvertSummary:
    """What a conversion wrote; ``ignored`` counts image files that the pattern did not match."""

    path: str
    wells: int
    fields: int
    channels: tuple[str, ...]
    ignored: int
    left_out: tuple[str, ...] = ()
    """Fields that are not in the plate, each with the reason."""
    notes: tuple[str, ...] = ()
    """What was done to pixels, and what is worth knowing of them."""


@dataclass(frozen=True, slots=True)
class _Source:
    """One plane: a file, and which of its images where it has several."""

    path: Path
    page: int | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class _Found:
    """What is to be written: of every field its planes by channel, and what is said about it."""

    fields: dict[FieldKey, tuple[tuple[_Source, ...], ...]]
    channels: tuple[str, ...]
    """As the file names have them."""
    field_names: tuple[str, ...]
    headers: dict[Path, ImageHeader]
    left_out: tuple[str, ...]
    z: str
    """What is done with z planes, for a line; empty where there is one."""


@dataclass(slots=True)
class _Seen:
    """What reading the pixels told: remarks by file, and by channel how often a camera's largest value occurs."""

    remarks: list[tuple[str, tuple[str, ...]]] = field(default_factory=list)
    largest: dict[str, int] = field(default_factory=dict)
    full: Counter[str] = field(default_factory=Counter)


def convert_plate(
    source: str | Path,
    plate_path: str | Path,
    *,
    layout: Literal["bbbc013"] | None = None,
    pattern: str | None = None,
    channels: tuple[str, ...] | None = None,
    z: str | None = None,
    skip_incomplete: bool = False,
    plate_format: int | None = None,
    pixel_size_um: float | None = None,
    ngff: Ngff = "0.5",
    progress: Progress | None = None,
    say: Say = lambda _: None,
) -> ConvertSummary:
    """Write the images below ``source`` as the plate ``plate_path``, named after that folder.

    Either ``layout`` names a known data set or ``pattern`` is a regular expression, searched in each file's path below
    ``source`` (with ``/``), with the named groups ``well`` or ``row`` and ``column`` (letters, or numbers from 1),
    optionally ``field``, ``channel`` and ``z``. Fields are numbered 0… in the sorted order of their names over the
    plate. ``channels`` renames the channels in the sorted order of theirs, or, written ``DAPI=DNA``, one by one. ``z``
    is ``max`` (maximum projection), ``keep`` (all planes), or the plane to take, as file names or numbers of pages have
    it; without a group ``z``, the pages of each file are the planes. ``plate_format`` is the number of wells where
    wells are running numbers.

    All headers are read first. Files that do not make a field (one is missing, cut short, of another shape) are refused
    before anything is written, or their fields are left out with ``skip_incomplete``. A file whose pixels turn out to
    be damaged is left out with its field. ``say`` is told what was understood before anything is written, ``progress``
    fields written and fields in all.

    The plate appears when all of it is written. Raises ConfigError for a bad pattern or channel names, PlateError for
    files that do not make a plate, ResultsError where ``plate_path`` exists or cannot be written.
    """
    chosen = _choose(layout, pattern)
    target = Path(plate_path)
    if target.exists():
        raise ResultsError(f"{target} exists already; remove it or give another name")
    listing = list_images(Path(source), compile_pattern(chosen.pattern), plate_format=plate_format)
    named = name_channels(_values(listing, "channel"), channels or chosen.channels)
    found = _arrange(listing, z=z, skip_incomplete=skip_incomplete)
    spec = PlateSpec(
        name=target.name.removesuffix(".zarr").removesuffix(".ome"),
        wells=tuple(sorted({key.well for key in found.fields})),
        fields_per_well=max(key.field for key in found.fields) + 1,
        channels=named,
        ngff=ngff,
        pixel_size_um=pixel_size_um,
    )
    for line in _lines(spec, found, listing):
        say(line)
    seen = _Seen()
    with replacing_folder(target) as folder:
        lost = _write(folder, spec, found, seen=seen, z=z, progress=progress)
    return ConvertSummary(
        str(target),
        len({key.well for key in found.fields if key not in lost}),
        len(found.fields) - len(lost),
        spec.channels,
        len(listing.ignored),
        (*found.left_out, *lost.values()),
        (*remarks_of(seen.remarks), *_depths(seen)),
    )


def _choose(layout: str | None, pattern: str | None) -> _Layout:
    if (layout is None) == (pattern is None):
        raise ConfigError("say either --layout or --pattern: how do the file names tell the well?")
    if pattern is not None:
        return _Layout(pattern, ())
    if layout not in _LAYOUTS:
        raise ConfigError(f"--layout {layout!r} is not known; known are {', '.join(_LAYOUTS)}; or give --pattern")
    return _LAYOUTS[str(layout)]


def _values(listing: Listing, what: Literal["field", "channel", "z"]) -> tuple[str, ...]:
    """The distinct values of a group, in their order."""
    return tuple(sorted({getattr(place, what) for place in listing.files}, key=natural))


def _arrange(listing: Listing, *, z: str | None, skip_incomplete: bool) -> _Found:
    """Number the fields, order channels and planes, read all headers, and set aside fields that lack something."""
    fields, channels = _values(listing, "field"), _values(listing, "channel")
    by_pages = z is not None and _values(listing, "z") == ("",)
    headers, faults = _headers(listing, by_pages=by_pages)
    there = _planes(listing, headers, channels, by_pages=by_pages)
    planes = {channel: _chosen(names, z, there) for channel, names in there.items()}
    complete: dict[FieldKey, tuple[tuple[_Source, ...], ...]] = {}
    incomplete: list[str] = []
    for well, name in sorted({(place.well, place.field) for place in listing.files}):
        try:
            sources = _field(listing, well, name, planes, faults, by_pages=by_pages)
            _check_alike([source.path for plane in sources for source in plane], headers)
        except PlateError as error:
            incomplete.append(str(error))
        else:
            complete[FieldKey(well, fields.index(name))] = sources
    if incomplete and not (skip_incomplete and complete):
        more = f"; {len(incomplete) - 1} more fields are incomplete" if len(incomplete) > 1 else ""
        remedy = "; --skip-incomplete leaves such fields out" if complete else ""
        raise PlateError(f"{incomplete[0]}{more}{remedy}")
    return _Found(
        fields=complete,
        channels=channels,
        field_names=fields,
        headers=headers,
        left_out=tuple(incomplete),
        z=_said_of_z(there, planes, z),
    )


def _headers(listing: Listing, *, by_pages: bool) -> tuple[dict[Path, ImageHeader], dict[Path, str]]:
    """The header of every file that can be read, and the reason for every other.

    Files of several images have a reason too, or with ``by_pages`` those of another number of images than most of their
    channel, or whose pages are no z planes.
    """
    headers: dict[Path, ImageHeader] = {}
    faults: dict[Path, str] = {}
    for path in listing.files.values():
        try:
            headers[path] = read_header(path)
            if headers[path].images > 1 and (not by_pages or headers[path].kind not in ("", "z")):
                read_plane(path)  # which refuses it and says why
        except FieldError as error:
            faults[path] = error.reason
    if by_pages:
        usual = _usual_pages(listing, headers)
        for place, path in listing.files.items():
            if path not in faults and headers[path].images != usual[place.channel]:
                faults[path] = (
                    f"{path} has {headers[path].images} planes where most files of its channel have "
                    f"{usual[place.channel]}; copy it again, or leave it out by the pattern"
                )
    return headers, faults


def _usual_pages(listing: Listing, headers: dict[Path, ImageHeader]) -> dict[str, int]:
    """How many images most files of each channel have."""
    counts: dict[str, Counter[int]] = {place.channel: Counter() for place in listing.files}
    for place, path in listing.files.items():
        if path in headers:
            counts[place.channel][headers[path].images] += 1
    return {channel: count.most_common(1)[0][0] if count else 1 for channel, count in counts.items()}


def _planes(
    listing: Listing, headers: dict[Path, ImageHeader], channels: tuple[str, ...], *, by_pages: bool
) -> dict[str, tuple[str, ...]]:
    """The names of every channel's planes in their order; numbers of pages from 1 where the pages are the planes."""
    if by_pages:
        usual = _usual_pages(listing, headers)
        return {channel: tuple(str(page + 1) for page in range(usual[channel])) for channel in channels}
    names = {channel: {place.z for place in listing.files if place.channel == channel} for channel in channels}
    return {channel: tuple(sorted(found, key=natural)) for channel, found in names.items()}


def _chosen(names: tuple[str, ...], z: str | None, there: dict[str, tuple[str, ...]]) -> tuple[str, ...]:
    """The planes of a channel to be read, of those that every channel has; ConfigError where ``z`` does not say."""
    most = max(there.values(), key=len)
    some = ", ".join(most[:_MOST_NAMED]) + (", …" if len(most) > _MOST_NAMED else "")
    if z is None:
        if len(most) > 1:
            raise ConfigError(
                f"the files have {len(most)} z planes ({some}); say --z max to project them, --z keep to keep all, "
                f"or one of them, such as --z {most[len(most) // 2]}"
            )
        return names
    if len(most) == 1:
        raise ConfigError(f"--z {z}: there is one plane of each channel; leave --z away, or give --pattern a group z")
    if z == "keep" and len({len(planes) for planes in there.values()}) > 1:
        counts = ", ".join(f"channel {channel or '0'} {len(planes)}" for channel, planes in there.items())
        raise ConfigError(f"--z keep: channels have different numbers of planes ({counts}); say --z max or one plane")
    if z in ("max", "keep") or len(names) == 1:
        return names
    hits = tuple(name for name in names if name == z or (z.isdecimal() and name.isdecimal() and int(name) == int(z)))
    if not hits:
        raise ConfigError(f"--z {z} is no plane of these files, nor max or keep; they have {some}")
    return hits


def _field(
    listing: Listing,
    well: WellId,
    name: str,
    planes: dict[str, tuple[str, ...]],
    faults: dict[Path, str],
    *,
    by_pages: bool,
) -> tuple[tuple[_Source, ...], ...]:
    """The planes of one field by channel; PlateError where one is missing or cannot be used."""
    found = []
    for channel, wanted in planes.items():
        sources = []
        for plane in wanted:
            path = listing.files.get(Place(well, name, channel, "" if by_pages else plane))
            if path is None:
                what = f", plane {plane}" if plane and len(wanted) > 1 else ""
                raise PlateError(
                    f"well {well}, field {name or '0'} has no channel {channel or '0'}{what}; every field needs all of "
                    f"{', '.join(each or '0' for each in planes)}: add the file, or leave the well out by the pattern"
                )
            if path in faults:
                raise PlateError(f"well {well}, field {name or '0'}: {faults[path]}")
            sources.append(_Source(path, int(plane) - 1 if by_pages else None))
        found.append(tuple(sources))
    return tuple(found)


def _check_alike(paths: list[Path], headers: dict[Path, ImageHeader]) -> None:
    """PlateError where files of one field differ in shape or type."""
    first = headers[paths[0]]
    for path in paths:
        header = headers[path]
        if (header.shape, header.dtype) != (first.shape, first.dtype):
            raise PlateError(
                f"{path} is {header.shape} {header.dtype} but {paths[0].name} of the same field is {first.shape} "
                f"{first.dtype}; channels of a field must agree"
            )


def _said_of_z(there: dict[str, tuple[str, ...]], planes: dict[str, tuple[str, ...]], z: str | None) -> str:
    """What becomes of several z planes; empty where there are none."""
    most = max(there.values(), key=len)
    if len(most) == 1:
        return ""
    how = {"max": "their maximum", "keep": "all kept"}.get(z or "", f"plane {max(planes.values(), key=len)[0]} taken")
    fewer = [f"{channel or '0'} has {len(names)}" for channel, names in there.items() if len(names) != len(most)]
    return f"{len(most)} ({', '.join(most[:_MOST_NAMED])}): {how}" + (f"; {', '.join(fewer)}" if fewer else "")


def _lines(spec: PlateSpec, found: _Found, listing: Listing) -> tuple[str, ...]:
    """What was understood, to be shown before anything is written."""
    lines = [f"{spec.name}: {len(spec.wells)} wells, {len(found.fields):,} fields"]
    pairs = ", ".join(
        f"{value or '(all files)'} → {name}" for value, name in zip(found.channels, spec.channels, strict=True)
    )
    lines.append(f"  channels  {pairs}")
    lines.append(f"  fields    {_field_counts(found)}")
    if found.z:
        lines.append(f"  z planes  {found.z}")
    lines.append(f"  pixels    {_shapes(found)}")
    notes = [*listing.notes, *doubtful_names(found.channels, spec.channels), *_uneven(found)]
    if listing.ignored:
        what = "1 image file does" if len(listing.ignored) == 1 else f"{len(listing.ignored):,} image files do"
        notes.append(f"{what} not match the pattern and will be left out, such as {listing.ignored[0]}.")
    if found.left_out:
        notes.append(f"{len(found.left_out)} fields are incomplete and will be left out.")
    return (*lines, *(f"  note      {note}" for note in notes))


def _field_counts(found: _Found) -> str:
    """Every field's name in the files, its number in the plate, and in how many wells it is."""
    wells = Counter(key.field for key in found.fields)
    shown = [
        f"{name or '(all files)'} → {number} ({wells[number]} {'well' if wells[number] == 1 else 'wells'})"
        for number, name in enumerate(found.field_names[:_MOST_NAMED])
    ]
    rest = len(found.field_names) - _MOST_NAMED
    return ", ".join(shown) + (f", and {rest} more" if rest > 0 else "")


def _uneven(found: _Found) -> tuple[str, ...]:
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


def _shapes(found: _Found) -> str:
    """Size and type of the images; how many fields have another."""
    by_field = {key: found.headers[sources[0][0].path] for key, sources in found.fields.items()}
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


def _write(
    folder: Path, spec: PlateSpec, found: _Found, *, seen: _Seen, z: str | None, progress: Progress | None
) -> dict[FieldKey, str]:
    """Write fields, then groups; the reason for each field whose pixels are damaged. PlateError where all are."""
    lost: dict[FieldKey, str] = {}
    for done, (key, sources) in enumerate(found.fields.items(), start=1):
        try:
            write_field(str(folder), spec, key, _image(sources, spec.channels, seen, z))
        except FieldError as error:
            lost[key] = f"well {key.well}, field {found.field_names[key.field] or '0'}: {error.reason}"
        if progress is not None:
            progress(done, len(found.fields))
    if len(lost) == len(found.fields):
        raise PlateError(f"not one field can be written: {next(iter(lost.values()))}")
    numbers: dict[WellId, tuple[int, ...]] = {}
    for key in found.fields:
        if key not in lost:
            numbers[key.well] = (*numbers.get(key.well, ()), key.field)
    kept = replace(spec, wells=tuple(sorted(numbers)))
    write_groups(folder, kept, fields={well: tuple(sorted(each)) for well, each in numbers.items()})
    return lost


def _image(
    sources: tuple[tuple[_Source, ...], ...], channels: tuple[str, ...], seen: _Seen, z: str | None
) -> NDArray[Any]:
    """The image of a field, (C, Y, X), or (C, Z, Y, X) where planes are kept; FieldError where a file is damaged."""
    stacks = []
    for channel, planes in zip(channels, sources, strict=True):
        pixels = []
        for source in planes:
            plane = read_plane(source.path, source.page)
            seen.remarks.append((source.path.name, plane.remarks))
            pixels.append(plane.pixels)
        stack = np.stack(pixels)
        _look_at_depth(stack, channel, seen)
        stacks.append(stack if z == "keep" else stack.max(axis=0))
    first = stacks[0]
    for stack, planes in zip(stacks, sources, strict=True):
        if (stack.shape, stack.dtype) != (first.shape, first.dtype):
            raise FieldError(
                planes[0].path.name,
                f"{planes[0].path} is {stack.shape} {stack.dtype} but {sources[0][0].path.name} of the same field is "
                f"{first.shape} {first.dtype}; channels of a field must agree",
            )
    return np.stack(stacks)


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
