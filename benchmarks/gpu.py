"""What one GPU does, in one command, on a machine without network: right or not, where the time goes, how fast.

Needs numpy, torch, numba with numba-cuda, OpenCV, safetensors and this repository. First the kernels' labels are
compared with the CPU's on fields that are hard to label (`gpu_labels.py`): where a pixel differs, nothing is timed.
Then it makes fields of its own (two channels, uint16, about 1,500 nuclei in 2160 × 2160), and prints: agreement with
the CPU, by precision; milliseconds by stage, and by stage of the labels, against the projection of `gpu_model.py`;
megapixels a second of both channels with 1 to 16 reader threads, and the share of the time in which the device was
driven; and what was achieved against the floor (operations over the measured rate of convolutions, bytes over the
measured bandwidth to the device). Fields are read from .npy files, so that no codec is part of it.

Run in the repository:
    PYTHONPATH=. python benchmarks/gpu.py [--device cuda] [--size 2160] [--fields 64] [--tile 1024 …]
    [--readers 1 2 4 8 16] [--out figures.json]
Without a GPU, all the same code on a small field, the kernels in numba's simulator, and no time that means anything:
    PYTHONPATH=. python benchmarks/gpu.py --simulate
"""

from __future__ import annotations

import argparse
import json
import os
import shutil
import statistics
import sys
import tempfile
import time
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from pathlib import Path
from typing import Any

if "--simulate" in sys.argv:  # before numba is imported
    os.environ["NUMBA_ENABLE_CUDASIM"] = "1"

import gpu_labels
import gpu_model
import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from hcs.clock import Stopwatch
from hcs.measure.measure import measure_nuclei
from hcs.measure.settings import MeasureSettings
from hcs.segment.device.field import OnDevice, normalised, probabilities_on_device, segment_on_device
from hcs.segment.device.instances import instances_on_device
from hcs.segment.network import Network
from hcs.segment.networks import build_network
from hcs.segment.normalise import Normalisation, normalisation_of
from hcs.segment.ours.instances import instances
from hcs.segment.pace import Pace
from hcs.segment.settings import InstanceSettings
from hcs.tiles.settings import TileSettings

ROOT = Path(__file__).resolve().parents[1]
SETTINGS = InstanceSettings()
PRECISIONS = {"float32": torch.float32, "float16": torch.float16, "bfloat16": torch.bfloat16}
AHEAD_PER_READER = 2
SIMULATED = "--simulate" in sys.argv
REPEATS = 1 if SIMULATED else 5


def precisions_of(device: torch.device) -> dict[str, torch.dtype]:
    """Precisions worth trying: CPUs lose by half precision."""
    return PRECISIONS if device.type == "cuda" else {"float32": torch.float32}


def make_field(size: int, seed: int) -> NDArray[np.uint16]:
    """Two channels (2, size, size): blurred ellipses, about 320 a megapixel, shot noise."""
    rng = np.random.default_rng(seed)
    image = np.zeros((size, size), np.float32)
    for _ in range(round(321.5e-6 * size * size)):
        cy, cx = rng.uniform(0, size, 2)
        a, b, angle = rng.uniform(10, 17), rng.uniform(9, 13), rng.uniform(0, np.pi)
        y0, x0 = max(int(cy) - 24, 0), max(int(cx) - 24, 0)
        y, x = np.mgrid[y0 : min(y0 + 49, size), x0 : min(x0 + 49, size)]
        u = (y - cy) * np.cos(angle) + (x - cx) * np.sin(angle)
        v = (x - cx) * np.cos(angle) - (y - cy) * np.sin(angle)
        distance = np.sqrt((u / a) ** 2 + (v / b) ** 2)
        spot = rng.uniform(600, 1800) / (1 + np.exp((distance - 1) * 12))
        image[y0 : y0 + 49, x0 : x0 + 49] = np.maximum(image[y0 : y0 + 49, x0 : x0 + 49], spot)
    return rng.poisson(200 + np.stack([image, 0.6 * image])).astype(np.uint16)


