"""How a run grows: with fields, with workers, and what the scheduler costs where there is nothing to compute.

Three parts, each of which can be left out: time and memory over 8 to 2,000 small simulated fields; one and two workers;
and 100,000 fields whose tasks return at once, which is what client and scheduler have to do for forty plates.

Run: python benchmarks/scaling.py [--fields 8 32 128 500 2000] [--size 128] [--tasks 100000] [--folder DIR]
"""

from __future__ import annotations

import argparse
import copy
import shutil
import statistics
import tempfile
import time
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

import psutil
from plates import make_plate
from runs import Run, machine_line, watch_run

from hcs.config import Config
from hcs.engine import flow
from hcs.engine.cluster import Workers, connect
from hcs.field.job import Job
from hcs.field.large import LargeField
from hcs.plate.keys import FieldKey, WellId
from hcs.run.prepare import prepare
from hcs.store.plate.reader import FieldEntry
from hcs.store.results.ledger import LedgerEntry


def over_fields(folder: Path, counts: Sequence[int], size_px: int, rounds: int) -> None:
    """Seconds a field, and memory of a worker, for plates of more and more fields; medians of ``rounds`` by turns."""
    plates = {n: make_plate(folder / f"n{n}.zarr", fields=n, size_px=size_px, density=400.0) for n in counts}
    runs: dict[int, list[Run]] = {n: [] for n in counts}
    for _ in range(rounds):
        for count, plate in plates.items():
            runs[count].append(watch_run(plate, folder / "results", workers=2, options=("--labels", "none")))
    print("| fields | ms a field | start-up, s | largest memory of a worker, MB |\n|---|---|---|---|")
    per_field = {}
    for count, own in runs.items():
        each = sorted(1e3 * run.fields_s / count for run in own)
        per_field[count] = statistics.median(each)
        print(
            f"| {count} | {per_field[count]:.1f} ({each[0]:.1f}-{each[-1]:.1f}) | "
            f"{statistics.median(run.startup_s for run in own):.1f} | {max(run.peak_bytes for run in own) / 1e6:.0f} |",
            flush=True,
        )
    large = [value for count, value in per_field.items() if count >= 100]
    if len(large) > 1:
        middle = statistics.median(large)
        worst = max(abs(value / middle - 1) for value in large)
        print(f"from 100 fields on, a field's time stays within {worst:.1%} of the median\n")


def over_workers(folder: Path, count: int, size_px: int, repeats: int) -> None:
    """Fields a second of one and two workers, by turns."""
    plate = make_plate(folder / f"n{count}.zarr", fields=count, size_px=size_px, density=400.0)
    ratios = []
    for _ in range(repeats):
        one, two = (
            watch_run(plate, folder / "results", workers=n, options=("--labels", "none")).fields_s for n in (1, 2)
        )
        ratios.append(one / two)
    print(f"{count} fields of {size_px} × {size_px}: two workers {statistics.median(ratios):.2f} times as fast as one "
          f"(median of {repeats}, {min(ratios):.2f} to {max(ratios):.2f})\n")  # fmt: skip


def skip_pixels(job: Job, key: FieldKey, seconds: float) -> None:
    """Have this worker's fields return at once from now on, with the entry of ``key``, which is really processed, and
    as if they had taken ``seconds``. Runs in a worker: what client and scheduler do is what they do in a run."""
    from hcs.field import whole as fields  # noqa: PLC0415  torch, for workers alone

    (found,) = fields.process_fields_here(job, [key])
    assert isinstance(found, LedgerEntry)
    assert found.done, found.reason
    entry = replace(found, seconds=dict.fromkeys(found.seconds, 0.0) | {"infer": seconds})

    def at_once(_: Job, keys: Sequence[FieldKey]) -> list[LedgerEntry | LargeField]:
        return [replace(copy.deepcopy(entry), field=str(key)) for key in keys]  # shared parts would travel once

    fields.process_fields_here = at_once


def scheduler_load(folder: Path, count: int, size_px: int, field_s: float) -> None:
    """Client and scheduler with ``count`` fields that need nothing computed, though they say they took ``field_s``."""
    plate = make_plate(folder / "n8.zarr", fields=8, size_px=size_px, density=400.0)
    config = Config(labels="none")
    shutil.rmtree(folder / "load", ignore_errors=True)
    prepared = prepare(plate, folder / "load", config, plate_map_path=None, wells=None, device="cpu")
    wells = [WellId(row, column) for row in range(16) for column in range(24)]
    keys = [FieldKey(well, field) for well in wells for field in range(-(-count // len(wells)))][:count]
    entries = tuple(FieldEntry(key, f"{key.well.row_name}/{key.well.column_name}/{key.field}") for key in keys)
    job = replace(prepared.job, plate=replace(prepared.job.plate, wells=tuple(wells), fields=entries))
    process = psutil.Process()
    before = process.memory_info().rss
    with connect(Workers(count=2)) as client:
        client.run(skip_pixels, prepared.job, prepared.keys[0], field_s)
        cpu, began = process.cpu_times(), time.perf_counter()
        done = sum(1 for _ in flow.process_fields(client, ((job, key) for key in keys)))
        wall_s, after = time.perf_counter() - began, process.cpu_times()
        peak = process.memory_info().rss
    assert done == count
    used = after.user + after.system - cpu.user - cpu.system
    print(
        f"{count:,} fields of no pixels that count as {field_s:g} s each, 2 workers: {wall_s:.1f} s, "
        f"{1e3 * wall_s / count:.3f} ms a field; client and scheduler (one process) used {1e3 * used / count:.3f} ms "
        f"of processor time a field and {peak / 1e6:.0f} MB, {(peak - before) / 1e6:.0f} MB more than before",
        flush=True,
    )


def main() -> None:
    """All parts, one after another."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--fields", type=int, nargs="*", default=[8, 32, 125, 500, 2000])
    parser.add_argument("--rounds", type=int, default=3, help="runs of each number of fields")
    parser.add_argument("--size", type=int, default=128, help="side of the fields, px")
    parser.add_argument("--repeats", type=int, default=3, help="of one and two workers; 0 leaves that out")
    parser.add_argument("--tasks", type=int, default=100_000, help="fields without pixels; 0 leaves that out")
    parser.add_argument("--folder", type=Path)
    options = parser.parse_args()
    folder = options.folder or Path(tempfile.mkdtemp(prefix="hcs-scaling-"))
    print(machine_line(), end="\n\n")
    if options.tasks:
        for field_s in (0.3, 5.0):
            scheduler_load(folder, options.tasks, options.size, field_s)
    if options.fields:
        over_fields(folder, options.fields, options.size, options.rounds)
    if options.repeats:
        over_workers(folder, 500, options.size, options.repeats)
    print(machine_line())


if __name__ == "__main__":
    main()
