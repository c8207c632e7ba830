"""Labels of nuclei that somebody else made, to be measured: in the plate by name, or label images in a folder."""

from __future__ import annotations

import hashlib
import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from hcs.errors import ConfigError, FieldError, PlateError
from hcs.plate.keys import FieldKey, WellId
from hcs.store.files.images import SUFFIXES, read_label_image
from hcs.store.location import Location, location
from hcs.store.plate.field import missing_chunks, open_image, read_pixels
from hcs.store.plate.nodes import chunk_files, read_node
from hcs.store.plate.reader import FieldEntry, Plate

_IN_FOLDERS = re.compile(r"(?:^|/)(?P<row>[A-Z]{1,2})/(?P<column>\d{1,2})/(?P<field>\d+)(?=[^/\d]*\.[a-z]+$)")
_IN_NAME = re.compile(
    r"(?:^|[^A-Za-z0-9])(?P<well>[A-P]\d{1,2}|A[A-F]\d{1,2})(?:[-_/ ]+(?:s|f|site|field|fov)?[-_ ]?(?P<field>\d+))?"
    r"(?=[^/0-9][^/]*$)",
    re.IGNORECASE,
)
_MOST_NAMED = 4
_COUNTABLE = 2**24
"""Up to this label, numbering anew is done by a table of all labels."""


@dataclass(frozen=True, slots=True)
class GivenLabels:
    """Where the labels of each field are: ``labels/{name}`` of the plate, or a file."""

    plate: str
    name: str
    files: tuple[tuple[FieldKey, str], ...] = ()
    """The label image of each field, where they are files; empty where labels are in the plate."""

    def only(self, keys: Iterable[FieldKey]) -> GivenLabels:
        """The same for some fields alone: what travels with them stays small."""
        wanted = {key.of_field for key in keys}
        return replace(self, files=tuple(pair for pair in self.files if pair[0] in wanted)) if self.files else self

    def read(self, entry: FieldEntry, key: FieldKey, shape: tuple[int, int]) -> tuple[NDArray[np.uint32], str]:
        """Labels (Y, X) of a field of that shape, or of the frame that ``key`` names, numbered 1…n without gaps in the
        order of their numbers, and what is to be said about them.

        FieldError where there are none, they are damaged or no labels, or of another shape than the field.
        """
        labels, remark = self._from_file(key) if self.files else self._from_plate(entry, key)
        if labels.shape != shape:
            raise FieldError(
                key,
                f"the labels given have {labels.shape[1]} × {labels.shape[0]} px, the field {shape[1]} × {shape[0]}; "
                "give labels of the full image",
            )
        dense, highest = _numbered(labels, key)
        count = int(dense.max(initial=0))
        again = f"labels given up to {highest} were numbered anew, 1 to {count}" if highest > count else ""
        return dense, "; ".join(filter(None, (remark, again)))

    def _from_file(self, key: FieldKey) -> tuple[NDArray[np.generic], str]:
        file = dict(self.files).get(key.of_field)
        if key.is_frame:
            raise FieldError(key, "label images have no time; put labels with a t axis into the plate, and name them")
        if file is None:
            raise FieldError(key, f"there is no label image of it in {self.name}; add one, empty if need be")
        try:
            return read_label_image(Path(file)), ""
        except FieldError as error:
            raise FieldError(key, error.reason) from error

    def _from_plate(self, entry: FieldEntry, key: FieldKey) -> tuple[NDArray[np.generic], str]:
        root, path = location(self.plate), f"{entry.path}/labels/{self.name}"
        if read_node(root / path) is None:
            raise FieldError(key, f"it has no labels/{self.name}, which --labels-from names; add them")
        return labels_at(root, path, key)

    def digest(self, entries: Iterable[FieldEntry]) -> str:
        """SHA-256 over the files of the labels, so that labels edited between two runs are noticed."""
        told = hashlib.sha256()
        if self.files:
            for key, file in self.files:
                told.update(f"{key}\n".encode() + Path(file).read_bytes())
            return told.hexdigest()
        root = location(self.plate)
        for entry in entries:
            folder = root / entry.path / "labels" / self.name
            for name in sorted(chunk_files(folder)) if read_node(folder) is not None else ():
                told.update(f"{entry.key} {name}\n".encode() + (folder / name).read_bytes())
        return told.hexdigest()


def labels_at(root: Location, path: str, key: FieldKey) -> tuple[NDArray[np.generic], str]:
    """The label image (Y, X), of a field or the frame that ``key`` names, at ``path`` below ``root``, and what is to be
    said of it; FieldError where it is none, or damaged."""
    name = path.rpartition("/")[2]
    info, array = open_image(root, path, key)
    if info.z_size > 1 or info.shape[0] > 1 or (info.t_size > 1 and not key.is_frame):
        raise FieldError(key, f"labels/{name} have several planes, channels or time points; give 2-D labels")
    if key.is_frame and key.frame >= info.t_size:
        raise FieldError(key, f"labels/{name} have {info.t_size} time points; give labels of every frame")
    if info.dtype.kind not in "uib":
        raise FieldError(key, f"labels/{name} are of type {info.dtype}; labels are whole numbers")
    lost, of = missing_chunks(root, info, array, frame=key.frame)
    if lost == of:  # what most tools write where no nucleus is
        empty: NDArray[np.generic] = np.zeros(info.shape[1:], np.uint32)
        return empty, f"labels/{name} have no chunk at all, which was taken for no nucleus"
    return read_pixels(array, info, root, key, channels=(0,), frame=key.frame)[0], ""


