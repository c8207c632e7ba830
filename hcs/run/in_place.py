"""`hcs run FOLDER`: images of a microscope's folder are read where they lie; their plate is metadata in --out."""

from __future__ import annotations

import shutil
from collections.abc import Iterator, Mapping
from contextlib import contextmanager, suppress
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from hcs.config import Config, FolderSettings
from hcs.errors import ConfigError
from hcs.store.location import Location
from hcs.store.results.record import RUN_RECORD

IN_PLACE = "images.zarr"
"""The plate of such a folder, in the results: its metadata, and in which file each plane is."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Opened:
    """A plate that a run can read."""

    path: Location
    config: Config
    lines: tuple[str, ...] = ()
    """What a folder was taken for."""
    notes: tuple[str, ...] = ()
    images_from: Mapping[str, Any] | None = None
    """The folder of the images, and its layout."""


def _with_times(config: Config) -> FolderSettings:
    """How a folder is understood, by the run's own interval or times where its settings have none: the names of a
    movie's files tell which frames it lacks."""
    if config.folder.interval_min is not None or config.folder.times_min is not None:
        return config.folder
    return replace(config.folder, interval_min=config.interval_min, times_min=config.times_min)


@contextmanager
def opened(place: Location, out: Location, config: Config) -> Iterator[Opened]:
    """The OME-Zarr plate at ``place``, or the plate that a microscope's folder of images makes; of a run that is
    refused meanwhile nothing stays in ``out``.

    Labels of such a folder go to ``out``: nothing is written into it. Raises as `plate_in_place` does, and ConfigError
    where ``out`` is a URL.
    """
    from hcs.store.files.in_place import folder_of_images, plate_in_place  # noqa: PLC0415  TIFF readers: half a second

    folder = folder_of_images(place) if isinstance(place, Path) else None
    if folder is None or not isinstance(place, Path):
        yield Opened(path=place.absolute(), config=config)
        return
    if not isinstance(out, Path):
        raise ConfigError(f"{place} is no OME-Zarr, and is read in place with --out on a disk alone; `hcs convert` it")
    started, existed = (out / RUN_RECORD).is_file(), out.exists()
    strange = not started and existed and (out / IN_PLACE).exists()
    try:
        settings = _with_times(config)
        found = plate_in_place(place, out / IN_PLACE, settings, folder=folder, same=started)
        notes = [f"Images are read where they are, in {found.source}; {out / IN_PLACE} has their metadata alone."]
        if config.labels == "plate":
            config = config.override(labels="out")
            notes.append(f"Labels go to {out / 'labels.zarr'}: nothing is written into {found.source}.")
        yield Opened(
            path=out / IN_PLACE,
            config=config,
            lines=found.lines,
            notes=(*notes, *found.notes),
            images_from={"folder": str(found.source), "layout": found.layout},
        )
    except BaseException:
        if not started and not strange:
            shutil.rmtree(out / IN_PLACE, ignore_errors=True)
        if not existed:
            with suppress(OSError):
                out.rmdir()
        raise
