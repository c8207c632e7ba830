"""Which channel of a plate is which, why, and the lines that show it before the first field."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass

from hcs.config import ChannelSettings
from hcs.errors import ConfigError, FieldError, PlateError
from hcs.plate.channels import Channels
from hcs.plate.keys import FieldKey
from hcs.store.location import location, map_at
from hcs.store.plate.field import FieldInfo
from hcs.store.plate.reader import Plate, find_channel, read_info
from hcs.store.results.record import RecordedChannels

_STAINS = re.compile(
    r"(?<![a-z])dna(?![a-z])|dapi|hoechst|h ?33342|h ?33258|draq ?[57]|sytox|propidium|to-?pro|sir-?dna|spy\d* ?-?dna",
    re.IGNORECASE,
)
"""Names of stains of DNA."""
_NUCLEI = re.compile(r"^\W*(nuclei|nuclear|nucleus)(\W*(stain|dye|marker|channel|counterstain))?\W*$", re.IGNORECASE)
"""Names that say nuclei and nothing else: ``Nuclear lamin 488`` is a protein, and not taken."""
_SENSORS = re.compile(r"cdk2|dhb|ktr|lexy|sensor", re.IGNORECASE)
_MOST_LOOKED_AT = 2000
"""Fields whose metadata are read to know a plate's channels; of larger plates so many, evenly spread."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Choices:
    """The run's channels, each with the reason why, and sentences on fields that have others."""

    channels: Channels
    dna_because: str
    sensor_because: str
    nuclei_because: str
    cells_because: str
    notes: tuple[str, ...]

    def lines(self) -> tuple[str, ...]:
        """What a run shows first."""
        channels = self.channels
        return (
            f"  DNA channel      {channels.dna_name or 'none'} ({self.dna_because})",
            f"  nuclei found in  {channels.names[channels.nuclei]} ({self.nuclei_because})",
            f"  sensor channel   {channels.sensor_name or 'none'} ({self.sensor_because})",
            f"  whole cells in   {channels.cells_name or 'none'} ({self.cells_because})",
        )

    def recorded(self) -> RecordedChannels:
        """For ``run.json``."""
        channels = self.channels
        return RecordedChannels(
            names=channels.names,
            dna=channels.dna_name,
            sensor=channels.sensor_name,
            nuclei=channels.names[channels.nuclei],
            cells=channels.cells_name,
            because={
                "dna": self.dna_because,
                "sensor": self.sensor_because,
                "nuclei": self.nuclei_because,
                "cells": self.cells_because,
            },
        )


