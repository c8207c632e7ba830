"""Whole cells of a plate: labels beside the nuclei's, columns, frames of a movie, and others' labels."""

from __future__ import annotations

import shutil
from fractions import Fraction
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
import zarr
from helpers.run import local_client, process_here, table_bytes

from hcs.commands.simulate import write_simulation
from hcs.config import Config, parse_config
from hcs.engine.cluster import Workers
from hcs.errors import ConfigError, ResultsError
from hcs.field.link import link_field
from hcs.field.worker import segmenter_of
from hcs.run.finish import finish
from hcs.run.prepare import Prepared, open_run, prepare
from hcs.run.remeasure import find_edited, measure_edited
from hcs.segment.territory import CellNetwork
from hcs.simulate.settings import SimulationSettings
from hcs.store.location import Location
from hcs.store.models import find_model
from hcs.store.plate.labels import read_labels, write_labels
from hcs.store.plate.reader import read_field
from hcs.store.results.folder import Results, open_results
from hcs.store.results.verify import verify

CELLS = {"diameter_px": 24.0, "channels": {"cells": "CDK2"}}


@pytest.fixture(scope="module")
def simulated(tmp_path_factory: pytest.TempPathFactory) -> Path:
    plate = tmp_path_factory.mktemp("cells") / "p.zarr"
    write_simulation(plate, SimulationSettings(wells=2, size_px=256, seed=4))
    return plate


@pytest.fixture
def plate(simulated: Path, tmp_path: Path) -> Path:
    shutil.copytree(simulated, tmp_path / "p.zarr")
    return tmp_path / "p.zarr"


def prepared(plate: Path, out: Path, **settings: object) -> Prepared:
    config = Config.model_validate(CELLS | settings)
    return prepare(plate, out, config, plate_map_path=None, wells=None, device="cpu")


def test_labels_and_columns_of_cells_are_there_and_made_once(plate: Path, tmp_path: Path) -> None:
    run = prepared(plate, tmp_path / "out")
    assert any("whole cells in   CDK2 (as --cells says)" in line for line in run.lines())
    assert any("nuclei and cells, into" in line for line in run.lines())
    process_here(run)
    finish(run.out)
    results = open_results(run.out)
    nuclei = results.nuclei()
    for key in run.keys:
        cells, labels = results.cells(str(key.well)), results.labels(str(key.well))
        np.testing.assert_array_equal(cells[labels > 0], labels[labels > 0])
        rows = nuclei[nuclei["Metadata_Well"] == str(key.well)]
        areas = np.bincount(cells.ravel())[rows["Metadata_ObjectNumber"]]
        np.testing.assert_array_equal(rows["Cells_AreaShape_Area"], areas)
    wells = pd.read_parquet(run.out / "wells.parquet")
    assert wells["Median_Cells_AreaShape_Area"].gt(wells["Median_Nuclei_AreaShape_Area"]).all()
    told = pd.read_csv(run.out / "columns.csv").query("table == 'nuclei'")["name"].tolist()
    assert set(nuclei.columns) <= {*told, "Nuclei_DNA_ContentN", "Nuclei_Flag_Dead"}
    assert not verify(results).faults
    before = table_bytes(run.out)
    again = prepared(plate, run.out)
    assert again.pending == ()
    (run.out / "ledger" / f"{run.keys[0].file_stem}.json").unlink()
    process_here(prepared(plate, run.out))
    assert table_bytes(run.out) == before


def test_a_model_of_whole_cells_finds_no_nuclei(plate: Path, tmp_path: Path) -> None:
    with pytest.raises(
        ConfigError, match="model cells finds whole cells, not nuclei; say --cells CHANNEL --cells-model"
    ):
        prepared(plate, tmp_path / "out", model="cells")
    (line,) = (
        line for line in prepared(plate, tmp_path / "out", cells={"model": "cells"}).lines() if "cells model" in line
    )
    assert "taught on nuclei" not in line


def test_cells_are_grown_in_what_a_model_says_and_the_run_names_it(plate: Path, tmp_path: Path) -> None:
    model = find_model("fast")
    run = prepared(plate, tmp_path / "out", cells={"model": "fast", "boundary": 1.0})
    (line,) = (line for line in run.lines() if "cells model" in line)
    assert f"cells model      fast, sha256 {model.sha256[:16]}" in line
    assert line.endswith("; it was taught on nuclei, not on whole cells")
    with local_client() as client:
        run = open_run(run, client)
    assert run.job.cells_scale == Fraction(1, 2)
    assert any("taken for 53 px across (2.2 times the nuclei)" in note for note in run.notes)
    process_here(run)
    by_model, cells = open_results(run.out), open_results(run.out).cells("A01")
    assert by_model.record.cells_model is not None
    assert by_model.record.cells_model["sha256"] == model.sha256 == by_model.record.identity["cells_model_sha256"]
    labels = by_model.labels("A01")
    np.testing.assert_array_equal(cells[labels > 0], labels[labels > 0])
    assert np.count_nonzero(cells) > 1.5 * np.count_nonzero(labels)
    territory = CellNetwork(segmenter_of(model, "cpu", flips=False), Fraction(1, 2)).territory(
        read_field(run.job.plate, run.keys[0], channels=(1,))[0], run.job.config.tiles
    )
    assert (territory[(cells > 0) & (labels == 0)] >= 0).mean() > 0.99  # but for pinholes
    assert prepared(plate, run.out, cells={"model": "fast", "boundary": 1.0}).pending == ()
    with pytest.raises(ConfigError, match=r"cells\.model"):
        prepared(plate, run.out)
    measure_edited(find_edited(_with_a_nucleus_less(run.out, plate)), Workers())
    again = open_results(run.out).cells("A01")
    assert (again > 0).sum() < (cells > 0).sum()
    assert ((again > 0) & (territory < 0) & (labels == 0)).mean() < 0.01


