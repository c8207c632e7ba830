"""A plate processed twice: undisturbed, and with a worker killed at random every few seconds; the tables compared.

Simulates a 384-well plate of small fields, runs it over local workers, then over workers of which one is shot (SIGKILL)
at random moments and started again by its nanny, and compares every file of the two nucleus tables byte by byte.

Run: python benchmarks/chaos.py [--wells N] [--size PX] [--every S] [--workers N] [--seed N] [--folder DIR]
"""

from __future__ import annotations

import argparse
import os
import random
import signal
import subprocess
import sys
import tempfile
import time
from contextlib import suppress
from pathlib import Path

from distributed import Client

from hcs.run.cluster import Workers, connect, cores
from hcs.run.simulation import SimulationFiles, write_simulation
from hcs.simulate.settings import SimulationSettings
from hcs.store.results import open_results


def command(files: SimulationFiles, out: Path, *who: str) -> list[str]:
    """`hcs run` of the plate into ``out``."""
    told = ["--out", str(out), "--plate-map", str(files.plate_map), "--labels", "none"]
    return [sys.executable, "-m", "hcs", "run", str(files.plate), *told, *who]


def undisturbed(files: SimulationFiles, out: Path, workers: int) -> float:
    """Seconds of a run over local workers."""
    began = time.monotonic()
    subprocess.run(command(files, out, "--workers", str(workers)), check=True, stdout=subprocess.DEVNULL)
    return time.monotonic() - began


def disturbed(
    files: SimulationFiles, out: Path, workers: int, every_s: float, chance: random.Random
) -> tuple[int, float]:
    """Kills, and seconds of a run whose workers are killed, one every ``every_s`` on average."""
    kills, began = 0, time.monotonic()
    with (
        connect(Workers(count=workers)) as client,
        subprocess.Popen(
            command(files, out, "--scheduler", client.scheduler.address), stdout=subprocess.DEVNULL
        ) as run,
    ):
        while run.poll() is None:
            time.sleep(chance.uniform(0.2, 2 * every_s - 0.2))
            working = busy(client)
            if working and run.poll() is None:
                with suppress(ProcessLookupError):
                    os.kill(chance.choice(working), signal.SIGKILL)
                    kills += 1
        if run.wait() != 0:
            sys.exit(f"the disturbed run ended with exit code {run.returncode}")
    return kills, time.monotonic() - began


def busy(client: Client) -> list[int]:
    """Process ids of the workers that have fields."""
    working = {worker for worker, tasks in client.processing().items() if tasks}
    return [nanny.pid for nanny in client.cluster.workers.values() if nanny.worker_address in working and nanny.pid]


def table(out: Path) -> dict[str, bytes]:
    """Every part of the nucleus table."""
    return {str(path.relative_to(out)): path.read_bytes() for path in sorted((out / "nuclei").rglob("*.parquet"))}


def main() -> None:
    options = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    options.add_argument("--wells", type=int, default=384)
    options.add_argument("--size", type=int, default=200)
    options.add_argument("--every", type=float, default=6.0, help="seconds between kills, on average")
    options.add_argument("--workers", type=int, default=cores())
    options.add_argument("--seed", type=int, default=0)
    options.add_argument("--folder", type=Path)
    chosen = options.parse_args()
    with tempfile.TemporaryDirectory(dir=chosen.folder, prefix="hcs-chaos-") as temporary:
        folder = Path(temporary)
        settings = SimulationSettings(wells=chosen.wells, size_px=chosen.size, density=250.0, seed=chosen.seed)
        files = write_simulation(folder / "plate.zarr", settings)
        calm_s = undisturbed(files, folder / "calm", chosen.workers)
        kills, stormy_s = disturbed(files, folder / "stormy", chosen.workers, chosen.every, random.Random(chosen.seed))
        calm, stormy = table(folder / "calm"), table(folder / "stormy")
        nuclei = len(open_results(folder / "calm").nuclei(columns=["Metadata_ObjectNumber"]))
        print(f"{chosen.wells} wells of {chosen.size} px, {nuclei:,} nuclei, {chosen.workers} workers")
        print(f"undisturbed {calm_s:.0f} s; with {kills} workers killed {stormy_s:.0f} s")
        differing = [name for name in calm.keys() | stormy.keys() if calm.get(name) != stormy.get(name)]
        print(f"{len(calm)} files of the nucleus table: {len(differing) or 'none'} differ")
        sys.exit(bool(differing) or not kills)


if __name__ == "__main__":
    main()
