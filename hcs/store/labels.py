"""Labels of fields: NGFF ``labels/nuclei`` in the plate, or in a store of its own beside the results."""

from __future__ import annotations

import os
import tempfile
from dataclasses import dataclass
from errno import EACCES
from functools import lru_cache
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from hcs.errors import FieldError, ResultsError
from hcs.plate.keys import FieldKey, WellId
from hcs.store.field import open_image, read_pixels
from hcs.store.folders import replacing_folder
from hcs.store.location import Location, Url, location
from hcs.store.nodes import Ngff, read_node
from hcs.store.ome import ome_format, ome_writer
from hcs.store.plate import Plate, locate, open_plate
from hcs.store.pyramid import nearest_halved, open_group, write_image_metadata, write_levels
from hcs.store.write import PlateSpec, create_plate

_TRIAL = ".hcs-trial"


def prepare_label_plate(path: str, plate: Plate) -> None:
    """Make ``path`` ready for labels of all fields of ``plate``: one process calls this once, before any is written.

    Where ``path`` is the plate itself, check that it can be written. Else make a plate of the same wells and fields
    there, whose images will be the labels; one that is there already and has the same fields is kept. Raises
    ResultsError where the plate is read-only, or ``path`` cannot be made or holds something else.
    """
    place = location(path)
    if place.resolve() == location(plate.path).resolve():
        for entry in plate.fields[:1]:
            _check_writable(place / entry.path, path)
        return
    keys = tuple(entry.key for entry in plate.fields)
    if place.exists():
        if tuple(entry.key for entry in open_plate(path).fields) != keys:
            raise ResultsError(f"{path} holds labels of other fields than those of {plate.path}; remove it")
        return
    fields: dict[WellId, tuple[int, ...]] = {}
    for key in keys:
        fields[key.well] = (*fields.get(key.well, ()), key.field)
    most = max(len(numbers) for numbers in fields.values())
    spec = PlateSpec(
        name=f"{plate.name} labels", wells=tuple(fields), fields_per_well=most, channels=("labels",), ngff=plate.ngff
    )
    create_plate(path, spec, fields=fields)


def _check_writable(field: Location, target: str) -> None:
    """ResultsError where nothing can be written into ``field``; in a store, an object is put there and deleted."""
    try:
        if isinstance(field, Url):
            (field / _TRIAL).write_bytes(b"")
            (field / _TRIAL).unlink()
        elif not os.access(field, os.W_OK):
            raise PermissionError(EACCES, "it is read-only")
    except OSError as error:
        raise cannot_write_labels(target, error) from error


def write_labels(
    target: str,
    key: FieldKey,
    labels: NDArray[np.uint32],
    *,
    ngff: Ngff,
    pixel_size_um: float | None,
    name: str = "nuclei",
    path: str | None = None,
) -> int:
    """Write labels (Y, X) of a field as the multiscale image ``labels/{name}`` of the plate or label store ``target``.

    Other labels of the field stay; labels of the same name are replaced. An interrupted write leaves the old labels or
    none, and writing again ends right. Each field has one writer. In a label store the field itself shows the labels
    too, so that viewers open the store as a plate. ``path`` is the field's in ``target``, where that is known; it saves
    reading the plate's metadata. Returns the bytes of all files. Raises ResultsError where ``target`` cannot be
    written.
    """
    if labels.ndim != 2 or labels.dtype.kind not in "ui":
        raise FieldError(key, f"labels of shape {labels.shape} and type {labels.dtype} are not (y, x) integers")
    field = location(target) / (path or locate(target, key).path)
    options = LabelImage(ngff, pixel_size_um, name)
    try:
        with replacing_folder(field / "labels" / name) as folder:
            n_levels = write_levels(
                folder, labels.astype(np.uint32, copy=False), axes="yx", ngff=ngff, halve=nearest_halved
            )
            options.describe(folder, n_levels)
            written = sum(file.stat().st_size for file in folder.rglob("*") if file.is_file())
        options.enlist(field, n_levels)
    except OSError as error:
        raise cannot_write_labels(target, error) from error
    return written


