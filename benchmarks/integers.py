"""The network in 8-bit integers beside float32: accuracy, time, and whether threads or processors change a byte.

    python benchmarks/integers.py score DATA [--model fast] [--split val]   paired scores over labelled images
    python benchmarks/integers.py time [--sizes 2160 640] [--repeats 7]     paired processor time of one thread
    python benchmarks/integers.py bytes                                     hashes by threads and instruction sets
    python benchmarks/integers.py peers                                     onnxruntime and OpenVINO, where installed
    python benchmarks/integers.py card MODEL DATA | IMAGE ...               measure the steps and write them into a card

Times are of the calling thread's own processor time, the two arithmetics by turns; medians, and the median ratio of
pairs, which other processes disturb least. `peers` needs onnx, onnxruntime and openvino, none of which hcs needs.
"""

from __future__ import annotations

import argparse
import copy
import hashlib
import json
import os
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import torch
from numpy.typing import NDArray
from runs import machine_line

from hcs.config import Config
from hcs.evaluate.matching import CAICEDO, match
from hcs.field.worker import load_segmenter
from hcs.run.diameter import image_diameter
from hcs.segment.ours.stream import stream
from hcs.segment.predict import tune_cpu
from hcs.segment.scale import enlarged
from hcs.segment.segmenter import Segmenter
from hcs.store.atomic import write_json
from hcs.store.files.images import read_image
from hcs.store.models import INTEGERS, Numbers, find_model, read_card, with_arithmetic
from hcs.train.steps import MOST_IMAGES, steps_of

NUMBERS: tuple[Numbers, ...] = ("float32", "int8")
INSTRUCTIONS = ("DEFAULT", "AVX512_CORE_VNNI", "AVX512_CORE", "AVX2_VNNI", "AVX2", "SSE41")
"""What oneDNN may use of this processor, from all of it to what each has: its ONEDNN_MAX_CPU_ISA."""


def segmenters(model: str, *numbers: Numbers) -> list[Segmenter]:
    """The same model in each arithmetic."""
    found = find_model(model, arithmetic="float32")
    return [load_segmenter(with_arithmetic(found, each), "cpu", flips=False) for each in numbers]


