"""A plate through the command line with real worker processes: what a user finds afterwards."""

from __future__ import annotations

import json
import shutil
from dataclasses import replace
from pathlib import Path

import numpy as np
import pandas as pd
import pyarrow.parquet as pq
import pytest
from helpers.run import Finished, Hcs, call_hcs, local_client, table_bytes

import hcs as package
from hcs.commands.simulate import SimulationFiles
from hcs.plate.keys import FieldKey
from hcs.store.plate.labels import read_labels
from hcs.store.results.record import RecordedChannels, record_of


def test_the_run_ends_well_and_says_where_things_are(finished: Finished) -> None:
    assert finished.shown.code == 0, finished.shown.err
    for text in ("Z' of Mean_Nuclei_Sensor_Ratio", "6 wells", "report.html", "pd.read_parquet"):
        assert text in finished.shown.out
    assert "6/6 fields" in finished.shown.err


def test_pandas_reads_every_table(finished: Finished) -> None:
    nuclei = pd.read_parquet(finished.out / "nuclei")
    results = package.open_results(finished.out)
    assert len(nuclei) == len(results.nuclei()) == results.fields()["Count_Nuclei"].sum() > 50
    assert len(results.wells()) == 6
    assert set(results.nuclei(wells=["a1"])["Metadata_Well"]) <= {"A01"}
    assert {"ZPrime", "ZPrime_Low", "Reason"} <= set(results.compounds().columns)
    assert {"DNA_TwoN", "ZPrime"} <= set(results.plate().columns)


@pytest.mark.parametrize("table", ["nuclei", "wells", "compounds", "plate"])
def test_every_column_is_defined_with_its_type(finished: Finished, table: str) -> None:
    columns = package.open_results(finished.out).columns()
    defined = columns[columns["table"] == table]
    if table == "nuclei":
        schema = pq.read_schema(next((finished.out / "nuclei").rglob("*.parquet")))
        frame = schema.empty_table().to_pandas()
        assert list(defined["name"]) == schema.names
        kinds = dict(zip(defined["name"], defined["dtype"], strict=True))
        numeric = {n: t for n, t in kinds.items() if t not in ("string",)}
        assert {n: str(frame[n].dtype) for n in numeric} == numeric
    else:
        assert list(defined["name"]) == list(pd.read_parquet(finished.out / f"{table}.parquet").columns)
    assert (defined["definition"].str.len() > 3).all()


def test_labels_are_in_the_plate_and_belong_to_the_table(finished: Finished) -> None:
    results = package.open_results(finished.out)
    nuclei = results.nuclei(wells=["A01"])
    labels = results.labels("A01")
    np.testing.assert_array_equal(labels, read_labels(str(finished.files.plate), FieldKey.parse("A01/0")))
    assert list(np.unique(labels[labels > 0])) == list(nuclei["Metadata_ObjectNumber"])
    area = np.bincount(labels.ravel())[1:]
    np.testing.assert_array_equal(area, nuclei["Nuclei_AreaShape_Area"])
    assert results.image("A01", channel=1).shape == labels.shape


def test_the_record_says_how_to_repeat_the_run(finished: Finished) -> None:
    record = package.open_results(finished.out).record
    assert record.command.startswith("hcs run ")
    assert len(record.model["sha256"]) == 64
    plain = replace(record.channels, because={})
    assert plain == RecordedChannels(names=("DNA", "CDK2"), dna="DNA", sensor="CDK2", nuclei="DNA")
    assert set(record.channels.because) == {"dna", "sensor", "nuclei", "cells"}
    assert record.times is not None
    assert {"infer", "read", "measure"} <= set(record.times["worker_s_by_stage"])
    assert record.versions["torch"] != "unknown"
    assert record_of(json.loads(json.dumps(record.plain()))) == record