def infos_by_field(plate: Plate, keys: tuple[FieldKey, ...]) -> dict[FieldKey, FieldInfo]:
    """Metadata of those of ``keys`` that can be read, of a plate of very many fields of some; of all, where any has
    several time points. PlateError where none can be read."""
    step = max(len(keys) // _MOST_LOOKED_AT, 1)
    reasons: list[str] = []

    def info(key: FieldKey) -> FieldInfo | None:
        try:
            return read_info(plate, key)
        except FieldError as error:
            reasons.append(str(error))
            return None

    def read(some: tuple[FieldKey, ...]) -> dict[FieldKey, FieldInfo]:
        found = zip(some, map_at(location(plate.path), info, some), strict=True)
        return {key: value for key, value in found if value is not None}

    known = read(keys[::step])
    if step > 1 and any(value.t_size > 1 for value in known.values()):
        known |= read(tuple(key for key in keys if key not in known))
    if not known:
        raise PlateError(f"{plate.path}: not one field can be read ({reasons[0] if reasons else 'it has none'})")
    return known


def settle_channels(plate: Plate, settings: ChannelSettings, by_field: Mapping[FieldKey, tuple[str, ...]]) -> Choices:
    """The plate's channels: those of most fields in ``by_field``, and which of them is which.

    A plate may do without DNA only where ``settings`` name another channel for the nuclei. ConfigError where a channel
    asked for does not exist or, when none was asked for, which one is DNA cannot be told; PlateError without any field.
    """
    if not by_field:
        raise PlateError(f"{plate.path}: not one of the images asked for can be read; check --acquisition and --images")
    names = Counter(by_field.values()).most_common(1)[0][0]
    sensor, sensor_because = _sensor(names, settings.sensor)
    asked = None if settings.nuclei is None else find_channel(names, settings.nuclei, option="--nuclei")
    dna, dna_because = _dna(plate, names, settings.dna, elsewhere=asked)
    if dna is not None and sensor == dna:
        raise ConfigError(
            f"channel {names[dna]!r} cannot be both DNA and sensor; say --dna and --sensor, or, where nuclei are to be "
            f"found in the sensor channel of a plate without DNA, --nuclei {names[dna]} --sensor {names[dna]}"
        )
    nuclei = dna if asked is None else asked
    cells = None if settings.cells is None else find_channel(names, settings.cells, option="--cells")
    if nuclei is None:
        raise AssertionError("without a channel asked for, nuclei are found in DNA")
    return Choices(
        channels=Channels(names=names, dna=dna, sensor=sensor, nuclei=nuclei, cells=cells),
        dna_because=dna_because,
        sensor_because=sensor_because,
        nuclei_because="the DNA channel" if asked is None else "as --nuclei says",
        cells_because="the default; the cytoplasm is a ring, and --cells CHANNEL grows cells"
        if cells is None
        else "as --cells says",
        notes=_others(names, by_field),
    )


def _dna(
    plate: Plate, names: tuple[str, ...], wanted: str | int | None, *, elsewhere: int | None
) -> tuple[int | None, str]:
    """The DNA channel and why; None where nuclei are asked for ``elsewhere`` and no name is a DNA stain's. ConfigError
    where the one asked for is not there, or none can be told."""
    if wanted is not None:
        chosen = find_channel(names, wanted, option="--dna")
        other = _stained(names)
        doubt = f", although {names[other]} has the name of a DNA stain" if other not in (None, chosen) else ""
        return chosen, f"as --dna says{doubt}"
    found = _stained(names)
    if found is not None:
        return found, "guessed: its name is that of a DNA stain, and no other's; --dna NAME says otherwise"
    if elsewhere is not None:
        return None, "no name is that of one DNA stain, and nuclei are found elsewhere; --dna NAME says otherwise"
    if len(names) == 1:
        return 0, "guessed: the plate has no other channel"
    raise ConfigError(
        f"{plate.path}: which of its channels is DNA? It has {', '.join(names)}; say --dna NAME, or, where none is, in "
        "which to find nuclei: --nuclei NAME"
    )


def _stained(names: tuple[str, ...]) -> int | None:
    """The one channel that is called after a DNA stain or, without any, after nuclei; None for none or several."""
    for pattern in (_STAINS, _NUCLEI):
        hits = [i for i, name in enumerate(names) if pattern.search(name)]
        if hits:
            return hits[0] if len(hits) == 1 else None
    return None


def _sensor(names: tuple[str, ...], wanted: str | int | None) -> tuple[int | None, str]:
    if wanted is not None:
        return find_channel(names, wanted, option="--sensor"), "as --sensor says"
    hits = [i for i, name in enumerate(names) if _SENSORS.search(name)]
    if len(hits) == 1:
        return hits[0], "guessed: its name is that of a sensor, and no other's; --sensor NAME says otherwise"
    why = f"{len(hits)} names could be a sensor's" if hits else "no name is a sensor's (CDK2, DHB, KTR, LEXY, sensor)"
    return None, f"{why}; --sensor NAME says which"


def _others(names: tuple[str, ...], by_field: Mapping[FieldKey, tuple[str, ...]]) -> tuple[str, ...]:
    """A sentence on the fields with other channels than most."""
    odd = [key for key, found in by_field.items() if found != names]
    if not odd:
        return ()
    some = ", ".join(map(str, odd[:5])) + (", …" if len(odd) > 5 else "")
    return (
        f"{len(odd)} of {len(by_field)} fields have other channels than most, {', '.join(names)}, and will fail "
        f"({some}: {', '.join(by_field[odd[0]])}).",
    )
