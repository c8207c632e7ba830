"""`hcs export`: CSV for spreadsheets, one Parquet file, AnnData."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pandas as pd
import pyarrow.parquet as pq
import pytest
from click.testing import CliRunner, Result
from helpers.results import give_tables, make_results

import hcs
from hcs.cli import commands
from hcs.errors import ConfigError, ResultsError
from hcs.store.results import export
from hcs.store.results.export import Selection, export_parquet, harmless

COMPOUNDS = ["=HYPERLINK(1)", 'µ-conotoxin, "GIIIA"\nlot 2', ""]


@pytest.fixture(scope="module")
def results(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Results with a well table of awkward names, a table of hits, and a column dictionary."""
    out = make_results(tmp_path_factory.mktemp("made"))
    wells = pd.DataFrame(
        {
            "Metadata_Plate": "007",
            "Metadata_Well": ["A01", "B03", "C05"],
            "Metadata_Compound": COMPOUNDS,
            "Metadata_Dose": [-1.5, 2.0, np.nan],
            "Metadata_Batch": ["x", "y", "y"],
            "Status": ["ok", "ok", "failed"],
            "Count_Nuclei": [4, 2, 0],
            "Fraction_4N": [0.25, np.nan, np.nan],
        }
    )
    dictionary = [("nuclei", "Nuclei_AreaShape_Area", "px"), ("wells", "Count_Nuclei", "nuclei")]
    columns = pd.DataFrame(dictionary, columns=["table", "name", "unit"]).assign(definition="what it is", source="")
    columns.to_csv(out / "columns.csv", index=False)
    give_tables(out, wells=wells, hits=pd.DataFrame({"Compound": ["a"], "Hit": [True]}))
    return out


def call(*arguments: object) -> Result:
    return CliRunner().invoke(commands, ["export", *map(str, arguments)], standalone_mode=False)


def test_a_spreadsheet_gets_wells_without_formulas_and_with_their_letters(results: Path, tmp_path: Path) -> None:
    path = tmp_path / "wells.csv"
    shown = call(results, "--csv", path)
    assert shown.output == f"{path}: 3 rows of wells\n"
    assert path.read_bytes().startswith(b"\xef\xbb\xbfMetadata_Plate,Metadata_Well,")
    back = pd.read_csv(path, dtype={"Metadata_Plate": str}, keep_default_na=False)
    assert list(back["Metadata_Compound"]) == ["'=HYPERLINK(1)", *COMPOUNDS[1:]]
    assert list(back["Metadata_Plate"]) == ["007"] * 3
    assert list(back["Metadata_Dose"]) == ["-1.5", "2.0", ""]


@pytest.mark.parametrize("text", ["=1", "+1", "-1", "@x", "\tx", "\rx"])
def test_whatever_a_spreadsheet_takes_for_a_formula_gets_an_apostrophe(text: str) -> None:
    frame = pd.DataFrame({"text": [text, "a=1", None], "number": [-1, 2, 3], "kind": pd.Categorical([text, "b", "b"])})
    safe = harmless(frame)
    assert list(safe["text"])[:2] == ["'" + text, "a=1"]
    assert safe["text"].isna()[2]
    assert list(safe["kind"]) == ["'" + text, "b", "b"]
    assert safe["number"] is not None
    pd.testing.assert_series_equal(safe["number"], frame["number"])


def test_nuclei_of_some_wells_and_columns(results: Path, tmp_path: Path) -> None:
    path = tmp_path / "n.csv"
    call(results, "--csv", path, "--table", "nuclei", "--wells", "a*", "--columns", "Metadata_Well, Metadata_Site")
    assert path.read_text("utf-8-sig") == "Metadata_Well,Metadata_Site\nA01,0\nA01,0\nA01,1\nA01,1\n"
    call(results, "--csv", path, "--wells", "B03", "--columns", "Status", "--overwrite")
    assert path.read_text("utf-8-sig") == "Status\nok\n"


def test_one_parquet_file_has_all_nuclei_and_a_row_group_a_well(results: Path, tmp_path: Path) -> None:
    path = tmp_path / "nuclei.parquet"
    assert export_parquet(hcs.open_results(results), path, Selection(table="nuclei")) == 6
    assert pq.ParquetFile(path).num_row_groups == 2
    pd.testing.assert_frame_equal(pd.read_parquet(path), hcs.open_results(results).nuclei())


