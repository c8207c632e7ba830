"""The benchmark on nuclei that are missed: which kind a nucleus is of."""

from __future__ import annotations

import runpy
import sys
from pathlib import Path

import numpy as np
import pytest

from hcs.evaluate.matching import match

FOLDER = Path(__file__).parents[1] / "benchmarks"


def test_every_way_to_miss_a_nucleus_has_its_kind(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sys, "path", [str(FOLDER), *sys.path])
    benchmark = runpy.run_path(str(FOLDER / "missed.py"), run_name="not main")
    truth, found = np.zeros((2, 90, 200), np.int32)
    for label, x in enumerate((10, 40, 70, 82, 110, 140), start=1):
        truth[10:30, x : x + (12 if label in (3, 4) else 20)] = label
    truth[50:54, 20:24] = 7  # tiny
    truth[50:70, 195:200] = 8  # cut by the border
    truth[50:60, 100:112] = 9  # small
    truth[60:80, 140:160] = 10  # as large and bright as others
    truth[60:80, 40:60] = 11  # dim
    found[10:30, 10:30] = 1
    found[10:30, 70:94] = 3  # two together
    found[10:30, 110:119], found[10:30, 121:130] = 4, 5  # apart
    found[10:30, 140:145] = 6  # an outline far inside
    field = np.where(truth > 0, np.float32(1.0), np.float32(0.0))
    field[truth == 11] = 0.2
    seen = benchmark["Seen"]("a", field, truth, found, np.where(truth > 9, 0.3, 0.9), match(truth, found), 20.0)
    table = benchmark["nuclei"](seen, 0.55).set_index("Label")
    kinds = dict(zip(table.index, table["Kind"], strict=True))
    assert kinds == {
        1: "", 2: "other", 3: "merged", 4: "merged", 5: "apart", 6: "outline", 7: "tiny", 8: "cut", 9: "small",
        10: "other", 11: "dim",
    }  # fmt: skip
    assert list(table.loc[[2, 10], "Seen"]) == ["seen", "unseen"]
    text = benchmark["by_kind"](table.reset_index(), {"a": seen})
    assert "| merged | 2 | 18.2% | 1 |" in text
