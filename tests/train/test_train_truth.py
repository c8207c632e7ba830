"""Truth from another channel: what is ignored and why, splits by well, states of a sensor in crops."""

from __future__ import annotations

from pathlib import Path
from typing import cast

import cv2
import numpy as np
import pytest
from numpy.typing import NDArray

from hcs.errors import ConfigError
from hcs.measure.registration import moved
from hcs.segment.segmenter import Segmenter
from hcs.segment.settings import InstanceSettings
from hcs.store.files.images import read_label_image
from hcs.tiles.settings import TileSettings
from hcs.train.augment import Sample
from hcs.train.contaminate import compressed, linear
from hcs.train.data import read_index
from hcs.train.translocate import contrast_parts, faint_factor, gapped, translocated
from hcs.train.truth import (
    BLURRED,
    LACKING,
    SATURATED,
    UNSEEN,
    UNSURE,
    TruthSettings,
    camera_limit,
    evidence,
    vet,
    without_lacking,
)
from hcs.train.truth_folder import Field, Finder, write_truth
from hcs.train.wells import split_wells

PLACES = {1: (40, 40), 2: (40, 120), 3: (120, 40), 4: (120, 120), 5: (200, 120)}
SHAPE = (240, 160)


def labels() -> NDArray[np.int32]:
    """Five round nuclei, 24 px across."""
    drawn = np.zeros(SHAPE, np.int32)
    for value, (y, x) in PLACES.items():
        cv2.circle(drawn, (x, y), 12, value, -1)
    return drawn


def truth_channel(nuclei: NDArray[np.int32], rng: np.random.Generator) -> NDArray[np.uint8]:
    """Nuclei of 120 on 20; the second saturates, the third is out of focus."""
    light = np.where(nuclei > 0, 120.0, 20.0)
    light[nuclei == 2] = 400.0
    light = cv2.GaussianBlur(light, (0, 0), 1.0)
    light = np.where(nuclei == 2, 400.0, light)
    sharp, soft = light.copy(), cv2.GaussianBlur(np.where(nuclei == 3, 120.0, 20.0), (0, 0), 8.0)
    sharp[90:150, :80] = soft[90:150, :80]
    return np.clip(sharp + rng.normal(0, 1, SHAPE), 0, 255).astype(np.uint8)


def test_each_nucleus_that_cannot_be_trusted_is_ignored_for_its_own_reason() -> None:
    rng = np.random.default_rng(0)
    nuclei = labels()
    truth = truth_channel(nuclei, rng)
    given = rng.normal(100, 2, SHAPE)
    around = cv2.dilate(nuclei.astype(np.float32), np.ones((31, 31)))
    given[(around > 0) & (around != 4)] += 300  # the fourth nucleus' cell has no sensor
    confidence = np.where(nuclei == 5, 0.4, 0.95).astype(np.float32)
    found = evidence(nuclei, truth, given.astype(np.uint16), limit=camera_limit([truth]), confidence=confidence)
    usual = float(np.nanmedian(found.sharpness))
    vetted = vet(nuclei, found, TruthSettings(), usual_sharpness=usual)
    assert vetted.reasons == {2: SATURATED, 3: BLURRED, 4: UNSEEN, 5: UNSURE}
    assert vetted.counts()[""] == 1
    assert not vetted.ignore[nuclei == 1].any()
    assert vetted.ignore[nuclei > 1].all()


def test_labels_from_elsewhere_need_no_confidence_and_a_float_camera_no_limit() -> None:
    nuclei = labels()
    truth = cv2.GaussianBlur(np.where(nuclei > 0, 1.0, 0.1).astype(np.float32), (0, 0), 1.0)
    found = evidence(
        nuclei, truth, truth, limit=camera_limit([truth + np.random.default_rng(1).normal(0, 1e-3, SHAPE)])
    )
    assert np.all(found.confidence == 1)
    assert np.all(found.saturated == 0)
    assert not vet(nuclei, found, TruthSettings(), usual_sharpness=float(np.median(found.sharpness))).reasons


def test_what_the_first_round_sees_and_the_truth_lacks_is_ignored_without_touching_the_truth() -> None:
    nuclei = labels()
    truth = np.where(nuclei == 5, 0, nuclei).astype(np.int32)
    image = np.where(nuclei > 0, 200, 20).astype(np.uint8)
    found = evidence(truth, image, image, limit=None)
    vetted = vet(truth, found, TruthSettings(), usual_sharpness=0.0)
    seen = nuclei.copy()
    cv2.circle(seen, (40, 200), 12, 6, -1)  # unsure
    confidence = np.where(seen == 6, 0.5, 0.9).astype(np.float32)
    second = without_lacking(vetted, seen, confidence, TruthSettings())
    assert second.counts()[LACKING] == 1
    assert second.ignore[nuclei == 5].all()
    assert not second.ignore[(truth > 0) | (seen == 6)].any()


def test_a_pile_of_pixels_at_the_top_is_a_cameras_limit_and_a_tail_is_none() -> None:
    rng = np.random.default_rng(2)
    tail = rng.exponential(30, (200, 200))
    assert camera_limit([np.minimum(tail, 255).astype(np.uint8), np.minimum(tail, 90).astype(np.uint8)]) is None
    assert camera_limit([np.minimum(tail * 4, 255).astype(np.uint8)]) == 255