def read_labels(target: str, key: FieldKey, name: str = "nuclei", *, path: str | None = None) -> NDArray[np.uint32]:
    """Labels (Y, X) called ``name`` of a field of the plate or label store ``target``, as uint32; ``path`` is the
    field's in it, where that is known.

    Raises FieldError where the field has no such labels or they are damaged.
    """
    root = location(target)
    path = f"{path or locate(target, key).path}/labels/{name}"
    if read_node(root / path) is None:
        raise FieldError(key, f"it has no labels {name!r} in {target}; segment it first")
    info, array = open_image(root, path, key)
    labels: NDArray[np.uint32] = read_pixels(array, info, root, key, channels=(0,))[0].astype(np.uint32, copy=False)
    return labels


@dataclass(frozen=True, slots=True)
class LabelImage:
    """The metadata of a label image, and of a field in a label store that shows it too."""

    ngff: Ngff
    pixel_size_um: float | None
    name: str

    def describe(self, folder: Location, n_levels: int) -> None:
        """Write the metadata of the label image in ``folder``."""
        _put(folder, _image_documents(self, n_levels))

    def enlist(self, field: Location, n_levels: int) -> None:
        """Name the label image in the list of its field; a field without an image of its own shows it as one."""
        _enlist(field / "labels", self.name, self.ngff)
        node = read_node(field)
        if node is None:
            _put(field, _field_documents(self, n_levels))
        elif "multiscales" not in node.ome:
            self._show(field, n_levels)

    def _show(self, field: Location, n_levels: int) -> None:
        self._write(field, n_levels, prefix=f"labels/{self.name}/")

    def _write(self, folder: Location, n_levels: int, *, prefix: str = "") -> None:
        """Write the metadata of an image whose levels are below ``prefix``."""
        write_image_metadata(
            folder,
            axes="yx",
            n_levels=n_levels,
            ngff=self.ngff,
            pixel_size_um=self.pixel_size_um,
            name=self.name,
            prefix=prefix,
        )


@lru_cache(maxsize=64)
def _image_documents(image: LabelImage, n_levels: int) -> dict[str, bytes]:
    """Metadata files of a label image, which are the same for all fields of a plate: made once, written many times."""
    source = {"source": {"image": "../../"}, "version": image.ngff}
    with tempfile.TemporaryDirectory(prefix="hcs-") as folder:
        image._write(Path(folder), n_levels)
        ome_writer().add_metadata(
            open_group(Path(folder), image.ngff), {"image-label": source}, fmt=ome_format(image.ngff)
        )
        return {file.name: file.read_bytes() for file in Path(folder).iterdir()}


@lru_cache(maxsize=64)
def _field_documents(image: LabelImage, n_levels: int) -> dict[str, bytes]:
    """Metadata files of a field in a label store, which shows its labels as an image."""
    with tempfile.TemporaryDirectory(prefix="hcs-") as folder:
        image._show(Path(folder), n_levels)
        return {file.name: file.read_bytes() for file in Path(folder).iterdir()}


@lru_cache(maxsize=64)
def _list_documents(name: str, ngff: Ngff) -> dict[str, bytes]:
    """Metadata files of a ``labels`` group that lists one name."""
    with tempfile.TemporaryDirectory(prefix="hcs-") as folder:
        _add_to_list(Path(folder), name, ngff)
        return {file.name: file.read_bytes() for file in Path(folder).iterdir()}


def _enlist(folder: Location, name: str, ngff: Ngff) -> None:
    """Add ``name`` to the labels that a ``labels`` group lists; others stay."""
    node = read_node(folder)
    if node is None:
        _put(folder, _list_documents(name, ngff))
    elif name not in node.ome.get("labels", ()):
        _add_to_list(folder, name, ngff)


def _put(folder: Location, documents: dict[str, bytes]) -> None:
    for file, text in documents.items():
        (folder / file).write_bytes(text)


def _add_to_list(folder: Location, name: str, ngff: Ngff) -> None:
    group = open_group(folder, ngff)
    listed = ome_writer().get_metadata(group).get("labels", [])
    if name not in listed:
        version = {} if ngff == "0.4" else {"version": ngff}
        ome_writer().add_metadata(group, {**version, "labels": [*listed, name]}, fmt=ome_format(ngff))


def cannot_write_labels(target: str, error: OSError) -> ResultsError:
    """The sentence for a failed write of labels: what, why, and the way out."""
    cause = error.__cause__ if isinstance(error, ResultsError) else error
    reason = (cause.strerror if isinstance(cause, OSError) else None) or error
    return ResultsError(
        f"labels cannot be written into {target} ({reason}); make room or permission, "
        "or write them beside the results with --labels out"
    )
