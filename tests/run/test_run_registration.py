"""A channel that does not lie on that of the nuclei is told, with what follows, and one that does is not."""

from __future__ import annotations

from pathlib import Path

import numpy as np

from hcs.commands.simulate import SimulationFiles
from hcs.config import ChannelSettings, Config
from hcs.measure.registration import moved
from hcs.run.prepare import Prepared, prepare
from hcs.run.registration import registration_notes, settle_registration
from hcs.store.location import location
from hcs.store.plate.reader import open_plate, read_field
from hcs.store.plate.writer import PlateSpec, create_plate, write_field


def prepared(plate: Path, out: Path, nuclei: str | None) -> Prepared:
    """A run of the plate before its first field."""
    config = Config(channels=ChannelSettings(dna="DNA", sensor="CDK2", nuclei=nuclei))
    return prepare(str(plate), location(str(out)), config, plate_map_path=None, wells=None, device="cpu")


def test_a_sensor_that_lies_beside_dna_is_told_from_either_channel(simulated: SimulationFiles, tmp_path: Path) -> None:
    plate = open_plate(str(simulated.plate))
    spec = PlateSpec(name="off", wells=plate.wells, fields_per_well=1, channels=("DNA", "CDK2"), pixel_size_um=0.65)
    create_plate(str(tmp_path / "off.zarr"), spec)
    for entry in plate.fields:
        dna, sensor = read_field(plate, entry.key, channels=(0, 1))
        write_field(str(tmp_path / "off.zarr"), spec, entry.key, np.stack([dna, moved(sensor, 2, -3)]))
    for nuclei, name, way, said in (
        (None, "CDK2", (2, -3), "Channel CDK2 lies {} px to the left and {} px below of DNA"),
        ("CDK2", "DNA", (-2, 3), "Channel DNA lies {} px to the right and {} px above of CDK2"),
    ):
        run = prepared(tmp_path / "off.zarr", tmp_path / "out", nuclei)
        found = settle_registration(run.job, run.keys, known=None)
        assert list(found) == [name]
        assert (round(found[name]["y_px"]), round(found[name]["x_px"])) == way
        (note,) = registration_notes(found, run.record.channels)
        assert ("lean towards 1" in note) == (name == "CDK2")
        assert said.format(*(f"{abs(found[name][axis]):.1f}" for axis in ("x_px", "y_px"))) in note
        assert settle_registration(run.job, run.keys, known={"kept": {}}) == {"kept": {}}


def test_channels_in_one_place_are_not_mentioned(simulated: SimulationFiles, tmp_path: Path) -> None:
    run = prepared(simulated.plate, tmp_path / "out", None)
    assert settle_registration(run.job, run.keys, known=None) == {}
    assert registration_notes({}, run.record.channels) == ()
