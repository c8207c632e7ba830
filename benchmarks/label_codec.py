"""What labels cost in the codec that they are written with, beside others: size, and processor time of both ways.

Labels of simulated nuclei of the density of `benchmarks/turns.py`, whole pyramids as they are written. Alone in a file:
which codec labels have is chosen here, and nowhere else.

Run: python benchmarks/label_codec.py
"""

from __future__ import annotations

import time

import numpy as np
from numcodecs.blosc import Blosc
from numpy.typing import NDArray
from runs import machine_line

from hcs.simulate.field import simulate_field
from hcs.simulate.plate import lay_out_plate
from hcs.simulate.settings import SimulationSettings
from hcs.store.plate.pyramid import CHUNK_PX, IMAGES, LABELS, level_shapes
from hcs.store.threads import set_threads

_REPEATS = 9
_ZSTD = {"cname": "zstd", "shuffle": Blosc.NOSHUFFLE}
_CODECS = {
    "as images: zstd 3, shuffled": IMAGES.v2,
    "as labels: zstd 1, blocks of 256 KiB": LABELS.v2,
    "zstd 3": Blosc(clevel=3, **_ZSTD),
    "zstd 1": Blosc(clevel=1, **_ZSTD),
    "zstd 1, shuffled, blocks of 256 KiB": Blosc("zstd", 1, Blosc.SHUFFLE, 2**18),
    "lz4 5": Blosc("lz4", 5, Blosc.NOSHUFFLE),
}
"""Name → codec."""


def chunks_of(labels: NDArray[np.uint32]) -> list[NDArray[np.uint32]]:
    """All chunks of a pyramid."""
    return [
        np.ascontiguousarray(level[y : y + CHUNK_PX, x : x + CHUNK_PX])
        for k in range(len(level_shapes(*labels.shape)))
        for level in [labels[:: 2**k, :: 2**k]]
        for y in range(0, level.shape[0], CHUNK_PX)
        for x in range(0, level.shape[1], CHUNK_PX)
    ]


def main() -> None:
    """Encode and decode, print a table for each size."""
    set_threads(1)
    for size_px, density in ((2160, 321.5), (640, 300.0)):
        plate = lay_out_plate(SimulationSettings(wells=1, fields=1, size_px=size_px, density=density, seed=1))
        labels = simulate_field(plate, plate.keys[0]).labels
        chunks = chunks_of(labels)
        print(f"\n{size_px} × {size_px}, {labels.max()} nuclei\n\n| codec | kB | encode, ms | decode, ms |")
        print("|---|---|---|---|")
        for name, codec in _CODECS.items():
            spent: list[tuple[float, float]] = []
            for _ in range(_REPEATS):
                began = time.process_time()
                encoded = [codec.encode(chunk) for chunk in chunks]
                between = time.process_time()
                for data in encoded:
                    codec.decode(data)
                spent.append((between - began, time.process_time() - between))
            encode, decode = (1e3 * min(one) for one in zip(*spent, strict=True))
            print(f"| {name} | {sum(map(len, encoded)) / 1e3:.1f} | {encode:.1f} | {decode:.1f} |")
    print(f"\n{machine_line()}")


if __name__ == "__main__":
    main()
