"""Training: the same crops from the same seed, and the same weights however often the run was stopped."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path

import cv2
import numpy as np
import pytest
import torch

from hcs.errors import ConfigError
from hcs.segment.model import build_network
from hcs.store.models import ModelFile, find_model, read_model
from hcs.train.augment import Sample, empty_field, photometric, random_crop
from hcs.train.data import batch, load_split
from hcs.train.export import export
from hcs.train.loop import learning_rate, train
from hcs.train.settings import TrainSettings

SETTINGS = TrainSettings(
    widths=(4, 8), steps=6, warmup_steps=2, batch=2, crop_px=32, evaluate_every=3, checkpoint_every=2, threads=1
)


def discs(seed: int, side: int = 64) -> Sample:
    """Bright discs on a dark field, with their labels."""
    rng = np.random.default_rng(seed)
    labels = np.zeros((side, side), np.uint8)
    for label in range(1, 6):
        cv2.circle(labels, tuple(int(v) for v in rng.integers(8, side - 8, 2)), 6, label, -1)
    image = (labels > 0) * 0.8 + rng.normal(0.0, 0.05, labels.shape)
    return Sample(image.astype(np.float32), labels.astype(np.int32), np.zeros(labels.shape, bool))


def test_a_batch_depends_on_seed_and_step_alone() -> None:
    samples = [discs(0), discs(1)]
    first, again = batch(samples, SETTINGS, 7), batch(samples, SETTINGS, 7)
    for a, b in zip(first, again, strict=True):
        assert torch.equal(a, b)
    assert not torch.equal(first[0], batch(samples, SETTINGS, 8)[0])
    assert not torch.equal(first[0], batch(samples, replace(SETTINGS, seed=1), 7)[0])


@pytest.mark.parametrize("seed", range(5))
def test_crops_keep_image_and_labels_together(seed: int) -> None:
    crop = random_crop(discs(seed), np.random.default_rng(seed), crop_px=96, scale=(0.6, 1.6))
    assert crop.image.shape == crop.labels.shape == crop.ignore.shape == (96, 96)
    inside, outside = crop.image[crop.labels > 0], crop.image[crop.labels == 0]
    if inside.size > 50:
        assert inside.mean() - outside.mean() > 0.5
    for label in np.unique(crop.labels[crop.labels > 0]):
        assert cv2.connectedComponents((crop.labels == label).view(np.uint8), connectivity=8)[0] == 2


def test_ignored_pixels_have_no_weight() -> None:
    sample = replace(discs(0), ignore=np.ones((64, 64), bool))
    weights = batch([sample], replace(SETTINGS, empty_fraction=0.0), 0)[2]
    assert not weights.any()


def test_an_empty_field_has_no_labels_and_finite_pixels() -> None:
    for seed in range(20):
        field = empty_field(np.random.default_rng(seed), crop_px=48)
        assert not field.labels.any()
        assert np.isfinite(photometric(field.image, np.random.default_rng(seed))).all()


def test_the_learning_rate_warms_up_and_ends_at_zero() -> None:
    rates = [learning_rate(SETTINGS, step) for step in range(SETTINGS.steps + 1)]
    assert rates[1] == pytest.approx(SETTINGS.learning_rate)
    assert rates[0] < rates[1] > rates[3] > rates[5]
    assert rates[-1] == pytest.approx(0.0, abs=1e-12)


def test_a_stopped_run_goes_on_to_the_same_weights(tmp_path: Path) -> None:
    training, validation = [discs(0), discs(1)], [discs(2)]
    whole, history, _ = train(training, validation, SETTINGS, folder=tmp_path / "whole", say=lambda _: None)

    class Stop(Exception):
        """Stands for the kill."""

    def stop(_: str) -> None:
        raise Stop

    with pytest.raises(Stop):  # at the evaluation after step 3; the last checkpoint is of step 2
        train(training, validation, SETTINGS, folder=tmp_path / "stopped", say=stop)
    resumed, again, _ = train(training, validation, SETTINGS, folder=tmp_path / "stopped", say=lambda _: None)
    assert again == history
    for name, tensor in whole.state_dict().items():
        assert torch.equal(tensor, resumed.state_dict()[name]), name


def test_a_folder_of_another_run_names_the_difference(tmp_path: Path) -> None:
    train([discs(0)], [discs(1)], SETTINGS, folder=tmp_path, say=lambda _: None)
    with pytest.raises(ConfigError, match="other learning_rate, seed"):
        train([discs(0)], [discs(1)], replace(SETTINGS, seed=9, learning_rate=1e-3), folder=tmp_path)


def test_an_exported_model_is_found_and_runs(tmp_path: Path) -> None:
    network, history, seconds = train([discs(0)], [discs(1)], SETTINGS, folder=tmp_path, say=lambda _: None)
    (tmp_path / "index.csv").write_text("split,source,name,licence,nuclei\nval,here,a.png,CC0,5\n")
    path = tmp_path / "tiny.safetensors"
    export(network, history, SETTINGS, data=tmp_path, path=path, seconds=seconds)
    model = find_model(str(path))
    card, weights = read_model(model)
    assert card["data"] == [{"split": "val", "source": "here", "licence": "CC0", "images": 1, "nuclei": 5}]
    ready = build_network(card, weights, torch.device("cpu"))
    x = torch.rand(1, 1, 32, 32)
    torch.testing.assert_close(ready(x), network.eval()(x), atol=1e-4, rtol=1e-4)
    with pytest.raises(ConfigError, match="another sha256"):
        read_model(ModelFile(model.name, model.path, "0" * 64))
    path.with_suffix(".json").write_text(json.dumps(card | {"network": {"widths": [4, 9], "classes": 3}}))
    with pytest.raises(ConfigError, match="do not fit"):
        build_network(*read_model(model), torch.device("cpu"))
    with pytest.raises(ConfigError, match="does not exist; shipped models: fast"):
        find_model("slow")


def test_data_folders_that_do_not_do(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match=r"index\.csv does not exist"):
        load_split(tmp_path, "train")
    (tmp_path / "index.csv").write_text("split,name\nval,a.png\n")
    with pytest.raises(ConfigError, match="lists no image of split 'train'"):
        load_split(tmp_path, "train")
