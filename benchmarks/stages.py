"""Where a run's time goes, beside the least that it could take on this machine: one command, a table and a figure.

Simulates a plate of 2160 × 2160 fields of 1,500 nuclei and one of 640 × 640 fields, two channels each, and runs both
with one and with two workers. The floor of reading and decoding is the plate's bytes over the measured bandwidth of
disk and codec; that of the network its operations over the measured rate of this device's float32 convolutions, both
on one thread: in integers, as the default is, a network is below that. The page cache is warm.

Run: python benchmarks/stages.py [--large N] [--small N] [--repeats N] [--folder DIR] [--figure docs/stages.png]
     python benchmarks/stages.py --processor
"""

from __future__ import annotations

import argparse
import resource
import shutil
import statistics
import tempfile
import time
from collections.abc import Callable
from dataclasses import dataclass, replace
from pathlib import Path
from unittest import mock

import numpy as np
import torch
from matplotlib.figure import Figure
from numcodecs import blosc
from plates import make_plate
from runs import Run, machine_line, watch_run
from torch import nn

from hcs.config import Config
from hcs.field.whole import process_fields_here
from hcs.field.worker import load_segmenter
from hcs.report.figures import save_figure
from hcs.run.account import BESIDE, STAGES, Account, by_worker, together
from hcs.run.prepare import prepare
from hcs.segment.predict import tune_cpu
from hcs.store.models import find_model
from hcs.store.plate.reader import open_field, open_plate
from hcs.store.results.ledger import LedgerEntry
from hcs.tiles.grid import tiles

TILE_PX = Config().tiles.size_px
PIXELS = ("normalise", "infer", "stitch", "instances", "measure", "quality")
COLOURS = ("#999999", "#0072B2", "#56B4E9", "#000000", "#E69F00", "#009E73", "#F0E442", "#CC79A7", "#D55E00", "#666666")


@dataclass(frozen=True)
class Floor:
    """Least seconds for one field, by stage."""

    seconds: dict[str, float]
    rates: str


def best_s(function: Callable[[], object], repeats: int = 5) -> float:
    """Shortest of some calls, in seconds of this thread's own processor time, so that other processes do not count."""
    times = []
    for _ in range(repeats):
        began = time.thread_time()
        function()
        times.append(time.thread_time() - began)
    return min(times)


def convolution_rate() -> float:
    """Multiplications and additions a second of one thread in a 3 × 3 convolution of 32 channels."""
    layer = nn.Conv2d(32, 32, 3, padding=1).eval().to(memory_format=torch.channels_last)
    x = torch.rand(1, 32, 512, 512).to(memory_format=torch.channels_last)
    with torch.inference_mode():
        layer(x)
        return 2 * 9 * 32 * 32 * 512 * 512 / best_s(lambda: layer(x))


def network_operations(network: nn.Module, height: int, width: int) -> float:
    """Multiplications and additions of all convolutions for one image, counted on tensors without data."""
    total = 0.0

    def count(layer: nn.Module, _: object, out: torch.Tensor) -> None:
        nonlocal total
        assert isinstance(layer, nn.Conv2d)
        total += 2 * out.numel() * layer.in_channels * layer.kernel_size[0] * layer.kernel_size[1]

    hooks = [m.register_forward_hook(count) for m in network.modules() if isinstance(m, nn.Conv2d)]
    with torch.inference_mode():
        network(torch.empty(1, 1, height, width, device="meta"))
    for hook in hooks:
        hook.remove()
    return total


