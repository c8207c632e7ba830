"""A plate processed undisturbed, and again and again with processes killed at random; the tables compared byte by byte.

Simulates a plate of small fields and runs it once in peace. Then SIGKILL falls at random moments, start-up included, on
what a run consists of: with local workers on a worker, the helper they are forked from, the client (which holds the
scheduler) or all at once; with a standing cluster on its scheduler, a nanny, a worker or the client. What was killed is
started again by whoever is there for it, or here by the same command. Every table that comes of it is compared, file by
file, with the undisturbed one, and every results folder with its checksums.

Run: python benchmarks/chaos.py [--kills N] [--minutes M] [--wells N] [--size PX] [--workers N] [--seed N]
     [--folder DIR]
"""

from __future__ import annotations

import argparse
import contextlib
import json
import os
import random
import signal
import subprocess
import sys
import tempfile
import time
from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path

import psutil

from hcs.commands.simulate import SimulationFiles, write_simulation
from hcs.engine.certificates import write_certificates
from hcs.machine import cores
from hcs.simulate.settings import SimulationSettings
from hcs.store.results.folder import open_results
from hcs.store.results.verify import verify

LOCAL, STANDING = ("worker", "helper", "client", "all"), ("worker", "nanny", "scheduler", "client")
HEAVY = ("client", "all", "scheduler", "helper")
"""Victims after which a run begins anew: killed later on average, or no run would ever end."""


@dataclass
class Storm:
    """What falls, how often, and what came of it."""

    files: SimulationFiles
    folder: Path
    workers: int
    calm_s: float
    chance: random.Random
    kills: Counter[str] = field(default_factory=Counter)
    complaints: list[str] = field(default_factory=list)

    def command(self, out: Path, *who: str) -> list[str]:
        told = ["--out", str(out), "--plate-map", str(self.files.plate_map), "--labels", "none"]
        return [sys.executable, "-m", "hcs", "run", str(self.files.plate), *told, *who]

    def start(self, out: Path, *who: str) -> subprocess.Popen[str]:
        errors = (self.folder / "run.log").open("a+")
        return subprocess.Popen(
            self.command(out, *who), stdout=subprocess.DEVNULL, stderr=errors, text=True, start_new_session=True
        )

    def until_done(self, out: Path, kinds: tuple[str, ...], most: int, cluster: Cluster | None = None) -> None:
        """Run into ``out`` until it ends well, with up to ``most`` kills on the way."""
        fallen = 0
        while True:
            if cluster is not None:
                cluster.ensure()
            run = self.start(out, *(cluster.told() if cluster else ("--workers", str(self.workers))))
            while run.poll() is None and fallen < most:
                kind = self.chance.choice(kinds)
                span = self.calm_s if kind in HEAVY else self.calm_s / 6
                with contextlib.suppress(subprocess.TimeoutExpired):
                    run.wait(self.chance.uniform(0.0, span))
                if run.poll() is None and self.kill(kind, run, cluster):
                    fallen += 1
            if run.wait() == 0:
                return
            psutil.wait_procs(descendants(run.pid), timeout=60)

    def kill(self, kind: str, run: subprocess.Popen[str], cluster: Cluster | None) -> bool:
        """Kill one process of a kind; whether there was one."""
        found = {
            "client": lambda: [run.pid],
            "all": lambda: [run.pid, *descendants(run.pid)],
            "helper": lambda: [server.pid for server in servers(run.pid)],
            "worker": lambda: some(self.chance, cluster.workers() if cluster else forked(run.pid)),
            "nanny": lambda: [cluster.nanny.pid] if cluster else [],
            "scheduler": lambda: [cluster.scheduler.pid] if cluster else [],
        }[kind]()
        pids = [process if isinstance(process, int) else process.pid for process in found]
        for pid in pids:
            with contextlib.suppress(ProcessLookupError):
                os.kill(pid, signal.SIGKILL)
        self.kills[kind] += bool(pids)
        return bool(pids)


class Cluster:
    """A scheduler and a nanny of workers with certificates, started again when they are gone."""

    def __init__(self, folder: Path, workers: int) -> None:
        self._tls, self._file, self._workers = folder / "tls", folder / "scheduler.json", workers
        self._log = (folder / "dask.log").open("wb")
        write_certificates(self._tls)
        self._with = [f"--tls-{name}={self._tls}/{file}.pem" for name, file in
                      (("ca-file", "cert"), ("cert", "cert"), ("key", "key"))]  # fmt: skip
        self.scheduler = self._dask("scheduler", "--protocol", "tls", "--port", "0")
        self.nanny = self._work()

    def _dask(self, *what: str) -> subprocess.Popen[bytes]:
        here = ["--host", "127.0.0.1", "--no-dashboard", "--scheduler-file", str(self._file)]
        command = [sys.executable, "-m", "dask", *what, *here, *self._with]
        return subprocess.Popen(command, stdout=self._log, stderr=self._log)

    def _work(self) -> subprocess.Popen[bytes]:
        each = ("--nworkers", str(self._workers), "--nthreads", "1", "--memory-limit", "0")
        return self._dask("worker", *each, "--death-timeout", "60")

    def ensure(self) -> None:
        """Start what is gone; workers of a scheduler that is gone are of no use to another."""
        if self.scheduler.poll() is not None:
            self._file.unlink(missing_ok=True)
            self.scheduler = self._dask("scheduler", "--protocol", "tls", "--port", "0")
            self.nanny.kill()
        if self.nanny.poll() is not None:
            self.nanny.wait()
            self.nanny = self._work()
        while not (self._file.exists() and self._file.stat().st_size):
            time.sleep(0.05)

    def told(self) -> tuple[str, ...]:
        """Options of `hcs run`."""
        return ("--scheduler", json.loads(self._file.read_text())["address"], "--certificates", str(self._tls))

    def workers(self) -> list[psutil.Process]:
        """Processes that the nanny has started."""
        return [p for p in descendants(self.nanny.pid) if "resource_tracker" not in " ".join(p.cmdline())]

    def stop(self) -> None:
        for process in (self.nanny, self.scheduler):
            children = descendants(process.pid)
            process.kill()
            process.wait()
            psutil.wait_procs(children, timeout=60)


