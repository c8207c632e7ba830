"""Shapes: tiny nuclei worked out by hand, and random blobs beside scikit-image and cp_measure."""

from __future__ import annotations

import numpy as np
import pytest
from cp_measure.core.measureobjectsizeshape import get_sizeshape
from hypothesis import given
from hypothesis import strategies as st
from numpy.typing import NDArray
from scipy import ndimage
from skimage.measure import label as connected
from skimage.measure import regionprops

from hcs.measure.regions import regions_of
from hcs.measure.shape import Shape, measure_shape


def shape_of(*rows: str) -> Shape:
    """Shape of the nuclei drawn as digits."""
    return measure_shape(regions_of(np.array([[int(c) for c in row.replace(".", "0")] for row in rows])))


def random_blobs(seed: int, *, size: int = 120) -> NDArray[np.int32]:
    """Blobs of all sorts of shapes, some of them touching, some cut by the edge."""
    rng = np.random.default_rng(seed)
    smooth = ndimage.gaussian_filter(rng.normal(size=(size, size)), 3)
    labels = connected(smooth > 0.02).astype(np.int32)
    half = labels.copy()
    half[:, size // 2 :] += np.int32(labels.max()) * (half[:, size // 2 :] > 0)
    return half


def test_rectangle_by_hand() -> None:
    shape = shape_of("......", ".1111.", ".1111.", "......")
    assert shape.area.tolist() == [8]
    assert shape.center_y.tolist() == [1.5]
    assert shape.center_x.tolist() == [2.5]
    assert shape.box.tolist() == [[1, 1, 3, 5]]
    # Variance of 4 columns is 15/12, of 2 rows 3/12; an axis is four standard deviations.
    assert shape.major_axis[0] == pytest.approx(4 * np.sqrt(15 / 12))
    assert shape.minor_axis[0] == pytest.approx(4 * np.sqrt(3 / 12))
    assert shape.eccentricity[0] == pytest.approx(np.sqrt(1 - 3 / 15))
    assert abs(shape.orientation[0]) == pytest.approx(np.pi / 2)
    assert shape.solidity.tolist() == [1.0]
    # All 8 are border. Corners: 2 beside, 1 across (code 15); the others: 3 and 2 (code 27). All count 1.
    assert shape.perimeter.tolist() == [8.0]


def test_one_pixel_by_hand() -> None:
    shape = shape_of("...", ".1.", "...")
    assert (shape.area[0], shape.perimeter[0], shape.solidity[0]) == (1, 0, 1)
    assert (shape.major_axis[0], shape.minor_axis[0], shape.eccentricity[0]) == (0, 0, 0)
    assert shape.orientation[0] == -np.pi / 4


def test_diagonal_line_by_hand() -> None:
    shape = shape_of("1..", ".1.", "..1")
    assert shape.orientation[0] == pytest.approx(np.pi / 4)
    assert shape.eccentricity[0] == 1
    assert shape.minor_axis[0] == 0
    # Both variances and the covariance are 2/3, so the variance along the line is 4/3.
    assert shape.major_axis[0] == pytest.approx(4 * np.sqrt(4 / 3))
    # The middle pixel touches two across corners (code 21, √2); the ends one (code 11) and count nothing.
    assert shape.perimeter[0] == pytest.approx(np.sqrt(2))


def test_corner_piece_has_one_hull_pixel_more_than_it_fills() -> None:
    # The hull of an L with arms of 3 holds the pixel inside its corner, on the line between the arms' ends.
    assert shape_of("1..", "1..", "111").solidity[0] == pytest.approx(5 / 6)


def test_a_nucleus_in_pieces_is_one_nucleus() -> None:
    shape = shape_of("1...1", ".....", "2...2")
    assert shape.area.tolist() == [2, 2]
    assert shape.box.tolist() == [[0, 0, 1, 5], [2, 0, 3, 5]]
    assert shape.solidity.tolist() == [0.4, 0.4]


@pytest.mark.parametrize("seed", range(3))
def test_shapes_agree_with_scikit_image(seed: int) -> None:
    labels = random_blobs(seed)
    shape = measure_shape(regions_of(labels))
    reference = regionprops(labels)
    assert len(reference) > 20
    assert shape.area.tolist() == [r.area for r in reference]
    assert shape.box.tolist() == [list(r.bbox) for r in reference]
    for ours, theirs in (
        (shape.center_y, [r.centroid[0] for r in reference]),
        (shape.center_x, [r.centroid[1] for r in reference]),
        (shape.perimeter, [r.perimeter for r in reference]),
        (shape.major_axis, [r.axis_major_length for r in reference]),
        (shape.minor_axis, [r.axis_minor_length for r in reference]),
        (shape.eccentricity, [r.eccentricity for r in reference]),
    ):
        # Their moments are summed in floating point: a line's thickness comes out as 1e-8 rather than 0.
        np.testing.assert_allclose(ours, theirs, rtol=1e-9, atol=1e-6)


@pytest.mark.parametrize("seed", range(3))
def test_orientation_agrees_with_scikit_image(seed: int) -> None:
    labels = random_blobs(seed)
    shape = measure_shape(regions_of(labels))
    theirs = np.array([r.orientation for r in regionprops(labels)])
    long = shape.eccentricity > 0.1
    assert long.sum() > 20
    # Modulo half a turn: along the horizontal, +π/2 and -π/2 are the same axis.
    np.testing.assert_allclose(np.sin(shape.orientation - theirs)[long], 0, atol=1e-8)


@pytest.mark.parametrize("seed", range(3))
def test_solidity_agrees_with_scikit_image(seed: int) -> None:
    labels = random_blobs(seed)
    nuclei = measure_shape(regions_of(labels))
    theirs = np.array([r.area_convex for r in regionprops(labels)])
    # Theirs decides in floating point whether a pixel centre on the hull's edge is inside.
    np.testing.assert_allclose(nuclei.area / nuclei.solidity, theirs, rtol=0, atol=1e-6)


def test_shapes_agree_with_cp_measure() -> None:
    labels = regions_of(random_blobs(5, size=80)).dense
    shape = measure_shape(regions_of(labels))
    with np.errstate(all="ignore"):  # its form factor divides by the perimeter of a single pixel
        theirs = get_sizeshape(labels, np.zeros(labels.shape))
    for ours, name in (
        (shape.area, "Area"),
        (shape.center_x, "Center_X"),
        (shape.box[:, 3], "BoundingBoxMaximum_X"),
        (shape.perimeter, "Perimeter"),
        (shape.major_axis, "MajorAxisLength"),
        (shape.minor_axis, "MinorAxisLength"),
        (shape.eccentricity, "Eccentricity"),
        (shape.solidity, "Solidity"),
    ):
        np.testing.assert_allclose(ours, theirs[name], rtol=1e-6, atol=1e-6, err_msg=name)


@given(st.integers(0, 10_000), st.integers(0, 3), st.booleans())
def test_turning_the_field_turns_the_shapes(seed: int, turns: int, flip: bool) -> None:
    labels = np.random.default_rng(seed).integers(0, 4, (9, 11))
    turned = np.rot90(labels[:, ::-1] if flip else labels, turns)
    one, other = measure_shape(regions_of(labels)), measure_shape(regions_of(turned))
    for name in ("area", "perimeter", "solidity", "major_axis", "minor_axis", "eccentricity"):
        np.testing.assert_allclose(getattr(one, name), getattr(other, name), rtol=1e-9, err_msg=name)


@pytest.mark.parametrize("dtype", ["u1", "i1", "u2", ">u2", "i4", "u4", ">u4", "i8", "u8"])
def test_any_integer_dtype_gives_the_same_nuclei(dtype: str) -> None:
    labels = np.array([[0, 7, 7], [3, 3, 0]])
    nuclei = regions_of(labels.astype(dtype))
    assert nuclei.label_values.tolist() == [3, 7]
    assert nuclei.dense.tolist() == [[0, 2, 2], [1, 1, 0]]
    assert nuclei.pixels.offsets.tolist() == [0, 2, 4]
    assert nuclei.pixels.indices.tolist() == [3, 4, 1, 2]


def test_the_largest_labels_keep_their_values() -> None:
    assert regions_of(np.array([[1, 2**32 - 1]], np.uint32)).label_values.tolist() == [1, 2**32 - 1]
    assert regions_of(np.array([[1, 2**63 - 1]], np.uint64)).label_values.tolist() == [1, 2**63 - 1]


@pytest.mark.parametrize(
    "labels",
    [np.array([[-1, 2]]), np.array([[2**63]], np.uint64), np.zeros((2, 2)), np.zeros((1, 2, 2), int)],
)
def test_what_is_not_a_label_image_is_refused(labels: NDArray[np.integer]) -> None:
    with pytest.raises(ValueError, match="labels"):
        regions_of(labels)
