"""Planes into the fields of a plate: which planes make which channel, and which cannot be had."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Literal

from hcs.errors import ConfigError, FieldError, PlateError
from hcs.plate.keys import FieldKey, WellId
from hcs.store.files.containers import container_of
from hcs.store.files.images import ImageHeader, read_header, read_plane
from hcs.store.microscopes.table import PROJECTION, Channel, Place, PlaneTable, Source, natural

_MOST_NAMED = 12


@dataclass(frozen=True, slots=True, kw_only=True)
class Arranged:
    """What is to be written: of every field the planes of each channel that it has, and what is said about it."""

    fields: dict[FieldKey, dict[str, tuple[Source, ...]]]
    channels: dict[str, Channel]
    """Of the whole plate, in order, by the microscope's numbers or names."""
    field_names: tuple[str, ...]
    headers: dict[str, ImageHeader]
    incomplete: tuple[str, ...]
    """A sentence for each channel of a field, and each field, that cannot be had."""
    z: Literal["max", "keep"]
    z_said: str
    """What is done with z planes, for a line; empty where there is one."""


@dataclass(frozen=True, slots=True)
class Headers:
    """Headers of files by name, and reasons why others have none; each file is read once."""

    root: Path
    found: dict[str, ImageHeader] = field(default_factory=dict)
    faults: dict[str, str] = field(default_factory=dict)

    def of(self, table: PlaneTable) -> tuple[dict[str, ImageHeader], dict[str, str]]:
        """The header of every file of a table that can be read, and the reason for every other."""
        names = {source.name: None for source in table.planes.values()}
        for name in names:
            if name not in self.found and name not in self.faults:
                try:
                    self.found[name] = read_header(self.root / name)
                except FieldError as error:
                    self.faults[name] = error.reason
        return (
            {name: self.found[name] for name in names if name in self.found},
            {name: self.faults[name] for name in names if name in self.faults},
        )


def spread_times(table: PlaneTable, headers: Headers, *, t: str | None, z: str | None) -> PlaneTable:
    """The table with a place for every page of files whose pages are time points, as the files say, or, where they are
    silent, because the user keeps all time points and names no plane. Other tables come back as they are.

    Pages that are channels or z planes as well are spread with them, where the files have ImageJ's order of pages and
    names tell no channel or plane; the interval between time points comes from the files if nothing else tells it.
    """
    whole = {place: source for place, source in table.planes.items() if source.page is None}
    if not whole or any(place.t for place in table.planes):
        return table
    known, _ = headers.of(replace(table, planes=whole))
    kinds = Counter(header.kind for header in known.values() if header.images > 1)
    kind = kinds.most_common(1)[0][0] if kinds else ""
    silent = bool(kinds) and kind == "" and t == "all" and z is None
    if "t" not in kind and not silent:
        return table
    if ("c" in kind and len({p.channel for p in whole}) > 1) or ("z" in kind and {p.z for p in whole} != {""}):
        return table  # names tell the same, and `_spread_pages` refuses the files
    spread = {place: source for place, source in table.planes.items() if source.page is not None}
    for place, source in whole.items():
        header = known.get(source.name)
        if header is None or header.images == 1 or header.kind not in (kind, ""):
            spread[place] = source
            continue
        if header.sizes is None and len(kind) > 1:
            return table
        _, depth, channels = header.sizes or (header.images, 1, 1)
        for page in range(header.images):
            rest, c = divmod(page, channels)
            at, k = divmod(rest, depth)
            channel, plane = str(c + 1) if "c" in kind else place.channel, str(k + 1) if "z" in kind else place.z
            spread[replace(place, channel=channel, z=plane, t=str(at + 1))] = replace(source, page=page)
    waits = {header.interval_s for header in known.values()}
    return replace(
        table,
        planes=spread,
        channels={} if "c" in kind else table.channels,
        interval_s=table.interval_s or (waits.pop() if len(waits) == 1 else None),
    )


