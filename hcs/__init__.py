"""hcs: a distributed processor for high-content screens.

``hcs.open_results(DIR)`` opens what ``hcs run`` wrote. Importing the package loads neither torch nor dask.
"""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from hcs.store.results import Results

__version__ = "0.1.0"


def open_results(folder: str | Path, *, plate: str | Path | None = None) -> Results:
    """The results of ``hcs run … --out folder``, a folder or URL: ``.wells()``, ``.nuclei(wells="B03")``, … as pandas.

    ``plate`` says where the plate is now, if it was moved since the run; only images and labels need it.
    """
    from hcs.store.results import open_results as open_folder

    return open_folder(folder, plate=plate)
