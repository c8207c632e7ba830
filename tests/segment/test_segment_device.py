"""A field on its device comes to what the CPU makes of it: tensor code runs here on a CPU, and labels are the CPU's
(`test_segment_kernels.py` has the kernels)."""

from __future__ import annotations

from dataclasses import replace
from fractions import Fraction

import cv2
import numpy as np
import pytest
import torch
from numpy.typing import NDArray

from hcs.clock import Stopwatch
from hcs.segment.device.field import normalised
from hcs.segment.device.scale import enlarged_on_device, restored_on_device
from hcs.segment.networks import new_network
from hcs.segment.normalise import Normalisation, normalisation_of
from hcs.segment.ours.unet import UNetSpec, folded
from hcs.segment.recipe import Recipe
from hcs.segment.scale import SCALES, enlarged, restored
from hcs.segment.segmenter import Segmenter
from hcs.segment.settings import InstanceSettings
from hcs.tiles.settings import TileSettings

SHAPE = (211, 190)
LOOSE = InstanceSettings(interior=0.3, min_confidence=0.0)


@pytest.fixture(scope="module")
def pixels() -> NDArray[np.uint16]:
    rng = np.random.default_rng(5)
    spots = cv2.GaussianBlur((rng.random(SHAPE) < 0.004).astype(np.float32), (0, 0), 4.0)
    return rng.poisson(100 + 60_000 * spots).astype(np.uint16)


@pytest.fixture(scope="module")
def segmenter() -> Segmenter:
    """Two networks of random weights, averaged, with flips."""
    torch.manual_seed(1)
    spec = UNetSpec(widths=(4, 8, 16))
    return Segmenter((folded(new_network(spec)), folded(new_network(spec))), Recipe(diameter_px=24.0), flips=True)


@pytest.mark.parametrize("scale", SCALES)
def test_scales_are_those_of_the_cpu(scale: Fraction) -> None:
    rng = np.random.default_rng(2)
    field = rng.random(SHAPE, dtype=np.float32)
    there = enlarged_on_device(torch.from_numpy(field), scale).numpy()
    here = enlarged(field, scale)
    np.testing.assert_allclose(there, here, atol=3e-5)
    planes = rng.random((3, *here.shape), dtype=np.float32)
    back = restored_on_device(torch.from_numpy(planes), scale, SHAPE).numpy()
    np.testing.assert_allclose(back, restored(planes, scale, SHAPE), atol=3e-5)


