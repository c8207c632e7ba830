"""A plate without a DNA channel: nuclei are found in the sensor's, and everything that needs DNA is absent and says
why."""

from __future__ import annotations

from pathlib import Path

import pandas as pd
import pytest
from helpers.run import Hcs, Shown, call_hcs

from hcs.commands.simulate import SimulationFiles
from hcs.config import ChannelSettings
from hcs.errors import ConfigError
from hcs.plate.keys import FieldKey
from hcs.run.choices import settle_channels
from hcs.store.plate.reader import open_plate, read_field
from hcs.store.plate.writer import PlateSpec, create_plate, write_field
from hcs.store.results.folder import open_results


def sensor_only(source: SimulationFiles, path: Path) -> Path:
    """The plate's sensor channel as a plate."""
    plate = open_plate(str(source.plate))
    spec = PlateSpec(name=path.stem, wells=plate.wells, fields_per_well=1, channels=("CDK2",), pixel_size_um=0.65)
    create_plate(str(path), spec)
    for entry in plate.fields:
        write_field(str(path), spec, entry.key, read_field(plate, entry.key, channels=(1,)))
    return path


@pytest.fixture(scope="module")
def done(simulated: SimulationFiles, tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, Shown]:
    """Results of the plate without DNA, and what the command showed."""
    folder = tmp_path_factory.mktemp("sensor-only")
    plate = sensor_only(simulated, folder / "only.zarr")
    options = ("--nuclei", "CDK2", "--sensor", "CDK2", "--plate-map", simulated.plate_map, "--workers", 1)
    return folder / "results", call_hcs("run", plate, "--out", folder / "results", *options)


def test_nuclei_are_found_without_dna_and_everything_says_where_they_come_from(
    done: tuple[Path, Shown], simulated: SimulationFiles
) -> None:
    out, shown = done
    assert shown.code == 0, shown.err
    assert "nuclei found in  CDK2" in shown.out
    assert "model            sensor" in shown.out
    results = open_results(out)
    assert (results.record.channels.dna, results.record.channels.nuclei) == (None, "CDK2")
    assert results.record.model["name"] == "sensor"
    nuclei, wells = results.nuclei(), results.wells()
    assert set(nuclei["Metadata_NucleiChannel"]) == set(wells["Metadata_NucleiChannel"]) == {"CDK2"}
    truth = pd.read_parquet(simulated.truth)
    assert 0.75 * len(truth) < len(nuclei) < 1.15 * len(truth)
    page = (out / "report.html").read_text()
    assert "Nuclei were found in the sensor channel CDK2" in page
    assert "Nuclei were found in the sensor channel CDK2" in " ".join(shown.out.split())
    assert {"Fraction_SensorMedium", "Bias_Nuclei_Sensor_Ratio"} <= set(wells)


def test_what_needs_dna_is_absent_or_says_that_no_dna_was_measured(done: tuple[Path, Shown]) -> None:
    results = open_results(done[0])
    assert not [name for name in results.nuclei().columns if "DNA" in name]
    dictionary = results.columns()
    listed = dictionary.loc[dictionary["table"].str.startswith("nuclei"), "name"]
    assert not listed.str.contains("DNA").any()
    reason = "no DNA channel was measured"
    assert results.table("dead")["Reason"].tolist() == [reason]
    assert results.plate()["DNA_Reason"].eq(reason).all()
    assert results.wells()["Cycle_Reason"].str.contains(reason).all()
    assert results.table("cycles")["Reason"].str.contains(reason).all()


def test_nothing_is_guessed_where_no_dna_is_there_and_no_channel_named(
    done: tuple[Path, Shown], hcs: Hcs, tmp_path: Path
) -> None:
    shown = hcs("run", done[0].parent / "only.zarr", "--out", tmp_path / "none")
    assert shown.code == 2
    assert "--nuclei CDK2 --sensor CDK2" in shown.err
    assert not (tmp_path / "none").exists()


def test_a_plate_with_dna_keeps_measuring_it_when_nuclei_come_from_the_sensor(simulated: SimulationFiles) -> None:
    plate = open_plate(str(simulated.plate))
    names = {FieldKey(plate.wells[0], 0): ("DNA", "CDK2")}
    chosen = settle_channels(plate, ChannelSettings(nuclei="CDK2"), names)
    assert (chosen.channels.dna, chosen.channels.nuclei, chosen.channels.by_sensor) == (0, 1, True)
    other = {FieldKey(plate.wells[0], 0): ("GFP", "CDK2")}
    chosen = settle_channels(plate, ChannelSettings(nuclei="CDK2"), other)
    assert (chosen.channels.dna, chosen.channels.nuclei, chosen.channels.sensor) == (None, 1, 1)
    with pytest.raises(ConfigError, match="--nuclei"):
        settle_channels(plate, ChannelSettings(), other)