def test_dna_content_comes_in_units_of_n(finished: Finished) -> None:
    results = package.open_results(finished.out)
    peak = results.plate().iloc[0]
    nuclei = results.nuclei(columns=["Nuclei_DNA_ContentN", "Metadata_Well"])
    assert list(nuclei.columns) == ["Nuclei_DNA_ContentN", "Metadata_Well"]
    assert peak["DNA_Usable"] == nuclei["Nuclei_DNA_ContentN"].notna().any()
    assert "Nuclei_DNA_ContentN" in results.nuclei().columns


def test_status_names_every_well(finished: Finished, hcs: Hcs) -> None:
    shown = hcs("status", finished.out)
    assert shown.code == 0
    lines = shown.out.splitlines()
    assert [line.split()[0] for line in lines[:-1]] == ["A01", "A02", "A03", "B01", "B02", "B03"]
    assert lines[-1].startswith("6 wells: ")
    assert "failed" not in shown.out


def test_readouts_again_are_the_same_and_take_other_settings(finished: Finished, hcs: Hcs, tmp_path: Path) -> None:
    out = tmp_path / "results"
    shutil.copytree(finished.out, out)
    before = pd.read_parquet(out / "wells.parquet")
    (out / "wells.parquet").unlink()
    assert hcs("readout", out).code == 0
    pd.testing.assert_frame_equal(pd.read_parquet(out / "wells.parquet"), before)
    config = tmp_path / "other.yaml"
    config.write_text("readout: {readouts: [Count_Nuclei], min_wells: 2}\n")
    shown = hcs("readout", out, "--config", config)
    assert "Z' of Count_Nuclei" in shown.out
    assert set(pd.read_parquet(out / "plate.parquet")["Readout"]) == {"Count_Nuclei"}


def test_running_again_touches_no_finished_field(finished: Finished, hcs: Hcs, tmp_path: Path) -> None:
    out = tmp_path / "results"  # a copy: the run's account becomes that of a run with nothing to do
    shutil.copytree(finished.out, out)
    parts = sorted((out / "nuclei").rglob("*.parquet")) + sorted((out / "ledger").iterdir())
    before = [p.stat().st_mtime_ns for p in parts]
    shown = hcs("run", finished.files.plate, "--out", out, "--plate-map", finished.files.plate_map)
    assert shown.code == 0, shown.err
    assert [p.stat().st_mtime_ns for p in parts] == before


def test_one_worker_gives_the_same_table(plate: SimulationFiles, finished: Finished, tmp_path: Path) -> None:
    shown = call_hcs(
        "run", plate.plate, "--out", tmp_path / "one", "--plate-map", finished.files.plate_map,
        "--workers", 1, "--labels", "out",
    )  # fmt: skip
    assert shown.code == 0, shown.err
    assert table_bytes(tmp_path / "one") == table_bytes(finished.out)
    results = package.open_results(tmp_path / "one")
    np.testing.assert_array_equal(results.labels("A01"), package.open_results(finished.out).labels("A01"))
    assert not list(plate.plate.rglob("labels/nuclei"))


def test_chosen_wells_only(tmp_path: Path, finished: Finished) -> None:
    shown = call_hcs("run", finished.files.plate, "--out", tmp_path / "some", "--wells", "a1,B*", "--labels", "none")
    assert shown.code == 0, shown.err
    assert list(package.open_results(tmp_path / "some").wells()["Metadata_Well"]) == ["A01", "B01", "B02", "B03"]
    assert "No plate map was given" in shown.out


def test_a_running_scheduler_does_the_work(finished: Finished, tmp_path: Path) -> None:
    with local_client(n_workers=1) as client:
        shown = call_hcs(
            "run", finished.files.plate, "--out", tmp_path / "r", "--wells", "A01", "--labels", "none",
            "--scheduler", client.scheduler.address,
        )  # fmt: skip
        assert shown.code == 0, shown.err
        assert len(client.scheduler_info()["workers"]) == 1  # left running
    alone = {k: v for k, v in table_bytes(finished.out).items() if "well=A01" in k}
    assert table_bytes(tmp_path / "r") == alone
