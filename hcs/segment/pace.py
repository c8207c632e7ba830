"""How many tiles a network sees at a time on its device, and in which precision."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import AbstractContextManager, nullcontext
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from hcs.segment.memory import tiles_at_once
from hcs.segment.network import Network
from hcs.segment.ours.integers import Integers
from hcs.segment.ours.stream import stream
from hcs.segment.ours.unet import UNet

_LEAST_AT_ONCE = 1


@dataclass(slots=True)
class Pace:
    """The number of tiles a batch has: one on the CPU, on a GPU as many as its free memory holds.

    It remembers, for as long as the process lives: where the device ran out of memory all the same, the batch is
    halved and stays so.
    """

    device: torch.device = field(default_factory=lambda: torch.device("cpu"))
    dtype: torch.dtype = torch.float32
    """What the network calculates in; probabilities are float32 always."""
    most: int | None = None
    """Largest number of tiles; None: as free memory allows, which on the CPU is one."""
    remarks: list[str] = field(default_factory=list)
    """What happened since they were last taken."""

    def at_once(self, shape: tuple[int, int], *, width: int) -> int:
        """Tiles of ``shape`` (y, x) that the next batch of a network of ``width`` channels at full resolution may
        have."""
        if self.most is None and self.device.type == "cuda":
            self.most = tiles_at_once(free_bytes(self.device), shape, width=width, itemsize=self.dtype.itemsize)
        return self.most or _LEAST_AT_ONCE

    def run(self, network: Network, batch: NDArray[np.float32]) -> NDArray[np.float32]:
        """Tiles (B, y, x) → probabilities (B, classes, y, x); torch.OutOfMemoryError where not even one fits."""
        found = [part.cpu().numpy() for part in self._parts(network, torch.from_numpy(np.ascontiguousarray(batch)))]
        return found[0] if len(found) == 1 else np.concatenate(found)

    def run_on_device(self, network: Network, batch: Tensor) -> Tensor:
        """As `run`, of tiles that are on the device and of probabilities that stay there."""
        return torch.cat(list(self._parts(network, batch)))

    def _parts(self, network: Network, batch: Tensor) -> Iterator[Tensor]:
        """Probabilities of as many tiles at a time as the device has memory for."""
        start = 0
        while start < len(batch):
            size = min(self.most or len(batch), len(batch) - start)
            try:
                found = self._infer(network, batch[start : start + size])
            except torch.OutOfMemoryError:
                if size == 1:
                    raise
                self._halve(size)
            else:
                start += size
                yield found

    def take_remarks(self) -> tuple[str, ...]:
        """What happened since the last call, as sentences for the ledger."""
        said, self.remarks = tuple(self.remarks), []
        return said

    def _halve(self, size: int) -> None:
        self.most = size // 2
        self.remarks.append(f"the device ran out of memory with {size} tiles at a time; {self.most} are taken now")
        if self.device.type == "cuda":
            torch.cuda.empty_cache()

    def _infer(self, network: Network, batch: Tensor) -> Tensor:
        if isinstance(network, UNet | Integers) and self.device.type == "cpu" and self.dtype == torch.float32:
            with torch.inference_mode():
                return stream(network, batch)
        x = batch[:, None]
        if self.device.type == "cuda" and x.device.type == "cpu":
            x = x.pin_memory().to(self.device, non_blocking=True)
        with torch.inference_mode(), self._precision():
            logits: Tensor = network(x.contiguous(memory_format=torch.channels_last))
            return torch.softmax(logits.float(), dim=1)

    def _precision(self) -> AbstractContextManager[Any]:
        if self.dtype == torch.float32:
            return nullcontext()
        return torch.autocast(self.device.type, dtype=self.dtype)


def free_bytes(device: torch.device) -> int:
    """Memory of a CUDA device that is free, or that this process holds without using it."""
    free, _ = torch.cuda.mem_get_info(device)
    return int(free + torch.cuda.memory_reserved(device) - torch.cuda.memory_allocated(device))
