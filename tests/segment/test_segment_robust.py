"""The shipped models on images as other microscopes give them: same nuclei, and none where there are none."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import cv2
import numpy as np
import pytest
from numpy.typing import NDArray

from hcs.commands.segment import segment_image
from hcs.config import Config
from hcs.evaluate.matching import match
from hcs.field.worker import load_segmenter
from hcs.plate.keys import FieldKey, WellId
from hcs.segment.diameter import nucleus_diameters
from hcs.segment.predict import tune_cpu
from hcs.segment.segmenter import Segmenter
from hcs.simulate.field import simulate_field
from hcs.simulate.plate import lay_out_plate
from hcs.simulate.settings import SimulationSettings
from hcs.store.models import find_model

Image = NDArray[Any]
Change = Callable[[NDArray[np.float64]], Image]


@pytest.fixture(scope="module")
def segmenter() -> Segmenter:
    tune_cpu(threads=1)
    return load_segmenter(find_model("fast"), "cpu", flips=False)


@pytest.fixture(scope="module")
def field() -> NDArray[np.float64]:
    """A simulated field of some 260 nuclei, in counts of a 16-bit camera."""
    plate = lay_out_plate(SimulationSettings(wells=1, size_px=768, density=450.0, seed=11))
    return simulate_field(plate, FieldKey(WellId(0, 0), 0)).image[0].astype(np.float64)


@pytest.fixture(scope="module")
def reference(segmenter: Segmenter, field: NDArray[np.float64]) -> NDArray[np.int32]:
    return segment_image(field.astype(np.uint16), segmenter, Config()).astype(np.int32)


def shaded(image: NDArray[np.float64]) -> Image:
    """Half the light at the left border, all of it at the right, on signal and background alike."""
    return (image * np.linspace(0.5, 1.0, image.shape[1])).astype(np.uint16)


def in_8_bit(image: NDArray[np.float64]) -> Image:
    low, high = image.min(), np.percentile(image, 99.9)
    return np.clip((image - low) / (high - low) * 250.0, 0, 255).astype(np.uint8)


CHANGES: dict[str, Change] = {
    "half as bright": lambda image: (image / 2).astype(np.uint16),
    "twice as bright": lambda image: (image * 2).astype(np.uint16),
    "an offset of 1000": lambda image: (image + 1000).astype(np.uint16),
    "shading of 2x": shaded,
    "8 bit": in_8_bit,
    "float": lambda image: (image / 65535).astype(np.float32),
}


@pytest.mark.parametrize("change", CHANGES)
def test_98_percent_of_the_nuclei_stay_the_same(
    segmenter: Segmenter, field: NDArray[np.float64], reference: NDArray[np.int32], change: str
) -> None:
    found = segment_image(CHANGES[change](field), segmenter, Config()).astype(np.int32)
    matching = match(reference, found)
    assert matching.n_true > 200
    same = int((matching.iou > 0.7).sum())
    assert 2 * same / (matching.n_true + matching.n_predicted) >= 0.98


def debris() -> NDArray[np.float64]:
    """Specks and fibres of 1 to 4 px on noise, without a nucleus."""
    rng = np.random.default_rng(3)
    image = np.zeros((1024, 1024), np.float32)
    for y, x in rng.integers(0, 1024, (60, 2)):
        cv2.circle(image, (int(x), int(y)), int(rng.integers(0, 2)), float(rng.uniform(200, 2000)), -1)
    for y, x in rng.integers(0, 1024, (4, 2)):
        end = (int(x + rng.integers(-90, 90)), int(y + rng.integers(-90, 90)))
        cv2.line(image, (int(x), int(y)), end, float(rng.uniform(200, 800)), 1)
    return cv2.GaussianBlur(image, (0, 0), 1.0) + rng.normal(220.0, 12.0, image.shape)


EMPTY: dict[str, Callable[[], NDArray[np.float64]]] = {
    "noise": lambda: np.random.default_rng(0).normal(300.0, 12.0, (1024, 1024)),
    "noise, shaded": lambda: np.random.default_rng(1).normal(300.0, 12.0, (1024, 1024)) * np.linspace(0.5, 1.0, 1024),
    "debris": debris,
}


@pytest.mark.parametrize("kind", EMPTY)
def test_a_field_without_nuclei_has_at_most_two_per_megapixel(segmenter: Segmenter, kind: str) -> None:
    image = np.clip(EMPTY[kind](), 0, 65535).astype(np.uint16)
    assert segment_image(image, segmenter, Config()).max() <= 2


@pytest.mark.parametrize("diameter", [8.0, 12.0, 24.0, 40.0, 80.0])
def test_nuclei_from_8_to_80_px_are_found_and_their_size_is(segmenter: Segmenter, diameter: float) -> None:
    side = int(np.clip(16 * diameter, 256, 1024))
    density = 0.16 / (np.pi / 4 * diameter**2) * 1e6
    settings = SimulationSettings(
        wells=1, size_px=side, density=density, crowding=1.0, nucleus_diameter_px=diameter, debris=0.0, seed=2
    )
    simulated = simulate_field(lay_out_plate(settings), FieldKey(WellId(0, 0), 0))
    image, truth = simulated.image[0], simulated.labels.astype(np.int32)
    sizes = nucleus_diameters(segmenter.prepare(image), segmenter, Config().tiles, Config().instances)
    areas = np.bincount(truth.ravel())[1:]
    true_size = float(np.median(2.0 * np.sqrt(areas[areas > 0] / np.pi)))
    assert np.median(sizes) == pytest.approx(true_size, rel=0.25)
    matching = match(truth, segment_image(image, segmenter, Config()).astype(np.int32))
    assert matching.f1(0.5) >= 0.85
