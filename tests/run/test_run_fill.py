"""Pixels that no camera recorded are in no nucleus, background, ring or count, in fields held whole and in blocks."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
from numpy.typing import NDArray

from hcs.config import Config, parse_config
from hcs.errors import FieldError
from hcs.field.blocks import BlockTask, find_block, settle_owners, settle_statistics, take_statistics
from hcs.field.cells import finish_field, measure_cell
from hcs.field.job import Job
from hcs.field.large import look_at
from hcs.field.unrecorded import find_unrecorded
from hcs.field.whole import process_fields_here
from hcs.field.worker import segmenter_of
from hcs.measure.fill import find_fill
from hcs.pipeline import FieldResult, find_nuclei, measure_found
from hcs.plate.keys import FieldKey, WellId
from hcs.run.prepare import prepare
from hcs.simulate.field import simulate_field
from hcs.simulate.plate import lay_out_plate
from hcs.simulate.settings import SimulationSettings
from hcs.store.plate.reader import read_info
from hcs.store.plate.writer import PlateSpec, create_plate, write_field
from hcs.store.results.ledger import LedgerEntry, ledger_frame
from hcs.store.results.table import part_path

WELL = WellId.parse("A01")
SIDE_PX = 512
SETTINGS = {"labels": "none", "diameter_px": 24, "channels": {"dna": "DNA", "sensor": "CDK2"}}


@pytest.fixture(scope="module")
def image() -> NDArray[Any]:
    planned = lay_out_plate(SimulationSettings(wells=6, size_px=SIDE_PX, density=300.0, seed=8))
    return simulate_field(planned, planned.keys[0]).image


def job_of(folder: Path, images: list[NDArray[Any]], config: Config) -> tuple[Job, tuple[FieldKey, ...]]:
    spec = PlateSpec(name="p", wells=(WELL,), fields_per_well=len(images), channels=("DNA", "CDK2"), pixel_size_um=0.65)
    create_plate(str(folder / "p.zarr"), spec)
    for i, each in enumerate(images):
        write_field(str(folder / "p.zarr"), spec, FieldKey(WELL, i), each)
    prepared = prepare(str(folder / "p.zarr"), folder / "out", config, plate_map_path=None, wells=None, device="cpu")
    return prepared.job, prepared.keys


def whole(job: Job, image: NDArray[Any]) -> FieldResult:
    segmenter = segmenter_of(job.model, "cpu", flips=False)
    fill = find_unrecorded(FieldKey(WELL, 0), image, job.channels, job.config.measure)
    found = find_nuclei(image, segmenter, job.channels, job.config, pixel_size_um=0.65, fill=fill)
    return measure_found(found, job.channels, job.config)


def with_fill(image: NDArray[Any], kind: str) -> tuple[NDArray[Any], NDArray[np.bool_]]:
    """The image with fill of one kind, and where."""
    height, width = image.shape[1:]
    y, x = np.mgrid[:height, :width]
    missing = {
        "corner": (y < 90) & (x < 90),
        "quarter": (y < height // 2) & (x < width // 2),
        "half": x >= width // 2,
        "turned": (y + 0.4 * x < 150) | (y + 0.4 * x > 600),
    }[kind]
    return np.where(missing, 0, image).astype(image.dtype), missing


@pytest.mark.parametrize("kind", ["corner", "quarter", "half", "turned"])
def test_what_was_recorded_is_measured_as_without_the_gap(tmp_path: Path, image: NDArray[Any], kind: str) -> None:
    job, _ = job_of(tmp_path, [image], parse_config(SETTINGS, source="test"))
    plain = whole(job, image)
    patched, missing = with_fill(image, kind)
    found = whole(job, patched)
    assert not found.labels[missing].any()
    for channel, background in plain.nuclei.backgrounds.items():
        assert found.nuclei.backgrounds[channel] == pytest.approx(background, rel=0.03)
    grown = find_fill(patched)
    assert grown is not None
    assert grown.mask is not None
    assert grown.recorded == pytest.approx(1 - missing.mean(), abs=0.002)
    # Nuclei away from the gap are those of the image without it, and nothing is found beside it that was not there.
    untouched = np.unique(plain.labels[missing])
    expected = len(np.setdiff1d(np.unique(plain.labels), np.append(untouched, 0)))
    cut = found.nuclei.columns["Nuclei_Flag_TouchesBorder"]
    assert expected * 0.97 <= len(found.nuclei) <= expected + len(untouched)
    beside = np.unique(found.labels[np.asarray(grown.mask)]).tolist()
    assert beside == [0]
    at_gap = [
        label for label in np.unique(plain.labels[missing]) if label and (plain.labels[~grown.mask] == label).sum() > 30
    ]
    assert cut.sum() >= 0.6 * len(at_gap)
    kept = ~np.isin(plain.nuclei.columns["Metadata_ObjectNumber"], untouched)
    expected_ratio = np.nanmedian(plain.nuclei.columns["Nuclei_Sensor_Ratio"][kept])
    ratio = found.nuclei.columns["Nuclei_Sensor_Ratio"]
    assert np.nanmedian(ratio) == pytest.approx(expected_ratio, abs=0.02)


def test_a_field_in_blocks_has_the_gap_of_the_whole_one(tmp_path: Path, image: NDArray[Any]) -> None:
    mosaic = np.concatenate([image, image[:, :, ::-1]], axis=1)
    mosaic[:, :, 300:360] = 0
    mosaic[:, 400:700, :200] = 0
    config = parse_config(
        SETTINGS | {"tiles": {"max_field_px": 150_000, "block_px": 512, "max_nucleus_px": 64}}, source="test"
    )
    job, (key,) = job_of(tmp_path, [mosaic], config)
    segmenter = segmenter_of(job.model, "cpu", flips=False)
    task = BlockTask(job, key, replace(look_at(read_info(job.plate, key), job, key, segmenter), statistics_unit_px=32))
    known = settle_statistics(task, [take_statistics(task, i) for i in range(len(task.large.windows))])
    blocks = [find_block(task, known, i) for i in range(len(task.large.blocks))]
    owners = settle_owners(task, blocks)
    seconds = [measure_cell(task, known, owners, i) for i in range(len(task.large.cells))]
    entry = finish_field(task, known, seconds)
    found = whole(job, mosaic)
    fill = find_fill(mosaic)
    assert fill is not None
    assert entry.recorded == pytest.approx(fill.recorded, abs=1e-6)
    assert entry.background == pytest.approx(found.nuclei.backgrounds)
    part = pd.read_parquet(part_path(tmp_path / "out", job.plate.name, key))
    assert entry.nuclei == len(found.nuclei) == len(part["Nuclei_AreaShape_Area"])
    for name in ("Nuclei_AreaShape_Area", "Nuclei_DNA_Content", "Nuclei_Flag_TouchesBorder", "Nuclei_Sensor_Ratio"):
        np.testing.assert_array_equal(part[name], found.nuclei.columns[name])


def test_a_field_that_was_not_taken_fails_and_one_in_part_says_its_share(tmp_path: Path, image: NDArray[Any]) -> None:
    half, _ = with_fill(image, "half")
    without_sensor = np.stack([image[0], np.zeros_like(image[1])])
    job, keys = job_of(
        tmp_path, [np.zeros_like(image), half, without_sensor, image], parse_config(SETTINGS, source="test")
    )
    entries = [entry for entry in process_fields_here(job, keys) if isinstance(entry, LedgerEntry)]
    assert [entry.status for entry in entries] == ["failed", "ok", "failed", "ok"]
    assert entries[0].reason.startswith("not recorded: every pixel of channel DNA is 0")
    assert entries[2].reason.startswith("not recorded: every pixel of channel CDK2 is 0")
    shares = ledger_frame(entries)["Fraction_Recorded"].to_numpy()
    assert np.isnan(shares[[0, 2]]).all()
    assert shares[1] == pytest.approx(0.5, abs=0.001)
    assert shares[3] == 1.0


def test_a_field_of_which_hardly_anything_was_recorded_fails(tmp_path: Path, image: NDArray[Any]) -> None:
    job, (key,) = job_of(tmp_path, [image], parse_config(SETTINGS, source="test"))
    patched = np.zeros_like(image)
    patched[:, 3:11, 3:60] = image[:, 3:11, 3:60]
    with pytest.raises(FieldError, match=r"not recorded: .* of it is image"):
        find_unrecorded(key, patched, job.channels, job.config.measure)