def load(device: torch.device) -> Network:
    """The shipped fast model on ``device``."""
    try:
        from safetensors.numpy import load_file  # noqa: PLC0415
    except ImportError:
        raise SystemExit("safetensors is missing, the weights cannot be read: pip install safetensors") from None
    weights = ROOT / "hcs" / "segment" / "weights"
    card: dict[str, Any] = json.loads((weights / "fast.json").read_text())
    return build_network(card, load_file(weights / "fast.safetensors"), device)


def wait_for(device: torch.device) -> None:
    """Until the device has done all that it was asked."""
    if device.type == "cuda":
        torch.cuda.synchronize(device)


def median_ms(function: Callable[[], object], device: torch.device, repeats: int = 1 if SIMULATED else 7) -> float:
    """Median wall time of some calls, the first left out."""
    function()
    times = []
    for _ in range(repeats):
        wait_for(device)
        began = time.perf_counter()
        function()
        wait_for(device)
        times.append(time.perf_counter() - began)
    return 1e3 * statistics.median(times)


def agreement(image: NDArray[np.uint16], device: torch.device, cut: TileSettings) -> Iterator[str]:
    """Lines on how close the device comes to the CPU in float32, by precision."""
    plane, known = image[0], normalisation_of(image[0])
    cpu = torch.device("cpu")
    prepared = normalised(torch.from_numpy(plane), known)
    expected = probabilities_on_device(prepared, load(cpu), Pace(), cut)
    labels = instances(np.ascontiguousarray(expected.numpy()), SETTINGS)
    network = load(device)
    for name, dtype in precisions_of(device).items():
        pace = Pace(device=device, dtype=dtype)
        on_device = normalised(torch.from_numpy(plane).to(device), known)
        found = probabilities_on_device(on_device, network, pace, cut).cpu()
        own = segment_on_device(plane, known, OnDevice((network,), pace, cut), SETTINGS)[0].cpu().numpy()
        differing = np.mean((own > 0) != (labels > 0))
        yield (
            f"{name:9s} largest difference of a probability {float((found - expected).abs().max()):.4f}; nuclei "
            f"{own.max()} (CPU {labels.max()}), matched at IoU > 0.9 {_matched(labels, own)}; pixels that differ in "
            f"being nucleus {differing:.2e}"
        )


def _matched(one: NDArray[Any], other: NDArray[Any]) -> int:
    """How many labels of ``one`` have an IoU above 0.9 with one of ``other``."""
    pairs, common = np.unique(np.stack([one.ravel(), other.ravel()]).astype(np.int64), axis=1, return_counts=True)
    both = (pairs > 0).all(axis=0)
    area, area_other = np.bincount(one.ravel()), np.bincount(other.ravel())
    union = area[pairs[0, both]] + area_other[pairs[1, both]] - common[both]
    return int(np.count_nonzero(common[both] > 0.9 * union))


def stages(image: NDArray[np.uint16], network: Network, pace: Pace, cut: TileSettings) -> dict[str, float]:
    """Milliseconds by stage of one field, medians of 5, with the device waited for between stages."""
    known, runs = normalisation_of(image[0]), []
    for i in range(1 + REPEATS):
        clock = Stopwatch()
        labels, confidence = segment_on_device(image[0], known, OnDevice((network,), pace, cut), SETTINGS, clock)
        here = labels.cpu().numpy(), confidence.cpu().numpy()
        clock.lap("download", here[0].nbytes + here[1].nbytes)
        measured(*here, image)
        clock.lap("measure (one thread of the host)")
        if i:
            runs.append(clock.seconds)
    return {stage: 1e3 * statistics.median(run[stage] for run in runs) for stage in runs[0]}


