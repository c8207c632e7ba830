"""The network in 8-bit integers: whole-number convolutions, the same bytes however it is cut, and when it is used."""

from __future__ import annotations

import hashlib
import os
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
import torch
from numpy.typing import NDArray
from scipy.signal import correlate

from hcs.errors import ConfigError
from hcs.field.worker import load_segmenter
from hcs.segment.networks import build_integers, describe, weights_of
from hcs.segment.ours import integers, rows
from hcs.segment.ours.integers import LARGEST_WEIGHT, Integers, Steps, names_of
from hcs.segment.ours.stream import stream
from hcs.segment.ours.unet import UNet, UNetSpec, folded
from hcs.segment.predict import predict, tune_cpu
from hcs.store.models import find_model, with_arithmetic
from hcs.tiles.settings import TileSettings
from hcs.train.steps import steps_of

SHAPE = UNetSpec(widths=(4, 6, 8))
OLDEST = "SSE41"
"""Instructions that every x86-64 processor of the last fifteen years has."""


def network(spec: UNetSpec = SHAPE) -> UNet:
    """A folded network of random weights, whose layers give values of usual size."""
    torch.manual_seed(0)
    net = UNet(spec)
    with torch.inference_mode():
        net.train()(torch.rand(4, 1, 48, 48))
    return folded(net)


def fields(*shape: int) -> NDArray[np.float32]:
    return np.random.default_rng(0).random(shape, dtype=np.float32)


def whole(net: UNet) -> Integers:
    return Integers(net, steps_of(net, fields(3, 64, 80)))


def test_a_convolution_is_that_of_whole_numbers() -> None:
    rng = np.random.default_rng(1)
    weights = rng.integers(-LARGEST_WEIGHT, LARGEST_WEIGHT + 1, (5, 7, 3, 3)).astype(np.float64)
    weights[:, 0, 0, 0] = LARGEST_WEIGHT
    entering = rng.integers(0, 256, (7, 6, 21)).astype(np.uint8)
    zero, step, scale = 3, 2.0**-5, 2.0**-9
    conv = torch.nn.Conv2d(7, 5, 3)
    conv.weight = torch.nn.Parameter(torch.from_numpy(weights * scale).float(), requires_grad=False)
    conv.bias = torch.nn.Parameter(torch.tensor([0.5, -1.0, 0.0, 2.0, -3.0]), requires_grad=False)
    layer = integers._Convolution.of(conv, step, zero, 2.0**-3)
    found = layer(torch.from_numpy(entering)[None].contiguous(memory_format=torch.channels_last))[0].numpy()
    for channel, own in enumerate(weights):
        sums = correlate(entering.astype(np.float64) - zero, own, mode="valid")[0]
        value = sums * step * scale + float(conv.bias[channel])
        expected = np.clip(np.rint(np.maximum(value, 0.0) / 2.0**-3), 0, 255)
        np.testing.assert_array_equal(found[channel], expected)


