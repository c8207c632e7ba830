"""The parts of ome-zarr that hcs writes metadata with, in one place because importing them warns and takes a second."""

from __future__ import annotations

import warnings
from functools import lru_cache
from importlib import import_module
from types import ModuleType
from typing import TYPE_CHECKING

from hcs.store.plate.nodes import Ngff

if TYPE_CHECKING:
    from ome_zarr.format import Format


@lru_cache(maxsize=1)
def ome_writer() -> ModuleType:
    """``ome_zarr.writer``: functions that write metadata of plates, wells, images and labels."""
    with warnings.catch_warnings():
        # ome_zarr.writer 0.18 makes an object of its own deprecated Scaler while it is imported.
        warnings.simplefilter("ignore", DeprecationWarning)
        return import_module("ome_zarr.writer")  # here, as a start that writes no metadata need not wait for it


def ome_format(ngff: Ngff) -> Format:
    """The ome-zarr format of an NGFF version."""
    from ome_zarr.format import FormatV04, FormatV05  # noqa: PLC0415  as above

    return FormatV04() if ngff == "0.4" else FormatV05()
