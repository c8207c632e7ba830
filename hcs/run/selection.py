"""Which images of a plate's wells are fields of their own: by acquisition and by name.

A well may list several versions of one field: cycles of staining, raw and corrected pixels, a stack and its projection.
Each counted as a field, every nucleus counts twice. What looks like that is refused until the user has chosen.
"""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass
from fnmatch import fnmatchcase
from itertools import groupby

from hcs.config import Config
from hcs.errors import ConfigError
from hcs.plate.keys import FieldKey, WellId
from hcs.store.plate.reader import FieldEntry

_WORD = re.compile(r"[A-Za-z]+|\d+")
_COUNTED_WORDS = frozenset({"v", "ver", "version", "cycle", "round", "acq", "acquisition", "cy", "run", "rev"})
"""Words whose number belongs to them: ``cycle2_0`` is field 0 of cycle 2."""
_MOST_NAMED = 4

ChannelNames = Mapping[FieldKey, tuple[str, ...]]


@dataclass(frozen=True, slots=True)
class Selection:
    """The fields that a run takes, in plate order, and sentences on what it leaves out."""

    fields: tuple[FieldEntry, ...]
    notes: tuple[str, ...]


def select_images(fields: tuple[FieldEntry, ...], config: Config, channels: ChannelNames) -> Selection:
    """Those of a plate's ``fields`` that ``acquisition`` and ``images`` of the configuration name.

    ``channels`` has the channel names of the fields that can be read. Raises ConfigError where an option names nothing,
    and where images of one well look like versions of one field and no option says which to take: images of several
    acquisitions, names that differ by words and not by numbers (``0``, ``0_mip``), or other channels in most wells.
    """
    chosen = _of_acquisition(fields, config.acquisition)
    chosen = _of_name(chosen, config.images)
    if config.acquisition is None and config.images is None:
        _refuse_acquisitions(chosen, channels)
    if config.images is None:
        _refuse_versions(chosen)
        if config.acquisition is None:
            _refuse_cycles(chosen, channels)
    return Selection(chosen, _notes(fields, chosen))


def acquisition_of(entry: FieldEntry) -> int:
    """The acquisition of a field; 0 where its well names none."""
    return entry.acquisition or 0


def image_name(entry: FieldEntry) -> str:
    """The name of a field's folder in its well."""
    return entry.path.rpartition("/")[2]


def _of_acquisition(fields: tuple[FieldEntry, ...], wanted: int | str | None) -> tuple[FieldEntry, ...]:
    if wanted is None or wanted == "all":
        return fields
    found = tuple(entry for entry in fields if entry.fault is not None or acquisition_of(entry) == wanted)
    if not any(entry.fault is None for entry in found):
        there = sorted({acquisition_of(entry) for entry in fields if entry.fault is None})
        raise ConfigError(f"--acquisition {wanted} is none of this plate's; it has {', '.join(map(str, there))}")
    return found


def _of_name(fields: tuple[FieldEntry, ...], wanted: str | None) -> tuple[FieldEntry, ...]:
    if wanted is None:
        return fields
    patterns = [part.strip() for part in wanted.split(",")]
    names = Counter(image_name(entry) for entry in fields if entry.fault is None)
    for pattern in patterns:
        if not any(fnmatchcase(name, pattern) for name in names):
            raise ConfigError(f"--images {pattern!r} names no image of this plate's wells; they have {_some(names)}")
    return tuple(
        entry
        for entry in fields
        if entry.fault is not None or any(fnmatchcase(image_name(entry), pattern) for pattern in patterns)
    )


def _by_well(fields: tuple[FieldEntry, ...]) -> dict[WellId, list[FieldEntry]]:
    sound = [entry for entry in fields if entry.fault is None]
    return {well: list(entries) for well, entries in groupby(sound, key=lambda entry: entry.key.well)}


def _refuse_acquisitions(fields: tuple[FieldEntry, ...], channels: ChannelNames) -> None:
    wells = [w for w, entries in _by_well(fields).items() if len({acquisition_of(e) for e in entries}) > 1]
    if not wells:
        return
    numbers = sorted({acquisition_of(entry) for entry in fields})
    choices = "; ".join(f"{number} ({_described(fields, number, channels)})" for number in numbers)
    raise ConfigError(
        f"{_wells(wells)} images of several acquisitions, which show the same cells more than once: {choices}; say "
        f"--acquisition {numbers[0]} to take one, or --acquisition all to take every image as a field of its own"
    )


