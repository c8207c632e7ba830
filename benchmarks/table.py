"""Time what a lab does with a large nucleus table, on two cores: query it by well, aggregate it by well, read it out.

Makes a results folder as `hcs run` leaves it, of 10,000,000 nuclei in 384 wells of 9 fields and four channels (65
columns, 2 GB), measures each task several times, each time in a process of its own, and deletes the folder. The files
were just written, so they are in the system's file cache where that is large enough.

Run: python benchmarks/table.py [--nuclei N] [--wells N] [--fields N] [--folder DIR] [--repeat N] [--readout]
"""

from __future__ import annotations

import argparse
import dataclasses
import hashlib
import multiprocessing
import os
import re
import resource
import statistics
import tempfile
import time
from collections.abc import Callable
from concurrent.futures import ProcessPoolExecutor, ThreadPoolExecutor
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pyarrow as pa
from numpy.typing import NDArray

from hcs.config import Config
from hcs.measure.columns import column_dictionary
from hcs.plate.keys import FieldKey, WellId
from hcs.store.results.export import Selection, export_parquet
from hcs.store.results.folder import open_results
from hcs.store.results.ledger import LedgerEntry, write_entry
from hcs.store.results.record import RecordedChannels, RunRecord
from hcs.store.results.table import write_part

CORES, POOL, COLUMNS = 2, 20_000, 24
CHANNELS, DNA, SENSOR = ("DNA", "CDK2", "Tubulin", "Actin"), "DNA", "CDK2"
QUERIES = 20
RUN = "0123456789abcdef"


def pool_of_nuclei(seed: int = 0) -> dict[str, NDArray[Any]]:
    """20,000 nuclei to draw fields from: a cell cycle of 5 % CV, a sensor with two states, other columns random."""
    rng = np.random.default_rng(seed)
    phase = rng.choice(3, POOL, p=(0.55, 0.25, 0.2))
    content = np.select([phase == 0, phase == 1], [1.0, rng.uniform(1, 2, POOL)], 2.0) * rng.normal(1, 0.05, POOL)
    known = {
        "Nuclei_DNA_Content": 5e4 * content,
        "Nuclei_AreaShape_Area": 300 * content ** (2 / 3) * rng.normal(1, 0.1, POOL),
        "Nuclei_AreaShape_Solidity": np.minimum(rng.normal(0.96, 0.01, POOL), 1),
        "Nuclei_Sensor_Ratio": np.where(rng.random(POOL) < 0.4, 1.3, 0.6) * rng.lognormal(0, 0.15, POOL),
    }
    columns: dict[str, NDArray[Any]] = {}
    for column in column_dictionary(CHANNELS, DNA, SENSOR):
        if column.name in known:
            values = known[column.name]
        elif column.name.startswith("Nuclei_Flag_"):
            values = rng.random(POOL) < (0.05 if column.dtype == "bool" else 0)
        elif column.dtype.startswith("int"):
            values = rng.integers(0, 2160, POOL)
        else:
            values = rng.lognormal(5, 0.5, POOL)
        columns[column.name] = values.astype(column.dtype)
    return columns


