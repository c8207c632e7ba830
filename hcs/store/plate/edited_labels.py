"""Labels of a run that somebody edited since: read as they are now, under the numbers that they have.

Alone in a file because they are neither the run's own (`target`) nor another tool's (`given_labels`): their place is
the run's, their pixels are the user's, and nothing is ever written over them.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from hcs.errors import FieldError
from hcs.plate.keys import FieldKey
from hcs.store.location import location
from hcs.store.plate.given_labels import labels_at
from hcs.store.plate.reader import FieldEntry
from hcs.store.plate.target import LabelTarget

_HIGHEST = int(np.iinfo(np.uint32).max)


@dataclass(frozen=True, slots=True)
class EditedLabels:
    """Where the run wrote labels, some of which were edited."""

    target: LabelTarget
    known_by: tuple[tuple[FieldKey, str], ...]
    """The edited fields, and the checksums of the files of their labels as they were found."""

    @property
    def name(self) -> str:
        """Name of the labels."""
        return self.target.name

    def only(self, keys: Iterable[FieldKey]) -> EditedLabels:
        """The same for some fields alone."""
        wanted = {key.of_field for key in keys}
        return replace(self, known_by=tuple(pair for pair in self.known_by if pair[0] in wanted))

    def crc32(self, key: FieldKey) -> str:
        """Checksum of the files of a field's labels, by which they are known."""
        return dict(self.known_by)[key.of_field]

    def read(self, entry: FieldEntry, key: FieldKey, shape: tuple[int, int]) -> tuple[NDArray[np.uint32], str]:
        """Labels (Y, X) of a field of that shape, or of the frame that ``key`` names, and what is to be
        said of them.

        A nucleus keeps its number, and numbers may have gaps. FieldError where there are no labels, they are damaged
        or no labels, or of another shape than the field.
        """
        labels, remark = labels_at(location(self.target.path), f"{self.target.field(entry)}/labels/{self.name}", key)
        if labels.shape != shape:
            raise FieldError(
                key,
                f"its edited labels have {labels.shape[1]} × {labels.shape[0]} px, the field {shape[1]} × {shape[0]}; "
                "write labels of the full image",
            )
        if labels.size and (int(labels.min()) < 0 or int(labels.max()) > _HIGHEST):
            raise FieldError(
                key, f"its edited labels go from {labels.min()} to {labels.max()}; nuclei are numbered 1 to {_HIGHEST}"
            )
        return labels.astype(np.uint32), remark