def label_stages(image: NDArray[np.uint16], network: Network, pace: Pace, cut: TileSettings) -> dict[str, float]:
    """Milliseconds by stage of the labels of one field, medians of 5, with the device waited for between stages; and of
    all of them, not waited for."""
    known, device = normalisation_of(image[0]), pace.device
    prepared = normalised(torch.from_numpy(image[0]).to(device), known)
    probabilities = OnDevice((network,), pace, cut).probabilities(prepared)
    runs = []
    for i in range(1 + REPEATS):
        clock = Stopwatch()

        def lap(stage: str, clock: Stopwatch = clock) -> None:
            wait_for(device)
            clock.lap(stage)

        wait_for(device)
        clock.lap("before")
        instances_on_device(probabilities, SETTINGS, lap=lap)
        if i:
            runs.append(clock.seconds)
    ms = {stage.name: 1e3 * statistics.median(run[stage.name] for run in runs) for stage in gpu_model.LABELS}
    return ms | {"all, not waited for": median_ms(lambda: instances_on_device(probabilities, SETTINGS), device)}


def measured(labels: NDArray[np.int32], confidence: NDArray[np.float32], image: NDArray[np.uint16]) -> int:
    """Measure the nuclei as `hcs run` does, on a thread of the host; rows of the table."""
    table = measure_nuclei(
        labels.view(np.uint32),
        image,
        channels=("DNA", "CDK2"),
        dna="DNA",
        sensor="CDK2",
        settings=MeasureSettings(),
        pixel_size_um=0.65,
        confidence=confidence,
    )
    return len(next(iter(table.columns.values())))


def throughput(
    files: Sequence[Path], network: Network, pace: Pace, cut: TileSettings, readers: int
) -> tuple[float, float]:
    """Megapixels of both channels a second, from files to labels and table in memory, and the share of the time in
    which the device worked or sent its results.

    As `hcs.field.whole` has it: some threads read ahead, one drives the device, as many as read measure.
    """
    busy = 0.0

    def read(path: Path) -> tuple[NDArray[np.uint16], Normalisation]:
        image = np.load(path)
        return image, normalisation_of(image[0])

    began, size = time.perf_counter(), 0
    with ThreadPoolExecutor(readers) as pool, ThreadPoolExecutor(readers) as measuring:
        waiting = iter(files)
        ahead: list[Future[tuple[NDArray[np.uint16], Normalisation]]] = []
        done: list[Future[int]] = []
        while True:
            while len(ahead) < AHEAD_PER_READER * readers and (path := next(waiting, None)) is not None:
                ahead.append(pool.submit(read, path))
            if not ahead:
                break
            image, known = ahead.pop(0).result()
            size += image.size
            at = time.perf_counter()
            labels, confidence = segment_on_device(image[0], known, OnDevice((network,), pace, cut), SETTINGS)
            here = labels.cpu().numpy(), confidence.cpu().numpy()
            busy += time.perf_counter() - at
            if len(done) >= AHEAD_PER_READER * readers:
                done[-AHEAD_PER_READER * readers].result()
            done.append(measuring.submit(measured, *here, image))
        for future in done:
            future.result()
    wall_s = time.perf_counter() - began
    return size / wall_s / 1e6, busy / wall_s


def convolution_rate(device: torch.device, dtype: torch.dtype) -> float:
    """Operations a second of a 3 × 3 convolution of 64 channels."""
    side = 1024 if device.type == "cuda" else 256
    layer = nn.Conv2d(64, 64, 3, padding=1).to(device, dtype).to(memory_format=torch.channels_last)  # type: ignore[call-overload]
    x = torch.rand(4, 64, side, side, device=device, dtype=dtype).to(memory_format=torch.channels_last)
    with torch.inference_mode():
        return 2 * 9 * 64 * 64 * 4 * side * side / (median_ms(lambda: layer(x), device) / 1e3)


