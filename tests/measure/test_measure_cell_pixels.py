"""Pixels of cells and cytoplasm: listed and measured as `regions_of` and `region_statistics` do one by one."""

from __future__ import annotations

import numpy as np
import pytest

from hcs.measure.cell_pixels import cell_pixels
from hcs.measure.intensity import region_statistics
from hcs.measure.regions import PixelLists, regions_of

RNG = np.random.default_rng(5)


@pytest.fixture(scope="module")
def labels() -> tuple[np.ndarray, np.ndarray]:
    """Cells (Y, X) and their nuclei, among them one that is its own cell and one in two pieces."""
    cells = np.zeros((70, 90), np.int32)
    for label, (y, x) in enumerate([(0, 0), (0, 40), (30, 5), (30, 50), (60, 80)], start=1):
        cells[y : y + 25, x : x + 33] = label
    nuclei = np.where(RNG.random(cells.shape) < 0.4, cells, 0).astype(np.int32)
    nuclei[cells == 5] = 5
    return cells, nuclei


@pytest.mark.parametrize("kind", ["whole numbers", "wide whole numbers", "broken numbers"])
def test_lists_and_statistics_are_those_of_each_alone(labels: tuple[np.ndarray, np.ndarray], kind: str) -> None:
    cells, nuclei = labels
    pixels = RNG.normal(1000, 90, cells.shape).astype(np.float32)
    if kind != "broken numbers":
        pixels = np.rint(pixels * (50 if kind == "wide whole numbers" else 1))
    found = cell_pixels(cells, regions_of(nuclei))
    alone = regions_of(cells)
    for name in ("label_values", "dense", "runs", "run_offsets"):
        np.testing.assert_array_equal(getattr(found.cells, name), getattr(alone, name))
    np.testing.assert_array_equal(found.cells.pixels.indices, alone.pixels.indices)
    np.testing.assert_array_equal(found.cells.pixels.offsets, alone.pixels.offsets)
    free = [lst[nuclei.ravel()[lst] == 0] for lst in np.split(alone.pixels.indices, alone.pixels.offsets[1:-1])]
    np.testing.assert_array_equal(found.cytoplasm.indices, np.concatenate(free))
    np.testing.assert_array_equal(found.cytoplasm.counts, [len(lst) for lst in free])
    assert found.cytoplasm.counts[4] == 0
    outside = PixelLists(found.cytoplasm.offsets, found.cytoplasm.indices)
    for table, lists in zip(found.statistics(pixels), (alone.pixels, outside), strict=True):
        one = region_statistics(pixels, lists, ceiling=np.inf)
        total = np.where(lists.counts > 0, one.total, np.nan)
        expected = (one.mean, one.median, one.std, one.minimum, one.maximum, total)
        np.testing.assert_array_equal(table, np.stack(expected, axis=1))
