"""The nucleus table as it comes out of Parquet: other dtypes for text, no rows, and back in again."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from hcs.readout.readouts import make_readouts
from hcs.readout.settings import ReadoutSettings

SETTINGS = ReadoutSettings(draws=100)
FIELDS = pd.DataFrame({"well": ["A01", "A02"], "field": 0, "status": ["ok", "failed"], "reason": ["", "x"]})
MAP = pd.DataFrame(
    {
        "well": ["A01", "B07"],
        "role": ["negative", "sample"],
        "compound": "",
        "dose": np.nan,
        "unit": "",
        "group": ["g", None],
    }
)


def nuclei(dtype: str) -> pd.DataFrame:
    text = pd.Series(["A01"] * 300).astype(dtype)
    content = 1000 + 50 * np.random.default_rng(0).standard_normal(300)
    frame = {"Nuclei_DNA_Content": content, "Nuclei_Flag_TouchesBorder": False}
    return pd.DataFrame({"Metadata_Plate": text, "Metadata_Well": text, **frame})


@pytest.mark.parametrize("dtype", ["object", "string", "category"])
def test_any_dtype_of_text(dtype: str) -> None:
    readouts = make_readouts(nuclei(dtype), FIELDS, MAP, SETTINGS)
    assert readouts.wells["Count_Nuclei"].tolist() == [300, 0]
    assert readouts.wells["Fraction_G1"].iloc[0] == pytest.approx(1, abs=0.02)
    assert readouts.peak.source_wells == "1 negative-control well"


def test_no_rows() -> None:
    readouts = make_readouts(nuclei("string").iloc[:0], FIELDS, MAP, SETTINGS, plate="P")
    assert readouts.wells["Count_Nuclei"].tolist() == [0, 0]
    assert readouts.wells["Status"].tolist() == ["empty", "failed"]


@pytest.mark.parametrize("plate_map", [None, MAP])
def test_tables_survive_parquet(tmp_path: Path, plate_map: pd.DataFrame | None) -> None:
    readouts = make_readouts(nuclei("object"), FIELDS, plate_map, SETTINGS)
    for table in (readouts.wells, readouts.compounds, readouts.plate):
        table.to_parquet(tmp_path / "t.parquet")
        back = pd.read_parquet(tmp_path / "t.parquet")
        pd.testing.assert_frame_equal(back, table, check_dtype=False)
