"""Classical pipelines: what they find in simple fields, and what tells them apart."""

from __future__ import annotations

from pathlib import Path

import cv2
import numpy as np
import pytest
from numpy.typing import NDArray

from hcs.commands.segment import segment_folder
from hcs.config import Config
from hcs.errors import ConfigError
from hcs.evaluate.matching import match
from hcs.segment.baselines.classical import METHODS, Method, advanced, otsu
from hcs.segment.baselines.forest import pixel_features, train_forest


def field(seed: int, *, shading: float = 0.0) -> tuple[NDArray[np.uint16], NDArray[np.int32]]:
    """Image (160, 200) of bright discs on a noisy background, optionally under a ramp of haze, and its labels."""
    rng = np.random.default_rng(seed)
    labels = np.zeros((160, 200), np.uint8)
    for label, (row, column) in enumerate(np.ndindex(4, 5), start=1):
        centre = (20 + 40 * column + int(rng.integers(-4, 5)), 20 + 40 * row + int(rng.integers(-4, 5)))
        cv2.circle(labels, centre, int(rng.integers(8, 12)), label, -1)
    pixels = cv2.GaussianBlur(200.0 + 400.0 * (labels > 0), (0, 0), 1.0) + rng.normal(0.0, 15.0, labels.shape)
    pixels += shading * np.linspace(0.0, 400.0, 200)[None, :]
    return pixels.astype(np.uint16), labels.astype(np.int32)


@pytest.mark.parametrize("method", [otsu, advanced])
def test_separate_discs_are_found(method: Method) -> None:
    image, truth = field(0)
    found = method(image)
    assert found.dtype == np.uint32
    assert match(truth, found).f1(0.8) == 1.0


@pytest.mark.parametrize("method", [otsu, advanced])
def test_an_image_of_one_value_has_no_nuclei(method: Method) -> None:
    assert not method(np.full((40, 50), 300, np.uint16)).any()


def test_shading_defeats_one_threshold_and_not_the_advanced_pipeline() -> None:
    image, truth = field(1, shading=1.0)
    assert match(truth, otsu(image)).f1(0.5) < 0.8
    assert match(truth, advanced(image)).f1(0.7) == 1.0


@pytest.mark.parametrize("method", [otsu, advanced])
def test_touching_discs_are_parted(method: Method) -> None:
    truth = np.zeros((80, 120), np.uint8)
    for label, x in enumerate((35, 59, 83), start=1):
        cv2.circle(truth, (x, 40), 13, label, -1)
    image = (100 + 500 * (truth > 0)).astype(np.uint16)
    assert match(truth, method(image)).f1(0.8) == 1.0


def test_a_forest_learns_discs_and_gives_the_same_nuclei_twice() -> None:
    pytest.importorskip("sklearn", reason="scikit-learn is not installed; the dev extra brings it")
    training = [field(seed) for seed in (2, 3)]
    image, truth = field(4)
    found = [train_forest(training, pixels_per_image=400, trees=8, threads=1)(image) for _ in range(2)]
    assert match(truth, found[0]).f1(0.7) > 0.95
    np.testing.assert_array_equal(*found)


def test_features_of_a_ridge() -> None:
    # f = x²/2: first derivative x, second derivative 1; eigenvalues 1 and 0 wherever smoothing sees no border.
    x = np.arange(-60, 61, dtype=np.float32)
    features = pixel_features(np.tile(x**2 / 200.0, (121, 1)))
    assert features.shape == (121, 121, 31)
    smooth, gradient, laplacian, _, largest, smallest = features[60, 70, 1:7]
    assert smooth == pytest.approx(0.5 + 0.7**2 / 200.0, abs=1e-3)
    assert gradient == pytest.approx(0.1, rel=1e-3)
    assert laplacian == pytest.approx(0.01, rel=1e-2)
    assert (largest, smallest) == (pytest.approx(0.01, rel=1e-2), pytest.approx(0.0, abs=1e-4))


def test_a_folder_is_segmented_by_a_classical_method(tmp_path: Path) -> None:
    image, truth = field(5)
    (tmp_path / "images").mkdir()
    cv2.imwrite(str(tmp_path / "images" / "a.png"), image)
    summary = segment_folder(tmp_path / "images", tmp_path / "out", Config(), method="otsu", say=lambda _: None)
    assert summary.nuclei == {"a.png": truth.max()}
    with pytest.raises(ConfigError, match="method 'magic' does not exist; there are otsu, advanced"):
        segment_folder(tmp_path / "images", tmp_path / "out", Config(), method="magic", say=lambda _: None)
    assert set(METHODS) == {"otsu", "advanced"}
