"""What workers do with a field in blocks: its statistics, the nuclei of every block, and who owns which.

Every task leaves its result in the field's scratch folder and is passed over where that is there already, so that a run
that was stopped goes on where it was. Only names, numbers and seconds travel.
"""

from __future__ import annotations

import zlib
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from hcs.clock import Stopwatch
from hcs.errors import FieldError
from hcs.field.block_fill import (
    FieldFill,
    decide,
    fill_in,
    missing_in,
    plain_candidates,
    plain_extents,
    reach_of,
    window_name,
)
from hcs.field.job import Job
from hcs.field.large import LargeField, box_for, joint_hash
from hcs.field.unrecorded import refuse_unrecorded, too_little
from hcs.field.worker import cell_network_of, segmenter_of, tune_worker
from hcs.measure.fill import Fill, may_hold_fill, without_fill
from hcs.measure.intensity import as_float32, block_means, region_means
from hcs.measure.kinds import kind_means
from hcs.measure.measure import settled_background
from hcs.measure.regions import regions_of
from hcs.plate.keys import FieldKey
from hcs.segment.normalise import FieldStatistics, Normalisation, sample_step, settled, statistics, with_background
from hcs.segment.segmenter import Certainty
from hcs.store.location import location
from hcs.store.plate.block_labels import BlockLabels
from hcs.store.plate.reader import read_field
from hcs.store.plate.target import LabelTarget
from hcs.store.scratch import Scratch
from hcs.tiles.blocks import Block, Box
from hcs.tiles.ownership import BlockNuclei, claimed, left_out, near_edge, numbers, owned

Seconds = dict[str, float]


@dataclass(frozen=True, slots=True)
class BlockTask:
    """One field in blocks, for its workers."""

    job: Job
    key: FieldKey
    large: LargeField

    @property
    def scratch(self) -> Scratch:
        """Where the field's tasks leave their results."""
        return Scratch.of(location(self.job.out), self.key)

    @property
    def labels(self) -> BlockLabels | None:
        """Where labels are written; None: nowhere."""
        return self._written_to(self.job.labels)

    @property
    def cell_labels(self) -> BlockLabels | None:
        """Where labels of whole cells are written; None: nowhere."""
        return self._written_to(self.job.cell_labels)

    def _written_to(self, target: LabelTarget | None) -> BlockLabels | None:
        if target is None:
            return None
        return BlockLabels(
            target=target,
            entry=self.job.plate.entry(self.key),
            shape=self.large.shape,
            ngff=self.job.plate.ngff,
            pixel_size_um=self.large.pixel_size_um,
        )

    def read(self, box: Box, channels: tuple[int, ...] | None = None) -> NDArray[Any]:
        """Pixels (C, y, x) of a part of the field, of some channels or all."""
        chosen = channels if channels is not None else tuple(range(len(self.job.channels.names)))
        return read_field(self.job.plate, self.key, channels=chosen, z=self.job.config.z, window=box.slices)

    def fill(self, known: Settled, box: Box) -> Fill | None:
        """What of a part of the field was not recorded."""
        return fill_in(self.scratch, self.large.windows, known.fill, box, self.large.shape)


@dataclass(frozen=True, slots=True)
class Settled:
    """What only the whole field tells: its normalisation, its channels' backgrounds, its pixels' checksum,
    and what of it was not recorded."""

    normalisation: Normalisation
    backgrounds: dict[str, float]
    crc32: str
    fill: FieldFill
    grounds: dict[str, str]
    cells_normalisation: Normalisation | None = None
    """That of the channel of whole cells, where a network sees it."""


def take_statistics(task: BlockTask, i: int) -> Seconds:
    """Statistics of one window of the field; FieldError for pixels that are no numbers."""
    name, clock = window_name(i), Stopwatch()
    if task.scratch.holds(name):
        return {}
    box = task.large.windows[i]
    image = task.read(box)
    clock.lap("read")
    if image.dtype.kind == "f" and not np.isfinite(image).all():
        raise FieldError(task.key, "it holds NaN or infinite pixels; write it again from the raw images")
    arrays = _statistics_of(task, box, image, None) | plain_extents(image)
    if any(may_hold_fill(plane) for plane in image):
        wide = reach_of(box, task.large.shape)
        arrays |= plain_candidates(task.read(wide), box.within(wide))
    arrays["crc32"] = np.array(zlib.crc32(np.ascontiguousarray(image).data), np.uint32)
    task.scratch.write(name, arrays)
    clock.lap("statistics")
    return clock.seconds


