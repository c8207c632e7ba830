"""The weights of a network as a start for another: of a wider U-Net the channels that count most, of one with a single
interior class that class for every kind of nuclei."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

Weights = dict[str, NDArray[Any]]


@dataclass(frozen=True, slots=True)
class _Channels:
    """Channels that several layers of `hcs.segment.ours.unet` share."""

    level: int
    makers: tuple[str, ...]
    """The convolutions they come out of, the first with a norm behind it."""
    norm: str
    readers: tuple[str, ...]
    """The convolutions they enter."""


def narrowed(weights: Mapping[str, NDArray[Any]], widths: Sequence[int]) -> Weights:
    """Unfolded weights of a U-Net with added skips, cut to ``widths`` channels at each resolution.

    Of channels that belong together those are kept whose strength is largest: the scale of their batch norm times the
    length of all weights that read them (after Liu et al. 2017, who go by the scale alone). ValueError where the
    network is narrower somewhere, or has another number of resolutions.
    """
    cut: Weights = dict(weights)
    levels = 1 + sum(name.startswith("narrow.") and name.endswith(".weight") for name in cut)
    if levels != len(widths):
        raise ValueError(f"it has {levels} resolutions where {len(widths)} are wanted")
    for channels in _shared(len(widths)):
        count, wanted = len(cut[f"{channels.norm}.weight"]), widths[channels.level]
        if count < wanted:
            raise ValueError(f"it has {count} channels where {wanted} are wanted, at resolution {channels.level}")
        kept = _strongest(cut, channels, wanted)
        for name in channels.makers:
            for part in ("weight", "bias"):
                _take(cut, f"{name}.{part}", kept, axis=0)
        for part in ("weight", "bias", "running_mean", "running_var"):
            _take(cut, f"{channels.norm}.{part}", kept, axis=0)
        for name in channels.readers:
            _take(cut, f"{name}.weight", kept, axis=1)
    return cut


def with_classes(weights: Mapping[str, NDArray[Any]], have: int, wanted: int) -> Weights:
    """Weights of a network of 3 classes for one of ``wanted`` more: every kind of nuclei has the interior's row of the
    last layer. Their bias is lower by log k, so that all kinds together are as likely as the interior was. Otherwise
    the weights as they are."""
    if have != 3 or wanted <= 3:
        return dict(weights)
    kinds = wanted - 2
    rows = [0, *[1] * kinds, 2]
    changed: Weights = dict(weights)
    for name in ("head.weight", "head.bias"):
        changed[name] = changed[name][rows].copy()
    changed["head.bias"][1:-1] -= np.float32(np.log(kinds))
    return changed


def _shared(levels: int) -> Iterator[_Channels]:
    """All channels of a U-Net of so many resolutions; its input and its classes stay as they are."""
    for level in range(levels):
        down, up = f"down.{level}", f"up.{level}"
        above = f"narrow.{level - 1}" if level else "head"
        yield _Channels(level, (f"{down}.conv1",), f"{down}.norm1", (f"{down}.conv2",))
        if level == levels - 1:
            yield _Channels(level, (f"{down}.conv2",), f"{down}.norm2", (above,))
            return
        skip = (f"down.{level + 1}.conv1", f"{up}.conv1")
        yield _Channels(level, (f"{down}.conv2", f"narrow.{level}"), f"{down}.norm2", skip)
        yield _Channels(level, (f"{up}.conv1",), f"{up}.norm1", (f"{up}.conv2",))
        yield _Channels(level, (f"{up}.conv2",), f"{up}.norm2", (above,))


def _strongest(weights: Weights, channels: _Channels, count: int) -> NDArray[np.intp]:
    """Places of the strongest channels, in their order."""
    read = sum((weights[f"{name}.weight"].astype(np.float64) ** 2).sum(axis=(0, 2, 3)) for name in channels.readers)
    strength = np.abs(weights[f"{channels.norm}.weight"]) * np.sqrt(read)
    return np.sort(np.argsort(-strength, kind="stable")[:count])


def _take(weights: Weights, name: str, kept: NDArray[np.intp], *, axis: int) -> None:
    """Keep some channels of a tensor, if the network has it."""
    if name in weights:
        weights[name] = np.take(weights[name], kept, axis=axis)