def descendants(pid: int) -> list[psutil.Process]:
    with contextlib.suppress(psutil.NoSuchProcess):
        return list(psutil.Process(pid).children(recursive=True))
    return []


def servers(pid: int) -> list[psutil.Process]:
    """The fork server of a run."""
    found = []
    for process in descendants(pid):
        with contextlib.suppress(psutil.NoSuchProcess):
            if "forkserver" in " ".join(process.cmdline()) and process.ppid() == pid:
                found.append(process)
    return found


def forked(pid: int) -> list[psutil.Process]:
    """The local workers of a run."""
    return [worker for server in servers(pid) for worker in descendants(server.pid)]


def some(chance: random.Random, processes: list[psutil.Process]) -> list[psutil.Process]:
    return [chance.choice(processes)] if processes else []


def table(out: Path) -> dict[str, bytes]:
    """Every part of the nucleus table."""
    return {str(path.relative_to(out)): path.read_bytes() for path in sorted((out / "nuclei").rglob("*.parquet"))}


def check(storm: Storm, out: Path, calm: dict[str, bytes]) -> None:
    """Compare a folder with the undisturbed one and with its own checksums."""
    found = table(out)
    differing = [name for name in calm.keys() | found.keys() if calm.get(name) != found.get(name)]
    storm.complaints += [f"{out.name}: {name} differs" for name in differing]
    results = open_results(out)
    storm.complaints += map(str, verify(results).faults)
    storm.complaints += [f"{out.name}: {path} is left over" for path in out.rglob(".*") if path.is_file()]
    if len(results.nuclei(columns=["Metadata_Site"])) != results.ledger()["Count_Nuclei"].sum():
        storm.complaints.append(f"{out.name}: table and ledger disagree")


def rounds(storm: Storm, calm: dict[str, bytes], kills: int, minutes: float, say: Callable[[str], None] = print) -> int:
    """Runs under fire, local and standing by turns, until so many kills or minutes are over; how many."""
    until, count = time.monotonic() + 60 * minutes, 0
    while storm.kills.total() < kills and time.monotonic() < until:
        out, local = storm.folder / f"stormy-{count}", count % 2 == 0
        cluster = None if local else Cluster(Path(tempfile.mkdtemp(dir=storm.folder)), storm.workers)
        try:
            storm.until_done(out, LOCAL if local else STANDING, min(12, kills - storm.kills.total()), cluster)
        finally:
            if cluster is not None:
                cluster.stop()
        check(storm, out, calm)
        count += 1
        told = ", ".join(f"{kind} {n}" for kind, n in sorted(storm.kills.items()))
        say(f"{count} runs, {storm.kills.total()} kills ({told}): {len(storm.complaints) or 'no'} complaints")
    return count


def main() -> None:
    options = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    options.add_argument("--kills", type=int, default=100)
    options.add_argument("--minutes", type=float, default=120.0)
    options.add_argument("--wells", type=int, default=96)
    options.add_argument("--size", type=int, default=200)
    options.add_argument("--workers", type=int, default=cores())
    options.add_argument("--seed", type=int, default=0)
    options.add_argument("--folder", type=Path)
    chosen = options.parse_args()
    with tempfile.TemporaryDirectory(dir=chosen.folder, prefix="hcs-chaos-") as temporary:
        folder = Path(temporary)
        settings = SimulationSettings(wells=chosen.wells, size_px=chosen.size, density=250.0, seed=chosen.seed)
        files = write_simulation(folder / "plate.zarr", settings)
        storm = Storm(files, folder, chosen.workers, 0.0, random.Random(chosen.seed))
        began = time.monotonic()
        storm.start(folder / "calm", "--workers", str(chosen.workers)).wait()
        storm.calm_s = time.monotonic() - began
        calm = table(folder / "calm")
        print(f"{chosen.wells} wells of {chosen.size} px, {chosen.workers} workers; undisturbed {storm.calm_s:.0f} s")
        rounds(storm, calm, chosen.kills, chosen.minutes, say=lambda line: print(line, flush=True))
        told = (folder / "run.log").read_text()
        storm.complaints += [f"{word} was printed" for word in ("Traceback", "leaked") if word in told]
        found = "; ".join(storm.complaints) or "none"
        print(f"{len(calm)} files of the nucleus table in every run; complaints: {found}")
        if "Traceback" in told:
            print(told[max(told.index("Traceback") - 500, 0) :][:3000])
        sys.exit(bool(storm.complaints) or not storm.kills.total() or not calm)


if __name__ == "__main__":
    main()
