"""The network alone on one 2160 × 2160 field: layer by layer in tiles, as a stream of rows, and two streams at once.

Run: python benchmarks/stream.py [--size 2160] [--repeats 5]

One thread each. The first two go by turns in one process and must give the same; then two processes do the second at
the same time. Prints medians and ranges of seconds.
"""

from __future__ import annotations

import argparse
import multiprocessing
import statistics
import time
from collections.abc import Callable

import numpy as np
from numpy.typing import NDArray
from runs import machine_line
from torch import Tensor

from hcs.field.worker import load_segmenter
from hcs.segment.network import Network
from hcs.segment.predict import predict, tune_cpu
from hcs.store.models import find_model
from hcs.tiles.settings import TileSettings

LAYERED_TILE_PX = 1024
"""What tiles were before they streamed: larger ones need too much memory for their layers."""


class Layered(Network):
    """A network that is run layer by layer, as every network but ours."""

    def __init__(self, network: Network) -> None:
        super().__init__()
        self.network, self.spec = network, network.spec

    def forward(self, x: Tensor) -> Tensor:
        logits: Tensor = self.network(x)
        return logits


def ready() -> Network:
    """The shipped network, for one thread."""
    tune_cpu(threads=1)
    return load_segmenter(find_model("fast"), "cpu", flips=False).networks[0]


def timed(function: Callable[[], NDArray[np.float32]]) -> float:
    """Seconds of one call."""
    began = time.perf_counter()
    function()
    return time.perf_counter() - began


def neighbour(size_px: int, repeats: int) -> list[float]:
    """Seconds of a stream, in a process of its own."""
    network, field = ready(), random_field(size_px)
    predict(network, field, TileSettings())
    return [timed(lambda: predict(network, field, TileSettings())) for _ in range(repeats)]


def random_field(size_px: int) -> NDArray[np.float32]:
    """A prepared field; how long the network takes does not depend on what it sees."""
    return np.random.default_rng(0).random((size_px, size_px), dtype=np.float32)


def line(title: str, seconds: list[float]) -> str:
    """Median and range."""
    return f"{title}: {statistics.median(seconds):.2f} s ({min(seconds):.2f} to {max(seconds):.2f})"


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--size", type=int, default=2160)
    parser.add_argument("--repeats", type=int, default=5)
    options = parser.parse_args()
    print(machine_line())
    network, field = ready(), random_field(options.size)
    layered, in_tiles = Layered(network), TileSettings(size_px=LAYERED_TILE_PX)
    difference = np.abs(predict(layered, field, in_tiles) - predict(network, field, TileSettings())).max()
    seconds: dict[str, list[float]] = {"tiles": [], "stream": []}
    for _ in range(options.repeats):
        seconds["tiles"].append(timed(lambda: predict(layered, field, in_tiles)))
        seconds["stream"].append(timed(lambda: predict(network, field, TileSettings())))
    print(line(f"layer by layer, tiles of at most {LAYERED_TILE_PX} px", seconds["tiles"]))
    print(line(f"as a stream of rows (largest difference {difference:.1g})", seconds["stream"]))
    with multiprocessing.get_context("spawn").Pool(2) as pool:
        both = pool.starmap(neighbour, [(options.size, options.repeats)] * 2)
    print(line("as a stream, each of two processes", both[0] + both[1]))


if __name__ == "__main__":
    main()