@pytest.mark.parametrize("scale", [Fraction(1), Fraction(2, 3), Fraction(2)])
@pytest.mark.parametrize("dtype", ["uint8", "uint16", ">u2", "float64"])
def test_a_field_on_its_device_has_the_cpus_nuclei(
    segmenter: Segmenter, pixels: NDArray[np.uint16], scale: Fraction, dtype: str
) -> None:
    image = (pixels // 8 if dtype == "uint8" else pixels).astype(dtype)
    cut, clock = TileSettings(size_px=64), Stopwatch()
    labels, sure = segmenter.nuclei(image, cut, LOOSE, scale=scale)
    resident = replace(segmenter, on_device=True)
    there, sure_there = resident.nuclei(image, cut, LOOSE, scale=scale, clock=clock)
    np.testing.assert_allclose(sure_there.confidence, sure.confidence, atol=1e-5)
    assert sure.kinds is sure_there.kinds is None
    assert (labels.max() > 0, there.dtype, there.shape) == (True, np.uint32, SHAPE)
    assert np.mean((there > 0) != (labels > 0)) < 1e-3
    assert list(clock.seconds) == ["normalise", "upload", "infer", "instances", "download"]
    assert clock.bytes["upload"] == image.nbytes


def test_a_model_that_the_device_cannot_prepare_for_goes_by_the_host(
    segmenter: Segmenter, pixels: NDArray[np.uint16]
) -> None:
    filtered = replace(
        segmenter, recipe=replace(segmenter.recipe, preprocess=replace(segmenter.recipe.preprocess, median_px=3))
    )
    clock = Stopwatch()
    here, _ = filtered.nuclei(pixels, TileSettings(), LOOSE)
    there, _ = replace(filtered, on_device=True).nuclei(pixels, TileSettings(), LOOSE, clock=clock)
    np.testing.assert_array_equal(there, here)
    assert "upload" not in clock.seconds


def test_a_block_on_its_device_has_the_cpus_nuclei(segmenter: Segmenter, pixels: NDArray[np.uint16]) -> None:
    known, part, cut = normalisation_of(pixels), (slice(16, 150), slice(8, 190)), TileSettings(size_px=64)
    labels, sure = segmenter.nuclei_in_block(pixels, known, part, cut, LOOSE)
    whole = segmenter.nuclei(pixels, cut, LOOSE)[1]
    np.testing.assert_array_equal(sure.confidence, whole.confidence[part])
    clock = Stopwatch()
    resident = replace(segmenter, on_device=True)
    there, sure_there = resident.nuclei_in_block(pixels, known, part, cut, LOOSE, clock=clock)
    np.testing.assert_allclose(sure_there.confidence, sure.confidence, atol=1e-5)
    assert (labels.max() > 0, there.shape) == (True, (134, 182))
    assert np.mean((there > 0) != (labels > 0)) < 1e-3
    assert {"upload", "download"} <= set(clock.seconds)


def test_kinds_of_nuclei_come_from_the_device_as_from_the_cpu(pixels: NDArray[np.uint16]) -> None:
    torch.manual_seed(2)
    network = folded(new_network(UNetSpec(widths=(4, 8, 16), classes=5)))
    here = Segmenter((network,), Recipe(diameter_px=24.0, kinds=("a", "b", "c")), flips=True)
    cut = TileSettings(size_px=64)
    labels, sure = here.nuclei(pixels, cut, LOOSE)
    there, sure_there = replace(here, on_device=True).nuclei(pixels, cut, LOOSE)
    assert labels.max() > 0
    assert np.mean((there > 0) != (labels > 0)) < 1e-3
    seen = here.probabilities(here.prepare(pixels), cut)
    assert sure.kinds is not None
    assert sure_there.kinds is not None
    np.testing.assert_array_equal(sure.kinds, seen[1:4])
    np.testing.assert_allclose(sure_there.kinds, seen[1:4], atol=1e-5)
    np.testing.assert_allclose(sure.confidence, np.maximum(seen[1:4].sum(axis=0), seen[4]), atol=1e-6)
    np.testing.assert_allclose(sure_there.confidence, sure.confidence, atol=1e-5)
    merged = np.stack([seen[0], seen[1] + seen[2] + seen[3], seen[4]])
    np.testing.assert_array_equal(labels, Recipe().labels(merged, LOOSE))


@pytest.mark.parametrize("scale", [Fraction(1), Fraction(1, 2)])
def test_a_look_at_a_prepared_field_stays_on_the_device(
    segmenter: Segmenter, pixels: NDArray[np.uint16], scale: Fraction, monkeypatch: pytest.MonkeyPatch
) -> None:
    """As the estimate of the nuclei's diameter takes at several scales."""
    prepared, cut = segmenter.prepare(pixels), TileSettings(size_px=64)
    labels = segmenter.labels_of(prepared, cut, LOOSE, scale)
    resident = replace(segmenter, on_device=True)
    monkeypatch.setattr(Segmenter, "probabilities", None)  # the host's way
    there = resident.labels_of(prepared, cut, LOOSE, scale)
    assert (labels.max() > 0, there.dtype) == (True, np.uint32)
    assert np.mean((there > 0) != (labels > 0)) < 1e-3


def test_a_field_of_one_value_is_dark_on_the_device_too() -> None:
    assert not normalised(torch.full((4, 4), 7, dtype=torch.uint16), Normalisation(7.0, 0.0)).any()
