"""The shipped sensor model on simulated cells: nuclei darker than, as bright as and brighter than their cytoplasm, at
magnifications that nobody told it."""

from __future__ import annotations

from importlib.resources import files

import numpy as np
import pytest
from numpy.typing import NDArray

from hcs.config import Config
from hcs.evaluate.by_ratio import FieldByRatio, field_by_ratio
from hcs.field.worker import load_segmenter
from hcs.run.diameter import image_diameter
from hcs.segment.segmenter import Segmenter
from hcs.simulate.field import simulate_field
from hcs.simulate.plate import lay_out_plate
from hcs.simulate.settings import SimulationSettings
from hcs.store.models import find_model, read_card

CONFIG = Config()


@pytest.fixture(scope="module")
def sensor() -> Segmenter:
    """The model that ``auto`` takes where nuclei are found in the sensor channel."""
    model = find_model("auto", by_sensor=True)
    assert model.name == "sensor"
    return load_segmenter(model, "cpu", flips=False)


def found_in(sensor: Segmenter, image: NDArray[np.uint16]) -> tuple[NDArray[np.int64], float]:
    """Labels of a sensor channel and the size of nuclei that was estimated, px."""
    prepared = sensor.prepare(image)
    size = image_diameter(prepared, sensor, CONFIG)
    seen = sensor.probabilities(prepared, CONFIG.tiles, size.scale)
    return sensor.labels(seen, CONFIG.instances.for_field(None, size.scale)).astype(np.int64), size.px


@pytest.mark.parametrize(("diameter_px", "side_px"), [(14.0, 224), (50.0, 512)])
def test_every_state_of_translocation_is_found_at_any_magnification(
    sensor: Segmenter, diameter_px: float, side_px: int
) -> None:
    settings = SimulationSettings(
        wells=12,
        size_px=side_px,
        seed=901,
        nucleus_diameter_px=diameter_px,
        density=400.0 * (24.0 / diameter_px) ** 2,
        psf_sigma_px=diameter_px / 24.0,
    )
    plate = lay_out_plate(settings)
    fields: list[FieldByRatio] = []
    for key in (plate.keys[0], plate.keys[2]):  # both kinds of controls
        field = simulate_field(plate, key)
        labels, size_px = found_in(sensor, field.image[1])
        assert size_px == pytest.approx(diameter_px, rel=0.4)
        fields.append(field_by_ratio(field.labels.astype(np.int64), labels, field.image[1]))
    ratio = np.concatenate([field.true_ratio for field in fields])
    hit = np.concatenate([field.true_hit[:, 0] for field in fields])
    assert hit[ratio < 0.7].mean() > 0.75
    assert hit[ratio > 1.3].mean() > 0.85
    assert hit[(ratio > 0.7) & (ratio < 1.3)].mean() > 0.6
    assert np.concatenate([field.found_hit[:, 0] for field in fields]).mean() > 0.8


def test_the_card_says_how_good_it_is_by_ratio_and_the_package_stays_small() -> None:
    card = read_card(find_model("sensor"))
    assert [each["from"] for each in card["found_by_ratio"]["ranges"]] == [0.0, 0.5, 1.0]
    assert card["held_out"]["F1 at IoU 0.5"] > 0.85
    weights = files("hcs.segment") / "weights"
    assert sum(len(path.read_bytes()) for path in weights.iterdir() if path.is_file()) < 40e6
