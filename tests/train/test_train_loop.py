"""Training: the same crops from the same seed, and the same weights however often the run was stopped."""

from __future__ import annotations

import json
from dataclasses import replace
from fractions import Fraction
from pathlib import Path

import cv2
import numpy as np
import pytest
import torch

from hcs.errors import ConfigError
from hcs.segment.networks import build_integers, build_network, new_network
from hcs.segment.ours.integers import Integers
from hcs.segment.recipe import read_recipe
from hcs.segment.scale import enlarged
from hcs.store.models import ModelFile, find_model, read_model
from hcs.train.augment import Sample, empty_field, photometric, plain_crop, random_crop, retaken, shaded
from hcs.train.config import read_train_settings
from hcs.train.data import SCALE_RULES, at_training_scale, batch, load_split, preprocess_for
from hcs.train.export import export
from hcs.train.figure import history_figure
from hcs.train.loop import train
from hcs.train.optimise import learning_rate
from hcs.train.settings import TrainSettings
from hcs.train.spec import network_spec

REPOSITORY = Path(__file__).resolve().parents[2]
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


@pytest.mark.parametrize("zoom", [1, 2, Fraction(3, 2)])
@pytest.mark.parametrize("seed", range(4))
def test_a_plain_crop_has_the_pixels_that_a_plate_has(seed: int, zoom: int | Fraction) -> None:
    sample = replace(discs(seed, side=96), zoom=float(zoom))
    crop = plain_crop(sample, np.random.default_rng(seed), crop_px=32)
    whole = enlarged(np.pad(sample.image, 90, mode="reflect"), Fraction(zoom))  # crops go on beyond the border
    turned = [np.rot90(m, k) for m in (crop.image, crop.image.T) for k in range(4)]
    windows = np.lib.stride_tricks.sliding_window_view(whole, (32, 32))
    nearest = min(float(np.abs(windows - turn).max(axis=(2, 3)).min()) for turn in turned)
    assert nearest < 0.02  # OpenCV interpolates in steps of 1/32 px
    assert ((crop.labels > 0) == (crop.image > 0.4)).mean() > 0.95


@pytest.mark.parametrize(("rule", "zoom"), [("working", 1.0), ("nearest", 1.5)])
def test_nuclei_are_magnified_as_a_plate_of_their_size_will_be(rule: str, zoom: float) -> None:
    sample = discs(0)  # about 12 px across
    assert at_training_scale(sample, 18.0, SCALE_RULES[rule]).zoom == zoom
    shrunk = at_training_scale(sample, 6.0, SCALE_RULES[rule])
    assert (shrunk.zoom, shrunk.image.shape) == (1.0, (32, 32))


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


@pytest.mark.parametrize(
    "settings",
    [
        SETTINGS,
        replace(SETTINGS, optimiser="adam", loss="bce+dice", weights="distance", gradient=0.5, camera=0.5),
        replace(
            SETTINGS, network="concat", optimiser="rmsprop", dropout=0.2, schedule="constant", classes=2, loaders=2
        ),
        replace(SETTINGS, bfloat16=True, balance_px=200, as_taken=0.5),
    ],
    ids=["adamw", "adam", "rmsprop", "bfloat16"],
)
def test_a_stopped_run_goes_on_to_the_same_weights(settings: TrainSettings, tmp_path: Path) -> None:
    training, validation = [discs(0), discs(1)], [discs(2)]
    whole = train(training, validation, settings, folder=tmp_path / "whole", say=lambda _: None)

    class Stop(Exception):
        """Stands for the kill."""

    def stop(_: str) -> None:
        raise Stop

    with pytest.raises(Stop):  # at the evaluation after step 3; the last checkpoint is of step 2
        train(training, validation, settings, folder=tmp_path / "stopped", say=stop)
    resumed = train(training, validation, settings, folder=tmp_path / "stopped", say=lambda _: None)
    assert resumed.history == whole.history
    assert resumed.curve == whole.curve
    assert [row["step"] for row in whole.curve] == [2, 4, 6]
    assert (tmp_path / "stopped" / "losses.csv").read_text() == (tmp_path / "whole" / "losses.csv").read_text()
    np.testing.assert_array_equal(resumed.scores, whole.scores)
    for name, tensor in whole.network.state_dict().items():
        assert torch.equal(tensor, resumed.network.state_dict()[name]), name


def test_training_stops_when_evaluations_bring_nothing_better(tmp_path: Path) -> None:
    # A rate of zero leaves the weights, and so the F1, where they are: no evaluation is better than the first.
    settings = replace(SETTINGS, learning_rate=0.0, steps=20, evaluate_every=2, patience=2)
    said: list[str] = []
    trained = train([discs(0)], [discs(1)], settings, folder=tmp_path, say=said.append)
    assert [row["step"] for row in trained.history] == [2, 4, 6]
    assert said[-1] == "no better F1 in 2 evaluations: stopped"
    again = train([discs(0)], [discs(1)], settings, folder=tmp_path, say=said.append)
    assert again.history == trained.history
    assert len(said) == 4


