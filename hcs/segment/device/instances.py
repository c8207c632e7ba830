"""Three class probabilities on a device → nucleus labels on it.

`hcs.segment.ours.instances` in tensors, pixel by pixel the same."""

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import Tensor

from hcs.segment.settings import InstanceSettings

_FOUR = ((-1, 0), (0, -1), (0, 1), (1, 0))
_EIGHT = (*_FOUR, (-1, -1), (-1, 1), (1, -1), (1, 1))


def instances_on_device(probabilities: Tensor, settings: InstanceSettings) -> Tensor:
    """Probabilities (3, Y, X) of background, interior, boundary → labels (Y, X) int64, 0 = background, 1..n in raster
    order; the same as `hcs.segment.ours.instances.instances`.

    Cores are labelled by their first pixel, and so come in raster order, as there.
    """
    foreground = _fill_holes(probabilities[0] < 1.0 - settings.foreground, settings.max_hole_px)
    labels = grown(found_cores(probabilities[1], foreground, settings), foreground)
    extra = connected(foreground & (labels == 0), _EIGHT)
    labels = torch.where(extra > 0, extra + labels.numel() + 1, labels)
    confidence = torch.maximum(probabilities[1], probabilities[2])
    return _kept(labels, confidence, settings)


def found_cores(interior: Tensor, foreground: Tensor, settings: InstanceSettings) -> Tensor:
    """Interior probability and foreground (Y, X) → cores (Y, X) int64, 0 elsewhere; those of
    `hcs.segment.ours.cores.find_cores`, here from the lowest level up."""
    (lowest, least_px), *higher = settings.levels()
    cores = _of_area(connected(foreground & (interior > lowest), _FOUR), least_px)
    index = torch.arange(cores.numel(), device=cores.device).view(cores.shape)
    for level, least_px in higher:
        pieces = _of_area(connected((cores > 0) & (interior > level), _FOUR), least_px)
        # A piece's label is its first pixel, and so tells the core that it is part of.
        first = pieces == index + 1
        parts = _counted(torch.where(first, cores, index), first)
        cores = torch.where(parts[cores] > 1, pieces, cores)
    return cores


def connected(mask: Tensor, neighbours: tuple[tuple[int, int], ...] = _FOUR) -> Tensor:
    """Mask (Y, X) → (Y, X) int64: 0 outside, elsewhere 1 + the flat index of the piece's first pixel in raster order.

    Every pixel takes the least index of its neighbours and then that of the pixel it points to, until nothing changes;
    the number of rounds grows with the logarithm of a piece's length.
    """
    size = mask.numel()
    index = torch.arange(size, device=mask.device).view(mask.shape)
    least = torch.where(mask, index, size)
    while True:
        found = torch.where(mask, _least_of(least, neighbours, size), size)
        flat = torch.cat((found.flatten(), torch.tensor([size], device=mask.device)))
        for _ in range(2):
            flat = flat[flat]
        found = flat[:-1].view(mask.shape)
        if torch.equal(found, least):
            return torch.where(mask, found + 1, 0)
        least = found


def grown(labels: Tensor, mask: Tensor) -> Tensor:
    """Labels (Y, X) below 2³¹ − 1 grown through ``mask``, one step of four neighbours a round; the lower label wins a
    tie."""
    none = 2**31 - 1
    found = torch.where(labels > 0, labels, none)
    while True:
        ahead = torch.where(mask & (found == none), _least_of(found, _FOUR, none), found)
        if torch.equal(ahead, found):
            return torch.where(found == none, 0, found)
        found = ahead


def _least_of(values: Tensor, neighbours: tuple[tuple[int, int], ...], none: int) -> Tensor:
    """Least of every pixel's own value and its neighbours'; ``none`` beyond the border."""
    height, width = values.shape
    framed = F.pad(values, (1, 1, 1, 1), value=none)
    least = values
    for dy, dx in neighbours:
        least = torch.minimum(least, framed[1 + dy : 1 + dy + height, 1 + dx : 1 + dx + width])
    return least


def _areas(labels: Tensor) -> tuple[Tensor, Tensor]:
    """Place of every pixel's label among all labels, (Y * X,), and pixels of each of these."""
    _, place, counts = torch.unique(labels.flatten(), return_inverse=True, return_counts=True)
    return place, counts


def _of_area(labels: Tensor, least_px: int) -> Tensor:
    """Labels (Y, X) of 0 to Y * X, without those of fewer pixels."""
    index = torch.arange(labels.numel(), device=labels.device).view(labels.shape)
    inside = labels > 0
    area = _counted(torch.where(inside, labels, index), inside)
    return torch.where(inside & (area[labels] >= least_px), labels, 0)


def _counted(places: Tensor, counts: Tensor) -> Tensor:
    """How many pixels of ``counts`` (Y, X) there are at each of ``places`` (Y, X), 0 to Y * X.

    Pixels that do not count are best sent to places of their own: those at one place are added one after another.
    """
    found = torch.zeros(places.numel() + 1, dtype=torch.int32, device=places.device)
    return found.index_add_(0, places.flatten(), counts.flatten().int())


def _fill_holes(foreground: Tensor, max_hole_px: int) -> Tensor:
    """Background pieces of up to ``max_hole_px`` pixels that do not touch the border become foreground."""
    if max_hole_px == 0:
        return foreground
    pieces = connected(~foreground, _FOUR)
    place, counts = _areas(pieces)
    outside = torch.zeros(len(counts), dtype=torch.bool, device=pieces.device)
    where = place.view(pieces.shape)
    for edge in (where[0], where[-1], where[:, 0], where[:, -1]):
        outside[edge] = True
    hole = (counts <= max_hole_px) & ~outside
    return foreground | (hole[where] & (pieces > 0))


def _kept(labels: Tensor, confidence: Tensor, settings: InstanceSettings) -> Tensor:
    """Labels of enough pixels and a high enough mean ``confidence``, numbered 1..n by their first pixel."""
    place, counts = _areas(labels)
    sums = torch.zeros(len(counts), dtype=torch.float64, device=labels.device)
    sums.index_add_(0, place, confidence.flatten().double())
    index = torch.arange(labels.numel(), device=labels.device)
    first = torch.full((len(counts),), labels.numel(), device=labels.device)
    first.scatter_reduce_(0, place, index, "amin")
    limits = [settings.min_confidence, max(settings.small_confidence, settings.min_confidence)]
    least = torch.tensor(limits, dtype=torch.float64, device=labels.device)[(counts < settings.small_px).long()]
    keep = (counts >= settings.min_area_px) & (sums >= least * counts)
    keep &= labels.flatten()[first.clamp(max=labels.numel() - 1)] > 0
    ordered = torch.argsort(torch.where(keep, first, labels.numel()))
    number = torch.zeros_like(first)
    number[ordered] = torch.arange(1, len(first) + 1, device=labels.device)
    return torch.where(keep, number, 0)[place].view(labels.shape)
