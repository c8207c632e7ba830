"""The sensor ratio of cells that cover a field: right above the plate's background, and none where there is none."""

from __future__ import annotations

from typing import Any

import cv2
import numpy as np
import pytest
from numpy.typing import NDArray
from scipy.spatial import cKDTree

from hcs.measure.ground import shows_ground
from hcs.measure.intensity import as_float32, block_means
from hcs.measure.measure import NucleusTable, measure_nuclei
from hcs.measure.settings import MeasureSettings

SETTINGS = MeasureSettings()
OFFSET = 130.0
SIDE_PX = 400


def cells(coverage: float, ratio: float, seed: int = 0) -> tuple[NDArray[Any], NDArray[np.int32]]:
    """DNA and sensor of cells that differ in brightness and cover this share of the field; the nuclei's labels."""
    rng = np.random.default_rng(seed)
    radius = 28.0
    step = radius * 1.5
    rows = np.arange(0, SIDE_PX + step, step * 0.87)
    columns = np.arange(-step / 2, SIDE_PX + step, step)
    points = np.array([(y, x + (i % 2) * step / 2) for i, y in enumerate(rows) for x in columns])
    points += rng.normal(0, 2, points.shape)
    bright = 400 * np.exp(rng.normal(0, 0.35, len(points)))
    y, x = np.mgrid[:SIDE_PX, :SIDE_PX]
    distance, owner = (a.reshape(SIDE_PX, SIDE_PX) for a in cKDTree(points).query(np.c_[y.ravel(), x.ravel()]))
    # A hole grows from one side: its cells are gone.
    present = points[:, 1] >= (1.0 - coverage) * SIDE_PX - step / 2 if coverage < 1 else np.ones(len(points), bool)
    there = present[owner] & ((distance < radius) | (coverage >= 1))
    nuclei = np.where((distance < 12) & present[owner], owner + 1, 0).astype(np.int32)
    sensor = np.where(nuclei > 0, bright[owner], np.where(there, ratio * bright[owner], 0.0))
    planes = [cv2.GaussianBlur(plane.astype(np.float32), (0, 0), 1.0) for plane in (800.0 * (nuclei > 0), sensor)]
    noisy = [OFFSET + plane + rng.normal(0, 6, plane.shape) for plane in planes]
    return np.stack(noisy).clip(0, 65535).astype(np.uint16), nuclei


def measured(image: NDArray[Any], labels: NDArray[np.int32], **options: Any) -> NucleusTable:
    settings = options.pop("settings", SETTINGS)
    return measure_nuclei(
        labels, image, channels=("DNA", "CDK2"), dna="DNA", sensor="CDK2", settings=settings, **options
    )


def ratio_of(table: NucleusTable) -> float:
    return float(np.nanmedian(table.columns["Nuclei_Sensor_Ratio"]))


@pytest.mark.parametrize("ratio", [0.4, 1.0, 1.6])
@pytest.mark.parametrize("coverage", [0.3, 0.6, 0.9])
def test_a_field_with_ground_has_its_own_background(coverage: float, ratio: float) -> None:
    image, labels = cells(coverage, ratio)
    table = measured(image, labels, backgrounds={})
    assert table.grounds["CDK2"] == "field"
    assert table.backgrounds["CDK2"] == pytest.approx(OFFSET, abs=3)
    assert ratio_of(table) == pytest.approx(ratio, abs=0.08)


@pytest.mark.parametrize("ratio", [0.4, 1.0, 1.6])
def test_a_closed_sheet_is_right_above_the_plates_background_and_refused_without(ratio: float) -> None:
    image, labels = cells(1.0, ratio)
    assert not shows_ground(block_means(as_float32(image[1]), SETTINGS))
    right = measured(image, labels, backgrounds={"CDK2": OFFSET})
    assert right.grounds["CDK2"] == "plate"
    assert ratio_of(right) == pytest.approx(ratio, abs=0.08)
    refused = measured(image, labels, backgrounds={})
    assert refused.grounds["CDK2"] == "none"
    for name in ("Ratio", "LogRatio", "RatioMixture"):
        assert np.isnan(refused.columns[f"Nuclei_Sensor_{name}"]).all()
    if ratio != 1.0:  # what was given for the ratio: the dimmest cell taken for background
        assert abs(ratio_of(measured(image, labels)) - ratio) > 0.1


