"""What a GPU's stages should take, on paper: bytes, launches, operations. Nothing here is measured on a GPU.

`benchmarks/gpu.py` measures each stage against this. Run it for the tables of docs/benchmarks/gpu.md:

    python benchmarks/gpu_model.py [--side 2160]
"""

from __future__ import annotations

import argparse
from dataclasses import dataclass

MEMORY_BPS = 4.3e12
"""Bytes an H200 moves a second, as a copy on one was seen to do."""
LINK_BPS = 10e9
"""Bytes a second between host and device from memory that is not pinned: assumed."""
HOST_LAUNCH_S, DEVICE_LAUNCH_S, LOOK_S = 15e-6, 3e-6, 20e-6
"""Seconds to ask for a launch by numba, of an empty one on the device, until the host has seen a number: assumed."""
NETWORK_FLOP, NETWORK_FLOPS = 46_370, 60e12
"""Operations a pixel of the network ``fast``, counted; a second, in half precision with 16 to 48 channels: assumed."""
NETWORK_BYTES = 2 * 447
"""Bytes a pixel of all layers, as counted, in half precision."""
ROUNDS = 16
"""Of growth: 10 until nothing changes in the field of `benchmarks/gpu.py`, asked for 8 at a time."""
LEVELS = 6
SHARE = 0.15
"""Of pixels that are foreground, in that field."""


@dataclass(frozen=True, slots=True)
class Stage:
    """Cost of a stage."""

    name: str
    bytes_px: float
    """Read and written a pixel, where nothing is found in a cache."""
    launches: int
    looks: int = 0
    """How often the host waits for a number."""

    def ms(self, pixels: int) -> float:
        """Milliseconds: of memory and of launches on the device, or of the host that asks for them."""
        device = self.bytes_px * pixels / MEMORY_BPS + self.launches * DEVICE_LAUNCH_S
        return 1e3 * (max(device, self.launches * HOST_LAUNCH_S) + self.looks * LOOK_S)


LABELS = (
    Stage("foreground", 4 + 1, 1),
    # runs; joined twice; led to roots twice; weighed; filled
    Stage("holes", 9 + 2 + 16 + 3 + 8, 7),
    # begun; a level: joined twice, parts counted, settled; taken
    Stage("cores", 21 + LEVELS * (2 + 1 + 1 + SHARE * 22) + 17, 1 + 4 * LEVELS - 1 + 1),
    Stage("growth", 4 * ROUNDS, ROUNDS, looks=ROUNDS // 8),
    Stage("rest", 5 + 27 + 20, 7),
    Stage("choice", 5 + 8 + 8 + 10, 4),
)
"""`hcs.segment.device.instances`, by what its ``lap`` is told."""

LEAST_OF_4, LEAST_OF_8 = 24 + 4 * 24, 24 + 8 * 24
"""Of the tensor code that these kernels replaced: numbers of 8 bytes framed, and the least of so many neighbours."""
ROUND = 17 + 16 + 48 + 16
"""Beside that, in a round of labelling: masked, copied, pointed on twice, compared."""
BEFORE = (
    Stage("holes: 57 rounds, a sort", 57 * (LEAST_OF_4 + ROUND) + 340, 57 * 13 + 20, looks=58),
    Stage("cores: 189 rounds on 6 levels", 189 * (LEAST_OF_4 + ROUND) + 6 * 110 + 5 * 145, 189 * 13 + 120, looks=189),
    Stage("growth: 10 rounds", 10 * (LEAST_OF_4 + 37 + 16), 10 * 10, looks=10),
    Stage("rest: 3 rounds of 8 neighbours", 3 * (LEAST_OF_8 + ROUND), 3 * 17, looks=3),
    Stage("choice: a sort, contended sums", 340 + 110, 40, looks=1),
)
"""Rounds as counted in that field; launches of torch, which the host asks for in a third of the time."""


def field_stages(pixels: int) -> dict[str, float]:
    """Milliseconds by stage of `hcs.segment.device.field`, one 16-bit channel."""
    bytes_s, operations_s = NETWORK_BYTES * pixels / MEMORY_BPS, NETWORK_FLOP * pixels / NETWORK_FLOPS
    return {
        "upload": 1e3 * 2 * pixels / LINK_BPS,
        "normalise": Stage("", 38, 5).ms(pixels),
        "infer": 1e3 * max(bytes_s, operations_s),
        "instances": sum(stage.ms(pixels) for stage in LABELS),
        "download": 1e3 * 8 * pixels / LINK_BPS,
    }


def main() -> None:
    """Tables in Markdown."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--side", type=int, default=2160)
    pixels = parser.parse_args().side ** 2
    for title, stages in (("kernels", LABELS), ("tensors, before", BEFORE)):
        print(f"| labels by {title} | bytes/px | launches | memory, ms | projected, ms |\n|---|---|---|---|---|")
        for stage in (*stages, total(stages)):
            floor = 1e3 * stage.bytes_px * pixels / MEMORY_BPS
            ms = stage.ms(pixels) if stages is LABELS else floor + 1e3 * stage.looks * LOOK_S
            print(f"| {stage.name} | {stage.bytes_px:,.0f} | {stage.launches:,} | {floor:.2f} | {ms:.2f} |")
        print()
    print("| stage of a field | projected, ms | MP/s of the channel |\n|---|---|---|")
    for name, ms in (*field_stages(pixels).items(), ("all", sum(field_stages(pixels).values()))):
        print(f"| {name} | {ms:.2f} | {pixels / ms / 1e3:,.0f} |")


def total(stages: tuple[Stage, ...]) -> Stage:
    """All of them, as one."""
    return Stage("all", sum(s.bytes_px for s in stages), sum(s.launches for s in stages), sum(s.looks for s in stages))


if __name__ == "__main__":
    main()
