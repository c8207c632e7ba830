"""One field on its device from recorded pixels to labels: pixels go up once as they are stored, labels come down.

The twin of what `hcs.segment.segmenter` has the CPU do; every function gives what the CPU's does, but for rounding.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from fractions import Fraction

import numpy as np
import torch
import torch.nn.functional as F
from numpy.typing import NDArray
from torch import Tensor

from hcs.clock import Stopwatch
from hcs.segment.device.instances import SIMULATED, instances_on_device
from hcs.segment.device.scale import despeckled_on_device, enlarged_on_device, restored_on_device
from hcs.segment.network import Network
from hcs.segment.normalise import COMPRESSION, Normalisation
from hcs.segment.ours.instances import instances
from hcs.segment.pace import Pace
from hcs.segment.scale import MIRRORS
from hcs.segment.settings import InstanceSettings
from hcs.tiles.grid import Tile, padded_length, tiles
from hcs.tiles.settings import TileSettings


@dataclass(frozen=True, slots=True)
class OnDevice:
    """Networks on their device, and how they see a field there."""

    networks: Sequence[Network]
    pace: Pace
    cut: TileSettings
    scale: Fraction = Fraction(1)
    flips: bool = False
    despeckles: bool = True
    kinds: bool = False
    """Whether the networks have an interior class for each of several kinds of nuclei."""

    def probabilities(self, prepared: Tensor) -> Tensor:
        """Prepared field (Y, X) → probabilities (classes, Y, X) at full resolution, averaged over networks and mirror
        images."""
        field = enlarged_on_device(prepared, self.scale)
        if self.despeckles:
            field = despeckled_on_device(field)
        total: Tensor | None = None
        mirrors = MIRRORS if self.flips else MIRRORS[:1]
        for network in self.networks:
            for axes in mirrors:
                seen = probabilities_on_device(field.flip(axes), network, self.pace, self.cut)
                turned = seen.flip([axis + 1 for axis in axes])
                total = turned if total is None else total.add_(turned)
        assert total is not None
        views = len(self.networks) * len(mirrors)
        mean = total if views == 1 else total.div_(views)
        return restored_on_device(mean, self.scale, (prepared.shape[0], prepared.shape[1]))


def segment_on_device(
    pixels: NDArray[np.generic],
    normalisation: Normalisation,
    seen_by: OnDevice,
    settings: InstanceSettings,
    clock: Stopwatch | None = None,
    *,
    part: tuple[slice, slice] | None = None,
) -> tuple[Tensor, Tensor, Tensor | None]:
    """Recorded pixels (Y, X) of any real type → labels (Y, X) int32, confidence (Y, X) and the kinds' probabilities
    (k, Y, X) float32, where there are kinds, all on the device; of a ``part`` only, if one is given.

    ``clock`` books upload, normalise, infer and instances, and then waits for the device between them.
    """
    device = seen_by.pace.device
    native = np.ascontiguousarray(pixels, dtype=pixels.dtype.newbyteorder("="))
    on_device = torch.from_numpy(native).to(device, non_blocking=True)
    _lap(clock, device, "upload", pixels.nbytes)
    prepared = normalised(on_device, normalisation)
    _lap(clock, device, "normalise", prepared.nbytes)
    probabilities = seen_by.probabilities(prepared)
    if part is not None:
        probabilities = probabilities[(slice(None), *part)]
    _lap(clock, device, "infer", probabilities.nbytes)
    kinds = probabilities[1:-1] if seen_by.kinds else None
    if seen_by.kinds:
        probabilities = three_there(probabilities)
    labels = labels_there(probabilities, settings)
    confidence = probabilities[1:].amax(dim=0)
    _lap(clock, device, "instances", labels.nbytes)
    return labels, confidence, kinds


def labels_of_prepared(prepared: NDArray[np.float32], seen_by: OnDevice, settings: InstanceSettings) -> Tensor:
    """Prepared field (Y, X) of the host → labels (Y, X) int32 on the device."""
    there = torch.from_numpy(np.ascontiguousarray(prepared)).to(seen_by.pace.device, non_blocking=True)
    probabilities = seen_by.probabilities(there)
    return labels_there(three_there(probabilities) if seen_by.kinds else probabilities, settings)


def three_there(probabilities: Tensor) -> Tensor:
    """`hcs.segment.ours.instances.three_of` of probabilities (2 + k, Y, X), as one tensor."""
    interior = probabilities[1].clone()
    for plane in probabilities[2:-1]:
        interior += plane
    return torch.stack([probabilities[0], interior, probabilities[-1]])


def labels_there(probabilities: Tensor, settings: InstanceSettings) -> Tensor:
    """Probabilities (3, Y, X) → labels (Y, X) int32 where they are: by kernels on CUDA, by the CPU's code else."""
    if probabilities.is_cuda or SIMULATED:
        return instances_on_device(probabilities, settings)
    found = instances(np.ascontiguousarray(probabilities.numpy()), settings)
    return torch.from_numpy(found.view(np.int32))


def normalised(pixels: Tensor, normalisation: Normalisation) -> Tensor:
    """`Normalisation.apply` of a field (Y, X) of any real type on its device → (Y, X) float32."""
    wide = pixels.float()
    if not np.isfinite(normalisation.scale) or normalisation.scale <= 0.0:
        return torch.zeros_like(wide)
    wide = (wide - np.float32(normalisation.low).item()) * np.float32(COMPRESSION / normalisation.scale).item()
    return torch.arcsinh(wide) * np.float32(1.0 / np.arcsinh(COMPRESSION)).item()


def probabilities_on_device(prepared: Tensor, network: Network, pace: Pace, cut: TileSettings) -> Tensor:
    """Prepared field (Y, X) on its device → probabilities (classes, Y, X) there, tiles of one shape at a time."""
    spec = network.spec
    height, width = prepared.shape
    shape = padded_length(height, spec.stride_px), padded_length(width, spec.stride_px)
    padded = F.pad(prepared[None, None], (0, shape[1] - width, 0, shape[0] - height), mode="replicate")[0, 0]
    stitched = torch.empty((spec.classes, *shape), device=prepared.device)
    groups: dict[tuple[int, int], list[Tile]] = {}
    for tile in tiles(shape, size_px=cut.size_px, halo_px=spec.receptive_radius_px, stride_px=spec.stride_px):
        groups.setdefault(tile.read_shape, []).append(tile)
    for read_shape, group in groups.items():
        done = 0
        while done < len(group):
            batch = group[done : done + max(pace.at_once(read_shape, width=spec.widths[0]), 1)]
            done += len(batch)
            found = pace.run_on_device(network, torch.stack([padded[tile.read] for tile in batch]))
            for tile, planes in zip(batch, found, strict=True):
                stitched[(slice(None), *tile.core)] = planes[(slice(None), *tile.core_in_read)]
    return stitched[:, :height, :width]


def _lap(clock: Stopwatch | None, device: torch.device, stage: str, nbytes: int) -> None:
    """Book a stage where there is a clock, after the device has done what was asked of it."""
    if clock is None:
        return
    if device.type == "cuda":
        torch.cuda.synchronize(device)
    clock.lap(stage, nbytes)
