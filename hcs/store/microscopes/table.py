"""The common table that every vendor's folder becomes: which plane of which file shows what."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from itertools import pairwise

from hcs.errors import PlateError
from hcs.measure.illumination import ChannelLight
from hcs.plate.keys import WellId

PROJECTION = "projection"
"""The z of a plane that the microscope projected itself."""


@dataclass(frozen=True, slots=True, order=True)
class Place:
    """What one plane shows; field, channel, z and time point as the microscope calls them, empty without such."""

    well: WellId
    field: str
    channel: str
    z: str = ""
    t: str = ""

    def __str__(self) -> str:
        plane = f", plane {self.z}" if self.z else ""
        frame = f", time point {self.t}" if self.t else ""
        return f"well {self.well}, field {self.field or '0'}, channel {self.channel or '0'}{plane}{frame}"


@dataclass(frozen=True, slots=True)
class Source:
    """Where a plane lies: a file's name below the folder, and which of its images (0-based) where it has several.

    ``fault`` says why the plane cannot be had, where the metadata say so.
    """

    name: str
    page: int | None = None
    fault: str = ""


@dataclass(frozen=True, slots=True)
class Channel:
    """A channel's name, and its light in nm where the metadata tell it."""

    name: str
    excitation_nm: float | None = None
    emission_nm: float | None = None

    @property
    def light(self) -> str:
        """``405 → 450 nm``; empty where nothing is known."""
        excitation, emission = (None if nm is None else f"{nm:g}" for nm in (self.excitation_nm, self.emission_nm))
        if excitation and emission:
            return f"{excitation} → {emission} nm"
        return f"excited at {excitation} nm" if excitation else f"emits at {emission} nm" if emission else ""


FieldName = tuple[WellId, str]
"""A field by its well and the name that the microscope gives it."""


@dataclass(frozen=True, slots=True, kw_only=True)
class PlaneTable:
    """Everything that a folder's names and metadata tell; what they do not tell is None or empty."""

    title: str
    """The microscope or software, for a line."""
    planes: Mapping[Place, Source]
    channels: Mapping[str, Channel] = field(default_factory=dict)
    """By ``Place.channel``, in the plate's order; channels without an entry come last and are called as they are."""
    centres_um: Mapping[FieldName, tuple[float, float]] = field(default_factory=dict)
    """The middle of each field on the stage, (y, x); y grows downwards in the image."""
    acquisitions: Mapping[FieldName, int] = field(default_factory=dict)
    """The acquisition of each field, where a plate has several."""
    pixel_size_um: float | None = None
    z_step_um: float | None = None
    interval_s: float | None = None
    """Time between time points, as the metadata state it."""
    times_s: Mapping[str, float] = field(default_factory=dict)
    """When each time point was taken, by ``Place.t``, where the metadata tell it one by one."""
    lights: Mapping[str, ChannelLight] = field(default_factory=dict)
    """The microscope's own flat-field of channels, by ``Place.channel``."""
    plate_map: tuple[tuple[str, ...], ...] = ()
    """What is in the wells, as rows of texts with a header."""
    missing: tuple[str, ...] = ()
    """What the metadata promise and no file shows, each a sentence."""
    ignored: tuple[str, ...] = ()
    """Image files that show no plane of the plate."""
    notes: tuple[str, ...] = ()


class Planes:
    """Planes while they are collected; two files for one place are refused."""

    def __init__(self) -> None:
        self.found: dict[Place, Source] = {}

    def add(self, place: Place, source: Source) -> None:
        """Enter a plane; PlateError where another file shows the same place."""
        before = self.found.setdefault(place, source)
        if (before.name, before.page) != (source.name, source.page):
            raise PlateError(
                f"{before.name} and {source.name} are both {place}: does the folder hold several plates or copies? "
                "Give the folder of one, or tell them apart by --pattern"
            )


def natural(name: str) -> tuple[int, int, str]:
    """Sort key that puts 2 before 10."""
    return (0, int(name), name) if name.isdecimal() else (1, 0, name)


def step(values: list[float]) -> float | None:
    """The even distance between sorted distinct values (two at least, within 2 % or 0.01); None otherwise."""
    places = sorted({round(value, 4) for value in values})
    gaps = [after - before for before, after in pairwise(places)]
    if not gaps or max(gaps) - min(gaps) > max(0.02 * max(gaps), 0.01):
        return None
    return round(sum(gaps) / len(gaps), 4)


def only_one(values: list[float | None], what: str) -> tuple[float | None, tuple[str, ...]]:
    """The one value of a plate, to a thousandth, and a sentence where there are several, of which None is right."""
    given = [value for value in values if value is not None and value > 0]
    if not given:
        return None, ()
    if max(given) - min(given) > 1e-3 * max(given):
        return None, (f"The metadata give {what}s from {min(given):g} to {max(given):g} µm; none is written.",)
    return given[0], ()


def with_the_wells(places: Mapping[FieldName, tuple[float, float]]) -> dict[FieldName, tuple[float, float]]:
    """Stage positions (y, x), turned so that x grows with columns and y with rows of wells, as in the image."""
    down = _direction([(key[0].row, y) for key, (y, _) in places.items()])
    right = _direction([(key[0].column, x) for key, (_, x) in places.items()])
    return {key: (down * y, right * x) for key, (y, x) in places.items()}


def _direction(places: list[tuple[int, float]]) -> int:
    """−1 where the stage runs against the wells' numbers; 1 else, and where all wells are in one row or column."""
    if len({index for index, _ in places}) < 2:
        return 1
    (_, first), (_, last) = min(places), max(places)
    return 1 if last >= first else -1
