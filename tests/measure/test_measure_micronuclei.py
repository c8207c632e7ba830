"""Micronuclei drawn beside nuclei are counted at these, and at nothing else."""

from __future__ import annotations

from pathlib import Path

import cv2
import numpy as np
import pytest
from numpy.typing import NDArray

from hcs.measure.fill import Fill
from hcs.measure.measure import NucleusTable, measure_nuclei
from hcs.measure.micronuclei import candidates, find_micronuclei
from hcs.measure.regions import regions_of
from hcs.measure.settings import MeasureSettings

CENTRES = ((50, 50), (60, 170), (150, 80), (160, 190))
COUNT, AREA, FIRST = "Nuclei_Micronuclei_Count", "Nuclei_Micronuclei_Area", "Metadata_FirstMicronucleus"
Image = NDArray[np.uint16]


def field(*dots: tuple[int, int], radius: int = 13) -> tuple[NDArray[np.int32], Image]:
    """Labels and image of four nuclei, with dots of 5 px at the places given, blurred and with noise."""
    labels, drawn = np.zeros((220, 240), np.int32), np.zeros((220, 240), np.float32)
    for i, (y, x) in enumerate(CENTRES, start=1):
        cv2.circle(labels, (x, y), radius, i, -1)
    drawn[labels > 0] = 2000
    for y, x in dots:
        cv2.circle(drawn, (x, y), 2, 1500, -1)
    noise = np.random.default_rng(0).normal(0, 12, drawn.shape)
    return labels, (cv2.GaussianBlur(drawn, (0, 0), 1.0) + 400 + noise).astype(np.uint16)


def measured(labels: NDArray[np.int32], image: Image, fill: Fill | None = None, *, on: bool = True) -> NucleusTable:
    return measure_nuclei(
        labels,
        image[None],
        channels=("DNA",),
        dna="DNA",
        sensor=None,
        settings=MeasureSettings(),
        fill=fill,
        micronuclei=on,
    )


def test_dots_are_counted_at_the_nearest_nucleus() -> None:
    table = measured(*field((50, 71), (70, 44), (130, 80), (105, 120))).columns
    assert table[COUNT].tolist() == [2, 0, 1, 0]  # the last dot lies farther from any nucleus than one is wide
    assert table[AREA][0] == pytest.approx(2 * table[AREA][2], rel=0.25)
    assert 12 <= table[AREA][2] <= 35
    assert table[COUNT].dtype == table[AREA].dtype == np.int32


def test_a_dot_that_the_nucleus_has_in_its_outline_counts_and_the_outline_stays() -> None:
    labels, image = field((50, 66))
    cv2.circle(labels, (66, 50), 2, 1, -1)
    before = labels.copy()
    assert measured(labels, image).columns[COUNT].tolist() == [1, 0, 0, 0]
    np.testing.assert_array_equal(labels, before)


def test_a_dot_that_was_taken_for_a_nucleus_stays_one_and_counts_at_its_neighbour() -> None:
    labels, image = field((50, 71))
    cv2.circle(labels, (71, 50), 3, 9, -1)
    assert measured(labels, image).columns[COUNT].tolist() == [1, 0, 0, 0, 0]


def test_all_other_columns_stay_byte_for_byte() -> None:
    labels, image = field((50, 71))
    on, off = measured(labels, image).columns, measured(labels, image, on=False).columns
    assert list(on) == [*off, COUNT, AREA, FIRST]
    assert all(on[name].tobytes() == off[name].tobytes() for name in off)


def test_the_result_is_the_same_in_every_layout_and_scale_of_grey() -> None:
    labels, image = field((50, 71), (130, 80))
    here = find_micronuclei(image.astype(np.float32), regions_of(labels))
    turned = find_micronuclei(np.ascontiguousarray(image.T).astype(np.float32), regions_of(labels.T))
    brighter = find_micronuclei(image.astype(np.float32) * 4, regions_of(labels))
    assert ((turned.labels.T > 0) != (here.labels > 0)).sum() < 5  # one outline and the next are as sure
    np.testing.assert_array_equal(turned.columns(4)[COUNT], here.columns(4)[COUNT])
    np.testing.assert_array_equal(brighter.labels, here.labels)


def test_labels_have_the_numbers_and_pixels_that_the_columns_say() -> None:
    labels, image = field((50, 71), (70, 44), (130, 80))
    table = measured(labels, image)
    drawn = table.micronuclei
    assert drawn is not None
    assert measured(labels, image, on=False).micronuclei is None
    assert drawn.dtype == np.uint32
    assert table.columns[FIRST].tolist() == [1, 0, 3, 0]
    assert np.unique(drawn).tolist() == [0, 1, 2, 3]
    assert table.columns[AREA].tolist() == [np.isin(drawn, (1, 2)).sum(), 0, (drawn == 3).sum(), 0]
    assert drawn[130, 80] == 3
    assert {drawn[50, 71], drawn[70, 44]} == {1, 2}


def test_outlines_of_one_body_do_not_count_twice() -> None:
    labels, image = field((50, 71))
    found = candidates(image.astype(np.float32), regions_of(labels))
    dot = [i for i in range(len(found)) if 50 * 240 + 71 in found.pixels_of(i)]
    areas = found.area[dot]
    assert len(dot) > 2
    assert areas.max() > 1.5 * areas.min()
    sure = np.zeros(len(found))
    sure[dot[1]], sure[dot[0]] = 0.9, 0.8
    assert found.chosen(sure, 0.5).tolist() == [dot[1]]
    assert found.chosen(sure, 0.95).size == 0


def test_nothing_is_counted_without_nuclei_in_tiny_ones_or_in_what_was_not_recorded() -> None:
    labels, image = field((50, 71))
    assert measured(np.zeros_like(labels), image).columns[COUNT].size == 0
    assert measured(*field((50, 71), radius=4)).columns[COUNT].sum() == 0
    mask = np.zeros(labels.shape, np.bool_)
    mask[40:60, 66:] = True
    image[mask] = 0
    image[50, 71] = 3000
    assert measured(labels, image, Fill(mask, 0.9)).columns[COUNT].sum() == 0


def test_a_candidate_without_a_neighbour_pixel_of_its_own_is_finite() -> None:
    labels = np.zeros((40, 40), np.int32)
    labels[4:36, 4:24] = 1
    image = np.where(labels > 0, 100, 0).astype(np.float32)
    image[20, 30] = 80
    found = candidates(image, regions_of(labels))
    assert len(found) > 0
    assert np.isfinite(found.features).all()


def test_on_real_images_that_were_held_out_most_are_found(shared_data: Path) -> None:
    """Beside annotators' nuclei, which have no micronucleus in them: the model's are scored by the benchmark."""
    from hcs.store.files.images import read_image

    name = "mnfinder_2022-03-18_RPE1_4.png"
    folder = shared_data / "nuclei" / "train"
    nuclei, image = read_image(folder / "labels" / name), read_image(folder / "images" / name).astype(np.float32)
    n, _ = cv2.connectedComponents((read_image(folder / "ignore" / name) > 0).astype(np.uint8))
    counted = int(find_micronuclei(image, regions_of(nuclei)).labels.max())
    assert 0.5 * (n - 1) < counted < 1.1 * (n - 1)
