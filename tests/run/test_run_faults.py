"""Runs that are killed, fields that are broken, disks that are full: what is finished is kept, the rest goes on."""

from __future__ import annotations

import os
import resource
import shutil
import signal
import subprocess
import sys
import time
from pathlib import Path

import numpy as np
import psutil
import pytest
from helpers.run import Finished, call_hcs, table_bytes

import hcs as package
from hcs.commands.simulate import SimulationFiles
from hcs.plate.keys import FieldKey
from hcs.store.plate.writer import PlateSpec, write_field


def command(files: SimulationFiles, out: Path, *more: str) -> list[str]:
    base = [sys.executable, "-m", "hcs", "run", str(files.plate), "--out", str(out)]
    return [*base, "--plate-map", str(files.plate_map), *more]


def test_a_killed_run_goes_on_and_ends_with_the_same_bytes(
    plate: SimulationFiles, finished: Finished, tmp_path: Path
) -> None:
    out = tmp_path / "results"
    victim = subprocess.Popen(command(plate, out, "--workers", "1"), stderr=subprocess.DEVNULL)
    deadline = time.monotonic() + 120
    while len(list((out / "ledger").glob("[A-Z]*.json"))) < 2:
        assert victim.poll() is None, "the run ended before it could be killed"
        assert time.monotonic() < deadline
        time.sleep(0.02)
    children = psutil.Process(victim.pid).children(recursive=True)
    os.kill(victim.pid, signal.SIGKILL)
    victim.wait()
    psutil.wait_procs(children, timeout=30)
    assert not (out / "wells.parquet").exists()
    before = table_bytes(out)
    times = {p: (out / p).stat().st_mtime_ns for p in before}
    assert 2 <= len(before) < 6
    status = call_hcs("status", out)
    assert status.code == 1
    assert "pending" in status.out
    again = subprocess.run(command(plate, out, "--workers", "2"), capture_output=True, text=True, check=False)
    assert again.returncode == 0, again.stderr
    assert "done before" in again.stderr
    assert table_bytes(out) == table_bytes(finished.out)
    entered = {f"nuclei/plate=tiny/well={p.name[:3]}/field-0000.parquet" for p in (out / "ledger").iterdir()}
    assert entered == set(table_bytes(out))
    untouched = [p for p in before if (out / p).stat().st_mtime_ns == times[p]]
    assert len(untouched) >= len(before) - 1  # a part whose ledger entry the kill prevented is made once more


def corrupt(files: SimulationFiles, well: str) -> None:
    """Overwrite every chunk of a field's full resolution with noise."""
    chunks = [p for p in (files.plate / well[0] / well[1:] / "0" / "0").rglob("c/**/*") if p.is_file()]
    assert chunks
    for chunk in chunks:
        chunk.write_bytes(b"not a chunk" * 3)


def test_a_corrupt_field_fails_alone_and_is_tried_again(plate: SimulationFiles, tmp_path: Path) -> None:
    backup = tmp_path / "backup"
    shutil.copytree(plate.plate, backup)
    corrupt(plate, "A02")
    next(p for p in (plate.plate / "B" / "01" / "0" / "0").rglob("c/1/*/*") if p.is_file()).unlink()
    black = FieldKey.parse("B02/0")
    spec = PlateSpec(name="tiny", wells=(black.well,), fields_per_well=1, channels=("DNA", "CDK2"))
    write_field(str(plate.plate), spec, black, np.zeros((2, 256, 256), np.uint16))
    out = tmp_path / "results"
    shown = subprocess.run(command(plate, out), capture_output=True, text=True, check=False)
    assert shown.returncode == 1
    assert "A02/0  failed: " in shown.stderr
    assert "B01/0  failed: " in shown.stderr
    wells = package.open_results(out).wells().set_index("Metadata_Well")
    assert wells.loc["A02", "Status"] == "failed"
    assert wells.loc["A02", "Reason"]
    assert wells.loc["B02", "Status"] == "failed"  # black all over: nothing was recorded, which is not "no nucleus"
    assert "not recorded: every pixel of channel DNA is 0" in wells.loc["B02", "Reason"]
    assert np.isnan(wells.loc["A02", "Mean_Nuclei_Sensor_Ratio"])
    assert wells.loc["B01", "Status"] == "failed"  # a channel without any of its chunks
    assert "CDK2" in wells.loc["B01", "Reason"]
    assert set(wells.drop(index=["A02", "B01", "B02"])["Status"]) <= {"ok", "empty"}
    assert "A02" in (out / "report.html").read_text()
    shutil.rmtree(plate.plate)
    shutil.copytree(backup, plate.plate)
    mended = subprocess.run(command(plate, out), capture_output=True, text=True, check=False)
    assert mended.returncode == 0, mended.stderr
    assert "3/3 fields" in mended.stderr


@pytest.mark.parametrize("limit_bytes", [2_000, 12_000], ids=["at the start", "in a worker"])
def test_a_full_disk_ends_with_a_sentence_and_nothing_half_written(
    plate: SimulationFiles, finished: Finished, tmp_path: Path, limit_bytes: int
) -> None:
    """No file may grow beyond the limit: writing fails as on a full disk, without a disk to fill."""
    out = tmp_path / "results"
    shown = subprocess.run(
        command(plate, out, "--labels", "none"),
        capture_output=True,
        text=True,
        check=False,
        preexec_fn=lambda: resource.setrlimit(resource.RLIMIT_FSIZE, (limit_bytes, limit_bytes)),
    )
    assert shown.returncode == 2, shown.stderr
    assert "Traceback" not in shown.stderr
    assert "cannot write" in shown.stderr
    assert ("run.json" if limit_bytes < 5_000 else "field-0000.parquet") in shown.stderr
    assert "finished fields are kept" in shown.stderr
    assert not list(out.rglob("*.part"))
    again = subprocess.run(command(plate, out, "--labels", "none"), capture_output=True, text=True, check=False)
    assert again.returncode == 0, again.stderr
    assert table_bytes(out) == table_bytes(finished.out)


@pytest.mark.skipif(not Path("/proc/self").exists(), reason="needs Linux' /proc as a folder nobody can write to")
def test_an_output_folder_that_cannot_be_made(plate: SimulationFiles) -> None:
    shown = subprocess.run(command(plate, Path("/proc/hcs-results")), capture_output=True, text=True, check=False)
    assert shown.returncode == 2
    assert "cannot write /proc/hcs-results" in shown.stderr
    assert "Traceback" not in shown.stderr
