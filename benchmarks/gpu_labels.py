"""Whether the GPU's kernels label as the CPU does, pixel by pixel, on fields that are hard to label.

Random fields, mosaics of all levels, fields of ties, spirals one pixel wide, holes of the size that is just filled,
single pixels, fields of one piece, lines. `benchmarks/gpu.py` asks this before it takes any time. With ``--simulate``
the kernels run in the simulator of numba.cuda, on a CPU, with threads that are switched as often as Python can, or
blocks in random order; the tests do that.

    PYTHONPATH=. python benchmarks/gpu_labels.py [--side 1080] [--simulate] [--out found.json]
"""

from __future__ import annotations

import argparse
import json
import os
import random
import threading
import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
from numpy.typing import NDArray

TINY = 2
"""Of each tiny field so many: in the simulator a thread has one pixel or two, so that many reach for one place."""
TINY_PX = 81
"""Pixels of a tiny field."""
OFTEN, SELDOM = 0.5, 0.02
"""Share of steps before which another simulated thread gets its turn, in blocks of many threads and of few."""
GRIDS = ((1, 6), (7, 1))
"""Blocks and threads of the two ways in which the simulator runs a kernel."""
Probabilities = NDArray[np.float32]


def of_scores(scores: NDArray[np.float64]) -> Probabilities:
    """Scores (3, Y, X) → probabilities that sum to 1."""
    parts = np.exp(scores - scores.max(axis=0))
    return np.asarray(parts / parts.sum(axis=0), np.float32)


def of_interior(interior: NDArray[Any], foreground: NDArray[Any]) -> Probabilities:
    """Interior probability and where there is foreground, both (Y, X) → (3, Y, X)."""
    inner = np.where(foreground, interior, 0.0)
    return np.stack([np.where(foreground, 0.0, 1.0), inner, np.where(foreground, 1.0 - inner, 0.0)]).astype(np.float32)


def blobs(rng: np.random.Generator, side: int, sigma: float) -> Probabilities:
    """Smooth random scores: nuclei that touch, with holes, and pieces without an interior."""
    import cv2  # noqa: PLC0415

    scores = np.stack([cv2.GaussianBlur(rng.standard_normal((side, side + 5)), (0, 0), sigma) for _ in range(3)])
    return of_scores(4.0 * scores / scores.std())


