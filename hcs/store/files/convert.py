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
from hcs.store.files.arrange import Arranged, Source, arrange, values_of
from hcs.store.files.channelnames import doubtful_names, name_channels
from hcs.store.files.filenames import Listing, compile_pattern, list_images
from hcs.store.files.images import read_plane, remarks_of
from hcs.store.folders import replacing_folder
from hcs.store.plate.nodes import Ngff
from hcs.store.plate.writer import PlateSpec, write_field, write_groups


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
    named = name_channels(values_of(listing, "channel"), channels or chosen.channels)
    found = arrange(listing, z=z, skip_incomplete=skip_incomplete)
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
    with replacing_folder(target, new=True) as folder:
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


def _lines(spec: PlateSpec, found: Arranged, listing: Listing) -> tuple[str, ...]:
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
    folder: Path, spec: PlateSpec, found: Arranged, *, seen: _Seen, z: str | None, progress: Progress | None
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
    sources: tuple[tuple[Source, ...], ...], channels: tuple[str, ...], seen: _Seen, z: str | None
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
