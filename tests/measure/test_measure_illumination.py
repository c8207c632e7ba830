"""Uneven light: estimated from synthetic fields of known light, and taken out."""

from __future__ import annotations

import cv2
import numpy as np
import pytest
from numpy.typing import NDArray

from hcs.measure.flatfield import estimate_light
from hcs.measure.illumination import ChannelLight, correct, reduced
from hcs.measure.measure import measure_nuclei
from hcs.measure.settings import MeasureSettings
from hcs.plate.keys import FieldKey
from hcs.readout.cycle.dna import find_peak
from hcs.readout.settings import ReadoutSettings
from hcs.simulate.field import simulate_field
from hcs.simulate.plate import lay_out_plate
from hcs.simulate.settings import SimulationSettings

Image = NDArray[np.float32]
OFFSET, MEDIUM, STAIN = 100.0, 120.0, 1000.0


def light(side: int, strength: float) -> Image:
    """A paraboloid off the middle, from 1 down to 1 - strength in the farthest corner."""
    axis = (np.arange(side) + 0.5) / side - 0.5
    squared = (axis[:, None] - 0.1) ** 2 + (axis[None, :] + 0.05) ** 2
    return (1 - strength * squared / squared.max()).astype(np.float32)


def lit_fields(illumination: Image, *, fields: int, nuclei: int, seed: int = 0) -> Image:
    """Fields (N, Y, X) of nuclei of varied brightness, with background, offset and noise."""
    rng = np.random.default_rng(seed)
    side = len(illumination)
    stack = []
    for _ in range(fields):
        cells = np.zeros((side, side), np.float32)
        for y, x in rng.integers(0, side, (rng.poisson(nuclei), 2)):
            cv2.circle(cells, (int(x), int(y)), 5, float(STAIN * rng.lognormal(0, 0.35)), -1)
        seen = (cv2.GaussianBlur(cells, (0, 0), 1.0) * rng.lognormal(0, 0.2) + MEDIUM) * illumination
        stack.append(seen + OFFSET + rng.normal(0, 8, seen.shape).astype(np.float32))
    return np.stack(stack).astype(np.float32)


def test_a_twofold_gradient_is_corrected_to_three_percent() -> None:
    true = light(256, 0.5)
    assert true.max() / true.min() > 1.95
    found = estimate_light(lit_fields(true, fields=64, nuclei=120))
    assert found.reason == ""
    relative = found.flat / (true / true.mean())
    assert np.abs(relative / relative.mean() - 1).max() < 0.03
    assert 0.001 < found.error < 0.02
    signal = correct(true * STAIN + found.background, found) - found.background.mean()
    assert np.ptp(signal) / signal.mean() < 0.06
    np.testing.assert_allclose(found.background, OFFSET + MEDIUM * true, atol=12)


def test_even_light_is_left_even() -> None:
    found = estimate_light(lit_fields(np.ones((256, 256), np.float32), fields=24, nuclei=60))
    assert np.abs(found.flat - 1).max() < 0.02


def test_what_cannot_be_estimated_is_left_and_said() -> None:
    few = estimate_light(lit_fields(light(64, 0.5), fields=7, nuclei=40))
    assert (few.flat == 1).all()
    assert few.reason == "7 of 7 fields show cells above the background, 8 are needed"
    empty = estimate_light(lit_fields(light(64, 0.5), fields=20, nuclei=0))
    assert (empty.flat == 1).all()
    assert empty.reason.startswith("0 of 20 fields show cells")


def test_the_same_fields_give_the_same_light() -> None:
    stack = lit_fields(light(128, 0.4), fields=12, nuclei=30)
    first, again = estimate_light(stack), estimate_light(stack.copy())
    np.testing.assert_array_equal(first.flat, again.flat)
    np.testing.assert_array_equal(first.background, again.background)


def test_the_background_goes_before_the_division() -> None:
    flat = np.full((4, 6), 1.0, np.float32)
    flat[:, :3], flat[:, 3:] = 0.5, 1.5
    known = ChannelLight(flat=flat, background=np.full((4, 6), 100.0, np.float32), fields=9)
    plane = np.full((4, 6), 300, np.uint16)
    corrected = correct(plane, known)
    assert corrected.dtype == np.float32
    np.testing.assert_allclose(corrected, 100 + 200 / flat)


def test_light_of_other_proportions_is_refused() -> None:
    known = ChannelLight(flat=np.ones((64, 64), np.float32), background=np.zeros((64, 64), np.float32), fields=9)
    assert correct(np.ones((100, 100), np.uint8), known).shape == (100, 100)
    with pytest.raises(ValueError, match="100 × 80 px cannot be corrected"):
        correct(np.ones((80, 100), np.uint8), known)


def test_reduced_fields_keep_their_mean_and_proportions() -> None:
    rng = np.random.default_rng(0)
    plane = rng.integers(0, 1000, (600, 1024)).astype(np.uint16)
    small = reduced(plane)
    assert small.shape == (150, 256)
    assert small.mean() == pytest.approx(plane.mean(), rel=1e-5)
    assert reduced(plane[:90, :200]).shape == (90, 200)


def test_the_2n_peak_gets_narrower() -> None:
    settings = SimulationSettings(wells=14, size_px=384, density=500.0, shading=0.5, seed=5)
    plate = lay_out_plate(settings)
    keys = [FieldKey(w, 0) for w, t in zip(plate.wells, plate.treatments, strict=True) if t.role != "empty"]
    fields = [simulate_field(plate, key) for key in keys]
    found = estimate_light(np.stack([reduced(f.image[0]) for f in fields]))

    def contents(*, corrected: bool) -> NDArray[np.float64]:
        tables = []
        for f in fields:
            image = correct(f.image[0], found) if corrected else f.image[0]
            table = measure_nuclei(
                f.labels, image[None], channels=("DNA",), dna="DNA", sensor=None, settings=MeasureSettings(),
                recorded=f.image[:1],
            )  # fmt: skip
            inside = table.columns["Nuclei_Flag_TouchesBorder"] == 0
            tables.append(table.columns["Nuclei_DNA_Content"][inside])
        return np.concatenate(tables)

    readout = ReadoutSettings(max_peak_cv=0.3)
    before, after = (
        find_peak(contents(corrected=corrected), source_wells="all", settings=readout).cv for corrected in (False, True)
    )
    assert after < 0.09
    assert after < 0.75 * before


def test_saturation_is_counted_in_the_recorded_image() -> None:
    labels = np.zeros((40, 40), np.uint32)
    labels[10:20, 10:20] = 1
    recorded = np.full((1, 40, 40), 50, np.uint8)
    recorded[0, 10:12, 10:15] = 255
    even = recorded.astype(np.float32) * 2
    table = measure_nuclei(
        labels, even, channels=("DNA",), dna="DNA", sensor="DNA", settings=MeasureSettings(), recorded=recorded
    )
    assert table.columns["Nuclei_Flag_SaturatedPixels_DNA"].tolist() == [10]
    assert table.columns["Nuclei_Intensity_MaxIntensity_DNA"].tolist() == [510]