def test_a_stated_background_is_every_fields() -> None:
    image, labels = cells(0.6, 0.4)
    table = measured(image, labels, backgrounds={"DNA": 100.0, "CDK2": 100.0}, always=True)
    assert table.backgrounds == {"DNA": 100.0, "CDK2": 100.0}


def test_an_empty_or_sparse_field_beside_the_plates_level_changes_nothing() -> None:
    rng = np.random.default_rng(1)
    plain = rng.normal(OFFSET, 6, (2, SIDE_PX, SIDE_PX)).astype(np.uint16)
    table = measured(plain, np.zeros((SIDE_PX, SIDE_PX), np.int32), backgrounds={"CDK2": OFFSET})
    assert table.backgrounds["CDK2"] == pytest.approx(OFFSET, abs=3)


@pytest.mark.parametrize("pixel_size_um", [0.325, 0.65, 1.3])
def test_a_rim_of_cytoplasm_gives_one_ratio_at_every_magnification(pixel_size_um: float) -> None:
    """Nuclei of 16 µm with a rim of 4.5 µm of cytoplasm, 1.6 times as bright, alone on ground."""
    side = round(520 / pixel_size_um)
    y, x = (np.mgrid[:side, :side] + 0.5) * pixel_size_um
    distance = np.hypot(y % 52 - 26, x % 52 - 26)
    labels = np.where(distance < 8, (y // 52 * 10 + x // 52 + 1), 0).astype(np.int32)
    sensor = np.where(distance < 8, 500.0, np.where(distance < 12.5, 800.0, 0.0))
    sensor = cv2.GaussianBlur(sensor.astype(np.float32), (0, 0), 0.35 / pixel_size_um)
    noise = np.random.default_rng(0).normal(0, 3, sensor.shape)
    image = np.stack([100 + 600.0 * (labels > 0), 100 + sensor + noise]).clip(0).astype(np.uint16)
    scaled = SETTINGS.for_pixels(pixel_size_um)
    assert ratio_of(measured(image, labels, settings=scaled)) == pytest.approx(1.55, abs=0.13)
    if pixel_size_um == 1.3:
        assert ratio_of(measured(image, labels)) < 1.1


def test_widths_in_pixels_are_left_alone_where_they_are_set_or_the_size_is_unknown() -> None:
    assert SETTINGS.for_pixels(None).ring_width_px == 5
    assert SETTINGS.for_pixels(0.65).ring_width_px == 5
    fine = SETTINGS.for_pixels(0.325)
    assert (fine.ring_width_px, fine.ring_gap_px, fine.local_width_px) == (10, 2, 20)
    assert MeasureSettings(ring_width_px=7).for_pixels(0.325).ring_width_px == 7
    assert MeasureSettings(ring_width_um=None).for_pixels(0.325).ring_width_px == 5
    assert MeasureSettings(ring_width_um=6.5).for_pixels(0.65).ring_width_px == 10


def test_the_published_dhb_ratio_takes_the_rings_upper_half_and_medians() -> None:
    image, labels = cells(0.6, 0.4)
    table = measured(image, labels, settings=MeasureSettings(sensor_ratio="dhb"))
    usual = measured(image, labels)
    pixels, background = image[1].astype(float), usual.backgrounds["CDK2"]
    label = int(usual.columns["Metadata_ObjectNumber"][5])
    nucleus = labels == label
    near = cv2.distanceTransform((~nucleus).astype(np.uint8), cv2.DIST_L2, cv2.DIST_MASK_PRECISE)
    others = cv2.distanceTransform((~((labels > 0) & ~nucleus)).astype(np.uint8), cv2.DIST_L2, cv2.DIST_MASK_PRECISE)
    ring = np.sort(pixels[(near > 1) & (near <= 6) & (others > near)])
    expected = (np.median(ring[len(ring) // 2 :]) - background) / (np.median(pixels[nucleus]) - background)
    assert table.columns["Nuclei_Sensor_Ratio"][5] == pytest.approx(expected, rel=0.01)
