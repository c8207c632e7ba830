"""What one GPU does, in one command, on a machine without network: right or not, where the time goes, how fast.

Needs numpy, torch, safetensors and this repository; OpenCV and numba for the CPU's labels, to compare with, and for
measuring. Makes fields of its own (two channels, uint16, about 1,500 nuclei in 2160 × 2160), and prints: agreement
with the CPU, by precision; milliseconds by stage; megapixels a second of both channels with 1 to 16 reader threads, and
the share of the time in which the device was driven; and what was achieved against the floor (operations over the
measured rate of convolutions, bytes over the measured bandwidth to the device). Fields are read from .npy files, so
that no codec is part of it.

Run in the repository:
    PYTHONPATH=. python benchmarks/gpu.py [--device cuda] [--size 2160] [--fields 64] [--tile 1024 …]
    [--readers 1 2 4 8 16]
"""

from __future__ import annotations

import argparse
import json
import shutil
import statistics
import tempfile
import time
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from hcs.clock import Stopwatch
from hcs.segment.device.field import OnDevice, normalised, probabilities_on_device, segment_on_device
from hcs.segment.network import Network
from hcs.segment.networks import build_network
from hcs.segment.normalise import Normalisation, normalisation_of
from hcs.segment.pace import Pace
from hcs.segment.settings import InstanceSettings
from hcs.tiles.settings import TileSettings

ROOT = Path(__file__).resolve().parents[1]
SETTINGS = InstanceSettings()
PRECISIONS = {"float32": torch.float32, "float16": torch.float16, "bfloat16": torch.bfloat16}
AHEAD_PER_READER = 2


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


def median_ms(function: Callable[[], object], device: torch.device, repeats: int = 7) -> float:
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
    labels = _cpu_labels(expected.numpy())
    if labels is None:
        yield "OpenCV or numba is missing: labels are compared with those of the same tensor code on the CPU"
        from hcs.segment.device.instances import instances_on_device  # noqa: PLC0415

        labels = instances_on_device(expected, SETTINGS).numpy()
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


def _cpu_labels(probabilities: NDArray[np.float32]) -> NDArray[np.uint32] | None:
    """The CPU's own labels; None where its packages are missing."""
    try:
        from hcs.segment.ours.instances import instances  # noqa: PLC0415
    except ImportError:
        return None
    return instances(np.ascontiguousarray(probabilities), SETTINGS)


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
    for i in range(6):
        clock = Stopwatch()
        labels, confidence = segment_on_device(image[0], known, OnDevice((network,), pace, cut), SETTINGS, clock)
        here = labels.to(torch.int32).cpu().numpy(), confidence.cpu().numpy()
        clock.lap("download", here[0].nbytes + here[1].nbytes)
        measured(*here, image)
        clock.lap("measure (one thread of the host)")
        if i:
            runs.append(clock.seconds)
    return {stage: 1e3 * statistics.median(run[stage] for run in runs) for stage in runs[0]}


def measured(labels: NDArray[np.int32], confidence: NDArray[np.float32], image: NDArray[np.uint16]) -> int:
    """Measure the nuclei as `hcs run` does, on a thread of the host; rows of the table. Where OpenCV or numba is
    missing, areas and means stand in for it, which `environment` says."""
    try:
        from hcs.measure.measure import measure_nuclei  # noqa: PLC0415
        from hcs.measure.settings import MeasureSettings  # noqa: PLC0415
    except ImportError:
        area = np.bincount(labels.ravel())
        means = [np.bincount(labels.ravel(), weights=plane.ravel()) / np.maximum(area, 1) for plane in image]
        return len(means[0]) - 1
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
            here = labels.to(torch.int32).cpu().numpy(), confidence.cpu().numpy()
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
    """Device, versions, packages that are missing."""
    name = torch.cuda.get_device_name(device) if device.type == "cuda" else "CPU"
    missing = []
    for package in ("cv2", "numba", "cupy", "cucim"):
        try:
            __import__(package)
        except ImportError:
            missing.append(package)
    return (
        f"{name}, torch {torch.__version__}, {torch.get_num_threads()} threads; not there: {', '.join(missing) or '–'}"
    )


def main() -> None:
    """All parts, one after another."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--device", choices=["cuda", "cpu"], default="cuda")
    parser.add_argument("--size", type=int, default=2160)
    parser.add_argument("--fields", type=int, default=64)
    parser.add_argument("--tile", type=int, nargs="+", default=[1024, 2176], help="sides of tiles to try")
    parser.add_argument("--readers", type=int, nargs="+", default=[1, 2, 4, 8, 16])
    options = parser.parse_args()
    if options.device == "cuda" and not torch.cuda.is_available():
        raise SystemExit("torch sees no CUDA device here; --device cpu runs the same code without one")
    device = torch.device(options.device)
    print(environment(device), end="\n\n")
    images = [make_field(options.size, seed) for seed in range(min(options.fields, 4))]
    print(*agreement(images[0], device, TileSettings(size_px=options.tile[0])), sep="\n", end="\n\n")
    network, times = load(device), {}
    for size_px in options.tile:
        for name, dtype in precisions_of(device).items():
            cut = TileSettings(size_px=size_px)
            times[size_px, name] = stages(images[0], network, Pace(device=device, dtype=dtype), cut)
            text = ", ".join(f"{stage} {ms:.1f}" for stage, ms in times[size_px, name].items())
            print(f"tiles of {size_px}, {name}: {text} ms a field", flush=True)
    size_px, name = min(times, key=lambda kind: times[kind]["infer"])
    print(f"\nfastest: tiles of {size_px}, {name}")
    folder = Path(tempfile.mkdtemp(prefix="hcs-gpu-"))
    try:
        files = [folder / f"{i}.npy" for i in range(options.fields)]
        for i, path in enumerate(files):
            np.save(path, images[i % len(images)])
        pace, cut = Pace(device=device, dtype=PRECISIONS[name]), TileSettings(size_px=size_px)
        throughput(files[:2], network, pace, cut, 1)
        for readers in options.readers:
            rate, busy = throughput(files, network, pace, cut, readers)
            print(
                f"{readers:2d} + {readers} threads: {rate:.1f} MP/s of both channels, device busy {busy:.0%}",
                flush=True,
            )
        for remark in pace.take_remarks():
            print(f"note: {remark}")
    finally:
        shutil.rmtree(folder)
    _floor(device, network, images[0], PRECISIONS[name], times[size_px, name])


def _floor(
    device: torch.device, network: Network, image: NDArray[np.uint16], dtype: torch.dtype, ms: dict[str, float]
) -> None:
    """Print what the device's convolutions and its bandwidth would allow, and how far from that the stages are."""
    rate = convolution_rate(device, dtype)
    upload_ms = median_ms(lambda: torch.from_numpy(image).to(device), device)
    side = -(-image.shape[1] // network.spec.stride_px) * network.spec.stride_px
    least_ms = 1e3 * network_operations(network, side) / rate
    print(
        f"\nfloor: convolutions {rate / 1e12:.3f} TFLOP/s, the network {least_ms:.1f} ms a field (reached "
        f"{ms['infer']:.1f}, ratio {ms['infer'] / least_ms:.1f}); upload {image.nbytes / upload_ms / 1e6:.1f} GB/s, "
        f"both channels {upload_ms:.1f} ms"
    )


if __name__ == "__main__":
    main()