@pytest.mark.parametrize("count", [2, 3, 5, 12, 96])
def test_every_well_has_one_split_and_each_split_has_wells(count: int) -> None:
    wells = [f"P/{i}" for i in range(count)]
    splits = split_wells(wells)
    assert list(splits) == wells
    assert {"train", "val"} <= set(splits.values())
    assert ("test" in splits.values()) == (count > 2)
    assert split_wells(wells) == splits


def test_named_wells_are_taken_at_their_word() -> None:
    splits = split_wells(["a", "b", "c", "d"], val=["b"], test=["d", "c"])
    assert splits == {"a": "train", "b": "val", "c": "test", "d": "test"}
    with pytest.raises(ConfigError, match="both"):
        split_wells(["a", "b", "c"], val=["b"], test=["b"])
    with pytest.raises(ConfigError, match="left to train"):
        split_wells(["a", "b"], val=["a"], test=["b"])
    with pytest.raises(ConfigError, match="at least 2"):
        split_wells(["a"])


def cells() -> Sample:
    """Nuclei twice as bright as their cytoplasm."""
    nuclei = labels()
    body = cv2.dilate((nuclei > 0).astype(np.uint8), np.ones((41, 41), np.uint8)) > 0
    light = np.where(nuclei > 0, 0.8, np.where(body, 0.4, 0.0)).astype(np.float32)
    return Sample(compressed(light), nuclei, np.zeros(SHAPE, bool))


def test_translocation_changes_nuclei_alone_and_to_both_sides() -> None:
    sample, folds = cells(), []
    for seed in range(12):
        crop = translocated(sample, np.random.default_rng(seed))
        away = cv2.dilate((sample.labels > 0).astype(np.uint8), np.ones((15, 15), np.uint8)) == 0
        assert np.abs(crop.image - sample.image)[away].max() < 1e-3
        inside, around = contrast_parts(linear(crop.image), crop.labels)
        folds += list((inside - around)[1:])
    assert min(folds) < -0.8
    assert max(folds) > 0.8
    assert np.mean(np.isclose(folds, 1.0, atol=0.1)) > 0.2  # every second one stays


def test_holes_are_background_and_leave_nuclei_as_they_are() -> None:
    sample = cells()
    crop = gapped(sample, np.random.default_rng(3))
    near = cv2.dilate((sample.labels > 0).astype(np.uint8), np.ones((3, 3), np.uint8)) > 0
    assert np.array_equal(crop.labels, sample.labels)
    assert (linear(crop.image)[~near] < 0.1 * 0.4 + 0.02).sum() > (linear(sample.image)[~near] < 0.06).sum() + 30
    assert linear(crop.image)[sample.labels > 0].min() > 0.4


def test_nuclei_as_bright_as_their_ring_weigh_more() -> None:
    sample = cells()
    light = linear(sample.image)
    light[sample.labels == 1] = 0.4
    factor = faint_factor(compressed(light), sample.labels, 3.0)
    assert factor[sample.labels == 1].min() > 2.8
    assert np.allclose(factor[sample.labels == 2], 1.0, atol=0.05)


@pytest.mark.parametrize("register", [True, False])
def test_a_truth_that_lies_beside_its_input_is_moved_there(register: bool, tmp_path: Path) -> None:
    """The input's camera lies 3 px to the left of the truth's and 2 px below it."""
    rng = np.random.default_rng(3)
    nuclei, light = np.zeros(SHAPE, np.int32), np.full(SHAPE, 20.0, np.float32)
    for value in range(1, 25):
        x, y = (int(rng.integers(12, side - 12)) for side in (SHAPE[1], SHAPE[0]))
        cv2.circle(light, (x, y), 8, 200.0, -1)
        cv2.circle(nuclei, (x, y), 8, value, -1)
    truth = np.random.default_rng(4).poisson(cv2.GaussianBlur(light, (0, 0), 1.0)).astype(np.uint16)
    given = np.random.default_rng(5).poisson(moved(cv2.GaussianBlur(light, (0, 0), 1.0), 2, -3)).astype(np.uint16)
    field = Field(name="f", well="A01", split="train", read=lambda: (given, truth), labels=lambda: nuclei)
    said: list[str] = []
    finder = Finder(segmenter=cast(Segmenter, None), tiles=TileSettings(), instances=InstanceSettings())
    write_truth([field], tmp_path, finder, TruthSettings(register=register), say=said.append)
    row = read_index(tmp_path).iloc[0]
    labels = read_label_image(tmp_path / row["labels"])
    way = (2, -3) if register else (0, 0)
    assert (row["moved_y_px"], row["moved_x_px"]) == way
    assert np.array_equal(labels, moved(nuclei, *way))
    ignored = read_label_image(tmp_path / row["ignore"]) > 0
    assert ignored[:, -3:].all() == ignored[:2].all() == register
    assert any("moved by 2, -3 px" in line for line in said) == register
