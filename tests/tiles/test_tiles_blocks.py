"""Blocks and cells cover a field once; cut → label → own → write gives the nuclei of the whole, whatever the cut."""

from __future__ import annotations

from fractions import Fraction

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray
from scipy.ndimage import binary_erosion

from hcs.errors import ConfigError
from hcs.measure.regions import regions_of
from hcs.segment.ours.instances import instances
from hcs.segment.settings import InstanceSettings
from hcs.tiles.blocks import CELL_PX, LABEL_CHUNK_PX, Box, Cut, cut_for, windows
from hcs.tiles.ownership import BlockNuclei, claimed, joined, numbers, owned, painted
from hcs.tiles.settings import TileSettings

Labels = NDArray[np.uint32]
SETTINGS = InstanceSettings(min_area_px=1, min_core_px=1)
NUCLEUS_PX = 24
LARGEST_PX = 3 * NUCLEUS_PX  # a nucleus may swallow a coreless rest of its neighbour


def random_cut(block_px: int, unit_px: int, context_px: int) -> Cut:
    return Cut(block_px=block_px, unit_px=unit_px, context_px=context_px, nucleus_px=LARGEST_PX, around_px=0)


def draw_nuclei(shape: tuple[int, int], count: int, seed: int) -> Labels:
    """Ellipses, some cut by others and by the border, some touching; numbered in no particular order."""
    rng = np.random.default_rng(seed)
    truth = np.zeros(shape, np.uint32)
    y, x = np.mgrid[: shape[0], : shape[1]]
    for i in rng.permutation(count):
        cy, cx = rng.uniform(0, shape[0]), rng.uniform(0, shape[1])
        a, b = rng.uniform(2, NUCLEUS_PX / 2 - 1, 2)
        truth[((y - cy) / a) ** 2 + ((x - cx) / b) ** 2 <= 1] = i + 1
    return truth


def perfect_network(truth: Labels) -> NDArray[np.float32]:
    """Background, interior, boundary: a nucleus is interior but for the pixels that touch anything else."""
    padded = np.pad(truth, 1, mode="edge")
    around = [padded[1 + dy : padded.shape[0] - 1 + dy, 1 + dx : padded.shape[1] - 1 + dx] for dy, dx in SHIFTS]
    inner = (truth > 0) & np.all([side == truth for side in around], axis=0)
    return np.stack([truth == 0, inner, (truth > 0) & ~inner]).astype(np.float32)


SHIFTS = ((-1, 0), (1, 0), (0, -1), (0, 1))


def found_in(labels: Labels, box: Box) -> BlockNuclei:
    nuclei = regions_of(labels)
    runs = nuclei.runs.astype(np.int64) + np.array([box.y0, box.x0, box.x0])
    return BlockNuclei(runs, nuclei.run_offsets, nuclei.label_values.astype(np.float64))


def in_blocks(truth: Labels, cut: Cut) -> tuple[Labels, int]:
    """Labels of the whole field, found block by block and painted cell by cell; and how many objects were too large."""
    blocks = cut.blocks(truth.shape)
    claims, too_large = [], 0
    for block in blocks:
        # The network sees what the block reads; what it says is right where the block says it is.
        said = perfect_network(truth[block.read.slices])[(slice(None), *block.seen.within(block.read))]
        nuclei = found_in(instances(said, SETTINGS), block.seen)
        claim, left_out = claimed(nuclei, block.core, shape=truth.shape, largest_px=cut.nucleus_px)
        claims.append(claim)
        too_large += left_out
    kept = [n.chosen(flags) for n, flags in zip(claims, owned(claims, [b.core for b in blocks]), strict=True)]
    ids = numbers([n.first for n in kept])
    everything, every_id = joined(kept), np.concatenate(ids)
    written = np.zeros(truth.shape, np.uint32)
    for cell in cut.cells(truth.shape):
        written[cell.core.slices] = painted(everything, every_id, cell.core)
    return written, too_large


@settings(max_examples=25)
@given(
    height=st.integers(1, 260),
    width=st.integers(1, 260),
    count=st.integers(0, 100),
    block=st.integers(16, 300),
    unit=st.sampled_from([1, 7, 16, 48]),
    context=st.integers(1, 40),
    seed=st.integers(0, 10_000),
)
def test_blocks_give_the_nuclei_of_the_whole(
    height: int, width: int, count: int, block: int, unit: int, context: int, seed: int
) -> None:
    truth = draw_nuclei((height, width), count, seed)
    whole = instances(perfect_network(truth), SETTINGS)
    written, too_large = in_blocks(truth, random_cut(block, unit, context))
    assert too_large == 0
    np.testing.assert_array_equal(written, whole)


