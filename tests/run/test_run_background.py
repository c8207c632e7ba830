"""The background of a plate's fields is the same, to the last bit, in a run that was stopped and goes on."""

from __future__ import annotations

import json
from pathlib import Path

from hcs.commands.simulate import SimulationFiles
from hcs.config import Config
from hcs.run.background import PlateBackground, settle_background
from hcs.run.prepare import prepare


def test_a_run_that_goes_on_has_the_background_of_its_beginning(simulated: SimulationFiles, tmp_path: Path) -> None:
    config = Config.model_validate({"labels": "none"})
    job = prepare(str(simulated.plate), tmp_path / "out", config, plate_map_path=None, wells=None, device="cpu").job
    first = PlateBackground("auto", {"DNA": 204.983125, "CDK2": 206.996953125}, 23, 24)
    recorded = json.loads(json.dumps(first.plain()))
    assert settle_background(job, (), known=recorded) == first
