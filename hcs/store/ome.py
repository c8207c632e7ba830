"""The parts of ome-zarr that hcs writes metadata with, in one place because importing them warns."""

from __future__ import annotations

import warnings

with warnings.catch_warnings():
    # ome_zarr.writer 0.18 makes an object of its own deprecated Scaler while it is imported.
    warnings.simplefilter("ignore", DeprecationWarning)
    from ome_zarr.format import Format, FormatV04, FormatV05
    from ome_zarr.writer import (
        add_metadata,
        get_metadata,
        write_multiscales_metadata,
        write_plate_metadata,
        write_well_metadata,
    )

from hcs.store.nodes import Ngff

__all__ = [
    "add_metadata",
    "get_metadata",
    "ome_format",
    "write_multiscales_metadata",
    "write_plate_metadata",
    "write_well_metadata",
]


def ome_format(ngff: Ngff) -> Format:
    """The ome-zarr format of an NGFF version."""
    return FormatV04() if ngff == "0.4" else FormatV05()
