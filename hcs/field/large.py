"""A field too large for a worker's memory: how it is to be cut, as found by the worker that was given it."""

from __future__ import annotations

import math
import time
import zlib
from collections.abc import Iterable
from dataclasses import dataclass

import numpy as np

from hcs.config import Config
from hcs.errors import FieldError
from hcs.field.job import Job
from hcs.field.memory import block_bytes, cells_bytes, load_of
from hcs.machine import memory_bytes
from hcs.plate.keys import FieldKey
from hcs.segment.normalise import STATISTICS_UNIT_PX
from hcs.segment.segmenter import Segmenter
from hcs.segment.territory import CellNetwork
from hcs.store.plate.field import FieldInfo
from hcs.store.plate.reader import Plate, read_field, read_info
from hcs.store.results.ledger import pixel_hash
from hcs.tiles.blocks import Block, Box, Cell, Cut, cut_for, windows

_WINDOW_PX = 2048
_LARGEST_UNIT_PX = 4096
_WINDOWS_PER_REACH = 5
_FILTER_PX = 8
"""Reach of the filters by which cells are grown."""


@dataclass(frozen=True, slots=True, kw_only=True)
class LargeField:
    """One field in blocks: small enough to travel with every task."""

    shape: tuple[int, int]
    pixel_size_um: float | None
    cut: Cut
    statistics_unit_px: int
    """Windows for statistics start at multiples of this."""
    projected_bytes: int
    """Memory that a worker needs."""
    machine_bytes: int
    """Memory of the machine that found this."""
    began: float
    """When it was found, seconds since 1970."""

    @property
    def windows(self) -> tuple[Box, ...]:
        """Parts that the field's statistics are taken from."""
        return windows(self.shape, size_px=_WINDOW_PX, unit_px=self.statistics_unit_px)

    @property
    def blocks(self) -> tuple[Block, ...]:
        """Parts in which nuclei are found."""
        return self.cut.blocks(self.shape)

    @property
    def cells(self) -> tuple[Cell, ...]:
        """Parts in which labels are written and nuclei measured."""
        return self.cut.cells(self.shape)


def is_large(info: FieldInfo, config: Config) -> bool:
    """Whether a field is to be cut into blocks."""
    return info.shape[1] * info.shape[2] > config.tiles.max_field_px


def look_at(
    info: FieldInfo, job: Job, key: FieldKey, segmenter: Segmenter, cells: CellNetwork | None = None
) -> LargeField:
    """How a large field is to be cut, where a network tells of whole ``cells``, too.

    FieldError where the model's input or the illumination's correction needs all of the field at once.
    """
    config = job.config
    if not segmenter.recipe.preprocess.blockwise:
        raise _too_large(info, key, f"the input of model {job.model.name} depends on all of it at once")
    if job.illumination is not None:
        raise _too_large(info, key, "a stitched field has no illumination of its own; correct images before stitching")
    specs = [network.spec for network in segmenter.networks]
    radius = max(spec.receptive_radius_px for spec in specs)
    cut = cut_for(
        block_px=config.tiles.block_px,
        nucleus_px=config.tiles.max_nucleus_px,
        stride_px=math.lcm(*(spec.stride_px for spec in specs)),
        radius_px=radius + segmenter.recipe.preprocess.reach_px,
        scale=job.scale,
        filter_px=segmenter.recipe.preprocess.median_px,
        around_px=_around(job, info.pixel_size_um),
    )
    shape = info.shape[1], info.shape[2]
    if cells is not None and not cells.segmenter.recipe.preprocess.blockwise:
        raise _too_large(info, key, f"the input of cells.model {job.config.cells.model} depends on all of it at once")
    load = load_of(job, info, specs)
    projected = block_bytes(cut, shape, load)
    if cells is not None:
        sides = [box_for(cells, cell.read, shape).shape for cell in cut.cells(shape)]
        projected = max(projected, cells_bytes(sides, load))
    return LargeField(
        shape=shape,
        pixel_size_um=info.pixel_size_um,
        cut=cut,
        statistics_unit_px=_statistics_unit(info, config),
        projected_bytes=projected,
        machine_bytes=memory_bytes(),
        began=round(time.time(), 4),
    )


def box_for(network: CellNetwork, box: Box, shape: tuple[int, int]) -> Box:
    """What the network of whole cells reads of a field of ``shape`` (Y, X) for its output in ``box`` to be that of the
    whole field."""
    specs = [each.spec for each in network.segmenter.networks]
    preprocess = network.segmenter.recipe.preprocess
    cut = cut_for(
        block_px=1,
        nucleus_px=1,
        stride_px=math.lcm(*(spec.stride_px for spec in specs)),
        radius_px=max(spec.receptive_radius_px for spec in specs) + preprocess.reach_px,
        scale=network.scale,
        filter_px=preprocess.median_px,
        around_px=0,
    )
    return box.grown(cut.context_px, shape, unit_px=cut.unit_px)


def _around(job: Job, pixel_size_um: float | None) -> int:
    """How far from a nucleus pixels and labels are looked at to measure it, px; with whole cells, from the nucleus to
    its cell's end, from there to any nucleus that might have grown as far, and around that one's ring."""
    measure = job.config.measure.for_pixels(pixel_size_um)
    around = _WINDOWS_PER_REACH * measure.reach_px
    if job.channels.cells is None:
        return around
    reach = job.config.cells.for_pixels(pixel_size_um).way_px
    return max(around, 2 * reach + job.config.tiles.max_nucleus_px + 2 * measure.ring_end_px + _FILTER_PX)


def field_hash(plate: Plate, key: FieldKey, config: Config) -> str:
    """Checksum of a field's pixels, as its ledger entry has it; a large field is read window by window."""
    info = read_info(plate, key)
    channels = tuple(range(info.shape[0]))
    if not is_large(info, config):
        return pixel_hash(read_field(plate, key, channels=channels, z=config.z))
    shape = info.shape[1], info.shape[2]
    boxes = windows(shape, size_px=_WINDOW_PX, unit_px=_statistics_unit(info, config))
    parts = (read_field(plate, key, channels=channels, z=config.z, window=box.slices) for box in boxes)
    return joint_hash(np.uint32(zlib.crc32(np.ascontiguousarray(part).data)) for part in parts)


def joint_hash(parts: Iterable[np.uint32]) -> str:
    """One checksum, eight hexadecimal digits, of those of a field's windows."""
    crc = 0
    for part in parts:
        crc = zlib.crc32(part.tobytes(), crc)
    return f"{crc:08x}"


def _statistics_unit(info: FieldInfo, config: Config) -> int:
    """Statistics of windows that start at these multiples add up to the field's; with chunks, where they fit in, so
    that no chunk is decoded twice."""
    least = math.lcm(STATISTICS_UNIT_PX, config.measure.background_block_px)
    by_chunk = math.lcm(least, *(info.chunks[info.axes.index(axis)] for axis in "yx"))
    return by_chunk if by_chunk <= _LARGEST_UNIT_PX else least


def _too_large(info: FieldInfo, key: FieldKey, why: str) -> FieldError:
    return FieldError(
        key,
        f"its {info.shape[1]} × {info.shape[2]} px are more than tiles.max_field_px, and it cannot be cut in blocks: "
        f"{why}; or raise tiles.max_field_px where memory allows",
    )
