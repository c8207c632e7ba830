"""One `hcs run` in a process of its own, watched: account, memory of its workers, time to its first field."""

from __future__ import annotations

import shutil
import subprocess
import sys
import time
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import psutil

from hcs.machine import cores, processor_name
from hcs.store.results.folder import open_results
from hcs.store.results.ledger import LedgerEntry

_EVERY_S = 0.1


@dataclass(frozen=True, kw_only=True)
class Run:
    """What a run took."""

    wall_s: float
    startup_s: float
    """From the command to its first field."""
    peak_bytes: int
    """Most memory that a worker had."""
    entries: tuple[LedgerEntry, ...]
    account: dict[str, Any]

    @property
    def fields_s(self) -> float:
        """From the first field's beginning to the last one's end, without what workers needed once (median)."""
        began, ended = min(e.began for e in self.entries), max(e.ended for e in self.entries)
        starts = sorted(e.seconds["start"] for e in self.entries if e.seconds.get("start", 0.0) > 0.1)
        return ended - began - (starts[len(starts) // 2] if starts else 0.0)


def watch_run(plate: Path, out: Path, *, workers: int, options: Sequence[str] = ()) -> Run:
    """Run `hcs run` on ``plate`` into a new ``out``; it must succeed."""
    shutil.rmtree(out, ignore_errors=True)
    command = [sys.executable, "-m", "hcs", "run", str(plate), "--out", str(out), "--workers", str(workers), *options]
    began, clock = time.time(), time.perf_counter()
    process = subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE, text=True)
    peaks: dict[int, int] = {}
    try:
        while process.poll() is None:
            _note_peaks(process.pid, peaks)
            time.sleep(_EVERY_S)
    finally:
        process.kill()
    if process.returncode != 0:
        raise SystemExit(f"{' '.join(command)} failed: {process.stderr.read() if process.stderr else ''}")
    wall_s = time.perf_counter() - clock
    results = open_results(out)
    entries = results.entries()
    did = {int(entry.worker.rpartition(":")[2]) for entry in entries if entry.worker}
    return Run(
        wall_s=wall_s,
        startup_s=min(entry.began for entry in entries if entry.worker) - began,
        peak_bytes=max(peak for pid, peak in peaks.items() if pid in did),
        entries=entries,
        account=dict(results.record.account or {}),
    )


def _note_peaks(pid: int, peaks: dict[int, int]) -> None:
    """Largest resident memory of every process beneath ``pid``, as the system has noted it."""
    try:
        children = psutil.Process(pid).children(recursive=True)
    except psutil.NoSuchProcess:
        return
    for child in children:
        try:
            status = Path(f"/proc/{child.pid}/status").read_text()
        except OSError:
            continue
        for line in status.splitlines():
            if line.startswith("VmHWM"):
                peaks[child.pid] = max(peaks.get(child.pid, 0), int(line.split()[1]) * 1024)


def machine_line() -> str:
    """Processor, cores and how busy the machine is, for the head of every table."""
    load = ", ".join(f"{x:.1f}" for x in psutil.getloadavg())
    return f"{processor_name()}, {cores()} cores, {psutil.virtual_memory().total / 1e9:.0f} GB; load {load}"
