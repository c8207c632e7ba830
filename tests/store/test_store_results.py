"""A results folder as an object: what it gives, and what it says when there is nothing to give."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import numpy as np
import pandas as pd
import pyarrow.compute as pc
import pytest
from helpers.results import KEYS, give_tables, image_of, labels_of, make_results

import hcs
from hcs.errors import ConfigError, FieldError, ResultsError
from hcs.store.results.crops import cut
from hcs.store.results.folder import Results


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return make_results(tmp_path_factory.mktemp("made"))


@pytest.fixture
def results(folder: Path) -> Results:
    return hcs.open_results(folder)


def test_tables_need_neither_torch_nor_dask_nor_zarr(folder: Path) -> None:
    code = f"""
import sys, hcs
heavy = {{"torch", "dask", "distributed", "zarr", "matplotlib", "scipy", "skimage", "numba", "pydantic"}}
assert not heavy & {{*sys.modules}} and "pandas" not in sys.modules
assert len(hcs.open_results({str(folder)!r}).nuclei()) == 6
assert not heavy & {{*sys.modules}}, heavy & {{*sys.modules}}
"""
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr


def test_it_says_what_it_is(results: Results, folder: Path) -> None:
    assert repr(results) == f"<Results {str(folder)!r}: plate '007', 3 wells, 4 fields>"
    assert results.well_names() == ("A01", "B03", "C05")


def test_nuclei_by_well_column_and_condition(results: Results) -> None:
    assert len(results.nuclei()) == 6
    assert list(results.nuclei(wells="a1")["Metadata_Site"]) == [0, 0, 1, 1]
    assert list(results.nuclei(columns="Nuclei_AreaShape_Area")) == ["Nuclei_AreaShape_Area"]
    small = ("Nuclei_AreaShape_Area", "<", 45)
    assert list(results.nuclei(where=small)["Metadata_ObjectNumber"]) == [2, 2, 2]
    both = results.nuclei(where=[small, ("Metadata_Site", "in", [1])])
    assert list(both["Nuclei_DNA_Content"]) == [2001.0]
    assert len(results.nuclei(where=pc.field("Nuclei_AreaShape_Area") > 45)) == 3


def test_a_failed_well_has_no_nuclei_and_all_columns(results: Results) -> None:
    none = results.nuclei(wells=["C05"])
    assert none.empty
    assert list(none) == list(results.nuclei())


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"wells": ["A01", "H12"]}, "has no well H12; it has 3, A01 to C05"),
        ({"columns": ["Nuclei_AreaShape_Aera"]}, "no column Nuclei_AreaShape_Aera; did you mean Nuclei_AreaShape_Area"),
        ({"columns": ["xyz"]}, "no column xyz; columns.csv lists all columns"),
        ({"where": ("Nuclei_AreaShape_Aera", ">", 1)}, "did you mean Nuclei_AreaShape_Area"),
        ({"where": ("Nuclei_AreaShape_Area", ">", "large")}, r"cannot be filtered so \(.*\); columns.csv gives"),
        ({"where": [("Nuclei_AreaShape_Area", "=>", 1)]}, r"is no condition; write \(column, comparison, value\)"),
        ({"where": "Nuclei_AreaShape_Area > 1"}, "'Nuclei_AreaShape_Area > 1' is no condition"),
    ],
)
def test_what_there_is_not_gets_a_sentence(results: Results, options: dict[str, object], message: str) -> None:
    with pytest.raises(ResultsError, match=message):
        results.nuclei(**options)  # type: ignore[arg-type]


def test_dna_content_in_units_of_n_is_computed_and_can_be_a_condition(folder: Path, tmp_path: Path) -> None:
    results = hcs.open_results(make_results(tmp_path))
    assert results.nuclei()["Nuclei_DNA_ContentN"].isna().all()
    give_tables(results.folder, plate=pd.DataFrame({"DNA_TwoN": [1000.0], "DNA_Usable": [True]}))
    nuclei = results.nuclei(columns=["Nuclei_DNA_ContentN"], where=("Nuclei_DNA_ContentN", ">", 3.0))
    assert list(nuclei["Nuclei_DNA_ContentN"]) == [4.0, 4.002, 4.004]


def test_aggregating_by_well_is_what_pandas_makes_of_all_nuclei(results: Results) -> None:
    made = results.aggregate("Nuclei_DNA_Content", how="median")
    expected = results.nuclei().groupby("Metadata_Well")["Nuclei_DNA_Content"].median()
    assert dict(zip(made["Metadata_Well"], made["Nuclei_DNA_Content"], strict=True)) == expected.to_dict()
    assert list(made["Count_Nuclei"]) == [4, 2]
    by_field = results.aggregate(["Nuclei_AreaShape_Area"], by="Metadata_Site", wells="A01")
    assert list(by_field["Metadata_Site"]) == [0, 1]
    assert results.aggregate("Nuclei_AreaShape_Area", where=("Nuclei_AreaShape_Area", ">", 1e9)).empty
    with pytest.raises(ResultsError, match="cannot be summarised by 'middle'"):
        results.aggregate("Nuclei_AreaShape_Area", how="middle")
    with pytest.raises(ResultsError, match="cannot be summarised by 'mean'"):
        results.aggregate("Metadata_Plate")
    with pytest.raises(ResultsError, match="has no nuclei in the wells asked for"):
        results.aggregate("Nuclei_AreaShape_Area", wells="C05")


def test_wells_come_one_by_one_in_plate_order(results: Results) -> None:
    parts = dict(results.nuclei_by_well(["Metadata_Well", "Metadata_Site"], threads=1))
    assert list(parts) == ["A01", "B03"]
    assert pd.concat(parts.values(), ignore_index=True).equals(
        results.nuclei(columns=["Metadata_Well", "Metadata_Site"])
    )


def test_duckdb_and_pyarrow_query_without_loading(results: Results) -> None:
    duckdb = pytest.importorskip("duckdb", reason="needs duckdb (the extra dev)")
    nuclei = results.dataset()
    assert nuclei.count_rows(filter=pc.field("well") == "B03") == 2
    found = duckdb.sql("SELECT plate, Metadata_Plate, count(*) AS n FROM nuclei WHERE well = 'A01' GROUP BY ALL").df()
    assert found.iloc[0].tolist() == ["007", "007", 4]


def test_a_table_that_is_missing_says_how_to_make_it(results: Results) -> None:
    for read in (results.wells, results.hits, results.phases, results.columns):
        with pytest.raises(ResultsError, match=r"run `hcs readout .*` to make it"):
            read()
    with pytest.raises(ResultsError, match="'well' is no readout table; there are wells, "):
        results.table("well")
    assert list(results.ledger()["Status"]) == ["ok", "ok", "ok", "failed"]


def test_labels_and_images_are_those_of_the_field(results: Results) -> None:
    np.testing.assert_array_equal(results.labels("a1", 1), labels_of(KEYS[1]))
    np.testing.assert_array_equal(results.image("B03", channel="GFP"), image_of(KEYS[2])[1])
    np.testing.assert_array_equal(results.image("B03"), image_of(KEYS[2])[0])
    with pytest.raises(ResultsError, match="has no field A01/2; well A01 has 0, 1"):
        results.image("A01", 2)
    with pytest.raises(ResultsError, match="has no well P24"):
        results.labels("P24")
    with pytest.raises(ConfigError, match="channel 'RFP' is no channel of this plate"):
        results.image("A01", channel="RFP")
    with pytest.raises(FieldError, match=r"no labels, as it is failed \(its chunk is damaged\)"):
        results.labels("C05")


def test_a_crop_is_the_part_of_image_and_labels_around_its_nucleus(results: Results) -> None:
    crop = results.crop(("A01", 1, 1), size_px=20)
    assert crop.start_px == (10, 20)
    np.testing.assert_array_equal(crop.images, image_of(KEYS[1])[:, 10:30, 20:40])
    np.testing.assert_array_equal(crop.mask, labels_of(KEYS[1])[10:30, 20:40] == 1)
    assert crop.mask.sum() == 49
    assert (crop.channels, crop.pixel_size_um) == (("DNA", "GFP"), 0.65)
    for row in (results.nuclei(wells="A01").iloc[2], next(results.nuclei(wells="A01")[2:].itertuples())):
        np.testing.assert_array_equal(results.crop(row, size_px=20).images, crop.images)


def test_a_crop_beyond_the_edge_is_filled_with_zeros(results: Results) -> None:
    crop = results.crop(("B03", 0, 2), size_px=15, channels=["GFP"])
    assert (crop.start_px, crop.images.shape) == ((-5, 68), (1, 15, 15))
    assert not crop.images[:, :5].any()
    assert not crop.images[..., 12:].any()
    np.testing.assert_array_equal(crop.image("GFP")[5:, :12], image_of(KEYS[2])[1, :10, 68:])
    assert crop.mask.sum() == 42
    with pytest.raises(ConfigError, match="channel 'DNA' is not in this crop; it has GFP"):
        crop.image("DNA")


def test_many_crops_keep_the_order_of_the_table(results: Results) -> None:
    nuclei = results.nuclei().iloc[::-1]
    crops = results.crops(nuclei, 9, "GFP")
    assert (crops.shape, crops.dtype) == ((6, 9, 9), np.uint16)
    for crop, row in zip(crops, nuclei.itertuples(), strict=True):
        np.testing.assert_array_equal(crop, results.crop(row, 9, ["GFP"]).images[0])
    with pytest.raises(ResultsError, match="lack the columns Nuclei_AreaShape_Center_Y"):
        results.crops(nuclei.drop(columns="Nuclei_AreaShape_Center_Y"))
    with pytest.raises(ResultsError, match="size_px 0 holds no pixel"):
        results.crops(nuclei, 0)


@pytest.mark.parametrize("nucleus", ["A01", ("A01", 0), ("A01", "first", 1), None])
def test_what_is_no_nucleus_gets_a_sentence(results: Results, nucleus: object) -> None:
    with pytest.raises(ResultsError, match="is no nucleus: give a row of"):
        results.crop(nucleus)


def test_a_nucleus_that_there_is_not_gets_a_sentence(results: Results) -> None:
    with pytest.raises(ResultsError, match="has no nucleus 3 in field A01/0"):
        results.crop(("A01", 0, 3))


def test_cutting_far_outside_gives_zeros() -> None:
    assert not cut(np.ones((2, 10, 10)), (40, -40), 6).any()


def test_labels_of_their_own_store_and_labels_not_kept(tmp_path: Path) -> None:
    out = hcs.open_results(make_results(tmp_path / "out", labels="out"))
    np.testing.assert_array_equal(out.labels("B03"), labels_of(KEYS[2]))
    none = hcs.open_results(make_results(tmp_path / "none", labels="none"))
    with pytest.raises(ResultsError, match="was made with `labels: none`; run again with `labels: plate`"):
        none.labels("B03")
    crop = none.crop(("B03", 0, 1), 8)
    assert crop.images.any()
    with pytest.raises(ResultsError, match=r"nucleus 1 of B03/0 has no mask, .* `labels: out` in the settings"):
        _ = crop.mask


def test_a_plate_that_was_moved_can_be_named(tmp_path: Path) -> None:
    out = make_results(tmp_path)
    (tmp_path / "plate.zarr").rename(tmp_path / "moved.zarr")
    with pytest.raises(ResultsError, match=r"say where it is now: open_results\(folder, plate=…\)"):
        hcs.open_results(out).image("A01")
    moved = hcs.open_results(out, plate=tmp_path / "moved.zarr")
    np.testing.assert_array_equal(moved.image("A01"), image_of(KEYS[0])[0])
    np.testing.assert_array_equal(moved.labels("A01"), labels_of(KEYS[0]))
    assert len(hcs.open_results(out).nuclei()) == 6


def test_a_folder_without_results_gets_a_sentence(tmp_path: Path) -> None:
    with pytest.raises(ResultsError, match=r"holds no run\.json; give the --out folder"):
        hcs.open_results(tmp_path)
