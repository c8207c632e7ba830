"""Kinds of nuclei: which is which, what the network is to learn of it, and what a trained one tells."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path

import cv2
import numpy as np
import pandas as pd
import pytest
import tifffile
import torch
import torch.nn.functional as F

from hcs.commands.train import train_with
from hcs.errors import ConfigError
from hcs.field.worker import load_segmenter
from hcs.segment.networks import new_network
from hcs.segment.ours.unet import UNetSpec
from hcs.segment.settings import InstanceSettings
from hcs.store.models import find_model
from hcs.tiles.settings import TileSettings
from hcs.train.augment import Sample, _centre
from hcs.train.data import batch, load_split
from hcs.train.kinds import counted, kind_classes, kind_factors, kind_plane
from hcs.train.losses import kinds_loss, weighted_loss
from hcs.train.narrow import with_classes
from hcs.train.score import kinds_found
from hcs.train.settings import TrainSettings

SETTINGS = TrainSettings(
    widths=(4, 8),
    kinds=("round", "square"),
    steps=4,
    warmup_steps=2,
    batch=2,
    crop_px=32,
    evaluate_every=4,
    checkpoint_every=4,
    threads=1,
)


def shapes(seed: int, side: int = 96) -> tuple[Sample, list[str]]:
    """Discs, and squares twice as bright; the kinds of labels 1..n."""
    rng = np.random.default_rng(seed)
    labels, light = np.zeros((side, side), np.uint8), np.zeros((side, side), np.float32)
    kinds = []
    for i, (y, x) in enumerate((y, x) for y in range(12, side, 24) for x in range(12, side, 24)):
        kinds.append("square" if rng.random() < 0.5 else "round")
        if kinds[-1] == "square":
            cv2.rectangle(labels, (x - 6, y - 6), (x + 6, y + 6), i + 1, -1)
        else:
            cv2.circle(labels, (x, y), 7, i + 1, -1)
        light[labels == i + 1] = 0.9 if kinds[-1] == "square" else 0.4
    image = light + rng.normal(0.0, 0.03, light.shape)
    plane = np.array([0, *((k == "square") + 1 for k in kinds)], np.uint8)[labels]
    none = np.zeros(labels.shape, np.bool_)
    return Sample(image.astype(np.float32), labels.astype(np.int32), none, kinds=plane), kinds


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Two training images, of which the second has no nucleus of known kind, and one to choose by."""
    path = tmp_path_factory.mktemp("kinds")
    rows = []
    for seed, split in enumerate(("train", "train", "val")):
        sample, kinds = shapes(seed)
        (path / split / "images").mkdir(parents=True, exist_ok=True)
        (path / split / "labels").mkdir(exist_ok=True)
        name = f"{seed}.tif"
        pixels = (1000 * np.clip(sample.image, 0, None) + 100).astype(np.uint16)
        tifffile.imwrite(path / split / "images" / name, pixels)
        tifffile.imwrite(path / split / "labels" / name, sample.labels.astype(np.uint16))
        rows += [(name, label, kind) for label, kind in enumerate(kinds, start=1) if seed != 1]
        with (path / "index.csv").open("a") as file:
            file.write(("split,name\n" if not seed else "") + f"{split},{name}\n")
    pd.DataFrame(rows, columns=["image", "label", "kind"]).to_csv(path / "kinds.csv", index=False)
    return path


def test_every_pixel_gets_the_class_of_its_nucleus(folder: Path) -> None:
    samples = load_split(folder, "train", kinds=SETTINGS.kinds)
    told, untold = samples["0.tif"], samples["1.tif"]
    assert untold.kinds is None
    truth, kinds = shapes(0)
    np.testing.assert_array_equal(told.kinds, truth.kinds)
    np.testing.assert_array_equal(counted([told, untold], 2), [(truth.kinds == 1).sum(), 169 * kinds.count("square")])
    three = np.array([[0, 1, 1, 2]], np.uint8)
    np.testing.assert_array_equal(kind_classes(three, np.array([[0, 2, 0, 2]], np.uint8), 2), [[0, 2, 4, 3]])
    np.testing.assert_array_equal(kind_classes(three, None, 2), [[0, 4, 4, 3]])
    images, classes, _ = batch([told], replace(SETTINGS, as_taken=1.0, crop_px=64, empty_fraction=0.0), 0)
    inside = images[:, 0] > 0.25  # the network's input: above the background
    assert set(np.unique(classes[inside].numpy())) == {1, 2, 3}
    bright = images[:, 0][classes == 2].mean() - images[:, 0][classes == 1].mean()
    assert float(bright) > 0.1  # squares are the bright ones, in crops as well


