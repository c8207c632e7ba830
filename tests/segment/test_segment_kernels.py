"""The kernels for a GPU label as the CPU does, pixel by pixel, in the simulator of numba.cuda: a process of its own,
for numba is told before it is imported. A GPU is asked the same by `benchmarks/gpu.py`."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
import torch

from hcs.errors import ConfigError
from hcs.segment.device import instances as on_device
from hcs.segment.device import kernels
from hcs.segment.settings import InstanceSettings

REPOSITORY = Path(__file__).resolve().parents[2]
SIDE = 34  # more than one tile, each way


@pytest.fixture(scope="module")
def found(tmp_path_factory: pytest.TempPathFactory) -> dict[str, dict[str, Any]]:
    """What `benchmarks/gpu_labels.py` found, by field."""
    out = tmp_path_factory.mktemp("kernels") / "found.json"
    done = subprocess.run(
        [sys.executable, "benchmarks/gpu_labels.py", "--simulate", "--side", str(SIDE), "--out", str(out)],
        cwd=REPOSITORY,
        env=os.environ | {"PYTHONPATH": str(REPOSITORY)},
        capture_output=True,
        text=True,
        check=False,
    )
    assert out.exists(), done.stderr
    return {line["field"]: line for line in json.loads(out.read_text())}


def test_threads_in_any_order_give_the_cpus_labels(found: dict[str, dict[str, Any]]) -> None:
    assert {name: line["differing"] for name, line in found.items() if line["differing"]} == {}
    assert len(found) == 28


def test_the_fields_hold_what_is_hard(found: dict[str, dict[str, Any]]) -> None:
    """Else equal labels would say nothing: parts, many pieces, one piece, and none."""
    nuclei = {name: line["nuclei"] for name, line in found.items()}
    assert nuclei["plateaus, every pixel counts"] > 3
    assert nuclei["mosaic of single pixels"] > 20
    assert nuclei["dots"] > 50
    assert (nuclei["tiny pairs 0"], nuclei["tiny parts just large enough 0"]) == (20, 2)
    assert (nuclei["spiral"], nuclei["full"], nuclei["one pixel"], nuclei["empty"]) == (2, 1, 1, 0)
    assert kernels.TILE < SIDE


def test_more_pixels_than_sums_hold_are_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(kernels, "MOST_PX", 99)
    with pytest.raises(ConfigError, match=r"100 px is more .* set tiles.max_field_px to 99"):
        on_device.instances_on_device(torch.zeros(3, 10, 10), InstanceSettings())


def test_a_gpu_that_numba_does_not_see_is_said(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(on_device.cuda, "is_available", lambda: False)
    with pytest.raises(ConfigError, match=r"numba sees no CUDA device.*hcs\[gpu-cu13\]"):
        on_device.check_kernels()
