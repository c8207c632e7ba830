"""Tiles cover every pixel once, read what the network needs, and stitch back to the whole."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from numpy.typing import NDArray
from scipy.ndimage import maximum_filter

from hcs.errors import ConfigError
from hcs.tiles.grid import map_tiles, spans, tiles
from hcs.tiles.settings import TileSettings

strides = st.sampled_from([1, 4, 16])


@given(units=st.integers(1, 60), size=st.integers(1, 300), halo=st.integers(0, 90), stride=strides)
def test_spans_cover_an_axis_once_with_their_halo(units: int, size: int, halo: int, stride: int) -> None:
    length = units * stride
    parts = spans(length, size_px=size, halo_px=halo, stride_px=stride)
    assert [p.core[0] for p in parts] == [0, *(p.core[1] for p in parts[:-1])]
    assert parts[-1].core[1] == length
    for part in parts:
        assert part.core[0] % stride == 0
        assert part.read[0] % stride == 0
        assert 0 < part.core[1] - part.core[0] <= max(size, stride)
        assert part.core[0] - part.read[0] >= min(halo, part.core[0])
        assert part.read[1] - part.core[1] >= min(halo, length - part.core[1])


@given(
    height=st.integers(1, 12),
    width=st.integers(1, 12),
    size=st.integers(16, 100),
    halo=st.integers(0, 40),
)
def test_cores_cover_every_pixel_exactly_once(height: int, width: int, size: int, halo: int) -> None:
    seen = np.zeros((height * 16, width * 16), np.int32)
    for tile in tiles(seen.shape, size_px=size, halo_px=halo, stride_px=16):
        seen[tile.core] += 1
        read = np.zeros_like(seen)
        read[tile.read] = 1
        assert read[tile.core].all()
        assert read[tile.read][tile.core_in_read].shape == read[tile.core].shape
    assert (seen == 1).all()


@given(height=st.integers(1, 150), width=st.integers(1, 150), size=st.integers(16, 80), seed=st.integers(0, 5))
def test_tile_then_stitch_is_the_identity(height: int, width: int, size: int, seed: int) -> None:
    field = np.random.default_rng(seed).random((height, width), dtype=np.float32)
    whole = map_tiles(lambda t: t[None], field, channels=1, size_px=size, halo_px=7, stride_px=16)
    np.testing.assert_array_equal(whole[0], field)


@given(size=st.integers(16, 200), radius=st.integers(0, 9))
def test_a_local_function_is_the_same_tiled_and_whole(size: int, radius: int) -> None:
    field = np.random.default_rng(1).random((160, 112), dtype=np.float32)

    def local(tile: NDArray[np.float32]) -> NDArray[np.float32]:
        return np.asarray(maximum_filter(tile, size=2 * radius + 1, mode="nearest"))[None]

    tiled = map_tiles(local, field, channels=1, size_px=size, halo_px=radius, stride_px=16)
    np.testing.assert_array_equal(tiled, local(field))


def test_too_small_a_halo_is_noticed_by_the_same_comparison() -> None:
    field = np.random.default_rng(1).random((160, 112), dtype=np.float32)

    def local(tile: NDArray[np.float32]) -> NDArray[np.float32]:
        return np.asarray(maximum_filter(tile, size=9, mode="nearest"))[None]

    tiled = map_tiles(local, field, channels=1, size_px=32, halo_px=0, stride_px=1)
    assert (tiled != local(field)).any()


def test_length_off_the_stride_is_refused() -> None:
    with pytest.raises(ValueError, match="not a multiple of the stride"):
        spans(100, size_px=64, halo_px=0, stride_px=16)


def test_tiny_tiles_are_refused() -> None:
    with pytest.raises(ConfigError, match="at least 64 px"):
        TileSettings(size_px=63)
