"""Writing a field with time frame by frame, images or labels, so that one frame is in memory at a time.

Alone in a file because a field of one time point is written in one piece, by other functions.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from hcs.errors import FieldError
from hcs.plate.keys import FieldKey
from hcs.store.folders import replacing_folder
from hcs.store.location import location
from hcs.store.plate.labels import LabelImage
from hcs.store.plate.pyramid import IMAGES, LABELS, level_shapes, write_frame, write_image_metadata
from hcs.store.plate.writer import PlateSpec, describe_channels, field_path


@dataclass(frozen=True, slots=True, kw_only=True)
class MovieSpec:
    """A field's time points: how many, and how far apart, or when each, in min, if that is known."""

    frames: int
    interval_min: float | None = None
    times_min: tuple[float, ...] | None = None


def write_movie(
    path: str,
    spec: PlateSpec,
    key: FieldKey,
    movie: MovieSpec,
    images: Iterable[NDArray[Any] | None],
    *,
    origin_um: tuple[float, float] | None = None,
    lights_nm: tuple[tuple[float | None, float | None], ...] = (),
) -> None:
    """Write one field (t, C, Y, X) of the plate at ``path`` as a multiscale image, of ``images`` (C, Y, X), or
    (C, Z, Y, X), one a time point; what the field held before is replaced. Of a time point without an image nothing is
    written, by which readers know that it is missing.

    Raises FieldError where the images do not fit the plate or each other, or are not as many as the movie has, and
    ResultsError where they cannot be written. An interrupted write leaves the field as it was.
    """
    with replacing_folder(location(path) / field_path(key)) as folder:
        first: NDArray[Any] | None = None
        count = 0
        for image in images:
            if image is None:
                count += 1
                continue
            first = image if first is None else first
            _check(key, spec, image, first, count)
            if count >= movie.frames:
                raise FieldError(key, f"it has images of more than {movie.frames} time points")
            axes = "tcyx" if image.ndim == 3 else "tczyx"
            write_frame(folder, image, count, movie.frames, axes=axes, ngff=spec.ngff, pixels=IMAGES)
            count += 1
        if first is None or count != movie.frames:
            raise FieldError(key, f"it has images of {count} time points, not {movie.frames}")
        write_image_metadata(
            folder,
            axes="tcyx" if first.ndim == 3 else "tczyx",
            n_levels=len(level_shapes(*first.shape[-2:])),
            ngff=spec.ngff,
            pixel_size_um=spec.pixel_size_um,
            interval_min=movie.interval_min,
            times_min=movie.times_min,
            z_step_um=spec.z_step_um,
            origin_um=origin_um,
            name=str(key),
            omero=describe_channels(spec.channels, first, lights_nm),
        )


def _check(key: FieldKey, spec: PlateSpec, image: NDArray[Any], first: NDArray[Any], frame: int) -> None:
    """FieldError where an image does not fit the plate or the first."""
    if image.ndim not in (3, 4) or image.shape[0] != len(spec.channels):
        raise FieldError(
            key, f"image of shape {image.shape} is not (channel, y, x), or with z, of {len(spec.channels)} channels"
        )
    if image.shape != first.shape or image.dtype != first.dtype:
        raise FieldError(
            key,
            f"frame {frame} is {image.shape} of {image.dtype}, the first is {first.shape} of {first.dtype}; frames of "
            "one field are alike",
        )
    if image.dtype.kind not in "uif":
        raise FieldError(key, f"pixels of type {image.dtype} cannot be written; give integers or real numbers")
    if key.well not in spec.wells:
        raise FieldError(key, f"plate {spec.name!r} has no well {key.well}; name it in the plate's wells")


def write_label_movie(
    path: str, spec: PlateSpec, key: FieldKey, movie: MovieSpec, frames: Iterable[NDArray[np.uint32]], *, name: str
) -> None:
    """Write labels (Y, X), one a time point, as ``labels/{name}`` (t, Y, X) of a field of the plate at ``path``."""
    field = location(path) / field_path(key)
    image = LabelImage(spec.ngff, spec.pixel_size_um, name, "tyx", movie.interval_min)
    n_levels = 0
    with replacing_folder(field / "labels" / name) as folder:
        for t, labels in enumerate(frames):
            n_levels, _ = write_frame(folder, labels, t, movie.frames, axes="tyx", ngff=spec.ngff, pixels=LABELS)
        image.describe(folder, n_levels)
    image.enlist(field, n_levels)