def arrange(
    table: PlaneTable, headers: Headers, *, z: str | None, t: str | None, by_default: str | None = None
) -> Arranged:
    """Choose time point and planes, read all headers, number the fields, and set aside what cannot be had.

    ``z`` and ``t`` are the user's choices; ``by_default`` is done with several z planes where there is none. A field is
    written with those of its channels whose planes are all there and alike. Raises ConfigError where a choice is to be
    made or names nothing, PlateError where no field has all channels.
    """
    root = headers.root
    table = replace(table, planes=_at_time(table, root, t))
    known, faults = headers.of(table)
    if not known and not any((root / name).exists() or container_of(root / name) for name in faults):
        raise PlateError(
            f"none of the {len(faults):,} images that the metadata list is in {root}, such as {next(iter(faults))}; "
            "give the folder that holds metadata and images"
        )
    table = _spread_pages(table, known, faults, root, z)
    there = {channel: _names(table, channel) for channel in _channels(table)}
    how = z if z is not None or max(map(len, there.values())) == 1 else _default(there, root, by_default)
    planes = {channel: _chosen(names, how, there, asked=z) for channel, names in there.items()}
    names = tuple(sorted({place.field for place in table.planes}, key=natural))
    fields: dict[FieldKey, dict[str, tuple[Source, ...]]] = {}
    incomplete: list[str] = list(table.missing)
    for well, name in sorted(
        {(place.well, place.field) for place in table.planes}, key=lambda f: (f[0], natural(f[1]))
    ):
        found, reasons = _field(table, (well, name), planes, known, faults)
        incomplete += reasons
        if found:
            fields[FieldKey(well, names.index(name))] = found
    if not any(len(found) == len(there) for found in fields.values()):
        more = f"; {len(incomplete) - 1:,} more are incomplete" if len(incomplete) > 1 else ""
        raise PlateError(f"{root}: no field has all of its channels: {incomplete[0]}{more}")
    return Arranged(
        fields=fields,
        channels=_named(table, tuple(there)),
        field_names=names,
        headers=known,
        incomplete=tuple(incomplete),
        z="keep" if how == "keep" else "max",
        z_said=_said_of_z(there, planes, how, asked=z),
    )


def arrange_times(
    table: PlaneTable, headers: Headers, *, z: str | None, by_default: str | None = None
) -> tuple[Arranged, tuple[Arranged, ...]]:
    """`arrange` for every time point, all with the same numbers of fields; and one arrangement that has, of each field,
    the planes of the first time point at which most of its channels are there."""
    times = time_names(table)
    found = [arrange(table, headers, z=z, t=time, by_default=by_default) for time in times]
    names = tuple(sorted({name for one in found for name in one.field_names}, key=natural))
    numbered = tuple(_renumbered(one, names) for one in found)
    fields: dict[FieldKey, dict[str, tuple[Source, ...]]] = {}
    for one in numbered:
        for key, planes in one.fields.items():
            if len(planes) > len(fields.get(key, {})):
                fields[key] = planes
    whole = replace(
        max(numbered, key=lambda one: len(one.channels)),
        fields=dict(sorted(fields.items())),
        headers={name: header for one in numbered for name, header in one.headers.items()},
        incomplete=tuple(
            f"time point {time}: {reason}" for time, one in zip(times, found, strict=True) for reason in one.incomplete
        ),
    )
    return whole, numbered


def _renumbered(arranged: Arranged, names: tuple[str, ...]) -> Arranged:
    """The same fields, numbered by their place among ``names``."""
    fields = {
        FieldKey(key.well, names.index(arranged.field_names[key.field])): planes
        for key, planes in arranged.fields.items()
    }
    return replace(arranged, fields=fields, field_names=names)


def _at_time(table: PlaneTable, root: Path, t: str | None) -> dict[Place, Source]:
    """The planes of one time point, which they no longer name; ConfigError where there are several and none is
    chosen."""
    times = sorted({place.t for place in table.planes}, key=natural)
    some = ", ".join(times[:_MOST_NAMED]) + (", …" if len(times) > _MOST_NAMED else "")
    if t is None and len(times) > 1:
        raise ConfigError(
            f"{root} has {len(times)} time points ({some}); say --t {times[0]} to take one of "
            "them, or --t all to keep all, as a plate with time"
        )
    hits = [time for time in times if t is None or _same(time, t)]
    if not hits:
        raise ConfigError(f"--t {t} is no time point of {root}; it has {some or 'one without a name'}")
    return {replace(place, t=""): source for place, source in table.planes.items() if place.t == hits[0]}


def _same(one: str, other: str) -> bool:
    return one == other or (one.isdecimal() and other.isdecimal() and int(one) == int(other))


def time_names(table: PlaneTable) -> list[str]:
    """The names of a table's time points, in order."""
    return sorted({place.t for place in table.planes}, key=natural)


