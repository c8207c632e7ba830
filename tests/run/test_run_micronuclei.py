"""Micronuclei of a plate: labels that the table explains, made again the same, and labels of others."""

from __future__ import annotations

import shutil
from pathlib import Path

import numpy as np
import pytest
import zarr
from helpers.run import table_bytes

from hcs.commands.simulate import write_simulation
from hcs.config import Config, parse_config
from hcs.errors import ConfigError, ResultsError
from hcs.field.whole import process_fields_here
from hcs.run.finish import finish
from hcs.run.prepare import Prepared, prepare
from hcs.run.remeasure import find_edited
from hcs.simulate.settings import SimulationSettings
from hcs.store.plate.labels import read_labels, write_labels
from hcs.store.results.folder import open_results
from hcs.store.results.verify import verify

COUNT, AREA, FIRST = "Nuclei_Micronuclei_Count", "Nuclei_Micronuclei_Area", "Metadata_FirstMicronucleus"


@pytest.fixture(scope="module")
def simulated(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A plate in whose first well every nucleus has a bright dot at its side."""
    plate = tmp_path_factory.mktemp("micro") / "p.zarr"
    write_simulation(plate, SimulationSettings(wells=2, size_px=256, seed=4, debris=0.0))
    pixels = zarr.open_array(plate / "A/01/0/0", mode="r+")
    image = np.array(pixels)
    dna, truth = image.reshape(-1, 256, 256)[0], np.array(zarr.open_array(plate / "A/01/0/labels/truth/0")).squeeze()
    bright = np.percentile(dna[truth > 0], 75)
    for i in np.unique(truth[truth > 0]):
        y, x = np.argwhere(truth == i)[-1] + (6, 0)
        if 4 < y < 251 and 4 < x < 251 and not truth[y - 3 : y + 4, x - 3 : x + 4].any():
            dna[y - 1 : y + 2, x - 1 : x + 2] = bright
    pixels[:] = image
    return plate


@pytest.fixture
def plate(simulated: Path, tmp_path: Path) -> Path:
    shutil.copytree(simulated, tmp_path / "p.zarr")
    return tmp_path / "p.zarr"


def prepared(plate: Path, out: Path, **settings: object) -> Prepared:
    config = parse_config({"diameter_px": 24.0, "micronuclei": True} | settings, source="test")
    return prepare(plate, out, config, plate_map_path=None, wells=None, device="cpu")


def process(run: Prepared) -> None:
    run.record.write(run.out)
    assert run.job.labels is not None
    run.job.labels.prepare(run.job.plate)
    entries = process_fields_here(run.job, run.pending)
    assert all(entry.status == "ok" for entry in entries), entries


def test_labels_are_there_once_and_the_table_says_whose_they_are(plate: Path, tmp_path: Path) -> None:
    run = prepared(plate, tmp_path / "out")
    assert any("nuclei and micronuclei, into" in line for line in run.lines())
    process(run)
    finish(run.out)
    results = open_results(run.out)
    nuclei = results.nuclei()
    assert nuclei.loc[nuclei["Metadata_Well"] == "A01", COUNT].sum() > 5
    for key in run.keys:
        labels = results.micronuclei(str(key.well))
        rows = nuclei[nuclei["Metadata_Well"] == str(key.well)]
        owned = [
            number
            for first, count in zip(rows[FIRST], rows[COUNT], strict=True)
            for number in range(first, first + count)
        ]
        assert sorted(owned) == list(range(1, labels.max() + 1))
        areas = np.bincount(labels.ravel(), minlength=len(owned) + 1)
        for first, count, area in rows[[FIRST, COUNT, AREA]].itertuples(index=False):
            assert area == areas[first : first + count].sum()
    assert not verify(results).faults
    wells = results.wells().set_index("Metadata_Well")
    assert wells.loc["A01", "Fraction_Micronucleated"] > 0.2 > wells.loc["A02", "Fraction_Micronucleated"]
    assert not [name for name in wells if "FirstMicronucleus" in str(name)]
    before = table_bytes(run.out)
    assert prepared(plate, run.out).pending == ()
    (run.out / "ledger" / f"{run.keys[0].file_stem}.json").unlink()
    process(prepared(plate, run.out))
    assert table_bytes(run.out) == before
    assert not find_edited(results).units


def test_micronuclei_of_others_are_left_as_they_are(plate: Path, tmp_path: Path) -> None:
    theirs = np.ones((256, 256), np.uint32)
    run = prepared(plate, tmp_path / "first")
    write_labels(str(plate), run.keys[0], theirs, ngff="0.5", pixel_size_um=0.65, name="micronuclei")
    with pytest.raises(ResultsError, match="labels/micronuclei of 1 field"):
        prepared(plate, tmp_path / "first")
    process(prepared(plate, tmp_path / "second", micronuclei_labels_name="micro"))
    np.testing.assert_array_equal(read_labels(str(plate), run.keys[0], "micronuclei"), theirs)
    assert read_labels(str(plate), run.keys[0], "micro").max() > 5


def test_nuclei_of_a_run_without_micronuclei_may_be_kept(plate: Path, tmp_path: Path) -> None:
    without = prepared(plate, tmp_path / "without", micronuclei=False)
    process(without)
    with pytest.raises(ResultsError, match="no labels of micronuclei"):
        open_results(tmp_path / "without").micronuclei("A01")
    assert not (plate / "A/01/0/labels/micronuclei").exists()
    process(prepared(plate, tmp_path / "with"))
    assert open_results(tmp_path / "with").micronuclei("A01").max() > 5


def test_two_labels_of_one_name_are_refused(plate: Path, tmp_path: Path) -> None:
    assert Config().micronuclei_labels_name == "micronuclei"
    with pytest.raises(ConfigError, match="micronuclei_labels_name = nuclei"):
        prepared(plate, tmp_path / "o", micronuclei_labels_name="nuclei")
    with pytest.raises(ConfigError, match="micronuclei_labels_name"):
        parse_config({"micronuclei_labels_name": "../x"}, source="settings")
