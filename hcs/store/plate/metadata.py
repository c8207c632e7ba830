"""NGFF metadata as a tolerant reader sees it: what hcs needs, in whatever shape writers of 0.1 to 0.5 left it.

Strict models (yaozarrs, ome-zarr-models) check what hcs writes. Here numbers serve as names and paths, ``version``,
``field_count``, ``rows`` and ``columns`` may be missing, and unknown keys are passed over.
"""

from __future__ import annotations

import math
from itertools import pairwise
from typing import Annotated, Any

from pydantic import (
    AfterValidator,
    AliasChoices,
    AliasPath,
    BaseModel,
    BeforeValidator,
    ConfigDict,
    Field,
    ValidationError,
)

from hcs.store.paths import inner_path

UM_PER_UNIT = {
    "angstrom": 1e-4,
    "nanometer": 1e-3,
    "micrometer": 1.0,
    "micron": 1.0,
    "um": 1.0,
    "µm": 1.0,
    "millimeter": 1e3,
    "centimeter": 1e4,
    "meter": 1e6,
}
"""Micrometres in one unit of length, for the units that microscopes write."""

MIN_PER_UNIT = {
    **dict.fromkeys(("nanosecond", "ns"), 1e-9 / 60),
    **dict.fromkeys(("microsecond", "us", "µs"), 1e-6 / 60),
    **dict.fromkeys(("millisecond", "ms"), 1e-3 / 60),
    **dict.fromkeys(("second", "seconds", "sec", "s"), 1 / 60),
    **dict.fromkeys(("minute", "minutes", "min"), 1.0),
    **dict.fromkeys(("hour", "hours", "hr", "h"), 60.0),
    **dict.fromkeys(("day", "days", "d"), 1440.0),
    "kilosecond": 1e3 / 60,
}
"""Minutes in one unit of time, for the units that microscopes write."""

InnerPath = Annotated[str, AfterValidator(inner_path)]
"""A path relative to the metadata that give it."""

_KIND_OF_AXIS = {"time": "t", "channel": "c"}


class _Lenient(BaseModel):
    model_config = ConfigDict(extra="ignore", frozen=True, coerce_numbers_to_str=True)


class _Name(_Lenient):
    name: str


class WellReference(_Lenient):
    """A well listed by a plate; ``path`` is ``row/column``."""

    path: InnerPath
    row: int | None = Field(default=None, validation_alias=AliasChoices("rowIndex", "row_index"))
    column: int | None = Field(default=None, validation_alias=AliasChoices("columnIndex", "column_index"))


class PlateMetadata(_Lenient):
    """A plate's wells, and the names of its rows and columns, in any order."""

    name: str | None = None
    rows: tuple[_Name, ...] = ()
    columns: tuple[_Name, ...] = ()
    wells: tuple[WellReference, ...]


class ImageReference(_Lenient):
    """A field listed by a well."""

    path: InnerPath
    acquisition: int | None = None


class WellMetadata(_Lenient):
    """A well's fields; none is allowed."""

    images: tuple[ImageReference, ...] = ()


class Axis(_Lenient):
    """One axis of an image."""

    name: str
    type: str | None = None
    unit: str | None = None

    @property
    def letter(self) -> str:
        """``t``, ``c``, ``z``, ``y`` or ``x`` where name or type tells; the name otherwise."""
        name = self.name.lower()
        return name if name in {*"tczyx"} else _KIND_OF_AXIS.get(self.type or "", name)


def _axis(value: Any) -> Any:
    """NGFF 0.3 lists axes as plain names."""
    return {"name": value} if isinstance(value, str) else value


class _Transformation(_Lenient):
    scale: tuple[float, ...] | None = None
    translation: tuple[float, ...] | None = None


class Dataset(_Lenient):
    """One level of a pyramid."""

    path: InnerPath
    transformations: tuple[_Transformation, ...] = Field(default=(), alias="coordinateTransformations")


