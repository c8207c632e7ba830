"""`hcs plan`: what a run will take, and what of a plate's storage will be slow."""

from __future__ import annotations

import re
from dataclasses import replace
from pathlib import Path

import numpy as np
import pyarrow.parquet as pq
import pytest
from helpers.run import Finished, Hcs, call_hcs
from hypothesis import given
from hypothesis import strategies as st

from hcs.commands.plan import Probe, forecast, forecast_lines, one_field_s
from hcs.commands.simulate import write_simulation
from hcs.run.storage import storage_advice
from hcs.simulate.settings import SimulationSettings
from hcs.store.plate.field import FieldInfo

PROBE = Probe(
    workers=2, start_s=6.0, settle_s=4.0, field_s=3.0, finish_s=5.0, read_bytes=1e6, written_bytes=2e5,
    written_files=7.0, fixed_files=30, worker_bytes=700_000_000, projected_bytes=900_000_000, nuclei=150.0,
)  # fmt: skip
INFO = FieldInfo(
    shape=(2, 2160, 2160), z_size=1, t_size=1, dtype=np.dtype(np.uint16), axes="cyx", channels=("DNA", "S"),
    pixel_size_um=0.65, level_path="A/01/0/0", chunks=(1, 1080, 1080), shards=None,
)  # fmt: skip


def test_a_forecast_by_hand() -> None:
    found = forecast(PROBE, fields=100, workers=4, gpu=False)
    assert found.seconds == 6 + 4 + 100 * 3 / 4 + 5
    assert found.memory_bytes == 4 * found.worker_bytes == 4 * 900_000_000
    assert (found.read_bytes, found.written_bytes) == (100_000_000, 20_000_000)
    assert found.files == 100 * 7 + 30
    assert found.nuclei == 15_000
    assert found.gpu_hours == 0
    # 101 fields on 4 workers: the last one has three workers wait, on average half a field's time before the end
    assert forecast(PROBE, fields=101, workers=4, gpu=False).seconds == pytest.approx(15 + 101 * 3 / 4 + 1.5)
    # more workers than fields: one field's time, not less
    assert forecast(PROBE, fields=3, workers=64, gpu=False).seconds == 15 + 3
    # four GPUs are taken for all but the readouts at the end
    assert forecast(PROBE, fields=100, workers=4, gpu=True).gpu_hours == pytest.approx(4 * 85 / 3600)


@given(st.integers(1, 500), st.integers(1, 64), st.floats(0.01, 100))
def test_a_field_is_timed_as_it_is_forecast(fields: int, workers: int, field_s: float) -> None:
    probe = replace(PROBE, field_s=field_s)
    took = forecast(probe, fields=fields, workers=workers, gpu=False).seconds - 15
    assert one_field_s(took, fields=fields, workers=workers) == pytest.approx(field_s, rel=1e-6)


def test_a_forecast_in_words() -> None:
    lines = forecast_lines("p", forecast(PROBE, fields=100_000, workers=4, gpu=True), PROBE)
    assert lines[0] == "p: 100,000 fields on 4 workers"
    assert "20 h 50 min, 83.34 GPU-hours" in lines[1]
    assert lines[3] == "  bytes   100.0 GB read, 20.0 GB written in 700,030 files"


@pytest.mark.parametrize(
    ("stored", "says"),
    [
        ({}, None),
        ({"chunks": (2, 2160, 2160)}, None),
        ({"chunks": (1, 64, 64)}, r"2312 pieces of 8 KiB a field .* convert to chunks of one channel"),
        (
            {"axes": "czyx", "z_size": 1, "chunks": (1, 16, 1080, 1080)},
            r"16\.0 times the pixels are decoded; convert to",
        ),
        ({"shape": (2, 20000, 20000), "chunks": (1, 20000, 20000)}, "800 MB are decoded at a time"),
    ],
)
def test_chunks_that_will_be_slow(stored: dict[str, object], says: str | None) -> None:
    advice = storage_advice([replace(INFO, **stored)] * 9)  # type: ignore[arg-type]
    assert len(advice) == (says is not None)
    if says is not None:
        assert re.search(says, advice[0])
        assert "9 field(s)" in advice[0]


def test_too_many_files_are_said_once() -> None:
    sharded = replace(INFO, shards=(2, 2160, 2160))
    assert not storage_advice([sharded] * 100_000)
    advice = storage_advice([INFO] * 100_000)
    assert len(advice) == 1
    assert advice[0].startswith("800,000 chunk files")


def test_the_plan_of_a_plate_is_what_its_run_took(finished: Finished, tmp_path: Path) -> None:
    plate = finished.files.plate
    before = {path: path.stat().st_mtime_ns for path in plate.rglob("*")}
    shown = call_hcs("plan", plate, "--plate-map", finished.files.plate_map, "--workers", 2, cwd=tmp_path)
    assert shown.code == 0, shown.err
    assert before == {path: path.stat().st_mtime_ns for path in plate.rglob("*")}
    assert not list(tmp_path.iterdir())
    assert "tiny: 6 fields on 2 workers" in shown.out
    nuclei = int(re.search(r"about ([\d,]+)", shown.out)[1].replace(",", ""))  # type: ignore[index]
    counted = pq.ParquetDataset(finished.out / "nuclei").read(columns=[]).num_rows
    assert nuclei == pytest.approx(counted, rel=0.25)
    files = int(re.search(r"written in ([\d,]+) files", shown.out)[1].replace(",", ""))  # type: ignore[index]
    assert files == pytest.approx(written_files(finished), rel=0.25)


def test_a_plan_of_more_fields_than_it_tries_is_made(hcs: Hcs, tmp_path: Path) -> None:
    """Fields that were not tried are made up of those that were, of what is stored of them alone."""
    plate = tmp_path / "many.zarr"
    files = write_simulation(plate, SimulationSettings(wells=48, size_px=96, seed=3))
    shown = hcs("plan", plate, "--plate-map", files.plate_map, "--diameter-px", 24, "--workers", 1)
    assert shown.code == 0, shown.err
    assert "many: 48 fields on 1 workers" in shown.out


def written_files(finished: Finished) -> int:
    """Files of the results, and in the plate, which came with true labels of its own, of the labels and tables."""
    plate = finished.files.plate
    fields = [path for part in ("labels/nuclei", "tables") for path in plate.rglob(f"{part}/**/*") if path.is_file()]
    return len(fields) + sum(path.is_file() for path in finished.out.rglob("*"))


def test_a_plan_finds_what_a_run_would_refuse(hcs: Hcs, finished: Finished, tmp_path: Path) -> None:
    assert hcs("plan", tmp_path / "none.zarr").code == 2
    shown = hcs("plan", finished.files.plate, "--sensor", "GFP")
    assert shown.code == 2
    assert "GFP" in shown.err
    (tmp_path / "map.csv").write_text("well,role\nH12,negative\n")
    shown = hcs("plan", finished.files.plate, "--plate-map", tmp_path / "map.csv")
    assert shown.code == 2
    assert "no well in common" in shown.err
