"""Two fields of a well that overlap on the stage: what both show is counted once, where that is asked for."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from helpers.run import Hcs, call_hcs

from hcs.plate.keys import FieldKey, WellId
from hcs.simulate.field import simulate_field
from hcs.simulate.plate import lay_out_plate
from hcs.simulate.settings import SimulationSettings
from hcs.store.plate.writer import PlateSpec, create_plate, write_field
from hcs.store.results.folder import open_results

WELL = WellId.parse("A01")
SIDE_PX, STEP_PX = 300, 200
UM_PER_PX = 0.65


@pytest.fixture(scope="module")
def overlapping(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A plate of one well, its two fields 100 px over each other; the stage was 2 px off."""
    folder = tmp_path_factory.mktemp("overlapping")
    planned = lay_out_plate(SimulationSettings(wells=6, size_px=SIDE_PX + STEP_PX, density=400.0, seed=5))
    image = simulate_field(planned, planned.keys[0]).image[:, :SIDE_PX]
    spec = PlateSpec(name="o", wells=(WELL,), fields_per_well=2, channels=("DNA", "CDK2"), pixel_size_um=UM_PER_PX)
    create_plate(str(folder / "o.zarr"), spec)
    for field, x in enumerate((0, STEP_PX)):
        write_field(str(folder / "o.zarr"), spec, FieldKey(WELL, field), image[:, :, x : x + SIDE_PX])
        path = folder / "o.zarr" / "A" / "01" / str(field) / "zarr.json"
        node = json.loads(path.read_text())
        for dataset in node["attributes"]["ome"]["multiscales"][0]["datasets"]:
            move = [0.0, 1000.0, 500.0 + (x + 2.0 * field) * UM_PER_PX]
            dataset["coordinateTransformations"].append({"type": "translation", "translation": move})
        path.write_text(json.dumps(node))
    return folder / "o.zarr"


def test_nuclei_of_both_fields_are_counted_once(overlapping: Path, tmp_path: Path, hcs: Hcs) -> None:
    out = tmp_path / "results"
    settings = tmp_path / "once.yaml"
    settings.write_text("labels: none\ndiameter_px: 24\nreadout: {drop_duplicates: true}\n")
    shown = call_hcs("run", overlapping, "--out", out, "--config", settings, "--workers", 1)
    assert shown.code == 0, shown.err
    nuclei, duplicates = open_results(out).nuclei(), pd.read_parquet(out / "duplicates.parquet")
    center = nuclei["Nuclei_AreaShape_Center_X"] + STEP_PX * nuclei["Metadata_Site"]
    in_both = center.between(STEP_PX + 12, SIDE_PX - 12)
    assert in_both.sum() >= 10
    assert in_both.sum() / 2 - 1 <= len(duplicates) < in_both.sum() / 2 + 8
    # Nuclei that both fields show whole lie on each other once the stage's error is taken out; cut ones do not.
    assert duplicates["Distance_Px"].quantile(0.25) < 0.1
    (well,) = open_results(out).wells().to_dict("records")
    assert well["Count_Duplicates"] == len(duplicates)
    assert well["Count_Nuclei"] == len(nuclei) - len(duplicates)
    columns = pd.read_csv(out / "columns.csv").query("table == 'duplicates'")["name"].tolist()
    assert columns == list(duplicates.columns)

    all_of_them = tmp_path / "all.yaml"
    all_of_them.write_text("readout: {drop_duplicates: false}\n")
    assert hcs("readout", out, "--config", all_of_them).code == 0
    (well,) = open_results(out).wells().to_dict("records")
    assert well["Count_Nuclei"] == len(nuclei)
    assert "Count_Duplicates" not in well
    assert np.isfinite(well["Mean_Nuclei_AreaShape_Area"])
