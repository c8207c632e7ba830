"""The numbers in which networks calculate: said, recorded, and kept by a run that goes on.

Alone in a file: what the numbers are is tested in tests/segment/test_segment_integers.py.
"""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest
from helpers.run import Finished

from hcs.config import Config
from hcs.errors import ConfigError
from hcs.machine import is_x86
from hcs.run.checks import same_arithmetic
from hcs.run.prepare import prepare
from hcs.store.location import location
from hcs.store.models import find_model
from hcs.store.results.record import RunRecord

pytestmark = pytest.mark.skipif(not is_x86(), reason="integers are the default on x86-64 processors alone")


def begun_with(finished: Finished, arithmetic: str) -> RunRecord:
    record = RunRecord.read(location(str(finished.out)))
    return replace(record, model={**record.model, "arithmetic": arithmetic})


def test_a_run_says_and_records_what_its_networks_calculate_in(finished: Finished, tmp_path: Path) -> None:
    assert RunRecord.read(location(str(finished.out))).model["arithmetic"] == "int8"
    plain, integers = (
        prepare(
            str(finished.files.plate),
            location(str(tmp_path / "r")),
            Config(labels="none", arithmetic=arithmetic),
            plate_map_path=None,
            wells=None,
            device="cpu",
        )
        for arithmetic in ("float32", "auto")
    )
    assert "  arithmetic       float32" in plain.lines()
    assert any(line.startswith("  arithmetic       int8: whole numbers of 8 bits") for line in integers.lines())
    assert (plain.job.model.arithmetic, integers.job.model.arithmetic) == ("float32", "int8")


def test_a_run_that_goes_on_keeps_its_numbers(finished: Finished, tmp_path: Path) -> None:
    model, out = find_model("fast"), location(str(tmp_path))
    assert same_arithmetic(out, begun_with(finished, "float32"), model, "cpu").arithmetic == "float32"
    assert same_arithmetic(out, begun_with(finished, "int8"), model, "cpu") is model
    with pytest.raises(ConfigError, match=r"was begun with arithmetic float16, and --device cpu calculates in int8"):
        same_arithmetic(out, begun_with(finished, "float16"), model, "cpu")
    with pytest.raises(ConfigError, match=r"was begun with arithmetic int8, and --device cuda calculates in float16"):
        same_arithmetic(out, begun_with(finished, "int8"), find_model("fast", "cuda"), "cuda")
