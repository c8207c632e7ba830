"""`hcs audit-seams`: places of a finished run processed again, cut elsewhere, and their nuclei compared."""

from __future__ import annotations

import tempfile
from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import pandas as pd

from hcs.clock import Stopwatch
from hcs.errors import ConfigError, FieldError
from hcs.field.blocks import BlockTask, Settled, labels_of_block, settle_statistics, take_statistics
from hcs.field.job import Job
from hcs.field.large import LargeField, is_large, look_at
from hcs.field.unrecorded import find_unrecorded
from hcs.field.worker import cell_network_of, lights_of, segmenter_of
from hcs.measure.measure import Window, measure_nuclei
from hcs.pipeline import find_nuclei, measure_found
from hcs.plate.channels import Channels
from hcs.plate.keys import FieldKey
from hcs.run.diameter import read_diameter
from hcs.segment.segmenter import Segmenter
from hcs.store.models import find_model, with_arithmetic
from hcs.store.plate.field import FieldInfo
from hcs.store.plate.reader import open_plate, read_field, read_info
from hcs.store.results.folder import Results
from hcs.store.results.table import write_frame
from hcs.tiles.blocks import GROWTH_PX, SEAM_PX, Block, Box
from hcs.tiles.grid import tiles
from hcs.tiles.seams import BOX, COLUMNS, CONTENT, Seams, compare, crossings, seams_of, summarise

_REACH_PX = 512
_SHIFTED = 0.7
"""Size of the tiles, relative to the run's, at which fields in one piece are processed again."""


@dataclass(frozen=True, slots=True)
class Audit:
    """What was found: ``table`` as `hcs.tiles.seams.summarise` gives it, of ``places`` looked at in ``fields``."""

    table: pd.DataFrame
    places: int
    fields: tuple[str, ...]


