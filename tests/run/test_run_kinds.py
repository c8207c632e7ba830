"""A plate whose model tells kinds of nuclei: columns of nuclei, fractions of wells, blocks, and nuclei edited since."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
import zarr
from helpers.kinds import KINDS, write_two_kinds

from hcs.commands.classify import classify_results
from hcs.commands.simulate import write_simulation
from hcs.config import Config
from hcs.engine.cluster import Workers
from hcs.errors import ConfigError
from hcs.field.blocks import BlockTask, find_block, settle_owners, settle_statistics, take_statistics
from hcs.field.cells import finish_field, measure_cell
from hcs.field.large import LargeField
from hcs.field.whole import process_fields_here
from hcs.field.worker import load_segmenter
from hcs.run.finish import finish
from hcs.run.prepare import Prepared, prepare
from hcs.run.remeasure import find_edited, measure_edited
from hcs.simulate.settings import SimulationSettings
from hcs.store.location import location
from hcs.store.models import find_model
from hcs.store.results.folder import open_results
from hcs.store.results.verify import verify

CLASS, SCORE = "Nuclei_Class", "Nuclei_Class_Score"


@pytest.fixture(scope="module")
def model(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_two_kinds(tmp_path_factory.mktemp("model") / "two.safetensors")


@pytest.fixture(scope="module")
def plate(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("kinds") / "p.zarr"
    write_simulation(path, SimulationSettings(wells=2, size_px=352, seed=4))
    return path


def prepared(plate: Path, out: Path, model: Path, **settings: object) -> Prepared:
    config = Config.model_validate({"diameter_px": 24.0, "labels": "out", "model": str(model)} | settings)
    return prepare(plate, out, config, plate_map_path=None, wells=None, device="cpu")


def process(run: Prepared) -> None:
    run.record.write(run.out)
    assert run.job.labels is not None
    run.job.labels.prepare(run.job.plate)
    for key, found in zip(run.pending, process_fields_here(run.job, run.pending), strict=True):
        if isinstance(found, LargeField):
            in_blocks(BlockTask(run.job, key, found))
        else:
            assert found.status == "ok", found


def in_blocks(task: BlockTask) -> None:
    large = task.large
    assert len(large.blocks) > 1
    windows = [take_statistics(task, i) for i in range(len(large.windows))]
    known = settle_statistics(task, windows)
    blocks = [find_block(task, known, i) for i in range(len(large.blocks))]
    n = settle_owners(task, blocks)
    cells = [measure_cell(task, known, n, i) for i in range(len(large.cells))]
    finish_field(task, known, [*windows, *blocks, *cells])


@pytest.fixture(scope="module")
def done(plate: Path, model: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    run = prepared(plate, tmp_path_factory.mktemp("results") / "out", model)
    process(run)
    finish(run.out)
    return Path(str(run.out))


def test_every_nucleus_has_a_kind_and_wells_have_fractions(done: Path, tmp_path: Path) -> None:
    results = open_results(done)
    nuclei, wells = results.nuclei(), results.wells().set_index("Metadata_Well")
    assert set(nuclei[CLASS]) == set(KINDS)
    assert nuclei[SCORE].between(0.5, 1.0).all()
    inside = nuclei[~nuclei["Nuclei_Flag_TouchesBorder"].astype(bool)]
    for well, own in inside.groupby("Metadata_Well"):
        assert wells.loc[well, "Count_Class_Nuclei"] == len(own)
        for kind in KINDS:
            assert wells.loc[well, f"Fraction_Class_{kind}"] == pytest.approx((own[CLASS] == kind).mean())
    told = results.columns().set_index(["table", "name"])
    assert "plain, odd" in str(told.loc[("nuclei", CLASS), "definition"])
    assert told.loc[("wells", "Fraction_Class_odd"), "source"] == "hcs; model two"
    assert set(nuclei.columns) <= {*told.loc["nuclei"].index, "Nuclei_DNA_ContentN", "Nuclei_Flag_Dead"}
    assert not (done / "classes.parquet").exists()
    readouts = results.readouts()
    assert readouts is not None
    note = next(note for note in readouts.notes if "Half of the nuclei" in note)
    assert f"below {inside[SCORE].median():.2f}" in note  # the kinds of this model are drawn at random
    assert not verify(results).faults
    examples = tmp_path / "examples.csv"
    pd.DataFrame({"nucleus": ["A01/0/1"], "class": ["a"]}).to_csv(examples, index=False)
    with pytest.raises(ConfigError, match=r"model two tells kinds of nuclei already \(plain, odd\)"):
        classify_results(location(done), examples)


def test_nuclei_and_kinds_are_the_same_in_blocks(done: Path, plate: Path, model: Path, tmp_path: Path) -> None:
    usual = Config().tiles
    run = prepared(plate, tmp_path / "out", model, tiles=replace(usual, max_field_px=90_000, block_px=256))
    process(run)
    found, expected = open_results(run.out).nuclei(), open_results(done).nuclei()
    pd.testing.assert_frame_equal(found[["Metadata_ObjectNumber", CLASS]], expected[["Metadata_ObjectNumber", CLASS]])
    np.testing.assert_allclose(found[SCORE], expected[SCORE], rtol=1e-4)


def test_readouts_may_name_a_kind_that_the_model_tells(plate: Path, model: Path, tmp_path: Path) -> None:
    readout = {"readouts": ["Fraction_Class_odd"]}
    prepared(plate, tmp_path / "out", model, readout=readout)
    with pytest.raises(ConfigError, match="Fraction_Class_odd"):
        prepared(plate, tmp_path / "out", Path("fast"), readout=readout)
    both = find_model(f"fast,{model}")
    with pytest.raises(ConfigError, match=r"differ in .* kinds of nuclei"):
        load_segmenter(both, "cpu", flips=False)


def test_a_nucleus_edited_by_hand_has_no_kind_and_the_others_keep_theirs(
    plate: Path, model: Path, tmp_path: Path
) -> None:
    run = prepared(plate, tmp_path / "out", model)
    process(run)
    before = open_results(run.out).nuclei(wells="A01").set_index("Metadata_ObjectNumber")
    (path,) = (tmp_path / "out").glob("labels.zarr/A/01/0/labels/nuclei/0")
    array = zarr.open_array(path, mode="r+")
    labels = np.asarray(array[...])
    shrunk = int(before.index[3])
    rows, columns = np.nonzero(labels == shrunk)
    labels[rows[:4], columns[:4]] = 0
    array[...] = labels
    edited = find_edited(open_results(run.out))
    assert [str(key) for key in edited.keys] == ["A01/0"]
    measure_edited(edited, Workers())
    after = open_results(run.out).nuclei(wells="A01").set_index("Metadata_ObjectNumber")
    assert (after.loc[shrunk, CLASS], np.isnan(after.loc[shrunk, SCORE])) == ("", True)
    others = before.index.drop(shrunk)
    pd.testing.assert_frame_equal(after.loc[others, [CLASS, SCORE]], before.loc[others, [CLASS, SCORE]])
    finish(run.out)
    wells = open_results(run.out).wells().set_index("Metadata_Well")
    known = after[~after["Nuclei_Flag_TouchesBorder"].astype(bool) & (after[CLASS] != "")]
    assert wells.loc["A01", "Count_Class_Nuclei"] == len(known)
