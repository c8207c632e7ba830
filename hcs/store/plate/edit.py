"""Writing labels that were edited in a viewer over those of their field, and reading how a field is to be shown.

Alone in a file because nothing else writes into labels that are there: a run replaces them as a whole.
"""

from __future__ import annotations

from typing import Any

import numpy as np
import zarr
from numpy.typing import NDArray

from hcs.errors import FieldError
from hcs.plate.keys import FieldKey
from hcs.store.location import location, zarr_store
from hcs.store.paths import behind_link
from hcs.store.plate.labels import cannot_write_labels
from hcs.store.plate.metadata import ImageMetadata
from hcs.store.plate.nodes import read_node
from hcs.store.plate.pyramid import nearest_halved
from hcs.store.plate.reader import FieldEntry
from hcs.store.plate.target import LabelTarget


def write_edited(target: LabelTarget, entry: FieldEntry, key: FieldKey, labels: NDArray[np.integer]) -> None:
    """Write labels (Y, X), of a field or the frame that ``key`` names, into all levels of the field's labels.

    Their metadata stay, and with them hcs's mark, which then says that they were changed. FieldError where the field
    has no labels, or of another shape; ResultsError where they cannot be written.
    """
    folder = target.folder(entry)
    if (there := behind_link(location(target.path), f"{target.field(entry)}/labels/{target.name}")) is not None:
        raise FieldError(key, f"a symbolic link leads out of {target.path}, to {there}, where no labels are written")
    node = read_node(folder)
    if node is None:
        raise FieldError(key, f"it has no labels/{target.name} in {target.path} that could be edited")
    levels = ImageMetadata.model_validate(node.ome).multiscales[0].datasets
    try:
        for i, level in enumerate(levels):
            array = zarr.open_array(store=zarr_store(folder / level.path), mode="r+")
            if i == 0 and array.shape[-2:] != labels.shape:
                raise FieldError(key, f"edited labels are {labels.shape}, those of the field {array.shape[-2:]} px")
            height, width = array.shape[-2:]
            array[(max(key.frame, 0),) * (array.ndim - 2)] = labels[:height, :width].astype(array.dtype)
            labels = nearest_halved(labels)
    except OSError as error:
        raise cannot_write_labels(target.path, error) from error


def shown_as(plate: str, entry: FieldEntry) -> list[dict[str, Any]]:
    """How the field's metadata say that its channels are shown, ``color`` and ``window`` of each; empty where they say
    nothing."""
    node = read_node(location(plate) / entry.path)
    omero = {} if node is None else node.ome.get("omero", {})
    channels = omero.get("channels", []) if isinstance(omero, dict) else []
    return [channel if isinstance(channel, dict) else {} for channel in channels]
