"""What workers do with a field in blocks: statistics, nuclei, owners, cells, and the field's entry.

Every task leaves its result in the field's scratch folder and is passed over where that is there already, so that a run
that was stopped goes on where it was. Only names, numbers and seconds travel.
"""

from __future__ import annotations

import json
import zlib
from dataclasses import asdict, dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from hcs.clock import Stopwatch
from hcs.errors import FieldError
from hcs.measure.intensity import as_float32, background_of, block_means, region_means
from hcs.measure.measure import NucleusTable, measure_nuclei
from hcs.measure.quality import ChannelQuality, field_quality
from hcs.measure.quality_columns import quality_values
from hcs.measure.regions import find_nuclei
from hcs.measure.window import Window
from hcs.plate.keys import FieldKey
from hcs.run.job import Job
from hcs.run.large import LargeField, joint_hash
from hcs.run.worker import segmenter_of
from hcs.segment.normalise import Normalisation, Statistics, sample_step, settled, statistics
from hcs.store.block_labels import BlockLabels
from hcs.store.field import missing_chunks
from hcs.store.ledger import LedgerEntry, write_entry
from hcs.store.location import location
from hcs.store.plate import read_field, read_info
from hcs.store.scratch import Scratch
from hcs.store.table import write_part
from hcs.tiles.blocks import SEAM_PX, Box
from hcs.tiles.ownership import Nuclei, claimed, joined, near_edge, numbers, owned, painted

Seconds = dict[str, float]


@dataclass(frozen=True, slots=True)
class Task:
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
        if self.job.labels == "none":
            return None
        return BlockLabels(
            target=self.job.plate.path if self.job.labels == "plate" else f"{self.job.out}/labels.zarr",
            key=self.key,
            shape=self.large.shape,
            ngff=self.job.plate.ngff,
            pixel_size_um=self.large.pixel_size_um,
        )

    def read(self, box: Box, channels: tuple[int, ...] | None = None) -> NDArray[Any]:
        """Pixels (C, y, x) of a part of the field, of some channels or all."""
        chosen = channels if channels is not None else tuple(range(len(self.job.channels.names)))
        return read_field(self.job.plate, self.key, channels=chosen, z=self.job.config.z, window=box.slices)


@dataclass(frozen=True, slots=True)
class Settled:
    """What only the whole field tells: its normalisation, its channels' backgrounds, its pixels' checksum."""

    normalisation: Normalisation
    backgrounds: dict[str, float]
    crc32: str


def take_statistics(task: Task, i: int) -> Seconds:
    """Statistics of one window of the field; FieldError for pixels that are no numbers."""
    name, clock = f"statistics-{i:05d}", Stopwatch()
    if task.scratch.holds(name):
        return {}
    box = task.large.windows[i]
    image = task.read(box)
    clock.lap("read")
    if image.dtype.kind == "f" and not np.isfinite(image).all():
        raise FieldError(task.key, "it holds NaN or infinite pixels; write it again from the raw images")
    step = sample_step(task.large.shape[0] * task.large.shape[1])
    found = statistics(image[task.job.channels.nuclei], step=step, origin=(box.y0, box.x0))
    arrays: dict[str, NDArray[Any]] = {"sample": found.sample, "differences": found.differences}
    for c, plane in enumerate(image):
        arrays[f"means_{c}"] = block_means(as_float32(plane), task.job.config.measure)
    arrays["crc32"] = np.array(zlib.crc32(np.ascontiguousarray(image).data), np.uint32)
    task.scratch.write(name, arrays)
    clock.lap("statistics")
    return clock.seconds


def settle_statistics(task: Task, _windows: list[Seconds]) -> Settled:
    """The whole field's statistics, of those of all its windows."""
    scratch, names = task.scratch, [f"statistics-{i:05d}" for i in range(len(task.large.windows))]
    parts, sums = [], []
    for name in names:
        arrays = scratch.read(name)
        parts.append(Statistics(arrays["sample"], arrays["differences"]))
        sums.append(np.uint32(arrays["crc32"]))
    backgrounds = {}
    for c, channel in enumerate(task.job.channels.names):
        means = np.concatenate([scratch.read(name)[f"means_{c}"] for name in names])
        backgrounds[channel] = background_of(means, task.job.config.measure)
    return Settled(settled(parts), backgrounds, joint_hash(sums))