def floor_of(plate: Path, size_px: int) -> Floor:
    """Bytes over bandwidths and operations over the rate of convolutions, one thread."""
    tune_cpu(threads=1)
    blosc.set_nthreads(1)
    opened = open_plate(str(plate))
    field = open_field(opened, opened.fields[0].key)
    image = field.read(z="refuse")
    files = [p for p in (plate / field.info.level_path).rglob("*") if p.is_file() and p.name != "zarr.json"]
    stored = [path.read_bytes() for path in files]
    read_s = best_s(lambda: [path.read_bytes() for path in files])
    decode_s = best_s(lambda: [blosc.decompress(chunk) for chunk in stored])
    rate = convolution_rate()
    segmenter = load_segmenter(find_model("fast", arithmetic="float32"), "cpu", flips=False)
    network = segmenter.networks[0]
    spec = network.spec
    padded = -(-size_px // spec.stride_px) * spec.stride_px
    cut = tiles((padded, padded), size_px=TILE_PX, halo_px=spec.receptive_radius_px, stride_px=spec.stride_px)
    network.to("meta")
    once = network_operations(network, padded, padded)
    tiled = sum(network_operations(network, *tile.read_shape) for tile in cut)
    sizes = sum(map(len, stored))
    return Floor(
        {"read": read_s, "decode": decode_s, "infer": once / rate},
        f"disk {sizes / read_s / 1e9:.1f} GB/s, codec {image.nbytes / decode_s / 1e9:.2f} GB/s decoded, convolutions "
        f"{rate / 1e9:.0f} GFLOP/s; the network needs {once / 1e9:.0f} GFLOP a field, {tiled / once:.2f} times that "
        "with the halos of its tiles",
    )


def processor_run(plate: Path, out: Path) -> Run:
    """The fields one after another in this process, one thread, in seconds of processor time instead of the clock's:
    what to look at on a machine that others use too. Nothing overlaps, so there is nothing to wait for."""
    shutil.rmtree(out, ignore_errors=True)
    config = Config(labels="out")
    prepared = prepare(plate, out, config, plate_map_path=None, wells=None, device="cpu")
    if prepared.job.labels is not None:
        prepared.job.labels.prepare(prepared.job.plate)
    began, entries = time.process_time(), []
    patches = (mock.patch(f"hcs.{module}.perf_counter", time.process_time) for module in ("clock", "store.meter"))
    with next(patches), next(patches):
        for key in (prepared.keys[0], *prepared.keys):  # the first one loads the model and the kernels
            (entry,) = process_fields_here(prepared.job.for_field(key), [key])
            assert isinstance(entry, LedgerEntry)
            assert entry.done, entry.reason
            entries.append(entry)
    wall_s = time.process_time() - began
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024
    account = together({"": Account()} | by_worker(replace(entry, worker="") for entry in entries[1:])).plain()
    return Run(
        wall_s=wall_s,
        startup_s=0.0,
        peak_bytes=peak,
        entries=tuple(entries[1:]),
        account={"all": account, "workers": {}},
    )


def table(title: str, run: Run, floor: Floor) -> list[str]:
    """Lines of one run: every stage per field, its share of the network's time, the floor and the ratio."""
    total = run.account["all"]
    stages, fields = total["stages"], total["fields"]
    infer_s = stages["infer"]["s"]
    lines = [f"### {title}", "", "| stage | ms a field | MB a field | of the network | floor, ms | ratio |"]
    lines.append("|---|---|---|---|---|---|")
    for stage in (name for name in STAGES if name in stages):
        s, mb = stages[stage]["s"] / fields, stages[stage]["mb"] / fields
        least = floor.seconds.get(stage)
        known = f"{1e3 * least:.1f} | {s / least:.1f}" if least else "|"
        beside = " (beside)" if stage in BESIDE else ""
        lines.append(f"| {stage}{beside} | {1e3 * s:.1f} | {mb:.2f} | {s * fields / infer_s:.1%} | {known} |")
    rest = sum(v["s"] for k, v in stages.items() if k not in ("infer", "start", "wait"))
    idle, moving = stages.get("wait", {"s": 0.0})["s"], sum(stages[k]["s"] for k in BESIDE if k in stages)
    speed = (
        f"{len(run.account['workers'])} worker(s), {fields / run.fields_s:.2f} fields/s, waiting "
        f"{1e3 * idle / fields:.1f} ms a field, first field after {run.startup_s:.1f} s"
        if run.account["workers"]
        else f"{run.wall_s / fields:.2f} s of processor time a field"
    )
    lines += [
        "",
        f"{fields} fields, {speed}; all but the network {rest / infer_s:.1%} of the network's time; reading and "
        f"writing {1e3 * moving / fields:.1f} ms a field; largest memory {run.peak_bytes / 1e9:.2f} GB.",
        "",
    ]
    return lines


def figure(runs: dict[str, tuple[Run, Floor]]) -> Figure:
    """Seconds of every worker by stage, one bar a worker, and the floor beside them."""
    drawn = Figure(figsize=(9, 3.2 * len(runs)), layout="constrained")
    for axes, (title, (run, floor)) in zip(np.ravel(drawn.subplots(len(runs), 1)), runs.items(), strict=True):
        bars = {f"worker {i}": w["stages"] for i, w in enumerate(run.account["workers"].values(), start=1)}
        share = len(run.entries) / len(bars)
        bars["floor"] = {stage: {"s": s * share} for stage, s in floor.seconds.items()}
        left = np.zeros(len(bars))
        shown = [s for s in STAGES if any(s in b for b in bars.values())]
        for i, stage in enumerate(shown):
            widths = np.array([bar.get(stage, {"s": 0.0})["s"] for bar in bars.values()])
            hatch = "//" if stage in BESIDE else None
            axes.barh(list(bars), widths, left=left, label=stage, color=COLOURS[i % len(COLOURS)], hatch=hatch)
            left += widths
        axes.invert_yaxis()
        axes.set_title(title, fontsize=9)
        axes.set_xlabel("s (hatched: beside the computing)", fontsize=8)
        axes.legend(fontsize=7, ncols=2, loc="center left", bbox_to_anchor=(1, 0.5))
    return drawn


def main() -> None:
    """Make the plates, run them, print."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--large", type=int, default=8, help="fields of 2160 × 2160")
    parser.add_argument("--small", type=int, default=96, help="fields of 640 × 640")
    parser.add_argument("--repeats", type=int, default=1, help="runs of each kind; that of median speed is shown")
    parser.add_argument("--folder", type=Path, help="where plates and results go, and plates are found again")
    parser.add_argument("--figure", type=Path)
    parser.add_argument("--processor", action="store_true", help="processor time in this process; see `processor_run`")
    options = parser.parse_args()
    folder = options.folder or Path(tempfile.mkdtemp(prefix="hcs-stages-"))
    drawn: dict[str, tuple[Run, Floor]] = {}
    print(machine_line(), end="\n\n")
    for name, size_px, density, fields in (("small", 640, 300.0, options.small), ("large", 2160, 321.5, options.large)):
        plate = make_plate(folder / f"{name}-{fields}.zarr", fields=fields, size_px=size_px, density=density)
        floor = floor_of(plate, size_px)
        if options.processor:
            run = processor_run(plate, folder / "results")
            print("\n".join(table(f"{fields} fields of {size_px} × {size_px}, processor time", run, floor)), flush=True)
            print(f"Floor: {floor.rates}.\n", flush=True)
            continue
        rates: dict[int, float] = {}
        for workers in (1, 2):
            repeats = [watch_run(plate, folder / "results", workers=workers) for _ in range(options.repeats)]
            repeats.sort(key=lambda run: run.fields_s)
            run = repeats[len(repeats) // 2]
            rates[workers] = statistics.median(fields / r.fields_s for r in repeats)
            title = f"{fields} fields of {size_px} × {size_px}, {workers} worker{'s' * (workers > 1)}"
            print("\n".join(table(title, run, floor)), flush=True)
            if workers == 2:
                drawn[title] = run, floor
        print(f"Two workers do {rates[2] / rates[1]:.2f} times what one does. Floor: {floor.rates}.\n", flush=True)
    print(machine_line())
    if options.figure is not None and drawn:
        save_figure(figure(drawn), options.figure)


if __name__ == "__main__":
    main()