def network_operations(network: nn.Module, side: int) -> float:
    """Multiplications and additions of all convolutions for one square image, counted on tensors without data."""
    total = 0.0

    def count(layer: nn.Module, _: object, out: Tensor) -> None:
        nonlocal total
        assert isinstance(layer, nn.Conv2d)
        total += 2 * out.numel() * layer.in_channels * layer.kernel_size[0] * layer.kernel_size[1]

    for module in network.modules():
        if isinstance(module, nn.Conv2d):
            module.register_forward_hook(count)
    with torch.inference_mode():
        network.to("meta")(torch.empty(1, 1, side, side, device="meta"))
    return total


def environment(device: torch.device) -> str:
    """Device and versions."""
    name = torch.cuda.get_device_name(device) if device.type == "cuda" else "CPU"
    numba = __import__("numba").__version__
    return f"{name}, torch {torch.__version__}, numba {numba}, {torch.get_num_threads()} threads"


def compare_kernels(side: int, device: torch.device) -> list[dict[str, Any]]:
    """Labels of hard fields against the CPU's, a line each; SystemExit where a pixel differs."""
    found = []
    for line in gpu_labels.differences(side, device.type, lambda _i, _size: None):
        found.append(line)
        print(f"{line['field']:30s} {line['nuclei']:6d} nuclei, {line['differing']} pixels differ", flush=True)
    if any(line["differing"] for line in found):
        raise SystemExit("the kernels do not label as the CPU does: nothing is timed")
    return found


def told(figure: float, digits: int = 1) -> str:
    """A figure that depends on time; the simulator has none."""
    return "–" if SIMULATED else f"{figure:.{digits}f}"


def print_against(title: str, found: dict[str, float], projected: dict[str, float]) -> None:
    """Milliseconds beside those on paper, and their ratio."""
    print(f"{title}: measured, projected (ms), ratio")
    for stage, ms in found.items():
        paper = f"{projected[stage]:8.2f} {told(ms / projected[stage]):>6s}" if stage in projected else ""
        print(f"  {stage:36s} {told(ms, 2):>8s} {paper}")