def find_block(task: Task, known: Settled, i: int) -> Seconds:
    """Find the nuclei of one block and keep those it claims."""
    name, clock = f"nuclei-{i:05d}", Stopwatch()
    if task.scratch.holds(name):
        return {}
    job, block = task.job, task.large.blocks[i]
    segmenter = segmenter_of(job.model, job.device, flips=job.config.flips)
    clock.lap("start")
    image = task.read(block.read, (job.channels.nuclei,))[0]
    clock.lap("read")
    prepared = segmenter.recipe.preprocess.in_block(image, known.normalisation)
    clock.lap("normalise")
    said = segmenter.probabilities(prepared, job.config.tiles, job.scale)
    probabilities = np.ascontiguousarray(said[(slice(None), *block.seen.within(block.read))])
    del said, prepared, image
    clock.lap("infer")
    labels = segmenter.labels(probabilities, job.config.instances.in_pixels(task.large.pixel_size_um))
    found = _nuclei(labels, block.seen, segmenter.recipe, probabilities)
    claims, too_large = claimed(found, block.core, shape=task.large.shape, largest_px=job.config.tiles.max_nucleus_px)
    clock.lap("instances")
    task.scratch.write(name, _plain(claims) | {"too_large": np.array(too_large)})
    clock.lap("write nuclei")
    return clock.seconds


def settle_owners(task: Task, _blocks: list[Seconds]) -> int:
    """Decide which block's claims count, and number the nuclei; make room for labels. Returns their number."""
    if task.labels is not None:
        task.labels.create()
    edge, near, first, cores = [], [], [], [block.core for block in task.large.blocks]
    too_large = 0
    for i, core in enumerate(cores):
        arrays = task.scratch.read(f"nuclei-{i:05d}")
        claims = _of_plain(arrays)
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


def measure_cell(task: Task, known: Settled, _owned: int, i: int) -> Seconds:
    """Write the labels of one cell, and measure the nuclei whose first pixel lies in it."""
    name, clock = f"cell-{i:05d}", Stopwatch()
    if task.scratch.holds(name):
        return {}
    job, cell = task.job, task.large.cells[i]
    nuclei, ids = _nuclei_of(task, cell.read)
    labels = painted(nuclei, ids, cell.read)
    clock.lap("instances")
    image = task.read(cell.read)
    clock.lap("read")
    table = measure_nuclei(
        labels,
        image,
        channels=job.channels.names,
        dna=job.channels.names[job.channels.dna],
        sensor=None if job.channels.sensor is None else job.channels.names[job.channels.sensor],
        settings=job.config.measure,
        pixel_size_um=task.large.pixel_size_um,
        window=Window(origin=(cell.read.y0, cell.read.x0), field=task.large.shape, backgrounds=known.backgrounds),
    )
    columns = _own_rows(table, nuclei, ids, cell.core)
    clock.lap("measure")
    within = cell.core.within(cell.read)
    core = np.ascontiguousarray(labels[within])
    quality = field_quality(
        image[(slice(None), *within)], core, channels=job.channels.names, settings=job.config.measure
    )
    clock.lap("quality")
    if task.labels is not None:
        task.labels.write(core, cell.core)
    clock.lap("write labels")
    task.scratch.write(name, columns | {"quality": np.array(json.dumps({k: asdict(q) for k, q in quality.items()}))})
    clock.lap("write table")
    return clock.seconds


def finish_field(task: Task, known: Settled, seconds: list[Seconds]) -> LedgerEntry:
    """Publish the field's labels, join its part of the table, enter it in the ledger, and clear up."""
    job, clock = task.job, Stopwatch()
    if task.labels is not None:
        task.labels.publish()
    clock.lap("write labels")
    cells = [task.scratch.read(f"cell-{i:05d}") for i in range(len(task.large.cells))]
    qualities = [json.loads(str(cell.pop("quality"))) for cell in cells]
    joint = {name: np.concatenate([cell[name] for cell in cells]) for name in cells[0]}
    order = np.argsort(joint["Metadata_ObjectNumber"])
    write_part(location(job.out), job.plate.name, task.key, {name: values[order] for name, values in joint.items()})
    clock.lap("write table")
    info = read_info(job.plate, task.key)
    quality = _field_quality(qualities, [cell.core.size for cell in task.large.cells], known)
    entry = LedgerEntry(
        field=str(task.key),
        status="ok" if len(order) else "empty",
        reason=_remarks(task, *missing_chunks(location(job.plate.path), info)),
        nuclei=len(order),
        input_crc32=known.crc32,
        seconds=_sums([*seconds, clock.seconds]),
        background=known.backgrounds,
        quality={name: None if np.isnan(value) else value for name, value in quality_values(quality).items()},
    )
    write_entry(location(job.out), entry)
    task.scratch.remove()
    return entry