@pytest.mark.parametrize("at_once_px", [1, 4000, 10**6])
@pytest.mark.parametrize("height", [16, 48, 208])
def test_rows_that_stream_through_give_the_whole_tiles_bytes(
    height: int, at_once_px: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("hcs.segment.memory._STREAM_PX", at_once_px)
    net, batch = whole(network()), torch.from_numpy(fields(2, height, 80))
    with torch.inference_mode():
        expected = [net.classes(net.last_rows(tile[None])).numpy() for tile in batch[:, None]]
        np.testing.assert_array_equal(stream(net, batch), expected)
        np.testing.assert_allclose(expected, torch.softmax(net(batch[:, None]), dim=1), atol=1e-6)


@pytest.mark.parametrize("size_px", [64, 80, 128])
def test_tiles_of_any_size_give_the_same_bytes(size_px: int) -> None:
    net, field = whole(network()), fields(203, 150)
    one_tile = predict(net, field, TileSettings(size_px=4096))
    np.testing.assert_array_equal(predict(net, field, TileSettings(size_px=size_px)), one_tile)


def test_two_threads_give_the_same_bytes() -> None:
    net, field = whole(network()), fields(208, 176)
    single = predict(net, field, TileSettings())
    try:
        tune_cpu(threads=2)
        np.testing.assert_array_equal(predict(net, field, TileSettings()), single)
    finally:
        tune_cpu(threads=1)


def digest() -> str:
    """Of what the shipped model makes of a field that is the same everywhere."""
    net = load_segmenter(with_arithmetic(find_model("fast"), "int8"), "cpu", flips=False).networks[0]
    found = predict(net, np.random.default_rng(2).random((96, 112), dtype=np.float32), TileSettings())
    assert found.std() > 0.1
    return hashlib.sha256(found.tobytes()).hexdigest()


def test_an_older_processor_gives_the_same_bytes() -> None:
    """Its instructions for multiplying bytes add pairs of products in 16 bits, which larger weights overflow."""
    older = {"ONEDNN_MAX_CPU_ISA": OLDEST, "ATEN_CPU_CAPABILITY": "default", "PYTHONPATH": os.pathsep.join(sys.path)}
    told = subprocess.run(
        [sys.executable, "-c", "import test_segment_integers as t; print(t.digest())"],
        cwd=Path(__file__).parent,
        env=os.environ | older,
        capture_output=True,
        text=True,
        check=True,
    )
    assert told.stdout.strip() == digest()


def test_the_shipped_model_is_close_to_float32() -> None:
    y, x = np.mgrid[:192, :208]
    distance = np.min([np.hypot(y - a, x - b) for a in range(24, 192, 40) for b in range(20, 208, 36)], axis=0)
    field = (np.clip(1.2 - distance / 12.0, 0.0, 0.8) + np.random.default_rng(0).normal(0, 0.02, y.shape)).astype(
        np.float32
    )
    plain, exact = (
        load_segmenter(with_arithmetic(find_model("fast"), numbers), "cpu", flips=False)
        for numbers in ("float32", "int8")
    )
    assert isinstance(exact.networks[0], Integers)
    assert isinstance(plain.networks[0], UNet)
    seen, known = (each.probabilities(field, TileSettings()) for each in (exact, plain))
    assert 0.0 < np.abs(seen - known).mean() < 0.008
    assert np.mean(seen.argmax(axis=0) == known.argmax(axis=0)) > 0.98


def test_softmax_is_that_of_torch() -> None:
    logits = np.random.default_rng(0).normal(0.0, 6.0, (9, 33, 3)).astype(np.float32)
    logits[0, 0] = 200.0, -200.0, 0.0
    found = np.empty((3, 9, 33), np.float32)
    rows.softmax(logits, found)
    np.testing.assert_allclose(found, torch.softmax(torch.from_numpy(logits), dim=2).permute(2, 0, 1), atol=3e-7)


def test_steps_cover_what_most_images_show() -> None:
    """An image of one value v: the input reaches it, a power of two a unit."""
    net = network()
    steps = steps_of(net, np.full((4, 32, 32), 1.6, np.float32))
    assert steps["input"] == (-7, 0)  # 1.6 / 255 = 2^-7.3
    assert set(steps) == set(names_of(SHAPE))
    assert steps["join0"][1] > 0  # sums have both signs
    wide = steps_of(net, np.full((4, 32, 32), 16 * 1.6, np.float32))
    assert wide["input"] == (-3, 0)


def test_what_cannot_be_done_in_integers_is_said(monkeypatch: pytest.MonkeyPatch) -> None:
    net = network()
    steps: Steps = dict.fromkeys(names_of(SHAPE), (-6, 0))
    with pytest.raises(ConfigError, match="not those of its network"):
        Integers(net, {name: step for name, step in steps.items() if name != "join0"})
    card = {"name": "mine", "network": describe(SHAPE)}
    with pytest.raises(ConfigError, match=r"'mine' does not calculate in integers .*set arithmetic: float32"):
        build_integers(card, weights_of(UNet(SHAPE)), torch.device("cpu"))
    exact = integers._Convolution.__call__
    monkeypatch.setattr(integers._Convolution, "__call__", lambda self, x: exact(self, x).clamp(max=2.0**15))
    integers.check_machine.cache_clear()
    with pytest.raises(ConfigError, match=r"are not exact .*set arithmetic: float32"):
        Integers(net, steps)
    monkeypatch.setattr(torch.ops.onednn, "qconv_prepack", None)
    monkeypatch.setattr(integers._Convolution, "of", classmethod(lambda *_: torch.ops.onednn.no_such_convolution))
    with pytest.raises(ConfigError, match="no convolution of bytes"):
        Integers(net, steps)
    integers.check_machine.cache_clear()


def test_which_arithmetic_a_model_gets(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setattr("hcs.store.models.is_x86", lambda: True)
    assert {name: find_model(name).arithmetic for name in ("fast", "sensor")} == {"fast": "int8", "sensor": "int8"}
    pair = find_model("fast,fast")
    assert [each.arithmetic for each in (pair, *pair.members)] == ["int8"] * 3
    assert find_model("fast", arithmetic="float32").arithmetic == "float32"
    assert find_model("fast", "cuda").arithmetic == "float16"
    with pytest.raises(ConfigError, match="arithmetic: int8 is for CPUs"):
        find_model("fast", "cuda", arithmetic="int8")
    monkeypatch.setattr("hcs.store.models.is_x86", lambda: False)
    assert find_model("fast").arithmetic == "float32"
    assert find_model("fast", arithmetic="int8").arithmetic == "int8"
    (tmp_path / "old.json").write_text('{"network": {"widths": [4], "classes": 3}}')
    (tmp_path / "old.safetensors").write_bytes(b"")
    old = str(tmp_path / "old.safetensors")
    monkeypatch.setattr("hcs.store.models.is_x86", lambda: True)
    assert find_model(old).arithmetic == "float32"
    with pytest.raises(ConfigError, match="the card of model old has no 'integers'"):
        find_model(f"fast,{old}", arithmetic="int8")