def audit_seams(results: Results, *, sample: int, device: str = "cpu", say: Callable[[str], None] = print) -> Audit:
    """Process up to ``sample`` places of a finished run again with the seams elsewhere, and compare the nuclei.

    In fields that were cut in blocks, a place is 1,024 px around a point where blocks meet, processed as one block; a
    field that was held in memory is a place itself, its tiles 0.7 times as large. The table goes to ``seams.parquet``
    of the results. Of a plate with time, the frame that its tables of wells are of is looked at. ConfigError where
    plate or model are not those of the run, or no field of it was cut at all.
    """
    results = results.at_timepoint(results.record.config.readout.timepoint)
    job = _job(results, device)
    segmenter = segmenter_of(job.model, job.device, flips=job.config.flips)
    done = [FieldKey.parse(entry.field) for entry in results.entries() if entry.done]
    chosen = [done[i] for i in np.unique(np.linspace(0, len(done) - 1, min(sample, len(done))).round().astype(int))]
    found: list[pd.DataFrame] = []
    looked_at: list[str] = []
    for key in chosen:
        info = read_info(job.plate, key)
        nuclei = results.nuclei(wells=[str(key.well)], columns=["Metadata_Site", *_columns(job.channels)])
        own = nuclei[nuclei["Metadata_Site"] == key.field].reset_index(drop=True)
        if is_large(info, job.config):
            count = max(sample // len(chosen), 1)
            places = _in_blocks(
                job.for_field(key), key, look_at(info, job, key, segmenter, cell_network_of(job)), own, count
            )
        else:
            places = _in_one_piece(job, key, info, own, segmenter)
        if places:
            looked_at.append(str(key))
            found += places
            say(f"{key}: {len(places)} place(s), {sum(int(pairs['One'].sum()) for pairs in places)} nuclei")
    if not found:
        raise ConfigError(
            f"no field of {results.folder} was cut: each was one tile (tiles.size_px = {job.config.tiles.size_px}), so "
            "there are no seams to look at"
        )
    table = summarise(pd.concat(found, ignore_index=True))
    write_frame(results.folder / "seams.parquet", table)
    return Audit(table, len(found), tuple(looked_at))


def _job(results: Results, device: str) -> Job:
    """The run's job on the plate, as far as it can be known to be the same."""
    record = results.record
    config, names = record.config, record.channels.names
    plate = open_plate(results.plate_path)
    model = find_model(config.model, device, by_sensor=record.channels.by_sensor)
    if record.nucleus_diameter is None:
        raise ConfigError(f"{results.folder} was stopped before its first field; run the plate first")
    kept = record.model.get("arithmetic", model.arithmetic)
    if device == "cpu" and kept != "float16":
        model = with_arithmetic(model, kept)
    if model.sha256 != record.model["sha256"]:
        raise ConfigError(f"model {config.model} is not that of {results.folder} any more; run the plate again")
    if plate.name != record.plate:
        raise ConfigError(
            f"{results.folder} was made from plate {record.plate!r}, {results.plate_path} is {plate.name!r}; give that "
            "plate with --plate"
        )
    channels = record.channels
    return Job(
        plate=plate,
        out=str(results.folder),
        config=config,
        channels=Channels(
            names=names,
            dna=None if channels.dna is None else names.index(channels.dna),
            sensor=None if channels.sensor is None else names.index(channels.sensor),
            nuclei=names.index(channels.nuclei),
        ),
        model=model,
        device=device,
        labels=None,
        run_id=record.run_id,
        scale=read_diameter(record.nucleus_diameter).scale,
        backgrounds=_backgrounds(record.background),
        illumination=None if record.illumination is None else str(record.illumination["sha256"]),
    )


def _in_blocks(job: Job, key: FieldKey, large: LargeField, own: pd.DataFrame, count: int) -> list[pd.DataFrame]:
    """Up to ``count`` places of a field in blocks; statistics of the whole field are taken anew."""
    seams = seams_of(large.cut, large.shape)
    pairs = []
    with tempfile.TemporaryDirectory(prefix="hcs-audit-") as scratch:
        task = BlockTask(replace(job, out=scratch), key, large)
        places = crossings(large.cut, large.shape, count)
        if not places:
            return []
        known = settle_statistics(task, [take_statistics(task, i) for i in range(len(large.windows))])
        for y, x in places:
            core = Box(y, x, y, x).grown(_REACH_PX, large.shape)
            pairs.append(compare(own, _again(task, known, core), core, seams))
    return pairs


def _again(task: BlockTask, known: Settled, core: Box) -> pd.DataFrame:
    """The nuclei in and around ``core``, found and measured as in one block."""
    job, cut, shape = task.job, task.large.cut, task.large.shape
    seen = core.grown(cut.nucleus_px + GROWTH_PX + SEAM_PX + cut.around_px, shape)
    block = Block(core, seen, seen.grown(cut.context_px, shape, unit_px=cut.unit_px))
    labels, _ = labels_of_block(task, known, block, Stopwatch())
    table = measure_nuclei(
        labels,
        task.read(seen),
        channels=job.channels.names,
        dna=job.channels.dna_name,
        sensor=job.channels.sensor_name,
        settings=job.config.measure.for_pixels(task.large.pixel_size_um),
        pixel_size_um=task.large.pixel_size_um,
        window=Window(origin=(seen.y0, seen.x0), field=shape, backgrounds=known.backgrounds, grounds=known.grounds),
        fill=task.fill(known, seen),
    ).to_frame()[_columns(job.channels)]
    y0, x0, y1, x1 = table[BOX].to_numpy().T
    fits: pd.DataFrame = table[(y1 - y0 <= cut.nucleus_px) & (x1 - x0 <= cut.nucleus_px)]
    return fits.reset_index(drop=True)


def _in_one_piece(
    job: Job, key: FieldKey, info: FieldInfo, own: pd.DataFrame, segmenter: Segmenter
) -> list[pd.DataFrame]:
    """A field that was held in memory, with smaller tiles; none where it was one tile."""
    shape = info.shape[1], info.shape[2]
    seams = tile_seams(shape, job, segmenter)
    if not seams.y and not seams.x:
        return []
    image = read_field(job.plate, key, channels=tuple(range(info.shape[0])), z=job.config.z)
    fill = find_unrecorded(key, image, job.channels, job.config.measure)
    if info.channels != job.channels.names:
        raise FieldError(key, f"its channels {info.channels} are not those of the run, {job.channels.names}")
    size_px = max(round(job.config.tiles.size_px * _SHIFTED), 64)
    config = job.config.model_copy(update={"tiles": replace(job.config.tiles, size_px=size_px)})
    found = find_nuclei(
        image,
        segmenter,
        job.channels,
        config,
        scale=job.scale,
        pixel_size_um=info.pixel_size_um,
        lights=None if job.illumination is None else lights_of(job.out, job.illumination, job.channels.names),
        fill=fill,
        cells=cell_network_of(job),
    )
    again = measure_found(found, job.channels, config, job.plate_backgrounds)
    return [compare(own, again.nuclei.to_frame()[_columns(job.channels)], Box(0, 0, *shape), seams)]


def tile_seams(shape: tuple[int, int], job: Job, segmenter: Segmenter) -> Seams:
    """Where the network's tiles of a field of ``shape`` (Y, X) meet, in pixels of the field."""
    scale, spec = float(job.scale), segmenter.networks[0].spec
    stride = spec.stride_px
    seen = [-(-int(np.ceil(length * scale)) // stride) * stride for length in shape]
    cut = list(tiles((seen[0], seen[1]), size_px=job.config.tiles.size_px, halo_px=0, stride_px=stride))
    rows, columns = ({tile.core[axis].start / scale for tile in cut} for axis in (0, 1))
    return Seams(tuple(sorted(rows - {0.0})), tuple(sorted(columns - {0.0})))


def _columns(channels: Channels) -> list[str]:
    """What is compared: all of `COLUMNS`, without DNA content where no DNA channel was measured."""
    return [name for name in COLUMNS if name != CONTENT or channels.dna is not None]


def _backgrounds(known: Mapping[str, Any] | None) -> tuple[tuple[str, float], ...] | None:
    """The plate's backgrounds, as its run had them."""
    return None if known is None or known["source"] == "field" else tuple(sorted(known["levels"].items()))