def _nuclei(labels: NDArray[np.uint32], box: Box, recipe: Any, probabilities: NDArray[np.float32]) -> Nuclei:
    """The nuclei of labels (y, x) of ``box``, in pixels of the field, with their mean confidence."""
    found = find_nuclei(labels)
    confidence = region_means(recipe.confidence(probabilities), found.pixels)
    runs = found.runs.astype(np.int64) + np.array([box.y0, box.x0, box.x0])
    return Nuclei(runs, found.run_offsets, confidence)


def _plain(nuclei: Nuclei) -> dict[str, NDArray[Any]]:
    return {"runs": nuclei.runs.astype(np.int32), "offsets": nuclei.offsets, "confidence": nuclei.confidence}


def _of_plain(arrays: dict[str, NDArray[Any]]) -> Nuclei:
    return Nuclei(arrays["runs"].astype(np.int64), arrays["offsets"], arrays["confidence"])


def _nuclei_of(task: Task, box: Box) -> tuple[Nuclei, NDArray[np.int64]]:
    """All nuclei of the field that have a pixel in ``box``, and their numbers."""
    ids = task.scratch.read("owners")
    reach = task.large.cut.nucleus_px + SEAM_PX
    parts, numbers_of = [], []
    for i, block in enumerate(task.large.blocks):
        hull = block.core.grown(reach, task.large.shape)
        if not box.overlaps(np.array([[hull.y0, hull.x0, hull.y1, hull.x1]]))[0]:
            continue
        claims = _of_plain(task.scratch.read(f"nuclei-{i:05d}"))
        here = np.flatnonzero((ids[f"ids_{i}"] > 0) & box.overlaps(claims.boxes))
        parts.append(claims.chosen(here))
        numbers_of.append(ids[f"ids_{i}"][here])
    return joined(parts), np.concatenate([np.empty(0, np.int64), *numbers_of])


def _own_rows(table: NucleusTable, nuclei: Nuclei, ids: NDArray[np.int64], core: Box) -> dict[str, NDArray[Any]]:
    """The rows of the nuclei whose first pixel is in ``core``, with their confidence."""
    mine = core.holds(*nuclei.first)
    order = np.argsort(ids[mine])
    own, sureness = ids[mine][order], nuclei.confidence[mine][order]
    rows = np.isin(table.columns["Metadata_ObjectNumber"], own)
    columns: dict[str, NDArray[Any]] = {name: values[rows] for name, values in table.columns.items()}
    place = np.searchsorted(own, columns["Metadata_ObjectNumber"])
    columns["Nuclei_Confidence"] = sureness[place].astype(columns["Nuclei_Confidence"].dtype)
    return columns


def _field_quality(
    cells: list[dict[str, dict[str, float]]], sizes: list[int], known: Settled
) -> dict[str, ChannelQuality]:
    """Quality of a field in cells: shares and densities are means by pixels, its background is the field's, and
    anything else the median over the cells in which it has a meaning."""
    quality = {}
    for channel, background in known.backgrounds.items():
        values: dict[str, float] = {}
        for name in cells[0][channel]:
            of_cells = np.array([cell[channel][name] for cell in cells], np.float64)
            told = np.isfinite(of_cells)
            if not told.any():
                values[name] = float("nan")
            elif name in ("saturated", "confluence", "debris"):
                values[name] = float(np.average(of_cells[told], weights=np.array(sizes)[told]))
            else:
                values[name] = float(np.median(of_cells[told]))
        quality[channel] = ChannelQuality(**(values | {"background": background}))
    return quality


def _remarks(task: Task, missing: int, chunks: int) -> str:
    """What is worth saying about a field that was processed."""
    too_large = int(task.scratch.read("owners")["too_large"])
    remarks = [f"{missing} of {chunks} chunks are missing and were read as the fill value"] if missing else []
    if too_large:
        largest = task.job.config.tiles.max_nucleus_px
        remarks.append(f"{too_large} objects larger than tiles.max_nucleus_px = {largest} px were left out")
    return "; ".join(remarks)


def _sums(seconds: list[Seconds]) -> Seconds:
    total: Seconds = {}
    for part in seconds:
        for stage, s in part.items():
            total[stage] = total.get(stage, 0.0) + s
    return {stage: round(s, 4) for stage, s in total.items()}