def asked() -> argparse.Namespace:
    """What to do, from the command line."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--device", choices=["cuda", "cpu"], default="cuda")
    parser.add_argument("--simulate", action="store_true", help="on a CPU, the kernels in numba's simulator, tiny")
    parser.add_argument("--size", type=int, default=2160)
    parser.add_argument("--hard", type=int, default=1080, help="side of the fields that are hard to label")
    parser.add_argument("--fields", type=int, default=64)
    parser.add_argument("--tile", type=int, nargs="+", default=[1024, 2176], help="sides of tiles to try")
    parser.add_argument("--readers", type=int, nargs="+", default=[1, 2, 4, 8, 16])
    parser.add_argument("--out", type=Path, help="where to write all figures, as JSON")
    options = parser.parse_args()
    if options.simulate:
        print("SIMULATOR: a CPU runs the kernels in Python. Labels are checked, all parts run, no time is taken.\n")
        options.device, options.size, options.hard, options.fields = "cpu", 96, 40, 2
        options.tile, options.readers = [64], [1]
    if options.device == "cuda" and not torch.cuda.is_available():
        raise SystemExit("torch sees no CUDA device here; --simulate runs the same code without one")
    return options


def main() -> None:
    """All parts, one after another."""
    options = asked()
    device, began = torch.device(options.device), time.perf_counter()
    figures: dict[str, Any] = {"environment": environment(device), "simulated": options.simulate}
    print(figures["environment"], end="\n\n")
    if device.type == "cuda" or options.simulate:
        figures["kernels"] = compare_kernels(options.hard, device)
        print(f"the kernels label as the CPU does ({time.perf_counter() - began:.0f} s with compiling)\n")
    images = [make_field(options.size, seed) for seed in range(min(options.fields, 4))]
    figures["agreement"] = list(agreement(images[0], device, TileSettings(size_px=options.tile[0])))
    print(*figures["agreement"], sep="\n", end="\n\n")
    network, times = load(device), {}
    for size_px in options.tile:
        for name, dtype in precisions_of(device).items():
            cut = TileSettings(size_px=size_px)
            times[size_px, name] = stages(images[0], network, Pace(device=device, dtype=dtype), cut)
            text = ", ".join(f"{stage} {told(ms)}" for stage, ms in times[size_px, name].items())
            print(f"tiles of {size_px}, {name}: {text} ms a field", flush=True)
    size_px, name = min(times, key=lambda kind: times[kind]["infer"])
    print(f"\nfastest: tiles of {size_px}, {name}")
    pace, cut = Pace(device=device, dtype=PRECISIONS[name]), TileSettings(size_px=size_px)
    pixels = options.size**2
    figures["stages_ms"], figures["fastest"] = times[size_px, name], [size_px, name]
    figures["projected_ms"] = gpu_model.field_stages(pixels)
    print_against("a field", figures["stages_ms"], figures["projected_ms"])
    if device.type == "cuda" or options.simulate:
        figures["labels_ms"] = label_stages(images[0], network, pace, cut)
        figures["labels_projected_ms"] = {stage.name: stage.ms(pixels) for stage in gpu_model.LABELS}
        paper = figures["labels_projected_ms"]
        print_against("labels", figures["labels_ms"], paper | {"all, not waited for": sum(paper.values())})
    figures["throughput"] = list(_throughputs(options, images, network, pace, cut))
    for remark in pace.take_remarks():
        print(f"note: {remark}")
    figures["floor"] = _floor(device, network, images[0], PRECISIONS[name], times[size_px, name])
    figures["seconds"] = round(time.perf_counter() - began)
    if options.simulate:
        figures = {key: figures[key] for key in ("environment", "simulated", "kernels", "agreement")}
    if options.out:
        options.out.write_text(json.dumps(figures, indent=1))
    print("\nSIMULATOR: all ran; no time was taken" if options.simulate else f"\n{figures['seconds']} s")


def _throughputs(
    options: argparse.Namespace, images: Sequence[NDArray[np.uint16]], network: Network, pace: Pace, cut: TileSettings
) -> Iterator[dict[str, float]]:
    """Megapixels a second by the number of reader threads, from files of a temporary folder."""
    folder = Path(tempfile.mkdtemp(prefix="hcs-gpu-"))
    try:
        files = [folder / f"{i}.npy" for i in range(options.fields)]
        for i, path in enumerate(files):
            np.save(path, images[i % len(images)])
        throughput(files[:2], network, pace, cut, 1)
        for readers in options.readers:
            rate, busy = throughput(files, network, pace, cut, readers)
            print(
                f"{readers:2d} + {readers} threads: {rate:.1f} MP/s of both channels, device busy {busy:.0%}",
                flush=True,
            )
            yield {"readers": readers, "mp_per_s": rate, "busy": busy}
    finally:
        shutil.rmtree(folder)


def _floor(
    device: torch.device, network: Network, image: NDArray[np.uint16], dtype: torch.dtype, ms: dict[str, float]
) -> dict[str, float]:
    """Print and return what the device's convolutions and bandwidth would allow, and how far from that stages are."""
    rate = convolution_rate(device, dtype)
    upload_ms = median_ms(lambda: torch.from_numpy(image).to(device), device)
    side = -(-image.shape[1] // network.spec.stride_px) * network.spec.stride_px
    least_ms = 1e3 * network_operations(network, side) / rate
    print(
        f"\nfloor: convolutions {told(rate / 1e12, 3)} TFLOP/s, the network {told(least_ms)} ms a field (reached "
        f"{told(ms['infer'])}, ratio {told(ms['infer'] / least_ms)}); upload {told(image.nbytes / upload_ms / 1e6)} "
        f"GB/s, both channels {told(upload_ms)} ms"
    )
    return {"convolution_flops": rate, "network_ms": least_ms, "upload_ms": upload_ms}


if __name__ == "__main__":
    main()