def find_given_labels(
    source: str, plate: Plate, entries: tuple[FieldEntry, ...]
) -> tuple[GivenLabels, tuple[str, ...]]:
    """The labels that ``source`` names, for the fields ``entries``, and sentences on what was understood.

    A name of labels in the plate goes before a folder. ConfigError where neither is there, where no field has labels,
    or where it cannot be told which label image is of which field.
    """
    root = location(plate.path)
    having = [
        entry for entry in entries if re.fullmatch(r"[^/\\]+", source) and _has(root / entry.path / "labels" / source)
    ]
    if having:
        lacking = [str(entry.key) for entry in entries if entry not in having]
        note = f"Nuclei are those of labels/{source} in the plate; no network looks for any."
        more = (
            f" {len(lacking)} fields have none and will fail ({', '.join(lacking[:_MOST_NAMED])})." if lacking else ""
        )
        return GivenLabels(plate.path, source), (note + more,)
    folder = Path(source)
    if not folder.is_dir():
        raise ConfigError(
            f"--labels-from {source}: no field has labels of this name, and there is no such folder; name labels of "
            "the plate, or a folder of label images"
        )
    files, notes = match_label_images(folder, tuple(entry.key for entry in entries))
    note = f"Nuclei are those of {len(files):,} label images in {source}; no network looks for any."
    given = GivenLabels(plate.path, str(folder.absolute()), tuple(sorted(files.items())))
    return given, (note + _said_of_lacking(entries, {*files}), *notes)


def _said_of_lacking(entries: tuple[FieldEntry, ...], having: set[FieldKey]) -> str:
    lacking = [str(entry.key) for entry in entries if entry.key not in having]
    some = ", ".join(lacking[:_MOST_NAMED])
    return f" {len(lacking)} fields have none and will fail ({some})." if lacking else ""


def _has(folder: object) -> bool:
    try:
        return read_node(folder) is not None  # type: ignore[arg-type]
    except (OSError, ValueError):
        return True  # damaged: reading the field says so


def match_label_images(folder: Path, keys: tuple[FieldKey, ...]) -> tuple[dict[FieldKey, str], tuple[str, ...]]:
    """The label image of each field: ``B/03/0.tif``, or well and field in the name (``B03_0.tif``), or the well alone
    where it has one field.

    Numbers of fields count from 0, as in the plate, where one of them is 0; from 1 where the highest is the plate's
    number of fields a well, which is said. ConfigError where neither fits, where two images are of one field, or where
    none is of any.
    """
    fields = {well: [key.field for key in keys if key.well == well] for well in {key.well for key in keys}}
    named = _places(folder, fields)
    numbers = {number for _, number in named.values() if number is not None}
    most = max(key.field for key in keys)
    first = 0 if not numbers or 0 in numbers else 1
    if numbers and not first <= max(numbers) <= most + first:
        raise ConfigError(
            f"--labels-from {folder}: label images are of fields {min(numbers)} to {max(numbers)}, the plate has "
            f"fields 0 to {most}; call them as the plate does, such as B03_0.tif"
        )
    if numbers and first == 1 and max(numbers) != most + 1:
        raise ConfigError(
            f"--labels-from {folder}: whether field {min(numbers)} counts from 0 or from 1 cannot be told; call a "
            "label image after each field of the plate, such as B03_0.tif"
        )
    found: dict[FieldKey, str] = {}
    for name, (well, number) in named.items():
        if number is None and len(fields.get(well, ())) > 1:
            raise ConfigError(f"--labels-from {folder}: {name} names no field, and well {well} has several")
        key = FieldKey(well, fields[well][0] if number is None else number - first)
        if key in found:
            raise ConfigError(f"--labels-from {folder}: {found[key]} and {name} are both of field {key}; keep one")
        found[key] = name
    note = (f"Label images count fields from 1: {min(numbers)} is the plate's field 0.",) if first and numbers else ()
    return {key: str((folder / name).absolute()) for key, name in found.items() if key in set(keys)}, note


def _places(folder: Path, fields: Mapping[WellId, list[int]]) -> dict[str, tuple[WellId, int | None]]:
    """Well and number of the field of every label image; ConfigError where no image is of a well of the plate."""
    images = [path for path in sorted(folder.rglob("*")) if path.suffix.lower() in SUFFIXES and path.is_file()]
    found: dict[str, tuple[WellId, int | None]] = {}
    for path in images:
        name = path.relative_to(folder).as_posix()
        match = _IN_FOLDERS.search(name) or _IN_NAME.search(name)
        if match is None:
            continue
        told = match.groupdict()
        try:
            well = WellId.of(told["row"], told["column"]) if "row" in told else WellId.parse(told["well"])
        except PlateError:
            continue
        if well in fields:
            found[name] = well, None if told["field"] is None else int(told["field"])
    if not found:
        example = f", such as {images[0].relative_to(folder)}," if images else ""
        raise ConfigError(
            f"--labels-from {folder}: none of its {len(images)} images{example} is called after a well of the plate; "
            "call them B03_0.tif, by well and field"
        )
    return found


def _numbered(labels: NDArray[np.generic], key: FieldKey) -> tuple[NDArray[np.uint32], int]:
    """Labels numbered 1…n in the order of their numbers, and the highest number there was."""
    if labels.size and int(labels.min()) < 0:
        raise FieldError(
            key, "the labels given have negative values; labels are 0 for background and 1, 2, … for nuclei"
        )
    highest = int(labels.max(initial=0))
    if highest < _COUNTABLE:
        there = np.bincount(labels.ravel().astype(np.int64), minlength=1) > 0
        there[0] = False
        table = np.where(there, np.cumsum(there), 0).astype(np.uint32)
        return table[labels.astype(np.int64)], highest
    values, dense = np.unique(labels, return_inverse=True)
    shift = 0 if values[0] == 0 else 1
    return (dense.reshape(labels.shape) + shift).astype(np.uint32), highest
