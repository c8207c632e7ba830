"""Writing OME-Zarr plates, NGFF 0.4 (Zarr v2) and 0.5 (Zarr v3)."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from hcs.errors import FieldError, PlateError, ResultsError
from hcs.plate.keys import FieldKey, WellId, row_name
from hcs.store.folders import replacing_folder
from hcs.store.location import location
from hcs.store.plate.nodes import Ngff
from hcs.store.plate.ome import ome_format, ome_writer
from hcs.store.plate.pyramid import IMAGES, open_group, write_image_metadata, write_levels

_DNA_COLOUR = "0000FF"
_COLOURS = ("00FF00", "FF0000", "00FFFF", "FF00FF", "FFFF00", "FFFFFF")
_DNA_NAMES = ("dna", "dapi", "hoechst")


@dataclass(frozen=True, slots=True, kw_only=True)
class PlateSpec:
    """What a plate to be written is: its wells, fields a well, channel names, and pixel size in µm if known."""

    name: str
    wells: tuple[WellId, ...]
    fields_per_well: int
    channels: tuple[str, ...]
    ngff: Ngff = "0.5"
    pixel_size_um: float | None = None
    z_step_um: float | None = None
    """Distance of z planes, where fields have several."""

    def __post_init__(self) -> None:
        if self.ngff not in ("0.4", "0.5"):
            raise PlateError(f"NGFF {self.ngff} cannot be written; choose 0.4 or 0.5")
        if not self.wells or self.fields_per_well < 1 or not self.channels:
            raise PlateError(f"plate {self.name!r} needs at least one well, one field a well and one channel")
        if len(set(self.wells)) != len(self.wells):
            raise PlateError(f"plate {self.name!r} lists a well twice; give each well once")
        if self.pixel_size_um is not None and not self.pixel_size_um > 0:
            raise PlateError(f"a pixel size of {self.pixel_size_um} µm is impossible; give one above 0")


def field_path(key: FieldKey) -> str:
    """Path of a field in the plates that hcs writes: ``B/03/0``."""
    return f"{key.well.row_name}/{key.well.column_name}/{key.field}"


def create_plate(path: str, spec: PlateSpec, *, fields: Mapping[WellId, tuple[int, ...]] | None = None) -> None:
    """Write the metadata of a plate, and the groups of all its rows and wells; fields are written by `write_field`.

    One process calls this once, before any field is written: groups made in parallel race. ``fields`` gives the field
    numbers of each well where some wells lack some. Raises ResultsError where ``path`` exists or cannot be written.
    """
    target = location(path)
    if target.exists():
        raise ResultsError(f"{path} exists already; remove it or give another name")
    with replacing_folder(target, new=True) as folder:
        write_groups(folder, spec, fields=fields)


def write_groups(
    folder: Path,
    spec: PlateSpec,
    *,
    fields: Mapping[WellId, tuple[int, ...]] | None = None,
    acquisitions: Mapping[FieldKey, int] | None = None,
    origin: Mapping[str, Any] | None = None,
) -> None:
    """What `create_plate` writes, into a folder that exists; ``acquisitions`` has the numbers of fields that belong to
    one, ``origin`` what is kept under ``hcs`` in the plate's attributes."""
    taken = acquisitions or {}
    wells = sorted(spec.wells)
    ngff, version = spec.ngff, ome_format(spec.ngff)
    every_field = tuple(range(spec.fields_per_well))
    for row in sorted({well.row_name for well in wells}):
        open_group(folder / row, ngff)
    for well in wells:
        numbers = fields[well] if fields else every_field
        images: list[str | dict[str, Any]] = [
            {"path": str(i), "acquisition": taken[FieldKey(well, i)]} if FieldKey(well, i) in taken else str(i)
            for i in numbers
        ]
        ome_writer().write_well_metadata(
            open_group(folder / well.row_name / well.column_name, ngff), images, fmt=version
        )
    ome_writer().write_plate_metadata(
        open_group(folder, ngff),
        rows=[row_name(row) for row in sorted({well.row for well in wells})],
        columns=[f"{column + 1:02d}" for column in sorted({well.column for well in wells})],
        wells=[f"{well.row_name}/{well.column_name}" for well in wells],
        fmt=version,
        field_count=spec.fields_per_well,
        name=spec.name,
        acquisitions=[{"id": number} for number in sorted({*taken.values()})] or None,
    )
    if origin:
        open_group(folder, ngff).attrs["hcs"] = dict(origin)


def write_field(
    path: str,
    spec: PlateSpec,
    key: FieldKey,
    image: NDArray[Any],
    *,
    origin_um: tuple[float, float] | None = None,
    lights_nm: tuple[tuple[float | None, float | None], ...] = (),
) -> None:
    """Write one field (C, Y, X), or (C, Z, Y, X), of the plate at ``path`` as a multiscale image; what the field held
    before is replaced. ``origin_um`` is where its first pixel lies, (y, x); ``lights_nm`` has each channel's excitation
    and emission.

    Raises FieldError where the image does not fit the plate, ResultsError where it cannot be written. An interrupted
    write leaves the field as it was.
    """
    if image.ndim not in (3, 4) or image.shape[0] != len(spec.channels):
        raise FieldError(
            key, f"image of shape {image.shape} is not (channel, y, x), or with z, of {len(spec.channels)} channels"
        )
    if image.dtype.kind not in "uif":
        raise FieldError(key, f"pixels of type {image.dtype} cannot be written; give integers or real numbers")
    if key.well not in spec.wells:
        raise FieldError(key, f"plate {spec.name!r} has no well {key.well}; name it in the plate's wells")
    with replacing_folder(location(path) / field_path(key)) as folder:
        axes = "cyx" if image.ndim == 3 else "czyx"
        n_levels = write_levels(folder, image, axes=axes, ngff=spec.ngff, pixels=IMAGES)
        write_image_metadata(
            folder,
            axes=axes,
            n_levels=n_levels,
            ngff=spec.ngff,
            pixel_size_um=spec.pixel_size_um,
            z_step_um=spec.z_step_um,
            origin_um=origin_um,
            name=str(key),
            omero=describe_channels(spec.channels, image, lights_nm),
        )


def describe_channels(
    channels: tuple[str, ...], image: NDArray[Any], lights_nm: tuple[tuple[float | None, float | None], ...] = ()
) -> dict[str, Any]:
    """How viewers show the channels: name, light, colour, window from the 1st to the 99.9th percentile."""
    lights = lights_nm or ((None, None),) * len(channels)
    colours = iter(_COLOURS * (len(channels) // len(_COLOURS) + 1))
    shown = []
    for name, plane, (excitation, emission) in zip(channels, image, lights, strict=True):
        low, high = (float(v) for v in np.percentile(plane[..., ::4, ::4], (1, 99.9)))
        is_dna = any(word in name.lower() for word in _DNA_NAMES)
        bounds = (0.0, float(np.iinfo(image.dtype).max)) if image.dtype.kind != "f" else (low, high)
        shown.append(
            {
                "label": name,
                "color": _DNA_COLOUR if is_dna else next(colours),
                "active": True,
                "window": {"start": low, "end": max(high, low + 1), "min": bounds[0], "max": bounds[1]},
            }
            | ({"excitation_nm": excitation} if excitation else {})
            | ({"emission_nm": emission} if emission else {})
        )
    return {"channels": shown}