def test_too_many_rows_for_a_sheet_get_a_word(results: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(export, "SHEET_ROWS", 3)
    assert "A spreadsheet shows the first 2 rows only" in call(results, "--csv", tmp_path / "w.csv").output


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ([], "nothing to export; say --csv FILE"),
        (["--csv", "a.csv", "--table", "dose"], "'dose' is no table; choose one of nuclei, phases, wells"),
        (["--csv", "a.csv", "--columns", "Statis"], "table wells has no column Statis; did you mean Status"),
        (["--csv", "a.csv", "--table", "nuclei", "--columns", "Metadata_Wel"], "did you mean Metadata_Well"),
        (["--csv", "a.csv", "--wells", "H12"], "'H12' names no well of this plate; it has A01, B03, C05"),
        (["--csv", "a.csv", "--table", "hits", "--wells", "A01"], "the table hits has no rows for single wells"),
        (["--csv", "a.csv", "--table", "doses"], "has no doses.parquet; run `hcs readout"),
        (["--csv", "a.csv", "--table", "nuclei", "--wells", "C05"], "no nuclei in the wells asked for"),
        (["--anndata", "a.csv"], "ends neither in .h5ad nor in .zarr"),
        (["--anndata", "a.h5ad", "--table", "hits"], "AnnData takes nuclei or wells"),
    ],
)
def test_what_cannot_be_exported_gets_a_sentence_and_leaves_no_file(
    results: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, options: list[str], message: str
) -> None:
    monkeypatch.chdir(tmp_path)
    shown = call(results, *options)
    assert isinstance(shown.exception, ConfigError | ResultsError)
    assert message in str(shown.exception)
    assert not list(tmp_path.iterdir())


@pytest.mark.parametrize("ending", ["h5ad", "zarr"])
def test_anndata_has_features_keys_map_units_and_places(results: Path, tmp_path: Path, ending: str) -> None:
    anndata = pytest.importorskip("anndata", reason="needs anndata (the extras dev and export)")
    path = tmp_path / f"nuclei.{ending}"
    assert call(results, "--anndata", path).output == f"{path}: 6 rows of nuclei\n"
    data = anndata.read_h5ad(path) if ending == "h5ad" else anndata.read_zarr(path)
    nuclei = hcs.open_results(results).nuclei()
    features = [name for name in nuclei if not name.startswith(("Metadata_", "Nuclei_Flag_Dead"))]
    assert list(data.var_names) == features
    assert "Nuclei_Flag_Dead" in data.obs
    np.testing.assert_array_equal(data.X, nuclei[features].to_numpy(np.float32))
    assert list(data.obs_names[:3]) == ["007/A01/0/1", "007/A01/0/2", "007/A01/1/1"]
    assert list(data.obs["Metadata_Compound"]) == [COMPOUNDS[0]] * 4 + [COMPOUNDS[1]] * 2
    assert list(data.obs["Metadata_Batch"]) == ["x"] * 4 + ["y"] * 2
    assert list(data.obsm["spatial"][0]) == [30, 20]
    assert data.var.loc["Nuclei_AreaShape_Area", ["unit", "definition"]].tolist() == ["px", "what it is"]
    assert json.loads(data.uns["hcs"]["record"])["identity"]["plate"] == {"name": "007"}


def test_anndata_of_wells_and_no_folder_is_overwritten(results: Path, tmp_path: Path) -> None:
    anndata = pytest.importorskip("anndata", reason="needs anndata (the extras dev and export)")
    path = tmp_path / "wells.zarr"
    call(results, "--anndata", path, "--table", "wells")
    data = anndata.read_zarr(path)
    assert list(data.var_names) == ["Count_Nuclei", "Fraction_4N"]
    np.testing.assert_array_equal(data.X, np.array([[4, 0.25], [2, np.nan], [0, np.nan]], np.float32))
    assert list(data.obs["Status"]) == ["ok", "ok", "failed"]
    again = call(results, "--anndata", path)
    assert "exists already; give another name, or --overwrite to replace it" in str(again.exception)
