"""Folders of TIFF and PNG files into OME-Zarr plates."""

from __future__ import annotations

import re
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray

from hcs.errors import ConfigError, FieldError, PlateError, ResultsError
from hcs.plate.keys import FieldKey, WellId
from hcs.store.folders import replacing_folder
from hcs.store.images import SUFFIXES, read_image
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

Progress = Callable[[int, int], None]


@dataclass(frozen=True, slots=True)
class ConvertSummary:
    """What a conversion wrote; ``ignored`` counts image files that the pattern did not match."""

    path: str
    wells: int
    fields: int
    channels: tuple[str, ...]
    ignored: int


@dataclass(frozen=True, slots=True)
class _Found:
    """Image files by field and channel, all fields with all channels; ``channels`` as the file names have them."""

    files: dict[FieldKey, tuple[Path, ...]]
    channels: tuple[str, ...]
    ignored: int


def convert_plate(
    source: str | Path,
    plate_path: str | Path,
    *,
    layout: Literal["bbbc013"] | None = None,
    pattern: str | None = None,
    channels: tuple[str, ...] | None = None,
    pixel_size_um: float | None = None,
    ngff: Ngff = "0.5",
    progress: Progress | None = None,
) -> ConvertSummary:
    """Write the images below ``source`` as the plate ``plate_path``, named after that folder.

    Either ``layout`` names a known data set or ``pattern`` is a regular expression, searched in each file's path below
    ``source`` (with ``/``), with the named groups ``well`` or ``row`` and ``column``, optionally ``field`` and
    ``channel``. Fields are numbered 0… in the sorted order of their names over the plate; ``channels`` renames the
    channels in the sorted order of theirs. ``progress`` is called with fields written and fields in all.

    The plate appears when all of it is written. Raises ConfigError for a bad pattern or channel names, PlateError for
    files that do not make a plate, ResultsError where ``plate_path`` exists or cannot be written.
    """
    chosen = _choose(layout, pattern)
    target = Path(plate_path)
    if target.exists():
        raise ResultsError(f"{target} exists already; remove it or give another name")
    found = _find(Path(source), _compile(chosen.pattern))
    spec = PlateSpec(
        name=target.name.removesuffix(".zarr").removesuffix(".ome"),
        wells=tuple(sorted({key.well for key in found.files})),
        fields_per_well=max(key.field for key in found.files) + 1,
        channels=_channel_names(found.channels, channels or chosen.channels),
        ngff=ngff,
        pixel_size_um=pixel_size_um,
    )
    with replacing_folder(target, new=True) as folder:
        _write(folder, spec, found, progress)
    return ConvertSummary(str(target), len(spec.wells), len(found.files), spec.channels, found.ignored)


def _choose(layout: str | None, pattern: str | None) -> _Layout:
    if (layout is None) == (pattern is None):
        raise ConfigError("say either --layout or --pattern: how do the file names tell the well?")
    if pattern is not None:
        return _Layout(pattern, ())
    if layout not in _LAYOUTS:
        raise ConfigError(f"--layout {layout!r} is not known; known are {', '.join(_LAYOUTS)}; or give --pattern")
    return _LAYOUTS[str(layout)]


def _compile(pattern: str) -> re.Pattern[str]:
    """The pattern, checked to name a well."""
    try:
        compiled = re.compile(pattern)
    except re.error as error:
        raise ConfigError(f"--pattern {pattern!r} is not a regular expression ({error}); correct it") from error
    groups = set(compiled.groupindex)
    if "well" not in groups and not {"row", "column"} <= groups:
        raise ConfigError(
            f"--pattern {pattern!r} names no well; give it a group (?P<well>…), or (?P<row>…) and (?P<column>…)"
        )
    unknown = sorted(groups - {"well", "row", "column", "field", "channel"})
    if unknown:
        raise ConfigError(f"--pattern has a group {unknown[0]!r}; well, row, column, field and channel are understood")
    return compiled


def _channel_names(found: tuple[str, ...], wanted: tuple[str, ...]) -> tuple[str, ...]:
    names = wanted or found
    if len(names) != len(found):
        raise ConfigError(f"--channels gives {len(names)} names; the files have {len(found)}: {', '.join(found)}")
    if len(set(names)) != len(names):
        raise ConfigError(f"--channels gives a name twice: {', '.join(names)}")
    return names