def _statistics_of(task: BlockTask, box: Box, image: NDArray[Any], fill: NDArray[np.bool_] | None) -> dict[str, Any]:
    """What a window's pixels (C, y, x) off its ``fill`` tell of the field."""
    step = sample_step(task.large.shape[0] * task.large.shape[1])
    found = statistics(image[task.job.channels.nuclei], step=step, origin=(box.y0, box.x0), fill=fill)
    arrays: dict[str, NDArray[Any]] = {
        "sample": found.sample,
        "differences": found.differences,
        "tiles": found.tiles,
    }
    if task.job.cells_model is not None and task.job.channels.cells is not None:
        seen = statistics(image[task.job.channels.cells], step=step, origin=(box.y0, box.x0), fill=fill)
        arrays |= {"cells_sample": seen.sample, "cells_differences": seen.differences, "cells_tiles": seen.tiles}
    for c, plane in enumerate(image):
        arrays[f"means_{c}"] = block_means(as_float32(plane), task.job.config.measure, fill)
    return arrays


def settle_statistics(task: BlockTask, _windows: list[Seconds]) -> Settled:
    """The whole field's statistics, of those of all its windows; windows with pixels that were not recorded are read
    again. FieldError where too little was recorded."""
    scratch, boxes, channels = task.scratch, task.large.windows, task.job.channels
    fill = decide(scratch, boxes, len(channels.names))
    extents = scratch.read(window_name(0))
    refuse_unrecorded(task.key, fill.blank, [extents[f"extent_{c}"][0] for c in fill.blank], channels)
    parts, sums, missing = [], [], 0
    of_cells: list[FieldStatistics] = []
    means: list[list[NDArray[Any]]] = [[] for _ in channels.names]
    for i, box in enumerate(boxes):
        arrays = scratch.read(window_name(i))
        sums.append(np.uint32(arrays["crc32"]))
        here = fill_in(scratch, boxes, fill, box, task.large.shape)
        if here is not None and here.mask is not None:
            arrays = _statistics_of(task, box, task.read(box), here.mask)
            bare = missing_in(scratch, boxes, fill, box)
            missing += 0 if bare is None else int(np.count_nonzero(bare))
        parts.append(FieldStatistics(arrays["sample"], arrays["differences"], arrays["tiles"]))
        if "cells_sample" in arrays:
            of_cells.append(FieldStatistics(arrays["cells_sample"], arrays["cells_differences"], arrays["cells_tiles"]))
        for c, of_channel in enumerate(means):
            of_channel.append(arrays[f"means_{c}"])
    fill = replace(fill, recorded=1.0 - missing / (task.large.shape[0] * task.large.shape[1]))
    if not sum(map(len, means[channels.nuclei])):
        raise too_little(task.key, fill.recorded)
    always = task.job.config.background not in ("auto", "field")
    sensor = None if channels.sensor is None else channels.names[channels.sensor]
    chosen = {
        channel: settled_background(
            np.concatenate(of_channel),
            task.job.config.measure,
            channel,
            task.job.plate_backgrounds if always or channel == sensor else None,
            always=always,
        )
        for channel, of_channel in zip(channels.names, means, strict=True)
    }
    backgrounds = {channel: level for channel, (level, _) in chosen.items()}
    grounds = {channel: source for channel, (_, source) in chosen.items()}
    seen = settled(of_cells) if of_cells else None
    return Settled(settled(parts), backgrounds, joint_hash(sums), fill, grounds, seen)


def find_block(task: BlockTask, known: Settled, i: int) -> Seconds:
    """Find the nuclei of one block and keep those it claims."""
    name, clock = f"nuclei-{i:05d}", Stopwatch()
    if task.scratch.holds(name):
        return {}
    block = task.large.blocks[i]
    labels, certainty = labels_of_block(task, known, block, clock)
    found = _nuclei(labels, block.seen, certainty)
    largest_px = task.large.cut.nucleus_px
    claims, too_large = claimed(found, block.core, shape=task.large.shape, largest_px=largest_px)
    clock.lap("instances")
    nobodys = left_out(found, block.core, largest_px=largest_px).astype(np.int32)
    task.scratch.write(name, _plain(claims) | {"too_large": np.array(too_large), "left_out": nobodys})
    clock.lap("write nuclei")
    return clock.seconds


