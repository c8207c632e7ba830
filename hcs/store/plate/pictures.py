"""The images that a run worked on, and the labels that it wrote."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from hcs.errors import FieldError, PlateError, ResultsError
from hcs.plate.keys import FieldKey
from hcs.store.location import Location, location
from hcs.store.plate.field import open_image, read_pixels
from hcs.store.plate.given_labels import labels_at
from hcs.store.plate.labels import read_labels
from hcs.store.plate.reader import FieldEntry, find_channel, locate
from hcs.store.plate.target import LabelTarget, beside
from hcs.store.results.ledger import read_entry
from hcs.store.results.record import RunRecord


@dataclass(frozen=True, slots=True)
class FieldImages:
    """Channels of one field as they are stored: pixels (C, Y, X), and the side of a pixel where the plate tells it."""

    channels: tuple[str, ...]
    pixels: NDArray[Any]
    pixel_size_um: float | None


@dataclass(frozen=True, slots=True)
class Pictures:
    """Images and labels of the run in ``folder``, whose plate is at ``plate``; nothing is read before it is asked for.

    Every method raises ResultsError where the plate is not there, FieldError where it has no such field or the field
    is damaged.
    """

    folder: Location
    record: RunRecord
    plate: str

    @property
    def target(self) -> LabelTarget | None:
        """Where the run wrote labels; None where it kept none."""
        return LabelTarget.recorded(self.record.labels, self.folder, self.plate)

    @property
    def cells_target(self) -> LabelTarget | None:
        """Where the run wrote labels of whole cells; None where it kept none."""
        return LabelTarget.recorded(self.record.cells, self.folder, self.plate)

    @property
    def micronuclei_target(self) -> LabelTarget | None:
        """Where the run wrote labels of micronuclei; None where it kept none."""
        return LabelTarget.recorded(self.record.micronuclei, self.folder, self.plate)

    @property
    def labelled(self) -> bool:
        """Whether the run kept labels."""
        return self.target is not None

    def images(self, key: FieldKey, channels: Sequence[int | str] | None = None) -> FieldImages:
        """Channels, by number or name, of a field; all of them by default. ConfigError for one that there is not."""
        names = self.record.channels.names
        wanted = range(len(names)) if channels is None else channels
        numbers = tuple(find_channel(names, channel, option="channel") for channel in wanted)
        root = location(self.plate)
        info, array = open_image(root, self.entry(key).path, key)
        pixels = read_pixels(array, info, root, key, channels=numbers, z=self.record.config.z, frame=key.frame)
        return FieldImages(tuple(names[number] for number in numbers), pixels, info.pixel_size_um)

    def labels(self, key: FieldKey) -> NDArray[np.uint32]:
        """Nucleus labels (Y, X) of a field, from where the run wrote them; ResultsError where it kept none, or where
        what is there now is not what it wrote."""
        if self.target is None:
            raise ResultsError(
                f"{self.folder} was made with `labels: none`; run again with `labels: plate` or `labels: out` in the "
                "settings, or --labels, to keep labels"
            )
        return self._labels(key, self.target)

    def cells(self, key: FieldKey) -> NDArray[np.uint32]:
        """Labels (Y, X) of the whole cells of a field; ResultsError where the run grew or kept none."""
        if self.cells_target is None:
            raise ResultsError(
                f"{self.folder} has no labels of whole cells; run again with --cells CHANNEL, and labels kept, into a "
                "new folder"
            )
        return self._labels(key, self.cells_target)

    def micronuclei(self, key: FieldKey) -> NDArray[np.uint32]:
        """Labels (Y, X) of the micronuclei of a field; ResultsError where the run found or kept none."""
        if self.micronuclei_target is None:
            raise ResultsError(
                f"{self.folder} has no labels of micronuclei; run again with `micronuclei: true` in the settings, and "
                "labels kept, into a new folder"
            )
        return self._labels(key, self.micronuclei_target)

    def _labels(self, key: FieldKey, target: LabelTarget) -> NDArray[np.uint32]:
        entry = read_entry(self.folder, key, self.record.run_id)
        if not entry.done:
            why = f" ({entry.reason})" if entry.reason else ""
            raise FieldError(key, f"it has no labels, as it is {entry.status}{why}; `hcs run` again tries it again")
        whole = read_entry(self.folder, key.of_field, self.record.run_id) if key.is_frame else entry
        # people edit nuclei; cells and micronuclei come from these
        edited = whole.edited_crc32 if target == self.target else ""
        wrong = target.complaint(
            self.entry(key) if target.in_plate else beside(key.of_field), whole.input_crc32, edited
        )
        if wrong is not None:
            raise ResultsError(
                f"field {key} of {self.folder}: {wrong}, and they do not show the nuclei of the table; "
                f"`hcs remeasure {self.folder}` measures nuclei that were edited; else run the plate again into a new "
                "folder, or read images without labels by image() and crops()"
            )
        if edited:
            return self.as_they_are(key)
        return read_labels(target.path, key, target.name)

    def as_they_are(self, key: FieldKey) -> NDArray[np.uint32]:
        """Labels (Y, X) of a field, whoever wrote them: without any chunk they are a field without nuclei, as most
        programs write it. FieldError where there are none, or none that can be read."""
        target = self.target
        if target is None:
            raise FieldError(key, f"{self.folder} was made with `labels: none`")
        path = target.field(self.entry(key) if target.in_plate else beside(key.of_field))
        labels, _ = labels_at(location(target.path), f"{path}/labels/{target.name}", key)
        return labels.astype(np.uint32)

    def entry(self, key: FieldKey) -> FieldEntry:
        """The field in the plate; ResultsError where the plate is out of reach."""
        try:
            return locate(self.plate, key)
        except PlateError as error:
            raise ResultsError(
                f"the plate of {self.folder} cannot be read ({error}); say where it is now: open_results(folder, "
                "plate=…)"
            ) from error