def _spread_pages(
    table: PlaneTable, headers: Mapping[str, ImageHeader], faults: dict[str, str], root: Path, z: str | None
) -> PlaneTable:
    """Planes for the pages of files that the table takes whole: channels or z planes, as the files say, or z planes
    because the user says so. Files with other pages get a reason."""
    whole = {place: source for place, source in table.planes.items() if source.page is None}
    several = {s.name for s in whole.values() if s.name in headers and headers[s.name].images > 1}
    if not several:
        return table
    kind, _ = Counter(headers[name].kind for name in sorted(several)).most_common(1)[0]
    as_channels = kind == "c" and len({place.channel for place in table.planes}) == 1
    as_planes = kind in (("", "z") if z is not None else ("z",)) and {place.z for place in table.planes} == {""}
    odd = {name for name in several if not (as_channels or as_planes) or headers[name].kind not in {kind, ""}}
    faults.update({name: _refusal(root / name) for name in sorted(odd)})
    if odd == several:
        return table
    usual = _usual_pages(whole, headers)
    spread = {place: source for place, source in table.planes.items() if source.page is not None}
    for place, source in whole.items():
        count = usual[place.channel]
        if source.name not in faults and source.name in headers and headers[source.name].images != count:
            faults[source.name] = (
                f"{root / source.name} has {headers[source.name].images} planes where most files of its channel have "
                f"{count}; copy it again, or leave it out by the pattern"
            )
        for page in range(count):
            number = str(page + 1)
            spread[replace(place, channel=number) if as_channels else replace(place, z=number)] = replace(
                source, page=page
            )
    return replace(table, planes=spread, channels={} if as_channels else table.channels)


def _refusal(path: Path) -> str:
    """Why a file of several images cannot be taken for one."""
    try:
        read_plane(path)
    except FieldError as error:
        return error.reason
    return f"{path} holds several images"


def _usual_pages(planes: Mapping[Place, Source], headers: Mapping[str, ImageHeader]) -> dict[str, int]:
    """How many images most files of each channel have."""
    counts: dict[str, Counter[int]] = {place.channel: Counter() for place in planes}
    for place, source in planes.items():
        if source.name in headers:
            counts[place.channel][headers[source.name].images] += 1
    return {channel: count.most_common(1)[0][0] if count else 1 for channel, count in counts.items()}


def _channels(table: PlaneTable) -> tuple[str, ...]:
    """Channels that have planes: those that the table describes first, in its order."""
    there = {place.channel for place in table.planes}
    described = [channel for channel in table.channels if channel in there]
    return (*described, *sorted(there - {*described}, key=natural))


def _named(table: PlaneTable, channels: tuple[str, ...]) -> dict[str, Channel]:
    """The channels in order; one without a description, or without a name, is called by its number here."""
    return {
        channel: replace(told, name=told.name or str(i))
        for i, channel in enumerate(channels)
        for told in [table.channels.get(channel, Channel(channel))]
    }


def _names(table: PlaneTable, channel: str) -> tuple[str, ...]:
    """The planes of a channel in z order; the microscope's projection comes last."""
    names = {place.z for place in table.planes if place.channel == channel}
    return tuple(sorted(names, key=lambda name: (name == PROJECTION, natural(name))))


def _default(there: Mapping[str, tuple[str, ...]], root: Path, by_default: str | None) -> str:
    """What is done with several planes where the user says nothing: the microscope's projection, if all channels have
    one, else ``by_default``; ConfigError without that."""
    if by_default is None:
        most = max(there.values(), key=len)
        raise ConfigError(
            f"{root} has {len(most)} z planes ({_some(most)}); say --z max to project them, --z keep to keep all, "
            f"or one of them, such as --z {most[len(most) // 2]}"
        )
    return PROJECTION if all(PROJECTION in names for names in there.values()) else by_default


def _some(names: tuple[str, ...]) -> str:
    return ", ".join(names[:_MOST_NAMED]) + (", …" if len(names) > _MOST_NAMED else "")


