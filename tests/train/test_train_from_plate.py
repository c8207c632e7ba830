"""`hcs train --from-plate` on a small simulated plate: truth, two rounds, test, card; and what it refuses."""

from __future__ import annotations

import json
import shutil
from pathlib import Path

import pandas as pd
import pytest
import zarr
from helpers.run import Finished, Hcs

from hcs.commands.remeasure import remeasure
from hcs.commands.simulate import SimulationFiles
from hcs.commands.train_from_plate import FromPlates, from_corrected, list_fields, train_from_plates
from hcs.engine.cluster import Workers
from hcs.errors import ConfigError
from hcs.store.models import find_model, read_model
from hcs.store.results.folder import open_results
from hcs.train.calibrate import SHIFTS

TINY = """
widths: [4, 8]
steps: 4
warmup_steps: 1
batch: 2
crop_px: 32
evaluate_every: 4
checkpoint_every: 2
threads: 1
translocated: 0.5
gapped: 0.5
faint_weight: 2.0
"""


@pytest.fixture(scope="module")
def trained(simulated: SimulationFiles, tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, list[str], FromPlates]:
    """A model from the simulated plate, what was said, and what was asked for."""
    folder = tmp_path_factory.mktemp("from-plate")
    (folder / "tiny.yaml").write_text(TINY)
    wanted = FromPlates(plates=(str(simulated.plate),), given="CDK2", truth="DNA")
    said: list[str] = []
    path = train_from_plates(wanted, folder / "tiny.yaml", folder / "out", name="mine", device="cpu", say=said.append)
    return path, said, wanted


def test_the_card_says_what_was_learnt_from_and_how_good_it_is_on_wells_held_out(
    trained: tuple[Path, list[str], FromPlates],
) -> None:
    path, said, _ = trained
    card, _ = read_model(find_model(str(path)))
    assert (card["name"], card["input_channel"], card["truth_channel"]) == ("mine", "CDK2", "DNA")
    assert card["held_out"]["split"] == "test"
    assert card["held_out"]["wells"] == 1
    assert card["calibration"]["background logit lowered by"] in SHIFTS
    assert "NaN" not in path.with_suffix(".json").read_text()
    assert any(line.startswith("Held-out wells: F1") for line in said)


def test_truth_is_split_by_well_and_every_ignored_nucleus_is_listed(
    trained: tuple[Path, list[str], FromPlates],
) -> None:
    out = trained[0].parent
    index = pd.read_csv(out / "truth" / "index.csv")
    assert index.groupby("well")["split"].nunique().max() == 1
    assert set(index["split"]) == {"train", "val", "test"}
    ignored = pd.read_csv(out / "truth" / "ignored.csv")
    assert len(ignored) == index["ignored"].sum()
    assert (out / "ignored.png").stat().st_size > 1000


def test_a_run_that_ended_is_not_done_again_and_another_one_is_refused(
    trained: tuple[Path, list[str], FromPlates], hcs: Hcs
) -> None:
    path, _, wanted = trained
    out, before = path.parent, path.read_bytes()
    again = train_from_plates(wanted, out.parent / "tiny.yaml", out, name="mine", device="cpu", say=lambda line: None)
    assert again.read_bytes() == before
    options = ("--input", "CDK2", "--truth", "DNA", "--config", out.parent / "tiny.yaml", "--wells", "A*")
    shown = hcs("train", "--from-plate", wanted.plates[0], "--out", out, *options)
    assert shown.code == 2
    assert "other plates, wells or settings" in shown.err
    assert json.loads((out / "from-plate.json").read_text())["wanted"]["given"] == "CDK2"


def test_what_cannot_be_is_refused_before_anything_is_written(
    simulated: SimulationFiles, tmp_path: Path, hcs: Hcs
) -> None:
    for options, why in (
        (("--input", "GFP", "--truth", "DNA"), "--input 'GFP' is no channel"),
        (("--input", "DNA", "--truth", "DNA"), "name two channels"),
        (("--input", "CDK2", "--truth", "DNA", "--wells", "A01"), "at least 2"),
        (("--input", "CDK2"), "--truth"),
    ):
        shown = hcs("train", "--from-plate", simulated.plate, "--out", tmp_path / "out", *options)
        assert shown.code == 2
        assert why in shown.err
    assert not (tmp_path / "out").exists()


def test_labels_that_a_plate_has_can_be_the_truth(simulated: SimulationFiles) -> None:
    wanted = FromPlates(plates=(str(simulated.plate),), given="CDK2", truth="CDK2", labels="truth")
    fields = list_fields(wanted)
    truth = pd.read_parquet(simulated.truth)
    assert all(field.labels is not None for field in fields)
    assert sum(int(field.labels().max()) for field in fields if field.labels) == len(truth)
    with pytest.raises(ConfigError, match="name two channels"):
        list_fields(FromPlates(plates=wanted.plates, given="CDK2", truth="CDK2"))


def test_nuclei_edited_by_hand_are_learnt_from(finished: Finished, tmp_path: Path) -> None:
    """Three wells are edited as a viewer does it, measured again, and learnt from; others are not."""
    shutil.copytree(finished.files.plate, tmp_path / "tiny.zarr")
    shutil.copytree(finished.out, tmp_path / "results")
    results = open_results(tmp_path / "results", plate=tmp_path / "tiny.zarr")
    with pytest.raises(ConfigError, match=r"no nuclei of .* were edited and measured again"):
        from_corrected(results)
    wells = [str(key.well) for key in results.record.keys if results.entries([key])[0].nuclei > 4][:3]
    for well in wells:
        field = tmp_path / "tiny.zarr" / well[0] / well[1:] / "0"
        zarr.open_array(field / "labels" / "nuclei" / "0", mode="r+")[:8, :8] = 900
    remeasure(results, workers=Workers(), say=lambda _: None)
    wanted = from_corrected(results)
    assert (wanted.given, wanted.truth, wanted.labels) == ("DNA", "DNA", "nuclei")
    (tmp_path / "tiny.yaml").write_text(TINY.replace("[4, 8]", "[16, 24, 48, 96, 192]") + "start_from: fast\n")
    said: list[str] = []
    path = train_from_plates(
        wanted, tmp_path / "tiny.yaml", tmp_path / "out", name="ours", device="cpu", say=said.append
    )
    assert said[0] == "3 fields whose nuclei were edited by hand are learnt from"
    index = pd.read_csv(tmp_path / "out" / "truth" / "index.csv")
    assert sorted(index["well"]) == sorted(f"tiny/{well}" for well in wells)
    assert index["ignored"].sum() == 0  # what somebody edited is taken as it is
    keys = [key for key in results.record.keys if str(key.well) in wells]
    assert index["nuclei"].sum() == sum(entry.nuclei for entry in results.entries(keys))
    card, _ = read_model(find_model(str(path)))
    assert card["corrected"].startswith("nuclei edited by hand in 3 fields")
    assert 0.0 <= card["held_out"]["before training"]["F1 at IoU 0.5"] <= 1.0
    assert "before training" in said[-1]
