"""Micronuclei of a plate: labels that the table explains, made again the same, and labels of others."""

from __future__ import annotations

import shutil
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
import zarr
from helpers.run import process_here, table_bytes
from numpy.typing import NDArray

from hcs.commands.simulate import write_simulation
from hcs.config import Config, parse_config
from hcs.engine.cluster import Workers
from hcs.errors import ConfigError, ResultsError
from hcs.field.link import link_field
from hcs.run.finish import finish
from hcs.run.prepare import Prepared, prepare
from hcs.run.remeasure import find_edited, measure_edited
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
    draw_dots(plate)
    return plate


def draw_dots(plate: Path) -> None:
    """Draw a bright dot below every nucleus of the first well that has room for one, in each frame."""
    pixels = zarr.open_array(plate / "A/01/0/0", mode="r+")
    image = np.array(pixels)
    labels = np.array(zarr.open_array(plate / "A/01/0/labels/truth/0"))
    side = image.shape[-1]
    frames = image.reshape(-1, 2, side, side)
    for (dna, _), truth in zip(frames, labels.reshape(-1, side, side), strict=True):
        bright = np.percentile(dna[truth > 0], 75)
        for i in np.unique(truth[truth > 0]):
            y, x = np.argwhere(truth == i)[-1] + (6, 0)
            if 4 < y < side - 5 and 4 < x < side - 5 and not truth[y - 3 : y + 4, x - 3 : x + 4].any():
                dna[y - 1 : y + 2, x - 1 : x + 2] = bright
    pixels[:] = image


def assert_explained(labels: NDArray[np.uint32], rows: pd.DataFrame) -> None:
    """Every micronucleus of a field has one nucleus in its rows of the table, and its pixels."""
    areas = np.bincount(labels.ravel())
    owned: list[int] = []
    for first, count, area in rows[[FIRST, COUNT, AREA]].itertuples(index=False):
        owned += range(first, first + count)
        assert area == areas[first : first + count].sum() * (count > 0)
    assert sorted(owned) == list(range(1, int(labels.max()) + 1))


@pytest.fixture
def plate(simulated: Path, tmp_path: Path) -> Path:
    shutil.copytree(simulated, tmp_path / "p.zarr")
    return tmp_path / "p.zarr"


def prepared(plate: Path, out: Path, **settings: object) -> Prepared:
    config = parse_config({"diameter_px": 24.0, "micronuclei": True} | settings, source="test")
    return prepare(plate, out, config, plate_map_path=None, wells=None, device="cpu")


def test_labels_are_there_once_and_the_table_says_whose_they_are(plate: Path, tmp_path: Path) -> None:
    run = prepared(plate, tmp_path / "out")
    assert any("nuclei and micronuclei, into" in line for line in run.lines())
    process_here(run)
    finish(run.out)
    results = open_results(run.out)
    nuclei = results.nuclei()
    assert nuclei.loc[nuclei["Metadata_Well"] == "A01", COUNT].sum() > 5
    for key in run.keys:
        labels = results.micronuclei(str(key.well))
        assert_explained(labels, nuclei[nuclei["Metadata_Well"] == str(key.well)])
    assert not verify(results).faults
    wells = results.wells().set_index("Metadata_Well")
    assert wells.loc["A01", "Fraction_Micronucleated"] > 0.2 > wells.loc["A02", "Fraction_Micronucleated"]
    assert not [name for name in wells if "FirstMicronucleus" in str(name)]
    before = table_bytes(run.out)
    assert prepared(plate, run.out).pending == ()
    (run.out / "ledger" / f"{run.keys[0].file_stem}.json").unlink()
    process_here(prepared(plate, run.out))
    assert table_bytes(run.out) == before
    assert not find_edited(results).units


def test_micronuclei_are_given_anew_to_nuclei_that_were_edited(plate: Path, tmp_path: Path) -> None:
    run = prepared(plate, tmp_path / "out", labels="out")
    process_here(run)
    rows = open_results(run.out).nuclei(wells="A01")
    most = int(rows.loc[rows[COUNT].idxmax(), "Metadata_ObjectNumber"])
    array = zarr.open_array(Path(str(run.out)) / "labels.zarr/A/01/0/labels/nuclei/0", mode="r+")
    labels = np.asarray(array[...])
    array[...] = np.where(labels == most, 0, labels)
    measure_edited(find_edited(open_results(run.out)), Workers())
    results = open_results(run.out)
    edited = results.nuclei(wells="A01")
    assert most not in edited["Metadata_ObjectNumber"].tolist()
    assert edited[COUNT].sum() > 5
    assert_explained(results.micronuclei("A01"), edited)


def test_frames_of_a_movie_have_micronuclei(tmp_path: Path) -> None:
    plate = tmp_path / "m.zarr"
    write_simulation(plate, SimulationSettings(wells=1, size_px=192, seed=4, frames=2, debris=0.0))
    draw_dots(plate)
    run = prepared(plate, tmp_path / "out")
    process_here(run)
    entry = link_field(run.job, run.keys[0].of_field, 2)
    assert entry is not None
    assert entry.status == "ok"
    results, nuclei = open_results(run.out), pd.read_parquet(run.out / "nuclei")
    assert nuclei[COUNT].sum() > 5
    for frame in (0, 1):
        assert_explained(results.micronuclei("A01", frame=frame), nuclei[nuclei["Metadata_Timepoint"] == frame])


def test_micronuclei_of_others_are_left_as_they_are(plate: Path, tmp_path: Path) -> None:
    theirs = np.ones((256, 256), np.uint32)
    run = prepared(plate, tmp_path / "first")
    write_labels(str(plate), run.keys[0], theirs, ngff="0.5", pixel_size_um=0.65, name="micronuclei")
    with pytest.raises(ResultsError, match="labels/micronuclei of 1 field"):
        prepared(plate, tmp_path / "first")
    process_here(prepared(plate, tmp_path / "second", micronuclei_labels_name="micro"))
    np.testing.assert_array_equal(read_labels(str(plate), run.keys[0], "micronuclei"), theirs)
    assert read_labels(str(plate), run.keys[0], "micro").max() > 5


def test_nuclei_of_a_run_without_micronuclei_may_be_kept(plate: Path, tmp_path: Path) -> None:
    without = prepared(plate, tmp_path / "without", micronuclei=False)
    process_here(without)
    with pytest.raises(ResultsError, match="no labels of micronuclei"):
        open_results(tmp_path / "without").micronuclei("A01")
    assert not (plate / "A/01/0/labels/micronuclei").exists()
    process_here(prepared(plate, tmp_path / "with"))
    assert open_results(tmp_path / "with").micronuclei("A01").max() > 5


def test_two_labels_of_one_name_are_refused(plate: Path, tmp_path: Path) -> None:
    assert Config().micronuclei_labels_name == "micronuclei"
    with pytest.raises(ConfigError, match="micronuclei_labels_name = nuclei"):
        prepared(plate, tmp_path / "o", micronuclei_labels_name="nuclei")
    with pytest.raises(ConfigError, match="micronuclei_labels_name"):
        parse_config({"micronuclei_labels_name": "../x"}, source="settings")