def test_crops_lie_at_nuclei_of_each_kind_equally_often() -> None:
    sample, _ = shapes(0)
    alone = replace(sample, kinds=np.where(sample.labels == 5, 2, np.minimum(sample.labels, 1)).astype(np.uint8))

    def share(of: Sample) -> float:
        rng = np.random.default_rng(1)
        centres = np.array([_centre(of, rng, spread_px=0.0) for _ in range(300)]).astype(int)
        return float((sample.labels[centres[:, 0], centres[:, 1]] == 5).mean())

    assert share(alone) > 0.27  # two thirds of the crops lie at nuclei, half of these at the rare kind
    assert share(replace(alone, kinds=None)) < 0.12  # one nucleus of sixteen


def test_rare_kinds_weigh_more() -> None:
    np.testing.assert_allclose(kind_factors(np.array([900, 100, 0]), 0.5), [1.0, 3.0, 30.0])
    np.testing.assert_allclose(kind_factors(np.array([900, 100]), 0.0), [1.0, 1.0])


@pytest.mark.parametrize(
    ("row", "match"),
    [
        ("9.tif,1,round", "image '9.tif' is not known"),
        ("0.tif,1,oval", "kind 'oval' is not known"),
        ("0.tif,1,round", "names nucleus 1 of 0.tif twice"),
        ("0.tif,1.5,round", "no whole number"),
        ("0.tif,99,round", "0.tif: kinds.csv names its nucleus 99"),
    ],
)
def test_a_wrong_row_is_named(folder: Path, tmp_path: Path, row: str, match: str) -> None:
    for part in ("index.csv", "train", "val"):
        (tmp_path / part).symlink_to(folder / part)
    (tmp_path / "kinds.csv").write_text((folder / "kinds.csv").read_text() + row + "\n")
    with pytest.raises(ConfigError, match=match):
        load_split(tmp_path, "train", kinds=SETTINGS.kinds)


def test_a_kind_without_a_nucleus_and_settings_that_do_not_fit_are_refused(folder: Path) -> None:
    with pytest.raises(ConfigError, match="no nucleus of kind 'oval' in split 'val'"):
        load_split(folder, "val", kinds=(*SETTINGS.kinds, "oval"))
    with pytest.raises(ConfigError, match=r"2 to 100 kinds"):
        replace(SETTINGS, kinds=("one",))
    with pytest.raises(ConfigError, match="differ by letters"):
        replace(SETTINGS, kinds=("a-b", "ab"))
    with pytest.raises(ConfigError, match="need loss: cross_entropy"):
        replace(SETTINGS, loss="bce")
    with pytest.raises(ConfigError, match="which its labels do not have"):
        kind_plane(np.array([[0, 1]]), {2: 1}, "x")


def test_kinds_begin_as_the_interior_of_a_network_without() -> None:
    torch.manual_seed(0)
    three = new_network(UNetSpec(widths=(4, 8))).eval()
    five = new_network(UNetSpec(widths=(4, 8), classes=5)).eval()
    weights = {name: tensor.detach().numpy() for name, tensor in three.state_dict().items()}
    changed = with_classes(weights, 3, 5)
    five.load_state_dict({name: torch.from_numpy(array) for name, array in changed.items()})
    x = torch.rand(1, 1, 32, 32)
    with torch.inference_mode():
        before, after = (torch.softmax(network(x), dim=1)[0] for network in (three, five))
    torch.testing.assert_close(after[1:4].sum(dim=0), before[1])
    torch.testing.assert_close(after[[0, 4]], before[[0, 2]])
    torch.testing.assert_close(after[1], after[3])


