"""Labels of fields: NGFF ``labels/nuclei`` in the plate, or in a store of its own beside the results."""

from __future__ import annotations

import json
import os
from dataclasses import dataclass, replace
from errno import EACCES
from typing import Any

import numpy as np
from numpy.typing import NDArray

from hcs.errors import FieldError, ResultsError
from hcs.plate.keys import FieldKey, WellId
from hcs.store.atomic import replacing
from hcs.store.folders import replacing_folder
from hcs.store.location import Location, Url, location
from hcs.store.plate.field import open_image, read_pixels
from hcs.store.plate.mark import ATTRIBUTE, Mark, files_crc32
from hcs.store.plate.nodes import Ngff, read_node
from hcs.store.plate.pyramid import LABELS, TIME_UNIT, datasets, write_image_metadata, write_levels
from hcs.store.plate.reader import Plate, locate, open_plate
from hcs.store.plate.writer import PlateSpec, create_plate

_AXES = "yx"
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
    mark: Mark | None = None,
) -> int:
    """Write labels (Y, X) of a field as the multiscale image ``labels/{name}`` of the plate or label store ``target``.

    Other labels of the field stay; labels of the same name are replaced. An interrupted write leaves the old labels or
    none, and writing again ends right. Each field has one writer. In a label store the field itself shows the labels
    too, so that viewers open the store as a plate. ``path`` is the field's in ``target``, where that is known; it saves
    reading the plate's metadata. ``mark`` says who wrote them; whether what is there may be replaced is asked before
    (`hcs.store.plate.target`). Returns the bytes of all files. Raises ResultsError where ``target`` cannot be
    written.
    """
    if labels.ndim != 2 or labels.dtype.kind not in "ui":
        raise FieldError(key, f"labels of shape {labels.shape} and type {labels.dtype} are not (y, x) integers")
    field = location(target) / (path or locate(target, key).path)
    options = LabelImage(ngff, pixel_size_um, name)
    try:
        with replacing_folder(field / "labels" / name) as folder:
            n_levels = write_levels(folder, labels.astype(np.uint32, copy=False), axes=_AXES, ngff=ngff, pixels=LABELS)
            sealed = mark and replace(mark, files_crc32=files_crc32(folder))
            options.describe(folder, n_levels, sealed)
            written = sum(file.stat().st_size for file in folder.rglob("*") if file.is_file())
        options.enlist(field, n_levels)
    except OSError as error:
        raise cannot_write_labels(target, error) from error
    return written


def read_labels(target: str, key: FieldKey, name: str = "nuclei") -> NDArray[np.uint32]:
    """Labels (Y, X) called ``name`` of a field, or a frame of it, of the plate or label store ``target``, as uint32.

    Raises FieldError where the field has no such labels or they are damaged.
    """
    root = location(target)
    path = f"{locate(target, key).path}/labels/{name}"
    if read_node(root / path) is None:
        raise FieldError(key, f"it has no labels {name!r} in {target}; segment it first")
    info, array = open_image(root, path, key)
    found = read_pixels(array, info, root, key, channels=(0,), frame=key.frame)[0]
    labels: NDArray[np.uint32] = found.astype(np.uint32, copy=False)
    return labels


