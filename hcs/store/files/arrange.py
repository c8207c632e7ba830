"""Files of images into the fields of a plate: which planes make which field, and which fields lack something."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from hcs.errors import ConfigError, FieldError, PlateError
from hcs.plate.keys import FieldKey, WellId
from hcs.store.files.filenames import Listing, Place, natural
from hcs.store.files.images import ImageHeader, read_header, read_plane

_MOST_NAMED = 12


@dataclass(frozen=True, slots=True)
class Source:
    """One plane: a file, and which of its images where it has several."""

    path: Path
    page: int | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Arranged:
    """What is to be written: of every field its planes by channel, and what is said about it."""

    fields: dict[FieldKey, tuple[tuple[Source, ...], ...]]
    channels: tuple[str, ...]
    """As the file names have them."""
    field_names: tuple[str, ...]
    headers: dict[Path, ImageHeader]
    left_out: tuple[str, ...]
    z: str
    """What is done with z planes, for a line; empty where there is one."""


def arrange(listing: Listing, *, z: str | None, skip_incomplete: bool) -> Arranged:
    """Number the fields, order channels and planes, read all headers, and set aside fields that lack something."""
    fields, channels = values_of(listing, "field"), values_of(listing, "channel")
    by_pages = z is not None and values_of(listing, "z") == ("",)
    headers, faults = _headers(listing, by_pages=by_pages)
    there = _planes(listing, headers, channels, by_pages=by_pages)
    planes = {channel: _chosen(names, z, there) for channel, names in there.items()}
    complete: dict[FieldKey, tuple[tuple[Source, ...], ...]] = {}
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
    return Arranged(
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
) -> tuple[tuple[Source, ...], ...]:
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
            sources.append(Source(path, int(plane) - 1 if by_pages else None))
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


def values_of(listing: Listing, what: Literal["field", "channel", "z"]) -> tuple[str, ...]:
    """The distinct values of a group, in their order."""
    return tuple(sorted({getattr(place, what) for place in listing.files}, key=natural))
