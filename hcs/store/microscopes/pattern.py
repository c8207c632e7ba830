"""Planes by a regular expression on file names: the user's own (``--pattern``), and those of vendors that only name."""

from __future__ import annotations

import re
from collections.abc import Mapping

from hcs.errors import ConfigError, PlateError
from hcs.plate.keys import PLATE_FORMATS, WellId, parse_wells
from hcs.store.microscopes.folder import Folder
from hcs.store.microscopes.table import Channel, Place, Planes, PlaneTable, Source

_GROUPS = frozenset({"well", "row", "column", "field", "channel", "z", "t", "time"})


def compile_pattern(pattern: str, *, has_well: bool = False) -> re.Pattern[str]:
    """The regular expression, checked to name a well, unless the user ``has_well`` for all images; ConfigError for
    groups that mean nothing."""
    try:
        compiled = re.compile(pattern)
    except re.error as error:
        raise ConfigError(f"--pattern {pattern!r} is not a regular expression ({error}); correct it") from error
    groups = set(compiled.groupindex)
    if has_well and groups & {"well", "row", "column"}:
        raise ConfigError(f"--pattern {pattern!r} names a well, and --well gives one; leave one of them away")
    if not has_well and "well" not in groups and not {"row", "column"} <= groups:
        raise ConfigError(
            f"--pattern {pattern!r} names no well; give it a group (?P<well>…), or (?P<row>…) and (?P<column>…), or "
            "say the one well of all images, such as --well A01"
        )
    if "well" in groups and groups & {"row", "column"}:
        raise ConfigError(f"--pattern {pattern!r} names the well twice; give (?P<well>…), or row and column")
    unknown = sorted(groups - _GROUPS)
    if unknown:
        raise ConfigError(
            f"--pattern has a group {unknown[0]!r}; well, row, column, field, channel, z and t (or time) are understood"
        )
    if {"t", "time"} <= groups:
        raise ConfigError(f"--pattern {pattern!r} names the time point twice; give (?P<t>…) or (?P<time>…)")
    return compiled


def read_pattern(
    folder: Folder,
    pattern: re.Pattern[str],
    *,
    plate_format: int | None = None,
    well: WellId | None = None,
    title: str = "file names by --pattern",
    channels: Mapping[str, Channel] | None = None,
) -> PlaneTable:
    """The planes that ``pattern``, searched in the images' paths, says they show.

    ``plate_format`` is the number of the plate's wells where wells have running numbers; ``well`` that of all images,
    which the pattern does not name then. ``channels`` names what the
    group ``channel`` finds. Raises PlateError where the pattern matches no image, a name is no well's, or two files
    show one place.
    """
    found = [(name, match) for name in folder.images if (match := pattern.search(name)) is not None]
    if not found:
        raise PlateError(
            f"none of the {len(folder.images)} images in {folder.place} fits {pattern.pattern!r}; one is "
            f"{folder.images[0]!r}"
            if folder.images
            else f"{folder.place} holds no TIFF or PNG file{folder.instead()}; give the folder of the images"
        )
    wells, note = ((well,) * len(found), "") if well is not None else _wells(found, plate_format)
    planes = Planes()
    for (name, match), at in zip(found, wells, strict=True):
        group = {key: value or "" for key, value in match.groupdict().items()}
        t = group.get("t", "") or group.get("time", "")
        place = Place(at, group.get("field", ""), group.get("channel", ""), group.get("z", ""), t)
        before = planes.found.get(place)
        if before is not None:
            lacking = "" if "z" in group else "; z planes are told apart by a group (?P<z>…) and --z"
            raise PlateError(
                f"{before.name} and {name} are both {place}; make the pattern tell them apart, or match one{lacking}"
            )
        planes.add(place, Source(name))
    return PlaneTable(
        title=title,
        planes=planes.found,
        channels=channels or {},
        ignored=tuple(name for name in folder.images if pattern.search(name) is None),
        notes=(note,) if note else (),
    )


def _wells(found: list[tuple[str, re.Match[str]]], plate_format: int | None) -> tuple[tuple[WellId, ...], str]:
    """The well of each file, and a sentence on names in another style than ``B03``."""
    wells: list[WellId] = []
    if "well" in found[0][1].groupdict() and not all(match["well"].isdecimal() for _, match in found if match["well"]):
        return _named(found)
    note = ""
    for name, match in found:
        groups = {key: value or "" for key, value in match.groupdict().items()}
        try:
            if "row" in groups:
                wells.append(WellId.of(groups["row"], groups["column"]))
            elif plate_format is None:
                formats = ", ".join(map(str, PLATE_FORMATS))
                raise PlateError(
                    f"{groups['well']!r} is a running number, which is a well only on a plate of known size; say "
                    f"--plate-format with the number of its wells ({formats}), counted along row A, then B"
                )
            else:
                wells.append(WellId.numbered(groups["well"], plate_format))
                note = f"Wells are numbered along the rows of {plate_format} wells: {groups['well']} is {wells[-1]}."
        except PlateError as error:
            raise PlateError(f"file {name}: {error}") from error
    rows = [match["row"] for _, match in found if "row" in match.groupdict()]
    if any((row or "").strip().isdecimal() for row in rows):
        note = f"Rows are numbers from 1: row {rows[-1]} and column {found[-1][1]['column']} are well {wells[-1]}."
    return tuple(wells), note


def _named(found: list[tuple[str, re.Match[str]]]) -> tuple[tuple[WellId, ...], str]:
    """Wells of names such as B03, read in the light of all of them."""
    try:
        distinct = list(dict.fromkeys(match["well"] or "" for _, match in found))
        wells, note = parse_wells(distinct)
    except PlateError:
        for name, match in found:
            try:
                WellId.parse(match["well"] or "")
            except PlateError as error:
                raise PlateError(f"file {name}: {error}") from error
        raise
    by_name = dict(zip(distinct, wells, strict=True))
    return tuple(by_name[match["well"] or ""] for _, match in found), note