def training_images(paths: list[Path], segmenter: Segmenter) -> Iterator[NDArray[np.float32]]:
    """Images as the network sees them, at most 64 of those given."""
    for path in paths[:: -(-len(paths) // MOST_IMAGES)]:
        prepared = segmenter.prepare(read_image(path))
        yield enlarged(prepared, image_diameter(prepared, segmenter, Config()).scale)


def listed(data: Path, split: str) -> list[str]:
    """Names of the images of a split."""
    index = pd.read_csv(data / "index.csv")
    return sorted(index.loc[index["split"] == split, "name"])


def write_card(model: str, sources: list[Path]) -> None:
    """Measure a model's steps on training images and write them into its card."""
    paths = sources
    if sources[0].is_dir():
        paths = [sources[0] / "train/images" / name for name in listed(sources[0], "train")]
    (segmenter,) = segmenters(model, "float32")
    steps = steps_of(segmenter.networks[0], training_images(paths, segmenter))
    path = Path(find_model(model, arithmetic="float32").path).with_suffix(".json")
    card = json.loads(path.read_text()) | {INTEGERS: {name: list(pair) for name, pair in steps.items()}}
    write_json(path, card)
    print(f"{path}: {steps}")


def score(data: Path, model: str, split: str) -> None:
    """Scores of both arithmetics on the same images, and their paired differences."""
    both, config = segmenters(model, *NUMBERS), Config()
    names = listed(data, split)
    f1 = np.empty((len(names), 2, len(CAICEDO)))
    counts, different, true = np.zeros(2), [], 0
    for row, name in enumerate(names):
        image, truth = (read_image(data / split / kind / name) for kind in ("images", "labels"))
        seen = []
        for which, segmenter in enumerate(both):
            prepared = segmenter.prepare(image)
            scale = image_diameter(prepared, segmenter, config).scale
            seen.append(segmenter.probabilities(prepared, config.tiles, scale))
            labels = segmenter.labels(seen[-1], config.instances.for_field(None, scale))
            matching = match(truth.astype(np.int32), labels.astype(np.int32))
            f1[row, which] = [matching.f1(t) for t in CAICEDO]
            counts[which] += matching.n_predicted
        true += matching.n_true
        different.append(float(np.abs(seen[0] - seen[1]).mean()))
    print(f"{model}, {len(names)} images of {split}; probabilities differ by {np.mean(different):.4f} in the mean\n")
    print("| | float32 | int8 | int8 - float32, paired (95 %) |\n|---|---|---|---|")
    for title, of in (
        ("mean F1, IoU 0.50-0.90", f1.mean(axis=2)),
        ("F1 at 0.5", f1[..., 0]),
        ("F1 at 0.9", f1[..., -1]),
    ):
        paired = of[:, 1] - of[:, 0]
        half = 1.96 * paired.std(ddof=1) / np.sqrt(len(paired))
        print(f"| {title} | {of[:, 0].mean():.4f} | {of[:, 1].mean():.4f} | {paired.mean():+.4f} ± {half:.4f} |")
    print(f"| nuclei found of {true} | {counts[0]:.0f} | {counts[1]:.0f} | {counts[1] / counts[0] - 1:+.2%} |")


def processor_s(function: Callable[[], object]) -> float:
    """Seconds of processor time of this thread."""
    began = time.thread_time()
    function()
    return time.thread_time() - began


def paired_times(first: Callable[[], object], second: Callable[[], object], repeats: int) -> str:
    """Medians of two functions called by turns, and the median of the pairs' ratios, with its range."""
    first(), second()
    pairs = np.array([(processor_s(first), processor_s(second)) for _ in range(repeats)])
    ratios = pairs[:, 1] / pairs[:, 0]
    a, b = np.median(pairs, axis=0)
    return f"{a:.3f} | {b:.3f} | {np.median(ratios):.3f} ({ratios.min():.3f} to {ratios.max():.3f})"


def times(model: str, sizes: list[int], repeats: int) -> None:
    """Processor time of a field's network in both arithmetics."""
    tune_cpu(1)
    plain, whole = (segmenter.networks[0] for segmenter in segmenters(model, *NUMBERS))
    print("| field | float32, s | int8, s | int8 / float32 |\n|---|---|---|---|")
    for size in sizes:
        field = torch.from_numpy(np.random.default_rng(0).random((1, size, size), dtype=np.float32))
        with torch.inference_mode():
            row = paired_times(partial(stream, plain, field), partial(stream, whole, field), repeats)
        print(f"| {size} x {size} | {row} |", flush=True)


def hashes(threads: int) -> None:
    """One line: a hash of the probabilities of each arithmetic, and integers' time over that of float32."""
    tune_cpu(threads)
    field = torch.from_numpy(np.random.default_rng(0).random((1, 640, 640), dtype=np.float32) ** 3 * 1.5)
    runs = [partial(stream, segmenter.networks[0], field) for segmenter in segmenters("fast", *NUMBERS)]
    with torch.inference_mode():
        told = [hashlib.sha256(run().numpy()).hexdigest()[:12] for run in runs]
        pairs = [[processor_s(run) for run in runs] for _ in range(5)]
    ratio = np.median([whole / plain for plain, whole in pairs])
    print(" | ".join([*told, f"{ratio:.2f}" if threads == 1 else ""]))


def compare_bytes() -> None:
    """Hashes in processes of one and two threads, and of older processors' instructions."""
    print("| instructions | threads | float32 | int8 | time |\n|---|---|---|---|---|")
    for instructions, threads in (*((each, 1) for each in INSTRUCTIONS), ("DEFAULT", 2)):
        environment = os.environ | {"ONEDNN_MAX_CPU_ISA": instructions, "OMP_NUM_THREADS": str(threads)}
        if instructions in {"AVX2", "AVX2_VNNI", "SSE41"}:
            environment |= {"ATEN_CPU_CAPABILITY": "avx2" if "AVX2" in instructions else "default"}
            environment |= {"NUMBA_CPU_NAME": "generic", "NUMBA_CACHE_DIR": "/tmp/hcs-generic-kernels"}
        command = [sys.executable, __file__, "hash", str(threads)]
        told = subprocess.run(command, env=environment, capture_output=True, text=True, check=False)
        print(f"| {instructions} | {threads} | {told.stdout.strip() or told.stderr.strip()[-200:]} |", flush=True)


def peers(model: str, size: int, repeats: int) -> None:
    """The same integers by the same weights in onnxruntime and OpenVINO: time, beside ours and float32 of each."""
    from integers_peers import runners  # noqa: PLC0415  packages that hcs does not need

    tune_cpu(1)
    plain, whole = (segmenter.networks[0] for segmenter in segmenters(model, *NUMBERS))
    field = np.random.default_rng(0).random((1, size, size), dtype=np.float32)
    tensor = torch.from_numpy(field)
    half = copy.deepcopy(plain).bfloat16()
    with torch.inference_mode():
        known = stream(plain, tensor).numpy()
    ours: dict[str, Callable[[], Any]] = {
        "hcs float32": lambda: stream(plain, tensor).numpy(),
        "hcs int8": lambda: stream(whole, tensor).numpy(),
        "torch bfloat16": lambda: torch.softmax(half(tensor[:, None].bfloat16()).float(), 1).numpy(),
    }
    print(
        f"{size} x {size}, one thread\n\n| | s | of hcs float32 | mean difference of probabilities |\n|---|---|---|---|"
    )
    for title, run in (ours | runners(plain, read_card(find_model(model))[INTEGERS], field)).items():
        with torch.inference_mode():
            found = run()
            pairs = np.array([(processor_s(ours["hcs float32"]), processor_s(run)) for _ in range(repeats)])
        row = f"{np.median(pairs[:, 1]):.3f} | {np.median(pairs[:, 1] / pairs[:, 0]):.2f}"
        print(f"| {title} | {row} | {np.abs(found - known).mean():.4f} |", flush=True)


def main() -> None:
    """One of the five."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("task", choices=["score", "time", "bytes", "peers", "card", "hash"])
    parser.add_argument("given", nargs="*")
    parser.add_argument("--model", default="fast")
    parser.add_argument("--split", default="val")
    parser.add_argument("--sizes", type=int, nargs="+", default=[2160, 640])
    parser.add_argument("--repeats", type=int, default=7)
    options = parser.parse_args()
    if options.task == "hash":
        return hashes(int(options.given[0]))
    print(f"{machine_line()}, torch {torch.__version__}\n")
    if options.task == "score":
        tune_cpu(1)
        score(Path(options.given[0]), options.model, options.split)
    elif options.task == "time":
        times(options.model, options.sizes, options.repeats)
    elif options.task == "bytes":
        compare_bytes()
    elif options.task == "peers":
        peers(options.model, options.sizes[-1], options.repeats)
    else:
        tune_cpu(1)
        write_card(options.given[0], [Path(path) for path in options.given[1:]])
    return None


if __name__ == "__main__":
    main()
