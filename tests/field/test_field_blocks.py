"""A field in blocks gives what it gives in one piece; in little memory, and without doing anything twice."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from dataclasses import dataclass, replace
from fractions import Fraction
from pathlib import Path
from typing import Any

import dask
import numpy as np
import pandas as pd
import pytest
from helpers.run import call_hcs, local_client, table_bytes
from numpy.typing import NDArray

import hcs.field.blocks
import hcs.field.cells
from hcs.config import Config
from hcs.engine.cluster import Workers
from hcs.engine.flow import process_fields
from hcs.errors import FieldError
from hcs.field.blocks import BlockTask, find_block, settle_owners, settle_statistics, take_statistics, territory_of_cell
from hcs.field.cells import finish_field, measure_cell
from hcs.field.large import LargeField, look_at
from hcs.field.memory import cells_bytes, field_bytes, load_of
from hcs.field.worker import cell_network_of, segmenter_of
from hcs.measure.columns import column_dictionary
from hcs.measure.settings import CellSettings
from hcs.pipeline import find_nuclei, measure_found
from hcs.plate.keys import FieldKey, WellId
from hcs.run.plates import RunSummary
from hcs.run.prepare import prepare
from hcs.run.run import run_plate
from hcs.segment.preprocess import Preprocess
from hcs.simulate.field import simulate_field
from hcs.simulate.plate import lay_out_plate
from hcs.simulate.settings import SimulationSettings
from hcs.store.plate.labels import prepare_label_plate, read_labels
from hcs.store.plate.reader import read_field, read_info
from hcs.store.plate.writer import PlateSpec, create_plate, write_field
from hcs.store.results.folder import open_results
from hcs.store.results.ledger import LedgerEntry
from hcs.tiles.blocks import Box
from hcs.tiles.seams import BOX

WELL = WellId.parse("A01")
KEY = FieldKey(WELL, 0)
SIDE_PX = 704
STATUS = Path("/proc/self/status")
SETTINGS = """
labels: out
diameter_px: 24
channels: {dna: DNA, sensor: CDK2, cells: CDK2}
tiles: {max_field_px: 150000, block_px: 512}
"""


@dataclass(frozen=True)
class Stitched:
    """A plate of one field, how it is to be processed, and what was found in one piece."""

    plate: Path
    settings: Path
    config: Config
    image: NDArray[Any]


@dataclass(frozen=True)
class InBlocks:
    """The field processed in blocks by two worker processes."""

    out: Path
    summary: RunSummary
    peak_bytes: int


def write_plate(path: Path, image: NDArray[Any]) -> None:
    spec = PlateSpec(name="stitched", wells=(WELL,), fields_per_well=1, channels=("DNA", "CDK2"), pixel_size_um=0.65)
    create_plate(str(path), spec)
    write_field(str(path), spec, KEY, image)


@pytest.fixture(scope="module")
def stitched(tmp_path_factory: pytest.TempPathFactory) -> Stitched:
    """Three simulated fields below each other, one array of 2112 × 704 px: ten blocks, two cells; nuclei of one field
    are cut by the next."""
    folder = tmp_path_factory.mktemp("stitched")
    planned = lay_out_plate(SimulationSettings(wells=6, size_px=SIDE_PX, density=300.0, seed=8))
    image = np.concatenate([simulate_field(planned, key).image for key in planned.keys[:3]], axis=1)
    write_plate(folder / "stitched.zarr", image)
    (folder / "blocks.yaml").write_text(SETTINGS)
    from hcs.store.config import read_config

    return Stitched(folder / "stitched.zarr", folder / "blocks.yaml", read_config(folder / "blocks.yaml"), image)


@pytest.fixture(scope="module")
def in_blocks(stitched: Stitched, tmp_path_factory: pytest.TempPathFactory) -> InBlocks:
    out = tmp_path_factory.mktemp("in-blocks") / "results"
    with local_client(n_workers=2, processes=True, memory_limit=0) as client:
        summary = run_plate(stitched.plate, out, stitched.config, workers=Workers(scheduler=client.scheduler.address))
        status = client.run(lambda: STATUS.read_text() if STATUS.exists() else "VmHWM: 0 kB")
    return InBlocks(out, summary, max(peak_bytes(text) for text in status.values()))


def peak_bytes(status: str) -> int:
    """Most memory that a process had itself; what getrusage tells counts that of the process which started it."""
    return next(1024 * int(line.split()[1]) for line in status.splitlines() if line.startswith("VmHWM"))


def task_of(plate: Path, out: Path, config: Config) -> BlockTask:
    prepared = prepare(str(plate), out, config, plate_map_path=None, wells=None, device="cpu")
    job = prepared.job
    segmenter = segmenter_of(job.model, "cpu", flips=False)
    return BlockTask(job, KEY, look_at(read_info(job.plate, KEY), job, KEY, segmenter))


def test_the_field_is_cut_and_everything_about_it_is_there(stitched: Stitched, in_blocks: InBlocks) -> None:
    (entry,) = in_blocks.summary.entries
    large = task_of(stitched.plate, in_blocks.out.parent / "other", stitched.config).large
    assert (len(large.blocks), len(large.cells)) == (10, 2)
    assert (entry.status, entry.reason) == ("ok", "")
    assert entry.nuclei == len(open_results(in_blocks.out).nuclei()) > 200
    assert {"statistics", "infer", "instances", "measure", "write labels"} <= set(entry.seconds)
    assert entry.ended > entry.began > 0
    assert not (in_blocks.out / "blocks").exists()
    wells = pd.read_parquet(in_blocks.out / "wells.parquet")
    assert wells["Status"].tolist() == ["ok"]
    assert (in_blocks.out / "report.html").stat().st_size > 10_000


def test_nuclei_are_those_of_the_field_in_one_piece(stitched: Stitched, in_blocks: InBlocks) -> None:
    config = stitched.config
    job = prepare(
        str(stitched.plate), in_blocks.out.parent / "o", config, plate_map_path=None, wells=None, device="cpu"
    ).job
    segmenter = segmenter_of(job.model, "cpu", flips=False)
    found = find_nuclei(stitched.image, segmenter, job.channels, config, pixel_size_um=0.65)
    whole = measure_found(found, job.channels, config)
    labels = read_labels(str(in_blocks.out / "labels.zarr"), KEY)
    np.testing.assert_array_equal(labels, whole.labels)
    assert whole.cells is not None
    np.testing.assert_array_equal(read_labels(str(in_blocks.out / "labels.zarr"), KEY, "cells"), whole.cells)
    table, expected = open_results(in_blocks.out).nuclei(), whole.nuclei.to_frame()
    assert len(table) == len(expected)
    for column in column_dictionary(("DNA", "CDK2"), "DNA", "CDK2", "CDK2"):
        close = {"rtol": 1e-4, "atol": 1e-6} if column.dtype.startswith("float") else {"rtol": 0}
        np.testing.assert_allclose(table[column.name], expected[column.name], err_msg=column.name, **close)
    (entry,) = in_blocks.summary.entries
    assert entry.background == pytest.approx(whole.nuclei.backgrounds)


@pytest.mark.skipif(not STATUS.exists(), reason="needs Linux to tell the memory of workers")
def test_workers_stay_within_the_projected_memory(stitched: Stitched, in_blocks: InBlocks) -> None:
    projected = task_of(stitched.plate, in_blocks.out.parent / "another", stitched.config).large.projected_bytes
    assert projected / 3 < in_blocks.peak_bytes < projected


def test_an_audit_finds_nothing_that_shows_where_it_was_cut(stitched: Stitched, in_blocks: InBlocks) -> None:
    shown = call_hcs("audit-seams", in_blocks.out, "--sample", 1)
    assert shown.code == 0, shown.err
    assert "at seams" in shown.out
    table = pd.read_parquet(in_blocks.out / "seams.parquet").set_index("Where")
    assert table.loc["seam", "Count_Nuclei"] > 20
    assert table.loc["interior", "Count_Nuclei"] > 20
    assert (table["Fraction_Different"] <= 0.01).all()
    assert (table["Median_DNA_Percent"] < 0.01).all()


@pytest.mark.skipif(sys.platform == "win32", reason="kills a group of processes")
def test_killed_in_the_middle_it_goes_on_with_the_blocks_that_are_left(
    stitched: Stitched, in_blocks: InBlocks, tmp_path: Path
) -> None:
    out = tmp_path / "results"
    command = ["run", stitched.plate, "--out", out, "--config", stitched.settings, "--workers", 1]
    process = subprocess.Popen(
        [sys.executable, "-m", "hcs", *map(str, command)],
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
        start_new_session=True,
    )
    try:
        deadline = time.monotonic() + 280
        while not (out / "blocks" / "A01_0000" / "nuclei-00001.npz").exists():
            assert process.poll() is None
            assert time.monotonic() < deadline
            time.sleep(0.02)
    finally:
        os.killpg(process.pid, signal.SIGKILL)
        process.wait()
    assert not (out / "ledger").exists()
    shown = call_hcs(*command)
    assert shown.code == 0, shown.err
    entry = json.loads((out / "ledger" / "A01_0000.json").read_text())
    assert "statistics" not in entry["seconds"]  # all that was done before the kill
    assert table_bytes(out) == table_bytes(in_blocks.out)
    labels = read_labels(str(out / "labels.zarr"), KEY)
    np.testing.assert_array_equal(labels, read_labels(str(in_blocks.out / "labels.zarr"), KEY))


def by_hand(task: BlockTask) -> LedgerEntry:
    """All tasks of a field, one after the other in this process."""
    large = task.large
    windows = [take_statistics(task, i) for i in range(len(large.windows))]
    known = settle_statistics(task, windows)
    blocks = [find_block(task, known, i) for i in range(len(large.blocks))]
    n = settle_owners(task, blocks)
    cells = [measure_cell(task, known, n, i) for i in range(len(large.cells))]
    return finish_field(task, known, [*windows, *blocks, *cells])


@pytest.fixture
def small(stitched: Stitched, tmp_path: Path) -> Iterator[BlockTask]:
    """A small field in four blocks, ready to be processed."""
    write_plate(tmp_path / "small.zarr", np.ascontiguousarray(stitched.image[:, 600:1000, :400]))
    config = stitched.config.model_copy(
        update={"tiles": replace(stitched.config.tiles, max_field_px=90_000, block_px=256)}
    )
    task = task_of(tmp_path / "small.zarr", tmp_path / "results", config)
    prepare_label_plate(str(tmp_path / "results" / "labels.zarr"), task.job.plate)
    assert len(task.large.blocks) == 4
    return task


def test_stopped_when_labels_are_out_already_they_stay_what_they_are(
    small: BlockTask, monkeypatch: pytest.MonkeyPatch
) -> None:
    def stop(*_: object, **__: object) -> None:
        raise KeyboardInterrupt

    with monkeypatch.context() as patch:
        patch.setattr(hcs.field.cells, "write_part", stop)
        with pytest.raises(KeyboardInterrupt):
            by_hand(small)
    store = f"{small.job.out}/labels.zarr"
    labels = read_labels(store, KEY)
    monkeypatch.setattr(hcs.field.blocks, "labels_of_block", stop)  # no block is done again
    entry = by_hand(small)
    assert entry.nuclei == labels.max() > 10
    np.testing.assert_array_equal(read_labels(store, KEY), labels)


def test_objects_larger_than_the_limit_are_said_to_be_left_out(small: BlockTask) -> None:
    cut = replace(small.large.cut, nucleus_px=24)
    entry = by_hand(replace(small, large=replace(small.large, cut=cut)))
    assert entry.nuclei > 0
    assert "larger than tiles.max_nucleus_px" in entry.reason
    box = pd.read_parquet(Path(small.job.out) / "nuclei").filter(like="BoundingBox")
    for axis in "YX":
        side = box[f"Nuclei_AreaShape_BoundingBoxMaximum_{axis}"] - box[f"Nuclei_AreaShape_BoundingBoxMinimum_{axis}"]
        assert side.max() <= 24


def test_objects_that_are_left_out_are_no_background_of_their_neighbours(small: BlockTask) -> None:
    largest_px = 28
    by_hand(replace(small, large=replace(small.large, cut=replace(small.large.cut, nucleus_px=largest_px))))
    job = small.job
    segmenter = segmenter_of(job.model, "cpu", flips=False)
    image = read_field(job.plate, KEY, channels=(0, 1))
    at_once = find_nuclei(image, segmenter, job.channels, job.config, pixel_size_um=small.large.pixel_size_um)
    whole = measure_found(at_once, job.channels, job.config)
    expected = whole.nuclei.to_frame()
    y0, x0, y1, x1 = (expected[name] for name in BOX)
    expected = expected[(y1 - y0 <= largest_px) & (x1 - x0 <= largest_px)]
    found = pd.read_parquet(Path(job.out) / "nuclei")
    assert 5 < len(found) == len(expected) < len(whole.nuclei.to_frame()) - 5
    for channel in ("DNA", "CDK2"):  # but for a few pixels equally near to both, which in one piece go by number
        name = f"Nuclei_Intensity_LocalBackground_{channel}"
        np.testing.assert_allclose(found[name], expected[name], rtol=1e-2, err_msg=name)


@pytest.mark.parametrize("scale", [Fraction(1, 2), Fraction(2, 3)])
def test_a_network_of_whole_cells_sees_of_a_part_what_it_sees_of_the_field(small: BlockTask, scale: Fraction) -> None:
    cells = CellSettings(model="fast")
    job = replace(small.job, cells_model=small.job.model, cells_scale=scale)
    job = replace(job, config=job.config.model_copy(update={"cells": cells}))
    network = cell_network_of(job)
    assert network is not None
    segmenter = segmenter_of(job.model, "cpu", flips=False)
    info = read_info(job.plate, KEY)
    task = replace(small, job=job, large=look_at(info, job, KEY, segmenter, network))
    assert task.large.projected_bytes >= small.large.projected_bytes
    load = load_of(job, info, [each.spec for each in segmenter.networks])
    assert field_bytes((2000, 2000), load) > field_bytes((2000, 2000), replace(load, cells_scale=None))
    assert cells_bytes([(2500, 2500)], load) > cells_bytes([(2000, 2000)], load)
    known = settle_statistics(task, [take_statistics(task, i) for i in range(len(task.large.windows))])
    whole = network.territory(read_field(job.plate, KEY, channels=(1,))[0], job.config.tiles)
    assert 0.2 < (whole >= 0).mean() < 0.8
    for box in (Box(0, 0, 190, 210), Box(150, 170, 400, 333)):
        np.testing.assert_array_equal(territory_of_cell(task, known, box), whole[box.slices])


def test_workers_with_less_memory_than_projected_are_refused(small: BlockTask) -> None:
    never = {f"distributed.worker.memory.{step}": False for step in ("target", "spill", "pause")}
    with dask.config.set(never), local_client(n_workers=1, processes=False, memory_limit="300 MB") as client:
        (outcome,) = process_fields(client, [(small.job, KEY)])
    assert outcome.entry.status == "failed"
    assert outcome.entry.reason == (
        f"a worker needs {small.large.projected_bytes / 1e9:.1f} GB for its blocks and the smallest of 1 has 0.3 GB; "
        "use fewer workers, or a smaller tiles.block_px or tiles.size_px"
    )
    assert not (Path(small.job.out) / "blocks").exists()


def test_a_model_that_must_see_the_whole_field_is_refused(small: BlockTask) -> None:
    segmenter = segmenter_of(small.job.model, "cpu", flips=False)
    recipe = replace(segmenter.recipe, preprocess=Preprocess(normalise="min-max"))
    with pytest.raises(FieldError, match=r"400 × 400 px are more than tiles\.max_field_px.*depends on all of it"):
        look_at(read_info(small.job.plate, KEY), small.job, KEY, replace(segmenter, recipe=recipe))
    with pytest.raises(FieldError, match="correct images before stitching"):
        look_at(read_info(small.job.plate, KEY), replace(small.job, illumination="0"), KEY, segmenter)


def test_memory_grows_with_the_block_and_not_with_the_field(small: BlockTask) -> None:
    from hcs.field.memory import Load, block_bytes

    def projected(side_px: int, block_px: int) -> int:
        cut = replace(small.large.cut, block_px=block_px)
        scale = small.job.scale
        load = Load(channels=2, itemsize=2, classes=3, width=16, scale=scale, tile_px=1024, halo_px=107)
        return block_bytes(cut, (side_px, side_px), load)

    assert projected(8000, 2048) <= projected(12_000, 2048) <= 1.02 * projected(8000, 2048)
    assert projected(8000, 4096) > projected(8000, 2048) + 400_000_000


def test_a_large_field_is_small_to_send(small: BlockTask) -> None:
    import pickle

    assert isinstance(small.large, LargeField)
    assert len(pickle.dumps(small)) < 10_000