def test_effects_that_are_off_leave_the_random_stream_alone() -> None:
    samples = [discs(0), discs(1)]
    off = batch(samples, replace(SETTINGS, gradient=0.0, camera=0.0, gradient_ratio=3.0, loaders=3), 5)
    for a, b in zip(off, batch(samples, SETTINGS, 5), strict=True):
        assert torch.equal(a, b)
    on = batch(samples, replace(SETTINGS, camera=1.0), 5)
    assert not torch.equal(on[0], off[0])


def test_illumination_falls_off_linearly_and_keeps_the_mean() -> None:
    flat = np.ones((33, 33), np.float32)
    for seed in range(5):
        out = shaded(flat, np.random.default_rng(seed), ratio=2.0)
        assert 1.0 < float(out.max() / out.min()) <= 2.0 + 1e-5
        assert float(out.mean()) == pytest.approx(1.0, abs=1e-5)
        np.testing.assert_allclose(np.diff(out, n=2, axis=0), 0.0, atol=1e-5)


def test_a_camera_keeps_the_image_on_average_and_quantises() -> None:
    image = np.full((200, 200), 0.5, np.float32)
    taken = [retaken(image, np.random.default_rng(seed)) for seed in range(12)]
    assert np.mean([t.mean() for t in taken]) == pytest.approx(0.5, abs=0.02)
    assert all(t.dtype == np.float32 and t.std() > 0 for t in taken)
    assert min(np.unique(t).size for t in taken) < 256


def test_a_folder_of_another_run_names_the_difference(tmp_path: Path) -> None:
    train([discs(0)], [discs(1)], SETTINGS, folder=tmp_path, say=lambda _: None)
    with pytest.raises(ConfigError, match="other learning_rate, seed"):
        train([discs(0)], [discs(1)], replace(SETTINGS, seed=9, learning_rate=1e-3), folder=tmp_path)


def test_an_exported_model_is_found_and_runs(tmp_path: Path) -> None:
    trained = train([discs(0)], [discs(1), discs(2)], SETTINGS, folder=tmp_path, say=lambda _: None)
    (tmp_path / "index.csv").write_text("split,source,name,licence,nuclei\nval,here,a.png,CC0,5\n")
    path = tmp_path / "tiny.safetensors"
    export(trained, SETTINGS, data=tmp_path, path=path, machine={"processor": "abacus"})
    model = find_model(str(path))
    card, weights = read_model(model)
    assert card["data"] == [{"split": "val", "source": "here", "licence": "CC0", "images": 1, "nuclei": 5}]
    assert card["settings_sha256"] == SETTINGS.digest() != replace(SETTINGS, seed=1).digest()
    assert card["trained"]["machine"] == {"processor": "abacus", "threads": 1, "device": "cpu"}
    assert card["diameter_px"] == 24.0
    low, high = card["scores"]["F1 at IoU 0.5, 95 % interval"]
    assert low <= card["scores"]["F1 at IoU 0.5"] <= high
    assert read_recipe(card) == trained.recipe
    assert isinstance(build_integers(card, weights, torch.device("cpu")), Integers)
    ready = build_network(card, weights, torch.device("cpu"))
    x = torch.rand(1, 1, 32, 32)
    torch.testing.assert_close(ready(x), trained.network.eval()(x), atol=1e-4, rtol=1e-4)
    with pytest.raises(ConfigError, match="another sha256"):
        read_model(ModelFile(model.name, model.path, "0" * 64))
    path.with_suffix(".json").write_text(json.dumps(card | {"network": {"widths": [4, 9], "classes": 3}}))
    with pytest.raises(ConfigError, match="do not fit"):
        build_network(*read_model(model), torch.device("cpu"))
    with pytest.raises(ConfigError, match=r"does not exist; shipped models: .*fast"):
        find_model("slow")


def test_data_folders_that_do_not_do(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match=r"index\.csv does not exist"):
        load_split(tmp_path, "train")
    (tmp_path / "index.csv").write_text("split,image\nval,a.png\n")
    with pytest.raises(ConfigError, match="needs the column split, and name, or images and labels"):
        load_split(tmp_path, "train")
    (tmp_path / "index.csv").write_text("split,name\nval,a.png\n")
    with pytest.raises(ConfigError, match="lists no image of split 'train'"):
        load_split(tmp_path, "train")


def test_an_index_may_give_paths(tmp_path: Path) -> None:
    sample = discs(0)
    for folder in ("by-name/train/images", "by-name/train/labels", "by-name/train/ignore", "by-path"):
        (tmp_path / folder).mkdir(parents=True, exist_ok=True)
    pixels, ignore = (sample.image * 1000 + 500).astype(np.uint16), np.zeros((64, 64), np.uint8)
    ignore[:8] = 255
    for kind, array in (("images", pixels), ("labels", sample.labels.astype(np.uint16)), ("ignore", ignore)):
        cv2.imwrite(str(tmp_path / "by-name" / "train" / kind / "a.png"), array)
    (tmp_path / "by-name" / "index.csv").write_text("split,name\ntrain,a.png\n")
    folder = "../by-name/train"
    (tmp_path / "by-path" / "index.csv").write_text(
        f"split,images,labels,ignore\ntrain,{folder}/images/a.png,{folder}/labels/a.png,{folder}/ignore/a.png\n"
    )
    (named,) = load_split(tmp_path / "by-name", "train").values()
    (given,) = load_split(tmp_path / "by-path", "train").values()
    np.testing.assert_array_equal(named.image, given.image)
    np.testing.assert_array_equal(given.labels, sample.labels)
    assert named.ignore.sum() == given.ignore.sum() == 8 * 64


