"""Labels that are written piece by piece, by several processes, and shown when they are complete."""

from __future__ import annotations

import shutil
from dataclasses import dataclass
from pathlib import Path

from hcs.store.location import Location, Url, map_at
from hcs.store.plate.labels import LabelImage
from hcs.store.plate.mark import Mark, files_crc32
from hcs.store.plate.reader import FieldEntry
from hcs.store.plate.target import LabelTarget


@dataclass(frozen=True, slots=True)
class Growing:
    """Where the labels of one field grow, and where they are shown."""

    target: LabelTarget
    entry: FieldEntry

    @property
    def place(self) -> Location:
        """Where the labels are shown."""
        return self.target.folder(self.entry)

    @property
    def folder(self) -> Location:
        """Where the arrays are written: a hidden folder of this run beside their place, or in an object store, which
        cannot rename, the place itself, whose metadata comes last."""
        place = self.place
        return place if isinstance(place, Url) else place.with_name(f".{place.name}.{self.target.run}.growing")

    def publish(self, image: LabelImage, n_levels: int, pixels_crc32: str) -> None:
        """Describe the arrays and put them in their place. Raises OSError, and FieldError where there are labels that
        would be lost."""
        self.target.check(self.entry)
        growing = self.folder
        # Files in a store, which would have to be fetched, get no checksum.
        sum_of_files = "" if isinstance(growing, Url) else files_crc32(growing)
        mark = Mark(run=self.target.run, pixels_crc32=pixels_crc32, files_crc32=sum_of_files)
        image.describe(growing, n_levels, mark)
        _replace(growing, self.place)

    def remove(self) -> None:
        """Remove what has grown."""
        remove(self.folder)


def remove(folder: Location) -> None:
    """Remove a folder, if it is there."""
    if isinstance(folder, Url):
        names = folder.files() if folder.is_dir() else {}
        map_at(folder, lambda name: (folder / name).unlink(missing_ok=True), names)
    else:
        shutil.rmtree(folder, ignore_errors=True)


def _replace(growing: Location, place: Location) -> None:
    if not isinstance(growing, Path) or not isinstance(place, Path):
        return
    old = place.with_name(f".{place.name}.old")
    shutil.rmtree(old, ignore_errors=True)
    if place.exists():
        place.rename(old)
    try:
        growing.rename(place)
    except OSError:
        if old.exists():
            old.rename(place)
        raise
    shutil.rmtree(old, ignore_errors=True)
