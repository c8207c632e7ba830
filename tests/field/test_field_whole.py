"""What a worker does with several fields at a time: the same as one by one, in memory that does not grow."""

from __future__ import annotations

import dataclasses
import json
import shutil
import subprocess
import sys
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from helpers.run import table_bytes

import hcs.field.whole as worker_fields
from hcs.commands.simulate import SimulationFiles
from hcs.config import Config
from hcs.field.job import Job
from hcs.run.account import BESIDE, STAGES, account_line
from hcs.run.prepare import Prepared, prepare
from hcs.store.location import location
from hcs.store.plate.labels import prepare_label_plate
from hcs.store.results.ledger import LedgerEntry, read_ledger

PLATEAU = """
import json, resource, sys
from pathlib import Path
from hcs.config import Config
from hcs.field.whole import process_fields_here
from hcs.run.prepare import prepare
p = prepare(sys.argv[1], Path(sys.argv[2]), Config(labels="none"), plate_map_path=None, wells=None, device="cpu")
def peak_mb(fields):
    for _ in range(fields // 5):
        found = process_fields_here(p.job.for_fields(p.keys[:5]), p.keys[:5])
        assert [entry.status for entry in found] != ["failed"] * 5, found
        for path in (Path(sys.argv[2]) / "ledger").iterdir():
            path.unlink()
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
print(json.dumps([peak_mb(10), peak_mb(90)]))
"""


def prepared(plate: Path, out: Path, labels: str = "none") -> Prepared:
    config = Config.model_validate({"labels": labels})
    return prepare(plate, out, config, plate_map_path=None, wells=None, device="cpu")


def test_several_fields_at_a_time_are_as_one_by_one(simulated: SimulationFiles, tmp_path: Path) -> None:
    together, single = prepared(simulated.plate, tmp_path / "a"), prepared(simulated.plate, tmp_path / "b")
    keys = together.keys[:3]
    found = worker_fields.process_fields_here(together.job.for_fields(keys), keys)
    for key in keys:
        worker_fields.process_fields_here(single.job.for_field(key), [key])
    assert table_bytes(tmp_path / "a") == table_bytes(tmp_path / "b")
    assert tuple(found) == read_ledger(tmp_path / "a", keys, together.job.run_id)


def test_an_entry_keeps_the_account_of_its_field(simulated: SimulationFiles, tmp_path: Path) -> None:
    run = prepared(simulated.plate, tmp_path / "r")
    (entry,) = worker_fields.process_fields_here(run.job.for_field(run.keys[0]), run.keys[:1])
    assert isinstance(entry, LedgerEntry)
    assert set(entry.seconds) == set(STAGES) - {"correct", "upload", "download", "cells", "write labels", "wait"}
    assert min(entry.seconds.values()) >= 0
    assert entry.bytes["decode"] == 2 * 256 * 256 * 2
    assert entry.bytes["normalise"] == 256 * 256 * 4
    part = next((tmp_path / "r" / "nuclei").rglob("*.parquet"))
    assert entry.bytes["write table"] == part.stat().st_size
    stored = [path.stat().st_size for path in (simulated.plate / "A" / "01" / "0" / "0").rglob("*") if path.is_file()]
    assert 0.9 * sum(stored) < entry.bytes["read"] <= sum(stored)
    busy = sum(s for stage, s in entry.seconds.items() if stage not in BESIDE | {"start"})
    assert 0 < busy <= entry.ended - entry.began


def test_a_field_that_fails_takes_no_other_with_it(plate: SimulationFiles, tmp_path: Path) -> None:
    shutil.rmtree(plate.plate / "A" / "02" / "0" / "0")
    run = prepared(plate.plate, tmp_path / "r", "plate")
    found = worker_fields.process_fields_here(run.job.for_fields(run.keys[:3]), run.keys[:3])
    assert [entry.status == "failed" for entry in found if isinstance(entry, LedgerEntry)] == [False, True, False]
    assert "array A/02/0/0 is missing" in read_ledger(tmp_path / "r", run.keys, run.job.run_id)[1].reason