def _find(source: Path, pattern: re.Pattern[str]) -> _Found:
    """The image files below ``source`` by field and channel; PlateError where they do not make a plate."""
    if not source.is_dir():
        raise PlateError(f"no such folder of images: {source}; check the path")
    images = sorted(p for p in source.rglob("*") if p.suffix.lower() in SUFFIXES and p.is_file())
    if not images:
        raise PlateError(f"{source} holds no TIFF or PNG file; give the folder of the images")
    by_name: dict[tuple[WellId, str, str], Path] = {}
    for path in images:
        name = path.relative_to(source).as_posix()
        match = pattern.search(name)
        if match is None:
            continue
        place = _place(match, name)
        if place in by_name:
            raise PlateError(
                f"{by_name[place]} and {path} are both well {place[0]}, field {place[1] or '0'}, "
                f"channel {place[2] or '0'}; make the pattern tell them apart"
            )
        by_name[place] = path
    if not by_name:
        example = images[0].relative_to(source).as_posix()
        raise PlateError(f"none of the {len(images)} images in {source} fits {pattern.pattern!r}; one is {example!r}")
    return _arrange(by_name, ignored=len(images) - len(by_name))


def _place(match: re.Match[str], name: str) -> tuple[WellId, str, str]:
    """Well, field and channel of a file, the latter two as its name has them."""
    groups = {key: value or "" for key, value in match.groupdict().items()}
    try:
        well = WellId.parse(groups["well"] if "well" in groups else groups["row"] + groups["column"])
    except PlateError as error:
        raise PlateError(f"file {name}: {error}") from error
    return well, groups.get("field", ""), groups.get("channel", "")


def _arrange(by_name: dict[tuple[WellId, str, str], Path], *, ignored: int) -> _Found:
    """Number the fields, order the channels, and check that every field has every channel."""
    fields = sorted({field for _, field, _ in by_name}, key=_natural)
    channels = sorted({channel for _, _, channel in by_name}, key=_natural)
    files: dict[FieldKey, tuple[Path, ...]] = {}
    for well, field in sorted({(well, field) for well, field, _ in by_name}):
        missing = [channel for channel in channels if (well, field, channel) not in by_name]
        if missing:
            raise PlateError(
                f"well {well}, field {field or '0'} has no channel {missing[0]}; every field needs all of "
                f"{', '.join(channels)}: add the file, or leave the well out by the pattern"
            )
        key = FieldKey(well, fields.index(field))
        files[key] = tuple(by_name[well, field, channel] for channel in channels)
    return _Found(files, tuple(channel or str(i) for i, channel in enumerate(channels)), ignored)


def _natural(name: str) -> tuple[int, int, str]:
    """Sort key that puts 2 before 10."""
    return (0, int(name), name) if name.isdecimal() else (1, 0, name)


def _write(folder: Path, spec: PlateSpec, found: _Found, progress: Progress | None) -> None:
    """Write plate and fields; the image of a field is stacked from its files."""
    numbers: dict[WellId, tuple[int, ...]] = {}
    for key in found.files:
        numbers[key.well] = (*numbers.get(key.well, ()), key.field)
    write_groups(folder, spec, fields={well: tuple(sorted(n)) for well, n in numbers.items()})
    for done, (key, paths) in enumerate(found.files.items(), start=1):
        write_field(str(folder), spec, key, _stack(paths))
        if progress is not None:
            progress(done, len(found.files))


def _stack(paths: tuple[Path, ...]) -> NDArray[Any]:
    """The channels of a field as (C, Y, X); PlateError where a file is unreadable or they differ in shape or type."""
    planes = []
    for path in paths:
        try:
            planes.append(read_image(path))
        except FieldError as error:
            raise PlateError(error.reason) from error
        except MemoryError:
            raise
        except Exception as error:  # decoders of damaged files raise whatever they stumble over
            raise PlateError(f"{path} cannot be read as an image ({error}); copy or write it again") from error
    for path, plane in zip(paths, planes, strict=True):
        if (plane.shape, plane.dtype) != (planes[0].shape, planes[0].dtype):
            raise PlateError(
                f"{path} is {plane.shape} {plane.dtype} but {paths[0].name} of the same field is {planes[0].shape} "
                f"{planes[0].dtype}; channels of a field must agree"
            )
    return np.stack(planes)
