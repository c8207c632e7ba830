"""What workers do with a field in blocks once every nucleus has its owner: labels and measurements, cell by cell, and
the field's entry."""

from __future__ import annotations

import json
import time
from dataclasses import asdict
from typing import Any

import numpy as np
from numpy.typing import NDArray

from hcs.clock import Stopwatch
from hcs.columns import CLASS, SCORE
from hcs.field.blocks import BlockTask, Seconds, Settled, cell_name, nuclei_of_block, territory_of_cell
from hcs.field.unrecorded import blank_remarks
from hcs.field.worker import tune_worker
from hcs.measure.kinds import Kinds, kind_columns
from hcs.measure.measure import NucleusTable, Window, measure_nuclei
from hcs.measure.quality import ChannelQuality, field_quality, quality_values
from hcs.pipeline import cell_request
from hcs.store.location import location
from hcs.store.plate.field import missing_chunks, missing_sentence
from hcs.store.plate.reader import read_info
from hcs.store.results.ledger import LedgerEntry, write_entry
from hcs.store.results.table import write_part
from hcs.tiles.blocks import SEAM_PX, Box
from hcs.tiles.ownership import BlockNuclei, joined, painted


def measure_cell(task: BlockTask, known: Settled, owned: int, i: int) -> Seconds:
    """Write the labels of one cell, and measure the nuclei whose first pixel lies in it; the field has ``owned``.

    Objects that are left out for their size keep their neighbours' rings and backgrounds off themselves, as where the
    field is in one piece; a pixel equally near to both is the nucleus'.
    """
    name, clock = cell_name(i), Stopwatch()
    if task.scratch.holds(name):
        return {}
    tune_worker()
    job, cell = task.job, task.large.cells[i]
    nuclei, ids, left_out = _nuclei_of(task, cell.read)
    nobodys = owned + 1
    labels = painted(joined([nuclei, left_out]), np.append(ids, nobodys), cell.read)
    clock.lap("instances")
    image = task.read(cell.read)
    clock.lap("read")
    fill = task.fill(known, cell.read)
    territory = territory_of_cell(task, known, cell.read)
    if territory is not None:
        clock.lap("cells", territory.nbytes)
    table = measure_nuclei(
        labels,
        image,
        channels=job.channels.names,
        dna=job.channels.dna_name,
        sensor=job.channels.sensor_name,
        settings=job.config.measure.for_pixels(task.large.pixel_size_um),
        pixel_size_um=task.large.pixel_size_um,
        window=Window(
            origin=(cell.read.y0, cell.read.x0),
            field=task.large.shape,
            backgrounds=known.backgrounds,
            grounds=known.grounds,
        ),
        fill=fill,
        cells=cell_request(job.channels, job.config, task.large.pixel_size_um, nobodys=nobodys, territory=territory),
        kinds=Kinds(job.model.kinds) if job.model.kinds else None,
    )
    columns = _own_rows(table, nuclei, ids, cell.core, job.model.kinds)
    labels[labels == nobodys] = 0
    clock.lap("measure")
    within = cell.core.within(cell.read)
    core = np.ascontiguousarray(labels[within])
    quality = field_quality(
        image[(slice(None), *within)],
        core,
        channels=job.channels.names,
        settings=job.config.measure.for_pixels(task.large.pixel_size_um),
        fill=task.fill(known, cell.core),
    )
    clock.lap("quality")
    if task.labels is not None:
        task.labels.write(core, cell.core)
    if task.cell_labels is not None and table.cells is not None:
        grown = table.cells[within]
        task.cell_labels.write(np.where(grown == nobodys, 0, grown).astype(np.uint32), cell.core)
    clock.lap("write labels")
    task.scratch.write(name, columns | {"quality": np.array(json.dumps({k: asdict(q) for k, q in quality.items()}))})
    clock.lap("write table")
    return clock.seconds


