"""A real plate from raw images to Z′: BBBC013 (U2OS, FKHR-EGFP; two compounds), converted and run by `hcs`, timed.

    python benchmarks/bbbc013.py ../shared/data/bbbc013 [--out FOLDER] [--figure plate.png] [--config YAML]

Needs what `hcs convert --layout bbbc013` needs: the images and platemap.csv. Prints seconds, nuclei, and Z′ over wells
of each group's positives against its negatives; with --figure, draws the picture of the README.
"""

from __future__ import annotations

import argparse
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import hcs
from hcs.report.figures import readme_figure, save_figure
from hcs.run.finish import finish

CONFIG = Path(__file__).resolve().parents[1] / "configs" / "bbbc013.yaml"


def call(*arguments: object) -> float:
    """Seconds that an `hcs` command took; it must succeed."""
    started = time.perf_counter()
    subprocess.run([sys.executable, "-m", "hcs", *map(str, arguments)], check=True, stdout=subprocess.DEVNULL)
    return time.perf_counter() - started


def main() -> None:
    """Convert, run, print."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("source", type=Path)
    parser.add_argument("--out", type=Path)
    parser.add_argument("--figure", type=Path)
    parser.add_argument("--config", type=Path, default=CONFIG, help="other settings, to see what they change")
    arguments = parser.parse_args()
    out = arguments.out or Path(tempfile.mkdtemp(prefix="hcs-bbbc013-"))
    plate, results, plate_map = out / "bbbc013.zarr", out / "results", arguments.source / "platemap.csv"
    convert_s = call("convert", arguments.source, plate, "--layout", "bbbc013", "--plate-map", plate_map)
    run_s = call("run", plate, "--out", results, "--config", arguments.config, "--plate-map", plate_map)
    opened = hcs.open_results(results)
    nuclei, fields = len(opened.nuclei(columns=["Metadata_Site"])), opened.fields()
    print(f"convert {convert_s:.1f} s, run {run_s:.1f} s, together {convert_s + run_s:.1f} s")
    print(f"{nuclei:,} nuclei in {len(fields)} fields; worker seconds by stage:")
    print(" ", ", ".join(f"{k} {v}" for k, v in (opened.record.times or {})["worker_s_by_stage"].items()))
    for row in opened.plate().itertuples():
        interval = f"({row.ZPrime_Low:.3f} to {row.ZPrime_High:.3f})"
        print(f"{row.Readout:32s} {row.Reference:50s} Z' {row.ZPrime:6.3f} {interval}")
    if arguments.figure is not None:
        figure = readme_figure(
            finish(results),
            opened.image("F03", channel=opened.record.channels.names.index("DNA")),
            opened.labels("F03"),
            title="BBBC013, well F03, DNA",
        )
        save_figure(figure, arguments.figure)
        print(arguments.figure)


if __name__ == "__main__":
    main()
