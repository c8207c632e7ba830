"""What the names of image files say: well, field, channel and z plane, by a regular expression."""

from __future__ import annotations

import re
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path

from hcs.errors import ConfigError, PlateError
from hcs.plate.keys import PLATE_FORMATS, WellId, parse_wells
from hcs.store.files.images import SUFFIXES
from hcs.store.plate.nodes import METADATA_FILES

_GROUPS = frozenset({"well", "row", "column", "field", "channel", "z"})
_TIMES = frozenset({"t", "time", "timepoint", "frame"})
_MOST_ENDINGS = 4


@dataclass(frozen=True, slots=True, order=True)
class Place:
    """What one file shows; field, channel and z as its name has them, empty without such a group."""

    well: WellId
    field: str
    channel: str
    z: str

    def __str__(self) -> str:
        plane = f", plane {self.z}" if self.z else ""
        return f"well {self.well}, field {self.field or '0'}, channel {self.channel or '0'}{plane}"


@dataclass(frozen=True, slots=True)
class Listing:
    """The image files of a folder by what they show, and those that the pattern does not match."""

    files: dict[Place, Path]
    ignored: tuple[str, ...]
    notes: tuple[str, ...]


def compile_pattern(pattern: str) -> re.Pattern[str]:
    """The regular expression, checked to name a well; ConfigError for groups that mean nothing."""
    try:
        compiled = re.compile(pattern)
    except re.error as error:
        raise ConfigError(f"--pattern {pattern!r} is not a regular expression ({error}); correct it") from error
    groups = set(compiled.groupindex)
    if "well" not in groups and not {"row", "column"} <= groups:
        raise ConfigError(
            f"--pattern {pattern!r} names no well; give it a group (?P<well>…), or (?P<row>…) and (?P<column>…)"
        )
    if "well" in groups and groups & {"row", "column"}:
        raise ConfigError(f"--pattern {pattern!r} names the well twice; give (?P<well>…), or row and column")
    unknown = sorted(groups - _GROUPS)
    if unknown:
        time = "; time points are no fields: match one of them, such as T0001" if unknown[0] in _TIMES else ""
        raise ConfigError(
            f"--pattern has a group {unknown[0]!r}; well, row, column, field, channel and z are understood{time}"
        )
    return compiled


def list_images(source: Path, pattern: re.Pattern[str], *, plate_format: int | None = None) -> Listing:
    """The TIFF and PNG files below ``source`` by what ``pattern``, searched in their paths, says they show.

    ``plate_format`` is the number of the plate's wells where wells have running numbers. Hidden files are passed over.
    Raises PlateError where there are no images, the pattern matches none, a name is no well's, or two files show one
    thing.
    """
    if not source.is_dir():
        raise PlateError(f"no such folder of images: {source}; check the path")
    everything = sorted(path for path in source.rglob("*") if path.is_file() and not _hidden(path, source))
    images = [path for path in everything if path.suffix.lower() in SUFFIXES]
    if not images:
        instead = instead_of_images([*source.iterdir(), *everything])
        raise PlateError(f"{source} holds no TIFF or PNG file{instead}; give the folder of the images")
    matches = [(path, path.relative_to(source).as_posix()) for path in images]
    found = [(path, name, match) for path, name in matches if (match := pattern.search(name)) is not None]
    ignored = tuple(name for _, name in matches if pattern.search(name) is None)
    if not found:
        example = images[0].relative_to(source).as_posix()
        raise PlateError(f"none of the {len(images)} images in {source} fits {pattern.pattern!r}; one is {example!r}")
    wells, note = _wells([(name, match) for _, name, match in found], plate_format)
    files: dict[Place, Path] = {}
    for (path, _, match), well in zip(found, wells, strict=True):
        groups = {key: value or "" for key, value in match.groupdict().items()}
        place = Place(well, groups.get("field", ""), groups.get("channel", ""), groups.get("z", ""))
        if place in files:
            planes = "" if "z" in groups else "; z planes are told apart by a group (?P<z>…) and --z"
            raise PlateError(
                f"{files[place]} and {path} are both {place}; make the pattern tell them apart, or match one{planes}"
            )
        files[place] = path
    return Listing(files, ignored, (note,) if note else ())


def _hidden(path: Path, source: Path) -> bool:
    return any(part.startswith(".") or part == "__MACOSX" for part in path.relative_to(source).parts)


def instead_of_images(files: Iterable[Path]) -> str:
    """What a folder without images holds, by the names of its files, to go on with in a sentence."""
    found = list(files)
    if any(path.name in METADATA_FILES for path in found):
        return ", it is OME-Zarr, whose plates `hcs run` reads as they are"
    endings = sorted({path.suffix.lower() for path in found if path.suffix})
    return f", but {', '.join(endings[:_MOST_ENDINGS])} files, which are not read" if endings else ""


def _wells(names: list[tuple[str, re.Match[str]]], plate_format: int | None) -> tuple[tuple[WellId, ...], str]:
    """The well of each file, and a sentence on names in another style than ``B03``."""
    found: list[WellId] = []
    if "well" in names[0][1].groupdict() and not all(match["well"].isdecimal() for _, match in names if match["well"]):
        return _named(names)
    note = ""
    for name, match in names:
        groups = {key: value or "" for key, value in match.groupdict().items()}
        try:
            if "row" in groups:
                found.append(WellId.of(groups["row"], groups["column"]))
            elif plate_format is None:
                formats = ", ".join(map(str, PLATE_FORMATS))
                raise PlateError(
                    f"{groups['well']!r} is a running number, which is a well only on a plate of known size; say "
                    f"--plate-format with the number of its wells ({formats}), counted along row A, then B"
                )
            else:
                found.append(WellId.numbered(groups["well"], plate_format))
                note = f"Wells are numbered along the rows of {plate_format} wells: {groups['well']} is {found[-1]}."
        except PlateError as error:
            raise PlateError(f"file {name}: {error}") from error
    rows = [match["row"] for _, match in names if "row" in match.groupdict()]
    if any((row or "").strip().isdecimal() for row in rows):
        note = f"Rows are numbers from 1: row {rows[-1]} and column {names[-1][1]['column']} are well {found[-1]}."
    return tuple(found), note


def _named(names: list[tuple[str, re.Match[str]]]) -> tuple[tuple[WellId, ...], str]:
    """Wells of names such as B03, read in the light of all of them."""
    try:
        distinct = list(dict.fromkeys(match["well"] or "" for _, match in names))
        wells, note = parse_wells(distinct)
    except PlateError:
        for name, match in names:
            try:
                WellId.parse(match["well"] or "")
            except PlateError as error:
                raise PlateError(f"file {name}: {error}") from error
        raise
    by_name = dict(zip(distinct, wells, strict=True))
    return tuple(by_name[match["well"] or ""] for _, match in names), note


def natural(name: str) -> tuple[int, int, str]:
    """Sort key that puts 2 before 10."""
    return (0, int(name), name) if name.isdecimal() else (1, 0, name)