def labels_of_block(
    task: BlockTask, known: Settled, block: Block, clock: Stopwatch
) -> tuple[NDArray[np.uint32], Certainty]:
    """Labels (y, x) of what a block sees, and what the networks say of its pixels."""
    job = task.job
    tune_worker()
    segmenter = segmenter_of(job.model, job.device, flips=job.config.flips)
    clock.lap("start")
    labels, certainty = segmenter.nuclei_in_block(
        _shown(task, known, block.read, clock),  # nobody else holds it: the segmenter lets it go as soon as it can
        known.normalisation,
        block.seen.within(block.read),
        job.config.tiles,
        job.config.instances.for_field(task.large.pixel_size_um, job.scale),
        scale=job.scale,
        clock=clock,
    )
    labels = without_fill(labels, task.fill(known, block.seen))
    clock.lap("instances")
    return labels, certainty


def territory_of_cell(task: BlockTask, known: Settled, box: Box) -> NDArray[np.float32] | None:
    """Where whole cells are and part in ``box`` (y, x), as a network sees them; None where none does."""
    network, channel = cell_network_of(task.job), task.job.channels.cells
    if network is None or channel is None or known.cells_normalisation is None:
        return None
    read = box_for(network, box, task.large.shape)
    image, fill = task.read(read, (channel,))[0], task.fill(known, read)
    if fill is not None and fill.mask is not None:
        image = with_background(image, fill.mask, known.cells_normalisation)
    return network.territory_in_block(image, known.cells_normalisation, box.within(read), task.job.config.tiles)


def _shown(task: BlockTask, known: Settled, box: Box, clock: Stopwatch) -> NDArray[Any]:
    """Pixels (y, x) of a part of the field as the network is to see them: what was not recorded is background."""
    image: NDArray[Any] = task.read(box, (task.job.channels.nuclei,))[0]
    clock.lap("read", image.nbytes)
    fill = task.fill(known, box)
    if fill is None or fill.mask is None:
        return image
    return with_background(image, fill.mask, known.normalisation)


def settle_owners(task: BlockTask, _blocks: list[Seconds]) -> int:
    """Decide which block's claims count, and number the nuclei; make room for labels. Returns their number.

    Where a cell is done there was room made for it: its labels are there, or published already.
    """
    begun = any(task.scratch.holds(cell_name(i)) for i in range(len(task.large.cells)))
    for written in (task.labels, task.cell_labels):
        if written is not None and not begun:
            written.create()
    edge, near, first, cores = [], [], [], [block.core for block in task.large.blocks]
    too_large = 0
    for i, core in enumerate(cores):
        arrays = task.scratch.read(f"nuclei-{i:05d}")
        claims = nuclei_of_block(arrays)
        too_large += int(arrays["too_large"])
        near.append(near_edge(claims, core))
        edge.append(claims.chosen(near[-1]))
        first.append(claims.first)
    keep = [np.ones(len(flags), np.bool_) for flags in near]
    for flags, doubtful, settled_ones in zip(keep, near, owned(edge, cores), strict=True):
        flags[doubtful] = settled_ones
    ranks = numbers([(y[flags], x[flags]) for (y, x), flags in zip(first, keep, strict=True)])
    arrays = {}
    for i, (flags, rank) in enumerate(zip(keep, ranks, strict=True)):
        ids = np.zeros(len(flags), np.int64)
        ids[flags] = rank
        arrays[f"ids_{i}"] = ids
    task.scratch.write("owners", arrays | {"too_large": np.array(too_large)})
    return sum(len(rank) for rank in ranks)


def _nuclei(labels: NDArray[np.uint32], box: Box, certainty: Certainty) -> BlockNuclei:
    """The nuclei of labels (y, x) of ``box``, in pixels of the field, with their mean confidence and kinds."""
    found = regions_of(labels)
    runs = found.runs.astype(np.int64) + np.array([box.y0, box.x0, box.x0])
    kinds = certainty.kinds
    of_kinds = None if kinds is None else kind_means(kinds, found.pixels, len(kinds))
    return BlockNuclei(runs, found.run_offsets, region_means(certainty.confidence, found.pixels), of_kinds)


def _plain(nuclei: BlockNuclei) -> dict[str, NDArray[Any]]:
    plain: dict[str, NDArray[Any]] = {
        "runs": nuclei.runs.astype(np.int32),
        "offsets": nuclei.offsets,
        "confidence": nuclei.confidence,
    }
    return plain if nuclei.kinds is None else plain | {"kinds": nuclei.kinds}


def cell_name(i: int) -> str:
    """Name of what a cell leaves in the scratch folder when its labels are written."""
    return f"cell-{i:05d}"


def nuclei_of_block(arrays: dict[str, NDArray[Any]]) -> BlockNuclei:
    """The nuclei that a block claims, as it left them in the scratch folder."""
    return BlockNuclei(arrays["runs"].astype(np.int64), arrays["offsets"], arrays["confidence"], arrays.get("kinds"))