@dataclass(frozen=True, slots=True)
class LabelImage:
    """The metadata of a label image, and of a field in a label store that shows it too."""

    ngff: Ngff
    pixel_size_um: float | None
    name: str
    axes: str = _AXES
    """``yx``, of a movie ``tyx``."""
    interval_min: float | None = None

    def describe(self, folder: Location, n_levels: int, mark: Mark | None = None) -> None:
        """Write the metadata of the label image in ``folder``, with the mark of its origin."""
        source = {"source": {"image": "../../"}, "version": self.ngff}
        ome = {**self._multiscales(n_levels), "image-label": source}
        put_documents(folder, group_documents(ome, self.ngff, {ATTRIBUTE: mark.plain()} if mark else None))

    def enlist(self, field: Location, n_levels: int) -> None:
        """Name the label image in the list of its field; a field without an image of its own shows it as one."""
        _enlist(field / "labels", self.name, self.ngff)
        node, prefix = read_node(field), f"labels/{self.name}/"
        if node is None:
            put_documents(field, group_documents(self._multiscales(n_levels, prefix=prefix), self.ngff))
        elif "multiscales" not in node.ome:
            write_image_metadata(
                field,
                axes=self.axes,
                n_levels=n_levels,
                ngff=self.ngff,
                pixel_size_um=self.pixel_size_um,
                name=self.name,
                interval_min=self.interval_min,
                prefix=prefix,
            )

    def _multiscales(self, n_levels: int, *, prefix: str = "") -> dict[str, Any]:
        """The metadata of an image whose levels are below ``prefix``."""
        space = {"type": "space"} | ({"unit": "micrometer"} if self.pixel_size_um else {})
        time = {"type": "time"} | ({"unit": TIME_UNIT} if self.interval_min else {})
        version = {"version": self.ngff} if self.ngff == "0.4" else {}
        image = {
            "datasets": datasets(
                self.axes, n_levels, self.pixel_size_um, prefix=prefix, steps={"t": self.interval_min}
            ),
            "name": self.name,
            "axes": [{"name": axis, **(time if axis == "t" else space)} for axis in self.axes],
            **version,
        }
        return {"multiscales": [image]}


def group_documents(ome: dict[str, Any], ngff: Ngff, others: dict[str, Any] | None = None) -> dict[str, bytes]:
    """Metadata files of a group with the OME metadata ``ome``, and ``others`` beside them: byte for byte those of
    ome-zarr and zarr, which take a worker a second to import and are slow for files of which a plate has many
    thousands."""
    if ngff == "0.4":
        return {".zgroup": _json({"zarr_format": 2}), ".zattrs": _json({**ome, **(others or {})})}
    attributes = {"ome": {"version": ngff, **ome}, **(others or {})}
    return {"zarr.json": _json({"attributes": attributes, "zarr_format": 3, "node_type": "group"})}


def _json(document: dict[str, Any]) -> bytes:
    return json.dumps(document, indent=2).encode()


def _enlist(folder: Location, name: str, ngff: Ngff) -> None:
    """Add ``name`` to the labels that a ``labels`` group lists; others stay, and so does all else in its metadata."""
    node = read_node(folder)
    if node is None:
        put_documents(folder, group_documents({"labels": [name]}, ngff))
        return
    listed = node.ome.get("labels", [])
    if not isinstance(listed, list):
        raise ResultsError(f"the list of labels in {folder} is broken: it is {type(listed).__name__}; correct it")
    if name not in listed:
        v3 = (folder / "zarr.json").is_file()
        file = folder / ("zarr.json" if v3 else ".zattrs")
        document = json.loads(file.read_bytes()) if file.is_file() else {}
        attributes = document.setdefault("attributes", {}) if v3 else document
        ome = attributes.setdefault("ome", {"version": node.ngff}) if v3 else attributes
        ome["labels"] = [*listed, name]
        put_documents(folder, {file.name: _json(document)})


def put_documents(folder: Location, documents: dict[str, bytes]) -> None:
    """Write metadata, each file in one step: others' labels are named in them too."""
    for file, text in documents.items():
        with replacing(folder / file) as temporary:
            temporary.write_bytes(text)


def cannot_write_labels(target: str, error: OSError) -> ResultsError:
    """The sentence for a failed write of labels: what, why, and the way out."""
    cause = error.__cause__ if isinstance(error, ResultsError) else error
    reason = (cause.strerror if isinstance(cause, OSError) else None) or error
    return ResultsError(
        f"labels cannot be written into {target} ({reason}); make room or permission, "
        "or write them beside the results with --labels out"
    )
