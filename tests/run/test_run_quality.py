"""A plate lit unevenly, one field of it out of focus: corrected, flagged, left out when asked, and resumable."""

from __future__ import annotations

import json
import shutil
from pathlib import Path

import cv2
import numpy as np
import pandas as pd
import pytest
from helpers.run import Hcs, call_hcs, table_bytes

import hcs as package
from hcs.commands.simulate import SimulationFiles, write_simulation
from hcs.plate.keys import FieldKey
from hcs.simulate.settings import SimulationSettings
from hcs.store.plate.reader import open_plate, read_field
from hcs.store.plate.writer import PlateSpec, write_field

BLURRED = "B02"


@pytest.fixture(scope="module")
def shaded(tmp_path_factory: pytest.TempPathFactory) -> SimulationFiles:
    """Twelve wells of 256 px under a twofold gradient; well B02 is out of focus."""
    folder = tmp_path_factory.mktemp("shaded")
    settings = SimulationSettings(wells=12, size_px=256, density=350.0, shading=0.5, seed=11)
    files = write_simulation(folder / "shaded.zarr", settings)
    plate, key = open_plate(str(files.plate)), FieldKey.parse(f"{BLURRED}/0")
    image = read_field(plate, key, channels=(0, 1))
    spec = PlateSpec(name="shaded", wells=plate.wells, fields_per_well=1, channels=("DNA", "CDK2"), pixel_size_um=0.65)
    blurred = np.stack([cv2.GaussianBlur(plane, (0, 0), 3.0) for plane in image])
    write_field(str(files.plate), spec, key, blurred)
    return files


@pytest.fixture(scope="module")
def corrected(shaded: SimulationFiles, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The plate processed with an estimated illumination."""
    out = tmp_path_factory.mktemp("corrected") / "results"
    shown = call_hcs(
        "run", shaded.plate, "--out", out, "--plate-map", shaded.plate_map, "--workers", 2, "--labels", "none",
        "--illumination", "estimate",
    )  # fmt: skip
    assert shown.code == 0, shown.err
    assert "Illumination of DNA was corrected" in shown.out
    assert f"blurred_DNA 1 ({BLURRED}/0)" in " ".join(shown.out.split())
    return out


def test_the_illumination_is_kept_with_the_run(corrected: Path) -> None:
    light = np.load(corrected / "illumination" / "flatfield.npz")
    flat = light["flat_DNA"]
    assert flat.dtype == np.float32
    assert 1.6 < flat.max() / flat.min() < 2.6
    record = json.loads((corrected / "run.json").read_text())
    assert len(record["illumination"]["sha256"]) == 64
    assert record["illumination"]["channels"]["DNA"]["fields"] == 12
    assert record["identity"]["config"]["illumination"] == "estimate"


def test_a_field_out_of_focus_is_flagged_and_every_column_is_defined(corrected: Path) -> None:
    fields = pd.read_parquet(corrected / "fields.parquet").set_index("Metadata_Well")
    assert "blurred_DNA" in fields.loc[BLURRED, "Flags"].split(";")
    assert fields["Quality_Focus_DNA"].idxmin() == BLURRED
    wells = pd.read_parquet(corrected / "wells.parquet").set_index("Metadata_Well")
    assert wells.loc[BLURRED, "Fields_Flagged"] == 1
    assert wells.loc[BLURRED, "Status"] == "ok"
    columns = package.open_results(corrected).columns()
    for table in ("fields", "quality", "wells"):
        stored = list(pd.read_parquet(corrected / f"{table}.parquet").columns)
        assert list(columns.loc[columns["table"] == table, "name"]) == stored


def test_readouts_without_flagged_fields_say_what_is_missing(corrected: Path, hcs: Hcs, tmp_path: Path) -> None:
    out = tmp_path / "results"
    shutil.copytree(corrected, out)
    shown = hcs("readout", out, "--exclude-flagged")
    assert shown.code == 0, shown.err
    assert "left out of the readouts because they are flagged" in " ".join(shown.out.split())
    wells = pd.read_parquet(out / "wells.parquet").set_index("Metadata_Well")
    assert wells.loc[BLURRED, "Status"] == "excluded"
    assert "blurred_DNA" in wells.loc[BLURRED, "Reason"]
    assert wells.loc[BLURRED, "Count_Nuclei"] == 0
    assert np.isnan(wells.loc[BLURRED, "Mean_Nuclei_AreaShape_Area"])
    before = pd.read_parquet(corrected / "wells.parquet").set_index("Metadata_Well")
    kept = wells.index[wells["Status"] == "ok"]
    assert len(kept) > 8
    assert (wells.loc[kept, "Count_Nuclei"] == before.loc[kept, "Count_Nuclei"]).all()


def test_a_run_that_goes_on_uses_the_same_light(
    corrected: Path, shaded: SimulationFiles, hcs: Hcs, tmp_path: Path
) -> None:
    out = tmp_path / "results"
    shutil.copytree(corrected, out)
    options = ("--plate-map", shaded.plate_map, "--labels", "none")
    (out / "ledger" / "A01_0000.json").unlink()
    light = (out / "illumination" / "flatfield.npz").stat().st_size
    done = call_hcs("run", shaded.plate, "--out", out, *options, "--workers", 1, "--illumination", "estimate")
    assert done.code == 0, done.err
    assert table_bytes(out) == table_bytes(corrected)
    assert (out / "illumination" / "flatfield.npz").stat().st_size == light
    other = hcs("run", shaded.plate, "--out", out, *options)
    assert other.code == 2
    assert "config.illumination differs" in other.err
    given = hcs("run", shaded.plate, "--out", tmp_path / "n", *options, "--illumination", tmp_path / "absent.npz")
    assert given.code == 2
    assert "absent.npz cannot be used" in given.err


def test_a_given_light_gives_the_same_table(corrected: Path, shaded: SimulationFiles, tmp_path: Path) -> None:
    path = corrected / "illumination" / "flatfield.npz"
    done = call_hcs(
        "run", shaded.plate, "--out", tmp_path / "given", "--wells", "A01", "--labels", "none", "--workers", 1,
        "--illumination", path,
    )  # fmt: skip
    assert done.code == 0, done.err
    alone = {name: data for name, data in table_bytes(corrected).items() if "well=A01" in name}
    assert table_bytes(tmp_path / "given") == alone
    record = json.loads((tmp_path / "given" / "run.json").read_text())
    assert record["identity"]["illumination_sha256"] == record["illumination"]["sha256"]


def test_too_few_fields_are_refused(shaded: SimulationFiles, tmp_path: Path) -> None:
    shown = call_hcs(
        "run", shaded.plate, "--out", tmp_path / "few", "--wells", "A*", "--labels", "none", "--workers", 1,
        "--illumination", "estimate",
    )  # fmt: skip
    assert shown.code == 2
    assert "illumination: estimate needs 8 fields" in shown.err
    assert not (tmp_path / "few" / "run.json").exists()