def _described(fields: tuple[FieldEntry, ...], number: int, channels: ChannelNames) -> str:
    """Images and channels of one acquisition."""
    own = [entry for entry in fields if acquisition_of(entry) == number and entry.fault is None]
    sets = Counter(channels[entry.key] for entry in own if entry.key in channels)
    what = f"images {_some(Counter(map(image_name, own)))}"
    return what + (f", channels {', '.join(sets.most_common(1)[0][0])}" if sets else "")


def _refuse_versions(fields: tuple[FieldEntry, ...]) -> None:
    """ConfigError where images of a well have names that look like versions of one field."""
    alike: dict[WellId, list[FieldEntry]] = {}
    for well, entries in _by_well(fields).items():
        by_acquisition = groupby(sorted(entries, key=acquisition_of), key=acquisition_of)
        for _, own in by_acquisition:
            listed = list(own)
            if _look_like_versions([image_name(entry) for entry in listed]):
                alike[well] = listed
    if not alike:
        return
    first = next(iter(alike.values()))
    words = _words(image_name(first[0]))
    one = [image_name(entry) for entry in first if _words(image_name(entry)) == words]
    names = ", ".join(image_name(entry) for entry in first[:8]) + (", …" if len(first) > 8 else "")
    raise ConfigError(
        f"{_wells(list(alike))} images whose names look like versions of one field ({first[0].key.well}: {names}), "
        f"and would count every nucleus more than once; say --images with the names to take, such as --images "
        f"{','.join(one[:4])!r} (wildcards are understood), or --images '*' to take every image as a field of its own"
    )


def _look_like_versions(names: list[str]) -> bool:
    """Whether two names differ by words and not by numbers (0, 0_mip), or one goes on where another ends (0, 0_2)."""
    if len({_numbers(name) for name in names}) < len(names):
        return True
    return any(
        other != name and other.startswith(name) and not other[len(name)].isalnum() and not name[-1:].isspace()
        for name in names
        for other in names
    )


def _numbers(name: str) -> tuple[str, ...]:
    """The numbers of a name that are not a version's, without leading zeros."""
    tokens = _WORD.findall(name)
    return tuple(
        token.lstrip("0") or "0"
        for before, token in zip(["", *tokens], tokens, strict=False)
        if token.isdecimal() and before.lower() not in _COUNTED_WORDS
    )


def _words(name: str) -> tuple[str, ...]:
    """The words of a name, a version's with its number."""
    tokens = _WORD.findall(name)
    return tuple(
        token.lower()
        for before, token in zip(["", *tokens], tokens, strict=False)
        if not token.isdecimal() or before.lower() in _COUNTED_WORDS
    )


def _refuse_cycles(fields: tuple[FieldEntry, ...], channels: ChannelNames) -> None:
    """ConfigError where most wells have images of other channels: cycles of a multiplexed plate."""
    wells = _by_well(fields)
    mixed = {
        well: entries
        for well, entries in wells.items()
        if len({channels[entry.key] for entry in entries if entry.key in channels}) > 1
    }
    if 2 * len(mixed) <= len(wells):
        return
    first = next(iter(mixed.values()))
    described = "; ".join(f"{image_name(e)} has {', '.join(channels[e.key])}" for e in first[:6] if e.key in channels)
    raise ConfigError(
        f"{_wells(list(mixed))} images of other channels ({first[0].key.well}: {described}), which look like cycles of "
        f"the same fields; say --images with the names to take, such as --images {image_name(first[0])}, or "
        "--images '*' to take every image as a field of its own"
    )


def _notes(fields: tuple[FieldEntry, ...], chosen: tuple[FieldEntry, ...]) -> tuple[str, ...]:
    """What is left out, and which wells lose all their images by that."""
    left = len(fields) - len(chosen)
    if not left:
        return ()
    lost = sorted({entry.key.well for entry in fields} - {entry.key.well for entry in chosen})
    notes = [f"{left} of {len(fields)} images are left out by --acquisition or --images."]
    if lost:
        notes.append(f"{_wells(lost)} no such image, and no result: {', '.join(map(str, lost[:20]))}.")
    return tuple(notes)


def _wells(wells: list[WellId]) -> str:
    return f"well {wells[0]} has" if len(wells) == 1 else f"{len(wells)} wells ({wells[0]} …) have"


def _some(names: Counter[str]) -> str:
    listed = list(names)
    return ", ".join(listed[:_MOST_NAMED]) + (", …" if len(listed) > _MOST_NAMED else "")
