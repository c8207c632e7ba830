"""The shipped model: what it finds does not depend on tiles, and it is as good as its card says."""

from __future__ import annotations

import hashlib
from fractions import Fraction
from pathlib import Path

import numpy as np
import pytest
from numpy.typing import NDArray

from hcs.commands.segment import segment_image
from hcs.config import Config
from hcs.errors import ConfigError
from hcs.evaluate.matching import match, mean_f1
from hcs.field.worker import load_segmenter
from hcs.plate.keys import FieldKey, WellId
from hcs.segment.normalise import normalise
from hcs.segment.ours.instances import instances
from hcs.segment.predict import tune_cpu
from hcs.segment.segmenter import Segmenter
from hcs.segment.settings import InstanceSettings
from hcs.simulate.field import simulate_field
from hcs.simulate.plate import lay_out_plate
from hcs.simulate.settings import SimulationSettings
from hcs.store.files.images import read_image
from hcs.store.models import find_model, read_model, shipped_models
from hcs.tiles.settings import TileSettings


@pytest.fixture(scope="module")
def segmenter() -> Segmenter:
    tune_cpu(threads=1)
    return load_segmenter(find_model("fast"), "cpu", flips=False)


@pytest.mark.parametrize("name", shipped_models())
def test_the_card_describes_the_weights(name: str) -> None:
    for model in find_model(name).networks:
        card, weights = read_model(model)
        assert card["sha256"] == model.sha256 == hashlib.sha256(Path(model.path).read_bytes()).hexdigest()
        assert sum(w.size for n, w in weights.items() if "norm" not in n) <= card["parameters"]
        assert {"data", "scores", "settings", "licence", "limits"} <= set(card)


def test_the_shipped_models_are_fast_and_accurate_and_small() -> None:
    assert shipped_models() == ("accurate", "cells", "fast", "kinds", "lexy", "sensor")
    files = {network.path for name in shipped_models() for network in find_model(name).networks}
    assert sum(Path(path).stat().st_size for path in files) < 40e6


@pytest.mark.parametrize("scale", [Fraction(1), Fraction(2, 3)])
def test_nuclei_do_not_depend_on_the_tile_size(segmenter: Segmenter, scale: Fraction) -> None:
    diameter = 24.0 / float(scale)
    density = 320.0 * float(scale) ** 2
    plate = lay_out_plate(
        SimulationSettings(wells=1, size_px=1296, density=density, nucleus_diameter_px=diameter, seed=5)
    )
    image = normalise(simulate_field(plate, FieldKey(WellId(0, 0), 0)).image[0])

    def labels(size_px: int) -> NDArray[np.int32]:
        probabilities = segmenter.probabilities(image, TileSettings(size_px=size_px), scale)
        return instances(probabilities, InstanceSettings()).astype(np.int32)

    untiled = labels(4096)
    assert untiled.max() > 200
    for size_px in (256, 512, 1024):
        same = match(untiled, labels(size_px))
        exact = int((same.iou == 1.0).sum())
        assert max(same.n_true, same.n_predicted) == exact, size_px


def test_an_ensemble_of_a_model_with_itself_is_the_model(segmenter: Segmenter) -> None:
    image = np.random.default_rng(0).random((64, 80), dtype=np.float32)
    twice = load_segmenter(find_model("fast,fast"), "cpu", flips=False)
    assert len(twice.networks) == 2
    tiles = TileSettings()
    np.testing.assert_allclose(twice.probabilities(image, tiles), segmenter.probabilities(image, tiles), atol=1e-6)


def test_with_flips_a_mirrored_field_has_mirrored_probabilities() -> None:
    flipping = load_segmenter(find_model("fast"), "cpu", flips=True)
    image = np.random.default_rng(1).random((64, 96), dtype=np.float32)
    tiles = TileSettings()
    there = flipping.probabilities(np.ascontiguousarray(image[:, ::-1]), tiles)
    np.testing.assert_allclose(there[:, :, ::-1], flipping.probabilities(image, tiles), atol=1e-5)


def test_the_card_of_an_ensemble_names_its_members(tmp_path: Path) -> None:
    (tmp_path / "pair.json").write_text('{"members": ["fast", "fast"], "flips": true}')
    pair = find_model(str(tmp_path / "pair.json"))
    assert (pair.name, len(pair.networks), pair.flips) == ("pair", 2, True)
    assert pair.sha256 != find_model("fast").sha256
    (tmp_path / "lost.json").write_text('{"members": ["nowhere"]}')
    with pytest.raises(ConfigError, match="'nowhere' does not exist"):
        find_model(str(tmp_path / "lost.json"))


def test_the_validation_images_score_what_the_card_says(segmenter: Segmenter, shared_data: Path) -> None:
    """Every image at the default settings: its nuclei's size estimated, nothing chosen."""
    folder = shared_data / "nuclei" / "val"
    matchings = [
        match(
            read_image(folder / "labels" / path.name).astype(np.int32),
            segment_image(read_image(path), segmenter, Config()).astype(np.int32),
        )
        for path in sorted((folder / "images").iterdir())
    ]
    card, _ = read_model(find_model("fast"))
    said = card["scores"]["size estimated"]["mean F1 over IoU 0.50-0.90"]
    assert mean_f1(matchings) == pytest.approx(said, abs=0.003)
    assert mean_f1(matchings) >= 0.78