def _chosen(
    names: tuple[str, ...], how: str | None, there: Mapping[str, tuple[str, ...]], *, asked: str | None
) -> tuple[str, ...]:
    """The planes of a channel to be read, of those that it has; ConfigError where ``how`` names none."""
    most = max(there.values(), key=len)
    if asked is not None and len(most) == 1:
        raise ConfigError(
            f"--z {asked}: there is one plane of each channel; leave --z away, or give --pattern a group z"
        )
    if how is None or len(names) == 1:
        return names
    if how in ("max", "keep"):
        recorded = {channel: _recorded(planes) for channel, planes in there.items()}
        if how == "keep" and len({len(planes) for planes in recorded.values()}) > 1:
            counts = ", ".join(f"channel {channel or '0'} {len(planes)}" for channel, planes in recorded.items())
            raise ConfigError(
                f"--z keep: channels have different numbers of planes ({counts}); say --z max or one plane"
            )
        return _recorded(names)
    hits = tuple(name for name in names if _same(name, how))
    if not hits:
        raise ConfigError(f"--z {how} is no plane of these files, nor max or keep; they have {_some(most)}")
    return hits


def _recorded(names: tuple[str, ...]) -> tuple[str, ...]:
    """Planes without the microscope's projection, unless that is all there is."""
    return tuple(name for name in names if name != PROJECTION) or names


def _field(
    table: PlaneTable,
    field: tuple[WellId, str],
    planes: Mapping[str, tuple[str, ...]],
    headers: Mapping[str, ImageHeader],
    faults: Mapping[str, str],
) -> tuple[dict[str, tuple[Source, ...]], list[str]]:
    """The planes of a field by channel, and a sentence for each channel that it lacks, or one if it lacks all."""
    well, name = field
    found: dict[str, tuple[Source, ...]] = {}
    reasons: list[str] = []
    for channel, wanted in planes.items():
        sources, reason = _of_channel(table, field, channel, wanted, faults)
        if reason:
            reasons.append(reason)
        else:
            found[channel] = sources
    for channel, reason in _unlike(found, headers).items():
        del found[channel]
        reasons.append(f"well {well}, field {name or '0'}: {reason}")
    if not found and len(planes) > 1:
        return {}, [f"{reasons[0]}, nor can any other of its {len(planes)} channels be had"]
    return found, reasons


def _of_channel(
    table: PlaneTable, field: tuple[WellId, str], channel: str, wanted: tuple[str, ...], faults: Mapping[str, str]
) -> tuple[tuple[Source, ...], str]:
    """The planes of one channel of a field, or why one of them cannot be had."""
    well, name = field
    label = table.channels[channel].name if channel in table.channels else channel or "0"
    sources = []
    for z in wanted:
        source = table.planes.get(Place(well, name, channel, z))
        plane = f", plane {z}" if z and len(wanted) > 1 else ""
        if source is None:
            return (), f"well {well}, field {name or '0'} has no channel {label}{plane}"
        if source.fault or source.name in faults:
            reason = source.fault or faults[source.name]
            return (), f"well {well}, field {name or '0'}, channel {label}{plane}: {reason}"
        sources.append(source)
    return tuple(sources), ""


def _unlike(found: Mapping[str, tuple[Source, ...]], headers: Mapping[str, ImageHeader]) -> dict[str, str]:
    """Channels with a file of another shape or type than most of the field's files, and the reason."""
    kinds = {s.name: (headers[s.name].shape, headers[s.name].dtype) for sources in found.values() for s in sources}
    if len({*kinds.values()}) < 2:
        return {}
    usual, _ = Counter(kinds.values()).most_common(1)[0]
    example = next(name for name, kind in kinds.items() if kind == usual)
    return {
        channel: (
            f"{odd} is {kinds[odd][0]} {kinds[odd][1]} but {example} of the same field is {usual[0]} {usual[1]}; "
            "channels of a field must agree"
        )
        for channel, sources in found.items()
        for odd in [next((s.name for s in sources if kinds[s.name] != usual), "")]
        if odd
    }


def _said_of_z(
    there: Mapping[str, tuple[str, ...]], planes: Mapping[str, tuple[str, ...]], how: str | None, *, asked: str | None
) -> str:
    """What becomes of several z planes; empty where there are none."""
    most = max(there.values(), key=len)
    if how is None or len(most) == 1:
        return ""
    taken = max(planes.values(), key=len)[0]
    what = {"max": "their maximum", "keep": "all kept", PROJECTION: "the microscope's projection"}.get(
        how, f"plane {taken} taken"
    )
    fewer = [f"{channel or '0'} has {len(names)}" for channel, names in there.items() if len(names) != len(most)]
    other = "" if asked is not None else " (--z max, keep or one plane says otherwise)"
    return f"{len(most)} ({_some(most)}): {what}{other}" + (f"; {', '.join(fewer)}" if fewer else "")
