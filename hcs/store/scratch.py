"""What the tasks on one field in blocks leave for each other: small arrays in a folder of the results."""

from __future__ import annotations

import io
import shutil
import zipfile
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from hcs.errors import ResultsError
from hcs.plate.keys import FieldKey
from hcs.store.atomic import replacing
from hcs.store.location import Location, Url, map_at


@dataclass(frozen=True, slots=True)
class Scratch:
    """Files of named arrays in ``OUT/blocks/B03_0000``; each is there complete or not at all."""

    folder: Location

    @classmethod
    def of(cls, out: Location, key: FieldKey) -> Scratch:
        """That of one field of the run in ``out``."""
        return cls(out / "blocks" / key.file_stem)

    def holds(self, name: str) -> bool:
        """Whether a file of this name is there."""
        return self._path(name).is_file()

    def write(self, name: str, arrays: Mapping[str, NDArray[Any]]) -> None:
        """Write arrays as one file; ResultsError where that cannot be done."""
        with replacing(self._path(name)) as temporary, temporary.open("wb") as file:
            save: Any = np.savez  # its type would have any name be the keyword allow_pickle
            save(file, **arrays)

    def read(self, name: str) -> dict[str, NDArray[Any]]:
        """The arrays of one file; ResultsError where it is missing or damaged."""
        path = self._path(name)
        try:
            with np.load(io.BytesIO(path.read_bytes())) as file:
                return {key: file[key] for key in file.files}
        except (OSError, ValueError, zipfile.BadZipFile) as error:
            raise ResultsError(f"{path} cannot be read ({error}); remove {self.folder} and run again") from error

    def remove(self) -> None:
        """Remove all of the field's files, and the folder of such folders when it was the last."""
        if isinstance(self.folder, Url):
            names = self.folder.files() if self.folder.is_dir() else {}
            map_at(self.folder, lambda name: (self.folder / name).unlink(missing_ok=True), names)
            return
        shutil.rmtree(self.folder, ignore_errors=True)
        if self.folder.parent.is_dir() and not any(self.folder.parent.iterdir()):
            self.folder.parent.rmdir()

    def _path(self, name: str) -> Location:
        return self.folder / f"{name}.npz"