def make_results(out: Path, *, nuclei: int, wells: int, fields: int) -> None:
    """A results folder with record, plate map, ledger and parts; wells in 24 columns, the outer ones controls."""
    pool = pool_of_nuclei()
    keys = [FieldKey(WellId(*divmod(well, 24)), field) for well in range(wells) for field in range(fields)]
    count = -(-nuclei // len(keys))

    def make_field(index: int) -> None:
        rows = np.random.default_rng(index).integers(0, POOL, count)
        numbers = {"Metadata_ObjectNumber": np.arange(1, count + 1)}
        part = write_part(out, "large", keys[index], {name: values[rows] for name, values in pool.items()} | numbers)
        kept = {"part_bytes": part.nbytes, "part_crc32": part.crc32}
        write_entry(out, LedgerEntry(field=str(keys[index]), status="ok", run=RUN, nuclei=count, **kept))

    with ThreadPoolExecutor(CORES) as threads:
        list(threads.map(make_field, range(len(keys))))
    names = sorted({key.well for key in keys})
    roles = {1: "negative", 2: "negative", 23: "positive", 24: "positive"}
    plate_map = pd.DataFrame({"well": [str(well) for well in names]})
    plate_map["role"] = [roles.get(well.column + 1, "sample") for well in names]
    plate_map["compound"] = [f"compound {well.row}" for well in names]
    plate_map["dose"] = [2.0**-well.column for well in names]
    plate_map.assign(unit="uM").to_csv(out / "platemap.csv", index=False)
    _record(keys, hashlib.sha256((out / "platemap.csv").read_bytes()).hexdigest()).write(out)


def _record(keys: list[FieldKey], plate_map_sha256: str) -> RunRecord:
    """The record of a run without labels, on a plate that is not there."""
    config = Config(labels="none").model_dump(mode="json")
    identity = {"plate": {"name": "large"}, "config": config, "model_sha256": ""}
    return RunRecord(
        run_id=RUN,
        identity=identity,
        plate_map={"source": "platemap.csv", "sha256": plate_map_sha256},
        plate_path="large.zarr",
        channels=RecordedChannels(names=CHANNELS, dna=DNA, sensor=SENSOR, nuclei=DNA),
        model={"name": "none", "path": "", "sha256": ""},
        keys=tuple(keys),
        versions={},
        machine={"cores": CORES},
        command="python benchmarks/table.py",
    )


def query_wells(out: Path) -> str:
    """All columns of one well, of 20 wells one after another, each from its files."""
    results = open_results(out)
    wells = sorted(path.name.removeprefix("well=") for path in (out / "nuclei" / "plate=large").iterdir())
    times, cpu = [], []
    for well in np.random.default_rng(1).permutation(wells)[:QUERIES]:
        start, cpu_start = time.perf_counter(), time.process_time()
        rows = len(results.nuclei(wells=[well]))
        times.append(time.perf_counter() - start)
        cpu.append(time.process_time() - cpu_start)
    return (
        f"{rows:,} nuclei; median {statistics.median(times):.3f} s, first {times[0]:.3f} s, worst {max(times):.3f} s; "
        f"cpu median {statistics.median(cpu):.3f} s"
    )


def aggregate_one(out: Path) -> str:
    """Mean DNA content by well."""
    return f"{len(open_results(out).aggregate(['Nuclei_DNA_Content']))} wells"


def aggregate_some(out: Path) -> str:
    """Medians of 24 columns by well."""
    results = open_results(out)
    names = [name for name in results.stored_columns() if name.startswith("Nuclei_Intensity_")][:COLUMNS]
    return f"{len(results.aggregate(names, how='median'))} wells, {len(names)} columns"


def aggregate_duckdb(out: Path) -> str:
    """Means of all numeric columns by well, by DuckDB."""
    return _duckdb(out, f"{out}/nuclei/*/*/*.parquet")


def aggregate_one_file(out: Path) -> str:
    """The same from one file, as `hcs export --parquet` writes it."""
    return _duckdb(out, str(out / "nuclei.parquet"))


def _duckdb(out: Path, files: str) -> str:
    import duckdb  # noqa: PLC0415

    names = [name for name in open_results(out).stored_columns() if not name.startswith("Metadata_")]
    means = ", ".join(f"avg({name}::DOUBLE)" for name in names)
    connection = duckdb.connect(config={"threads": CORES, "memory_limit": "1GB"})
    table = connection.sql(f"SELECT Metadata_Well, {means} FROM read_parquet('{files}') GROUP BY 1").df()
    return f"{len(table)} wells, {len(names)} columns"


def read_out(out: Path) -> str:
    """`hcs readout`: every table and the report."""
    from hcs.run.finish import finish  # noqa: PLC0415

    return f"{len(finish(out).wells)} wells"


def write_one_file(out: Path) -> str:
    """`hcs export --parquet`."""
    return f"{export_parquet(open_results(out), out / 'nuclei.parquet', Selection(table='nuclei')):,} nuclei"


@dataclasses.dataclass(frozen=True)
class Measured:
    """What a task said, its wall time, its processor time, and the most memory its process held."""

    said: str
    wall_s: float
    cpu_s: float
    peak_gb: float


def measure(task: Callable[[Path], str], out: Path) -> Measured:
    """Run a task in this process, which should be a fresh one, on two cores."""
    if hasattr(os, "sched_setaffinity"):
        os.sched_setaffinity(0, sorted(os.sched_getaffinity(0))[:CORES])
    pa.set_cpu_count(CORES)
    start, cpu = time.perf_counter(), time.process_time()
    said = task(out)
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 2**20
    return Measured(said, time.perf_counter() - start, time.process_time() - cpu, peak)


def machine() -> str:
    """Processor, cores, memory, and how busy the machine is with other things."""
    text = Path("/proc/cpuinfo").read_text(encoding="utf-8") if Path("/proc/cpuinfo").exists() else ""
    model = re.search(r"^model name\s*:\s*(.*)$", text, re.MULTILINE)
    memory = os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES") / 2**30
    return (
        f"{model[1] if model else 'unknown processor'}, {os.cpu_count()} cores, {memory:.0f} GiB; "
        f"load over the last minute {os.getloadavg()[0]:.1f}"
    )


def report(task: Callable[[Path], str], runs: list[Measured]) -> str:
    """What a task does, median and range of its wall times, its largest peak, and what it said the first time."""
    walls = [run.wall_s for run in runs]
    return (
        f"{(task.__doc__ or '').rstrip('.')}\n"
        f"    wall {statistics.median(walls):.2f} s ({min(walls):.2f} to {max(walls):.2f}, {len(runs)} runs), "
        f"cpu {statistics.median(run.cpu_s for run in runs):.2f} s, peak {max(run.peak_gb for run in runs):.2f} GB: "
        f"{runs[0].said}"
    )


def main() -> None:
    """Make the folder, measure, print."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--nuclei", type=int, default=10_000_000)
    parser.add_argument("--wells", type=int, default=384)
    parser.add_argument("--fields", type=int, default=9)
    parser.add_argument("--folder", type=Path, help="where to make the table  [default: the system's temporary folder]")
    parser.add_argument("--repeat", type=int, default=5, help="runs of each task  [default: 5]")
    parser.add_argument("--readout", action="store_true", help="also time `hcs readout` and `hcs export --parquet`")
    options = parser.parse_args()
    tasks = [query_wells, aggregate_one, aggregate_some, aggregate_duckdb]
    if options.readout:
        tasks += [write_one_file, aggregate_one_file, read_out]
    print(machine(), flush=True)
    if options.folder:
        options.folder.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(prefix="hcs-table-", dir=options.folder) as folder:
        out = Path(folder)
        start = time.perf_counter()
        make_results(out, nuclei=options.nuclei, wells=options.wells, fields=options.fields)
        parts = sum(1 for _ in out.rglob("*.parquet"))
        size = sum(path.stat().st_size for path in out.rglob("*.parquet")) / 1e9
        print(f"{parts:,} parts, {size:.2f} GB, made in {time.perf_counter() - start:.0f} s", flush=True)
        spawn = multiprocessing.get_context("spawn")
        with ProcessPoolExecutor(1, mp_context=spawn, max_tasks_per_child=1) as pool:
            for task in tasks:
                repeats = 1 if task is read_out else options.repeat
                print(report(task, [pool.submit(measure, task, out).result() for _ in range(repeats)]), flush=True)
    print(machine(), flush=True)


if __name__ == "__main__":
    main()
