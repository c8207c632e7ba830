"""Run the network over a field, tile by tile, on the CPU or a CUDA device."""

from __future__ import annotations

import ctypes
import sys
from functools import partial

import numpy as np
import torch
from numpy.typing import NDArray

from hcs.clock import Stopwatch
from hcs.errors import ConfigError
from hcs.segment.network import Network
from hcs.segment.pace import Pace
from hcs.tiles.grid import map_batches
from hcs.tiles.settings import TileSettings

_TRIM_PX = 2_000_000
"""After so many pixels the network has worked so long that getting its memory anew costs nothing beside."""


def find_device(name: str) -> torch.device:
    """The device called ``cpu`` or ``cuda``; ConfigError where there is no CUDA device: never a silent fall-back."""
    if name == "cuda" and not torch.cuda.is_available():
        raise ConfigError(
            "--device cuda: this machine has no usable CUDA device (torch sees none); use --device cpu, or install the "
            "gpu extra and run where nvidia-smi lists a GPU"
        )
    return torch.device(name)


def count_devices() -> int:
    """CUDA devices of this machine that this process may use."""
    return torch.cuda.device_count()


def tune_cpu(threads: int) -> None:
    """Set the CPU threads of torch and OpenCV, and keep freed tensors in the process: returning them to the system
    costs a third of the time."""
    import cv2  # noqa: PLC0415  not needed to predict

    torch.set_num_threads(threads)
    cv2.setNumThreads(threads)
    if sys.platform == "linux":
        libc = ctypes.CDLL("libc.so.6")
        m_mmap_threshold, m_trim_threshold = -3, -1
        libc.mallopt(m_mmap_threshold, 2**30)
        libc.mallopt(m_trim_threshold, 2**31 - 1)


def give_back_memory() -> None:
    """Return freed memory to the system: what is allocated next would otherwise come on top of the network's layers."""
    if sys.platform == "linux":
        ctypes.CDLL("libc.so.6").malloc_trim(0)


def predict(
    network: Network,
    image: NDArray[np.float32],
    tiles: TileSettings,
    clock: Stopwatch | None = None,
    pace: Pace | None = None,
) -> NDArray[np.float32]:
    """Normalised field (Y, X) → class probabilities (classes, Y, X) float32; any field size, any tile size, same
    result.

    ``network`` is in evaluation mode, on the device to use. ``pace`` says how many tiles it sees at a time, by default
    one, and in which precision. ``clock`` books the network's time as ``infer`` and the rest as ``stitch``.
    """
    spec = network.spec
    pace = pace or Pace()
    clock = clock or Stopwatch()

    def infer(batch: NDArray[np.float32]) -> NDArray[np.float32]:
        clock.lap("stitch")
        probabilities = pace.run(network, batch)
        clock.lap("infer", probabilities.nbytes)
        return probabilities

    found = map_batches(
        infer,
        image,
        at_once=partial(pace.at_once, width=spec.widths[0]),
        channels=spec.classes,
        size_px=tiles.size_px,
        halo_px=spec.receptive_radius_px,
        stride_px=spec.stride_px,
    )
    if image.size >= _TRIM_PX:
        give_back_memory()
    return found
