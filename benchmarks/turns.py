"""Has a change made the stages of a field cheaper, and left every file as it was? This checkout beside another one.

Two processes, one of each checkout, take the fields of a plate by turns, and count the processor time of every stage:
a ratio of two neighbours holds on a machine that others use too. Tables of both are compared byte by byte, and so are
the pixels of labels, whatever compressed them.

Run: git worktree add --detach /tmp/before COMMIT
     python benchmarks/turns.py /tmp/before [--large N] [--small N] [--folder DIR]
"""

from __future__ import annotations

import argparse
import json
import os
import shutil
import statistics
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from unittest import mock

from numcodecs.blosc import Blosc
from plates import make_plate
from runs import machine_line

from hcs.config import Config
from hcs.field.whole import process_fields_here
from hcs.run.prepare import prepare
from hcs.store.results.ledger import LedgerEntry

HERE = Path(__file__).resolve()
_CRC_BYTES = 4
"""At the end of a chunk of Zarr v3."""


def serve(plate: Path, out: Path) -> None:
    """Process the next field for every line that comes in, and answer with its stages' seconds."""
    prepared = prepare(plate, out, Config(labels="out"), plate_map_path=None, wells=None, device="cpu")
    assert prepared.job.labels is not None
    prepared.job.labels.prepare(prepared.job.plate)
    with (
        mock.patch("hcs.clock.perf_counter", time.process_time),
        mock.patch("hcs.store.meter.perf_counter", time.process_time),
    ):
        for turn, _ in enumerate(sys.stdin):
            key = prepared.keys[turn % len(prepared.keys)]
            began = time.process_time()
            (entry,) = process_fields_here(prepared.job.for_field(key), [key])
            assert isinstance(entry, LedgerEntry)
            print("\n", json.dumps({**entry.seconds, "all": time.process_time() - began}), flush=True)


class Side:
    """A process that runs the code of one checkout."""

    def __init__(self, checkout: Path, plate: Path, out: Path) -> None:
        shutil.rmtree(out, ignore_errors=True)
        self.out = out
        environment = {**os.environ, "PYTHONPATH": f"{checkout}{os.pathsep}{HERE.parent}", "OMP_NUM_THREADS": "1"}
        self.process = subprocess.Popen(
            [sys.executable, str(HERE), "--serve", str(plate), str(out)],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
            env=environment,
        )

    def turn(self) -> dict[str, float]:
        """Seconds of one field's stages."""
        assert self.process.stdin is not None
        assert self.process.stdout is not None
        self.process.stdin.write("\n")
        self.process.stdin.flush()
        for line in self.process.stdout:
            if line.lstrip().startswith("{"):
                return {stage: float(seconds) for stage, seconds in json.loads(line).items()}
        raise SystemExit("a side stopped; its error is above")

    def files(self) -> dict[str, bytes]:
        """Tables that it wrote, and labels, decoded."""
        assert self.process.stdin is not None
        self.process.stdin.close()
        self.process.wait()
        parts = {path: path.read_bytes() for path in (self.out / "nuclei").rglob("*.parquet")}
        labels = (path for path in (self.out / "labels.zarr").rglob("c/*/*") if path.is_file())
        parts |= {path: bytes(Blosc().decode(path.read_bytes()[:-_CRC_BYTES])) for path in labels}
        return {str(path.relative_to(self.out)): data for path, data in parts.items()}


def compare(before: Path, plate: Path, folder: Path, turns: int) -> list[str]:
    """The table of one plate."""
    sides = [
        Side(checkout, plate, folder / f"turns-{name}")
        for name, checkout in (("before", before), ("after", HERE.parents[1]))
    ]
    for side in sides:
        side.turn()  # loads the model and the compiled functions
    taken: list[tuple[dict[str, float], dict[str, float]]] = []
    for k in range(turns):
        order = sides if k % 2 else sides[::-1]
        found = {id(side): side.turn() for side in order}
        taken.append((found[id(sides[0])], found[id(sides[1])]))
    lines = ["| stage | before, ms | after, ms | after / before |", "|---|---|---|---|"]
    for stage in taken[0][0]:
        one, two = ([1e3 * pair[i][stage] for pair in taken] for i in (0, 1))
        ratio = statistics.median(b / a for a, b in zip(one, two, strict=True) if a > 0.0)
        lines.append(f"| {stage} | {statistics.median(one):.1f} | {statistics.median(two):.1f} | {ratio:.2f} |")
    old, new = (side.files() for side in sides)
    differ = [name for name in old.keys() | new.keys() if old.get(name) != new.get(name)]
    return [*lines, "", f"{len(new)} files of labels and tables; {len(differ)} differ {sorted(differ)[:3] or ''}", ""]


def main() -> None:
    """Make the plates, take turns, print."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("before", type=Path, help="another checkout")
    parser.add_argument("--large", type=int, default=11, help="turns with fields of 2160 × 2160")
    parser.add_argument("--small", type=int, default=64, help="turns with fields of 640 × 640")
    parser.add_argument("--folder", type=Path, help="where plates and results go, and plates are found again")
    options = parser.parse_args()
    folder = options.folder or Path(tempfile.mkdtemp(prefix="hcs-turns-"))
    print(machine_line(), end="\n\n")
    for name, size_px, density, fields, turns in (
        ("small", 640, 300.0, 16, options.small),
        ("large", 2160, 321.5, 2, options.large),
    ):
        plate = make_plate(folder / f"{name}-{fields}.zarr", fields=fields, size_px=size_px, density=density)
        print(f"### {size_px} × {size_px}", "", *compare(options.before.resolve(), plate, folder, turns), sep="\n")
    print(machine_line())


if __name__ == "__main__":
    if sys.argv[1:2] == ["--serve"]:
        serve(Path(sys.argv[2]), Path(sys.argv[3]))
    else:
        main()
