"""Where a run's labels go, and whose labels are there already.

Labels carry a mark of their origin: the attribute ``hcs`` of their group, with the run that wrote them, a checksum of
the pixels they were made from and one of their own files. Labels without it are others' work; labels with it that fit
their own checksum no more were corrected by hand, and are others' work from then on.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray

from hcs.errors import FieldError, ResultsError
from hcs.plate.keys import FieldKey
from hcs.store.location import Location, location, map_at
from hcs.store.paths import behind_link
from hcs.store.plate.labels import prepare_label_plate, write_labels
from hcs.store.plate.mark import Mark, Origin, files_crc32, origin_of
from hcs.store.plate.nodes import Ngff
from hcs.store.plate.reader import FieldEntry, Plate
from hcs.store.plate.writer import field_path


@dataclass(frozen=True, slots=True, kw_only=True)
class LabelTarget:
    """The labels ``labels/{name}`` of all fields of the plate or label store ``path``, as one run writes them."""

    path: str
    """The plate, or the label store beside the results, which is a plate of the same wells and fields."""
    in_plate: bool
    name: str
    run: str
    """Identity of the run, as labels carry it."""
    overwrite: bool = False
    """Replace labels that are not the run's own."""

    @classmethod
    def chosen(
        cls, place: Literal["plate", "out", "none"], name: str, *, plate: str, out: Location, run: str, overwrite: bool
    ) -> LabelTarget | None:
        """Where labels go by the configuration; None: nowhere."""
        if place == "none":
            return None
        path = plate if place == "plate" else str(out / "labels.zarr")
        return cls(path=path, in_plate=place == "plate", name=name, run=run, overwrite=overwrite)

    @classmethod
    def recorded(cls, kept: Mapping[str, Any] | None, folder: Location, plate: str) -> LabelTarget | None:
        """Where the run in ``folder`` wrote labels, as its record has it, if ``plate`` is where its plate is now; None
        where it kept none."""
        if kept is None:
            return None
        beside = folder / "labels.zarr"
        path = plate if kept["in_plate"] else str(beside) if beside.is_dir() else kept["path"]
        return cls(path=path, in_plate=kept["in_plate"], name=kept["name"], run=kept["run"])

    def plain(self) -> dict[str, Any]:
        """As ``run.json`` has it."""
        return {"path": self.path, "in_plate": self.in_plate, "name": self.name, "run": self.run}

    def field(self, entry: FieldEntry) -> str:
        """Path of a field of the plate in the target."""
        return entry.path if self.in_plate else field_path(entry.key)

    def folder(self, entry: FieldEntry) -> Location:
        """Where a field's labels are."""
        return location(self.path) / self.field(entry) / "labels" / self.name

    def prepare(self, plate: Plate) -> None:
        """Make the target ready for labels of all fields; one process calls this once, before any is written."""
        prepare_label_plate(self.path, plate)

    def check(self, entry: FieldEntry) -> None:
        """FieldError where a field has labels that would be lost, or where a symbolic link leads out of the target."""
        there = behind_link(location(self.path), f"{self.field(entry)}/labels/{self.name}")
        if there is not None:
            raise FieldError(entry.key, _linked(self.path, there))
        if self.overwrite:
            return
        origin, _ = origin_of(self.folder(entry), self.run)
        if origin not in ("none", "this run"):
            raise FieldError(entry.key, f"its labels/{self.name} {_WHOSE[origin]}; {_WAY_OUT}")

    def write(
        self,
        entry: FieldEntry,
        labels: NDArray[np.uint32],
        *,
        ngff: Ngff,
        pixel_size_um: float | None,
        pixels_crc32: str,
    ) -> int:
        """Write the labels (Y, X) of a field; see `write_labels`, and `check` for what is refused."""
        self.check(entry)
        mark = Mark(run=self.run, pixels_crc32=pixels_crc32)
        return write_labels(
            self.path,
            entry.key,
            labels,
            ngff=ngff,
            pixel_size_um=pixel_size_um,
            name=self.name,
            path=self.field(entry),
            mark=mark,
        )

    def complaint(self, entry: FieldEntry, pixels_crc32: str, edited_crc32: str = "") -> str | None:
        """Why a field's labels are not those that the run wrote for these pixels; None where they are, or where they
        were edited and measured since: then ``edited_crc32`` is the checksum of their files."""
        origin, mark = origin_of(self.folder(entry), self.run)
        if origin == "none":
            return f"there are no labels/{self.name} in {self.path} any more"
        if edited_crc32:
            if origin == "another run" or files_crc32(self.folder(entry)) != edited_crc32:
                return f"labels/{self.name} in {self.path} are no longer those that were edited and measured"
            return None
        if origin != "this run":
            return f"labels/{self.name} in {self.path} {_WHOSE[origin]}"
        if mark is not None and pixels_crc32 and mark.pixels_crc32 and mark.pixels_crc32 != pixels_crc32:
            return f"labels/{self.name} in {self.path} were made from other pixels since"
        return None

    def edited(self, entry: FieldEntry, edited_crc32: str = "") -> str | None:
        """Checksum of the files of a field's labels where somebody edited them since they were measured; None where
        nobody did, there are none any more, or they are another run's of hcs. ``edited_crc32`` is that of edited labels
        that were measured already."""
        origin, mark = origin_of(self.folder(entry), self.run)
        if origin in ("none", "another run"):
            return None
        measured = edited_crc32 or (mark.files_crc32 if mark is not None else "")
        if origin == "this run" and not edited_crc32:
            return None
        now = files_crc32(self.folder(entry))
        return None if now == measured else now

    def survey(self, entries: Iterable[FieldEntry]) -> tuple[str, ...]:
        """Look at what the fields have: notes on what will be replaced by ``overwrite``; ResultsError, naming what is
        there and the way out, where labels would be lost, or a symbolic link leads out of the target."""
        root, listed = location(self.path), [entry for entry in entries if entry.fault is None]
        for entry in listed:
            there = behind_link(root, f"{self.field(entry)}/labels/{self.name}")
            if there is not None:
                raise ResultsError(f"field {entry.key}: {_linked(self.path, there)}")
        if isinstance(root, Path) and not root.exists():
            return ()
        by_origin: dict[Origin, list[str]] = defaultdict(list)
        origins = map_at(root, lambda entry: origin_of(self.folder(entry), self.run)[0], listed)
        for entry, origin in zip(listed, origins, strict=True):
            by_origin[origin].append(str(entry.key))
        lost = [
            f"labels/{self.name} of {len(keys)} field(s) ({_some(keys)}) {_WHOSE[origin]}"
            for origin, keys in by_origin.items()
            if origin not in ("none", "this run")
        ]
        if lost and not self.overwrite:
            raise ResultsError(f"in {self.path}, {'; '.join(lost)}; {_WAY_OUT}")
        return tuple(f"Replaced, as asked by --overwrite-labels: {sentence}." for sentence in lost)


def beside(key: FieldKey) -> FieldEntry:
    """The entry of a field in a label store beside the results, which needs no plate to be known."""
    return FieldEntry(key, field_path(key))


_WHOSE: dict[Origin, str] = {
    "foreign": "were not written by hcs",
    "changed": "were changed since hcs wrote them",
    "another run": "were written by a run of hcs with other settings or another version",
}
_WAY_OUT = (
    "they are left as they are: write labels beside the results with --labels out, under another name with "
    "--labels-name NAME, or over them with --overwrite-labels, by which they are lost; nuclei that you corrected are "
    "measured by `hcs remeasure RESULTS`"
)


def _linked(path: str, there: Path) -> str:
    return (
        f"a symbolic link leads out of {path}, to {there}, where no labels are written; write them beside the results "
        "with --labels out"
    )


def _some(keys: list[str]) -> str:
    return ", ".join(keys[:3]) + (", …" if len(keys) > 3 else "")
