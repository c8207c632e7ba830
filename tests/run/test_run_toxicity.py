"""A plate with a compound that kills, from its images to what a screener reads: dead cells, toxicity, warnings."""

from __future__ import annotations

from pathlib import Path

import pandas as pd
import pytest
from helpers.run import Finished, call_hcs

from hcs import open_results
from hcs.commands.simulate import write_simulation
from hcs.simulate.settings import SimulationSettings


@pytest.fixture(scope="module")
def deadly(tmp_path_factory: pytest.TempPathFactory) -> Finished:
    """36 wells: three controls each way, four compounds at two doses, of which the cytotoxic one leaves dead cells."""
    folder = tmp_path_factory.mktemp("deadly")
    settings = SimulationSettings(wells=36, doses=2, size_px=288, seed=4, dead_brightness=(5.0, 50.0))
    files = write_simulation(folder / "deadly.zarr", settings)
    out = folder / "results"
    shown = call_hcs("run", files.plate, "--out", out, "--plate-map", files.plate_map, "--workers", 2)
    return Finished(files, out, shown)


def test_the_killing_compound_is_toxic_and_said_to_be(deadly: Finished) -> None:
    assert deadly.shown.code == 0, deadly.shown.err
    results = open_results(deadly.out)
    table = results.toxicity()
    called = table[table["Toxic"] & (table["Role"] == "sample")]
    cytotoxic = called[called["Compound"] == "cytotoxic"]
    assert sorted(cytotoxic["Dose"].round(1)) == [3.3, 10.0]
    assert (cytotoxic["FractionDead"] > 0.25).all()
    assert "inactive" not in set(called["Compound"])
    hits = results.hits()
    assert hits.loc[hits["Compound"] == "cytotoxic", "Warning"].str.startswith("toxic: ").all()
    assert (hits.loc[hits["Compound"] == "inactive", "Warning"] == "").all()
    assert "cytotoxic from 3.33 uM" in " ".join(deadly.shown.out.split())
    page = (deadly.out / "report.html").read_text()
    assert "Which compounds are toxic?" in page
    assert "leave fewer living nuclei" in page or "leaves fewer living nuclei" in page


def test_dead_cells_are_those_that_shine(deadly: Finished) -> None:
    results = open_results(deadly.out)
    truth = pd.read_parquet(deadly.files.truth)
    bright = truth[truth["brightness"] > 1].groupby("well").size()
    wells = results.wells().set_index("Metadata_Well")
    true = bright.reindex(wells.index, fill_value=0)
    assert true.sum() > 40
    assert wells["Count_Dead"].sum() == pytest.approx(true.sum(), rel=0.1)
    assert wells.loc[true == 0, "Count_Dead"].sum() <= 2
    nuclei = results.nuclei(columns=["Metadata_Well", "Nuclei_Flag_Dead"])
    flagged = nuclei["Nuclei_Flag_Dead"].groupby(nuclei["Metadata_Well"].astype(str)).sum()
    assert (flagged.reindex(wells.index, fill_value=0) == wells["Count_Dead"]).all()
    only = results.nuclei(where=("Nuclei_Flag_Dead", "==", True))
    assert len(only) == wells["Count_Dead"].sum()
    phases = results.phases()
    assert (phases["Gate"] == "dead").sum() == wells["Count_Dead"].sum()


def test_dead_cells_may_be_kept_in_finished_results(deadly: Finished, tmp_path: Path) -> None:
    config = tmp_path / "keep.yaml"
    config.write_text("readout:\n  dead:\n    exclude: false\n")
    left_out = open_results(deadly.out).wells()
    shown = call_hcs("readout", deadly.out, "--config", config)
    assert shown.code == 0, shown.err
    assert "part of all readouts" in " ".join(shown.out.split())
    kept = open_results(deadly.out)
    assert (kept.wells()["Count_Nuclei_Measured"] > left_out["Count_Nuclei_Measured"]).any()
    assert (kept.wells()["Count_Dead"] == left_out["Count_Dead"]).all()
    assert not (kept.phases()["Gate"] == "dead").any()