class Multiscale(_Lenient):
    """A pyramid; ``axes`` is empty in NGFF 0.1 and 0.2, whose images are always tczyx."""

    axes: tuple[Annotated[Axis, BeforeValidator(_axis)], ...] = ()
    datasets: Annotated[tuple[Dataset, ...], Field(min_length=1)]
    transformations: tuple[_Transformation, ...] = Field(default=(), alias="coordinateTransformations")

    @property
    def letters(self) -> str:
        """Axes of the arrays, such as ``tczyx``; an axis of another kind shows as its name in brackets."""
        letters = [axis.letter for axis in self.axes] or list("tczyx")
        return "".join(letter if len(letter) == 1 else f"[{letter}]" for letter in letters)

    def pixel_size_um(self) -> float | None:
        """Width of a pixel of level 0 in µm; None where the unit is unknown or pixels are not square."""
        size = {"y": 1.0, "x": 1.0}
        units = {axis.letter: UM_PER_UNIT.get((axis.unit or "").lower()) for axis in self.axes}
        scales = [t.scale for t in (*self.datasets[0].transformations, *self.transformations) if t.scale]
        for i, letter in enumerate(self.letters):
            unit = units.get(letter)
            if letter not in size or not scales:
                continue
            if unit is None or any(i >= len(scale) for scale in scales):
                return None
            size[letter] = unit
            for scale in scales:
                size[letter] *= scale[i]
        square = abs(size["y"] - size["x"]) <= 1e-3 * abs(size["x"])
        return size["x"] if scales and square and size["x"] > 0 else None

    def interval_min(self) -> float | None:
        """Minutes from one time point to the next; None where axis or scale do not tell, or where there is no unit: a
        scale of 1 without one is every writer's default."""
        letters = [axis.letter for axis in self.axes]
        scales = [t.scale for t in (*self.datasets[0].transformations, *self.transformations) if t.scale]
        if "t" not in letters or not scales:
            return None
        i = letters.index("t")
        unit = MIN_PER_UNIT.get((self.axes[i].unit or "").lower())
        if unit is None or any(i >= len(scale) for scale in scales):
            return None
        interval = unit * math.prod(scale[i] for scale in scales)
        return interval if math.isfinite(interval) and interval > 0 else None

    def origin_um(self) -> tuple[float, float] | None:
        """Where the first pixel of level 0 lies, (y, x) in µm, by the translations; None without any, or where a unit
        is unknown."""
        steps = [*self.datasets[0].transformations, *self.transformations]
        if not any(step.translation for step in steps):
            return None
        units = {axis.letter: UM_PER_UNIT.get((axis.unit or "").lower()) for axis in self.axes}
        place = {"y": 0.0, "x": 0.0}
        for i, letter in enumerate(self.letters):
            unit = units.get(letter)
            if letter not in place:
                continue
            if unit is None or any(
                i >= len(given) for step in steps for given in (step.scale, step.translation) if given
            ):
                return None
            for step in steps:
                place[letter] = place[letter] * (step.scale[i] if step.scale else 1.0)
                place[letter] += step.translation[i] if step.translation else 0.0
            place[letter] *= unit
        return place["y"], place["x"]


class _Channel(_Lenient):
    label: str | None = None


def _rising(value: Any) -> Any:
    """Times that rise; None of anything else."""
    good = isinstance(value, list) and all(isinstance(each, int | float) for each in value)
    return value if good and all(a < b for a, b in pairwise(value)) else None


class ImageMetadata(_Lenient):
    """A field: its pyramids, of which the first counts, and its channels' names."""

    multiscales: Annotated[tuple[Multiscale, ...], Field(min_length=1)]
    channels: tuple[_Channel, ...] = Field(default=(), validation_alias=AliasPath("omero", "channels"))
    times_min: Annotated[tuple[float, ...] | None, BeforeValidator(_rising)] = Field(
        default=None, validation_alias=AliasPath("hcs", "times_min")
    )
    """Minutes of every time point, where the image has them; `hcs` writes them where they are not evenly apart, as NGFF
    has no place for that."""

    def channel_names(self, count: int) -> tuple[str, ...]:
        """Names of ``count`` channels; a channel without a name has its index."""
        labels = [channel.label for channel in self.channels[:count]]
        labels += [None] * (count - len(labels))
        return tuple(label or str(i) for i, label in enumerate(labels))


def explain(error: ValueError) -> str:
    """What is wrong with metadata, in a few words: the first key that is wrong, and how."""
    if not isinstance(error, ValidationError):
        return str(error)
    first = error.errors()[0]
    said = first["msg"].removeprefix("Value error, ") if first["type"] == "value_error" else first["msg"].lower()
    return f"{'.'.join(str(part) for part in first['loc'])}: {said}"