def mosaic(rng: np.random.Generator, side: int, cell: int) -> Probabilities:
    """Squares of one level each, some of them just at a threshold, some background."""
    levels = np.array([0.0, 0.2, 0.25, 0.3, 0.35, 0.4, 0.5, 0.6, 0.7, 0.8, 0.9])
    count = -(-side // cell)
    interior = np.kron(rng.choice(levels, (count, count)), np.ones((cell, cell)))[:side, :side]
    return of_interior(interior, np.kron(rng.random((count, count)) < 0.8, np.ones((cell, cell)))[:side, :side] > 0)


def peaks(rng: np.random.Generator, side: int) -> Probabilities:
    """Plateaus on plateaus: parts come apart at every level, in twos, threes, and into ones too small."""
    interior = np.full((side, side), 0.15)
    interior[1:-1, 1:-1] = 0.3
    for level in (0.4, 0.5, 0.6, 0.7, 0.8):
        for _ in range(side // 4):
            y, x = rng.integers(0, side, 2)
            h, w = rng.integers(1, max(side // 6, 3), 2)
            part = interior[y : y + h, x : x + w]
            part[part > level - 0.15] = level
    return of_interior(interior, interior > 0.1)


def spiral(side: int) -> Probabilities:
    """One path, a pixel wide, with gaps of one; cores at both ends: the longest growth and the longest way to a
    root."""
    inside = np.zeros((side, side), bool)
    y = x = turn = 0
    steps = ((0, 1), (1, 0), (0, -1), (-1, 0))
    inside[0, 0] = True
    ways = [(y, x)]
    while True:
        dy, dx = steps[turn % 4]
        moved = False
        while True:
            v, u = y + dy, x + dx
            beyond = v + dy, u + dx
            if not (0 <= v < side and 0 <= u < side) or inside[v, u]:
                break
            if 0 <= beyond[0] < side and 0 <= beyond[1] < side and inside[beyond]:
                break
            y, x, moved = v, u, True
            inside[y, x] = True
            ways.append((y, x))
        if not moved:
            break
        turn += 1
    interior = np.zeros((side, side))
    for end in (ways[:12], ways[-12:]):
        interior[tuple(np.transpose(end))] = 0.9
    return of_interior(interior, inside)


def holes(side: int) -> Probabilities:
    """Holes of 63 to 65 pixels, one at the border, one open at a corner only, one beside another."""
    inside = np.ones((side, side), bool)
    for y, x, h, w in ((2, 2, 8, 8), (2, 12, 9, 7), (2, 21, 5, 13), (0, 36, 6, 6), (14, 2, 4, 4), (18, 6, 4, 4)):
        inside[y : y + h, x : x + w] = False
    inside[side // 2, side // 2 :] = False
    inside[side // 2 + 3 :: 3, ::3] = False
    interior = np.where((np.indices((side, side)) // 9 % 2).all(axis=0), 0.9, 0.1)
    return of_interior(interior, inside)


def ties(side: int) -> Probabilities:
    """Cores on a lattice in a field of foreground: growth meets at equal distances everywhere."""
    y, x = np.indices((side, side))
    return of_interior(np.where((y % 12 < 3) & (x % 14 < 3), 0.9, 0.05), np.ones((side, side)))


def dots(side: int) -> Probabilities:
    """Single pixels, apart and corner to corner."""
    y, x = np.indices((side, side))
    apart = (y % 3 == 0) & (x % 3 == 0) & (y < side // 2)
    corners = ((y + x) % 2 == 0) & (y > side // 2) & (x % 7 < 4)
    return of_interior(np.where(apart, 0.9, 0.1), apart | corners)


def comb() -> NDArray[np.bool_]:
    """Teeth (9, 9) that meet in one row below, 31 pixels: every tooth is joined to that row, all at once."""
    inside = np.zeros((9, 9), bool)
    inside[1:8, 1:8:2] = inside[7, 1:8] = True
    return inside


def just_parts() -> Probabilities:
    """Two parts (9, 9) of 36 pixels each at one level, their rows pieces of their own at the next: where a pixel or a
    row is not counted, they are not two."""
    interior = np.full((9, 9), 0.4)
    interior[::2] = 0.5
    interior[:, 4] = 0.3
    return of_interior(interior, np.ones((9, 9)))


def pairs() -> Probabilities:
    """Rows (9, 9) of two and two pixels, joined by one that is lower: where one of two parts is not counted, they are
    not two."""
    interior = np.tile([0.9, 0.3, 0.9, 0.0, 0.9, 0.3, 0.9, 0.0, 0.0], (9, 1))
    interior[1::2] = 0.0
    return of_interior(interior, interior > 0)


def even(shape: tuple[int, int], foreground: bool, interior: float) -> Probabilities:
    """A field of one value."""
    return of_interior(np.full(shape, interior), np.full(shape, foreground))


def fields(side: int, settings: Any) -> Iterator[tuple[str, Probabilities, Any]]:
    """Names, probabilities and how to read them; ``settings`` makes the latter."""
    rng = np.random.default_rng(7)
    usual = settings()
    every = settings(split_px=0, min_area_px=0, min_core_px=0, max_hole_px=0, min_confidence=0.0, small_confidence=0.0)
    parting = settings(split_px=5, min_core_px=2, min_area_px=3, min_confidence=0.4, small_confidence=0.5)
    yield "blobs", blobs(rng, side, 2.5), usual
    yield "blobs, every pixel counts", blobs(rng, side, 1.0), every
    yield "blobs that part", blobs(rng, side, 2.0), parting
    yield "mosaic of single pixels", mosaic(rng, side, 1), parting
    yield "mosaic", mosaic(rng, side, 3), parting
    yield "plateaus", peaks(rng, side), parting
    yield "plateaus, every pixel counts", peaks(rng, side), every
    yield "spiral", spiral(side // 2), every
    yield "holes", holes(side), usual
    yield "ties", ties(side), usual
    yield "dots", dots(side), every
    yield "dots, too small", dots(side), usual
    yield "full", even((side, side), True, 0.9), usual
    yield "full, no interior", even((side // 2, side), True, 0.1), usual
    yield "empty", even((side, side // 2), False, 0.0), usual
    yield "one pixel", even((1, 1), True, 0.9), every
    for k in range(TINY):
        yield f"tiny parts just large enough {k}", just_parts(), replace(every, split_px=36)
        yield f"tiny pairs {k}", pairs(), every
        yield f"tiny comb of cores {k}", of_interior(np.full((9, 9), 0.9), comb()), every
        yield f"tiny comb without a core {k}", of_interior(np.full((9, 9), 0.1), comb()), every
        yield f"tiny comb as a hole {k}", of_interior(np.full((9, 9), 0.9), ~comb()), replace(every, max_hole_px=30)
    yield "a row", blobs(rng, side, 1.0)[:, :1], every
    yield "a column", blobs(rng, side, 1.0)[:, :, :1], every


def differences(side: int, device: str, launches: Callable[[int, int], Any]) -> Iterator[dict[str, Any]]:
    """Of every field: nuclei, and pixels whose label is not the CPU's. ``launches`` gives a way to run kernels, or
    None for the device's own."""
    import torch  # noqa: PLC0415

    from hcs.segment.device.instances import instances_on_device  # noqa: PLC0415
    from hcs.segment.ours.instances import instances  # noqa: PLC0415
    from hcs.segment.settings import InstanceSettings  # noqa: PLC0415

    for i, (name, probabilities, settings) in enumerate(fields(side, InstanceSettings)):
        expected = instances(np.ascontiguousarray(probabilities), settings)
        began = time.process_time()
        there = torch.from_numpy(np.ascontiguousarray(probabilities)).to(device)
        found = instances_on_device(there, settings, launch=launches(i, expected.size)).cpu().numpy()
        yield {
            "field": name,
            "shape": list(expected.shape),
            "nuclei": int(expected.max()),
            "differing": int(np.count_nonzero(found != expected)),
            "cpu_s": round(time.process_time() - began, 2),
        }


class Turns:
    """Threads of a simulated block, of which one runs at a time; which, is drawn whenever one reads or writes.

    So every order of their steps may come, and the same comes again: nothing depends on the machine's clock.
    """

    def __init__(self, draw: random.Random, share: float) -> None:
        self.draw, self.share = draw, share
        self.waiting: list[threading.Lock] = []
        self.mine = threading.local()

    def run(self, threads: Sequence[threading.Thread]) -> None:
        """Start them, and wait for their ends."""
        for thread in threads:
            thread.start()
        while len(self.waiting) < len(threads):
            time.sleep(0)
        self._pass_on()
        for thread in threads:
            thread.join()

    def begin(self) -> None:
        """Wait for the first turn."""
        self.mine.lock = threading.Lock()
        self.mine.lock.acquire()
        self.waiting.append(self.mine.lock)
        self.mine.lock.acquire()

    def end(self) -> None:
        """No turn any more."""
        self._pass_on()

    def step(self) -> None:
        """Before a step: others may come first."""
        if self.waiting and self.draw.random() < self.share:
            chosen = self.waiting.pop(self.draw.randrange(len(self.waiting)))
            self.waiting.append(self.mine.lock)
            chosen.release()
            self.mine.lock.acquire()

    def _pass_on(self) -> None:
        if self.waiting:
            self.waiting.pop(self.draw.randrange(len(self.waiting))).release()


def simulate() -> Callable[[int, int], Any]:
    """Have numba.cuda imported as its simulator; ways to run a kernel there, one for every field in turn.

    In one way the threads of one block run at once, by `Turns`; atomic steps stay whole. In the other, blocks of one
    thread run one after another, in an order drawn for every launch. The simulator's own threads change by the clock,
    too seldom to meet, and poll for barriers, of which kernels have none.
    """
    os.environ["NUMBA_ENABLE_CUDASIM"] = "1"
    from numba.cuda.simulator import kernel as simulator  # noqa: PLC0415
    from numba.cuda.simulator import kernelapi  # noqa: PLC0415
    from numba.cuda.simulator.cudadrv import devicearray  # noqa: PLC0415

    draw = random.Random(3)
    turns = Turns(draw, OFTEN)
    inside = devicearray.FakeWithinKernelCUDAArray

    def get(array: Any, index: int) -> Any:
        turns.step()
        return array._item._ary[index]

    def put(array: Any, index: int, value: Any) -> None:
        turns.step()
        array._item._ary[index] = value

    def atomic(new: Callable[[Any, Any], Any]) -> Callable[..., Any]:
        def whole(_: Any, array: Any, index: int, value: Any) -> Any:
            turns.step()
            old = array._item._ary[index]
            array._item._ary[index] = new(old, value)
            return old

        return whole

    def run(self: Any, place: tuple[int, ...], *arguments: Any) -> None:
        nonlocal turns
        size = int(np.prod(self._block_dim))
        turns = Turns(draw, OFTEN if size > GRIDS[0][1] else SELDOM)

        def work() -> None:
            turns.begin()
            try:
                self._f(*arguments)
            finally:
                turns.end()

        threads = [simulator.BlockThread(work, self, place, point, False) for point in np.ndindex(*self._block_dim)]
        turns.run(threads)
        for thread in threads:
            if thread.exception:
                raise thread.exception[0].with_traceback(thread.exception[1])

    def shuffled(*shape: int) -> list[tuple[int, ...]]:
        points = list(np.ndindex(*shape))
        draw.shuffle(points)
        return points

    inside.__getitem__, inside.__setitem__ = get, put
    for name, new in (("add", lambda old, value: old + value), ("min", min), ("max", max)):
        setattr(kernelapi.FakeCUDAAtomic, name, atomic(new))
    simulator.BlockManager.run = run
    simulator.np = SimpleNamespace(**(vars(np) | {"ndindex": shuffled}))

    def launches(i: int, size: int) -> Any:
        grid = (1, -(-size // (1 + i % 2))) if size <= TINY_PX else GRIDS[i % 2]
        return lambda kernel, *arguments: kernel[grid](*arguments)

    return launches


def main() -> None:
    """Compare, say, and end with 1 where a pixel differs."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--side", type=int, default=1080, help="pixels of a field's side")
    parser.add_argument("--simulate", action="store_true", help="in the simulator, on a CPU")
    parser.add_argument("--out", type=Path, help="where to write what was found")
    options = parser.parse_args()
    launches = simulate() if options.simulate else lambda _i, _size: None
    found = []
    for line in differences(options.side, "cpu" if options.simulate else "cuda", launches):
        found.append(line)
        print(f"{line['field']:30s} {line['nuclei']:6d} nuclei, {line['differing']} pixels differ", flush=True)
    if options.out:
        options.out.write_text(json.dumps(found))
    raise SystemExit(any(line["differing"] for line in found))


if __name__ == "__main__":
    main()