def test_the_loss_finds_nuclei_of_any_kind_and_tells_known_ones() -> None:
    torch.manual_seed(0)
    logits, weights = torch.randn(1, 4, 1, 5), torch.tensor([[[1.0, 2.0, 1.0, 4.0, 0.0]]])
    classes = torch.tensor([[[0, 1, 4, 3, 2]]])  # background, round, unknown, boundary, an ignored square
    p = torch.softmax(logits, dim=1)[0, :, 0]
    found = -torch.log(torch.stack([p[0, 0], p[1, 1] + p[2, 1], p[1, 2] + p[2, 2], p[3, 3]]))
    expected = (found * weights[0, 0, :4]).sum() / 8.0
    told = -torch.log(p[1, 1] / (p[1, 1] + p[2, 1]))
    loss = kinds_loss(np.array([1.0, 5.0], np.float32), 0.5)(logits, classes, weights)
    torch.testing.assert_close(loss, expected + 0.5 * told)
    merged = torch.stack([logits[:, 0], torch.logsumexp(logits[:, 1:3], dim=1), logits[:, 3]], dim=1)
    untold = torch.tensor([[[0, 4, 4, 3, 4]]])
    alone = kinds_loss(np.ones(2, np.float32), 1.0)(logits, untold, weights)
    torch.testing.assert_close(alone, weighted_loss(merged, torch.tensor([[[0, 1, 1, 2, 1]]]), weights))
    assert F.cross_entropy(merged, torch.zeros(1, 1, 5, dtype=torch.long)) > 0


def test_a_found_nucleus_is_of_the_kind_whose_probability_it_holds_most_of() -> None:
    sample, kinds = shapes(3)
    assert sample.kinds is not None
    square = (sample.kinds == 2).astype(np.float32)
    planes = np.stack([0.75 - 0.5 * square, 0.25 + 0.5 * square])
    labels = np.where(sample.labels == 1, 0, sample.labels).astype(np.uint32)  # the first is missed
    true, found, score = kinds_found(sample, labels, planes)
    np.testing.assert_array_equal(true, [kind == "square" for kind in kinds[1:]])
    np.testing.assert_array_equal(found, true)
    np.testing.assert_allclose(score, 0.75)


def test_one_command_trains_a_model_that_tells_kinds(folder: Path, tmp_path: Path) -> None:
    settings = replace(SETTINGS, steps=60, learning_rate=0.01, evaluate_every=60, averaging=0.9, empty_fraction=0.0)
    said: list[str] = []
    path = train_with(settings, folder, tmp_path / "out", name="shapes", device="cpu", say=said.append)
    assert "round" in said[-1]
    assert "square" in said[-1]
    card = json.loads(path.with_suffix(".json").read_text())
    assert (card["kinds"], card["network"]["classes"]) == (["round", "square"], 4)
    assert "interior of square nuclei" in card["task"]
    taken = card["scores"]["kinds"]
    assert taken["round"]["nuclei"] + taken["square"]["nuclei"] > 8
    model = find_model(str(path))
    assert (model.kinds, find_model(f"{path},{path}").kinds) == (("round", "square"), ("round", "square"))
    sample, _ = shapes(7)
    found = {}
    for arithmetic in ("float32", "int8"):
        segmenter = load_segmenter(find_model(str(path), arithmetic=arithmetic), "cpu", flips=False)  # type: ignore[arg-type]
        seen = segmenter.probabilities(segmenter.prepare(1000 * sample.image + 100), TileSettings(size_px=64))
        np.testing.assert_allclose(seen.sum(axis=0), 1.0, atol=1e-5)
        found[arithmetic] = segmenter.recipe.kind_planes(seen)
        labels = segmenter.labels(seen, InstanceSettings(min_confidence=0.0))
        assert found[arithmetic] is not None
        true, told, _ = kinds_found(sample, labels, found[arithmetic])
        assert len(true) > 8
        assert (true == told).mean() > 0.9
    assert np.abs(found["float32"] - found["int8"]).mean() < 0.05