def test_the_histogram_to_match_comes_from_a_training_image(tmp_path: Path) -> None:
    (tmp_path / "train" / "images").mkdir(parents=True)
    cv2.imwrite(str(tmp_path / "train" / "images" / "a.png"), (discs(0).image.clip(0, 1) * 255).astype(np.uint8))
    (tmp_path / "index.csv").write_text("split,name\ntrain,a.png\n")
    preprocess = preprocess_for(tmp_path, replace(SETTINGS, normalise="min-max", histogram_of="a.png", median_px=3))
    assert (preprocess.histogram[0], preprocess.histogram[-1], preprocess.median_px) == (0.0, 1.0, 3)
    with pytest.raises(ConfigError, match=r"histogram_of = 'b\.png' is no training image"):
        preprocess_for(tmp_path, replace(SETTINGS, histogram_of="b.png"))


def test_the_history_is_drawn() -> None:
    curve = [{"step": 100.0 * i, "loss": 1.0 / i} for i in range(1, 5)]
    history = [
        {"step": 200.0, "val_mean_f1": 0.6, "val_f1_at_0.5": 0.8},
        {"step": 400.0, "val_mean_f1": 0.5, "val_f1_at_0.5": 0.9},
    ]
    loss, score = history_figure(curve, history).axes
    np.testing.assert_allclose(loss.lines[0].get_ydata(), [1.0, 1 / 2, 1 / 3, 1 / 4])
    assert [line.get_label() for line in score.lines] == ["mean F1, IoU 0.50–0.90", "F1 at IoU 0.5", "kept"]
    assert (score.lines[2].get_xdata()[0], score.lines[2].get_ydata()[0]) == (200.0, 0.6)


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"optimiser": "sgd"}, "optimiser = 'sgd': one of adamw, adam, rmsprop"),
        ({"classes": 4}, "classes = 4: one of 2, 3"),
        ({"boundary": "centred", "boundary_px": 2}, "a centred boundary needs an odd width"),
        ({"dropout": 1.5}, "dropout = 1.5: a fraction"),
        ({"loaders": 0}, "loaders = 0: it must be at least 1"),
        ({"balance_px": -1}, "balance_px = -1: it must be at least 0"),
        ({"as_taken": 1.5}, "as_taken = 1.5: a fraction"),
    ],
)
def test_settings_out_of_range_name_the_key(change: dict[str, object], message: str) -> None:
    with pytest.raises(ConfigError, match=message):
        replace(SETTINGS, **change)


@pytest.mark.parametrize("path", sorted((REPOSITORY / "configs" / "train").rglob("*.yaml")), ids=lambda p: p.stem)
def test_every_shipped_configuration_is_read_and_can_be_shortened(path: Path) -> None:
    settings = read_train_settings(path)
    short = settings.shortened(10)
    assert (short.steps, short.patience) == (10, 0)
    assert short.warmup_steps < 10
    assert new_network(network_spec(settings)).spec.classes == (
        2 + len(settings.kinds) if settings.kinds else settings.classes
    )


def test_weights_of_another_network_are_refused(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match="start_from = 'fast': its weights do not fit"):
        train([discs(0)], [discs(1)], replace(SETTINGS, start_from="fast"), folder=tmp_path)


def test_a_share_of_the_weights_at_the_start_is_kept(tmp_path: Path) -> None:
    first = train([discs(0)], [discs(1)], SETTINGS, folder=tmp_path / "first")
    (tmp_path / "index.csv").write_text("split,source,name,licence,nuclei\nval,here,a.png,CC0,5\n")
    export(first, SETTINGS, data=tmp_path, path=tmp_path / "first.safetensors")
    start = replace(SETTINGS, start_from=str(tmp_path / "first.safetensors"), evaluate_every=6)
    freed, kept, held = (
        train([discs(0)], [discs(1)], replace(start, kept=share), folder=tmp_path / str(share))
        for share in (0.0, 0.5, 1.0)
    )
    names = ("head.weight", "down.0.norm1.running_mean")
    for name in names:
        begun, end, middle = (run.network.state_dict()[name] for run in (held, freed, kept))
        assert not torch.equal(begun, end)
        torch.testing.assert_close(middle, (begun + end) / 2)
        torch.testing.assert_close(begun, first.network.state_dict()[name])
    with pytest.raises(ConfigError, match="start_from"):
        replace(SETTINGS, kept=0.5)
