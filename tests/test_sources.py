"""The benchmark on what an unseen source costs: which group an image is of, and what the table says."""

from __future__ import annotations

import runpy
import sys
from pathlib import Path
from typing import Any

import pandas as pd
import pytest

FOLDER = Path(__file__).parents[1] / "benchmarks"


@pytest.fixture
def sources(monkeypatch: pytest.MonkeyPatch) -> dict[str, Any]:
    """What is in the benchmark."""
    monkeypatch.setattr(sys, "path", [str(FOLDER), *sys.path])
    return runpy.run_path(str(FOLDER / "sources.py"), run_name="not main")


def test_sizes_that_many_images_share_part_a_source(sources: dict[str, Any]) -> None:
    shapes = {"a": (256, 256), "b": (256, 256), "c": (360, 360), "d": (520, 696), "e": (90, 90)}
    index = pd.DataFrame({"name": list(shapes), "source": ["one", "one", "one", "one", "two"]})
    groups = sources["group_names"](index, shapes, by_size=True, least=2)
    assert list(groups) == ["one 256 × 256"] * 2 + ["one, other sizes"] * 2 + ["two"]
    assert list(sources["group_names"](index, shapes, by_size=False, least=2)) == ["one"] * 4 + ["two"]


def test_the_cost_is_the_mean_over_images_of_seen_less_unseen(sources: dict[str, Any]) -> None:
    rows = [
        {"Group": group, "Image": f"{group}{n}", "Seen": seen, "MeanF1": f1 - 0.1 * (not seen), "F1At05": f1}
        for group, f1 in (("x", 0.8), ("y", 0.6))
        for n in range(3)
        for seen in (True, False)
    ]
    lines = sources["table"](pd.DataFrame(rows)).splitlines()
    assert lines[2].startswith("| x | 3 | 0.800 (0.800-0.800) | 0.700 (0.700-0.700) | 0.100 (0.100-0.100) |")
    assert lines[-1].startswith("| all, each by a network that did not see its group | 6 | 0.700")