def _with_a_nucleus_less(out: Location, plate: Path) -> Results:
    """The results after somebody took the first nucleus away."""
    array = zarr.open_array(plate / "A" / "01" / "0" / "labels" / "nuclei" / "0", mode="r+")
    labels = np.asarray(array[...])
    array[...] = np.where(labels == 1, 0, labels)
    return open_results(out)


@pytest.mark.parametrize(
    ("settings", "said"),
    [
        ({"cells": {"model": "fast"}, "channels": {}}, "say --cells CHANNEL"),
        ({"cells": {"model": "kinds"}}, "does not tell background, interior and boundary alone"),
        ({"cells": {"model": "fast"}, "labels_from": "truth"}, r"set cells\.diameter_px"),
        ({"cells": {"model": "nowhere"}}, "model 'nowhere' does not exist"),
    ],
)
def test_models_that_tell_no_cells_are_refused(
    plate: Path, tmp_path: Path, settings: dict[str, object], said: str
) -> None:
    with pytest.raises(ConfigError, match=said):
        prepared(plate, tmp_path / "o", **settings)


def test_cells_of_others_are_left_as_they_are(plate: Path, tmp_path: Path) -> None:
    run = prepared(plate, tmp_path / "first")
    theirs = np.ones((256, 256), np.uint32)
    write_labels(str(plate), run.keys[0], theirs, ngff="0.5", pixel_size_um=0.65, name="cells")
    with pytest.raises(ResultsError, match="labels/cells of 1 field"):
        prepared(plate, tmp_path / "first")
    other = prepared(plate, tmp_path / "second", cells={"labels_name": "whole"})
    process_here(other)
    np.testing.assert_array_equal(read_labels(str(plate), run.keys[0], "cells"), theirs)
    assert read_labels(str(plate), run.keys[0], "whole").max() > 1


def test_nuclei_of_a_run_without_cells_may_be_kept(plate: Path, tmp_path: Path) -> None:
    process_here(prepared(plate, tmp_path / "without", channels={}))
    with pytest.raises(ResultsError, match="no labels of whole cells"):
        open_results(tmp_path / "without").cells("A01")
    process_here(prepared(plate, tmp_path / "with"))
    nuclei = pd.read_parquet(tmp_path / "with" / "nuclei")
    without = pd.read_parquet(tmp_path / "without" / "nuclei")
    ring = "Intensity_MeanIntensity_CDK2"
    np.testing.assert_array_equal(nuclei[f"Ring_{ring}"], without[f"Cytoplasm_{ring}"])
    np.testing.assert_array_equal(nuclei["Nuclei_Sensor_Ratio"], without["Nuclei_Sensor_Ratio"])


def test_two_labels_of_one_name_are_refused(plate: Path, tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match=r"cells\.labels_name = nuclei"):
        prepared(plate, tmp_path / "o", cells={"labels_name": "nuclei"})
    with pytest.raises(ConfigError, match="--cells"):
        prepared(plate, tmp_path / "o", channels={"cells": "GFP"})
    with pytest.raises(ConfigError, match="labels_name"):
        parse_config({"cells": {"labels_name": "../x"}}, source="settings")


def test_frames_of_a_movie_have_cells(tmp_path: Path) -> None:
    plate = tmp_path / "m.zarr"
    write_simulation(plate, SimulationSettings(wells=1, size_px=192, seed=4, frames=2))
    run = prepared(plate, tmp_path / "out")
    process_here(run)
    entry = link_field(run.job, run.keys[0].of_field, 2)
    assert entry is not None
    assert entry.status == "ok"
    results = open_results(run.out)
    for frame in (0, 1):
        cells, labels = results.cells("A01", frame=frame), results.labels("A01", frame=frame)
        np.testing.assert_array_equal(cells[labels > 0], labels[labels > 0])
        assert np.count_nonzero(cells) > 1.5 * np.count_nonzero(labels)
        truth = read_labels(str(plate), run.keys[0].of_field.at(frame), "truth_cells")
        nuclei = read_labels(str(plate), run.keys[0].of_field.at(frame), "truth")
        np.testing.assert_array_equal(truth[nuclei > 0], nuclei[nuclei > 0])


def test_cells_are_grown_anew_from_nuclei_that_were_edited(plate: Path, tmp_path: Path) -> None:
    run = prepared(plate, tmp_path / "out", labels="out")
    process_here(run)
    before = open_results(run.out)
    old, cells_of_old = before.nuclei().set_index(["Metadata_Well", "Metadata_ObjectNumber"]), before.cells("A01")
    other = before.cells("A02")
    array = zarr.open_array(
        Path(str(run.out)) / "labels.zarr" / "A" / "01" / "0" / "labels" / "nuclei" / "0", mode="r+"
    )
    labels = np.asarray(array[...])
    widest = int(np.bincount(cells_of_old[cells_of_old > 0]).argmax())
    array[...] = np.where(labels == widest, 0, labels)
    measure_edited(find_edited(open_results(run.out)), Workers())
    results = open_results(run.out)
    cells, nuclei = results.cells("A01"), results.nuclei(wells="A01").set_index("Metadata_ObjectNumber")
    assert widest not in cells
    assert widest not in nuclei.index
    assert (cells[cells_of_old == widest] > 0).any()  # neighbours take some of its place
    np.testing.assert_array_equal(np.bincount(cells.ravel())[nuclei.index], nuclei["Cells_AreaShape_Area"])
    assert (nuclei["Cells_AreaShape_Area"] >= old.loc["A01"].loc[nuclei.index, "Cells_AreaShape_Area"]).all()
    np.testing.assert_array_equal(results.cells("A02"), other)
