"""Classes taught by examples, as a user has them: a command, a table, and readouts like any other."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from helpers.report import make_results
from helpers.timed import run_here

from hcs.commands.classify import classify_results
from hcs.commands.simulate import write_simulation
from hcs.errors import ConfigError
from hcs.readout.wells.classes import KEYS, TIMED_KEYS
from hcs.run.finish import finish
from hcs.simulate.settings import SimulationSettings
from hcs.store.results.folder import open_results
from hcs.store.results.verify import verify


def test_classes_by_examples_are_readouts(tmp_path: Path) -> None:
    out = make_results(tmp_path)
    nuclei = open_results(out).nuclei(columns=[*KEYS, "Nuclei_AreaShape_Area"])
    kinds = np.where(nuclei["Nuclei_AreaShape_Area"] > nuclei["Nuclei_AreaShape_Area"].median(), "big", "small")
    few = nuclei.assign(**{"class": kinds}).groupby("Metadata_Well").head(8)
    few = few[few["Metadata_Well"].str.startswith(("A", "B"))]
    examples = tmp_path / "examples.csv"
    few[few["Metadata_Well"] == "A01"].to_csv(examples, index=False)
    with pytest.raises(ConfigError, match=r"examples of|one well only"):
        classify_results(out, examples)
    assert not (out / "class-examples.csv").exists()
    few.to_csv(examples, index=False)
    said: list[str] = []
    readouts = classify_results(out, examples, say=said.append)
    assert "right on wells that the trees had not seen" in said[0]
    assert {"Fraction_Class_big", "Fraction_Class_small"} <= set(readouts.plate["Readout"])
    finish(out)  # examples are kept, and taught anew
    results = open_results(out)
    classes = results.table("classes").merge(nuclei, on=list(KEYS))
    assert len(classes) == len(nuclei)
    agree = (classes["Nuclei_Class"] == "big") == (classes["Nuclei_AreaShape_Area"] > nuclei.iloc[:, -1].median())
    assert agree.mean() > 0.95
    assert (classes["Example"] != "").sum() == len(few)
    wells = results.table("wells")
    shares = wells["Fraction_Class_big"] + wells["Fraction_Class_small"]
    np.testing.assert_allclose(shares[wells["Count_Class_Nuclei"] > 0], 1.0)
    told = results.columns()
    assert {"Nuclei_Class", "Nuclei_Class_Score"} <= set(told.loc[told["table"] == "classes", "name"])
    assert "Fraction_Class_big" in set(told.loc[told["table"] == "wells", "name"])
    assert "Fraction_Class_big" in (out / "report.html").read_text(encoding="utf-8")
    assert not verify(results).faults
    pd.DataFrame({"class": ["a"]}).to_csv(examples, index=False)
    with pytest.raises(ConfigError, match="neither a column"):
        classify_results(out, examples)


def test_classes_of_a_movie_are_readouts_by_frame(tmp_path: Path) -> None:
    made = write_simulation(
        tmp_path / "m.zarr", SimulationSettings(wells=2, size_px=128, frames=3, interval_min=30.0, seed=3)
    )
    out = tmp_path / "out"
    assert not run_here(made.plate, out, plate_map=made.plate_map).failed
    nuclei = open_results(out).nuclei(columns=[*TIMED_KEYS, "Nuclei_AreaShape_Area", "Nuclei_Flag_TouchesBorder"])
    kinds = np.where(nuclei["Nuclei_AreaShape_Area"] > nuclei["Nuclei_AreaShape_Area"].median(), "big", "small")
    nuclei["class"] = kinds
    examples = tmp_path / "examples.csv"
    nuclei.assign(nucleus="A01/0/1").to_csv(examples, columns=["nucleus", "class"], index=False)
    with pytest.raises(ConfigError, match="well/field/frame/number, such as B03/0/12/17"):
        classify_results(out, examples)
    names = nuclei[list(TIMED_KEYS)].astype("str").agg("/".join, axis=1)
    nuclei.assign(nucleus=names).to_csv(examples, columns=["nucleus", "class"], index=False)
    classify_results(out, examples)
    results = open_results(out)
    classes = results.table("classes").merge(nuclei, on=list(TIMED_KEYS))
    assert len(classes) == len(nuclei)
    assert (classes["Nuclei_Class"] == classes["class"]).mean() > 0.95
    inside = classes[~classes["Nuclei_Flag_TouchesBorder"].astype(bool)]
    big = (inside["Nuclei_Class"] == "big").groupby([inside["Metadata_Well"], inside["Metadata_Timepoint"]]).mean()
    frames = results.table("frames").set_index(["Metadata_Well", "Metadata_Timepoint"])
    assert len(frames) == 6
    pd.testing.assert_series_equal(
        frames["Fraction_Class_big"].dropna(), big, check_names=False, check_index_type=False
    )
    wells = results.table("wells").set_index("Metadata_Well")
    last = big.xs(2, level="Metadata_Timepoint")
    pd.testing.assert_series_equal(wells.loc[last.index, "Fraction_Class_big"], last, check_names=False)
    told = results.columns()
    assert {"Fraction_Class_big", "Count_Class_Nuclei"} <= set(told.loc[told["table"] == "frames", "name"])
    assert set(results.table("classes").columns) == set(told.loc[told["table"] == "classes", "name"])
    assert not verify(results).faults
