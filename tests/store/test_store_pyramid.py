"""The arrays of a pyramid's levels, which are written without zarr, chunk by chunk."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import zarr

from hcs.store.plate.nodes import Ngff
from hcs.store.plate.pyramid import CHUNK_PX, IMAGES, LABELS, Pixels, create_level, write_levels


def files(folder: Path) -> dict[str, bytes]:
    return {str(path.relative_to(folder)): path.read_bytes() for path in folder.rglob("*") if path.is_file()}


@pytest.mark.parametrize("pixels", [IMAGES, LABELS], ids=["image", "labels"])
@pytest.mark.parametrize("ngff", ["0.4", "0.5"])
@pytest.mark.parametrize(
    ("shape", "dtype"),
    [((2, 300, 1200), "uint16"), ((1, 1081, 64), ">u2"), ((70, 90), "uint32"), ((1, 40, 50), "float32")],
)
def test_a_level_has_the_files_that_zarr_writes(
    tmp_path: Path, shape: tuple[int, ...], dtype: str, ngff: Ngff, pixels: Pixels
) -> None:
    data = np.random.default_rng(3).integers(0, 900, shape).astype(dtype)
    data[..., : shape[-2] // 2, :] = 0  # chunks of only the fill value are written too
    axes = "cyx"[-len(shape) :]
    assert write_levels(tmp_path / "own", data, axes=axes, ngff=ngff, pixels=pixels) == 1
    native = np.dtype(dtype).newbyteorder("<")
    create_level(tmp_path / "zarr", shape, native, chunk_px=CHUNK_PX, axes=axes, ngff=ngff, pixels=pixels)[...] = data
    assert files(tmp_path / "own" / "0") == files(tmp_path / "zarr")
    np.testing.assert_array_equal(np.asarray(zarr.open_array(tmp_path / "own" / "0", mode="r")[...]), data)
