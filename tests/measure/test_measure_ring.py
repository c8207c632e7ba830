"""The brighter component of a ring's pixels, on rings whose cytoplasm is known."""

from __future__ import annotations

import time

import numpy as np
import pytest
from numpy.typing import NDArray

from hcs.measure.measure import measure_nuclei
from hcs.measure.regions import PixelLists
from hcs.measure.ring import Cytoplasm, ring_cytoplasm
from hcs.measure.settings import MeasureSettings

BACKGROUND = 100.0


def of_rings(*rings: NDArray[np.float64], least_px: int = 20) -> Cytoplasm:
    """Cytoplasm of rings given by their pixels' values."""
    offsets = np.concatenate(([0], np.cumsum([ring.size for ring in rings]))).astype(np.int64)
    values = np.concatenate(rings).astype(np.float32)
    lists = PixelLists(offsets, np.arange(values.size, dtype=np.int32))
    return ring_cytoplasm(values[None], lists, background=BACKGROUND, least_px=least_px)


@pytest.mark.parametrize("share", [0.2, 0.5, 0.8])
@pytest.mark.parametrize("signal", [150.0, 600.0])
def test_part_of_a_ring_on_background_is_left_out(share: float, signal: float) -> None:
    rng = np.random.default_rng(0)
    n = 400
    bright = rng.normal(BACKGROUND + signal, 20, int(n * share))
    dim = rng.normal(BACKGROUND, 20, n - bright.size)
    found = of_rings(rng.permutation(np.concatenate([bright, dim])))
    assert found.mean[0] - BACKGROUND == pytest.approx(signal, rel=0.03)
    assert found.share[0] == pytest.approx(share, abs=0.02)


def test_two_values_by_hand() -> None:
    found = of_rings(np.repeat([100.0, 500.0], [30, 50]))
    assert found.mean[0] == pytest.approx(500)
    assert found.share[0] == pytest.approx(50 / 80)


@pytest.mark.parametrize(
    "ring",
    [
        np.full(200, 300.0),
        np.random.default_rng(1).normal(300, 40, 500),  # one population
        np.random.default_rng(2).normal(BACKGROUND + 5, 20, 500),  # hardly any signal: noise is not two populations
        np.random.default_rng(3).uniform(350, 500, 500),  # a gradient within the cytoplasm
        np.repeat([100.0, 500.0], [200, 10]),  # a speck of fewer pixels than asked for
        np.repeat([350.0, 500.0], [200, 200]),  # the dimmer half is no background
    ],
    ids=["flat", "noise", "dark", "gradient", "speck", "bright twice"],
)
def test_a_ring_of_one_population_is_its_mean(ring: NDArray[np.float64]) -> None:
    found = of_rings(ring)
    assert found.mean[0] == pytest.approx(ring.mean(), rel=1e-5)
    assert found.share[0] == 1


def test_a_ring_without_pixels_is_nan_and_others_do_not_notice() -> None:
    found = of_rings(np.full(50, 200.0), np.empty(0), np.repeat([100.0, 400.0], [40, 40]))
    assert np.isnan(found.mean).tolist() == [False, True, False]
    assert np.isnan(found.share).tolist() == [False, True, False]
    assert found.mean[[0, 2]].tolist() == pytest.approx([200, 400])


def cells(side: int, spacing: int, *, half: bool) -> tuple[NDArray[np.int32], NDArray[np.float32]]:
    """Labels and a sensor channel: nuclei at 300 above 100, cytoplasm at 600 above, around each or on its left only."""
    y, x = np.mgrid[:side, :side]
    away = np.hypot(y % spacing - spacing // 2, x % spacing - spacing // 2)
    inside = away < 10
    cytoplasm = (away < 20) & ((not half) | (x % spacing < spacing // 2))
    number = (y // spacing) * (side // spacing) + x // spacing + 1
    labels = np.where(inside, number, 0).astype(np.int32)
    image = np.select([inside, cytoplasm], [400.0, 700.0], 100.0)
    noise = np.random.default_rng(0).normal(0, 10, image.shape)
    return labels, (image + noise).astype(np.float32)


@pytest.mark.parametrize("half", [False, True])
def test_ratio_of_cells_that_reach_one_way_only(half: bool) -> None:
    labels, sensor = cells(240, 60, half=half)
    image = np.stack([np.where(labels > 0, 1000, 50).astype(np.float32), sensor])
    table = measure_nuclei(
        labels, image, channels=("DNA", "S"), dna="DNA", sensor="S", settings=MeasureSettings()
    ).to_frame()
    assert table["Nuclei_Sensor_RatioMixture"].tolist() == pytest.approx([2.0] * 16, rel=0.02)
    if half:
        assert table["Nuclei_Sensor_Ratio"].max() < 1.2  # the plain ring takes half of it from the background
        assert table["Nuclei_Sensor_CytoplasmShare"].tolist() == pytest.approx([0.5] * 16, abs=0.05)
    else:
        assert table["Nuclei_Sensor_Ratio"].tolist() == pytest.approx([2.0] * 16, rel=0.02)
        assert (table["Nuclei_Sensor_CytoplasmShare"] == 1).all()


def test_the_mixture_is_nan_where_the_ratio_is() -> None:
    labels, sensor = cells(120, 60, half=False)
    sensor[labels == 1] = 0  # a nucleus below the background
    image = np.stack([sensor, sensor])
    table = measure_nuclei(
        labels, image, channels=("DNA", "S"), dna="DNA", sensor="S", settings=MeasureSettings()
    ).to_frame()
    assert table["Nuclei_Sensor_RatioMixture"].isna().tolist() == [True, False, False, False]
    assert table["Nuclei_Sensor_Ratio"].isna().tolist() == [True, False, False, False]


def test_fifteen_hundred_rings_take_milliseconds() -> None:
    rng = np.random.default_rng(0)
    rings = [np.concatenate([rng.normal(100, 20, 250), rng.normal(500, 40, 250)]) for _ in range(1500)]
    of_rings(*rings[:2])
    start = time.process_time()
    found = of_rings(*rings)
    assert time.process_time() - start < 0.3  # about 12 ms alone; wide, so that a busy machine does not fail it
    assert found.mean.tolist() == pytest.approx([500] * 1500, rel=0.03)