def test_larger_nuclei_than_the_blocks_overlap_by_are_left_out_and_counted_once() -> None:
    truth = draw_nuclei((300, 300), 60, 4)
    truth[100:160, 60:220] = 1000
    expected = instances(perfect_network(truth), SETTINGS)
    large = expected[130, 150]
    left = np.where(expected == large, 0, expected)
    values = np.unique(left[left > 0])
    renumbered = np.zeros(int(values.max()) + 1, np.uint32)
    renumbered[values] = np.arange(1, values.size + 1)
    for block_px in (64, 100, 300):
        written, too_large = in_blocks(truth, random_cut(block_px, 4, 3))
        assert too_large == 1
        np.testing.assert_array_equal(written, renumbered[left])


def square(y: int, x: int, side: int = 6) -> BlockNuclei:
    runs = np.array([(y + k, x, x + side) for k in range(side)], np.int64)
    return BlockNuclei(runs, np.array([0, side]), np.ones(1))


@pytest.mark.parametrize(("seen_above", "seen_below"), [(9, 9), (9, 10), (10, 9), (10, 10)])
def test_a_nucleus_whose_first_row_two_blocks_see_apart_is_kept_once(seen_above: int, seen_below: int) -> None:
    cores = [Box(0, 0, 10, 40), Box(10, 0, 40, 40)]
    claims = [square(seen_above, 12), square(seen_below, 12)]
    kept = owned(claims, cores)
    assert sum(int(flags.sum()) for flags in kept) == 1
    if seen_above == seen_below:
        assert kept[0][0] == (seen_above < 10)


def test_four_blocks_at_a_corner_own_a_nucleus_once() -> None:
    cores = [Box(0, 0, 10, 10), Box(0, 10, 10, 20), Box(10, 0, 20, 10), Box(10, 10, 20, 20)]
    kept = owned([square(10, 10)] * 4, cores)
    assert [bool(flags[0]) for flags in kept] == [False, False, False, True]


def test_a_claim_that_the_owner_does_not_know_lapses() -> None:
    kept = owned([square(10, 3), square(30, 30)], [Box(0, 0, 10, 40), Box(10, 0, 40, 40)])
    assert [list(flags) for flags in kept] == [[False], [True]]


def test_of_two_nuclei_on_one_pixel_the_lower_number_shows() -> None:
    both = joined([square(0, 0, 4), square(2, 2, 4)])
    labels = painted(both, np.array([2, 1]), Box(0, 0, 6, 6))
    assert labels[0, 0] == 2
    assert labels[2, 2] == labels[5, 5] == 1
    assert painted(both, np.array([2, 1]), Box(3, 3, 5, 9)).tolist() == [[1, 1, 1, 0, 0, 0], [1, 1, 1, 0, 0, 0]]


@given(
    height=st.integers(1, 9000),
    width=st.integers(1, 9000),
    block=st.integers(256, 5000),
    scale=st.sampled_from([Fraction(1, 4), Fraction(2, 3), Fraction(1), Fraction(3)]),
)
def test_blocks_and_cells_cover_a_field_once(height: int, width: int, block: int, scale: Fraction) -> None:
    cut = cut_for(block_px=block, nucleus_px=100, stride_px=16, radius_px=107, scale=scale, filter_px=0, around_px=80)
    shape = (height, width)
    blocks, cells = cut.blocks(shape), cut.cells(shape)
    for cores in ([b.core for b in blocks], [c.core for c in cells], windows(shape, size_px=block, unit_px=24)):
        assert sum(core.size for core in cores) == height * width
        assert len({(core.y0, core.x0) for core in cores}) == len(cores)
        assert all(core.size > 0 and core.y1 <= height and core.x1 <= width for core in cores)
    for b in blocks:
        for start, stop, length in ((b.read.y0, b.read.y1, height), (b.read.x0, b.read.x1, width)):
            assert start * scale % 16 == 0
            assert stop == length or stop * scale % 16 == 0
        assert b.seen == b.core.grown(134, shape)
        assert b.read.y0 <= max(b.seen.y0 - 107 / scale, 0)
        assert b.read.x1 >= min(b.seen.x1 + 107 / scale, width)
    for c in cells:
        assert c.core.y0 % CELL_PX == c.core.x0 % CELL_PX == 0


def test_each_chunk_of_the_first_two_levels_lies_in_one_cell() -> None:
    assert CELL_PX % (2 * LABEL_CHUNK_PX) == 0


def test_erosion_of_the_perfect_network_is_what_it_says() -> None:
    truth = draw_nuclei((60, 60), 8, 1)
    interior = perfect_network(truth)[1] > 0
    for value in np.unique(truth[truth > 0]):
        np.testing.assert_array_equal(
            interior & (truth == value), binary_erosion(truth == value, border_value=1) & (truth == value)
        )


@pytest.mark.parametrize(
    ("setting", "message"),
    [
        ({"max_field_px": 0}, r"tiles\.max_field_px = 0"),
        ({"block_px": 100}, r"tiles\.block_px = 100"),
        ({"max_nucleus_px": 4}, r"tiles\.max_nucleus_px = 4"),
    ],
)
def test_impossible_settings_are_refused(setting: dict[str, int], message: str) -> None:
    with pytest.raises(ConfigError, match=message):
        TileSettings(**setting)