def test_what_a_dead_worker_had_finished_is_not_done_again(simulated: SimulationFiles, tmp_path: Path) -> None:
    run = prepared(simulated.plate, tmp_path / "r")
    worker_fields.process_fields_here(run.job.for_field(run.keys[0]), run.keys[:1])
    (ledger,) = (tmp_path / "r" / "ledger").iterdir()
    before = ledger.stat().st_mtime_ns
    found = worker_fields.process_fields_here(run.job.for_fields(run.keys[:2]), run.keys[:2])
    assert ledger.stat().st_mtime_ns == before
    assert [entry.field for entry in found if isinstance(entry, LedgerEntry)] == ["A01/0", "A02/0"]


def test_what_happened_on_the_device_is_in_the_ledger(
    simulated: SimulationFiles, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    run = prepared(simulated.plate, tmp_path / "r")
    segmenter = worker_fields.segmenter_of(run.job.model, "cpu", flips=False)
    told = dataclasses.replace(segmenter)
    told.pace.remarks.append("the device ran out of memory with 8 tiles at a time; 4 are taken now")
    monkeypatch.setattr(worker_fields, "segmenter_of", lambda *_, **__: told)
    worker_fields.process_fields_here(run.job.for_fields(run.keys[:2]), run.keys[:2])
    first, second = read_ledger(location(run.job.out), run.keys[:2], run.job.run_id)
    assert "8 tiles at a time; 4" in first.reason
    assert first.status == "ok"
    assert second.reason == ""


def test_a_gpus_way_through_the_threads_gives_the_cpus_files(
    simulated: SimulationFiles, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The device is a CPU here: what is tested is the tensor code, and several fields in the threads at once."""
    config = Config.model_validate({"labels": "out"})
    cpu, gpu = (
        prepare(simulated.plate, tmp_path / name, config, plate_map_path=None, wells=None, device="cpu")
        for name in ("cpu", "gpu")
    )
    for run in (cpu, gpu):
        prepare_label_plate(f"{run.job.out}/labels.zarr", run.job.plate)
    worker_fields.process_fields_here(cpu.job, cpu.keys)
    segmenter = worker_fields.segmenter_of(gpu.job.model, "cpu", flips=False)
    resident = dataclasses.replace(segmenter, on_device=True)
    monkeypatch.setattr(worker_fields, "segmenter_of", lambda *_, **__: resident)
    monkeypatch.setattr(worker_fields, "hands_of", lambda _: 2)
    found = worker_fields.process_fields_here(gpu.job, gpu.keys)
    assert [entry.field for entry in found if isinstance(entry, LedgerEntry)] == [str(key) for key in gpu.keys]
    own, there = (
        pd.read_parquet(tmp_path / name / "nuclei").sort_values(["Metadata_Well", "Metadata_ObjectNumber"])
        for name in ("cpu", "gpu")
    )
    assert len(own) == len(there) > 50
    for column in own.select_dtypes("number"):
        np.testing.assert_allclose(there[column], own[column], rtol=1e-3, atol=1e-3, err_msg=column)
    (entry, *_) = (entry for entry in found if isinstance(entry, LedgerEntry))
    assert {"upload", "normalise", "infer", "instances", "download", "measure"} <= set(entry.seconds)
    line = account_line([e for e in found if isinstance(e, LedgerEntry)], since=0.0)
    assert "measure" in line.partition("beside that")[2]


def test_memory_stays_where_it_is_after_a_few_fields(simulated: SimulationFiles, tmp_path: Path) -> None:
    done = subprocess.run(
        [sys.executable, "-c", PLATEAU, str(simulated.plate), str(tmp_path / "r")],
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    after_10, after_100 = json.loads(done.stdout)
    # One field's arrays are 3 MB: kept, those of 90 would be 270.
    assert after_100 < after_10 + 40


def test_a_job_for_some_fields_lists_them_alone(simulated: SimulationFiles, tmp_path: Path) -> None:
    run = prepared(simulated.plate, tmp_path / "r")
    job: Job = run.job.for_fields([run.keys[4], run.keys[1]])
    assert [entry.key for entry in job.plate.fields] == [run.keys[1], run.keys[4]]
    assert job.plate.entry(run.keys[4]) == run.job.plate.entry(run.keys[4])