def finish_field(task: BlockTask, known: Settled, seconds: list[Seconds]) -> LedgerEntry:
    """Publish the field's labels, join its part of the table, enter it in the ledger, and clear up."""
    job, clock = task.job, Stopwatch()
    for written in (task.labels, task.cell_labels):
        if written is not None:
            written.publish(known.crc32)
    clock.lap("write labels")
    cells = [task.scratch.read(cell_name(i)) for i in range(len(task.large.cells))]
    qualities = [json.loads(str(cell.pop("quality"))) for cell in cells]
    joint = {name: np.concatenate([cell[name] for cell in cells]) for name in cells[0]}
    order = np.argsort(joint["Metadata_ObjectNumber"])
    rows = {name: values[order] for name, values in joint.items()}
    part = write_part(location(job.out), job.plate.name, task.key, rows, texts=job.texts)
    clock.lap("write table")
    info = read_info(job.plate, task.key)
    quality = _field_quality(qualities, [cell.core.size for cell in task.large.cells], known)
    entry = LedgerEntry(
        field=str(task.key),
        status="ok" if len(order) else "empty",
        run=job.run_id,
        reason=_remarks(task, known, *missing_chunks(location(job.plate.path), info)),
        nuclei=len(order),
        recorded=round(known.fill.recorded, 6),
        part_bytes=part.nbytes,
        part_crc32=part.crc32,
        input_crc32=known.crc32,
        seconds=_sums([*seconds, clock.seconds]),
        began=task.large.began,
        ended=round(time.time(), 4),
        background=known.backgrounds,
        ground=known.grounds,
        quality={name: None if np.isnan(value) else value for name, value in quality_values(quality).items()},
    )
    write_entry(location(job.out), entry)
    task.scratch.remove()
    return entry


def _nuclei_of(task: BlockTask, box: Box) -> tuple[BlockNuclei, NDArray[np.int64], BlockNuclei]:
    """All nuclei of the field that have a pixel in ``box``, their numbers, and as one more what was left out."""
    ids = task.scratch.read("owners")
    reach = task.large.cut.nucleus_px + SEAM_PX
    parts, numbers_of, runs = [], [], [np.empty((0, 3), np.int64)]
    for i, block in enumerate(task.large.blocks):
        hull = block.core.grown(reach, task.large.shape)
        if not box.overlaps(np.array([[hull.y0, hull.x0, hull.y1, hull.x1]]))[0]:
            continue
        arrays = task.scratch.read(f"nuclei-{i:05d}")
        claims = nuclei_of_block(arrays)
        here = np.flatnonzero((ids[f"ids_{i}"] > 0) & box.overlaps(claims.boxes))
        parts.append(claims.chosen(here))
        numbers_of.append(ids[f"ids_{i}"][here])
        runs.append(arrays["left_out"].astype(np.int64))
    nobodys = np.concatenate(runs)
    left_out = BlockNuclei(nobodys, np.array([0, len(nobodys)]), np.full(1, np.nan))
    return joined(parts), np.concatenate([np.empty(0, np.int64), *numbers_of]), left_out


def _own_rows(
    table: NucleusTable, nuclei: BlockNuclei, ids: NDArray[np.int64], core: Box, kinds: tuple[str, ...]
) -> dict[str, NDArray[Any]]:
    """The rows of the nuclei whose first pixel is in ``core``, with their confidence and, of ``kinds``, their kind."""
    mine = core.holds(*nuclei.first)
    order = np.argsort(ids[mine])
    own, confidence = ids[mine][order], nuclei.confidence[mine][order]
    rows = np.isin(table.columns["Metadata_ObjectNumber"], own)
    columns: dict[str, NDArray[Any]] = {name: values[rows] for name, values in table.columns.items()}
    place = np.searchsorted(own, columns["Metadata_ObjectNumber"])
    columns["Nuclei_Confidence"] = confidence[place].astype(columns["Nuclei_Confidence"].dtype)
    if kinds and nuclei.kinds is not None:
        told = kind_columns(kinds, nuclei.kinds[mine][order][place])
        columns |= {CLASS: told[CLASS], SCORE: told[SCORE].astype(columns[SCORE].dtype)}
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
        told = np.isfinite([cell[channel]["background"] for cell in cells])
        quality[channel] = ChannelQuality(**(values | ({"background": background} if told.any() else {})))
    return quality


def _remarks(task: BlockTask, known: Settled, missing: int, chunks: int) -> str:
    """What is worth saying about a field that was processed."""
    too_large = int(task.scratch.read("owners")["too_large"])
    remarks = [missing_sentence(missing, chunks)] if missing else []
    remarks += blank_remarks(known.fill.blank, task.job.channels)
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
