"""The shipped model: what it finds does not depend on tiles, and it is as good as its card says."""

from __future__ import annotations

import hashlib
from pathlib import Path

import numpy as np
import pytest

from hcs.evaluate.matching import match, mean_f1
from hcs.plate.keys import FieldKey, WellId
from hcs.segment.instances import instances
from hcs.segment.model import build_network
from hcs.segment.normalise import normalise
from hcs.segment.predict import find_device, predict, tune_cpu
from hcs.segment.settings import InstanceSettings
from hcs.segment.unet import UNet
from hcs.simulate.field import simulate_field
from hcs.simulate.plate import plan_plate
from hcs.simulate.settings import SimulationSettings
from hcs.store.models import find_model, read_model, shipped_models
from hcs.tiles.settings import TileSettings
from hcs.train.data import load_split


@pytest.fixture(scope="module")
def network() -> UNet:
    tune_cpu(threads=2)
    card, weights = read_model(find_model("fast"))
    return build_network(card, weights, find_device("cpu"))


@pytest.mark.parametrize("name", shipped_models())
def test_the_card_describes_the_weights(name: str) -> None:
    model = find_model(name)
    card, weights = read_model(model)
    assert card["sha256"] == model.sha256 == hashlib.sha256(Path(model.path).read_bytes()).hexdigest()
    assert sum(w.size for n, w in weights.items() if "norm" not in n) <= card["parameters"]
    assert {"data", "scores", "settings", "licence", "limits"} <= set(card)


def test_nuclei_do_not_depend_on_the_tile_size(network: UNet) -> None:
    plate = plan_plate(SimulationSettings(wells=1, size_px=2160, density=320.0, seed=5))
    image = normalise(simulate_field(plate, FieldKey(WellId(0, 0), 0)).image[0])
    untiled = instances(predict(network, image, TileSettings(size_px=4096)), InstanceSettings()).astype(np.int32)
    assert untiled.max() > 1000
    for size_px in (256, 512, 1024):
        tiled = instances(predict(network, image, TileSettings(size_px=size_px)), InstanceSettings())
        same = match(untiled, tiled.astype(np.int32))
        exact = int((same.iou == 1.0).sum())
        assert max(same.n_true, same.n_predicted) - exact <= untiled.max() / 1000, size_px


@pytest.mark.parametrize("kind", ["zeros", "noise"])
def test_an_empty_field_has_next_to_no_nuclei(network: UNet, kind: str) -> None:
    rng = np.random.default_rng(0)
    image = np.zeros((1024, 1024)) if kind == "zeros" else rng.normal(300.0, 12.0, (1024, 1024))
    found = instances(predict(network, normalise(image), TileSettings()), InstanceSettings())
    assert found.max() <= 2  # per megapixel


def test_the_validation_images_score_what_the_card_says(network: UNet, shared_data: Path) -> None:
    samples = load_split(shared_data / "nuclei", "val").values()
    matchings = [
        match(s.labels, instances(predict(network, s.image, TileSettings()), InstanceSettings()).astype(np.int32))
        for s in samples
    ]
    card, _ = read_model(find_model("fast"))
    assert mean_f1(matchings) == pytest.approx(card["scores"]["mean F1 over IoU 0.50-0.90"], abs=0.003)
    assert mean_f1(matchings) >= 0.75
