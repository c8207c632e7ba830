"""`hcs run` and the classical script beside it on one real plate, by turns: seconds and Z′ of both.

The script starts from the raw images and ends with a table of nuclei; `hcs run` starts from the converted plate and
ends with tables, readouts and report. Both have as many processes as there are cores, one thread each.

Run: python benchmarks/peers/compare.py ../shared/data/bbbc013 [--repeats 3]
"""

from __future__ import annotations

import argparse
import os
import re
import shutil
import statistics
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import hcs

HERE = Path(__file__).resolve().parent
CONFIG = HERE.parents[1] / "configs" / "bbbc013.yaml"
ONE_THREAD = dict.fromkeys(("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS"), "1")


def call(*command: object, **environment: str) -> tuple[float, str]:
    """Seconds of a command that must succeed, and what it printed."""
    began = time.perf_counter()
    done = subprocess.run(
        list(map(str, command)), check=True, stdout=subprocess.PIPE, text=True, env=os.environ | environment
    )
    return time.perf_counter() - began, done.stdout


def main() -> None:
    """Convert once, run both by turns, print medians."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("source", type=Path)
    parser.add_argument("--repeats", type=int, default=3)
    parser.add_argument("--workers", type=int, default=len(os.sched_getaffinity(0)))
    options = parser.parse_args()
    folder = Path(tempfile.mkdtemp(prefix="hcs-peers-"))
    plate, results, plate_map = folder / "bbbc013.zarr", folder / "results", options.source / "platemap.csv"
    convert_s, _ = call(sys.executable, "-m", "hcs", "convert", options.source, plate, "--layout", "bbbc013")
    run = ("run", plate, "--out", results, "--config", CONFIG, "--plate-map", plate_map, "--workers", options.workers)
    script = (HERE / "skimage_dask.py", options.source, "--workers", options.workers)
    own, other, said = [], [], ""
    for _ in range(options.repeats):
        seconds, said = call(sys.executable, *script, **ONE_THREAD)
        other.append(seconds)
        shutil.rmtree(results, ignore_errors=True)
        own.append(call(sys.executable, "-m", "hcs", *run)[0])
        print(f"script {other[-1]:.1f} s, hcs run {own[-1]:.1f} s, load {os.getloadavg()[0]:.1f}", flush=True)
    ratio = statistics.median(a / b for a, b in zip(own, other, strict=True))
    print(f"medians: script {statistics.median(other):.1f} s, hcs run {statistics.median(own):.1f} s; hcs takes "
          f"{ratio:.2f} times as long; converting the plate took {convert_s:.1f} s once")  # fmt: skip
    print(f"script: {'; '.join(said.strip().splitlines())}")
    opened = hcs.open_results(results)
    found = opened.plate()
    found = found[found["Readout"] == "Mean_Nuclei_Sensor_Ratio"]
    parts = [f"{opened.fields()['Count_Nuclei'].sum():,} nuclei in {len(opened.keys())} images"]
    for row in found.to_dict("records"):
        group = re.search(r"group (.+)", row["Reference"])
        if group:
            parts.append(f"Z' {group[1]} {row['ZPrime']:.3f}")
    print(f"hcs: {'; '.join(parts)}")
    shutil.rmtree(folder)


if __name__ == "__main__":
    main()
