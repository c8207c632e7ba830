"""`hcs demo`: simulate, run, compare with the truth."""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from hcs.commands.simulate import simulation_files, write_simulation
from hcs.config import ChannelSettings, Config
from hcs.engine.cluster import Workers
from hcs.plate.keys import WellId
from hcs.run.plates import RunSummary
from hcs.run.run import run_plate
from hcs.simulate.compare import Agreement, agreement
from hcs.simulate.settings import SimulationSettings
from hcs.simulate.truth import truth_wells
from hcs.store.results.table import read_frame

DEAD_BRIGHTNESS = (5.0, 50.0)
"""Brightness of the cells that the demo's cytotoxic compound kills, relative to living nuclei."""


@dataclass(frozen=True, slots=True)
class DemoResult:
    """The run and how well it found the truth."""

    summary: RunSummary
    agreement: Agreement

    @property
    def comparison(self) -> tuple[str, ...]:
        """The agreement in words."""
        return self.agreement.lines()


def run_demo(out: Path, *, wells: int, workers: Workers, say: Callable[[str], None]) -> DemoResult:
    """Simulate ``out/plate.zarr`` (unless it is there), process it into ``out/results``, compare with the truth."""
    plate = out / "plate.zarr"
    if not plate.exists():
        out.mkdir(parents=True, exist_ok=True)
        started = time.monotonic()
        write_simulation(plate, SimulationSettings(wells=wells, dead_brightness=DEAD_BRIGHTNESS))
        say(f"simulated {wells} wells in {time.monotonic() - started:.0f} s: {plate}")
    files = simulation_files(plate)
    summary = run_plate(
        str(plate),
        out / "results",
        Config(channels=ChannelSettings(dna="DNA", sensor="CDK2")),
        plate_map=files.plate_map,
        workers=workers,
    )
    wells_run = tuple(WellId.parse(name) for name in summary.readouts.wells["Metadata_Well"])
    truth = truth_wells(read_frame(files.truth), wells=wells_run)
    return DemoResult(summary, agreement(summary.readouts.wells, truth))
