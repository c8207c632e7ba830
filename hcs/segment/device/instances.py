"""Three class probabilities on a CUDA device → nucleus labels on it.

`hcs.segment.ours.instances` in kernels (`hcs.segment.device.kernels`), pixel by pixel the same. The simulator of
`numba.cuda` runs the same launches on tensors of the CPU.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from functools import lru_cache
from typing import Any

import numpy as np
import torch
from numba import config, cuda
from torch import Tensor

from hcs.errors import ConfigError
from hcs.segment.device import kernels
from hcs.segment.settings import InstanceSettings

SIMULATED = bool(getattr(config, "ENABLE_CUDASIM", False))
"""Whether `numba.cuda` is its simulator, which a variable of the environment says before numba is imported."""
_BLOCKS, _THREADS = 2048, 256
_ROUNDS = 8
"""Rounds of growth between two looks at whether it goes on: a look waits for the device."""

Launch = Callable[..., None]
"""Has a kernel run with some arguments."""
Lap = Callable[[str], None]
"""Is told the name of a stage."""


@dataclass(frozen=True, slots=True)
class Space:
    """What kernels work in, 49 bytes a pixel, kept for fields of one size: as numba has it, and the same as tensors.
    One thread drives a device, so one field at a time is there."""

    mask: Any
    reached: Any
    apart: Any
    died: Any
    core: Any
    parent: Any
    up: Any
    area: Any
    parts: Any
    owner: Any
    when: Any
    first: Any
    stands: Any
    rank: Any
    total: Any
    latest: Any
    tensors: dict[str, Tensor]


_BYTES = ("mask", "reached", "apart", "died", "core")
_WHOLE = ("parent", "up", "area", "parts", "owner", "when", "first", "stands", "rank")


@lru_cache(maxsize=2)
def space_for(size: int, device: torch.device) -> Space:
    """Room for a field of ``size`` pixels on ``device``."""
    tensors = {name: torch.zeros(size, dtype=torch.uint8, device=device) for name in _BYTES}
    tensors |= {name: torch.zeros(size, dtype=torch.int32, device=device) for name in _WHOLE}
    tensors["total"] = torch.zeros(size, dtype=torch.int64, device=device)
    tensors["latest"] = torch.zeros(1, dtype=torch.int32, device=device)
    return Space(tensors=tensors, **{name: seen_by_numba(tensor) for name, tensor in tensors.items()})


def check_kernels() -> None:
    """ConfigError where `numba.cuda` cannot be used."""
    if not cuda.is_available():
        raise ConfigError(
            "--device cuda: numba sees no CUDA device where torch sees one; install hcs[gpu-cu12] or hcs[gpu-cu13], by "
            "the CUDA version that nvidia-smi names, or use --device cpu"
        )


def seen_by_numba(tensor: Tensor) -> Any:
    """The same memory as an array for kernels."""
    return cuda.as_cuda_array(tensor) if tensor.is_cuda else tensor.numpy()


def launcher(device: torch.device, size: int) -> Launch:
    """What runs kernels over ``size`` pixels on ``device``, after all that torch asked of it before."""
    if device.type == "cpu":
        return simulated
    stream = torch.cuda.current_stream(device).cuda_stream
    grid = min(-(-size // _THREADS), _BLOCKS), _THREADS, cuda.external_stream(stream) if stream else 0

    def launch(kernel: Any, *arguments: Any) -> None:
        kernel[grid](*arguments)

    return launch


def simulated(kernel: Any, *arguments: Any) -> None:
    """A few threads of the simulator run a kernel: each is one of Python."""
    kernel[2, 4](*arguments)


def _no_lap(_: str) -> None:
    """Nobody takes the time."""


def instances_on_device(
    probabilities: Tensor, settings: InstanceSettings, *, launch: Launch | None = None, lap: Lap = _no_lap
) -> Tensor:
    """Probabilities (3, Y, X) of background, interior, boundary → labels (Y, X) int32, 0 = background, 1..n in raster
    order; the same as `hcs.segment.ours.instances.instances`.

    ``launch`` runs kernels in the place of the device's own way; ``lap`` is told when a stage has been asked for.
    """
    height, width = probabilities.shape[1:]
    size, device = height * width, probabilities.device
    if size > kernels.MOST_PX:
        raise ConfigError(
            f"a field or block of {size:,} px is more than the device labels at a time; set tiles.max_field_px to "
            f"{kernels.MOST_PX:,} at most"
        )
    run = launch or launcher(device, size)
    background, interior, boundary = (seen_by_numba(plane.contiguous().view(-1)) for plane in probabilities)
    space = space_for(size, device)
    run(kernels.find_foreground, background, np.float32(1.0 - settings.foreground), space.mask)
    lap("foreground")
    if settings.max_hole_px:
        _fill_holes(run, space, width, min(settings.max_hole_px, size))
    lap("holes")
    _find_cores(run, space, interior, width, settings)
    lap("cores")
    _grow(run, space, width)
    lap("growth")
    run(kernels.find_rest, space.when, space.mask)
    _connect(run, space, 1, width, corners=True)
    run(kernels.own_rest, space.parent, space.owner, space.area, space.total, space.first)
    lap("rest")
    labels = torch.empty((height, width), dtype=torch.int32, device=device)
    _choose(run, space, interior, boundary, width, settings, seen_by_numba(labels.view(-1)))
    lap("choice")
    return labels


def _connect(run: Launch, space: Space, wanted: int, width: int, *, corners: bool) -> None:
    """``parent`` becomes the first pixel of every pixel's piece of the mask's value ``wanted``."""
    run(kernels.begin_runs, space.mask, wanted, width, space.parent, space.area)
    for across in (0, 1):
        run(kernels.join_runs, space.mask, wanted, width, int(corners), across, space.parent)
        run(kernels.flatten, space.parent)


def _fill_holes(run: Launch, space: Space, width: int, max_px: int) -> None:
    """Background pieces of up to ``max_px`` pixels that do not touch the border become foreground."""
    _connect(run, space, 0, width, corners=False)
    run(kernels.weigh_holes, space.mask, width, space.parent, max_px, space.area)
    run(kernels.fill_holes, space.parent, space.area, max_px, space.mask)


def _find_cores(run: Launch, space: Space, interior: Any, width: int, settings: InstanceSettings) -> None:
    """Every pixel's core, as of `hcs.segment.ours.cores`: levels from the highest down, on the pieces of the ones
    above."""
    levels = settings.levels()
    least_px = [least for _, least in levels]
    known = (space.up, space.area, space.apart)
    thresholds = _thresholds(tuple(level for level, _ in levels), space.tensors["mask"].device)
    run(
        kernels.begin_cores,
        interior,
        space.mask,
        thresholds,
        space.reached,
        space.parent,
        *known,
        space.died,
        space.core,
    )
    for k in range(len(levels), 0, -1):
        for across in (0, 1):
            run(kernels.join_level, space.reached, k, width, across, space.parent, space.parts)
        above_px = least_px[k] if k < len(levels) else 0  # at the top no pieces are there yet
        if k < len(levels):
            run(kernels.count_parts, space.reached, k, *known, above_px, space.parent, space.parts)
        settled = (space.parent, *known, space.died, space.core)
        run(kernels.settle_level, space.reached, k, width, space.parts, above_px, *settled)
    taken = (space.mask, space.reached, *known, space.died, space.core, least_px[0])
    run(kernels.take_cores, *taken, space.owner, space.when)


@lru_cache(maxsize=4)
def _thresholds(levels: tuple[float, ...], device: torch.device) -> Any:
    """Levels on the device."""
    return seen_by_numba(torch.tensor(levels, dtype=torch.float32, device=device))


def _grow(run: Launch, space: Space, width: int) -> None:
    """Cores through the foreground, a step of four neighbours a round; the lower core wins a tie."""
    space.tensors["latest"].zero_()
    done = 0
    while True:
        for now in range(done + 1, done + 1 + _ROUNDS):
            run(kernels.grow_once, width, now, space.owner, space.when, space.latest)
        done += _ROUNDS
        if int(space.tensors["latest"].item()) < done:
            return


def _choose(
    run: Launch, space: Space, interior: Any, boundary: Any, width: int, settings: InstanceSettings, labels: Any
) -> None:
    """Nuclei of enough pixels and confidence, numbered by their first pixels."""
    weighed = (space.area, space.total, space.first)
    run(kernels.weigh_nuclei, space.owner, width, interior, boundary, *weighed)
    sure = settings.min_confidence, max(settings.small_confidence, settings.min_confidence)
    run(kernels.choose_nuclei, space.owner, *weighed, settings.min_area_px, settings.small_px, *sure, space.stands)
    torch.cumsum(space.tensors["stands"], 0, dtype=torch.int32, out=space.tensors["rank"])
    run(kernels.number_nuclei, space.owner, space.first, space.stands, space.rank, labels)
